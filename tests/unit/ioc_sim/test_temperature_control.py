"""The temperature controller by itself: its settings mean what its manual says."""

import math

import pytest

from ioc_sim.temperature_control import (
    Control,
    Gains,
    ask_heater,
    find_gains,
    follow_ramp,
    show_gains,
)

ZONE = Gains(0.5, 45.0, 0.0)


def control(**settings):
    return Control(set_point_k=10.0, ramp_k_per_min=6.0, **settings)


@pytest.mark.parametrize(
    ("heater_range", "power"),
    [("Off", 0), ("Range1/Low", 0.5), ("Range2/Medium", 5), ("Range3/High", 50)],
)
def test_each_range_is_a_decade_above_the_one_before(heater_range, power):
    settings = control(heater_range=heater_range)

    assert settings.power(50.0) == pytest.approx(power)


def test_the_settings_are_those_of_the_manual():
    # P in % per K, I = 1000 s over the integral time, D in % of a quarter of it
    gains = find_gains(control(mode="Closed Loop PID", p=20, i=50, d=40), ZONE, 5.0)

    assert gains == pytest.approx((1.0, 20.0, 2.0))
    assert show_gains(gains, 5.0) == pytest.approx((20.0, 50.0, 40.0))


def test_without_integral_there_is_no_derivative_either():
    gains = find_gains(control(mode="Closed Loop PID", p=20, i=0, d=40), ZONE, 5.0)

    assert gains == (pytest.approx(1.0), math.inf, 0.0)
    assert show_gains(gains, 5.0) == pytest.approx((20.0, 0.0, 0.0))


def test_the_zone_mode_shows_what_it_has_chosen():
    settings = control(p=1.0, i=1.0)

    assert find_gains(settings, ZONE, 50.0) == ZONE
    assert show_gains(ZONE, 50.0) == pytest.approx((1.0, 1000 / 45, 0.0))


@pytest.mark.parametrize(
    ("settings", "heater"),
    [
        ({"mode": "Off", "manual": 10.0}, 0.0),
        ({"mode": "Open Loop", "manual": 10.0}, 5.0),
        ({"mode": "Closed Loop PID", "manual": 10.0}, 6.0),
        ({"mode": "Zone", "manual": 10.0}, 9.0),
        ({"mode": "Zone", "heater_range": "Off"}, 0.0),
        ({"mode": "Zone", "heater_range": "Range1/Low"}, 0.5),
    ],
)
def test_each_mode_adds_up_its_own_parts(settings, heater):
    settings = control(**settings)

    wish = ask_heater(
        settings, ZONE, drive_k=2.0, forward_w=3.0, full_w=settings.power(50.0)
    )

    assert wish.heater_w == pytest.approx(heater)


@pytest.mark.parametrize(
    ("settings", "drive", "error", "goes_on"),
    [
        ({}, 2.0, 1.0, True),
        ({}, -2.0, -1.0, False),
        ({}, -2.0, 1.0, True),
        ({}, 200.0, 1.0, False),
        ({}, 200.0, -1.0, True),
        ({"mode": "Open Loop"}, 0.0, 1.0, False),
        ({"mode": "Off"}, 0.0, 1.0, False),
    ],
)
def test_the_integral_waits_where_the_heater_cannot_follow(
    settings, drive, error, goes_on
):
    wish = ask_heater(
        control(**settings), ZONE, drive_k=drive, forward_w=0.0, full_w=50.0
    )

    assert wish.may_integrate(error) is goes_on


def test_the_ramp_ends_at_the_set_point_from_either_side():
    assert follow_ramp(control(), 4.0, 5.0) == pytest.approx(4.5)
    assert follow_ramp(control(), 12.0, 5.0) == pytest.approx(11.5)
    assert follow_ramp(control(), 9.9, 5.0) == 10.0
    assert follow_ramp(control(ramping=False), 4.0, 0.25) == 10.0
