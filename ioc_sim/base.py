"""What the instruments share: what they are part of, how they refuse and move."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

from caproto import SkipWrite
from caproto.server import PVGroup

from ioc_sim.channels import Channel, RefusedPutError
from ioc_sim.declare import text_rbv
from ioc_sim.history import History
from ioc_sim.world import World

__all__ = [
    "TICK",
    "Axis",
    "BenchGroup",
    "Busy",
    "Instrument",
    "Move",
    "Moves",
    "Part",
    "pass_time",
]

logger = logging.getLogger(__name__)

TICK = 0.05
"""Real seconds between read-backs of a motion: 20 Hz."""

SHORTEST_TICK = 0.1
"""Part of a tick that is too short to wait for; a loop that is late by less than the
rest keeps to its ticks."""


class BenchGroup(PVGroup):
    """A group of PVs over the world.

    Parameters
    ----------
    prefix
        What its PV names begin with, ending in a colon.
    world
        The bench behind the PVs.
    """

    def __init__(self, prefix: str, *, world: World, **kwargs: Any) -> None:
        self.world = world
        super().__init__(prefix, **kwargs)

    async def start(self) -> None:
        """Write the first read-backs, before the server is ready; none by default."""

    async def run(self) -> None:
        """Do what goes on without a command, until cancelled; nothing by default."""

    async def make_safe(self) -> None:
        """Leave nothing dangerous behind before the server ends; nothing by default."""


class Instrument(BenchGroup):
    """A group of PVs that takes commands, with a place for its last refusal."""

    last_error_rbv = text_rbv(
        "LastError_RBV",
        "",
        doc="Why the last put was refused: PV, value, limits; all of it with '$'",
        mirrors="none: EPICS drivers log it at best",
    )

    _blamed: Channel | None = None

    async def report_error(self, channel: Channel, text: str) -> None:
        """Show why a put was refused.

        Parameters
        ----------
        channel
            The PV that was put to.
        text
            Its name, what was got, what is possible.
        """
        logger.warning("refused a put to %s: %s", channel.pvname, text)
        self._blamed = channel
        await self.last_error_rbv.post(text)

    async def forget_error(self, channel: Channel) -> None:
        """Take the text back when the same PV gets a put that is possible.

        Parameters
        ----------
        channel
            The PV that was put to.
        """
        if self._blamed is channel:
            self._blamed = None
            await self.last_error_rbv.post("")


class Part(PVGroup):
    """A group of PVs that belongs to an instrument, under a prefix of its own.

    Parameters
    ----------
    prefix
        What its PV names begin with.
    parent
        The instrument, which shows its refusals.
    """

    def __init__(self, prefix: str, *, parent: Instrument) -> None:
        super().__init__(prefix, parent=parent)
        self._instrument = parent

    async def report_error(self, channel: Channel, text: str) -> None:
        """Have the instrument show why a put was refused."""
        await self._instrument.report_error(channel, text)

    async def forget_error(self, channel: Channel) -> None:
        """Have the instrument take the text back."""
        await self._instrument.forget_error(channel)


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """One move of an actuator."""

    rest: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the actuator rests, after this move or one that took over from it."""
    interrupt: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the move ends, or another one takes over."""


class Moves:
    """The moves of one actuator: a newer one takes over, and all complete at rest.

    So does a put-notify of an EPICS record, whoever put the newer target.
    """

    def __init__(self) -> None:
        self._latest: Move | None = None

    @property
    def under_way(self) -> bool:
        """Whether there is a move that has not ended."""
        return self._latest is not None

    def begin(self) -> Move:
        """Begin a move, and take over from the one that is under way.

        Returns
        -------
        :
            The move; to be waited for until it rests.
        """
        if self._latest is None:
            move = Move()
        else:
            move = Move(rest=self._latest.rest)
            self._latest.interrupt.set()
        self._latest = move
        return move

    async def end(self, report: Awaitable[None]) -> None:
        """End the move that is under way: all since the last rest complete.

        Parameters
        ----------
        report
            Awaited before they complete.
        """
        ended, self._latest = self._latest, None
        if ended is not None:
            ended.interrupt.set()
        await report
        if ended is not None:
            ended.rest.set()


class Axis:
    """One actuator: it moves a history at a finite speed and reports on the way.

    Parameters
    ----------
    world
        The bench, for its clock.
    history
        What the actuator moves.
    speed
        Units per simulated second.
    report
        Writes the read-back; gets the position.
    """

    def __init__(
        self,
        world: World,
        history: History,
        speed: float,
        report: Callable[[float], Awaitable[None]],
    ) -> None:
        self.speed = speed
        self._world = world
        self._history = history
        self._report = report
        self._moves = Moves()

    @property
    def moving(self) -> bool:
        """Whether a move is under way."""
        return self._moves.under_way

    async def move(self, target: float) -> None:
        """Move; returns at rest: there, where it was stopped, or at a newer target.

        Parameters
        ----------
        target
            Where to, in the unit of the history.
        """
        move = self._moves.begin()
        end = self._history.move(self._world.now(), target, self.speed)
        while await pass_time(self._world, end, move.interrupt, TICK):
            await self._report(self._history.at(self._world.now()))
        if not move.interrupt.is_set():
            await self._moves.end(self._report(target))
        await move.rest.wait()

    async def stop(self) -> None:
        """Stop where it is; pending moves return with the read-back written."""
        if self.moving:
            here = self._history.stop(self._world.now())
            await self._moves.end(self._report(here))


class Busy:
    """One operation at a time, behind a PV that is ``Done`` when there is none.

    Parameters
    ----------
    what
        What the operation is, for refusals.
    """

    def __init__(self, what: str) -> None:
        self.abort = asyncio.Event()
        """Set when the operation is to end early."""
        self._what = what
        self._idle = asyncio.Event()
        self._idle.set()

    async def put(
        self, channel: Channel, value: str, operate: Callable[[], Awaitable[None]]
    ) -> None:
        """Operate until it is done; ``Done`` ends it early. However it ends, it ends.

        Parameters
        ----------
        channel
            The PV that was put to.
        value
            ``Done``, or the name of the operation.
        operate
            Does it; returns soon after `abort` is set.

        Raises
        ------
        RefusedPutError
            If it is under way already.
        SkipWrite
            Always else: the PV is written.
        """
        if value == "Done":
            self.abort.set()
            await self._idle.wait()
            await channel.post("Done")
            raise SkipWrite
        if not self._idle.is_set():
            msg = f"got {value} during {self._what}; wait for it, or put Done to end it"
            raise RefusedPutError(msg)
        self._idle.clear()
        self.abort.clear()
        try:
            await channel.post(value)
            await operate()
        finally:
            self._idle.set()
            await channel.post("Done")
        raise SkipWrite


async def pass_time(
    world: World, end_s: float, interrupt: asyncio.Event, tick_s: float = inf
) -> bool:
    """Wait until a simulated time, an interruption or the next read-back.

    Parameters
    ----------
    world
        The bench, for its clock.
    end_s
        Simulated time to wait for.
    interrupt
        Ends the wait early.
    tick_s
        Real seconds between two read-backs: comes back at each multiple of it, so that
        all that moves is told in one message.

    Returns
    -------
    :
        Whether there is still time left.
    """
    left = world.clock.wall(end_s - world.now())
    if left <= 0 or interrupt.is_set():
        return False
    try:
        async with asyncio.timeout(min(left, _until_tick(tick_s))):
            await interrupt.wait()
    except TimeoutError:
        return world.now() < end_s
    return False


def _until_tick(tick_s: float) -> float:
    """Real seconds until the next multiple of a tick, or the one after it."""
    if tick_s == inf:
        return inf
    left = tick_s - asyncio.get_running_loop().time() % tick_s
    return left if left >= SHORTEST_TICK * tick_s else left + tick_s
