"""Parts of an interval, and what is lost by one state for each of them."""

from itertools import pairwise

import numpy as np
import pytest

from ioc_sim import motion
from ioc_sim.history import History
from ioc_sim.timeline import LONGEST_PART, MOST_PARTS, cut

FINE = 5
"""Parts of the comparison in one part."""


@pytest.fixture
def axis():
    return History(0.0)


def lengths(parts):
    return [b - a for a, b in parts]


def test_at_rest_there_is_one_part_for_each_ten_seconds(axis):
    assert cut(3.0, 4.0, {axis: 1.0}) == [(3.0, 4.0)]
    assert lengths(cut(0.0, 25.0, {axis: 1.0})) == pytest.approx([25 / 3] * 3)


def test_nothing_is_nothing(axis):
    assert cut(3.0, 3.0, {axis: 1.0}) == []


def test_it_is_cut_where_an_axis_steps_and_finely_where_it_moves(axis):
    other = History(5.0)
    axis.ramp(2.0, 3.0, 4.0)
    other.record(7.0, 6.0)

    parts = cut(1.0, 9.0, {axis: 1.0, other: 1.0})

    starts = [a for a, _ in parts]
    assert starts == pytest.approx([1.0, 2.0, 2.25, 2.5, 2.75, 3.0, 7.0])
    assert all(b == a for (_, b), (a, _) in pairwise(parts))


def test_a_drift_is_cut_without_its_bends(axis):
    for second in range(5):
        axis.ramp(second, second + 1, (second + 1) ** 2 / 25)

    assert lengths(cut(0.0, 5.0, {}, {axis: 0.25})) == pytest.approx([1.25] * 4)


def test_the_axis_that_moves_most_decides(axis):
    other = History(0.0)
    axis.ramp(0.0, 4.0, 8.0)
    other.ramp(0.0, 4.0, 8.0)

    assert len(cut(0.0, 4.0, {axis: 1.0, other: 0.5})) == 16


def test_an_axis_that_moves_very_far_is_cut_more_coarsely(axis):
    axis.ramp(0.0, 4.0, 1e9)
    axis.record(6.0, 0.0)

    assert len(cut(0.0, LONGEST_PART, {axis: 1.0})) == MOST_PARTS + 2


@pytest.mark.parametrize("moves", [10, 1000])
def test_many_moves_are_bounded(axis, moves):
    for move in range(moves):
        start = move * LONGEST_PART / moves
        axis.ramp(start, start + 5.0 / moves, 90.0 * (move % 2))

    parts = cut(0.0, LONGEST_PART, {axis: 1.0})

    assert len(parts) <= MOST_PARTS + 2 * moves
    assert sum(lengths(parts)) == pytest.approx(LONGEST_PART)


def move_filter(world):
    world.filter_nm.move(1.0, 500.0, motion.FILTER_SPEED)


def move_bandwidth(world):
    world.bandwidth_nm.move(1.0, 5.0, motion.BANDWIDTH_SPEED)


def move_od(world):
    world.od.move(1.0, 3.0, motion.OD_SPEED)


def turn_plate(world):
    world.hwp_deg.move(1.0, 50.0, motion.HWP_SPEED)


def move_spectrometer(world):
    world.spec_nm.move(1.0, 540.0, motion.SPECTROMETER_SPEED)


def close_slit(world):
    world.slit_um.move(1.0, 20.0, motion.SLIT_SPEED)


def scan_objective(world):
    for line in range(4):
        world.objective_x.ramp(1.0 + line, 1.9 + line, 16.0 + 8.0 * (line % 2))


def focus(world):
    world.objective_z.ramp(1.0, 4.0, 26.0)


def error(world, start_s=0.5, end_s=6.0):
    """What the middle of each part misses on any pixel, in the brightest one."""
    charge = world.sensor.expected_charge(start_s, end_s - start_s)
    edges = [
        time
        for a, b in world._states.parts(start_s, end_s)
        for time in np.linspace(a, b, FINE + 1)[:-1]
    ]
    fine = sum(
        (world.expected_rate(world.state_at((a + b) / 2)) + 0.5) * (b - a)
        for a, b in pairwise([*edges, end_s])
    )
    return np.abs(charge - fine).max() / fine.max()


@pytest.mark.parametrize(
    "act",
    [
        move_filter,
        move_bandwidth,
        move_od,
        turn_plate,
        move_spectrometer,
        close_slit,
        scan_objective,
        focus,
    ],
)
def test_one_state_for_a_part_is_as_good_as_many(quiet, bench, act):
    world = bench(quiet, power_uw=20.0)
    act(world)

    assert error(world) < 5e-4


def test_a_scan_that_is_cut_more_coarsely_misses_half_a_percent_at_most(quiet, bench):
    world = bench(quiet, power_uw=20.0)
    for line in range(4):
        world.objective_x.ramp(1 + line / 2, 1.45 + line / 2, 40.0 * (1 - line % 2))

    assert len(world._states.parts(0.5, 3.0)) > MOST_PARTS
    assert error(world, 0.5, 3.0) < 5e-3


@pytest.mark.parametrize("kelvin", [4.0, 60.0, 150.0])
def test_one_temperature_for_a_part_is_as_good_as_many(variant, bench, kelvin):
    sample = variant(
        cryostat__temperature=kelvin, source__drift=0.0, source__jitter=0.0
    )
    world = bench(sample, power_uw=20.0)
    world.cryostat.change(0.0, ramp_k_per_min=100.0)
    world.cryostat.change(0.0, set_point_k=80.0)

    assert error(world, 0.0, 30.0) < 5e-4
