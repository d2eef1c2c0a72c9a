"""The truth of the bench: physical parameters, read from TOML and checked.

`sample.toml` beside this module gives every value with its unit and source; the
classes here mirror its tables and hold each value to a range in which the model of
the bench means something.
"""

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

__all__ = [
    "Absorption",
    "Analyser",
    "Background",
    "Ccd",
    "Cooling",
    "Cryostat",
    "Emission",
    "Filter",
    "Laser",
    "Lasing",
    "Lifetime",
    "Map",
    "Meter",
    "Objective",
    "Polarization",
    "Sample",
    "SampleError",
    "Source",
    "Spectrometer",
    "Spot",
    "Tcspc",
    "Temperature",
    "load_sample",
]

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
InnerShare = Annotated[float, Field(gt=0, lt=1)]
LineEnergy = Annotated[float, Field(ge=2200, le=2450)]
Wavelength = Annotated[float, Field(ge=300, le=1200)]
Position = Annotated[tuple[float, float, float], Field(strict=False)]
ValueT = TypeVar("ValueT")
ForGratings = Annotated[tuple[ValueT, ValueT, ValueT], Field(strict=False)]


def _check_direction(vector: tuple[float, float, float]) -> tuple[float, float, float]:
    if not any(vector):
        kind, expected = "direction", "a direction, not all of it nought"
        raise PydanticCustomError(kind, expected)
    return vector


Direction = Annotated[Position, AfterValidator(_check_direction)]


def _expect(holds: bool, text: str) -> None:
    """Refuse values that do not go together."""
    if not holds:
        raise PydanticCustomError(TOGETHER, text)


TOGETHER = "together"
"""Kind of the error of values that do not go together."""

_EXPECTED = {"model_type": "a table", "missing": "one more value"}
"""What to expect, where pydantic's own words are about Python."""


class SampleError(Exception):
    """A file of sample parameters cannot be used; the message says where and why."""


class _Table(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False
    )


class Source(_Table):
    """The supercontinuum laser and its tunable filter."""

    rate: Annotated[float, Field(ge=0.01, le=200)]
    pulse: Annotated[float, Field(ge=0.01, le=1000)]
    power_526: Annotated[float, Field(ge=0.001, le=100000)]
    bandwidth: Annotated[float, Field(ge=0.5, le=5)]
    red_exponent: Annotated[float, Field(ge=-20, le=20)]
    blue_peak: Annotated[float, Field(ge=0, le=100)]
    blue_center: Wavelength
    blue_width: Annotated[float, Field(ge=1, le=500)]
    edge: Wavelength
    edge_width: Annotated[float, Field(ge=1, le=200)]
    envelope_center: Wavelength
    envelope_width: Annotated[float, Field(ge=50)]
    drift: Annotated[float, Field(ge=0, le=0.2)]
    drift_time: Annotated[float, Field(ge=60)]
    jitter: Annotated[float, Field(ge=0, le=0.2)]
    jitter_time: Annotated[float, Field(ge=0.0001, le=10)]
    leak: Share


class Laser(_Table):
    """The laser's head: warm-up, base plate, counter and monitor diode."""

    warm_up: Annotated[float, Field(gt=0, le=86400)]
    cold_loss: Annotated[float, Field(ge=0, lt=1)]
    ambient: Annotated[float, Field(ge=-20, le=60)]
    base_rise: Annotated[float, Field(ge=0, le=100)]
    base_time: Annotated[float, Field(ge=1, le=100000)]
    base_high: Annotated[float, Field(ge=0, le=100)]
    base_trip: Annotated[float, Field(ge=0, le=100)]
    hours: Annotated[float, Field(ge=0, le=1e5)]
    monitor_noise: Annotated[float, Field(ge=0, le=0.2)]

    @model_validator(mode="after")
    def _gets_warmer(self) -> Self:
        rising = self.ambient < self.base_high <= self.base_trip
        _expect(rising, "expected ambient < base_high <= base_trip")
        return self


class Filter(_Table):
    """What the tunable filter lets pass, and its wavelength drive."""

    efficiency: Annotated[float, Field(gt=0, le=1)]
    play: Annotated[float, Field(ge=0, le=2)]


class Meter(_Table):
    """The pick-off power meter."""

    ratio: Annotated[float, Field(ge=0.01, le=10000)]
    ratio_slope: Annotated[float, Field(ge=-2e-3, le=2e-3)]
    ratio_ripple: Annotated[float, Field(ge=0, le=0.2)]
    ratio_period: Annotated[float, Field(ge=1, le=10000)]
    ratio_sigma: Annotated[float, Field(ge=0, le=0.2)]
    noise: Annotated[float, Field(ge=0, le=1)]
    noise_floor: Annotated[float, Field(ge=0, le=1)]
    sample_time: Annotated[float, Field(ge=0.001, le=60)]
    full_scale: Annotated[float, Field(ge=0.001, le=10000)]
    ranges: Annotated[int, Field(ge=1, le=8)]
    range_noise: Annotated[float, Field(ge=0, le=0.1)]
    ceiling_sigma: Annotated[float, Field(ge=0, le=0.2)]


