"""Simulated time."""

import pytest

from ioc_sim.clock import Clock, ManualClock


def test_simulated_time_runs_faster_by_the_factor():
    real = iter([100.0, 103.0])
    clock = Clock(10.0, source=lambda: next(real))

    now = clock.now()

    assert now == 30.0


def test_real_time_of_a_simulated_duration_is_shorter_by_the_factor():
    clock = Clock(4.0)

    assert (clock.wall(10.0), clock.wall(-1.0), clock.factor) == (2.5, 0.0, 4.0)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("inf"), float("nan")])
def test_a_factor_without_meaning_is_refused(factor):
    with pytest.raises(ValueError, match="give a positive finite number"):
        Clock(factor)


def test_a_manual_clock_moves_only_forward():
    clock = ManualClock()
    clock.advance(2.0)

    with pytest.raises(ValueError, match="time does not go back"):
        clock.advance(-1.0)

    assert clock.now() == 2.0
