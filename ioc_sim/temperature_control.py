"""The temperature controller: ramp, loop modes, heater ranges, and what trips it.

Names and numbers follow the Lake Shore 336: P in % of the heater range per K, I in
resets per 1000 s, D in % of a quarter of the integral time.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

__all__ = [
    "MODES",
    "RANGES",
    "TRIPS",
    "Control",
    "Gains",
    "Wish",
    "ask_heater",
    "find_gains",
    "follow_ramp",
    "show_gains",
]

RANGES = ("Off", "Range1/Low", "Range2/Medium", "Range3/High")
"""Heater ranges, each a decade above the one before."""

MODES = ("Off", "Closed Loop PID", "Zone", "Open Loop")
"""What the output does; in Zone the controller chooses P, I and D by itself."""

TRIPS = ("None", "Over temperature", "Sensor")
"""Why the heater was switched off, until somebody resets it."""

PERCENT = 100.0
DECADE = 10.0
SECONDS_PER_MINUTE = 60.0

RESETS = 1000.0
"""Seconds in which I counts the resets, from the controller's manual."""

RATE_SHARE = 0.25
"""Derivative time at D = 100 %, in integral times; from the controller's manual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What an operator has set on the controller."""

    set_point_k: float
    ramp_k_per_min: float
    ramping: bool = True
    """Whether the working set point goes to a new one by the ramp, or at once."""
    mode: str = "Zone"
    heater_range: str = "Range3/High"
    p: float = 0.1
    """Proportional setting of Closed Loop PID, %/K."""
    i: float = 20.0
    """Integral setting of Closed Loop PID, resets per 1000 s; 0 for none."""
    d: float = 0.0
    """Derivative setting of Closed Loop PID, %."""
    manual: float = 0.0
    """Output that is added in every loop mode, and all there is in Open Loop, %."""
    limits_k: tuple[float, float] = (320.0, 320.0)
    """Readings of finger and sample above which the heater is switched off."""

    def power(self, largest_w: float) -> float:
        """Give the heater power at 100 %, in W.

        Parameters
        ----------
        largest_w
            That of the highest range.
        """
        index = RANGES.index(self.heater_range)
        return largest_w * DECADE ** (index - len(RANGES) + 1) if index else 0.0


class Gains(NamedTuple):
    """What the loop works with."""

    proportional_w_per_k: float
    integral_s: float
    derivative_s: float


class Wish(NamedTuple):
    """What the loop wants at one time."""

    heater_w: float
    closed: bool
    """Whether the loop is closed."""
    excess_w: float = 0.0
    """By how much it wants more than the heater can give, or less than nought."""

    def may_integrate(self, error_k: float) -> bool:
        """Tell whether the integral may go on: not further beyond what is possible.

        Parameters
        ----------
        error_k
            Working set point minus temperature.
        """
        return self.closed and self.excess_w * error_k <= 0


def find_gains(control: Control, zone: Gains, full_w: float) -> Gains:
    """Give the gains of the present mode.

    Parameters
    ----------
    control
        Settings of the controller.
    zone
        Gains of the zone table at this temperature.
    full_w
        Heater power at 100 % of the range.
    """
    if control.mode == "Zone":
        return zone
    integral = RESETS / control.i if control.i else math.inf
    rate = RATE_SHARE * integral * control.d / PERCENT if control.i else 0.0
    return Gains(control.p / PERCENT * full_w, integral, rate)


def show_gains(gains: Gains, full_w: float) -> tuple[float, float, float]:
    """Give gains as the controller states them: P, I, D.

    Parameters
    ----------
    gains
        What the loop works with.
    full_w
        Heater power at 100 % of the range.
    """
    shown = PERCENT * gains.proportional_w_per_k / full_w if full_w else 0.0
    resets = RESETS / gains.integral_s
    rate = gains.derivative_s / (RATE_SHARE * gains.integral_s)
    return shown, resets, PERCENT * rate


def follow_ramp(control: Control, working_k: float, step_s: float) -> float:
    """Give the working set point one step later.

    Parameters
    ----------
    control
        Settings of the controller.
    working_k
        Working set point now.
    step_s
        Length of the step.
    """
    distance = control.set_point_k - working_k
    rate = control.ramp_k_per_min / SECONDS_PER_MINUTE
    most = rate * step_s if control.ramping else math.inf
    if abs(distance) <= most:
        return control.set_point_k
    return working_k + math.copysign(most, distance)


def ask_heater(
    control: Control,
    gains: Gains,
    *,
    drive_k: float,
    forward_w: float,
    full_w: float,
) -> Wish:
    r"""Work out the heater power.

    :math:`Q = Q_\mathsf{forward} + Q_\mathsf{manual} + k_p\,(e + I - t_D \dot T)`,
    from nought to the full power of the range.

    Parameters
    ----------
    control
        Settings of the controller.
    gains
        Gains of the present mode.
    drive_k
        Error, plus its integral over the integral time, minus the slope of the
        temperature times the derivative time.
    forward_w
        What the zone mode foresees.
    full_w
        Heater power at 100 % of the range.
    """
    if control.mode == "Off" or full_w == 0:
        return Wish(0.0, closed=False)
    wanted = control.manual / PERCENT * full_w
    if control.mode == "Zone":
        wanted += forward_w
    if control.mode != "Open Loop":
        wanted += gains.proportional_w_per_k * drive_k
    heater = min(max(wanted, 0.0), full_w)
    return Wish(heater, control.mode != "Open Loop", wanted - heater)
