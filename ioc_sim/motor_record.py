"""A motor record: what clients of EPICS motorRecord read, put and wait for."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from caproto import AlarmSeverity, AlarmStatus, SkipWrite

from ioc_sim.alarms import NO_ALARM, Alarm
from ioc_sim.base import TICK, Instrument, pass_time
from ioc_sim.channels import Channel, RefusedPutError
from ioc_sim.declare import (
    Numeric,
    choice,
    integer,
    number,
)
from ioc_sim.history import History
from ioc_sim.motor_drive import MotorDrive, MotorSettings, duration
from ioc_sim.motor_fields import (
    MotorFields,
    MotorStatus,
    Position,
    record_field,
    record_flag,
    record_position,
)

__all__ = ["MotorRecord", "MotorSettings", "MotorStatus"]

TO_HOME = "Put 1 to go to the home mark and zero there; refused under Stop and Pause"
STANDING = {"Stop", "Pause"}
"""States of SPMG in which nothing moves."""

GAVE_UP = Alarm(AlarmStatus.STATE, AlarmSeverity.MAJOR_ALARM)
AT_HIGH_SWITCH = Alarm(AlarmStatus.HIGH, AlarmSeverity.MAJOR_ALARM)
AT_LOW_SWITCH = Alarm(AlarmStatus.LOW, AlarmSeverity.MAJOR_ALARM)

ARRIVED = 1e-6
"""Distance from the target that counts as none, position units."""

SPEEDS = (1 / 500, 4.0)
"""Slowest and greatest speed, as shares of the usual one; chosen."""


@dataclass(slots=True, eq=False)
class _Turn:
    """One move, from its start until it is done, stopped or replaced by another."""

    goal: float
    """Where to, in dial coordinates."""
    homing: bool = False
    paused: bool = False
    interrupt: asyncio.Event = field(default_factory=asyncio.Event)
    """Ends the waiting for the motion."""
    released: asyncio.Event = field(default_factory=asyncio.Event)
    """Ends a pause."""
    rest: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the motor rests, after this move or one that replaced it."""


