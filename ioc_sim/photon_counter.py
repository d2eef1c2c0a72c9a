"""The photon counter over the bench: rates, high voltage, and one slice of counting."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ioc_sim.counting import (
    Arrivals,
    Binning,
    detected,
    expected_counts,
    mean_arrivals,
)
from ioc_sim.history import History
from ioc_sim.instrument_response import PS_PER_NS
from ioc_sim.pmt import noise_rate, sensitivity
from ioc_sim.random_streams import stream
from ioc_sim.turns import Work, do_at_once
from ioc_sim.world import World

__all__ = ["GATE_S", "PhotonCounter", "Settings", "Slice"]

IntArray = npt.NDArray[np.int64]

GATE_S = 0.1
"""Gate of the rate meters and of the over-range trip, s; PicoQuant PHLib."""

NEAR = 0.9
"""Share of the trip rate below which no noise of the light reaches it: its drift and
jitter are a few per cent."""

GATES_AT_ONCE = 2
"""Gates that the protection looks at together, while something moves."""

HZ_PER_MHZ = 1e6
PS_PER_S = 1e12
NS_PER_S = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator chose for the electronics."""

    binning: int = 0
    """Bins are 2 to this power times as wide as the narrowest."""
    offset_ps: int = 0
    """Taken off each start-stop time, in ps."""
    divider: int = 8
    """Every which pulse of the trigger is timed."""
    sync_level_mv: int = 300
    input_level_mv: int = 100
    sync_zero_mv: int = 10
    input_zero_mv: int = 5


@dataclass(frozen=True, slots=True)
class Slice:
    """What was counted in a short time."""

    counts: IntArray
    """Counts of the bins that are reached; shape ``(n,)``."""
    syncs: float
    """Triggers that the electronics took note of, by the divider."""


