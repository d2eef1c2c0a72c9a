"""Which IOC this is: a client sees here that it was restarted, or that it hangs."""

import asyncio
import time
import uuid
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from ioc_sim.base import BenchGroup
from ioc_sim.declare import choice_rbv, integer_rbv, number_rbv, text_rbv
from ioc_sim.world import World

__all__ = ["Identity"]

BEAT = 1.0
"""Real seconds between two heartbeats."""

MAX_BEATS = 2**31 - 1

MOST_DAYS = 36525.0
"""Days to show an up time in: a century."""

SECONDS_PER_DAY = 86400.0

BOOT_ID = str(uuid.uuid4())
"""Of this process; all its groups have the same."""

STARTED = datetime.now(UTC)
STARTED_MONOTONIC = time.monotonic()


class Identity(BenchGroup):
    """Boot id, heartbeat, version and start time of what serves a group of PVs.

    Parameters
    ----------
    prefix
        What its PV names begin with.
    world
        The bench behind the PVs.
    firmware
        What it runs; the simulator's name if not given.
    """

    boot_id_rbv = text_rbv(
        "BootId_RBV",
        "",
        doc="Another one after each start of the process",
        mirrors="none: devIocStats has a start time only",
    )
    heartbeat_rbv = integer_rbv(
        "Heartbeat_RBV",
        0,
        (0, MAX_BEATS),
        "beats",
        doc="Counts once a second",
        mirrors="devIocStats HEARTBEAT",
    )
    version_rbv = text_rbv(
        "Version_RBV",
        "",
        doc="What runs, and its version",
        mirrors="none: each driver shows its firmware in its own way",
    )
    start_time_rbv = text_rbv(
        "StartTime_RBV",
        "",
        doc="Start of the process, UTC",
        mirrors="devIocStats STARTTOD",
    )
    up_time_rbv = number_rbv(
        "UpTime_RBV",
        0,
        (0, MOST_DAYS * SECONDS_PER_DAY),
        "s",
        precision=1,
        doc="Real time since the start of the process",
        mirrors="devIocStats UPTIME",
    )
    simulated_rbv = choice_rbv(
        "Simulated_RBV",
        ("No", "Yes"),
        "Yes",
        doc="No instrument is behind these PVs",
        mirrors="none: real IOCs have no need to say so",
    )

    def __init__(
        self, prefix: str, *, world: World, firmware: str = "ioc_sim", **kwargs: Any
    ) -> None:
        super().__init__(prefix, world=world, **kwargs)
        self._firmware = firmware

    async def start(self) -> None:
        """Show what does not change."""
        await self.boot_id_rbv.post(BOOT_ID)
        await self.version_rbv.post(f"{self._firmware} {version('triplet-bluesky')}")
        await self.start_time_rbv.post(STARTED.isoformat(timespec="seconds"))

    async def run(self) -> None:
        """Beat."""
        while True:
            await self.up_time_rbv.post(time.monotonic() - STARTED_MONOTONIC)
            await asyncio.sleep(BEAT)
            await self.heartbeat_rbv.post((self.heartbeat_rbv.value + 1) % MAX_BEATS)
