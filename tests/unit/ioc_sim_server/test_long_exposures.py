"""Long exposures and histograms leave the IOC time for everybody else."""

import asyncio
import math

import numpy as np
import pytest

from ioc_sim import turns
from ioc_sim.ccd import Ccd
from ioc_sim.clock import Clock
from ioc_sim.sample import load_sample
from ioc_sim.tcspc import Tcspc
from ioc_sim.world import World

MOVES_EVERY = 30.0
"""Simulated seconds."""

MOST_PARTS = 300
"""States of the light path that are worked out between two beats, at most: half a
minute of moves makes some 100 of them, the whole exposure some thousands."""


class Heart:
    """Beats each simulated second, and counts the work done between two beats."""

    def __init__(self, world):
        self.between = []
        self._world = world
        self._parts = 0
        self._mean = world._states.mean
        world._states.mean = self._work

    def _work(self, start_s, end_s):
        self._parts += 1
        return self._mean(start_s, end_s)

    async def beat(self):
        while True:
            self.between.append(self._parts)
            self._parts = 0
            await asyncio.sleep(1.0)


async def fidget(world):
    """Warm up, and turn the plate and scan the stage now and then."""
    world.cryostat.change(world.now(), ramp_k_per_min=2.0)
    world.cryostat.change(world.now(), set_point_k=100.0)
    turn = 0
    while True:
        turn += 1
        now = world.now()
        world.hwp_deg.move(now, 80.0 * (turn % 2), 50.0)
        world.objective_x.move(now + 2.0, 20.0 + turn % 2, 2.0)
        await asyncio.sleep(MOVES_EVERY)


@pytest.fixture
def work(put, jumping_loop):
    """Have an instrument measure on a busy bench: ``work(Ccd, "cam1:Acquire")``."""

    def work(instrument, start, settings, exit_port=0.0):
        async def run():
            clock = Clock(source=asyncio.get_running_loop().time)
            world = World(load_sample(None), seed=1, clock=clock)
            for axis, value in (
                (world.emission, 1.0),
                (world.level, 100.0),
                (world.od, 0.5),
                (world.shutter, 1.0),
                (world.exit_port, exit_port),
            ):
                axis.record(0.0, value)
            group = instrument("", world=world)
            await group.start()
            heart = Heart(world)
            others = [
                asyncio.create_task(each)
                for each in (heart.beat(), fidget(world), world.run())
            ]
            for name, value in settings.items():
                await put(group.pvdb[name], value)
            await put(group.pvdb[start], 1)
            heart.between.append(heart._parts)
            for other in others:
                other.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            return group.pvdb, heart.between

        with asyncio.Runner(loop_factory=jumping_loop) as runner:
            return runner.run(run())

    return work


def expose(work, length_s):
    return work(Ccd, "cam1:Acquire", {"cam1:AcquireTime": length_s})


def test_a_long_exposure_is_worked_out_while_it_lasts(work):
    _, between = expose(work, 1800.0)

    assert len(between) >= 1800
    assert sum(between) > 5 * MOST_PARTS
    assert max(between) < MOST_PARTS


def test_turns_do_not_change_a_long_exposure(work, monkeypatch):
    monkeypatch.setattr(turns, "TURN", math.inf)
    at_once, _ = expose(work, 200.0)
    monkeypatch.setattr(turns, "TURN", 0.0)
    in_turns, _ = expose(work, 200.0)

    counts = [pvdb["image1:ArrayData"].value for pvdb in (at_once, in_turns)]

    assert np.max(counts[0]) > 1000
    assert np.array_equal(*counts)


def test_a_long_histogram_is_counted_while_it_lasts(work):
    pvdb, between = work(Tcspc, "Acquire", {"TIME": 300_000}, exit_port=1.0)

    assert np.sum(pvdb["SAMPLES_FAST"].value) > 1000
    assert sum(between) > MOST_PARTS
    assert max(between) < MOST_PARTS
