"""The server: one process, one event loop, one world, all instruments."""

import asyncio
import logging
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from ioc_sim.analyser import Analyser
from ioc_sim.base import BenchGroup
from ioc_sim.ccd import Ccd
from ioc_sim.cryostat import Cryostat
from ioc_sim.identity import Identity
from ioc_sim.laser import Laser
from ioc_sim.latency import PromptContext
from ioc_sim.power_control import PowerControl
from ioc_sim.repeater import open_repeater
from ioc_sim.sim import Simulation
from ioc_sim.spectrometer import Spectrometer
from ioc_sim.tunable_filter import TunableFilter
from ioc_sim.world import World

__all__ = ["LOOPBACK", "Bench", "ServerSettings", "serve"]

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"

SERVER_PORT, REPEATER_PORT = 5064, 5065
"""Ports of Channel Access where the environment names none."""

LAST_PORT = 65535

GROUPS: dict[str, type[BenchGroup]] = {
    "LASER:": Laser,
    "FILTER:": TunableFilter,
    "POWER:": PowerControl,
    "CRYO:": Cryostat,
    "ANALYSER:": Analyser,
    "SPEC:": Spectrometer,
    "CCD:": Ccd,
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

    @property
    def loopback(self) -> bool:
        """Whether only this computer can reach the server."""
        return all(address.startswith("127.") for address in self.interfaces)


class Bench:
    """All instruments over one world.

    Parameters
    ----------
    prefix
        What all PV names begin with.
    world
        The bench behind the PVs.
    truth
        Whether to serve the truth too.
    """

    def __init__(self, prefix: str, world: World, *, truth: bool = False) -> None:
        groups = GROUPS | ({"SIM:": Simulation} if truth else {})
        self.prefix = prefix
        self.world = world
        self.groups = [
            group(prefix + name, world=world) for name, group in groups.items()
        ]

    @property
    def pvdb(self) -> dict[str, Any]:
        """Channels by PV name."""
        return {name: pv for group in self.groups for name, pv in group.pvdb.items()}

    async def start(self) -> None:
        """Write all first read-backs."""
        for group in self.groups:
            await group.start()

    async def run(self) -> None:
        """Do what goes on without a command, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for group in self.groups:
                tasks.create_task(group.run())

    async def make_safe(self) -> None:
        """Close the shutter and switch the laser off."""
        for group in self.groups:
            await group.make_safe()


async def serve(bench: Bench, settings: ServerSettings, ready: Any) -> None:
    """Serve a bench until SIGTERM or SIGINT; leave it safe.

    Parameters
    ----------
    bench
        What to serve.
    settings
        Where.
    ready
        Called once, without arguments, when clients can connect.

    Raises
    ------
    PortTakenError
        If another process serves on the port.
    """
    await bench.start()
    _send_beacons_to(settings)
    context = PromptContext(bench.pvdb, list(settings.interfaces), settings.port)
    repeater = await open_repeater(settings.repeater_port)
    with _stop_event() as stop:

        async def started(_: Any) -> None:
            ready()

        jobs = [
            asyncio.create_task(context.run(startup_hook=started)),
            asyncio.create_task(bench.run()),
            asyncio.create_task(stop.wait()),
        ]
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            for job in done:
                job.result()
        finally:
            await bench.make_safe()
            if repeater is not None:
                repeater.close()
            for job in jobs:
                job.cancel()
                with suppress(asyncio.CancelledError):
                    await job


def _send_beacons_to(settings: ServerSettings) -> None:
    """Point caproto's beacons at this host's repeater; it reads the environment."""
    os.environ["EPICS_CAS_BEACON_PORT"] = str(settings.repeater_port)
    if settings.loopback:
        os.environ["EPICS_CAS_BEACON_ADDR_LIST"] = LOOPBACK
        os.environ["EPICS_CAS_AUTO_BEACON_ADDR_LIST"] = "NO"


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
