"""The same commands give the same counts: whoever looks on, in whichever order.

The instruments run on an event loop whose time jumps to the next thing that happens, so
that commands come at exactly the same simulated times in each run.
"""

import asyncio
import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest

from ioc_sim.clock import Clock
from ioc_sim.sample import load_sample
from ioc_sim.server import Bench
from ioc_sim.world import World

POLL_S = 0.02
"""A client that polls at 50 Hz."""

SETTINGS = {
    "FILTER:Wavelength": 522.0,
    "FILTER:Bandwidth": 2.0,
    "POWER:OD": 0.6,
    "POWER:PowerCap": 40.0,
    "ANALYSER:HWP": 61.0,
    "SPEC:Wavelength": 533.0,
    "SPEC:SlitSize1": 120.0,
    "SPEC:Grating": "Grating 2",
    "CRYO:SETP_S1": 6.0,
    "OBJ:X": 20.1,
    "OBJ:Y": 19.9,
    "OBJ:Z": 20.5,
    "CCD:cam1:AcquireTime": 0.4,
    "CCD:cam1:NumExposures": 2,
    "CCD:cam1:AndorReadOutMode": "Image",
    "CCD:cam1:AndorPreAmpGain": "2.0x",
    "CCD:cam1:AndorADCSpeed": "3.00 MHz",
    "CCD:cam1:MinX": 400,
    "CCD:cam1:SizeX": 500,
    "CCD:cam1:BinX": 5,
    "CCD:cam1:MinY": 100,
    "CCD:cam1:SizeY": 200,
    "CCD:cam1:BinY": 120,
    "TCSPC:TIME": 300,
    "TCSPC:OFFSET": 5000,
    "TCSPC:PMT:HV": 780,
}
"""Settings of each instrument; some of the camera fit its chip in one order only."""

RECORD_S = 90.0
"""When counting begins, whatever the settings took."""


@dataclass
class Run:
    """What a scenario has recorded."""

    seed: int = 5
    polled: bool = False
    recorded: dict = field(default_factory=dict)

    def play(self, scenario, put, loop):
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(self._play(scenario, put))
        return self.recorded

    async def _play(self, scenario, put):
        clock = Clock(source=asyncio.get_running_loop().time)
        bench = Bench("", World(load_sample(None), seed=self.seed, clock=clock))
        await bench.start()
        tasks = [asyncio.create_task(bench.run())]
        if self.polled:
            tasks.append(asyncio.create_task(poll(bench)))

        async def write(name, value):
            await put(bench.pvdb[name], value)

        try:
            await scenario(write)
            for name in ("CCD:image1:ArrayData", "POWER:Meter:Power_RBV", HISTOGRAM):
                self.recorded[name] = np.array(bench.pvdb[name].value)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def poll(bench):
    """Read every tenth PV at a time, and all of them in turn."""
    channels = list(bench.pvdb.values())
    for first in itertools.cycle(range(10)):
        for channel in channels[first::10]:
            await channel.read(channel.data_type)
        bench.world.truth()
        await asyncio.sleep(POLL_S)


@pytest.fixture
def play(put, jumping_loop):
    """Run a scenario on a bench of its own: ``play(scenario, seed=6)``."""

    def play(scenario, **kwargs):
        return Run(**kwargs).play(scenario, put, jumping_loop)

    return play


HISTOGRAM = "TCSPC:SAMPLES_FAST"


async def light(write):
    await write("LASER:Emission", "On")
    await write("LASER:Level", 100)
    await write("POWER:OD", 0.5)
    await write("POWER:Shutter", "Open")


async def record(write):
    await write("POWER:Meter:Measure", "Measure")
    await write("CCD:cam1:Acquire", 1)
    await write("SPEC:FlipperMirror2", "Side")
    await write("TCSPC:PMT:HV", 800)
    await write("TCSPC:Acquire", 1)


async def scan(write):
    """Light, a scan that moves during an exposure, and a decay."""
    await light(write)
    for wavelength in (530.0, 526.0, 522.0):
        await write("FILTER:Wavelength", wavelength)
        exposure = asyncio.create_task(write("CCD:cam1:Acquire", 1))
        await asyncio.sleep(0.1)
        await write("OBJ:X", wavelength / 526 * 20)
        await exposure
    await record(write)


async def together(write, settings):
    await asyncio.gather(*(write(*setting) for setting in settings))


async def one_by_one(write, settings):
    for setting in settings:
        await write(*setting)


def in_order(settings, put_all):
    """Settings in an order; counting begins at the same time however long they took."""

    async def scenario(write):
        await light(write)
        await put_all(write, settings)
        left = RECORD_S - asyncio.get_running_loop().time()
        assert left > 0
        await asyncio.sleep(left)
        await record(write)

    return scenario


def same(first, second):
    return {name for name in first if np.array_equal(first[name], second[name])}


def test_the_same_seed_and_commands_give_the_same_counts(play):
    first, again = play(scan), play(scan)

    assert first["CCD:image1:ArrayData"].max() > 1000
    assert first[HISTOGRAM].sum() > 1000
    assert same(first, again) == set(first)


def test_another_seed_gives_other_counts(play):
    first, other = play(scan), play(scan, seed=6)

    assert same(first, other) == set()


def test_a_client_that_polls_at_50_hz_changes_no_count(play):
    alone, watched = play(scan), play(scan, polled=True)

    assert same(alone, watched) == set(alone)


@pytest.mark.parametrize(
    ("put_all", "turn"), [(together, 5), (one_by_one, 9), (one_by_one, 19)]
)
def test_the_order_of_settings_does_not_matter(play, turn, put_all):
    settings = list(SETTINGS.items())
    other = settings[turn:][::-1] + settings[:turn]

    forward = play(in_order(settings, put_all))
    backward = play(in_order(other, put_all))

    assert forward["CCD:image1:ArrayData"].max() > 1000
    assert same(forward, backward) == set(forward)
