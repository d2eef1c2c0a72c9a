"""Which IOC this is: a client sees here that it was restarted, or that it hangs."""

import asyncio
import uuid
from datetime import UTC, datetime
from importlib.metadata import version

from ioc_sim.base import BenchGroup
from ioc_sim.declare import integer_rbv, text_rbv

__all__ = ["Identity"]

BEAT = 1.0
"""Real seconds between two heartbeats."""

MAX_BEATS = 2**31 - 1


class Identity(BenchGroup):
    """Boot id, heartbeat, version and start time of the process."""

    boot_id_rbv = text_rbv("BootId_RBV", "", doc="Another one after each start")
    heartbeat_rbv = integer_rbv(
        "Heartbeat_RBV", 0, (0, MAX_BEATS), "beats", doc="Counts once a second"
    )
    version_rbv = text_rbv("Version_RBV", "", doc="Version of the simulator")
    start_time_rbv = text_rbv("StartTime_RBV", "", doc="Start of the process, UTC")

    async def start(self) -> None:
        """Show what does not change."""
        await self.boot_id_rbv.post(str(uuid.uuid4()))
        await self.version_rbv.post(version("triplet-bluesky"))
        await self.start_time_rbv.post(datetime.now(UTC).isoformat(timespec="seconds"))

    async def run(self) -> None:
        """Beat."""
        while True:
            await asyncio.sleep(BEAT)
            await self.heartbeat_rbv.post((self.heartbeat_rbv.value + 1) % MAX_BEATS)
