"""Crystals fade with the light that they absorbed, whoever looks."""

import asyncio
import math

import numpy as np
import pytest

from ioc_sim.sample_map import SampleMap
from ioc_sim.turns import do_in_turns

HOUR = 3600.0


@pytest.fixture
def fade(bench, quiet):
    """A world in which crystals fade by 10 %/h at 50 uW, 495 nm, from 100 s on."""

    def make(sample=quiet, **light):
        world = bench(sample, **light)
        world.clock.advance(100.0)
        asyncio.run(world.faults.set("photodegradation", 10.0))
        return world

    return make


def left(world, hours, crystal=0):
    now = world.now()
    if now < 100.0 + hours * HOUR:
        world.clock.advance(100.0 + hours * HOUR - now)
    return dict(world.state_at(world.now()).faded).get(crystal, 1.0)


def test_nothing_fades_by_itself(bench, quiet):
    world = bench(quiet, power_uw=80.0)
    world.clock.advance(10 * HOUR)

    assert world.state_at(world.now()).faded == ()


@pytest.mark.parametrize("hours", [0.1, 0.50001, 2.0])
def test_it_fades_by_the_fault_s_rate_at_50_microwatts_off_resonance(fade, hours):
    world = fade(wavelength_nm=495.0, power_uw=50.0)

    assert left(world, hours) == pytest.approx(math.exp(-0.1 * hours), rel=1e-6)


def test_it_fades_with_the_photons_absorbed(fade, sample):
    world = fade(wavelength_nm=526.0, power_uw=20.0)
    feeds = [
        SampleMap(sample, 0)
        .crystal(0)
        .carriers.absorption(1239841.984 / nm, sigma, 4.0)
        for nm, sigma in ((526.0, 3.426), (495.0, 3.869))
    ]
    photons = [sum(feeds[0]) * 20 * 526, sum(feeds[1]) * 50 * 495]

    dose = -math.log(left(world, 1.0))

    assert dose == pytest.approx(0.1 * photons[0] / photons[1], rel=1e-3)


def test_the_light_of_the_crystal_fades(fade):
    world = fade(wavelength_nm=495.0, power_uw=50.0)
    first = world.expected_rate(world.state_at(100.0)).sum()

    later = left(world, 3.0)

    rate = world.expected_rate(world.state_at(world.now())).sum()
    assert rate / first == pytest.approx(later, rel=1e-3)
    assert later == pytest.approx(math.exp(-0.3))


def test_it_rests_in_the_dark_and_out_of_the_focus(fade):
    world = fade(wavelength_nm=495.0, power_uw=50.0)
    world.shutter.record(100.0 + HOUR, 0)
    world.shutter.record(100.0 + 2 * HOUR, 1)
    world.objective_x.record(100.0 + 3 * HOUR, 28.0)

    assert left(world, 2.0) == pytest.approx(math.exp(-0.1))
    assert left(world, 4.0) == pytest.approx(math.exp(-0.2))


def test_a_weak_spot_of_light_beside_the_focus_fades_less(fade):
    world = fade(wavelength_nm=495.0, power_uw=50.0)
    world.objective_z.record(100.0, 23.0)

    assert left(world, 1.0) == pytest.approx(math.exp(-0.05))


def test_it_stays_faded_when_the_fault_is_over(fade):
    world = fade(wavelength_nm=495.0, power_uw=50.0)
    left(world, 1.0)
    asyncio.run(world.faults.set("photodegradation", 0.0))

    assert left(world, 5.0) == pytest.approx(math.exp(-0.1))


def test_what_is_left_does_not_depend_on_who_looks(fade, sample):
    watched, alone = (fade(sample, wavelength_nm=495.0, power_uw=50.0) for _ in "ab")
    for step in range(60):
        left(watched, step / 61)
        watched.sensor.expected_charge(watched.now() - 5.0, 5.0)

    assert left(watched, 1.0) == left(alone, 1.0)
    assert watched.state_at(1000.0).faded == alone.state_at(1000.0).faded


def test_the_past_is_as_it_was(fade):
    world = fade(wavelength_nm=495.0, power_uw=50.0)
    left(world, 2.0)

    then = dict(world.state_at(100.0 + HOUR).faded)
    before = world.state_at(50.0).faded

    assert then[0] == pytest.approx(math.exp(-0.1))
    assert before == ()


@pytest.fixture
def scan(fade):
    """Move about on and beside the crystal for three hours, with little memory."""

    def run(between, capacity):
        world = fade(wavelength_nm=495.0, power_uw=50.0)
        world.objective_x._capacity = capacity
        for move in range(400):
            now = 100.0 + 27.0 * move
            world.clock.advance(now - world.now())
            x_um = 20.0 if move < 200 else 28.0
            world.objective_x.ramp(now, now + 0.5, x_um + 0.1 * (move % 2))
            between(world, move)
        return left(world, 3.0)

    return run


def test_what_was_forgotten_has_faded_too(scan):
    def nothing(world, move):
        pass

    def look(world, move):
        if move % 70 == 0:
            world.state_at(world.now())

    def work(world, move):
        if move % 7 == 0:
            asyncio.run(do_in_turns(world.fading.count(world.now())))

    enough = scan(nothing, 32768)

    assert enough == pytest.approx(math.exp(-0.15), rel=0.01)
    assert scan(nothing, 90) == scan(look, 90) == scan(work, 90) == enough


def test_the_bench_counts_without_being_asked(fade, monkeypatch):
    monkeypatch.setattr("ioc_sim.world.PERIOD", 0.0)
    world = fade(wavelength_nm=495.0, power_uw=50.0)
    monkeypatch.setattr(world.clock, "wall", lambda _: 0.0)
    known = []

    async def watch():
        work = asyncio.create_task(world.run())
        for _ in range(50):
            world.clock.advance(10.0)
            for _ in range(4):
                await asyncio.sleep(0)
            known.append(len(world.fading._sums))
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    asyncio.run(watch())

    assert max(np.diff(known[1:])) == 1
    assert known[-1] >= 49


def test_counting_may_be_overtaken(fade):
    slow, alone = (fade(wavelength_nm=495.0, power_uw=50.0) for _ in "ab")
    slow.clock.advance(HOUR)
    work = slow.fading.count(slow.now())
    for _ in range(5):
        next(work)
    slow.state_at(slow.now())
    for _ in work:
        pass

    assert left(slow, 1.0) == left(alone, 1.0)
