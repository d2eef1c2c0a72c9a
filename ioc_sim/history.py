"""What one axis did: a piecewise linear function of simulated time."""

import math
from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

__all__ = ["History", "Piece"]

CAPACITY = 32768
"""Most segments kept; half of them span the longest exposure, 3600 s, at the cryostat's
step of 0.25 s."""


class Piece(NamedTuple):
    """A time in which a quantity holds or moves evenly."""

    start_s: float
    end_s: float
    first: float
    """Value at the start."""
    last: float
    """Value just before the end."""


class _Segment(NamedTuple):
    start: float
    end: float
    first: float
    last: float

    def at(self, time_s: float) -> float:
        if time_s >= self.end:
            return self.last
        if time_s <= self.start:
            return self.first
        share = (time_s - self.start) / (self.end - self.start)
        return self.first + (self.last - self.first) * share


class History:
    """The value of one quantity at every time asked, now and in the past.

    Between two commands the value holds, or moves linearly to where it was sent.
    Commands come in the order of time; a command ends the move before it.

    Parameters
    ----------
    initial
        Value before the first command, in the unit of the quantity.
    capacity
        Segments to remember; the oldest half is dropped when they are used up.
    """

    def __init__(self, initial: float, *, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._segments = [
            _Segment(float("-inf"), float("-inf"), float(initial), float(initial))
        ]
        self._starts = [float("-inf")]
        self.before_forgetting: Callable[[], None] | None = None
        """Called before the oldest is dropped: for who still has to integrate it."""

    def record(self, time_s: float, value: float) -> None:
        """Step to a value.

        Parameters
        ----------
        time_s
            When, in simulated seconds; not before the latest command.
        value
            The new value.
        """
        self._append(_Segment(time_s, time_s, float(value), float(value)))

    def hold(self, value: float) -> None:
        """Forget all commands: it has been at a value for ever.

        Parameters
        ----------
        value
            The value.
        """
        self.forget_after(-math.inf)
        self.record(-math.inf, value)

    def ramp(self, start_s: float, end_s: float, target: float) -> None:
        """Move linearly from where it is to a target.

        Parameters
        ----------
        start_s, end_s
            When the move starts and ends, in simulated seconds.
        target
            Where the move ends, in the unit of the quantity.

        Raises
        ------
        ValueError
            If the move ends before it starts, or starts before the latest command.
        """
        if end_s < start_s:
            msg = f"a ramp from {start_s} s cannot end at {end_s} s"
            raise ValueError(msg)
        self._append(_Segment(start_s, end_s, self.at(start_s), float(target)))

    def move(self, time_s: float, target: float, speed: float) -> float:
        """Move to a target at a constant speed.

        Parameters
        ----------
        time_s
            When the move starts, in simulated seconds.
        target
            Where it ends, in the unit of the quantity.
        speed
            Units a second, above zero.

        Returns
        -------
        :
            When the move ends, in simulated seconds.

        Examples
        --------
        >>> axis = History(526.0)
        >>> axis.move(1.0, 521.0, 10.0)
        1.5
        >>> axis.at(1.25)
        523.5
        """
        end_s = time_s + abs(target - self.at(time_s)) / speed
        self.ramp(time_s, end_s, target)
        return end_s

    def stop(self, time_s: float) -> float:
        """Stop where it is, and give that value.

        Parameters
        ----------
        time_s
            When, in simulated seconds.

        Returns
        -------
        :
            The value at which it rests from then on.
        """
        value = self.at(time_s)
        self.record(time_s, value)
        return value

    @property
    def last_s(self) -> float:
        """When the latest command ends, in simulated seconds."""
        return self._segments[-1].end

    def forget_after(self, time_s: float) -> None:
        """Take back the commands that would begin after a time.

        Parameters
        ----------
        time_s
            Simulated seconds.
        """
        while self._starts[-1] > time_s:
            del self._segments[-1], self._starts[-1]

    def at(self, time_s: float) -> float:
        """Give the value at one time; the oldest known value before the first command.

        Parameters
        ----------
        time_s
            Simulated seconds.
        """
        latest = self._segments[-1]
        if time_s >= latest.end:  # the common case
            return latest.last
        return self._segments[self._index(time_s)].at(time_s)

    def moving(self, time_s: float) -> bool:
        """Tell whether a ramp is under way at one time.

        Parameters
        ----------
        time_s
            Simulated seconds.
        """
        segment = self._segments[self._index(time_s)]
        return segment.start <= time_s < segment.end

    def rests(self, since_s: float) -> bool:
        """Tell whether nothing was asked or moved since a time.

        Parameters
        ----------
        since_s
            Simulated seconds.
        """
        return self._segments[-1].end < since_s

    def breakpoints(self, start_s: float, end_s: float) -> list[float]:
        """Give the times inside an interval where the value steps or bends.

        Parameters
        ----------
        start_s, end_s
            The interval, in simulated seconds.

        Returns
        -------
        :
            The times, sorted, each once.
        """
        return [piece.start_s for piece in self.pieces(start_s, end_s)[1:]]

    def pieces(self, start_s: float, end_s: float) -> list[Piece]:
        """Cut an interval where the value steps or bends.

        Parameters
        ----------
        start_s, end_s
            The interval, in simulated seconds.

        Returns
        -------
        :
            The pieces in the order of time; none if the interval is empty.
        """
        if end_s <= start_s:
            return []
        if self.rests(start_s):
            value = self._segments[-1].last
            return [Piece(start_s, end_s, value, value)]
        first, last = self._index(start_s), self._index(end_s)
        pieces: list[Piece] = []
        for number in range(first, last + 1):
            segment = self._segments[number]
            begin = start_s if number == first else segment.start
            end = end_s if number == last else self._starts[number + 1]
            cuts = [begin, end]
            cuts += [t for t in (segment.start, segment.end) if begin < t < end]
            cuts.sort()
            pieces += [
                Piece(a, b, segment.at(a), segment.at(b))
                for a, b in pairwise(cuts)
                if b > a
            ]
        return pieces

    def span(self, start_s: float, end_s: float) -> float:
        """Give the greatest minus the least value in an interval.

        A step at the end of the interval is not part of it; one at its start is.

        Parameters
        ----------
        start_s, end_s
            The interval, in simulated seconds.
        """
        if self.rests(start_s):
            return 0.0
        pieces = self.pieces(start_s, end_s)
        values = [value for piece in pieces for value in (piece.first, piece.last)]
        return max(values) - min(values) if values else 0.0

    def integral(self, start_s: float, end_s: float) -> float:
        """Give the integral over an interval, in the quantity's unit times seconds.

        Parameters
        ----------
        start_s, end_s
            The interval, in simulated seconds.
        """
        return sum(
            (piece.first + piece.last) / 2 * (piece.end_s - piece.start_s)
            for piece in self.pieces(start_s, end_s)
        )

    def _index(self, time_s: float) -> int:
        if time_s >= self._starts[-1]:  # the common case
            return len(self._starts) - 1
        return max(bisect_right(self._starts, time_s) - 1, 0)

    def _append(self, segment: _Segment) -> None:
        latest = self._starts[-1]
        if segment.start < latest:
            msg = (
                f"a command at {segment.start} s came after one at {latest} s: "
                "give commands in the order of time"
            )
            raise ValueError(msg)
        if len(self._segments) >= self._capacity:
            if self.before_forgetting is not None:
                self.before_forgetting()
            del self._segments[: self._capacity // 2]
            del self._starts[: self._capacity // 2]
        self._segments.append(segment)
        self._starts.append(segment.start)