class Spot(_Table):
    """The pump spot, the collected spot and where they are."""

    diameter: Annotated[float, Field(ge=0.1, le=100)]
    collection: Annotated[float, Field(ge=0.1, le=100)]
    depth: Annotated[float, Field(ge=0.1, le=1000)]
    crystal: Position
    objective: Position


class Objective(_Table):
    """The piezo stage of the objective, and how the sample travels under it."""

    travel: Annotated[float, Field(ge=1, le=1000)]
    speed: Annotated[float, Field(ge=0.1, le=10000)]
    sensor_noise: Annotated[float, Field(ge=0, le=1)]
    drift: Annotated[float, Field(ge=0, le=10)]
    drift_axial: Annotated[float, Field(ge=0, le=10)]
    drift_time: Annotated[float, Field(ge=60)]
    open_drift: Annotated[float, Field(ge=0, le=10)]
    open_drift_time: Annotated[float, Field(ge=60)]
    contraction: Annotated[float, Field(ge=0, le=1000)]
    contraction_theta: Annotated[float, Field(ge=1, le=1000)]
    contraction_direction: Direction
    creep_angle: Annotated[float, Field(ge=-360, le=360)]


class Map(_Table):
    """The other crystals of the sample, and how much they differ from the first."""

    number: Annotated[int, Field(ge=1, le=200)]
    width: Annotated[float, Field(ge=25, le=1000)]
    clear: Annotated[float, Field(ge=0, le=10)]
    brightness: Annotated[float, Field(ge=0, le=2)]
    threshold: Annotated[float, Field(ge=0, le=1)]
    energy: Annotated[float, Field(ge=0, le=20)]
    splitting: Annotated[float, Field(ge=0, le=2)]


class Absorption(_Table):
    """How the crystal absorbs."""

    exciton: LineEnergy
    exciton_sigma: Annotated[float, Field(ge=0.1, le=100)]
    exciton_strength: Annotated[float, Field(ge=0, le=1000)]
    absorbed: InnerShare
    continuum_onset: Annotated[float, Field(ge=-100, le=100)]
    continuum_sigma: Annotated[float, Field(ge=0.1, le=100)]


class Cooling(_Table):
    """How hot carriers lose their excess energy."""

    phonon: Annotated[float, Field(ge=1, le=100)]
    yield_per_phonon: Annotated[float, Field(ge=0.3, le=1)]


class Lasing(_Table):
    """Threshold, saturation and the sharpness of both."""

    threshold_495: Annotated[float, Field(ge=0.01, le=10000)]
    saturation_495: Annotated[float, Field(ge=0.01, le=100000)]
    saturation_sharpness: Annotated[float, Field(ge=0.5, le=50)]
    beta: InnerShare
    threshold_temperature: Annotated[float, Field(ge=10, le=10000)]


class Background(_Table):
    """Spontaneous emission of the rim that does not reach threshold."""

    share: Annotated[float, Field(ge=0, le=100)]
    saturation: Annotated[float, Field(ge=0.01, le=10000)]


class Lifetime(_Table):
    """Decay times of the emission."""

    stimulated: Annotated[float, Field(ge=1, le=10000)]
    spontaneous: Annotated[float, Field(ge=1, le=100000)]
    softening: Annotated[float, Field(ge=1, le=10000)]


class Emission(_Table):
    """Where and how broad the lines are."""

    line_low: LineEnergy
    splitting: Annotated[float, Field(ge=0, le=50)]
    weight_low: Share
    se_fwhm: Annotated[float, Field(ge=0.01, le=100)]
    spe_center: LineEnergy
    spe_fwhm: Annotated[float, Field(ge=0.1, le=200)]
    filling_shift: Annotated[float, Field(ge=-20, le=20)]
    hot_shift: Annotated[float, Field(ge=-1, le=1)]
    site_shift: Annotated[float, Field(ge=-5, le=5)]


class Temperature(_Table):
    """How the crystal changes with temperature."""

    gap_shift: Annotated[float, Field(ge=-200, le=200)]
    gap_theta: Annotated[float, Field(ge=10, le=2000)]
    acoustic: Annotated[float, Field(ge=0, le=1)]
    optical: Annotated[float, Field(ge=0, le=1000)]
    quench_ratio: Annotated[float, Field(ge=0, le=1e6)]
    quench_energy: Annotated[float, Field(ge=1, le=1000)]


