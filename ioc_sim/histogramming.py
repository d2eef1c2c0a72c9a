"""One run of the photon counter, in slices that nobody's looking changes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ioc_sim.photon_counter import PhotonCounter, Settings
from ioc_sim.random_streams import stream
from ioc_sim.turns import Work, do_at_once

__all__ = ["FULL_BIN", "Histogramming", "Plan"]

IntArray = npt.NDArray[np.int64]

FULL_BIN = 65535
"""Most counts of a bin; PicoQuant PHLib, GetHistogram."""

SLICE_S = 0.5
"""Shortest slice, s."""

GROWTH = 0.2
"""Length of a later slice in the time elapsed before it: a stop by counts shows after
at most this share more than it took."""

LONGEST_SLICE_S = 30.0
"""Longest slice, s: how old the histogram of a run is that goes on, at most."""

KEYS = 1 << 20
"""Slices of a run that have numbers of their own."""

SINGLE = 1
"""Events at which a slice is not halved any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """When a run ends, and how it counts."""

    settings: Settings
    time_s: float
    """Longest time, in simulated seconds."""
    stop_count: int = 0
    """Counts of a bin at which it stops; nought for never."""
    stop_total: int = 0
    """Counts of all bins at which it stops; nought for never."""


class Histogramming:
    """What has been counted since the start.

    Parameters
    ----------
    counter
        The photon counter.
    plan
        When to end, and how to count.
    number
        Number of the run; the same number draws the same noise.
    start_s
        Its start, in simulated seconds.
    """

    def __init__(
        self, counter: PhotonCounter, plan: Plan, number: int, start_s: float
    ) -> None:
        self.plan = plan
        self.start_s = start_s
        """Start, in simulated seconds."""
        self.counts: IntArray = np.zeros(counter.bins, dtype=np.int64)
        """Histogram so far; shape ``(65536,)``."""
        self.syncs = 0.0
        """Triggers so far."""
        self.elapsed_s = 0.0
        """Time counted so far, in simulated seconds."""
        self.overflow = False
        """Whether a bin is full, or at the count where it was to stop."""
        self.done = False
        """Whether it has ended."""
        self._counter = counter
        self._number = number
        self._slice = 0

    @property
    def next_s(self) -> float:
        """When the slice that is being counted ends, in simulated seconds."""
        step = min(max(SLICE_S, GROWTH * self.elapsed_s), LONGEST_SLICE_S)
        return self.start_s + min(self.elapsed_s + step, self.plan.time_s)

    @property
    def total(self) -> int:
        """Counts of all bins."""
        return int(self.counts.sum())

    def advance(self, time_s: float) -> None:
        """Count all slices that have ended, at once.

        Parameters
        ----------
        time_s
            Now, in simulated seconds.
        """
        do_at_once(self.count(time_s))

    def count(self, time_s: float) -> Work[None]:
        """Count all slices that have ended; a work to do at once or in turns.

        Parameters
        ----------
        time_s
            Now, in simulated seconds.
        """
        while not self.done and self.next_s <= time_s:
            yield from self._count_until(self.next_s)

    def stop(self, time_s: float) -> Work[None]:
        """End it now; a work to do at once or in turns.

        Parameters
        ----------
        time_s
            Now, in simulated seconds.
        """
        yield from self.count(time_s)
        if not self.done and time_s > self.start_s + self.elapsed_s:
            yield from self._count_until(time_s)
        self.done = True

    def _count_until(self, end_s: float) -> Work[None]:
        begin_s = self.start_s + self.elapsed_s
        key = self._number * KEYS + self._slice
        piece = yield from self._counter.count(begin_s, end_s, self.plan.settings, key)
        self._slice += 1
        reached = self.counts[: piece.counts.size]
        share = 1.0
        if self._full(reached + piece.counts):
            share = self._fill(reached, piece.counts, key)
            self.done = True
        else:
            reached += piece.counts
        self.syncs += share * piece.syncs
        self.elapsed_s += share * (end_s - begin_s)
        self.done = self.done or end_s >= self.start_s + self.plan.time_s
        limit = self.plan.stop_count or FULL_BIN
        self.overflow = self.overflow or int(self.counts.max()) >= limit
        np.minimum(self.counts, FULL_BIN, out=self.counts)

    def _full(self, counts: IntArray) -> bool:
        plan = self.plan
        if plan.stop_count and counts.size and counts.max() >= plan.stop_count:
            return True
        return bool(plan.stop_total) and int(counts.sum()) >= plan.stop_total

    def _fill(self, reached: IntArray, piece: IntArray, key: int) -> float:
        """Count up to the event that fills it; give the share of the slice so far.

        The events of a slice are spread evenly over it, so each falls into its first
        half with probability one half; the half with the last event is halved again
        until it is alone.
        """
        noise = stream(self._counter.seed, "tcspc stop", key)
        begin, width = 0.0, 1.0
        while piece.sum() > SINGLE:
            width /= 2
            half = noise.binomial(piece, 0.5)
            if self._full(reached + half):
                piece = half
            else:
                reached += half
                piece = piece - half
                begin += width
        reached += piece
        return begin + width * float(noise.random())
