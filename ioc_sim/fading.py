"""How crystals fade under the pump: light spent on them, in fixed steps of time.

Nothing fades before the fault ``photodegradation`` was first on.
"""

import math
from collections.abc import Callable, Mapping

from ioc_sim.history import History

__all__ = ["Fading"]

CELL = 10.0
"""Simulated seconds whose dose is counted once and for all when they are over."""

Dose = Mapping[int, float]
"""Dose of each crystal by its number; the light that is left is ``exp(-dose)``."""


class Fading:
    """What is left of the light of each crystal.

    Parameters
    ----------
    switch
        How fast crystals fade, through time.
    dose
        Gives the dose between two times.
    """

    def __init__(self, switch: History, dose: Callable[[float, float], Dose]) -> None:
        self._switch = switch
        self._dose = dose
        self._first = 0
        self._sums: list[Dose] = []

    def left(self, time_s: float) -> tuple[tuple[int, float], ...]:
        """Give the crystals that have faded, each with the share that is left.

        Parameters
        ----------
        time_s
            Simulated seconds; all commands before it have been given.
        """
        if not self._started(time_s):
            return ()
        cell = math.floor(time_s / CELL)
        while self._first + len(self._sums) <= cell:
            end_s = (self._first + len(self._sums)) * CELL
            self._sums.append(self._add(self._sums[-1], end_s - CELL, end_s))
        total = self._add(self._sums[cell - self._first], cell * CELL, time_s)
        return tuple((number, math.exp(-dose)) for number, dose in total.items())

    def _started(self, time_s: float) -> bool:
        """Start to count in the cell in which the fault was first on."""
        if not self._sums:
            bends = self._switch.breakpoints(-math.inf, time_s)
            if not bends:
                return False
            self._first = math.floor(bends[0] / CELL)
            self._sums.append({})
        return time_s >= self._first * CELL

    def _add(self, before: Dose, start_s: float, end_s: float) -> Dose:
        fresh = self._dose(start_s, end_s)
        if not fresh:
            return before
        return {
            number: before.get(number, 0.0) + fresh.get(number, 0.0)
            for number in sorted({*before, *fresh})
        }
