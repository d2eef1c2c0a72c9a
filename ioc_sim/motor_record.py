"""A motor record: what clients of EPICS motorRecord read, put and wait for."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any, TypeVar

from caproto import AlarmSeverity, AlarmStatus, SkipWrite

from ioc_sim.base import TICK, Instrument, Part, pass_time
from ioc_sim.channels import Channel, RefusedPutError
from ioc_sim.declare import (
    choice,
    integer,
    integer_rbv,
    number,
    number_rbv,
    text_rbv,
)
from ioc_sim.history import History

__all__ = ["MotorRecord", "MotorSettings", "MotorStatus"]

DeclaredT = TypeVar("DeclaredT")

PRECISION = 4
ANY = (-360.0, 360.0)
"""Limits before the settings are known."""

FLAG = (0, 1)
DRIVER = "motorRecord"
STANDING = {"Stop", "Pause"}
"""States of SPMG in which nothing moves."""

ARRIVED = 1e-6
"""Distance from the target that counts as none, position units."""

HOME_WIDTH = 1e-3
"""Distance from the home mark at which its switch is on, position units; typical."""

SPEEDS = (1 / 500, 4.0)
"""Slowest and greatest speed, as shares of the usual one; chosen."""

LONGEST_ACCELERATION = 10.0
"""Upper limit of ACCL, s; chosen."""


class MotorStatus(IntFlag):
    """Bits of MSTA that the simulation sets, as the record numbers them."""

    DIRECTION = 1 << 0
    """The last move went up, in dial coordinates."""
    DONE = 1 << 1
    """No move is under way."""
    PLUS_LS = 1 << 2
    """The high limit switch is on."""
    HOME = 1 << 3
    """The home switch is on."""
    SLIP_STALL = 1 << 6
    """The motor was commanded and the encoder did not follow."""
    MOVING = 1 << 10
    """The encoder moves."""
    MINUS_LS = 1 << 13
    """The low limit switch is on."""
    HOMED = 1 << 14
    """The position refers to the home mark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MotorSettings:
    """What makes one motor different from another."""

    low: float
    """Least position: the soft limit at the start."""
    high: float
    """Greatest position: the soft limit at the start."""
    speed: float
    """Position units a second."""
    units: str
    """Unit of the position."""
    acceleration: float = 0.0
    """Time to full speed, s."""
    home: float | None = 0.0
    """Position of the home mark; None if there is none."""
    switches: tuple[float, float] | None = None
    """Positions of the limit switches; None for a stage that turns round, or that
    cannot leave its range."""
    scale: float = 1.0
    """What the motor moves, in its own unit, for one position unit."""
    slip: str = ""
    """Fault that is the angle or distance by which the read-back is wrong; homing
    makes it nought."""


@dataclass(slots=True, eq=False)
class _Turn:
    """One move, from its start until it is done, stopped or followed by another."""

    goal: float
    """Where to, in dial coordinates."""
    homing: bool = False
    paused: bool = False
    interrupt: asyncio.Event = field(default_factory=asyncio.Event)
    """Ends the waiting for the motion."""
    released: asyncio.Event = field(default_factory=asyncio.Event)
    """Ends a pause."""


def _field(
    declare: Callable[..., DeclaredT], name: str, *args: Any, **more: Any
) -> DeclaredT:
    """Declare a field of the record; VAL is the record's own name."""
    suffix = "" if name == "VAL" else f".{name}"
    return declare(suffix, *args, mirrors=f"{DRIVER} {name}", **more)


def _position(
    declare: Callable[..., DeclaredT], name: str, value: float = 0, **more: Any
) -> DeclaredT:
    return _field(declare, name, value, ANY, "deg", precision=PRECISION, **more)


def _flag(
    declare: Callable[..., DeclaredT], name: str, value: int = 0, **more: Any
) -> DeclaredT:
    return _field(declare, name, value, FLAG, "bool", **more)


