"""Simulated time: seconds since the start of the bench, scaled by a factor."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["Clock", "ManualClock"]

LATEST_START = 30 * 86400.0
"""Simulated seconds that may have passed before the start: drifts are worked out from
time zero on, which takes a quarter of a second for that many."""


class Clock:
    """Simulated seconds that pass ``factor`` times faster than real ones.

    Parameters
    ----------
    factor
        Simulated seconds per real second, above zero.
    source
        Monotonic real time, in seconds.
    epoch
        Instant at which the simulated time is zero; now if not given. Clocks of one
        epoch and one factor agree.

    Raises
    ------
    ValueError
        If the factor is not a positive finite number, or the epoch is ahead or too
        long ago.
    """

    def __init__(
        self,
        factor: float = 1.0,
        *,
        source: Callable[[], float] = time.monotonic,
        epoch: datetime | None = None,
    ) -> None:
        if not 0 < factor < float("inf"):
            msg = f"time factor is {factor}; give a positive finite number, 1 for real"
            raise ValueError(msg)
        self._factor = float(factor)
        self._source = source
        self._origin = source()
        self.epoch = datetime.now(UTC) if epoch is None else epoch
        """Instant at which the simulated time is zero."""
        if epoch is not None:
            self._origin -= _seconds_since(epoch, self._factor)

    @property
    def factor(self) -> float:
        """Simulated seconds per real second."""
        return self._factor

    def now(self) -> float:
        """Give the simulated seconds since the clock was made; never goes back."""
        return (self._source() - self._origin) * self._factor

    def before(self, seconds: float) -> float:
        """Give the simulated time that it was some real seconds ago.

        Parameters
        ----------
        seconds
            Real seconds.
        """
        return self.now() - seconds * self._factor

    def wall(self, simulated_s: float) -> float:
        """Give the real seconds that simulated ones take; zero for a negative number.

        Examples
        --------
        >>> Clock(10.0).wall(25.0)
        2.5
        """
        return max(simulated_s, 0.0) / self._factor


class ManualClock(Clock):
    """A clock that moves only when it is told to.

    Examples
    --------
    >>> clock = ManualClock()
    >>> clock.advance(1.5)
    >>> clock.now()
    1.5
    """

    def __init__(self) -> None:
        self._time = 0.0
        super().__init__(source=lambda: self._time)

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass; refuses to go back.

        Parameters
        ----------
        seconds
            Simulated seconds to add, zero or more.

        Raises
        ------
        ValueError
            If ``seconds`` is negative.
        """
        if seconds < 0:
            msg = f"cannot advance by {seconds} s: time does not go back"
            raise ValueError(msg)
        self._time += seconds


def _seconds_since(epoch: datetime, factor: float) -> float:
    """Real seconds since an instant that can be a time zero."""
    seconds = (datetime.now(UTC) - epoch).total_seconds()
    if not 0 <= seconds * factor <= LATEST_START:
        msg = (
            f"got the epoch {epoch.isoformat()}, {seconds:.0f} s ago; expected 0 to "
            f"{LATEST_START / factor:.0f} s, {LATEST_START:.0f} simulated ones"
        )
        raise ValueError(msg)
    return seconds