class Polarization(_Table):
    """How polarized the emission is, and along which axis."""

    low: Share
    high: Share
    spe: Share
    axis: Annotated[float, Field(ge=-360, le=360)]
    kept_per_phonon: Annotated[float, Field(gt=0, le=1)]


class Analyser(_Table):
    """Half-wave plate, polarizer and the grating behind them."""

    retardance_error: Annotated[float, Field(ge=-90, le=90)]
    extinction: Share
    grating_ratio: Share


class Spectrometer(_Table):
    """Gratings, each key with one value for each place of the turret; slits; lamp."""

    dispersion: ForGratings[Annotated[float, Field(ge=0.001, le=0.2)]]
    resolution: ForGratings[Annotated[float, Field(ge=0.005, le=20)]]
    efficiency: ForGratings[Annotated[float, Field(gt=0, le=1)]]
    blaze: ForGratings[Wavelength]
    blaze_width: ForGratings[Annotated[float, Field(ge=20)]]
    shortest: ForGratings[Wavelength]
    longest: ForGratings[Wavelength]
    calibration_offset: ForGratings[Annotated[float, Field(ge=-5, le=5)]]
    calibration_scale: ForGratings[Annotated[float, Field(ge=0.9, le=1.1)]]
    pixel: Annotated[float, Field(ge=1, le=100)]
    slit: Annotated[float, Field(ge=10, le=2500)]
    aberration: Share
    lamp_rate: Annotated[float, Field(ge=0, le=1e9)]
    lamp_warm_up: Annotated[float, Field(ge=0.01, le=3600)]

    @model_validator(mode="after")
    def _reaches_something(self) -> Self:
        ranges = zip(self.shortest, self.longest, strict=True)
        reach = all(low < high for low, high in ranges)
        _expect(reach, "expected shortest < longest for each grating")
        return self


class Ccd(_Table):
    """The camera, and the light that reaches it per unit of emission."""

    gain: Annotated[float, Field(ge=0.1, le=1000)]
    read_noise: Annotated[float, Field(ge=0, le=1000)]
    bias: Annotated[float, Field(ge=0, le=65535)]
    full_well: Annotated[float, Field(ge=1000, le=1e8)]
    pixel_well: Annotated[float, Field(ge=1000, le=1e8)]
    fibre_center: Annotated[float, Field(ge=0, le=255)]
    fibre_height: Annotated[float, Field(ge=0.5, le=256)]
    dark: Annotated[float, Field(ge=0, le=1e6)]
    dark_temperature: Annotated[float, Field(ge=-120, le=30)]
    dark_doubling: Annotated[float, Field(ge=1, le=100)]
    cosmic_rate: Annotated[float, Field(ge=0, le=10000)]
    cosmic_charge: Annotated[float, Field(ge=1, le=1e6)]
    efficiency: Annotated[float, Field(ge=1, le=1e9)]
    scatter: Annotated[float, Field(ge=0, le=1e8)]

    @model_validator(mode="after")
    def _pixels_fit_the_register(self) -> Self:
        _expect(self.pixel_well <= self.full_well, "expected pixel_well <= full_well")
        return self


class Tcspc(_Table):
    """The photon-counting electronics and its detector."""

    bins: Annotated[int, Field(gt=0, le=65536)]
    bin_width: Annotated[float, Field(ge=0.1, le=10000)]
    dead_time: Annotated[float, Field(ge=0, le=10000)]
    efficiency: Annotated[float, Field(ge=0, le=10)]
    dark_rate: Annotated[float, Field(ge=0, le=1e6)]
    afterpulse_share: Annotated[float, Field(ge=0, lt=0.5)]
    irf_fwhm: Annotated[float, Field(ge=10, le=2000)]
    irf_tail_share: Annotated[float, Field(ge=0, le=0.5)]
    irf_tail_time: Annotated[float, Field(ge=1, le=10000)]
    irf_bump_share: Annotated[float, Field(ge=0, le=0.5)]
    irf_bump_delay: Annotated[float, Field(ge=0, le=100)]
    zero_delay: Annotated[float, Field(ge=-1000, le=1000)]
    walk: Annotated[float, Field(ge=-100, le=100)]
    pmt_voltage: Annotated[float, Field(ge=100, le=2000)]
    gain_exponent: Annotated[float, Field(ge=1, le=20)]
    trip_rate: Annotated[float, Field(ge=0.01, le=1000)]
    pulse_height: Annotated[float, Field(ge=1, le=10000)]
    pulse_spread: Annotated[float, Field(gt=0, le=1.5)]
    cfd_level: Annotated[float, Field(ge=1, le=1000)]
    amplifier_noise: Annotated[float, Field(ge=0.1, le=100)]
    noise_bandwidth: Annotated[float, Field(ge=1, le=10000)]
    sync_height: Annotated[float, Field(ge=10, le=10000)]

    @model_validator(mode="after")
    def _leaves_a_main_pulse(self) -> Self:
        shares = self.irf_tail_share + self.irf_bump_share
        _expect(shares < 1, "expected irf_tail_share + irf_bump_share < 1")
        return self


