"""The laser's head: how it warms up while it emits, and how long it has done so."""

import math
from collections.abc import Mapping
from typing import Any

from ioc_sim.history import History
from ioc_sim.sample import Laser

__all__ = ["LaserHead"]

SECONDS_PER_HOUR = 3600.0


class LaserHead:
    """Warmth, output, temperature and hours of the laser, from its commands alone.

    The amplifier is ready when it is warm: its output starts low by `Laser.cold_loss`
    and rises to one within `Laser.warm_up`; dark, it cools at the same rate. The base
    plate follows the light that is emitted, with a time constant of its own.

    Parameters
    ----------
    laser
        Parameters of the laser.
    output
        Relative output of the bench's laser, which this writes.
    time_s
        Simulated time of the start: the head is cold and dark.
    """

    def __init__(self, laser: Laser, output: History, time_s: float) -> None:
        self._laser = laser
        self._output = output
        self._drive = 0.0
        self._since = time_s
        self._base_c = laser.ambient
        self._emitting_since: float | None = None
        self._emitted_s = 0.0
        output.record(time_s, 1 - laser.cold_loss)

    @property
    def _rate(self) -> float:
        """Change of the relative output while it warms up, 1/s."""
        return self._laser.cold_loss / self._laser.warm_up

    def emit(self, time_s: float, *, on: bool, level: float) -> float:
        """Take over what the laser is told to emit.

        Parameters
        ----------
        time_s
            When, in simulated seconds.
        on
            Whether it emits.
        level
            Its level, in %.

        Returns
        -------
        :
            When the output has its value, in simulated seconds.
        """
        self._base_c = self.base_temperature(time_s)
        self._emitted_s = self.emitted_s(time_s)
        self._emitting_since = time_s if on else None
        self._since = time_s
        self._drive = level / 100 if on else 0.0
        target = 1.0 if on else 1 - self._laser.cold_loss
        if self._rate == 0:
            return time_s
        return self._output.move(time_s, target, self._rate)

    def keep(self, time_s: float) -> Mapping[str, Any]:
        """Give the state of a head that is dark, ready for JSON.

        Parameters
        ----------
        time_s
            Simulated seconds, not before the latest command.
        """
        return {
            "time_s": time_s,
            "output": self._output.at(time_s),
            "base_c": self.base_temperature(time_s),
            "emitted_s": self.emitted_s(time_s),
        }

    def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on from a state, dark since then.

        Parameters
        ----------
        kept
            What `keep` gave.
        """
        self._output.hold(kept["output"])
        self._since, self._base_c = kept["time_s"], kept["base_c"]
        self.emit(self._since, on=False, level=0.0)
        self._emitted_s = kept["emitted_s"]

    def warm(self, time_s: float) -> float:
        """Give how warm the amplifier is, from nought to one.

        Parameters
        ----------
        time_s
            Simulated seconds.
        """
        loss = self._laser.cold_loss
        missing = (1 - self._output.at(time_s)) / loss if loss else 0.0
        return min(max(1 - missing, 0.0), 1.0)

    def base_temperature(self, time_s: float) -> float:
        """Give the temperature of the base plate, in degC.

        Parameters
        ----------
        time_s
            Simulated seconds, not before the latest command.
        """
        laser = self._laser
        end = laser.ambient + laser.base_rise * self._drive
        left = math.exp(-(time_s - self._since) / laser.base_time)
        return end + (self._base_c - end) * left

    def emitted_s(self, time_s: float) -> float:
        """Give the time of emission since the start, in simulated seconds.

        Parameters
        ----------
        time_s
            Simulated seconds, not before the latest command.
        """
        now = 0.0 if self._emitting_since is None else time_s - self._emitting_since
        return self._emitted_s + now

    def hours(self, time_s: float) -> float:
        """Give the hours on the laser's counter.

        Parameters
        ----------
        time_s
            Simulated seconds, not before the latest command.
        """
        return self._laser.hours + self.emitted_s(time_s) / SECONDS_PER_HOUR
