"""Crystals fade under the pump: light spent on them, in fixed steps of time.

Nothing fades before the fault ``photodegradation`` was first on.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ioc_sim.beam import Beam
from ioc_sim.bench_states import BenchStates
from ioc_sim.history import History
from ioc_sim.light_path import LightPath
from ioc_sim.turns import Work, do_at_once

__all__ = ["CELL", "Fading"]

CELL = 10.0
"""Simulated seconds whose dose is counted once and for all when they are over."""

COARSE = 16
"""Parts of a cell for the motions in it: its whole dose is small."""

PERCENT = 100.0
SECONDS_PER_HOUR = 3600.0

Dose = dict[int, float]
"""Dose of each crystal by its number; the light that is left is ``exp(-dose)``."""


class Fading:
    """What is left of the light of each crystal.

    Parameters
    ----------
    switch
        How fast crystals fade, in %/h at the pump of `LightPath.spent`, through time.
    states
        What the light path was.
    beam
        The pump.
    path
        The light path, with the crystals.
    """

    def __init__(
        self, switch: History, states: BenchStates, *, beam: Beam, path: LightPath
    ) -> None:
        self._switch = switch
        self._states = states
        self._beam = beam
        self._path = path
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
        total = self._total(time_s)
        return tuple((number, math.exp(-total[number])) for number in sorted(total))

    def keep(self, time_s: float) -> Mapping[str, Any]:
        """Give the doses until a time, ready for JSON; nothing if nothing could fade.

        Parameters
        ----------
        time_s
            Simulated seconds; all commands before it have been given.
        """
        if not self._started(time_s):
            return {}
        return {"time_s": time_s, "doses": list(self._total(time_s).items())}

    def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on from doses, in the dark until now.

        Parameters
        ----------
        kept
            What `keep` gave.
        """
        if kept:
            self._first = math.floor(kept["time_s"] / CELL)
            self._sums = [dict(kept["doses"])]

    def _total(self, time_s: float) -> Dose:
        """Give the doses until a time after the start."""
        do_at_once(self.count(time_s))
        cell = math.floor(time_s / CELL)
        total = dict(self._sums[cell - self._first])
        for _ in self._add(total, cell * CELL, time_s):
            pass
        return total

    def count(self, time_s: float) -> Work[None]:
        """Count the dose of all cells that are over; a work to do at once or in turns.

        Parameters
        ----------
        time_s
            Simulated seconds; all commands before it have been given.
        """
        if not self._started(time_s):
            return
        cell = math.floor(time_s / CELL)
        while self._first + len(self._sums) <= cell:
            known = len(self._sums)
            end_s = (self._first + known) * CELL
            before = self._sums[-1]
            total = dict(before)
            for _ in self._add(total, end_s - CELL, end_s):
                yield
            if len(self._sums) == known:  # else somebody could not wait for it
                self._sums.append(before if total == before else total)

    def _started(self, time_s: float) -> bool:
        """Start to count in the cell in which the fault was first on."""
        if not self._sums:
            bends = self._switch.breakpoints(-math.inf, time_s)
            if not bends:
                return False
            self._first = math.floor(bends[0] / CELL)
            self._sums.append({})
        return time_s >= self._first * CELL

    def _add(self, total: Dose, start_s: float, end_s: float) -> Iterator[None]:
        """Add the dose in an interval, part by part."""
        fading = self._switch.at(start_s) or self._switch.span(start_s, end_s)
        if not fading or self._beam.blocked(start_s, end_s):
            return
        steps = {self._switch: 1.0}
        for a, b in self._states.parts(start_s, end_s, steps, most=COARSE):
            rate = self._switch.at((a + b) / 2) / PERCENT / SECONDS_PER_HOUR
            for number, spent in self._path.spent(self._states.mean(a, b)):
                total[number] = total.get(number, 0.0) + rate * spent * (b - a)
            yield
