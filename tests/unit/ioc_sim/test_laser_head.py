"""Warm-up, base plate and counter of the laser."""

import math

import pytest
from scipy.integrate import solve_ivp

from ioc_sim.history import History
from ioc_sim.laser_head import LaserHead


@pytest.fixture
def head(sample):
    output = History(1)
    head = LaserHead(sample.laser, output, 0.0)
    head.output = output
    return head


def test_it_starts_cold_and_is_warm_after_its_time(head, sample):
    cold = 1 - sample.laser.cold_loss

    warm_at = head.emit(10.0, on=True, level=100)

    assert warm_at == pytest.approx(10.0 + sample.laser.warm_up)
    times = (5.0, 10.0, 11.0, 12.0, 100.0)
    outputs = [head.output.at(time) for time in times]
    assert outputs == pytest.approx([cold, cold, (1 + cold) / 2, 1.0, 1.0])
    assert [head.warm(time) for time in times] == pytest.approx([0, 0, 0.5, 1, 1])


def test_a_short_pause_costs_a_short_warm_up(head):
    head.emit(0.0, on=True, level=100)
    head.emit(50.0, on=False, level=100)

    assert head.emit(50.5, on=True, level=100) == pytest.approx(51.0)


def test_a_change_of_the_level_does_not_cool_it(head):
    first = head.emit(0.0, on=True, level=0)

    assert head.emit(0.5, on=True, level=100) == pytest.approx(first)


def test_the_base_plate_follows_the_light_as_its_equation_says(head, sample):
    laser = sample.laser
    for time, on, level in ((100.0, True, 50), (400.0, True, 100), (900.0, False, 100)):
        head.emit(time, on=on, level=level)
        drive = on * level / 100

        def slope(_, base, end=laser.ambient + laser.base_rise * drive):
            return [(end - base[0]) / laser.base_time]

        start = head.base_temperature(time)
        exact = solve_ivp(slope, (0, 250), [start], rtol=1e-9).y[0, -1]
        assert head.base_temperature(time + 250) == pytest.approx(exact, abs=1e-4)


def test_the_base_plate_does_not_depend_on_being_looked_at(sample):
    def run(looks):
        head = LaserHead(sample.laser, History(1), 0.0)
        head.emit(1.0, on=True, level=80)
        for time in looks:
            head.base_temperature(time)
            head.hours(time)
        head.emit(500.0, on=False, level=80)
        return head.base_temperature(700.0), head.hours(700.0)

    assert run([]) == run([1.0, 2.5, 300.0, 499.9])


def test_the_counter_counts_emission_only(head, sample):
    head.emit(0.0, on=True, level=10)
    head.emit(1800.0, on=True, level=100)
    head.emit(3600.0, on=False, level=100)

    assert head.hours(7200.0) == pytest.approx(sample.laser.hours + 1.0)
    assert math.isclose(head.emitted_s(9999.0), 3600.0)


def test_without_a_loss_it_is_always_ready(variant):
    head = LaserHead(variant(laser__cold_loss=0.0).laser, History(1), 0.0)

    assert head.emit(3.0, on=True, level=100) == 3.0
    assert head.warm(3.0) == 1.0
