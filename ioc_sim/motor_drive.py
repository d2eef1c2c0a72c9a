"""What a motor record drives: motor, encoder, limit switches and home mark."""

import math
from dataclasses import dataclass

from ioc_sim.history import History
from ioc_sim.world import World

__all__ = ["MotorDrive", "MotorSettings", "duration"]

HOME_WIDTH = 1e-3
"""Distance from the home mark at which its switch is on, position units; typical."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MotorSettings:
    """What makes one motor different from another."""

    low: float
    """Least position: the soft limit at the start."""
    high: float
    """Greatest position: the soft limit at the start."""
    speed: float
    """Position units a second."""
    units: str
    """Unit of the position."""
    acceleration: float = 0.0
    """Time to full speed, s."""
    home: float | None = 0.0
    """Position of the home mark; None if there is none."""
    switches: tuple[float, float] | None = None
    """Positions of the limit switches; None for a stage that turns round, or that
    cannot leave its range."""
    scale: float = 1.0
    """What the motor moves, in its own unit, for one position unit."""
    slip: str = ""
    """Fault that is the angle or distance by which the read-back is wrong; homing
    makes it nought."""


class MotorDrive:
    """Moves a history; positions are those of the encoder, in dial coordinates.

    Parameters
    ----------
    world
        The bench, for its clock and its faults.
    history
        What the motor moves.
    settings
        Travel, marks and scale.
    """

    def __init__(self, world: World, history: History, settings: MotorSettings) -> None:
        self._world = world
        self._history = history
        self._settings = settings
        self._low, self._high = settings.switches or (-math.inf, math.inf)

    @property
    def position(self) -> float:
        """Where the encoder says that the motor is now."""
        return self._history.at(self._world.now()) / self._settings.scale

    @property
    def moving(self) -> bool:
        """Whether the motor moves now."""
        return self._history.moving(self._world.now())

    @property
    def at_switches(self) -> tuple[bool, bool]:
        """Whether the low and the high limit switch are on now."""
        position = self.position
        return position <= self._low, position >= self._high

    @property
    def at_home(self) -> bool:
        """Whether the home switch is on now."""
        home = self._settings.home
        return home is not None and abs(self.position - self.mark) <= HOME_WIDTH

    @property
    def mark(self) -> float:
        """Where the encoder finds the home mark, which a slip has shifted."""
        slip = self._settings.slip
        shift = float(self._world.faults.value(slip)) if slip else 0.0
        return (self._settings.home or 0.0) - shift

    def reach(self, goal: float) -> float:
        """Give where a move ends: at a limit switch, if there is one before.

        Parameters
        ----------
        goal
            Where to.
        """
        return min(max(goal, self._low), self._high)

    def go(self, goal: float, start_s: float, end_s: float) -> None:
        """Move.

        Parameters
        ----------
        goal
            Where to.
        start_s, end_s
            When it leaves and arrives, in simulated seconds.
        """
        self._history.ramp(start_s, end_s, goal * self._settings.scale)

    def halt(self) -> None:
        """Stop where it is."""
        self._history.stop(self._world.now())

    async def zero(self) -> None:
        """Let the encoder refer to the home mark again, at which the motor is."""
        settings = self._settings
        home = (settings.home or 0.0) * settings.scale
        self._history.record(self._world.now(), home)
        if settings.slip:
            await self._world.faults.set(settings.slip, 0)


def duration(distance: float, speed: float, rise_s: float) -> float:
    """Give the time for a distance, with getting up to speed and down again, in s.

    Parameters
    ----------
    distance
        How far, from 0, in position units.
    speed
        Position units a second.
    rise_s
        Time to full speed, s.

    Examples
    --------
    >>> duration(40.0, 20.0, 0.5)
    2.5
    """
    if distance < speed * rise_s:
        return 2 * math.sqrt(distance * rise_s / speed)
    return distance / speed + rise_s
