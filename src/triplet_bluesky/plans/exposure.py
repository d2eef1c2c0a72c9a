"""Exposures: light on the sample only while detectors look, darks, exposure times."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from bluesky import plan_stubs as bps
from bluesky.protocols import Triggerable
from bluesky.utils import Msg, MsgGenerator, short_uid

from triplet_bluesky.protocols import MicroPLBench

__all__ = [
    "EXPOSURE_LADDER_S",
    "DarkFrames",
    "choose_exposure",
    "expose",
    "find_exposure",
    "set_exposure",
]

EXPOSURE_LADDER_S = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
)
"""Exposure times that the automatic exposure chooses from, in s: a 1-2-5 series, so
that a few dark frames serve a whole scan."""

TARGET_FILL = 0.5
"""Share of the saturation level that the brightest pixel is to reach: leaves a factor
of two for the exposure to be brighter than the probe said."""

PROBE_S = 0.01
"""Exposure of the first probe shot, in s."""

DIM_PROBE_ADU = 100
"""Rise above the dark level below which a probe is repeated ten times longer: with 6 e-
read noise at 10 e-/ADU, 100 ADU give the rate to a few percent."""

MIN_METER_TIME_S = 0.05
"""Shortest averaging of the power meter during an exposure, in s."""


@dataclass(slots=True)
class DarkFrames:
    """Which dark frames the run has, by exposure time."""

    enabled: bool
    """False if the run is to have none."""
    taken: set[float] = field(default_factory=set)
    """Exposure times that there is a dark for, in s."""

    def take(self, bench: MicroPLBench, exposure: float) -> MsgGenerator[None]:
        """Take a dark with the shutter closed unless there is one for this exposure.

        Parameters
        ----------
        bench
            The bench.
        exposure
            Exposure time that the camera is set to, in s.
        """
        if not self.enabled or exposure in self.taken:
            return
        yield from bps.trigger(bench.ccd, wait=True)
        yield from bps.create("dark")
        yield from bps.read(bench.ccd)
        yield from bps.save()
        yield from bps.checkpoint()
        self.taken.add(exposure)


def set_exposure(bench: MicroPLBench, exposure: float) -> MsgGenerator[None]:
    """Set the camera's exposure and let the power meter average as long.

    Parameters
    ----------
    bench
        The bench.
    exposure
        Exposure of one sub-exposure, in s.
    """
    total = exposure * int((yield from bps.rd(bench.ccd.subexposures)))
    averaging = bench.power_control.meter.averaging_time
    yield from bps.mv(
        bench.ccd.cam.acquire_time,
        exposure,
        averaging,
        max(total, MIN_METER_TIME_S),
    )


def expose(bench: MicroPLBench, detectors: Sequence[Any]) -> Generator[Msg, Any, None]:
    """Open the shutter, trigger the detectors and wait for them, close the shutter.

    Parameters
    ----------
    bench
        The bench.
    detectors
        What looks, all at once; what cannot be triggered is passed over.
    """
    shutter = bench.power_control.shutter
    group = f"expose-{short_uid()}"
    yield from bps.abs_set(shutter, "Open", group=group)
    yield from bps.wait(group)
    for detector in detectors:
        if isinstance(detector, Triggerable):
            yield from bps.trigger(detector, group=group)
    yield from bps.wait(group)
    yield from bps.abs_set(shutter, "Closed", group=group)
    yield from bps.wait(group)


def choose_exposure(rise_adu: float, probe_s: float, full_adu: float) -> float:
    """Choose the longest exposure of the ladder that does not fill the well too far.

    Parameters
    ----------
    rise_adu
        What the brightest pixel of the probe rose above the dark level, in ADU.
    probe_s
        Exposure of the probe, in s.
    full_adu
        Saturation level above the dark level, in ADU.

    Returns
    -------
    :
        Exposure time, in s.

    Examples
    --------
    >>> choose_exposure(rise_adu=3600, probe_s=0.01, full_adu=65000)
    0.05
    """
    rate = max(rise_adu, 1.0) / probe_s
    longest = TARGET_FILL * full_adu / rate
    fitting = [step for step in EXPOSURE_LADDER_S if step <= longest * (1 + 1e-9)]
    return fitting[-1] if fitting else EXPOSURE_LADDER_S[0]


def find_exposure(
    bench: MicroPLBench, limits: tuple[float, float]
) -> MsgGenerator[float]:
    """Find the exposure time by probe shots that are not recorded.

    Parameters
    ----------
    bench
        The bench, with the dose set.
    limits
        Shortest and longest exposure to choose, in s.

    Returns
    -------
    :
        Exposure of one sub-exposure, in s.
    """
    subexposures = int((yield from bps.rd(bench.ccd.subexposures)))
    shortest, longest = limits
    probe = min(max(PROBE_S, shortest), longest)
    yield from bps.mv(bench.ccd.subexposures, 1)
    while True:
        yield from set_exposure(bench, probe)
        yield from expose(bench, [bench.ccd, bench.power_control])
        rise, full = yield from _rise(bench)
        if rise >= full and probe > shortest:
            probe = max(probe / 10, shortest)
        elif rise < DIM_PROBE_ADU and probe < longest:
            probe = min(probe * 10, longest)
        else:
            break
    yield from bps.mv(bench.ccd.subexposures, subexposures)
    return min(max(choose_exposure(rise, probe, full), shortest), longest)


def _rise(bench: MicroPLBench) -> MsgGenerator[tuple[float, float]]:
    """Read how far the last frame rose above its lowest pixel, and how far it could."""
    counts = yield from bps.rd(bench.ccd.counts)
    saturation = yield from bps.rd(bench.ccd.cam.saturation_level)
    lowest = float(np.min(counts))
    return float(np.max(counts)) - lowest, float(saturation) - lowest
