"""Photon counting: start-stop electronics, their photomultiplier and its histogram."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from caproto import AlarmSeverity, AlarmStatus
from caproto.server import pvproperty

from ioc_sim.alarms import NO_ALARM, Alarm
from ioc_sim.base import TICK, Busy, Instrument, pass_time
from ioc_sim.channels import (
    NumberReadback,
    RefusedPutError,
    WholeNumberSetPoint,
)
from ioc_sim.declare import (
    choice,
    choice_rbv,
    integer,
    integer_rbv,
    number_rbv,
    text_rbv,
    waveform_rbv,
    whole_number,
)
from ioc_sim.high_voltage import HighVoltage
from ioc_sim.histogramming import FULL_BIN, Histogramming, Plan
from ioc_sim.photon_counter import GATE_S, PhotonCounter, Settings
from ioc_sim.turns import do_in_turns
from ioc_sim.vocabulary import COUNTER, NO_YES
from ioc_sim.world import World

__all__ = ["Tcspc"]

BINS = 65536
"""Bins of the histogram; PicoQuant PHLib, HISTCHAN."""

TIME_MS = (1, 360_000_000)
"""Range of the acquisition time, ms; PicoQuant PHLib, ACQTMIN and ACQTMAX. KIT's record
suggests 60000 as the greatest (HOPR) and takes more."""

OFFSET_PS = (0, 1_000_000_000)
"""Range of the offset, ps; PicoQuant PHLib, OFFSETMIN and OFFSETMAX."""

LEVEL_MV = (0, 800)
"""Range of a discriminator level, mV; PicoQuant PHLib, DISCRMIN and DISCRMAX."""

ZERO_MV = (0, 20)
"""Range of a zero-cross level, mV; PicoQuant PHLib, ZCMIN and ZCMAX."""

DIVIDERS = (1, 2, 4, 8)
"""Dividers of the trigger; PicoQuant PHLib, SetSyncDiv."""

BINNINGS = (0, 7)
"""Range of the binning code; PicoQuant PHLib, BINSTEPSMAX is 8."""

RATE = (0.0, 1e9)
SYNCS = (0.0, 1e15)

NEARLY_FULL = 59000
"""Counts of a bin above which its record warns; KIT epics-picoharp, MAX_BIN.HIGH."""

FLAG_OVERFLOW = 0x0040
"""PicoQuant PHLib, phdefin.h."""

PILE_UP = 0.05
"""Input rate over trigger rate of the pile-up warning; PicoQuant PHLib."""

SLOWEST_TRIGGER = 1e3
"""Rate below which a divided trigger does not work, 1/s; PicoQuant PHLib."""

FASTEST_INPUT = 1e7
"""Rate above which the dead time spoils the histogram, 1/s; PicoQuant PHLib."""

PERIOD = 0.1
"""Real seconds between two readings of the rate meters, at least."""

SHOW_PERIOD = 0.5
"""Real seconds between two histograms of an acquisition that runs, at least."""

PS_PER_S = 1e12
MS_PER_S = 1e3
KIT = "KIT epics-picoharp "
PHLIB = "none: PicoQuant PHLib "


class Warn(NamedTuple):
    """A warning of the electronics: its bit in PHLib's mask, and what it means."""

    bit: int
    text: str


NO_SYNC = Warn(0x0001, "no trigger")
SLOW_SYNC = Warn(0x0002, "trigger too slow for a divider")
NO_INPUT = Warn(0x0010, "no counts")
FAST_INPUT = Warn(0x0040, "count rate too high")
RATIO = Warn(0x0100, "pile-up: count rate over 5 % of the trigger rate")
SHORT_SPAN = Warn(0x0400, "the histogram is shorter than the trigger period")
OFFSET = Warn(0x0800, "the offset is not needed and may lose counts")


