"""What falls on the chip of the camera during one exposure."""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ioc_sim.detection import PIXELS
from ioc_sim.timeline import LONGEST_PART
from ioc_sim.turns import Work, do_at_once, do_in_turns

__all__ = ["Exposure", "Illumination"]

FloatArray = npt.NDArray[np.float64]


class Illumination(NamedTuple):
    """What falls on the chip in one part of an exposure."""

    duration_s: float
    light: FloatArray
    """Through the fibre on each column, in e-/s; shape ``(1024,)``."""
    diffuse: float
    """On each column evenly over its rows: dark current, room light, in e-/s."""


class Exposure:
    """The expected charge of one exposure, integrated while it lasts.

    It has cells of equal length, at most `LONGEST_PART`. Each of them is integrated
    when the one after it is over too: other processes of the bench tell late where
    their axes are. So the charge depends on what the bench did, not on who asked.

    Parameters
    ----------
    start_s, exposure_s
        Start and length, in simulated seconds.
    illuminate
        Gives what falls on the chip between two times, part by part.
    """

    def __init__(
        self,
        start_s: float,
        exposure_s: float,
        illuminate: Callable[[float, float], Iterable[Illumination]],
    ) -> None:
        self.exposure_s = exposure_s
        """Its length, in simulated seconds."""
        self.light: FloatArray = np.zeros(PIXELS)
        """Charge through the fibre so far, in e- per column; shape ``(1024,)``."""
        self.diffuse = 0.0
        """Charge that fell evenly on all rows so far, in e- per column."""
        self._illuminate = illuminate
        cells = math.ceil(exposure_s / LONGEST_PART)
        end_s = start_s + exposure_s
        self._edges = [start_s, end_s]
        if cells > 1:
            self._edges = np.linspace(start_s, end_s, cells + 1).tolist()
        self._integrated = 0

    @property
    def done(self) -> bool:
        """Whether all of it is integrated."""
        return self._integrated == len(self._edges) - 1

    @property
    def next_s(self) -> float:
        """When there is something to integrate, in simulated seconds."""
        return self._edges[min(self._integrated + 2, len(self._edges) - 1)]

    @property
    def charge(self) -> FloatArray:
        """Expected electrons of each column so far; shape ``(1024,)``."""
        return self.light + self.diffuse

    def integrate(self, time_s: float) -> Work[None]:
        """Integrate all cells that are due; a work to do at once or in turns.

        Parameters
        ----------
        time_s
            Now, in simulated seconds.
        """
        while not self.done and self.next_s <= time_s:
            start_s, end_s = self._edges[self._integrated : self._integrated + 2]
            for part in self._illuminate(start_s, end_s):
                self.light += part.light * part.duration_s
                self.diffuse += part.diffuse * part.duration_s
                yield
            self._integrated += 1

    async def advance(self, time_s: float) -> None:
        """Integrate all cells that are due, while others are answered.

        Parameters
        ----------
        time_s
            Now, in simulated seconds.
        """
        await do_in_turns(self.integrate(time_s))

    def finish(self) -> None:
        """Integrate the rest at once, of an exposure that is over."""
        do_at_once(self.integrate(math.inf))