class MotorRecord(Part):
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

    val = _position(number, "VAL", doc="Position; a put completes when it rests")
    rbv = _position(number_rbv, "RBV", doc="Position now")
    dval = _position(number, "DVAL", doc="Position by the dial, without offset")
    drbv = _position(number_rbv, "DRBV", doc="Position by the dial now")
    rlv = _position(number, "RLV", doc="Put a distance to go by; it returns to 0")
    twv = _position(number, "TWV", 1, doc="Distance of a tweak")
    twf = _flag(integer, "TWF", doc="Put 1 to tweak up")
    twr = _flag(integer, "TWR", doc="Put 1 to tweak down")
    dmov = _flag(integer_rbv, "DMOV", 1, doc="1 when the move is done")
    movn = _flag(integer_rbv, "MOVN", doc="1 while it moves")
    stop = _flag(integer, "STOP", doc="Put 1 to stop where it is")
    spmg = _field(
        choice,
        "SPMG",
        ("Stop", "Pause", "Move", "Go"),
        "Go",
        doc="Stop ends a move, Pause holds it until Go; Move allows a single one",
    )
    hlm = _position(number, "HLM", 360, doc="High limit")
    llm = _position(number, "LLM", -360, doc="Low limit")
    lvio = _flag(integer_rbv, "LVIO", doc="1 if the last put was beyond a limit")
    velo = _field(
        number, "VELO", 50, (0.1, 200), "deg/s", precision=PRECISION, doc="Speed"
    )
    accl = _field(
        number,
        "ACCL",
        0,
        (0, LONGEST_ACCELERATION),
        "s",
        precision=2,
        doc="Time to full speed",
    )
    egu = _field(text_rbv, "EGU", "deg", doc="Unit of the position")
    prec = _field(
        integer_rbv, "PREC", PRECISION, (0, 15), "digits", doc="Decimals to show"
    )
    off = _position(number, "OFF", doc="User position at the dial's nought")
    dir = _field(choice, "DIR", ("Pos", "Neg"), "Pos", doc="User against dial")
    foff = _field(
        choice,
        "FOFF",
        ("Variable", "Frozen"),
        "Variable",
        doc="Whether SET and DIR may change OFF",
    )
    set = _field(
        choice,
        "SET",
        ("Use", "Set"),
        "Use",
        doc="Set: a put to VAL says where it is, and changes OFF; nothing moves",
    )
    hls = _flag(integer_rbv, "HLS", doc="1 at the high limit switch")
    lls = _flag(integer_rbv, "LLS", doc="1 at the low limit switch")
    athm = _flag(integer_rbv, "ATHM", doc="1 at the home mark")
    miss = _flag(integer_rbv, "MISS", doc="1 if the last move did not arrive")
    msta = _field(
        integer_rbv,
        "MSTA",
        MotorStatus.DONE.value,
        (0, 2**15 - 1),
        "bits",
        doc="Status bits: 0 up, 1 done, 2 high switch, 3 home switch, 6 stalled, "
        "10 moving, 13 low switch, 14 homed",
    )
    tdir = _flag(integer_rbv, "TDIR", 1, doc="1 if the last move went up on the dial")
    homf = _flag(integer, "HOMF", doc="Put 1 to go to the home mark and zero there")
    homr = _flag(integer, "HOMR", doc="Put 1 to go to the home mark and zero there")

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
        self._moved = moved
        self._limits = (settings.low, settings.high)
        self._homed = settings.home is not None
        self._stalled = False
        self._turn: _Turn | None = None
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
        await self._show_target(self._dial())

    async def move(self, dial: float) -> None:
        """Move to a dial position; returns at rest, or when another move began.

        Parameters
        ----------
        dial
            The position, within the limits.

        Raises
        ------
        RefusedPutError
            If the record is held.
        """
        self.refuse_if_held(f"{self._user(dial):g}")
        await self._run(_Turn(goal=dial))

    def refuse_if_held(self, value: str) -> None:
        """Refuse a command while the record lets nothing move.

        Parameters
        ----------
        value
            What was put.

        Raises
        ------
        RefusedPutError
            If SPMG is Stop or Pause.
        """
        if self.spmg.value in STANDING:
            msg = f"got {value} while SPMG is {self.spmg.value}; put Go to it first"
            raise RefusedPutError(msg)

    def read_encoder(self) -> float:
        """Give what the encoder reads now, in dial coordinates: no error here."""
        return self._dial()

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
        await self._go(self._user(value))
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
        """Stop where it is; the pending move completes."""
        if value:
            await self._stop()
        await instance.post(0)
        raise SkipWrite

    @spmg.putter
    async def _put_spmg(self, instance: Any, value: str) -> None:
        """Stop, hold or let go."""
        turn = self._turn
        if value == "Stop":
            await self._stop()
        elif value == "Pause" and turn is not None:
            self._history.stop(self._world.now())
            turn.paused = True
            turn.interrupt.set()
        elif turn is not None:
            turn.paused = False
            turn.released.set()

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
        """Move to a user position, or declare that it is there."""
        if self.set.value == "Set":
            await self._declare(target)
        else:
            await self.move(self._dial_of(target))

    async def _declare(self, position: float) -> None:
        self._refuse_in_motion(position)
        if self.foff.value == "Frozen":
            msg = f"got {position:g} in SET mode while FOFF is Frozen"
            raise RefusedPutError(msg)
        await self.off.post(position - self._sign * self._dial())
        await self.dval.post(self._dial())
        await self._show_coordinates()

    async def _tweak(self, instance: Any, value: int, distance: float) -> None:
        if value:
            await self._go(self.val.within(self.val.value + distance))
        await instance.post(0)
        raise SkipWrite

    async def _home(self, instance: Any, value: int) -> None:
        if value:
            home = self._settings.home
            if home is None:
                msg = f"got {value}, but this axis has no home mark"
                raise RefusedPutError(msg)
            self.refuse_if_held(str(value))
            await instance.post(1)
            await self._run(_Turn(goal=home - self._slip(), homing=True))
        await instance.post(0)
        raise SkipWrite

    async def _run(self, turn: _Turn) -> None:
        """Move from start to end, unless another turn takes over."""
        await self._begin(turn)
        await self._travel(turn)
        while self._turn is turn and turn.paused:
            await turn.released.wait()
            turn.released.clear()
            turn.interrupt.clear()
            if self._turn is turn:
                await self._travel(turn)
        if self._turn is turn:
            await self._end(turn)

    async def _begin(self, turn: _Turn) -> None:
        if self._turn is not None:
            self._turn.interrupt.set()
            self._turn.released.set()
        self._turn = turn
        self._stalled = False
        await self._raise_alarm(AlarmStatus.NO_ALARM, AlarmSeverity.NO_ALARM)
        await self.miss.post(0)
        await self.tdir.post(int(turn.goal >= self._dial()))
        await self.dmov.post(0)
        await self.movn.post(1)
        if not turn.homing:
            await self._show_target(turn.goal)

    async def _travel(self, turn: _Turn) -> None:
        """Let the time of the motion pass; the motor moves, if it can."""
        now = self._world.now()
        goal = self._reach(turn.goal)
        end = now + self._duration(abs(goal - self._dial()))
        if not self._stuck(self._world.faults.value("stuck_motor")):
            self._history.ramp(now, end, goal * self._settings.scale)
        while await pass_time(self._world, end, turn.interrupt, TICK):
            await self._report()

    async def _end(self, turn: _Turn) -> None:
        """Show where the motor rests, and how the move ended."""
        missed = abs(self._dial() - self._reach(turn.goal)) > ARRIVED
        if turn.homing and not missed:
            await self._zero()
        self._turn = None
        self._stalled = missed
        await self._report()
        if turn.homing:
            await self._show_target(self._dial())
        if missed:
            await self.miss.post(1)
            await self._raise_alarm(AlarmStatus.STATE, AlarmSeverity.MAJOR_ALARM)
        elif self.hls.value:
            await self._raise_alarm(AlarmStatus.HIGH, AlarmSeverity.MAJOR_ALARM)
        elif self.lls.value:
            await self._raise_alarm(AlarmStatus.LOW, AlarmSeverity.MAJOR_ALARM)
        if self.spmg.value == "Move":
            await self.spmg.post("Pause")
        await self.movn.post(0)
        await self.dmov.post(1)
        turn.interrupt.set()
        turn.released.set()

    async def _zero(self) -> None:
        """Let the position refer to the home mark again."""
        settings = self._settings
        home = settings.home or 0.0
        self._history.record(self._world.now(), home * settings.scale)
        if settings.slip:
            await self._world.faults.set(settings.slip, 0)
        self._homed = True

    async def _stop(self) -> None:
        """End the move where the motor is, as one that arrived there."""
        turn = self._turn
        if turn is None:
            return
        self._history.stop(self._world.now())
        turn.goal, turn.homing = self._dial(), False
        await self._show_target(turn.goal)
        await self._end(turn)

    async def _jam(self, motor: Any) -> None:
        """Fail the move that is under way when this motor gets stuck."""
        turn = self._turn
        if self._stuck(motor) and turn is not None:
            self._history.stop(self._world.now())
            await self._end(turn)

    def _stuck(self, motor: Any) -> bool:
        """Tell whether a state of the fault means this record."""
        return self._record.endswith(str(motor))

    def _refuse_in_motion(self, value: Any) -> None:
        if self._turn is not None:
            msg = f"got {value} during a move; wait for DMOV, or put 1 to STOP"
            raise RefusedPutError(msg)

    def _dial(self) -> float:
        """Where the encoder says that the motor is now."""
        return self._history.at(self._world.now()) / self._settings.scale

    def _slip(self) -> float:
        """By how much the encoder is wrong now."""
        name = self._settings.slip
        return float(self._world.faults.value(name)) if name else 0.0

    def _reach(self, goal: float) -> float:
        """Where a move to a goal ends: at a limit switch, if there is one before."""
        low, high = self._settings.switches or (-math.inf, math.inf)
        return min(max(goal, low), high)

    def _duration(self, distance: float) -> float:
        """Seconds for a distance, with the time to get up to speed and down again."""
        speed, rise = self.velo.value, self.accl.value
        if distance < speed * rise:
            return 2 * math.sqrt(distance * rise / speed)
        return distance / speed + rise

    @property
    def _sign(self) -> int:
        return 1 if self.dir.value == "Pos" else -1

    def _user(self, dial: float) -> float:
        return self._sign * dial + self.off.value

    def _dial_of(self, user: float) -> float:
        return self._sign * (user - self.off.value)

    async def _report(self) -> None:
        """Show where the motor is, and its switches."""
        dial = self._dial()
        settings = self._settings
        low, high = settings.switches or (-math.inf, math.inf)
        at_home = (
            settings.home is not None
            and abs(dial + self._slip() - settings.home) <= HOME_WIDTH
        )
        minus, plus = dial <= low, dial >= high
        read = self.read_encoder()
        await self.drbv.post(read)
        await self.rbv.post(self._user(read))
        positive = self._sign > 0
        await _show(self.hls, int(plus if positive else minus))
        await _show(self.lls, int(minus if positive else plus))
        await _show(self.athm, int(at_home))
        bits = {
            MotorStatus.DIRECTION: self.tdir.value,
            MotorStatus.DONE: self._turn is None,
            MotorStatus.PLUS_LS: plus,
            MotorStatus.HOME: at_home,
            MotorStatus.SLIP_STALL: self._stalled,
            MotorStatus.MOVING: self._history.moving(self._world.now()),
            MotorStatus.MINUS_LS: minus,
            MotorStatus.HOMED: self._homed,
        }
        await _show(self.msta, sum(bit.value for bit, is_set in bits.items() if is_set))
        if self._moved is not None:
            await self._moved(dial)

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

    async def _raise_alarm(self, status: AlarmStatus, severity: AlarmSeverity) -> None:
        """Change the alarm of the positions, as the record has one for all fields."""
        for channel in (self.val, self.rbv, self.dval, self.drbv):
            await channel.raise_alarm(status, severity)


async def _show(channel: Channel, value: int) -> None:
    """Post a value if it is another one."""
    if channel.value != value:
        await channel.post(value)


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
