"""The server: one process, one event loop, one world, all instruments."""

import asyncio
import logging
import os
import signal
from asyncio import DatagramTransport
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from ioc_sim.analyser import Analyser
from ioc_sim.base import BenchGroup
from ioc_sim.ccd import Ccd
from ioc_sim.clock import ManualClock
from ioc_sim.cryostat import Cryostat
from ioc_sim.faults import FaultError, FaultValue
from ioc_sim.hardware import (
    Hardware,
    KeepsHardware,
    broken_hardware,
    keep_world,
    resume_world,
)
from ioc_sim.identity import Identity
from ioc_sim.laser import Laser
from ioc_sim.latency import PromptContext
from ioc_sim.objective import Objective
from ioc_sim.power_control import PowerControl
from ioc_sim.repeater import open_repeater
from ioc_sim.search import search
from ioc_sim.sim import Simulation
from ioc_sim.spectrometer import Spectrometer
from ioc_sim.subscriber import Address
from ioc_sim.tcspc import Tcspc
from ioc_sim.tunable_filter import TunableFilter
from ioc_sim.upstream import Follower
from ioc_sim.wire_faults import MOMENTARY, WireFaults
from ioc_sim.world import World

__all__ = [
    "LOOPBACK",
    "Bench",
    "ServedElsewhereError",
    "ServerSettings",
    "group_names",
    "serve",
]

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"

SERVER_PORT, REPEATER_PORT = 5064, 5065
"""Ports of Channel Access where the environment names none."""

LAST_PORT = 65535

REPEATER_CHECK = 2.0
"""Real seconds between two looks whether this host still has a repeater."""

SIM, SIM_PREFIX = "sim", "SIM:"
"""Name and prefix of the truth behind the bench."""

GROUPS: dict[str, type[BenchGroup]] = {
    "LASER:": Laser,
    "FILTER:": TunableFilter,
    "POWER:": PowerControl,
    "CRYO:": Cryostat,
    "ANALYSER:": Analyser,
    "OBJ:": Objective,
    "SPEC:": Spectrometer,
    "CCD:": Ccd,
    "TCSPC:": Tcspc,
    "IOC:": Identity,
}


def _port(*names: str, default: int) -> int:
    for name in names:
        if text := os.environ.get(name):
            if not text.isdecimal() or not 0 < int(text) <= LAST_PORT:
                msg = f"{name} is {text!r}; set it to a port number, or unset it"
                raise ValueError(msg)
            return int(text)
    return default


