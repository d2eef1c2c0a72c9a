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
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
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

    rate: Positive
    pulse: Positive
    power_526: Positive
    bandwidth: Positive
    red_exponent: float
    blue_peak: NonNegative
    blue_center: Wavelength
    blue_width: Positive
    edge: Wavelength
    edge_width: Positive
    envelope_center: Wavelength
    envelope_width: Positive
    drift: Annotated[float, Field(ge=0, le=0.2)]
    drift_time: Positive
    jitter: Annotated[float, Field(ge=0, le=0.2)]
    jitter_time: Annotated[float, Field(ge=1e-4)]
    leak: Share


class Laser(_Table):
    """The laser's head: warm-up, base plate, counter and monitor diode."""

    warm_up: Annotated[float, Field(gt=0, le=86400)]
    cold_loss: Annotated[float, Field(ge=0, lt=1)]
    ambient: Annotated[float, Field(ge=-20, le=60)]
    base_rise: NonNegative
    base_time: Positive
    base_high: Annotated[float, Field(ge=0, le=100)]
    base_trip: Annotated[float, Field(ge=0, le=100)]
    hours: Annotated[float, Field(ge=0, le=1e5)]
    monitor_noise: Annotated[float, Field(ge=0, le=0.2)]


class Filter(_Table):
    """What the tunable filter lets pass, and its wavelength drive."""

    efficiency: Annotated[float, Field(gt=0, le=1)]
    play: Annotated[float, Field(ge=0, le=2)]


class Meter(_Table):
    """The pick-off power meter."""

    ratio: Positive
    ratio_slope: Annotated[float, Field(ge=-2e-3, le=2e-3)]
    ratio_ripple: Annotated[float, Field(ge=0, le=0.2)]
    ratio_period: Positive
    ratio_sigma: Annotated[float, Field(ge=0, le=0.2)]
    noise: NonNegative
    noise_floor: NonNegative
    sample_time: Positive
    full_scale: Positive
    ranges: Annotated[int, Field(ge=1, le=8)]
    range_noise: Annotated[float, Field(ge=0, le=0.1)]
    ceiling_sigma: Annotated[float, Field(ge=0, le=0.2)]


class Spot(_Table):
    """The pump spot, the collected spot and where they are."""

    diameter: Positive
    collection: Positive
    depth: Positive
    crystal: Position
    objective: Position


class Objective(_Table):
    """The piezo stage of the objective, and how the sample travels under it."""

    travel: Positive
    speed: Positive
    sensor_noise: NonNegative
    drift: NonNegative
    drift_axial: NonNegative
    drift_time: Positive
    open_drift: NonNegative
    open_drift_time: Positive
    contraction: NonNegative
    contraction_theta: Positive
    contraction_direction: Direction
    creep_angle: float


class Map(_Table):
    """The other crystals of the sample, and how much they differ from the first."""

    number: Annotated[int, Field(ge=1, le=200)]
    width: Annotated[float, Field(ge=25)]
    clear: Annotated[float, Field(ge=0, le=10)]
    brightness: Annotated[float, Field(ge=0, le=2)]
    threshold: Annotated[float, Field(ge=0, le=1)]
    energy: Annotated[float, Field(ge=0, le=20)]
    splitting: Annotated[float, Field(ge=0, le=2)]


class Absorption(_Table):
    """How the crystal absorbs."""

    exciton: LineEnergy
    exciton_sigma: Positive
    exciton_strength: NonNegative
    absorbed: InnerShare
    continuum_onset: float
    continuum_sigma: Positive


class Cooling(_Table):
    """How hot carriers lose their excess energy."""

    phonon: Positive
    yield_per_phonon: Annotated[float, Field(gt=0, le=1)]


class Lasing(_Table):
    """Threshold, saturation and the sharpness of both."""

    threshold_495: Positive
    saturation_495: Positive
    saturation_sharpness: Annotated[float, Field(ge=0.5, le=50)]
    beta: InnerShare
    threshold_temperature: Positive


class Background(_Table):
    """Spontaneous emission of the rim that does not reach threshold."""

    share: NonNegative
    saturation: Positive


class Lifetime(_Table):
    """Decay times of the emission."""

    stimulated: Positive
    spontaneous: Positive
    softening: Positive


class Emission(_Table):
    """Where and how broad the lines are."""

    line_low: LineEnergy
    splitting: NonNegative
    weight_low: Share
    se_fwhm: Positive
    spe_center: LineEnergy
    spe_fwhm: Positive
    filling_shift: float
    hot_shift: float
    site_shift: float


