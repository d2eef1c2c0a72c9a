"""Simulated time: seconds since the start of the bench, scaled by a factor."""

import time
from collections.abc import Callable

__all__ = ["Clock", "ManualClock"]


class Clock:
    """Simulated seconds that pass ``factor`` times faster than real ones.

    Parameters
    ----------
    factor
        Simulated seconds per real second, above zero.
    source
        Monotonic real time, in seconds.

    Raises
    ------
    ValueError
        If the factor is not a positive finite number.
    """

    def __init__(
        self, factor: float = 1.0, *, source: Callable[[], float] = time.monotonic
    ) -> None:
        if not 0 < factor < float("inf"):
            msg = f"time factor is {factor}; give a positive finite number, 1 for real"
            raise ValueError(msg)
        self._factor = float(factor)
        self._source = source
        self._origin = source()

    @property
    def factor(self) -> float:
        """Simulated seconds per real second."""
        return self._factor

    def now(self) -> float:
        """Give the simulated seconds since the clock was made; never goes back."""
        return (self._source() - self._origin) * self._factor

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
