"""The window that tells whether something holds still."""

import math

import pytest

from ioc_sim.stability import StabilityWindow


def test_the_peak_and_the_rms_are_those_of_the_window():
    window = StabilityWindow(lambda time: 5.0 if time < 100 else 4.0 + time % 1)

    past = window.judge(90.0, target=4.0, duration_s=10.0)
    now = window.judge(120.0, target=4.0, duration_s=10.0)

    assert (past.peak, past.rms) == (1.0, 1.0)
    # readings on half seconds: ten at 0.5, eleven and the present one at 0
    assert now.peak == 0.5
    assert now.rms == pytest.approx(math.sqrt(10 * 0.25 / 22))


def test_without_a_duration_only_the_present_reading_counts():
    window = StabilityWindow(lambda time: time)

    assert window.judge(7.3, target=7.0, duration_s=0.0).peak == pytest.approx(0.3)


def test_a_reading_that_is_none_spoils_the_window_until_it_has_left_it():
    window = StabilityWindow(lambda time: math.nan if 10 <= time < 11 else 4.0)

    assert math.isnan(window.judge(15.0, target=4.0, duration_s=10.0).peak)
    assert window.judge(21.5, target=4.0, duration_s=10.0).peak == 0.0


def test_it_reads_no_time_twice_and_none_before_the_start():
    times = []
    window = StabilityWindow(lambda time: times.append(time) or 4.0)

    for time in (1.1, 1.2, 1.6, 2.2):
        window.judge(time, target=4.0, duration_s=1.0)

    assert sorted(times) == [0.5, 1.0, 1.1, 1.2, 1.5, 1.6, 2.0, 2.2]


def test_a_long_window_is_judged_by_as_many_readings_as_a_short_one():
    times = []
    window = StabilityWindow(lambda time: times.append(time) or 4.0)

    window.judge(5000.0, target=4.0, duration_s=3600.0)

    assert len(times) <= 52


def test_how_often_it_is_asked_changes_nothing():
    def reading(time):
        return 4 + 0.1 * math.sin(time)

    asked, left_alone = StabilityWindow(reading), StabilityWindow(reading)
    for step in range(300):
        asked.judge(step * 0.07, target=4.0, duration_s=8.0)

    arguments = {"target": 4.0, "duration_s": 8.0}
    assert asked.judge(25.0, **arguments) == left_alone.judge(25.0, **arguments)
