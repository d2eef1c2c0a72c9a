"""Faults of the IOC itself, not of an instrument: what it answers, and whether.

Clients suffer from them, the other processes of the bench do not.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any, Protocol

from caproto import AccessRights, ChannelType

from ioc_sim.faults import FAULTS, FaultError, Faults, FaultValue

__all__ = [
    "MOMENTARY",
    "PV_FAULTS",
    "SERVER_FAULTS",
    "START_ONLY",
    "Connections",
    "WireFaults",
]

logger = logging.getLogger(__name__)

START_ONLY = ("wrong_type",)
"""Faults that are there from the start or not at all."""

MOMENTARY = ("lost_circuits", "ioc_restart")
"""Faults that happen and are over; they cannot be there from the start."""

SERVER_FAULTS = ("slow_ioc", *MOMENTARY)
"""Faults of one process, whatever else belongs to the bench."""

PV_FAULTS = ("stale_pv", "hung_put", "nan_reading", "wrong_type")
"""Faults that name the PV that they break."""


class Connections(Protocol):
    """A server, as far as its connections can break."""

    delay: float
    """Seconds that each answer takes longer."""

    def cut(self) -> None:
        """Close all connections of clients that are no part of the bench."""


class WireFaults:
    """Breaks channels and connections as the faults of a bench say.

    Parameters
    ----------
    faults
        The faults, which are watched from now on.
    prefix
        What all PV names begin with; faults name PVs without it.
    pvdb
        The channels that are served here, by PV name.
    elsewhere
        Gives the names of the PVs that other processes of the bench serve.
    """

    def __init__(
        self,
        faults: Faults,
        prefix: str,
        pvdb: Mapping[str, Any],
        elsewhere: Callable[[], Collection[str]],
    ) -> None:
        self.restart = asyncio.Event()
        """Set when the process is to start anew."""
        self._faults = faults
        self._prefix = prefix
        self._pvdb = pvdb
        self._elsewhere = elsewhere
        self._broken: dict[str, Any] = {}
        self._connections: Connections | None = None
        self._started = False
        checks = {
            "hung_put": _can_be_written,
            "nan_reading": _can_be_nan,
        }
        for name in PV_FAULTS:
            faults.guard(name, self._guard(name, checks.get(name)))
        for name in START_ONLY:
            faults.guard(name, self._only_at_the_start)
        for name, watcher in {
            "stale_pv": self._stale,
            "hung_put": self._hang,
            "nan_reading": self._spoil,
            "wrong_type": self._become_text,
            "slow_ioc": self._slow,
            "lost_circuits": self._cut,
            "ioc_restart": self._restart,
        }.items():
            faults.watch(name, watcher)

    def attach(self, connections: Connections) -> None:
        """Break the connections of a server too, from now on.

        Parameters
        ----------
        connections
            The server.
        """
        self._connections = connections
        connections.delay = float(self._faults.value("slow_ioc"))

    def started(self) -> None:
        """Refuse what must be there from the start."""
        self._started = True

    def _guard(
        self, fault: str, check: Callable[[Any], str] | None
    ) -> Callable[[FaultValue], None]:
        def guard(value: FaultValue) -> None:
            if value == FAULTS[fault].off:
                return
            channel = self._find(fault, str(value))
            reason = check(channel) if check and channel is not None else ""
            if reason:
                msg = f"{fault}: got {value!r}, {reason}"
                raise FaultError(msg)

        return guard

    def _only_at_the_start(self, value: FaultValue) -> None:
        if self._started:
            names = ", ".join(START_ONLY)
            msg = f"{names}: possible from the start only, with --faults"
            raise FaultError(msg)

    def _find(self, fault: str, name: str) -> Any:
        """Channel of a PV; None if it is served elsewhere."""
        if name in self._names(self._pvdb):
            return self._pvdb[self._prefix + name]
        elsewhere = self._elsewhere()
        if name in elsewhere:
            return None
        close = get_close_matches(name, [*self._names(self._pvdb), *elsewhere], n=1)
        hint = f"did you mean {close[0]}?" if close else "see --list-pvs"
        msg = f"{fault}: got the PV {name!r}, which the bench does not have; {hint}"
        raise FaultError(msg)

    def _names(self, pvdb: Mapping[str, Any]) -> list[str]:
        """Names without the prefix; what switches faults is not to break."""
        names = (name.removeprefix(self._prefix) for name in pvdb)
        return [name for name in names if not name.startswith("SIM:")]

    def _exchange(self, fault: str, value: FaultValue) -> tuple[Any, Any]:
        """Channel that was broken until now and channel that is to be broken."""
        old = self._broken.pop(fault, None)
        new = self._pvdb.get(f"{self._prefix}{value}") if value else None
        if new is not None:
            self._broken[fault] = new
        return old, new

    async def _stale(self, value: FaultValue) -> None:
        old, new = self._exchange("stale_pv", value)
        if old is not None:
            await old.thaw()
        if new is not None:
            await new.freeze()

    async def _hang(self, value: FaultValue) -> None:
        old, new = self._exchange("hung_put", value)
        if old is not None:
            old.recover()
        if new is not None:
            new.hang()

    async def _spoil(self, value: FaultValue) -> None:
        old, new = self._exchange("nan_reading", value)
        if old is not None:
            await old.repair()
        if new is not None:
            await new.spoil()

    async def _become_text(self, value: FaultValue) -> None:
        _, new = self._exchange("wrong_type", value)
        if new is not None:
            new.become_text()

    async def _slow(self, value: FaultValue) -> None:
        if self._connections is not None:
            self._connections.delay = float(value)

    async def _cut(self, value: FaultValue) -> None:
        if value and self._connections is not None:
            logger.warning("fault lost_circuits: all clients are cut off")
            self._connections.cut()
        if value:
            await self._faults.set("lost_circuits", 0.0)

    async def _restart(self, value: FaultValue) -> None:
        if value:
            logger.warning("fault ioc_restart: the IOC starts anew")
            self.restart.set()


def _can_be_written(channel: Any) -> str:
    writable = AccessRights.WRITE in channel.check_access("", "")
    return "" if writable else "which takes no puts"


def _can_be_nan(channel: Any) -> str:
    if channel.data_type == ChannelType.DOUBLE:
        return ""
    kind = ChannelType(channel.data_type).name
    return f"which is of type {kind} and cannot be NaN; expected a DOUBLE"
