"""Simulated time."""

from datetime import UTC, datetime, timedelta

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


def test_clocks_of_one_epoch_agree():
    epoch = datetime.now(UTC) - timedelta(seconds=100)

    first, second = (Clock(10.0, epoch=epoch) for _ in range(2))

    assert first.now() == pytest.approx(1000.0, abs=50.0)
    assert second.now() - first.now() == pytest.approx(0.0, abs=0.5)


def test_a_clock_tells_what_time_it_was():
    time_s = [0.0]
    clock = Clock(10.0, source=lambda: time_s[0])
    time_s[0] = 5.0

    assert clock.before(0.5) == 45.0


@pytest.mark.parametrize(("factor", "days"), [(1, 31), (100, 1), (1, -1)])
def test_an_epoch_ahead_or_too_long_ago_is_refused(factor, days):
    epoch = datetime.now(UTC) - timedelta(days=days)

    with pytest.raises(ValueError, match="got the epoch"):
        Clock(factor, epoch=epoch)