def _addresses() -> tuple[Address, ...]:
    """Read the address list of Channel Access clients; this computer by default."""
    port = _port("EPICS_CA_SERVER_PORT", default=SERVER_PORT)
    text = os.environ.get("EPICS_CA_ADDR_LIST", "").replace(",", " ") or LOOPBACK
    found = []
    for entry in text.split():
        host, _, at = entry.partition(":")
        if at and not (at.isdecimal() and 0 < int(at) <= LAST_PORT):
            msg = (
                f"EPICS_CA_ADDR_LIST has {entry!r}; expected addresses with or without "
                "a port, for example 127.0.0.1:5066"
            )
            raise ValueError(msg)
        found.append((host, int(at) if at else port))
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where to serve."""

    interfaces: tuple[str, ...] = (LOOPBACK,)
    """Addresses to listen on."""

    port: int = field(
        default_factory=lambda: _port(
            "EPICS_CAS_SERVER_PORT", "EPICS_CA_SERVER_PORT", default=SERVER_PORT
        )
    )
    """TCP port for channels, UDP port for searches."""

    repeater_port: int = field(
        default_factory=lambda: _port("EPICS_CA_REPEATER_PORT", default=REPEATER_PORT)
    )
    """UDP port for beacons."""

    addresses: tuple[Address, ...] = field(default_factory=_addresses)
    """Where clients look for the bench: this server and others of it."""

    @property
    def others(self) -> list[Address]:
        """Where other processes of the bench may serve."""
        own = {(interface, self.port) for interface in self.interfaces}
        return [address for address in self.addresses if address not in own]

    @property
    def loopback(self) -> bool:
        """Whether only this computer can reach the server."""
        return all(address.startswith("127.") for address in self.interfaces)


def group_names() -> dict[str, str]:
    """Give the prefix of each group by the name that it is served under."""
    names = {cls.__module__.rpartition(".")[2]: at for at, cls in GROUPS.items()}
    names["ioc"] = names.pop("identity")
    return {**names, SIM: SIM_PREFIX}


class ServedElsewhereError(Exception):
    """The PVs to serve are served already."""

    def __init__(self, name: str, host: str, port: int) -> None:
        super().__init__(
            f"{name} is served at {host}:{port} already, perhaps by another IOC of "
            "this bench: stop that one, or give another --prefix"
        )


class Bench:
    """Instruments over one world.

    Parameters
    ----------
    prefix
        What all PV names begin with.
    world
        The bench behind the PVs.
    truth
        Whether the truth is served too, here or elsewhere.
    serve
        Names of the groups to serve; all if not given.

    Raises
    ------
    ValueError
        If there is no such group, or it is not to be served.
    """

    def __init__(
        self,
        prefix: str,
        world: World,
        *,
        truth: bool = False,
        serve: Iterable[str] | None = None,
    ) -> None:
        self.prefix = prefix
        self.world = world
        self.truth = truth
        names = {name: at for name, at in group_names().items() if truth or name != SIM}
        self.served = list(names) if serve is None else _known(serve, names)
        """Names of the groups that are served here."""
        self.absent = [name for name in names if name not in self.served]
        """Names of the groups that another process serves, or none."""
        self.groups: list[BenchGroup] = []
        for name in self.served:
            self.groups += _make(name, prefix, names[name], world)
        self.pvdb: dict[str, Any] = {
            name: pv for group in self.groups for name, pv in group.pvdb.items()
        }
        """Channels by PV name."""
        self.wire = WireFaults(world.faults, prefix, self.pvdb, self._names_elsewhere)
        """Faults of the IOC itself."""

    async def start(
        self,
        faults: Mapping[str, FaultValue] | None = None,
        kept: Hardware | None = None,
    ) -> None:
        """Write all first read-backs, and break what is broken from the start.

        Parameters
        ----------
        faults
            Values by the names of the faults.
        kept
            Hardware to go on with, as `keep` gave it; its faults count.

        Raises
        ------
        FaultError
            If there is no such fault, or it cannot have this value.
        """
        if kept:
            resume_world(self.world, kept["world"])
        for group in self.groups:
            if kept and isinstance(group, KeepsHardware):
                await group.resume(kept["groups"][group.prefix])
            await group.start()
        broken = {**(faults or {}), **(kept["faults"] if kept else {})}
        for name, value in broken.items():
            if name in MOMENTARY:
                msg = f"{name}: happens at a moment, not from the start; use its PV"
                raise FaultError(msg)
            await self.world.faults.set(name, value)
        self.wire.started()

    async def run(self) -> None:
        """Do what goes on without a command, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.world.run())
            for group in self.groups:
                tasks.create_task(group.run())

    def keep(self) -> Hardware:
        """Give what the hardware keeps while the IOC starts anew, ready for JSON."""
        keeping = [each for each in self.groups if isinstance(each, KeepsHardware)]
        return {
            "world": keep_world(self.world),
            "groups": {group.prefix: group.keep() for group in keeping},
            "faults": broken_hardware(self.world),
        }

    async def make_safe(self) -> None:
        """Close the shutter and switch the laser off."""
        for group in self.groups:
            await group.make_safe()

    def _names_elsewhere(self) -> set[str]:
        """PVs of the groups that are not served here, without the prefix."""
        if not self.absent:
            return set()
        whole = Bench("", World(self.world.sample, clock=ManualClock()))
        return set(whole.pvdb) - {n.removeprefix(self.prefix) for n in self.pvdb}