class MotorRecord(MotorFields):
    """One axis by the fields of a motor record; a put to VAL completes at rest.

    Dial coordinates are the encoder's; user coordinates follow from OFF and DIR.

    Parameters
    ----------
    prefix
        Name of the record.
    parent
        The instrument that the motor is part of.
    history
        What the motor moves.
    settings
        Travel, speed, unit.
    moved
        Awaited with the dial position after each new read-back.
    """

    val = record_position(
        Numeric(Position),
        "VAL",
        doc="Position; a put completes when the motor rests, also one that a newer put "
        "has replaced",
    )
    dval = record_position(
        number,
        "DVAL",
        doc="Position by the dial, without offset; refused in SET mode: the dial "
        "is set by homing only",
    )
    rlv = record_position(number, "RLV", doc="Put a distance to go by; it returns to 0")
    twf = record_flag(integer, "TWF", doc="Put 1 to tweak up")
    twr = record_flag(integer, "TWR", doc="Put 1 to tweak down")
    stop = record_flag(integer, "STOP", doc="Put 1 to stop where it is")
    spmg = record_field(
        choice,
        "SPMG",
        ("Stop", "Pause", "Move", "Go"),
        "Go",
        doc="Stop ends a move, Pause holds it; positions put meanwhile wait for Go; "
        "Move allows a single move",
    )
    hlm = record_position(number, "HLM", 360, doc="High limit")
    llm = record_position(number, "LLM", -360, doc="Low limit")
    off = record_position(number, "OFF", doc="User position at the dial's nought")
    dir = record_field(choice, "DIR", ("Pos", "Neg"), "Pos", doc="User against dial")
    homf = record_flag(integer, "HOMF", doc=TO_HOME)
    homr = record_flag(integer, "HOMR", doc=TO_HOME)

    def __init__(
        self,
        prefix: str,
        *,
        parent: Instrument,
        history: History,
        settings: MotorSettings,
        moved: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(prefix, parent=parent)
        self._record = prefix
        self._world = parent.world
        self._history = history
        self._settings = settings
        self._drive = MotorDrive(self._world, history, settings)
        self._moved = moved
        self._limits = (settings.low, settings.high)
        self._homed = settings.home is not None
        self._stalled = False
        self._turn: _Turn | None = None
        self._waiting: float | None = None
        self.val.reported_record_type = "motor"
        self._world.faults.watch("stuck_motor", self._jam)

    async def start(self) -> None:
        """Take over the settings and the position."""
        settings = self._settings
        units, speed = settings.units, settings.speed
        await self.egu.post(units)
        await self.accl.post(settings.acceleration)
        await self.velo.post(speed)
        slowest, fastest = (share * speed for share in SPEEDS)
        await _describe(self.velo, f"{units}/s", slowest, fastest)
        span = settings.high - settings.low
        for channel in (self.off, self.rlv):
            await _describe(channel, units, -10 * span, 10 * span)
        await _describe(self.twv, units, 0, span)
        await self._show_limits()
        await self._report()
        await self._show_target(self._drive.position)

    async def move(self, dial: float) -> None:
        """Move to a dial position; returns at rest, there or where a newer move ends.

        While SPMG is Stop or Pause, a motor at rest only takes note of the position,
        for Go.

        Parameters
        ----------
        dial
            The position, within the limits.

        Raises
        ------
        RefusedPutError
            If the motor cannot move at all.
        """
        self.refuse_if_unable(f"{self._user(dial):g}")
        held = self.spmg.value in STANDING
        if held and self._turn is None:
            self._waiting = dial
            await self._show_target(dial)
        else:
            await self._run(_Turn(goal=dial, paused=held))

    def refuse_if_unable(self, value: str) -> None:
        """Refuse a command that the motor is not able to follow; none by default.

        Parameters
        ----------
        value
            What was put.
        """

    def refuse_if_held(self, value: str) -> None:
        """Refuse a command that cannot wait while the record lets nothing move.

        Parameters
        ----------
        value
            What was put.

        Raises
        ------
        RefusedPutError
            If SPMG is Stop or Pause.
        """
        self.refuse_if_unable(value)
        if self.spmg.value in STANDING:
            msg = f"got {value} while SPMG is {self.spmg.value}; put Go to it first"
            raise RefusedPutError(msg)

    def read_encoder(self) -> float:
        """Give what the encoder reads now, in dial coordinates: no error here."""
        return self._drive.position

    async def refresh(self) -> None:
        """Show where the motor is, if it is not moving."""
        if self._turn is None:
            await self._report()

    async def report_error(self, channel: Channel, text: str) -> None:
        """Show why a put was refused, also as a limit violation."""
        if channel in self._targets and "limits" in text:
            await self.lvio.post(1)
        await super().report_error(channel, text)

    async def forget_error(self, channel: Channel) -> None:
        """Take the text back, and the limit violation."""
        if channel in self._targets:
            await self.lvio.post(0)
        await super().forget_error(channel)

    @property
    def _targets(self) -> tuple[Channel, ...]:
        return (self.val, self.dval, self.rlv, self.twf, self.twr)

    @val.putter
    async def _put_val(self, instance: Any, value: float) -> None:
        """Move; completes when the motor rests."""
        await self._go(value)
        raise SkipWrite

    @dval.putter
    async def _put_dval(self, instance: Any, value: float) -> None:
        """Move by the dial; completes when the motor rests."""
        if self.set.value == "Set":
            msg = f"got {value:g} in SET mode; the dial is set by homing only"
            raise RefusedPutError(msg)
        await self.move(value)
        raise SkipWrite

    @rlv.putter
    async def _put_rlv(self, instance: Any, value: float) -> None:
        """Move by a distance; completes when the motor rests."""
        await self._go(self.val.within(self.val.value + value))
        raise SkipWrite

    @twf.putter
    async def _put_twf(self, instance: Any, value: int) -> None:
        """Move up by TWV; completes when the motor rests."""
        await self._tweak(instance, value, self.twv.value)

    @twr.putter
    async def _put_twr(self, instance: Any, value: int) -> None:
        """Move down by TWV; completes when the motor rests."""
        await self._tweak(instance, value, -self.twv.value)

    @stop.putter
    async def _put_stop(self, instance: Any, value: int) -> None:
        """Stop where it is; pending puts complete."""
        if value:
            await self._stop()
        await instance.post(0)
        raise SkipWrite

    @spmg.putter
    async def _put_spmg(self, instance: Any, value: str) -> None:
        """Stop, hold or let go; to let go completes when the motor rests."""
        turn = self._turn
        if value == "Stop":
            await self._stop()
        elif value == "Pause":
            if turn is not None:
                self._drive.halt()
                turn.paused = True
                turn.interrupt.set()
        else:
            await self._let_go(value)

    async def _let_go(self, value: str) -> None:
        """Go on with the move that was held, or go where a put has asked meanwhile."""
        turn, waiting = self._turn, self._waiting
        if waiting is not None:
            self.refuse_if_unable(value)
            self._waiting = None
            turn = _Turn(goal=waiting)
            await self.spmg.post(value)
            await self._run(turn)
            raise SkipWrite
        if turn is not None and turn.paused:
            await self.spmg.post(value)
            turn.paused = False
            turn.released.set()
            await turn.rest.wait()
            raise SkipWrite

    @homf.putter
    async def _put_homf(self, instance: Any, value: int) -> None:
        """Go to the home mark."""
        await self._home(instance, value)

    @homr.putter
    async def _put_homr(self, instance: Any, value: int) -> None:
        """Go to the home mark."""
        await self._home(instance, value)

    @hlm.putter
    async def _put_hlm(self, instance: Any, value: float) -> None:
        """Change the high limit of VAL."""
        if value <= self.llm.value:
            msg = f"got {value:g}, expected more than the low limit {self.llm.value:g}"
            raise RefusedPutError(msg)
        await self._set_limits(self.llm.value, value)

    @llm.putter
    async def _put_llm(self, instance: Any, value: float) -> None:
        """Change the low limit of VAL."""
        if value >= self.hlm.value:
            msg = f"got {value:g}, expected less than the high limit {self.hlm.value:g}"
            raise RefusedPutError(msg)
        await self._set_limits(value, self.hlm.value)

    @off.putter
    async def _put_off(self, instance: Any, value: float) -> None:
        """Say where the dial's nought is in user coordinates; nothing moves."""
        self._refuse_in_motion(value)
        await instance.post(value)
        await self._show_coordinates()

    @dir.putter
    async def _put_dir(self, instance: Any, value: str) -> None:
        """Turn the user's direction; the position stays what it is if OFF is free."""
        self._refuse_in_motion(value)
        here = self.val.value
        await instance.post(value)
        if self.foff.value == "Variable":
            await self.off.post(here - self._sign * self.dval.value)
        await self._show_coordinates()

    async def _go(self, target: float) -> None:
        """Move to a user position, or declare that the motor is there."""
        if self.set.value == "Set":
            await self._declare(target)
        else:
            await self.move(self._dial_of(target))

    async def _declare(self, position: float) -> None:
        self._refuse_in_motion(position)
        if self.foff.value == "Frozen":
            msg = f"got {position:g} in SET mode while FOFF is Frozen"
            raise RefusedPutError(msg)
        self._waiting = None
        await self.off.post(position - self._sign * self._drive.position)
        await self.dval.post(self._drive.position)
        await self._show_coordinates()

    async def _tweak(self, instance: Any, value: int, distance: float) -> None:
        if value:
            await self._go(self.val.within(self.val.value + distance))
        await instance.post(0)
        raise SkipWrite

    async def _home(self, instance: Any, value: int) -> None:
        if value:
            if self._settings.home is None:
                msg = f"got {value}, but this axis has no home mark"
                raise RefusedPutError(msg)
            self.refuse_if_held(str(value))
            await instance.post(1)
            await self._run(_Turn(goal=self._drive.mark, homing=True))
        await instance.post(0)
        raise SkipWrite

    async def _run(self, turn: _Turn) -> None:
        """Move from start to end, or wait for the end of the move that takes over."""
        await self._begin(turn)
        if not turn.paused:
            await self._travel(turn)
        while self._turn is turn and turn.paused:
            await turn.released.wait()
            turn.released.clear()
            turn.interrupt.clear()
            if self._turn is turn:
                await self._travel(turn)
        if self._turn is turn:
            await self._end(turn)
        await turn.rest.wait()

    async def _begin(self, turn: _Turn) -> None:
        if self._turn is not None:
            turn.rest = self._turn.rest
            self._turn.interrupt.set()
            self._turn.released.set()
        self._turn = turn
        self._waiting = None
        self._stalled = False
        await self._raise_alarm(NO_ALARM)
        await self.miss.post(0)
        await self.tdir.post(int(turn.goal >= self._drive.position))
        await self.dmov.post(0)
        await self.movn.post(1)
        if not turn.homing:
            await self._show_target(turn.goal)

    async def _travel(self, turn: _Turn) -> None:
        """Let the time of the motion pass; the motor moves, if it can."""
        now = self._world.now()
        goal = self._drive.reach(turn.goal)
        distance = abs(goal - self._drive.position)
        end = now + duration(distance, self.velo.value, self.accl.value)
        if not self._stuck(self._world.faults.value("stuck_motor")):
            self._drive.go(goal, now, end)
        while await pass_time(self._world, end, turn.interrupt, TICK):
            await self._report()

    async def _end(self, turn: _Turn) -> None:
        """Show where the motor rests, and how the move ended; all puts complete."""
        drive = self._drive
        missed = abs(drive.position - drive.reach(turn.goal)) > ARRIVED
        if turn.homing and not missed:
            await drive.zero()
            self._homed = True
            if self._turn is not turn:
                return  # a newer move took over meanwhile
        self._turn = None
        self._stalled = missed
        await self._report()
        if turn.homing:
            await self._show_target(drive.position)
        if missed:
            await self.miss.post(1)
            await self._raise_alarm(GAVE_UP)
        elif self.hls.value:
            await self._raise_alarm(AT_HIGH_SWITCH)
        elif self.lls.value:
            await self._raise_alarm(AT_LOW_SWITCH)
        if self.spmg.value == "Move":
            await self.spmg.post("Pause")
        await self.movn.post(0)
        await self.dmov.post(1)
        turn.interrupt.set()
        turn.released.set()
        turn.rest.set()

    async def _stop(self) -> None:
        """End the move where the motor is, as one that arrived there."""
        turn = self._turn
        if turn is not None:
            self._drive.halt()
            turn.goal, turn.homing = self._drive.position, False
            await self._show_target(turn.goal)
            await self._end(turn)
        elif self._waiting is not None:
            self._waiting = None
            await self._show_target(self._drive.position)

    async def _jam(self, motor: Any) -> None:
        """Fail the move that is under way when this motor gets stuck."""
        turn = self._turn
        if self._stuck(motor) and turn is not None:
            self._drive.halt()
            await self._end(turn)

    def _stuck(self, motor: Any) -> bool:
        """Tell whether a state of the fault means this record."""
        return self._record.endswith(str(motor))

    def _refuse_in_motion(self, value: Any) -> None:
        if self._turn is not None:
            msg = f"got {value} during a move; wait for DMOV, or put 1 to STOP"
            raise RefusedPutError(msg)

    @property
    def _sign(self) -> int:
        return 1 if self.dir.value == "Pos" else -1

    def _user(self, dial: float) -> float:
        return self._sign * dial + self.off.value

    def _dial_of(self, user: float) -> float:
        return self._sign * (user - self.off.value)

    async def _report(self) -> None:
        """Show where the motor is, and its switches."""
        drive, read = self._drive, self.read_encoder()
        minus, plus = drive.at_switches
        await self.drbv.post(read)
        await self.rbv.post(self._user(read))
        positive = self._sign > 0
        await self.hls.post(int(plus if positive else minus))
        await self.lls.post(int(minus if positive else plus))
        await self.athm.post(int(drive.at_home))
        bits = {
            MotorStatus.DIRECTION: self.tdir.value,
            MotorStatus.DONE: self._turn is None,
            MotorStatus.PLUS_LS: plus,
            MotorStatus.HOME: drive.at_home,
            MotorStatus.SLIP_STALL: self._stalled,
            MotorStatus.MOVING: drive.moving,
            MotorStatus.MINUS_LS: minus,
            MotorStatus.HOMED: self._homed,
        }
        await self.msta.post(sum(bit.value for bit, is_set in bits.items() if is_set))
        if self._moved is not None:
            await self._moved(drive.position)

    async def _show_target(self, dial: float) -> None:
        await self.dval.post(dial)
        await self.val.post(self._user(dial))

    async def _show_coordinates(self) -> None:
        """Show the same places in changed user coordinates.

        The limits come last: with them, ophyd asks for the limits of VAL, and an older
        monitor of VAL must not bring the former ones back.
        """
        await self._describe_positions()
        await self._show_target(self.dval.value)
        await self._report()
        await self._show_limits()

    async def _set_limits(self, low: float, high: float) -> None:
        dials = (self._dial_of(low), self._dial_of(high))
        self._limits = (min(dials), max(dials))
        await self._show_limits()

    async def _show_limits(self) -> None:
        """Show the soft limits, and how far they can be put."""
        settings, units = self._settings, self._settings.units
        low, high = await self._describe_positions()
        span = (settings.high - settings.low) * (settings.switches is not None)
        travel = (settings.low - span, settings.high + span)
        least, most = sorted(self._user(dial) for dial in travel)
        for channel in (self.llm, self.hlm):
            await _describe(channel, units, least, most)
        await self.llm.post(low)
        await self.hlm.post(high)

    async def _describe_positions(self) -> tuple[float, float]:
        """Give all positions their limits; gives back those of the user."""
        units = self._settings.units
        low, high = sorted(self._user(dial) for dial in self._limits)
        for channel in (self.val, self.rbv):
            await _describe(channel, units, low, high)
        for channel in (self.dval, self.drbv):
            await _describe(channel, units, *self._limits)
        return low, high

    async def _raise_alarm(self, alarm: Alarm) -> None:
        """Change the alarm of the positions, as the record has one for all fields."""
        for channel in (self.val, self.rbv, self.dval, self.drbv):
            await channel.raise_alarm(*alarm)


async def _describe(channel: Channel, units: str, low: float, high: float) -> None:
    """Give a channel its unit and limits, without a word to those who listen.

    ophyd would take the monitor's old limits for new ones.
    """
    await channel.write_metadata(
        publish=False,
        lower_ctrl_limit=low,
        upper_ctrl_limit=high,
        lower_disp_limit=low,
        upper_disp_limit=high,
        units=units,
    )