def _setting(
    name: str, value: int, limits: tuple[int, int], units: str, doc: str
) -> pvproperty[WholeNumberSetPoint, Any]:
    """Declare a setting, which is an ao in KIT's support and an int in PHLib."""
    return whole_number(name, value, limits, units, doc=doc, mirrors=KIT + name)


def _counts(
    name: str, most: float, units: str, doc: str
) -> pvproperty[NumberReadback, Any]:
    """Declare a count, which is an ai in KIT's support."""
    return number_rbv(
        name, 0, (0, most), units, precision=0, doc=doc, mirrors=KIT + name
    )


def _real(
    name: str, limits: tuple[float, float], units: str, doc: str, mirrors: str
) -> pvproperty[NumberReadback, Any]:
    return number_rbv(name, 0, limits, units, precision=3, doc=doc, mirrors=mirrors)


class Tcspc(Instrument):
    """A PicoHarp 300 and a photomultiplier at the spectrometer's side exit."""

    acquire = choice(
        "Acquire",
        ("Done", "Acquire"),
        "Done",
        doc="Count; completes when time or counts are reached, Done aborts",
        mirrors=PHLIB + "StartMeas, StopMeas (KIT's IOC counts all the time)",
    )
    time = _setting("TIME", 1000, TIME_MS, "ms", "Acquisition time, at most")
    stop_overflow = choice(
        "StopOverflow",
        NO_YES,
        "No",
        doc="Stop when a bin reaches StopCount; else full bins stay at 65535",
        mirrors=PHLIB + "SetStopOverflow",
    )
    stop_overflow_rbv = choice_rbv(
        "StopOverflow_RBV",
        NO_YES,
        "No",
        doc="Whether a full bin ends the acquisition now",
        mirrors=PHLIB + "SetStopOverflow",
    )
    stop_count = integer(
        "StopCount",
        FULL_BIN,
        (1, FULL_BIN),
        "counts",
        doc="Counts of a bin at which it stops, if StopOverflow is on",
        mirrors=PHLIB + "SetStopOverflow",
    )
    stop_total = integer(
        "StopTotal",
        0,
        COUNTER,
        "counts",
        doc="Counts of the whole histogram at which it stops; 0 for never",
        mirrors="none: the host stops the PicoHarp",
    )
    offset = _setting(
        "OFFSET", 0, OFFSET_PS, "ps", "Taken off each start-stop time; less is lost"
    )
    sync_zero = _setting(
        "CFDZEROX0", 10, ZERO_MV, "mV", "Zero-cross level of the trigger"
    )
    input_zero = _setting(
        "CFDZEROX1", 5, ZERO_MV, "mV", "Zero-cross level of the detector"
    )
    sync_level = _setting(
        "CFDLEVEL0", 300, LEVEL_MV, "mV", "Discriminator level of the trigger"
    )
    input_level = _setting(
        "CFDLEVEL1", 100, LEVEL_MV, "mV", "Discriminator level of the detector"
    )
    divider = _setting(
        "SYNCDIV",
        8,
        (DIVIDERS[0], DIVIDERS[-1]),
        "pulses",
        "Divider of the trigger, 1, 2, 4 or 8; at most 10 MHz may be left",
    )
    binning = _setting(
        "RANGE", 0, BINNINGS, "steps", "Bins are 4 ps times 2 to this power wide"
    )
    resolution = _real(
        "RESOLUTION", (0, 1000), "ps", "Width of a bin", KIT + "RESOLUTION"
    )
    sync_rate = _real(
        "COUNT_RATE_0", RATE, "Hz", "Trigger rate, undivided", KIT + "COUNT_RATE_0"
    )
    input_rate = _real(
        "COUNT_RATE_1", RATE, "Hz", "Count rate of the detector", KIT + "COUNT_RATE_1"
    )
    samples = waveform_rbv(
        "SAMPLES_FAST",
        np.zeros(BINS),
        (0, FULL_BIN),
        "counts",
        precision=0,
        doc="Histogram of the start-stop times, one laser period long: whole counts, "
        "not counts per pulse",
        mirrors=KIT + "SAMPLES_FAST, which there is divided by TURNS_FAST",
    )
    total = _counts(
        "TOTAL_COUNT_FAST", COUNTER[1], "count", "Counts of the whole histogram"
    )
    turns = _real(
        "TURNS_FAST",
        SYNCS,
        "pulses",
        "Laser pulses of the acquisition whose trigger was seen",
        KIT + "TURNS_FAST, which there is TIME times a rate that is given",
    )
    flux = number_rbv(
        "FLUX_FAST",
        0,
        (0, 1),
        "1/pulse",
        precision=6,
        doc="Counts per laser pulse",
        mirrors=KIT + "FLUX_FAST, there per turn",
    )
    max_bin = _counts("MAX_BIN", FULL_BIN, "counts", "Counts of the fullest bin")
    error = text_rbv(
        "ERROR", "OK", doc="What is wrong, in words, or OK", mirrors=KIT + "ERROR"
    )
    elapsed_rbv = _real(
        "Elapsed_RBV",
        (0, TIME_MS[1]),
        "ms",
        "Time of the acquisition so far",
        PHLIB + "GetElapsedMeasTime",
    )
    flags_rbv = integer_rbv(
        "Flags_RBV",
        0,
        (0, 0xFFFF),
        "bits",
        doc="64: a bin is full or has reached StopCount",
        mirrors=PHLIB + "GetFlags",
    )
    warnings_rbv = integer_rbv(
        "Warnings_RBV",
        0,
        (0, 0xFFFF),
        "bits",
        doc="1 no trigger, 2 trigger too slow, 16 no counts, 64 more than 10 MHz, 256 "
        "pile-up, 1024 histogram too short, 2048 offset not needed",
        mirrors=PHLIB + "GetWarnings",
    )
    pile_up_rbv = choice_rbv(
        "PileUp_RBV",
        NO_YES,
        "No",
        doc="The count rate is above 5 % of the trigger rate",
        mirrors=PHLIB + "WARNING_INP_RATE_RATIO",
    )
    dead_time_rbv = _real(
        "DeadTime_RBV",
        (0, 1000),
        "ns",
        "Time after a count in which there is no other, by the data sheet",
        "none: data sheet of the PicoHarp 300",
    )
    counter_rbv = integer_rbv(
        "Counter_RBV",
        0,
        COUNTER,
        "runs",
        doc="Acquisitions completed; written after all that belongs to it",
        mirrors="none: tells a client that the histogram is new",
    )

    def __init__(self, prefix: str, *, world: World, **kwargs: Any) -> None:
        super().__init__(prefix, world=world, **kwargs)
        self.counter = PhotonCounter(world)
        self.supply = HighVoltage(f"{prefix}PMT:", parent=self, counter=self.counter)
        self.pvdb.update(self.supply.pvdb)
        self._acquisition = Busy("an acquisition")
        self._shown_at = 0.0

    async def start(self) -> None:
        """Show the data sheet, the voltage and the first rates."""
        await self.dead_time_rbv.post(self.world.sample.tcspc.dead_time)
        await self._show_resolution(0)
        await self.supply.start()
        await self._show_rates()

    def keep(self) -> Mapping[str, Any]:
        """Give what the high voltage keeps, ready for JSON."""
        return self.supply.keep()

    async def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on with the high voltage off, and a trip of it that was kept.

        Parameters
        ----------
        kept
            What `keep` gave.
        """
        await self.supply.resume(kept)

    async def run(self) -> None:
        """Read the rate meters and protect the detector, ten times a second."""
        while True:
            await asyncio.sleep(max(PERIOD, self.world.clock.wall(GATE_S)))
            await self._show_rates()

    @acquire.putter
    async def _put_acquire(self, instance: Any, value: str) -> None:
        """Count; completes when all of it is written."""
        await self._acquisition.put(instance, value, self._acquire)

    @time.putter
    async def _put_time(self, instance: Any, value: float) -> None:
        """Change the acquisition time."""
        self._refuse_while_busy(value)

    @stop_overflow.putter
    async def _put_stop_overflow(self, instance: Any, value: str) -> None:
        """Choose whether a full bin ends the acquisition."""
        self._refuse_while_busy(value)
        await self.stop_overflow_rbv.post(value)

    @stop_count.putter
    async def _put_stop_count(self, instance: Any, value: int) -> None:
        """Change the counts at which a bin is full."""
        self._refuse_while_busy(value)

    @stop_total.putter
    async def _put_stop_total(self, instance: Any, value: int) -> None:
        """Change the counts at which the histogram is full."""
        self._refuse_while_busy(value)

    @offset.putter
    async def _put_offset(self, instance: Any, value: float) -> float:
        """Shift the histogram, by the nearest multiple of its narrowest bin."""
        self._refuse_while_busy(value)
        step = self.world.sample.tcspc.bin_width
        return round(value / step) * step

    @sync_zero.putter
    async def _put_sync_zero(self, instance: Any, value: float) -> None:
        """Change a zero-cross level."""
        self._refuse_while_busy(value)

    @input_zero.putter
    async def _put_input_zero(self, instance: Any, value: float) -> None:
        """Change a zero-cross level."""
        self._refuse_while_busy(value)

    @sync_level.putter
    async def _put_sync_level(self, instance: Any, value: float) -> None:
        """Change a discriminator level."""
        self._refuse_while_busy(value)

    @input_level.putter
    async def _put_input_level(self, instance: Any, value: float) -> None:
        """Change a discriminator level."""
        self._refuse_while_busy(value)

    @divider.putter
    async def _put_divider(self, instance: Any, value: float) -> None:
        """Change the divider of the trigger."""
        self._refuse_while_busy(value)
        if value not in DIVIDERS:
            msg = f"got {value:g}, possible is {', '.join(map(str, DIVIDERS))}"
            raise RefusedPutError(msg)

    @binning.putter
    async def _put_binning(self, instance: Any, value: float) -> None:
        """Change the width of the bins."""
        self._refuse_while_busy(value)
        await self._show_resolution(int(value))

    def _refuse_while_busy(self, value: Any) -> None:
        if self.acquire.value == "Acquire":
            msg = f"got {value} during an acquisition; wait for it, or abort it"
            raise RefusedPutError(msg)

    def _settings(self) -> Settings:
        return Settings(
            binning=int(self.binning.value),
            offset_ps=int(self.offset.value),
            divider=int(self.divider.value),
            sync_level_mv=int(self.sync_level.value),
            input_level_mv=int(self.input_level.value),
            sync_zero_mv=int(self.sync_zero.value),
            input_zero_mv=int(self.input_zero.value),
        )

    def _plan(self) -> Plan:
        stops = self.stop_overflow.value == "Yes"
        return Plan(
            settings=self._settings(),
            time_s=self.time.value / MS_PER_S,
            stop_count=self.stop_count.value if stops else 0,
            stop_total=self.stop_total.value,
        )

    async def _acquire(self) -> None:
        number = self.counter_rbv.value + 1
        counted = Histogramming(self.counter, self._plan(), number, self.world.now())
        await self._show(counted)
        while not counted.done:
            await pass_time(self.world, counted.next_s, self._acquisition.abort, TICK)
            now = self.world.now()
            aborted = self._acquisition.abort.is_set()
            await do_in_turns(counted.stop(now) if aborted else counted.count(now))
            await self.elapsed_rbv.post(self._elapsed(counted) * MS_PER_S)
            await self._show_now_and_then(counted)
            await asyncio.sleep(0)
        await self._show(counted)
        await self._show_rates()
        await self.counter_rbv.post(number)

    def _elapsed(self, counted: Histogramming) -> float:
        """Give the time counted, and what of the slice under way has passed."""
        if counted.done:
            return counted.elapsed_s
        return min(self.world.now() - counted.start_s, counted.plan.time_s)

    async def _show_now_and_then(self, counted: Histogramming) -> None:
        now = asyncio.get_running_loop().time()
        if now > self._shown_at + SHOW_PERIOD:
            await self._show(counted)

    async def _show(self, counted: Histogramming) -> None:
        """Show what has been counted."""
        self._shown_at = asyncio.get_running_loop().time()
        fullest, total = int(counted.counts.max()), counted.total
        turns = float(round(counted.syncs))
        await self.samples.post(counted.counts.astype(np.float64))
        await self.total.post(total)
        await self.turns.post(turns)
        await self.flux.post(total / turns if turns else 0.0)
        await self.max_bin.post(fullest)
        await self.max_bin.raise_alarm(*_bin_alarm(fullest))
        await self.flags_rbv.post(FLAG_OVERFLOW if counted.overflow else 0)
        await self.elapsed_rbv.post(self._elapsed(counted) * MS_PER_S)

    async def _show_resolution(self, binning: int) -> None:
        width = self.counter.width_ps(Settings(binning=binning))
        await self.resolution.post(width)

    async def _show_rates(self) -> None:
        """Read the rate meters of the last gate, and say what is wrong."""
        await self.supply.show()
        gate = int(self.world.now() / GATE_S) - 1
        if gate < 0:
            return
        settings = self._settings()
        sync = self.counter.sync_rate(gate, settings)
        counts = self.counter.input_rate(gate, settings)
        await self.sync_rate.post(sync)
        await self.input_rate.post(counts)
        found = self._warnings(sync, counts)
        await self.warnings_rbv.post(sum(warning.bit for warning in found))
        await self.pile_up_rbv.post(NO_YES[RATIO in found])
        minor = (AlarmStatus.HIGH, AlarmSeverity.MINOR_ALARM)
        await self.pile_up_rbv.raise_alarm(*(minor if RATIO in found else NO_ALARM))
        await self._show_error(found)

    async def _show_error(self, found: Sequence[Warn]) -> None:
        texts = [warning.text for warning in found]
        if self.counter.tripped:
            texts.insert(0, "over range: the high voltage has tripped")
        wrong = (AlarmStatus.STATE, AlarmSeverity.MINOR_ALARM)
        if self.counter.tripped or NO_SYNC in found:
            wrong = (AlarmStatus.STATE, AlarmSeverity.MAJOR_ALARM)
        await self.error.post("; ".join(texts) or "OK")
        await self.error.raise_alarm(*(wrong if texts else NO_ALARM))

    def _warnings(self, sync: float, counts: float) -> list[Warn]:
        span = self.resolution.value * BINS
        period = PS_PER_S / sync if sync else 0.0
        divided = self.divider.value > 1
        criteria = {
            NO_SYNC: sync == 0,
            SLOW_SYNC: 0 < sync < SLOWEST_TRIGGER and divided,
            NO_INPUT: counts == 0,
            FAST_INPUT: counts > FASTEST_INPUT,
            RATIO: 0 < PILE_UP * sync < counts,
            SHORT_SPAN: period > span,
            OFFSET: self.offset.value > 0 and 0 < period <= span,
        }
        return [warning for warning, holds in criteria.items() if holds]


def _bin_alarm(counts: int) -> Alarm:
    """Give the alarm of the fullest bin, as KIT's record has it."""
    if counts >= FULL_BIN:
        return Alarm(AlarmStatus.HIHI, AlarmSeverity.MAJOR_ALARM)
    if counts >= NEARLY_FULL:
        return Alarm(AlarmStatus.HIGH, AlarmSeverity.MINOR_ALARM)
    return NO_ALARM
