"""The path of one axis in time."""

import pytest

from ioc_sim.history import History


def test_a_step_holds_from_its_time_on():
    axis = History(1.0)

    axis.record(5.0, 3.0)

    assert [axis.at(t) for t in (-1.0, 4.999, 5.0, 9.0)] == [1.0, 1.0, 3.0, 3.0]


def test_a_ramp_is_linear_and_holds_its_end():
    axis = History(0.0)

    axis.ramp(10.0, 14.0, 8.0)

    assert [axis.at(t) for t in (9.0, 10.0, 11.0, 14.0, 20.0)] == [0, 0, 2, 8, 8]


def test_a_move_takes_its_way_over_its_speed():
    axis = History(526.0)

    end = axis.move(1.0, 496.0, 10.0)

    assert end == 4.0
    assert axis.moving(2.0)
    assert not axis.moving(4.0)


def test_stop_leaves_the_axis_where_it_is():
    axis = History(0.0)
    axis.move(0.0, 100.0, 10.0)

    rest = axis.stop(3.0)

    assert rest == 30.0
    assert axis.at(50.0) == 30.0
    assert not axis.moving(4.0)


def test_a_new_move_starts_where_the_old_one_was():
    axis = History(0.0)
    axis.move(0.0, 100.0, 10.0)

    end = axis.move(2.0, 0.0, 10.0)

    assert end == 4.0
    assert axis.at(1.0) == 10.0
    assert axis.at(3.0) == 10.0


def test_breakpoints_are_where_the_value_steps_or_bends():
    axis = History(0.0)
    axis.record(1.0, 2.0)
    axis.ramp(3.0, 5.0, 4.0)
    axis.record(9.0, 0.0)

    inside = axis.breakpoints(1.0, 9.0)

    assert inside == [3.0, 5.0]


def test_the_span_leaves_out_a_step_at_its_end():
    axis = History(0.0)
    axis.ramp(1.0, 2.0, 4.0)
    axis.ramp(2.0, 3.0, 3.0)
    axis.record(8.0, 50.0)

    assert axis.span(0.0, 8.0) == 4.0
    assert axis.span(2.0, 8.0) == 1.0
    assert axis.span(7.0, 9.0) == 47.0


def test_the_integral_counts_steps_and_ramps_exactly():
    axis = History(2)
    axis.record(10.0, 6.0)
    axis.ramp(20.0, 30.0, 0.0)

    assert axis.integral(0.0, 40.0) == pytest.approx(20.0 + 60.0 + 30.0)
    assert axis.integral(25.0, 40.0) == pytest.approx(7.5)
    assert axis.integral(5.0, 5.0) == 0.0


def test_a_command_before_the_latest_one_is_refused():
    axis = History(0.0)
    axis.record(5.0, 1.0)

    with pytest.raises(ValueError, match="in the order of time"):
        axis.record(4.0, 2.0)


def test_a_ramp_that_ends_before_it_starts_is_refused():
    with pytest.raises(ValueError, match=r"a ramp from 2.0 s cannot end at 1.0 s"):
        History(0.0).ramp(2.0, 1.0, 0.0)


def test_memory_is_bounded_and_the_recent_past_is_kept():
    axis = History(0.0, capacity=100)

    for step in range(1000):
        axis.record(float(step), float(step))

    assert len(axis._segments) <= 100
    assert axis.at(960.5) == 960.0
    assert axis.at(-1.0) == axis._segments[0].first
