"""Whether something that is measured again and again has held still."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

__all__ = ["Deviation", "StabilityWindow"]

CELL = 0.5
"""Least time between two readings that are judged, s."""

READINGS = 50
"""Most readings that are judged at once; they lie further apart in a long window."""


class Deviation(NamedTuple):
    """How far readings were from where they should be; NaN if one was no reading."""

    peak: float
    rms: float


class StabilityWindow:
    """The readings of the latest seconds, taken on a fixed grid of time.

    What it says does not depend on how often it is asked.

    Parameters
    ----------
    read
        Gives the reading at a time of the past, in simulated seconds.
    """

    def __init__(self, read: Callable[[float], float]) -> None:
        self._read = read
        self._cell_s = CELL
        self._readings: dict[int, float] = {}

    def judge(self, time_s: float, *, target: float, duration_s: float) -> Deviation:
        """Compare the readings of a window, and the present one, with a target.

        Parameters
        ----------
        time_s
            End of the window, in simulated seconds; not before the one asked before.
        target
            Where the readings should be.
        duration_s
            Length of the window; nought for the present reading only.
        """
        cell_s = max(CELL, duration_s / READINGS)
        if cell_s != self._cell_s:
            self._cell_s = cell_s
            self._readings.clear()
        first = max(math.ceil((time_s - duration_s) / cell_s), 0)
        last = math.floor(time_s / cell_s)
        self._readings = {
            cell: self._readings[cell]
            if cell in self._readings
            else self._read(cell * cell_s)
            for cell in range(first, last + 1)
        }
        readings = np.array([*self._readings.values(), self._read(time_s)])
        distances = readings - target
        return Deviation(
            peak=float(np.abs(distances).max()),
            rms=float(np.sqrt(np.mean(distances**2))),
        )
