"""The supercontinuum laser: emission behind an interlock, its level and its health."""

import asyncio
from collections.abc import Mapping
from enum import IntFlag
from typing import Any

from caproto import AlarmSeverity, AlarmStatus, SkipWrite

from ioc_sim import motion
from ioc_sim.alarms import NO_ALARM
from ioc_sim.base import TICK, Axis, Instrument, pass_time
from ioc_sim.channels import Channel, RefusedPutError
from ioc_sim.declare import (
    choice,
    choice_rbv,
    integer_rbv,
    number,
    number_rbv,
    text_rbv,
)
from ioc_sim.laser_head import LaserHead
from ioc_sim.latch import Latch
from ioc_sim.vocabulary import NO_YES, OFF_ON
from ioc_sim.world import World

__all__ = ["Laser", "Status"]

RESET = ("Idle", "Reset")
INTERLOCK = ("Tripped", "Reset needed", "OK")
"""States of the interlock, in the order of the real register."""

EXTREME = "NKT SuperK EXTREME register"
"""Registers of the main module, type 0x60, in NKT's register files."""

PERIOD = 0.5
"""Real seconds between two looks at temperature, monitor and counter."""

MONITOR_TOLERANCE = 0.05
"""Relative deviation of the monitor from the level that the status shows: five times
the drift of a sound laser."""

SUPPLY = "supply voltage low"
TEMPERATURE = "base temperature out of range"
WATCHDOG = "watchdog: no put in time"
LOOP = "interlock loop open"

MINOR = (AlarmStatus.STATE, AlarmSeverity.MINOR_ALARM)
MAJOR = (AlarmStatus.STATE, AlarmSeverity.MAJOR_ALARM)
INTERLOCK_ALARMS = {"Tripped": MAJOR, "Reset needed": MINOR, "OK": NO_ALARM}


class Status(IntFlag):
    """Bits of the laser's status; the numbers are those of the real register.

    The real one leaves 8 and 9 unused; here they tell what its front panel tells.
    """

    EMISSION = 1 << 0
    INTERLOCK_OFF = 1 << 1
    LOOP_OPEN = 1 << 3
    SUPPLY_LOW = 1 << 5
    TEMPERATURE = 1 << 6
    NO_SYNC = 1 << 8
    OUTPUT_OFF_LEVEL = 1 << 9
    ERROR = 1 << 15


WORDS = {
    Status.EMISSION: "emission on",
    Status.INTERLOCK_OFF: "interlock off",
    Status.LOOP_OPEN: LOOP,
    Status.SUPPLY_LOW: SUPPLY,
    Status.TEMPERATURE: TEMPERATURE,
    Status.NO_SYNC: "no sync output",
    Status.OUTPUT_OFF_LEVEL: "output off its level",
    Status.ERROR: "error present",
}


