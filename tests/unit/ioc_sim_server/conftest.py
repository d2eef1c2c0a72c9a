"""Instruments over a fast world, and puts as a client sends them, without a socket."""

import asyncio
import selectors

import numpy as np
import pytest
from caproto import ChannelType, DbrStringArray

from ioc_sim.clock import Clock
from ioc_sim.sample import load_sample
from ioc_sim.server import Bench
from ioc_sim.world import World

TIME_FACTOR = 1000.0


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop that does not wait: its time is that of the next timer."""

    def __init__(self):
        self._now = 0.0
        super().__init__(selectors.SelectSelector())
        select = self._selector.select

        def jump(timeout=None):
            if timeout and self._scheduled:
                self._now = max(self._now, self._scheduled[0].when())
            return select(0)

        self._selector.select = jump

    def time(self):
        return self._now


@pytest.fixture(scope="session")
def jumping_loop():
    """The event loop of a client that has all the time of the simulated world."""
    return JumpingLoop


@pytest.fixture
def bench():
    world = World(load_sample(None), seed=3, clock=Clock(TIME_FACTOR))
    bench = Bench("T:", world, truth=True)
    asyncio.run(bench.start())
    return bench


@pytest.fixture
def pvs(bench):
    return bench.pvdb


@pytest.fixture(scope="session")
def put():
    """Write as a client does; numbers travel as DOUBLE, texts as STRING."""

    async def put(channel, value, data_type=None, metadata=None):
        if isinstance(value, str):
            data, kind = DbrStringArray([value.encode()]), ChannelType.STRING
        else:
            data, kind = np.atleast_1d(value), ChannelType.DOUBLE
        await channel.write_from_dbr(data, data_type or kind, metadata)

    return put