class Temperature(_Table):
    """How the crystal changes with temperature."""

    gap_shift: float
    gap_theta: Positive
    acoustic: NonNegative
    optical: NonNegative
    quench_ratio: NonNegative
    quench_energy: Positive


class Polarization(_Table):
    """How polarized the emission is, and along which axis."""

    low: Share
    high: Share
    spe: Share
    axis: float
    kept_per_phonon: Annotated[float, Field(gt=0, le=1)]


class Analyser(_Table):
    """Half-wave plate, polarizer and the grating behind them."""

    retardance_error: Annotated[float, Field(ge=-90, le=90)]
    extinction: Share
    grating_ratio: Share


class Spectrometer(_Table):
    """Gratings, each key with one value for each place of the turret; slits; lamp."""

    dispersion: ForGratings[Positive]
    resolution: ForGratings[Positive]
    efficiency: ForGratings[Annotated[float, Field(gt=0, le=1)]]
    blaze: ForGratings[Wavelength]
    blaze_width: ForGratings[Annotated[float, Field(ge=20)]]
    shortest: ForGratings[Wavelength]
    longest: ForGratings[Wavelength]
    calibration_offset: ForGratings[Annotated[float, Field(ge=-5, le=5)]]
    calibration_scale: ForGratings[Annotated[float, Field(ge=0.9, le=1.1)]]
    pixel: Positive
    slit: Positive
    aberration: Share
    lamp_rate: NonNegative
    lamp_warm_up: Positive


class Ccd(_Table):
    """The camera, and the light that reaches it per unit of emission."""

    gain: Positive
    read_noise: NonNegative
    bias: Annotated[float, Field(ge=0, le=65535)]
    full_well: Positive
    pixel_well: Positive
    fibre_center: Annotated[float, Field(ge=0, le=255)]
    fibre_height: Annotated[float, Field(ge=0.5, le=256)]
    dark: NonNegative
    dark_temperature: float
    dark_doubling: Positive
    cosmic_rate: NonNegative
    cosmic_charge: Positive
    efficiency: Positive
    scatter: NonNegative


class Tcspc(_Table):
    """The photon-counting electronics and its detector."""

    bins: Annotated[int, Field(gt=0, le=65536)]
    bin_width: Positive
    dead_time: NonNegative
    efficiency: NonNegative
    dark_rate: NonNegative
    afterpulse_share: Annotated[float, Field(ge=0, lt=0.5)]
    irf_fwhm: Annotated[float, Field(ge=10)]
    irf_tail_share: Annotated[float, Field(ge=0, le=0.5)]
    irf_tail_time: Positive
    irf_bump_share: Annotated[float, Field(ge=0, le=0.5)]
    irf_bump_delay: NonNegative
    zero_delay: float
    walk: float
    pmt_voltage: Positive
    gain_exponent: Positive
    trip_rate: Positive
    pulse_height: Positive
    pulse_spread: Annotated[float, Field(gt=0, le=1.5)]
    cfd_level: Positive
    amplifier_noise: Positive
    noise_bandwidth: Positive
    sync_height: Positive


class Cryostat(_Table):
    """Cold finger, coolant, heater and controller."""

    temperature: Annotated[float, Field(ge=3.5, le=310)]
    room: Positive
    helium: Annotated[float, Field(gt=0, lt=5)]
    conductance: Positive
    heat_leak: NonNegative
    capacity: Positive
    capacity_knee: Positive
    addenda: Positive
    heater: Positive
    ramp: Annotated[float, Field(ge=0.1, le=30)]
    proportional_time: Annotated[float, Field(ge=2)]
    integral_time: Annotated[float, Field(ge=2)]
    feed_forward: Annotated[float, Field(ge=0, le=1.5)]
    sample_lag: Annotated[float, Field(ge=0.5)]
    thermometer_noise: NonNegative
    helium_use: NonNegative
    helium_low: Annotated[float, Field(gt=0, le=100)]
    valve_speed: Positive
    vacuum_knee: Positive


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
    if detail["type"] == "extra_forbidden":
        close = get_close_matches(key, known, n=1)
        hint = f"did you mean {close[0]}?" if close else "see ioc_sim/sample.toml"
        return f"got the key {key}, which is not a parameter of the bench; {hint}"
    expected = _EXPECTED.get(
        detail["type"], detail["msg"].removeprefix("Input should be ")
    )
    return f"{key}: got {detail['input']!r}, expected {expected}"