async def serve(
    bench: Bench,
    settings: ServerSettings,
    ready: Callable[[], None],
    faults: Mapping[str, FaultValue] | None = None,
    kept: Hardware | None = None,
) -> bool:
    """Serve a bench until SIGTERM or SIGINT; leave it safe.

    Parameters
    ----------
    bench
        What to serve.
    settings
        Where.
    ready
        Called once, without arguments, when clients can connect.
    faults
        What is broken from the start: values by name.
    kept
        Hardware to go on with.

    Returns
    -------
    :
        Whether the process is to start anew.

    Raises
    ------
    FaultError
        If there is no such fault, or it cannot have this value.
    PortTakenError
        If another process serves on the port.
    ServedElsewhereError
        If another server has these PVs.
    """
    await _refuse_to_share(bench, settings)
    await bench.start(faults, kept)
    _send_beacons_to(settings)
    context = PromptContext(bench.pvdb, list(settings.interfaces), settings.port)
    bench.wire.attach(context)
    port = settings.repeater_port
    repeater = await open_repeater(port)
    with _stop_event() as stop:

        async def started(_: Any) -> None:
            ready()

        jobs = [
            asyncio.create_task(_keep_repeater(repeater, port)),
            asyncio.create_task(context.run(startup_hook=started)),
            asyncio.create_task(bench.run()),
            asyncio.create_task(stop.wait()),
            asyncio.create_task(bench.wire.restart.wait()),
        ]
        if bench.absent and settings.others:
            jobs.append(asyncio.create_task(_follow(bench, settings)))
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            for job in done:
                job.result()
        finally:
            await bench.make_safe()
            for job in jobs:
                job.cancel()
                with suppress(asyncio.CancelledError):
                    await job
    return bench.wire.restart.is_set() and not stop.is_set()


async def _refuse_to_share(bench: Bench, settings: ServerSettings) -> None:
    """Refuse to serve what another server serves already: clients would see both."""
    names = [next(iter(group.pvdb)) for group in bench.groups]
    found = await search(names, settings.addresses)
    if found:
        name, (host, port) = found[0]
        raise ServedElsewhereError(name, host, port)


async def _follow(bench: Bench, settings: ServerSettings) -> None:
    """Follow the groups that other processes serve."""
    names = group_names()
    absent = {name: names[name] for name in bench.absent}
    await Follower(bench.world, bench.prefix, absent, settings.others).run()


async def _keep_repeater(repeater: DatagramTransport | None, port: int) -> None:
    """Stay this host's repeater, or become it when another one ends."""
    try:
        while True:
            await asyncio.sleep(REPEATER_CHECK)
            if repeater is None:
                repeater = await open_repeater(port)
    finally:
        if repeater is not None:
            repeater.close()


def _send_beacons_to(settings: ServerSettings) -> None:
    """Point caproto's beacons at this host's repeater; it reads the environment."""
    os.environ["EPICS_CAS_BEACON_PORT"] = str(settings.repeater_port)
    if settings.loopback:
        os.environ["EPICS_CAS_BEACON_ADDR_LIST"] = LOOPBACK
        os.environ["EPICS_CAS_AUTO_BEACON_ADDR_LIST"] = "NO"


def _known(serve: Iterable[str], names: Mapping[str, str]) -> list[str]:
    """Refuse groups that there are not; keep the bench's order."""
    wanted = set(serve)
    unknown = sorted(wanted - set(names))
    if unknown == [SIM]:
        msg = f"got the group {SIM}, which is served with --truth only; add --truth"
        raise ValueError(msg)
    if unknown or not wanted:
        got = ", ".join(map(repr, unknown)) or "none"
        close = get_close_matches(unknown[0], names, n=1) if unknown else []
        hint = f"did you mean {close[0]}? " if close else ""
        msg = f"got the groups {got}; {hint}choices {', '.join(names)}"
        raise ValueError(msg)
    return [name for name in names if name in wanted]


def _make(name: str, prefix: str, at: str, world: World) -> list[BenchGroup]:
    """Make a group, and with an instrument what tells who serves it."""
    if name == SIM:
        return [Simulation(prefix + at, world=world)]
    group = GROUPS[at](prefix + at, world=world)
    if isinstance(group, Identity):
        return [group]
    firmware = f"simulated {name.replace('_', ' ')}"
    return [group, Identity(f"{prefix}{at}IOC:", world=world, firmware=firmware)]


@contextmanager
def _stop_event() -> Generator[asyncio.Event]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
