"""Instruments over a fast world, and puts as a client sends them, without a socket."""

import asyncio
import selectors
import time

import numpy as np
import pytest
from caproto import ChannelType, DbrStringArray
from scipy.optimize import least_squares

from ioc_sim.ccd import Ccd
from ioc_sim.clock import Clock
from ioc_sim.sample import load_sample
from ioc_sim.server import Bench
from ioc_sim.world import World

TIME_FACTOR = 1000.0

DEADLINE = 10.0
"""Real seconds for what takes none, on a slow computer."""


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

    def work(self, seconds):
        """Let what runs now take some time."""
        self._now += seconds


class Client:
    """Puts and reads the PVs of a bench, and knows nothing else of it."""

    def __init__(self, pvdb, put):
        self._pvdb, self._put = pvdb, put

    async def put(self, name, value):
        await self._put(self._pvdb[name], value)

    async def get(self, name):
        channel = self._pvdb[name]
        await channel.read(channel.data_type)
        return channel.value

    async def wait(self, name, value, deadline_s=60.0):
        """Look 20 times a second of the loop until the PV has a value."""
        async with asyncio.timeout(deadline_s):
            while await self.get(name) != value:  # noqa: ASYNC110 - it polls
                await asyncio.sleep(0.05)


@pytest.fixture(scope="session")
def visit(put, jumping_loop):
    """Have a client at a bench of its own: ``visit(scenario, seed=2)``."""

    def visit(scenario, *, sample=None, seed=1, factor=1.0):
        async def run():
            clock = Clock(factor, source=asyncio.get_running_loop().time)
            world = World(load_sample(sample), seed=seed, clock=clock)
            bench = Bench("", world)
            await bench.start()
            task = asyncio.create_task(bench.run())
            try:
                return await scenario(Client(bench.pvdb, put))
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

        with asyncio.Runner(loop_factory=jumping_loop) as runner:
            return runner.run(run())

    return visit


@pytest.fixture(scope="session")
def jumping_loop():
    """The event loop of a client that has all the time of the simulated world."""
    return JumpingLoop


def _fit_decays(decay, response, bins, width_ps):
    """Fit two decays behind the measured response: the usual reconvolution.

    The period is longer than the fit by a part of a bin; the response is taken near its
    maximum, and what is left of a decay after a period is left out.
    """
    size, lead = 8192, 200
    shift = lead - int(response.argmax())
    counts, light = (
        np.roll(histogram[:bins].astype(float), shift)
        for histogram in (decay, response)
    )
    light -= np.median(light)
    light[: lead - 150] = light[lead + 700 :] = 0.0
    transform = np.fft.rfft(light / light.sum(), size)
    omega = 2 * np.pi * np.fft.rfftfreq(size, width_ps)

    def model(parameters):
        first, second, fast, slow, delay, level = parameters
        decays = first / (1 + 1j * omega * fast) + second / (1 + 1j * omega * slow)
        decays *= transform * np.exp(-1j * omega * delay)
        return np.maximum(np.fft.irfft(decays, size)[:bins] + level, 1e-3)

    def deviance(parameters):
        expected = model(parameters)
        ratio = np.where(counts > 0, counts / expected, 1.0)
        terms = expected - counts + counts * np.log(ratio)
        return np.sign(expected - counts) * np.sqrt(2 * np.maximum(terms, 0.0))

    half = counts.sum() / 2
    start = [half, half, 80.0, 400.0, 0.0, np.median(counts) + 0.1]
    fit = least_squares(deviance, start, x_scale=[half, half, 50, 200, 4, 10])
    return (*sorted(fit.x[2:4]), 2 * fit.cost / (bins - len(start)))


@pytest.fixture(scope="session")
def fit_decays():
    """Lifetimes, fast and slow, in ps, and chi2, by two histograms alone."""
    return _fit_decays


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


class CcdOperator:
    """A CCD alone over a fast world, and someone who operates it.

    Records are named as in ``cam1:Acquire``.
    """

    TEXTS = ("FilePath", "FileName", "FileTemplate")

    def __init__(self, world, put):
        self.world = world
        self.group = Ccd("T:CCD:", world=world)
        self.put = put
        asyncio.run(self.group.start())

    def __getitem__(self, name):
        return self.group.pvdb[f"T:CCD:{name}"]

    def value(self, name):
        return self[name].value

    async def set(self, part, **values):
        """Put to several records of a part, texts that are long as CHAR."""
        for name, value in values.items():
            channel = self[f"{part}:{name}"]
            if name in self.TEXTS:
                text = np.frombuffer(str(value).encode() + b"\0", dtype=np.uint8)
                await self.put(channel, text, ChannelType.CHAR)
            else:
                await self.put(channel, value)

    async def take(self, number=1):
        """Take frames in one acquisition; gives the last one as it is served."""
        await self.set("cam1", ImageMode="Multiple", NumImages=number, Acquire=1)
        shape = self.value("image1:ArraySize1_RBV"), self.value("image1:ArraySize0_RBV")
        return self.value("image1:ArrayData").reshape(shape)

    def heard(self, name):
        """A queue of all that a record is written from now on."""
        values, post = asyncio.Queue(), self[name].post

        async def watch(value):
            await post(value)
            values.put_nowait(value)

        self[name].post = watch
        return values

    async def until(self, name, wanted):
        """Wait until a record is written this value."""
        values = self.heard(name)
        async with asyncio.timeout(DEADLINE):
            while self.value(name) != wanted:
                await values.get()

    async def capture(self):
        """Start a capture; gives the task that completes with it."""
        begun = asyncio.create_task(self.until("HDF1:Capture_RBV", "Capturing"))
        await asyncio.sleep(0)
        capture = asyncio.create_task(self.set("HDF1", Capture=1))
        await begun
        return capture


@pytest.fixture
def make_ccd(put):
    """Make a CCD; several over worlds of the same seed do the same."""

    def make(sample=None, *, seed=3, factor=TIME_FACTOR, source=time.monotonic):
        clock = Clock(factor, source=source)
        world = World(sample or load_sample(None), seed=seed, clock=clock)
        return CcdOperator(world, put)

    return make


@pytest.fixture
def ccd(make_ccd):
    return make_ccd()
