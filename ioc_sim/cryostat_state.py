"""The state of the cryostat's model, and what of it its controller shows."""

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["STEP", "CryostatReading", "Node"]

STEP = 0.25
"""Step of the integration, s: short against the fastest time constant, 1.5 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """State of the model at one time."""

    time_s: float
    finger_k: float
    sample_k: float
    working_k: float
    integral_k: float
    heater_w: float
    valve: float
    """Opening of the needle valve, 0 to 1."""
    leak_mbar: float
    helium: tuple[float, float]
    """When the helium level was known last, and what it was, in %."""
    arrived_s: float | None
    """Since when the working set point is the set point."""
    trip: str


class CryostatReading(NamedTuple):
    """What the temperature controller and its gauges show."""

    finger_k: float
    sample_k: float
    """NaN if the thermometer has lost a wire."""
    set_point_k: float
    """Where the temperature is to go, in K."""
    working_k: float
    """Where the controller holds it now, in K: follows the ramp."""
    heater_percent: float
    """Of the present range."""
    heater_w: float
    heater_range: str
    trip: str
    """Why the heater was switched off, until the trip is reset."""
    p: float
    i: float
    d: float
    ramping: bool
    """Whether the working set point is on its way."""
    flow_percent: float
    """Opening of the needle valve."""
    helium_percent: float
    vacuum_mbar: float
    stable: bool
    peak_k: float
    """Greatest distance of the sample from the set point within the window."""
    rms_k: float
    """Its root mean square."""
