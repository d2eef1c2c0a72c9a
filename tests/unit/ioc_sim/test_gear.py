"""A drive with play against the rule of two teeth."""

import numpy as np
import pytest

from ioc_sim.gear import Gear
from ioc_sim.history import History

PLAY = 0.05


@pytest.fixture
def gear():
    motor, output = History(526.0), History(526.0)
    gear = Gear(motor, output, lambda _: PLAY)
    gear.output = output
    return gear


def test_upwards_the_output_is_the_motor_all_the_way(gear):
    end = gear.move(1.0, [700.0], 10.0)

    times = np.linspace(1.0, end, 50)
    assert [gear.output.at(t) for t in times] == [gear.motor.at(t) for t in times]
    assert gear.engaged


def test_downwards_the_output_stays_above_the_motor_by_the_play(gear):
    end = gear.move(1.0, [520.0], 10.0)

    assert (gear.motor.at(end), gear.output.at(end)) == (520.0, 520.0 + PLAY)
    assert not gear.engaged


def test_an_overshoot_larger_than_the_play_takes_it_up(gear):
    end = gear.move(1.0, [519.8, 520.0], 10.0)

    assert (gear.motor.at(end), gear.output.at(end)) == (520.0, 520.0)
    assert gear.engaged


def test_an_overshoot_smaller_than_the_play_leaves_the_rest(gear):
    end = gear.move(1.0, [519.98, 520.0], 10.0)

    assert gear.output.at(end) == pytest.approx(520.0 + PLAY - 0.02)


def test_at_every_time_the_output_is_where_the_teeth_leave_it(gear):
    commands = [(0.0, [520.0]), (0.9, [526.0, 524.0]), (1.3, [524.02]), (2.0, [523.0])]
    for time, targets in commands:
        gear.move(time, targets, 10.0)

    output = 526.0
    for time in np.arange(0.0, 3.0, 1e-4):
        motor = gear.motor.at(time)
        output = min(max(output, motor), motor + PLAY)
        assert gear.output.at(time) == pytest.approx(output, abs=2e-3)


def test_a_stop_takes_back_what_had_not_begun(gear):
    gear.move(0.0, [519.8, 520.0], 10.0)

    rested = gear.stop(0.3)

    assert rested == pytest.approx(523.0)
    assert gear.output.at(10.0) == pytest.approx(523.0 + PLAY)
    assert not gear.engaged


def test_a_short_step_up_after_a_step_down_does_not_move_the_output(gear):
    gear.move(0.0, [520.0], 10.0)

    gear.move(1.0, [520.03], 10.0)

    assert gear.output.at(2.0) == pytest.approx(520.0 + PLAY)
    assert not gear.engaged
