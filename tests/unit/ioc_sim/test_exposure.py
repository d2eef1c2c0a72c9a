"""What falls on the chip, worked out while it falls."""

import asyncio

import numpy as np
import pytest

from ioc_sim import turns
from ioc_sim.camera import FULL_LINE
from ioc_sim.exposure import Exposure, Illumination
from ioc_sim.timeline import LONGEST_PART


@pytest.fixture
def asked():
    """Intervals that were asked for."""
    return []


@pytest.fixture
def expose(asked):
    def illuminate(start_s, end_s):
        asked.append((start_s, end_s))
        middle = (start_s + end_s) / 2
        for a, b in ((start_s, middle), (middle, end_s)):
            yield Illumination(b - a, np.full(1024, 2.0), 0.5)

    def expose(start_s, exposure_s):
        return Exposure(start_s, exposure_s, illuminate)

    return expose


def advance(exposure, time_s):
    asyncio.run(exposure.advance(time_s))


def test_light_and_diffuse_charge_add_up(expose):
    exposure = expose(3.0, 25.0)

    exposure.finish()

    assert exposure.light == pytest.approx(np.full(1024, 50.0))
    assert exposure.diffuse == pytest.approx(12.5)
    assert exposure.charge == pytest.approx(np.full(1024, 62.5))


def test_a_short_one_is_worked_out_when_it_is_over(expose, asked):
    exposure = expose(3.0, 0.5)
    assert exposure.next_s == 3.5

    advance(exposure, 3.4)
    assert asked == []
    assert not exposure.done
    advance(exposure, 3.5)

    assert asked == [(3.0, 3.5)]
    assert exposure.done


def test_a_long_one_is_worked_out_while_it_lasts(expose, asked):
    exposure = expose(0.0, 40.0)
    assert exposure.next_s == 2 * LONGEST_PART

    advance(exposure, 29.0)
    assert asked == [(0.0, 10.0)]
    advance(exposure, 40.0)

    assert asked == [(0.0, 10.0), (10.0, 20.0), (20.0, 30.0), (30.0, 40.0)]


def test_one_of_no_length_is_over_at_once(expose):
    exposure = expose(3.0, 0.0)

    advance(exposure, 3.0)

    assert exposure.done
    assert not exposure.charge.any()


def act(world, until_s):
    """Give the commands of a busy half-minute up to a time."""
    for second in range(25):
        if world.now() <= second < until_s:
            world.hwp_deg.ramp(second, second + 0.7, 40.0 * (second % 3))
            world.objective_x.ramp(second, second + 0.4, 20 + second % 2)
    if world.now() == 0.0:
        world.cryostat.change(5.0, set_point_k=20.0)
    world.clock.advance(until_s - world.now())


@pytest.mark.parametrize("looks", [1, 7, 50])
@pytest.mark.parametrize("turn_s", [0.0, 60.0])
def test_counts_do_not_depend_on_looks_or_turns(bench, monkeypatch, looks, turn_s):
    monkeypatch.setattr(turns, "TURN", turn_s)
    watched, alone = bench(), bench()
    exposure = watched.sensor.expose(0.5, 24.0)
    for until_s in np.linspace(0.0, 25.0, looks + 1)[1:]:
        act(watched, float(until_s))
        advance(exposure, watched.now())
    act(alone, 25.0)

    counts = watched.sensor.develop(exposure, 1, FULL_LINE)

    assert exposure.done
    assert np.array_equal(counts, alone.sensor.read_out(0.5, 24.0, 1, FULL_LINE))


def test_others_get_a_turn_after_each_part(bench, monkeypatch):
    monkeypatch.setattr(turns, "TURN", 0.0)
    world = bench()
    act(world, 20.0)
    done = []
    rate = world.expected_rate
    world.expected_rate = lambda state: done.append(state) or rate(state)
    seen = []

    async def watch(work):
        while not work.done():
            seen.append(len(done))
            await asyncio.sleep(0)

    async def both():
        work = asyncio.create_task(world.sensor.expose(0.0, 20.0).advance(20.0))
        await watch(work)

    asyncio.run(both())

    assert len(done) > 300
    assert max(np.diff(seen)) == 1