class PhotonCounter:
    """Photomultiplier, discriminators and start-stop electronics, without PVs.

    Parameters
    ----------
    world
        The bench before it.
    """

    def __init__(self, world: World) -> None:
        self.bins = world.sample.tcspc.bins
        """Bins of the histogram."""
        self.seed = world.seed
        """Seed of all noise."""
        self.high_voltage = History(world.sample.tcspc.pmt_voltage)
        """Voltage of the photomultiplier, V; `advance` to now before a command."""
        self.tripped = False
        """Whether the high voltage went off because of too much light."""
        self._world = world
        self._tcspc = world.sample.tcspc
        self._checked_gates = 0

    def advance(self, time_s: float) -> None:
        """Let the protection look at all gates that have ended.

        Parameters
        ----------
        time_s
            Now, in simulated seconds.
        """
        do_at_once(self.protect(time_s))

    def protect(self, time_s: float) -> Work[None]:
        """Let the protection look at all gates that have ended.

        It stays right if it is left for a while and asked again meanwhile.

        Parameters
        ----------
        time_s
            Now, in simulated seconds.

        Returns
        -------
        :
            A work to do at once or in turns.
        """
        gates = math.floor(time_s / GATE_S)
        first = self._checked_gates
        if gates <= first:
            return
        risky = NEAR * self._tcspc.trip_rate * HZ_PER_MHZ
        still = self._world.at_rest(first * GATE_S, gates * GATE_S)
        if still and self._mean_cathode_rate(gates - 1) <= risky:
            self._checked_gates = gates
            return
        while self._checked_gates < gates:
            first = self._checked_gates
            last = min(first - first % GATES_AT_ONCE + GATES_AT_ONCE, gates)
            lights = self._cathode(first * GATE_S, last * GATE_S)
            if any(light.total > risky for _, _, light in lights):
                self._trip_within(range(first, last))
            self._checked_gates = last
            yield

    def _trip_within(self, gates: range) -> None:
        """Look at each gate for itself; trip at the end of one that is over range."""
        for gate in gates:
            if self._mean_cathode_rate(gate) > self._tcspc.trip_rate * HZ_PER_MHZ:
                self.high_voltage.record((gate + 1) * GATE_S, 0.0)
                self.tripped = True
                return

    def _mean_cathode_rate(self, gate: int) -> float:
        start_s, end_s = gate * GATE_S, (gate + 1) * GATE_S
        parts = self._cathode(start_s, end_s)
        return sum(light.total * (b - a) for a, b, light in parts) / GATE_S

    def _cathode(
        self, start_s: float, end_s: float
    ) -> Iterator[tuple[float, float, Arrivals]]:
        """Give the photoelectrons of each part of a time, none while it is dark."""
        steps = {self.high_voltage: math.inf}
        for a, b, light in self._world.arrivals(start_s, end_s, steps):
            lit = self.high_voltage.at((a + b) / 2) > 0
            yield a, b, light if lit else Arrivals()

    def _inputs(
        self, start_s: float, end_s: float, settings: Settings
    ) -> Iterator[tuple[float, float, Arrivals]]:
        """Give the pulses behind the discriminator in each part of a time."""
        tcspc = self._tcspc
        noise = noise_rate(settings.input_level_mv, tcspc)
        steps = {
            self.high_voltage: tcspc.pmt_voltage / 100,
            self._world.faults.history("lost_sync"): 0.5,
        }
        for a, b, light in self._world.arrivals(start_s, end_s, steps):
            volts = self.high_voltage.at((a + b) / 2)
            kept = sensitivity(settings.input_level_mv, volts, tcspc)
            steady = kept * tcspc.dark_rate
            steady += kept * tcspc.afterpulse_share * light.total
            yield a, b, light.scaled(kept, steady + noise)

    def input_rate(self, gate: int, settings: Settings) -> float:
        """Read the rate meter of the input, in 1/s.

        Parameters
        ----------
        gate
            Number of the gate, from the start of the bench; it has ended.
        settings
            Settings of the electronics.
        """
        parts = self._inputs(gate * GATE_S, (gate + 1) * GATE_S, settings)
        expected = sum(light.total * (b - a) for a, b, light in parts)
        return stream(self._world.seed, "tcspc rate", gate).poisson(expected) / GATE_S

    def sync_rate(self, gate: int, settings: Settings) -> float:
        """Read the rate meter of the trigger, undivided, in 1/s.

        Parameters
        ----------
        gate
            Number of the gate, from the start of the bench; it has ended.
        settings
            Settings of the electronics.
        """
        start_s, end_s = gate * GATE_S, (gate + 1) * GATE_S
        timed = self._laser_rate / (settings.divider * self.timed_every(settings))
        pulses = math.floor(end_s * timed) - math.floor(start_s * timed)
        live = self._triggered_s(start_s, end_s, settings) / GATE_S
        return round(pulses * live) * settings.divider / GATE_S

    def timed_every(self, settings: Settings) -> int:
        """Tell every which of the divided triggers is timed; the others are lost.

        Those are lost that come within the dead time of the one before.

        Parameters
        ----------
        settings
            Settings of the electronics.
        """
        divided_ns = settings.divider * self.period_ps / PS_PER_NS
        return max(math.ceil(self._tcspc.dead_time / divided_ns), 1)

    @property
    def period_ps(self) -> float:
        """Period of the laser, in ps."""
        return PS_PER_S / self._laser_rate

    @property
    def _laser_rate(self) -> float:
        return self._world.sample.source.rate * HZ_PER_MHZ

    def width_ps(self, settings: Settings) -> float:
        """Give the width of a bin, in ps.

        Parameters
        ----------
        settings
            Settings of the electronics.
        """
        return self._tcspc.bin_width * 2**settings.binning

    def count(
        self, start_s: float, end_s: float, settings: Settings, key: int
    ) -> Work[Slice]:
        """Count for a short time.

        Parameters
        ----------
        start_s, end_s
            The time, in simulated seconds; it has passed.
        settings
            Settings of the electronics.
        key
            Number of the slice; the same number draws the same noise.

        Returns
        -------
        :
            A work to do at once or in turns.
        """
        yield from self.protect(end_s)
        every = self.timed_every(settings)
        binning = Binning(
            bins=self._tcspc.bins,
            width_ps=self.width_ps(settings),
            offset_ps=settings.offset_ps,
            periods=every,
        )
        walk = self._tcspc.walk * (settings.input_zero_mv - settings.sync_zero_mv)
        expected = np.zeros(0)
        timed = yield from self._timed(start_s, end_s, settings)
        for duration_s, light in timed:
            rate = detected(light, self.period_ps, self._tcspc, walk_ps=walk)
            part = expected_counts(rate, self.period_ps, binning) * duration_s
            expected = expected + part if expected.size else part
            yield
        timed_s = self._triggered_s(start_s, end_s, settings)
        noise = stream(self._world.seed, "tcspc", key)
        return Slice(noise.poisson(expected), timed_s * self._laser_rate / every)

    def _timed(
        self, start_s: float, end_s: float, settings: Settings
    ) -> Work[list[tuple[float, Arrivals]]]:
        """Give durations and mean pulses of the times with a trigger and like light."""
        dead_s = self._tcspc.dead_time / NS_PER_S
        alike: list[list[tuple[float, Arrivals]]] = []
        for a, b, light in self._inputs(start_s, end_s, settings):
            yield
            if not self._triggers((a + b) / 2, settings):
                continue
            for parts in alike:
                if light.resembles(parts[0][1], dead_s):
                    parts.append((b - a, light))
                    break
            else:
                alike.append([(b - a, light)])
        return [
            (sum(duration_s for duration_s, _ in parts), mean_arrivals(parts))
            for parts in alike
        ]

    def _triggered_s(self, start_s: float, end_s: float, settings: Settings) -> float:
        """Give how long the laser's trigger was seen in an interval."""
        lost = self._world.faults.history("lost_sync")
        cuts = {start_s, end_s}
        for axis in (self._world.emission, lost):
            cuts.update(axis.breakpoints(start_s, end_s))
        return sum(
            b - a
            for a, b in pairwise(sorted(cuts))
            if self._triggers((a + b) / 2, settings)
        )

    def _triggers(self, time_s: float, settings: Settings) -> bool:
        """Tell whether the laser's trigger is seen."""
        world = self._world
        return (
            world.emission.at(time_s) > 0
            and world.faults.at("lost_sync", time_s) == 0
            and settings.sync_level_mv < self._tcspc.sync_height
        )
