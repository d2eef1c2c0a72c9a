"""Bring the bench into the state in which it measures."""

from bluesky import plan_stubs as bps
from bluesky.utils import MsgGenerator, plan

from triplet_bluesky.protocols import MicroPLBench

__all__ = ["switch_on"]

FULL_LEVEL = 100.0
"""Power level of the laser at which the bench measures, in percent: the attenuator, not
the laser, sets the dose, because the spectrum of the laser changes with its level."""


@plan
def switch_on(
    bench: MicroPLBench, temperature: float | None = None
) -> MsgGenerator[None]:
    """Switch the laser on at full level, and bring the sample to a temperature.

    Parameters
    ----------
    bench
        The instruments.
    temperature
        Sample temperature to reach and to wait for, in kelvin; None leaves it.
    """
    yield from bps.mv(bench.power_control.shutter, "Closed")
    yield from bps.mv(bench.laser.emission, "On", bench.laser.level, FULL_LEVEL)
    if temperature is not None:
        yield from bps.mv(bench.cryostat.temperature, temperature)
