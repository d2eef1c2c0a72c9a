"""Photoluminescence excitation: emission spectra against the pump wavelength."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.utils import MsgGenerator, plan

from triplet_bluesky.errors import PlanError
from triplet_bluesky.plans.exposure import (
    EXPOSURE_LADDER_S,
    DarkFrames,
    expose,
    find_exposure,
    set_exposure,
)
from triplet_bluesky.plans.metadata import start_metadata
from triplet_bluesky.plans.pump_axis import Order, PumpUnit, pump_wavelengths
from triplet_bluesky.plans.put_back import put_back_wrapper
from triplet_bluesky.plans.readiness import check_ready
from triplet_bluesky.protocols import MicroPLBench

__all__ = ["ple"]

DoseMode = Literal["photons", "power", "fluence"]
AnalyserPosition = float | Literal["out"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The checked arguments of a scan."""

    wavelengths: list[float]
    """Pump wavelengths in the order to visit them, in nm (vacuum)."""
    dose_mode: DoseMode
    """Which view of the dose is held."""
    dose: float
    """Its value, in the unit of the view."""
    exposure: float | None
    """Exposure of one sub-exposure in s; None to find it for each point."""
    exposure_limits: tuple[float, float]
    """Shortest and longest automatic exposure, in s."""
    subexposures: int
    """Frames at each point."""
    darks: bool
    """Whether dark frames are taken."""
    analyser: AnalyserPosition
    """Analysed angle in degrees, ``"out"``, or None to leave it."""
    settle: float
    """Time between the dose and the exposure, in s."""