class Cryostat(_Table):
    """Cold finger, coolant, heater and controller."""

    temperature: Annotated[float, Field(ge=3.5, le=310)]
    room: Annotated[float, Field(ge=250, le=350)]
    helium: Annotated[float, Field(gt=0, lt=5)]
    conductance: Annotated[float, Field(ge=0.001, le=10)]
    heat_leak: Annotated[float, Field(ge=0, le=0.1)]
    capacity: Annotated[float, Field(ge=1, le=10000)]
    capacity_knee: Annotated[float, Field(ge=1, le=300)]
    addenda: Annotated[float, Field(ge=0.01, le=100)]
    heater: Annotated[float, Field(ge=1, le=1000)]
    ramp: Annotated[float, Field(ge=0.1, le=30)]
    proportional_time: Annotated[float, Field(ge=2, le=1000)]
    integral_time: Annotated[float, Field(ge=2, le=10000)]
    feed_forward: Annotated[float, Field(ge=0, le=1.5)]
    sample_lag: Annotated[float, Field(ge=0.5, le=1000)]
    thermometer_noise: Annotated[float, Field(ge=0, le=1)]
    helium_use: Annotated[float, Field(ge=0, le=1000)]
    helium_low: Annotated[float, Field(gt=0, le=100)]
    valve_speed: Annotated[float, Field(ge=0.1, le=1000)]
    vacuum_knee: Annotated[float, Field(ge=1e-6, le=1)]

    @model_validator(mode="after")
    def _helium_cools(self) -> Self:
        _expect(self.helium < self.temperature, "expected helium < temperature")
        return self


class Sample(_Table):
    """Everything the simulated bench is made of."""

    source: Source
    laser: Laser
    filter: Filter
    meter: Meter
    spot: Spot
    objective: Objective
    map: Map
    absorption: Absorption
    cooling: Cooling
    lasing: Lasing
    background: Background
    lifetime: Lifetime
    emission: Emission
    temperature: Temperature
    polarization: Polarization
    analyser: Analyser
    spectrometer: Spectrometer
    ccd: Ccd
    tcspc: Tcspc
    cryostat: Cryostat

    @model_validator(mode="after")
    def _objective_is_on_its_stage(self) -> Self:
        travel = self.objective.travel
        on_stage = all(0 <= each <= travel for each in self.spot.objective)
        _expect(on_stage, "expected spot.objective within 0 and objective.travel")
        return self


def load_sample(path: str | Path | None = None) -> Sample:
    """Read the parameters of the bench.

    Parameters
    ----------
    path
        TOML file with the parameters that differ from the paper's bench; none for
        that bench itself.

    Returns
    -------
    :
        The checked, frozen parameters.

    Raises
    ------
    SampleError
        If the file cannot be read, or has a key or a value that the bench does not
        know; the message names file, key, what was got and what was expected.

    Examples
    --------
    >>> load_sample().emission.line_low
    2335.0
    """
    defaults = tomllib.loads(files("ioc_sim").joinpath("sample.toml").read_text())
    if path is None:
        return Sample.model_validate(defaults)
    changes = _read(Path(path))
    try:
        return Sample.model_validate(_merge(defaults, changes))
    except ValidationError as error:
        known = [f"{table}.{key}" for table in defaults for key in defaults[table]]
        found = [_explain(detail, known + list(defaults)) for detail in error.errors()]
        msg = f"{path}: " + "; ".join(found)
        raise SampleError(msg) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); give a TOML file"
        raise SampleError(msg) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path}: is not TOML ({error})"
        raise SampleError(msg) from error


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(old, value) if both else value
    return merged


def _explain(detail: ErrorDetails, known: list[str]) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == TOGETHER:
        return f"{key}: {detail['msg']}".removeprefix(": ")
    if detail["type"] == "extra_forbidden":
        close = get_close_matches(key, known, n=1)
        hint = f"did you mean {close[0]}?" if close else "see ioc_sim/sample.toml"
        return f"got the key {key}, which is not a parameter of the bench; {hint}"
    expected = _EXPECTED.get(
        detail["type"], detail["msg"].removeprefix("Input should be ")
    )
    return f"{key}: got {detail['input']!r}, expected {expected}"