class Laser(Instrument):
    """Pulsed white light; it starts dark, cold and at level zero."""

    emission = choice(
        "Emission",
        OFF_ON,
        "Off",
        doc="Emit light; completes when warm, refused while anything has tripped",
        mirrors=f"{EXTREME} 0x30 Emission",
    )
    emission_rbv = choice_rbv(
        "Emission_RBV",
        OFF_ON,
        "Off",
        doc="Light is emitted",
        mirrors=f"{EXTREME} 0x66 Status, bit 0",
    )
    level = number(
        "Level",
        0,
        (0, 100),
        "%",
        precision=2,
        doc="Output level",
        mirrors=f"{EXTREME} 0x37 Power level",
    )
    level_rbv = number_rbv(
        "Level_RBV",
        0,
        (0, 100),
        "%",
        precision=2,
        doc="Output level now",
        mirrors=f"{EXTREME} 0x37 Power level",
    )
    rep_rate_rbv = number_rbv(
        "RepRate_RBV",
        78,
        (0, 200),
        "MHz",
        precision=3,
        doc="Pulse repetition rate",
        mirrors=f"{EXTREME} 0x34 Pulse picker ratio, into the seed's rate",
    )
    pulse_width_rbv = number_rbv(
        "PulseWidth_RBV",
        10,
        (0, 1000),
        "ps",
        precision=2,
        doc="Pulse length (FWHM)",
        mirrors="none: a number of the data sheet",
    )
    interlock_rbv = choice_rbv(
        "Interlock_RBV",
        INTERLOCK,
        "OK",
        doc="Loop open, closed again but latched, or closed and reset",
        mirrors=f"{EXTREME} 0x32 Interlock",
    )
    interlock_reset = choice(
        "InterlockReset",
        RESET,
        "Idle",
        doc="Put Reset when the loop is closed again; emission stays off",
        mirrors=f"{EXTREME} 0x32 Interlock, a value above 0",
    )
    ready_rbv = choice_rbv(
        "Ready_RBV",
        NO_YES,
        "No",
        doc="Light is emitted at the level asked, and the amplifier is warm",
        mirrors="none: the front panel's lamp",
    )
    status_rbv = integer_rbv(
        "Status_RBV",
        0,
        (0, 0xFFFF),
        "bits",
        doc="Bits 0 emission, 1 interlock off, 3 loop open, 5 supply low, 6 "
        "temperature, 8 no sync output, 9 output off its level, 15 error",
        mirrors=f"{EXTREME} 0x66 Status",
    )
    status_text_rbv = text_rbv(
        "StatusText_RBV",
        "",
        doc="The bits that are set, in words",
        mirrors=f"{EXTREME} 0x66 Status, by the register file's words",
    )
    fault_message_rbv = text_rbv(
        "FaultMessage_RBV",
        "",
        doc="What ended the emission and has not been reset",
        mirrors=f"{EXTREME} 0x67 Error code, in words",
    )
    reset = choice(
        "Reset",
        RESET,
        "Idle",
        doc="Put Reset to forget faults that are gone; emission stays off",
        mirrors="none: the front panel's key",
    )
    base_temperature_rbv = number_rbv(
        "BaseTemperature_RBV",
        22,
        (-20, 100),
        "degC",
        precision=2,
        doc="Base plate; too hot ends the emission",
        mirrors=f"{EXTREME} 0x11 Inlet temperature",
    )
    monitor_rbv = number_rbv(
        "Monitor_RBV",
        0,
        (0, 200),
        "%",
        precision=2,
        doc="Monitor diode before the filter, mean over a second, of the full output",
        mirrors="NKT SuperK VARIA register 0x13 Monitor input",
    )
    hours_rbv = number_rbv(
        "Hours_RBV",
        0,
        (0, 1e6),
        "h",
        precision=3,
        doc="Hours of emission",
        mirrors="NKT SuperK EXTREME Booster register 0x80 Emission runtime",
    )
    warm_up_rbv = number_rbv(
        "WarmUp_RBV",
        0,
        (0, 100),
        "%",
        precision=1,
        doc="How warm the amplifier is",
        mirrors="none: the manual states a time",
    )
    watchdog_time = number(
        "WatchdogTime",
        0,
        (0, 255),
        "s",
        precision=1,
        doc="Emission ends after this time without a put to the laser; 0 for never",
        mirrors=f"{EXTREME} 0x36 Watchdog interval",
    )
    keepalive = choice(
        "Keepalive",
        ("Idle", "Alive"),
        "Idle",
        doc="Put Alive to content the watchdog and nothing else",
        mirrors=f"{EXTREME} 0x36 Watchdog interval: any message restarts it",
    )

    def __init__(self, prefix: str, *, world: World, **kwargs: Any) -> None:
        super().__init__(prefix, world=world, **kwargs)
        now = world.now()
        self._level = Axis(world, world.level, motion.LEVEL_SPEED, self._report_level)
        self._head = LaserHead(world.sample.laser, world.laser_output, now)
        self._interlock = Latch()
        self._faults = Latch()
        self._latches = (self._interlock, self._faults)
        self._warm_at = self._level_at = self._last_put = now
        self._changed = asyncio.Event()
        self._fed = asyncio.Event()
        world.faults.watch("interlock_open", self._watch_loop)
        world.faults.watch("laser_trip", self._watch_supply)
        for name in ("laser_mode_hop", "lost_sync"):
            world.faults.watch(name, self._watch_output)

    @property
    def emitting(self) -> bool:
        """Whether light is emitted."""
        return self.emission_rbv.value == "On"

    async def start(self) -> None:
        """Show what the source of this sample file emits, and its level."""
        level = self.world.level.at(self.world.now())
        await self.level.post(level)
        await self.level_rbv.post(level)
        await self.rep_rate_rbv.post(self.world.sample.source.rate)
        await self.pulse_width_rbv.post(self.world.sample.source.pulse)
        await self._show()

    def keep(self) -> Mapping[str, Any]:
        """Give the state of the head and what is latched, ready for JSON."""
        return {
            "head": self._head.keep(self.world.now()),
            "latched": [latch.tripped for latch in self._latches],
        }

    async def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on with a head that was kept, until the next reset with what was latched.

        Parameters
        ----------
        kept
            What `keep` gave.
        """
        self._head.resume(kept["head"])
        for latch, causes in zip(self._latches, kept["latched"], strict=True):
            for cause in causes:
                latch.trip(cause)
                latch.clear(cause)  # else its watcher trips it again

    async def run(self) -> None:
        """Look after temperature and monitor, and after the client."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look_after())
            tasks.create_task(self._watch_client())

    async def make_safe(self) -> None:
        """Emit nothing any more."""
        await self._emit("Off")

    async def trip(self) -> None:
        """Open the interlock for a moment: the light goes off and stays off."""
        await self._watch_loop(1.0)
        await self._watch_loop(0.0)

    async def forget_error(self, channel: Channel) -> None:
        """Take a refusal back; the put also contents the watchdog."""
        self._last_put = self.world.now()
        self._fed.set()
        await super().forget_error(channel)

    @emission.putter
    async def _put_emission(self, instance: Any, value: str) -> None:
        """Switch the light; completes when its power is steady, or it is off again."""
        if value == "On":
            self._refuse_to_emit()
        await self._emit(value)
        changed = self._changed
        while await pass_time(self.world, self._warm_at, changed, TICK):
            await self._show()
        await self._show()
        raise SkipWrite

    @level.putter
    async def _put_level(self, instance: Any, value: float) -> None:
        """Bring the output to a level; completes when it is there."""
        await instance.post(value)
        self._head.emit(self.world.now(), on=self.emitting, level=value)
        await self._level.move(value)
        self._level_at = self.world.now()
        await self._show()
        raise SkipWrite

    @interlock_reset.putter
    async def _put_interlock_reset(self, instance: Any, value: str) -> None:
        """Reset the interlock; refused while the loop is open."""
        await self._reset(self._interlock, instance, value)

    @reset.putter
    async def _put_reset(self, instance: Any, value: str) -> None:
        """Forget faults; refused while one of them is there."""
        await self._reset(self._faults, instance, value)

    @watchdog_time.putter
    async def _put_watchdog_time(self, instance: Any, value: float) -> None:
        """Start the watchdog's time anew."""
        await instance.post(value)
        self._fed.set()
        raise SkipWrite

    @keepalive.putter
    async def _put_keepalive(self, instance: Any, value: str) -> None:
        """Do nothing: the put itself is what the watchdog waits for."""
        await instance.post("Idle")
        raise SkipWrite

    def _refuse_to_emit(self) -> None:
        if self._interlock.tripped:
            msg = (
                "got On with the interlock tripped; close its loop, put Reset to "
                "InterlockReset"
            )
            raise RefusedPutError(msg)
        if self._faults.tripped:
            msg = f"got On after {', '.join(self._faults.tripped)}; put Reset to Reset"
            raise RefusedPutError(msg)

    async def _reset(self, latch: Latch, instance: Any, value: str) -> None:
        if value == "Reset":
            latch.reset()
            await self._show()
        await instance.post("Idle")
        raise SkipWrite

    async def _emit(self, value: str) -> None:
        now = self.world.now()
        on = value == "On"
        self.world.emission.record(now, float(on))
        warm_at = self._head.emit(now, on=on, level=self.level.value)
        self._warm_at = warm_at if on else now
        self._changed.set()
        self._changed = asyncio.Event()
        await self.emission.post(value)
        await self.emission_rbv.post(value)
        self._fed.set()
        await self._show()

    async def _fail(self, cause: str) -> None:
        self._faults.trip(cause)
        await self._emit("Off")

    async def _watch_loop(self, opened: Any) -> None:
        if opened:
            self._interlock.trip(LOOP)
            await self._emit("Off")
        else:
            self._interlock.clear(LOOP)
            await self._show()

    async def _watch_supply(self, failed: Any) -> None:
        if failed:
            await self._fail(SUPPLY)
        else:
            self._faults.clear(SUPPLY)
            await self._show()

    async def _watch_output(self, _: Any) -> None:
        await self._show()

    async def _look_after(self) -> None:
        limits = self.world.sample.laser
        while True:
            base_c = self._head.base_temperature(self.world.now())
            if self.emitting and base_c >= limits.base_trip:
                await self._fail(TEMPERATURE)
            elif base_c < limits.base_high:
                self._faults.clear(TEMPERATURE)
            await self._show()
            await asyncio.sleep(PERIOD)

    async def _watch_client(self) -> None:
        while True:
            self._fed.clear()
            time_s = self.watchdog_time.value
            if time_s == 0 or not self.emitting:
                await self._fed.wait()
                continue
            while await pass_time(self.world, self._last_put + time_s, self._fed):
                pass
            if self.emitting and not self._fed.is_set():
                await self._fail(WATCHDOG)
                self._faults.clear(WATCHDOG)

    async def _report_level(self, percent: float) -> None:
        await self.level_rbv.post(percent)
        await self._show()

    async def _show(self) -> None:
        """Write all that follows from commands, time and faults."""
        now = self.world.now()
        ready = self.emitting and not self._level.moving and now >= self._warm_at
        await _update(self.ready_rbv, NO_YES[ready])
        await _update(self.warm_up_rbv, 100 * self._head.warm(now))
        await _update(self.hours_rbv, self._head.hours(now))
        await _update(self.base_temperature_rbv, self._head.base_temperature(now))
        second = int(now) - 1
        monitor = self.world.beam.monitor_percent(second) if second >= 0 else 0.0
        await _update(self.monitor_rbv, max(monitor, 0.0))
        steady = ready and second >= max(self._warm_at, self._level_at)
        await self._show_status(self._status(off_level=steady and self._off_level()))

    def _off_level(self) -> bool:
        """Tell whether the monitor is away from the level."""
        level = self.level_rbv.value
        return abs(self.monitor_rbv.value - level) > MONITOR_TOLERANCE * level

    def _status(self, *, off_level: bool) -> Status:
        faults = self.world.faults
        wrong = self._faults.tripped
        hot = self.base_temperature_rbv.value >= self.world.sample.laser.base_high
        bits = {
            Status.EMISSION: self.emitting,
            Status.INTERLOCK_OFF: bool(self._interlock.tripped),
            Status.LOOP_OPEN: bool(self._interlock.present),
            Status.SUPPLY_LOW: SUPPLY in self._faults.present,
            Status.TEMPERATURE: hot,
            Status.NO_SYNC: not self.emitting or bool(faults.value("lost_sync")),
            Status.OUTPUT_OFF_LEVEL: off_level,
            Status.ERROR: bool(wrong),
        }
        return Status(sum(bit for bit, there in bits.items() if there))

    async def _show_status(self, status: Status) -> None:
        interlock = "OK"
        if status & Status.INTERLOCK_OFF:
            interlock = "Tripped" if status & Status.LOOP_OPEN else "Reset needed"
        await _update(self.interlock_rbv, interlock)
        await self.interlock_rbv.raise_alarm(*INTERLOCK_ALARMS[interlock])
        faults = ", ".join(self._faults.tripped)
        await _update(self.fault_message_rbv, faults)
        await self.fault_message_rbv.raise_alarm(*(MAJOR if faults else NO_ALARM))
        await _update(self.status_rbv, int(status))
        await _update(self.status_text_rbv, ", ".join(WORDS[bit] for bit in status))
        for channel in (self.status_rbv, self.status_text_rbv):
            await channel.raise_alarm(*_severity(status))
        off = MINOR if status & Status.OUTPUT_OFF_LEVEL else NO_ALARM
        await self.monitor_rbv.raise_alarm(*off)
        await self.base_temperature_rbv.raise_alarm(*self._heat())

    def _heat(self) -> tuple[AlarmStatus, AlarmSeverity]:
        base_c, limits = self.base_temperature_rbv.value, self.world.sample.laser
        if base_c >= limits.base_trip or TEMPERATURE in self._faults.present:
            return AlarmStatus.HIHI, AlarmSeverity.MAJOR_ALARM
        if base_c >= limits.base_high:
            return AlarmStatus.HIGH, AlarmSeverity.MINOR_ALARM
        return NO_ALARM


def _severity(status: Status) -> tuple[AlarmStatus, AlarmSeverity]:
    if status & (Status.ERROR | Status.INTERLOCK_OFF):
        return MAJOR
    warnings = Status.TEMPERATURE | Status.OUTPUT_OFF_LEVEL
    lost = status & Status.EMISSION and status & Status.NO_SYNC
    return MINOR if status & warnings or lost else NO_ALARM


async def _update(channel: Channel, value: Any) -> None:
    if channel.value != value:
        await channel.post(value)