@plan
def ple(
    bench: MicroPLBench,
    points: Sequence[float] | None = None,
    *,
    start: float | None = None,
    stop: float | None = None,
    step: float | None = None,
    unit: PumpUnit = "nm",
    order: Order = "up",
    dose_mode: DoseMode = "photons",
    dose: float = 1.6e6,
    exposure: float | None = None,
    max_exposure: float = 2.0,
    subexposures: int = 3,
    darks: bool = True,
    analyser: AnalyserPosition = None,
    settle: float = 0.0,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Record emission spectra while the pump wavelength is scanned.

    At each point the dose is regulated in the dark, the exposure is chosen, and the
    shutter is open only while the camera exposes. All arguments are checked before
    the first message, and before anything moves whether the light can get to the sample
    and to the camera; afterwards everything is put back as it was.

    Parameters
    ----------
    bench
        The instruments.
    points
        Pump points, in ``unit``. Or give ``start``, ``stop`` and ``step``.
    start, stop, step
        First and last pump point and their distance, in ``unit``.
    unit
        ``"nm"`` (vacuum wavelength) or ``"eV"`` (photon energy).
    order
        ``"up"`` or ``"down"`` in wavelength, or ``"interleaved"``: every second point
        upwards, the others on the way back.
    dose_mode
        What is held constant: ``"photons"`` (per pulse at the sample), ``"power"``
        (uW at the sample) or ``"fluence"`` (uJ/cm2).
    dose
        Its value, in the unit of ``dose_mode``.
    exposure
        Exposure of one sub-exposure in s; None chooses one for each point by probe
        shots that are not recorded.
    max_exposure
        Longest exposure that is chosen automatically, in s.
    subexposures
        Frames at each point; three or more let cosmic rays be told from lines.
    darks
        Take frames with the shutter closed for each exposure time, in the stream
        ``dark``.
    analyser
        Analysed angle in degrees, ``"out"`` to take the polarizer out, or None to
        leave the analyser as it is.
    settle
        Time to wait at each point before the exposure, in s.
    md
        Metadata to add to the start document.

    Returns
    -------
    :
        The uid of the run.

    Raises
    ------
    PlanError
        If an argument is not possible on this bench, with the reason; raised before
        any message. Also if the bench is not ready when the plan starts: the laser is
        off, the filter's shutter closed, the objective without power or servo, the
        spectrometer's exit not that of the camera or its lamp on, or the camera takes
        images; raised before anything is set.
    """
    measurement = Measurement(
        wavelengths=pump_wavelengths(points, (start, stop, step), unit, order),
        dose_mode=dose_mode,
        dose=dose,
        exposure=exposure,
        exposure_limits=(EXPOSURE_LADDER_S[0], max_exposure),
        subexposures=subexposures,
        darks=darks,
        analyser=analyser,
        settle=settle,
    )
    _check(bench, measurement)
    metadata = start_metadata(
        bench,
        plan_name="ple",
        technique="photoluminescence excitation",
        num_points=len(measurement.wavelengths),
        plan_args={
            "points": measurement.wavelengths,
            "unit": unit,
            "order": order,
            "dose_mode": dose_mode,
            "dose": dose,
            "exposure": exposure,
            "max_exposure": max_exposure,
            "subexposures": subexposures,
            "darks": darks,
            "analyser": analyser,
            "settle": settle,
        },
        dimension="tunable_filter_wavelength",
    )
    yield from check_ready(bench)
    return (
        yield from put_back_wrapper(
            _scan(bench, measurement, {**metadata, **(md or {})}),
            bench,
            [
                bench.tunable_filter.wavelength,
                bench.power_control.meter.wavelength,
                bench.power_control.meter.averaging_time,
                bench.power_control.attenuator,
                bench.analyser.inserted,
                bench.analyser.half_wave_plate,
                bench.ccd.cam.acquire_time,
                bench.ccd.subexposures,
            ],
        )
    )


def _scan(
    bench: MicroPLBench, measurement: Measurement, metadata: dict[str, Any]
) -> MsgGenerator[str]:
    yield from _prepare(bench, measurement)
    detectors = [
        bench.tunable_filter,
        bench.power_control,
        bench.ccd,
        bench.spectrometer,
        bench.analyser,
        bench.cryostat,
    ]
    darks = DarkFrames(enabled=measurement.darks)

    around = [bench.laser, bench.ioc, bench.objective, *detectors[3:]]

    @bpp.stage_decorator([bench.ccd])
    @bpp.baseline_decorator(around)
    @bpp.run_decorator(md=metadata)
    def run() -> MsgGenerator[Any]:
        yield from bps.checkpoint()
        for wavelength in measurement.wavelengths:
            yield from _point(bench, measurement, wavelength, darks)
            yield from bps.create("primary")
            for detector in detectors:
                yield from bps.read(detector)
            yield from bps.save()
            yield from bps.checkpoint()

    return (yield from run())


def _prepare(bench: MicroPLBench, measurement: Measurement) -> MsgGenerator[None]:
    """Set what holds for all points."""
    rate = yield from bps.rd(bench.laser.repetition_rate, default_value=math.nan)
    yield from bps.mv(bench.power_control.shutter, "Closed")
    yield from bps.mv(bench.power_control.repetition_rate, rate)
    yield from bps.mv(bench.ccd.subexposures, measurement.subexposures)
    if measurement.analyser == "out":
        yield from bps.mv(bench.analyser.inserted, "Out")
    elif measurement.analyser is not None:
        yield from bps.mv(
            bench.analyser.inserted, "In", bench.analyser.angle, measurement.analyser
        )


def _point(
    bench: MicroPLBench,
    measurement: Measurement,
    wavelength: float,
    darks: DarkFrames,
) -> MsgGenerator[None]:
    """Go to one pump wavelength, set dose and exposure, and expose."""
    control = bench.power_control
    yield from bps.mv(
        bench.tunable_filter.wavelength,
        wavelength,
        control.meter.wavelength,
        wavelength,
    )
    yield from bps.mv(getattr(control, measurement.dose_mode), measurement.dose)
    if measurement.settle:
        yield from bps.sleep(measurement.settle)
    exposure = measurement.exposure
    if exposure is None:
        exposure = yield from find_exposure(bench, measurement.exposure_limits)
    yield from set_exposure(bench, exposure)
    yield from darks.take(bench, exposure)
    yield from expose(bench, [bench.ccd, control])


def _check(bench: MicroPLBench, measurement: Measurement) -> None:
    """Refuse what the bench cannot do."""
    axis = bench.tunable_filter.wavelength
    for wavelength in measurement.wavelengths:
        _within("pump wavelength", wavelength, axis.limits, "nm")
    if measurement.dose_mode not in ("photons", "power", "fluence"):
        msg = (
            f"dose_mode: got {measurement.dose_mode!r}, expected 'photons', 'power' or "
            "'fluence'"
        )
        raise PlanError(msg)
    if not (math.isfinite(measurement.dose) and measurement.dose > 0):
        msg = f"dose: got {measurement.dose}, expected a positive finite number"
        raise PlanError(msg)
    exposures = bench.ccd.cam.acquire_time.limits
    if measurement.exposure is not None:
        _within("exposure", measurement.exposure, exposures, "s")
    shortest, longest = measurement.exposure_limits
    _within("max_exposure", longest, (shortest, exposures[1]), "s")
    if measurement.subexposures < 1 or measurement.subexposures % 1:
        msg = f"subexposures: got {measurement.subexposures}, expected 1, 2, 3, ..."
        raise PlanError(msg)
    if not (math.isfinite(measurement.settle) and measurement.settle >= 0):
        msg = f"settle: got {measurement.settle} s, expected 0 or more"
        raise PlanError(msg)
    position = measurement.analyser
    if isinstance(position, str) and position != "out":
        msg = f"analyser: got {position!r}, expected an angle in deg, 'out' or None"
        raise PlanError(msg)
    if isinstance(position, int | float) and not math.isfinite(position):
        msg = f"analyser: got {position}, expected a finite angle in deg"
        raise PlanError(msg)


def _within(what: str, value: float, limits: tuple[float, float], unit: str) -> None:
    low, high = limits
    if not low <= value <= high:
        msg = f"{what}: got {value:g} {unit}, possible is {low:g} to {high:g} {unit}"
        raise PlanError(msg)
