"""The truth behind the bench, for tests and training; served with ``--truth`` only."""

import asyncio
import json

from caproto.server import pvproperty

from ioc_sim.base import BenchGroup
from ioc_sim.channels import LongTextReadback
from ioc_sim.declare import integer_rbv, number_rbv

__all__ = ["Simulation"]

PERIOD = 0.2
"""Real seconds between two times shown."""

TRUTH_LENGTH = 65536
"""Characters that the truth may have."""


class Simulation(BenchGroup):
    """What no real bench can tell."""

    seed = integer_rbv("Seed", 0, (0, 2**31 - 1), "1", doc="Seed of all random numbers")
    time_factor = number_rbv(
        "TimeFactor",
        1,
        (0, 1e6),
        "s/s",
        precision=3,
        doc="Simulated seconds in a real second",
    )
    time_rbv = number_rbv(
        "SimTime_RBV",
        0,
        (0, 1e9),
        "s",
        precision=3,
        doc="Simulated time since the start",
    )
    truth_rbv = pvproperty(
        dtype=LongTextReadback,
        name="Truth_RBV",
        value="{}",
        max_length=TRUTH_LENGTH,
        max_subscription_backlog=1,
        read_only=True,
        doc="Every physical parameter of the sample and the bench, as JSON",
    )

    async def start(self) -> None:
        """Show what does not change."""
        await self.seed.post(self.world.seed)
        await self.time_factor.post(self.world.clock.factor)
        await self.truth_rbv.post(json.dumps(self.world.truth()))

    async def run(self) -> None:
        """Show the simulated time."""
        while True:
            await self.time_rbv.post(self.world.now())
            await asyncio.sleep(PERIOD)
