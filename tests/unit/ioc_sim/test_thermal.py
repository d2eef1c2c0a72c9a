"""The cryostat."""

import random

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from ioc_sim.cryostat_state import STEP
from ioc_sim.heat_balance import heat_capacity, heat_flow
from ioc_sim.thermal import Cryostat


@pytest.fixture
def cryostat(sample):
    """A cryostat settled at a temperature, with silent thermometers by default."""

    def make(kelvin=4.0, **changes):
        changes = {"thermometer_noise": 0.0, "temperature": kelvin} | changes
        return Cryostat(sample.cryostat.model_copy(update=changes), seed=1)

    return make


def follow(cryostat, duration_s, step_s=1.0):
    return np.array(
        [cryostat.read(t).sample_k for t in np.arange(0.0, duration_s, step_s)]
    )


def test_heat_capacity_is_debye_like(sample):
    assert heat_capacity(4.0, sample.cryostat) == pytest.approx(0.677, abs=0.001)
    assert heat_capacity(45.0, sample.cryostat) == pytest.approx(55.6)
    assert heat_capacity(1000.0, sample.cryostat) == pytest.approx(110.6, rel=1e-3)


def test_heat_balance_without_heater_is_just_below_4_kelvin(sample):
    coldest = (0.16 * 3.2 + 4e-4 * 300) / (0.16 + 4e-4)

    assert coldest == pytest.approx(3.94, abs=0.01)
    assert heat_flow(coldest, 1.0, sample.cryostat) == pytest.approx(0.0, abs=1e-12)


def test_it_starts_settled_and_stable_at_4_kelvin(cryostat):
    reading = cryostat().read(0.0)

    assert (reading.finger_k, reading.sample_k) == (4.0, 4.0)
    assert reading.stable
    assert not reading.ramping
    assert reading.heater_percent == pytest.approx(100 * 0.0096 / 50, rel=0.01)
    assert cryostat().read(86400.0).sample_k == pytest.approx(4.0, abs=1e-6)


@pytest.mark.parametrize(
    ("start", "target"),
    [(4, 5), (4, 10), (10, 4), (10, 20), (20, 40), (40, 80), (160, 200), (270, 295)],
)
def test_a_step_settles_with_little_overshoot(cryostat, start, target):
    model = cryostat(float(start))

    model.change(0.0, set_point_k=float(target))
    path = follow(model, 700.0)

    outside = np.flatnonzero(np.abs(path - target) > 0.05)
    overshoot = (np.sign(target - start) * (path - target)).max()
    assert 6 <= outside[-1] + 1 <= 600
    assert overshoot < 0.16


def test_the_working_set_point_follows_the_ramp(cryostat):
    model = cryostat()
    model.change(0.0, ramp_k_per_min=6.0)
    model.change(0.0, set_point_k=10.0)

    half, end = model.read(30.0), model.read(61.0)

    assert half.working_k == pytest.approx(7.0)
    assert half.ramping
    assert (end.working_k, end.ramping) == (10.0, False)


def test_cooling_down_takes_23_minutes(cryostat):
    model = cryostat(295.0)
    model.change(0.0, ramp_k_per_min=30.0)
    model.change(0.0, set_point_k=4.0)

    path = follow(model, 1800.0, 10.0)

    arrived = np.flatnonzero(np.abs(path - 4.0) > 0.05)[-1] + 1
    assert arrived * 10 / 60 == pytest.approx(23, abs=1.5)


def test_without_heater_it_cools_as_the_differential_equation_says(cryostat, sample):
    model = cryostat(200.0, heater=1e-9)
    parameters = sample.cryostat

    solved = solve_ivp(
        lambda _, t: heat_flow(t[0], 1.0, parameters) / heat_capacity(t[0], parameters),
        (0, 600),
        [200.0],
        rtol=1e-8,
    )

    assert model.read(600.0).finger_k == pytest.approx(solved.y[0, -1], rel=0.005)


def test_the_sample_lags_behind_the_finger(cryostat):
    model = cryostat()
    model.change(0.0, set_point_k=10.0)

    reading = model.read(20.0)

    assert reading.finger_k - reading.sample_k == pytest.approx(1.5 / 6, rel=0.2)


def test_a_new_set_point_is_not_stable_until_held_in_the_band(cryostat):
    model = cryostat()
    model.set_stability(0.0, band_k=0.05, hold_s=20.0)

    model.change(5.0, set_point_k=5.0)
    at_once = model.read(5.0).stable
    times = np.arange(5.0, 100.0, 0.5)
    stable = [model.read(t).stable for t in times]
    first = times[stable.index(True)]
    entered = next(t for t in times if abs(model.sample_temperature.at(t) - 5) < 0.05)

    assert not at_once
    assert all(stable[stable.index(True) :])
    assert first - entered == pytest.approx(20.0, abs=1.0)


def test_the_same_set_point_again_stays_stable(cryostat):
    model = cryostat()

    model.change(5.0, set_point_k=4.0)

    assert model.read(5.0).stable


def test_a_narrower_band_has_to_be_entered_anew(cryostat):
    model = cryostat()
    model.change(0.0, set_point_k=4.2)
    model.advance(16.0)
    model.set_stability(16.0, band_k=1e-3, hold_s=0.0)

    assert not model.read(16.0).stable
    assert model.read(3000.0).stable


def test_below_the_coldest_temperature_it_never_gets_stable(cryostat):
    model = cryostat()

    model.change(0.0, set_point_k=3.5)

    assert model.read(3600.0).sample_k == pytest.approx(3.94, abs=0.01)
    assert model.read(3600.0).heater_percent == 0
    assert not model.read(3600.0).stable


def test_less_flow_costs_less_heat_and_no_flow_warms(cryostat):
    model = cryostat(20.0)
    full = model.read(0.0).heater_percent

    model.set_flow(0.0, 50.0)
    half = model.read(600.0)
    model.set_flow(600.0, 0.0)

    assert half.heater_percent < 0.6 * full
    assert half.flow_percent == 50.0
    assert model.read(1200.0).sample_k > 25.0


def test_helium_is_used_up_and_then_the_sample_warms(cryostat):
    model = cryostat(helium_use=100.0)

    full, low, empty = (model.read(t) for t in (0.0, 3000.0, 3590.0))

    assert full.helium_percent == 100.0
    assert low.helium_percent == pytest.approx(100 - 100 * 3000 / 3600)
    assert low.sample_k == pytest.approx(4.0, abs=1e-3)
    assert empty.sample_k > 4.5
    assert model.read(7200.0).helium_percent == pytest.approx(0.0, abs=1e-6)


def test_the_vacuum_is_better_when_cold(cryostat):
    assert cryostat(4.0).read(0.0).vacuum_mbar == pytest.approx(5e-7, rel=0.02)
    assert cryostat(295.0).read(0.0).vacuum_mbar == pytest.approx(2e-5)


def test_thermometers_are_noisy_by_millikelvins(cryostat):
    model = cryostat(thermometer_noise=0.003)

    path = follow(model, 300.0)

    assert path.std() == pytest.approx(0.003, rel=0.15)


def test_reading_changes_nothing(cryostat):
    asked, left_alone = cryostat(), cryostat()
    for model in (asked, left_alone):
        model.change(3.1, set_point_k=9.0)
    for time in np.arange(3.1, 60.0, 0.037):
        asked.read(time)
    for model in (asked, left_alone):
        model.change(60.123, set_point_k=12.0)

    assert asked.read(200.0) == left_alone.read(200.0)
    assert [asked.sample_temperature.at(t) for t in (10.0, 61.0, 199.0)] == [
        left_alone.sample_temperature.at(t) for t in (10.0, 61.0, 199.0)
    ]


def test_at_rest_it_does_not_depend_on_when_it_was_asked(cryostat):
    asked, left_alone = cryostat(), cryostat()
    for time in (1.0, 700.3, 9000.7):
        asked.read(time)
    for model in (asked, left_alone):
        model.change(10000.05, set_point_k=9.0)

    assert asked.read(10100.0) == left_alone.read(10100.0)


def test_the_history_is_continuous_across_a_command(cryostat):
    model = cryostat()
    model.change(0.0, set_point_k=10.0)
    model.advance(7.1)

    before = model.read(7.1).sample_k
    model.change(7.1, set_point_k=4.0)

    assert model.sample_temperature.at(7.1) == pytest.approx(before)
    assert model.read(7.1 + STEP / 2).sample_k == pytest.approx(before, abs=0.05)


@pytest.mark.parametrize(
    ("start", "target", "after_ramp"),
    [(4, 5, 14), (4, 10, 90), (10, 20, 90), (20, 40, 90), (80, 160, 90), (10, 4, 90)],
)
def test_a_ramped_step_settles_within_the_time_that_plans_reckon_with(
    cryostat, start, target, after_ramp
):
    model = cryostat(float(start))
    ramp_s = abs(target - start) / 10 * 60

    model.change(0.0, set_point_k=float(target))
    path = follow(model, ramp_s + 300.0)

    outside = np.flatnonzero(np.abs(path - target) > 0.05)
    assert outside[-1] + 1 - ramp_s <= after_ramp


@pytest.mark.parametrize("kelvin", [4.0, 20.0, 77.0, 295.0])
def test_at_rest_it_is_stable_to_a_few_millikelvins(cryostat, kelvin):
    model = cryostat(kelvin, thermometer_noise=0.003)
    model.set_stability(0.0, band_k=0.05, hold_s=60.0)

    readings = follow(model, 600.0)[100:]
    judged = model.read(600.0)

    assert np.sqrt(np.mean((readings - kelvin) ** 2)) < 0.006
    assert judged.rms_k < 0.006
    assert judged.rms_k <= judged.peak_k < 0.03
    assert judged.stable


@pytest.mark.parametrize("kelvin", [5.5, 30.0, 150.0, 295.0])
@pytest.mark.parametrize("flow", [100.0, 40.0])
def test_at_rest_the_heater_makes_up_for_the_losses(cryostat, kelvin, flow):
    model = cryostat(kelvin)
    model.set_flow(0.0, flow)

    reading = model.read(3600.0)

    losses = 0.16 * flow / 100 * (kelvin - 3.2) - 4e-4 * (300 - kelvin)
    assert reading.finger_k == pytest.approx(kelvin, abs=1e-4)
    assert reading.heater_w == pytest.approx(losses, rel=1e-3, abs=1e-5)


def independent_run(start_k, target_k, ramp_k_per_s, duration_s):
    """The heat balance under a continuous PI loop with feed-forward, by scipy.

    Written from the equations alone, with adaptive steps.
    """
    slope = np.sign(target_k - start_k) * ramp_k_per_s
    ramp_s = abs(target_k - start_k) / ramp_k_per_s

    def capacity(kelvin):
        return 110 * kelvin**3 / (kelvin**3 + 45**3) + 0.6

    def losses(kelvin):
        return 0.16 * (kelvin - 3.2) - 4e-4 * (300 - kelvin)

    def change(time, state, ramping):
        finger, sample, integral = state
        working = start_k + slope * time if ramping else target_k
        gain = capacity(finger) / 12
        forward = losses(working) + capacity(finger) * slope * ramping
        wanted = 0.95 * forward + gain * (working - finger + integral)
        heater = np.clip(wanted, 0, 50)
        return [
            (heater - losses(finger)) / capacity(finger),
            (finger - sample) / 1.5,
            (working - finger) / 45 * (heater == wanted),
        ]

    state = [start_k, start_k, 0.05 * losses(start_k) / (capacity(start_k) / 12)]
    times = np.arange(0.0, duration_s, 1.0)
    parts = []
    for first, last, ramping in [(0, ramp_s, True), (ramp_s, duration_s, False)]:
        chosen = times[(times >= first) & (times < last)]
        solved = solve_ivp(
            change,
            (first, last),
            state,
            args=(ramping,),
            t_eval=[*chosen, last],
            rtol=1e-8,
            max_step=0.1,
        )
        state = solved.y[:, -1]
        parts.append(solved.y[1, :-1])
    return np.concatenate(parts)


@pytest.mark.parametrize(("start", "target"), [(10.0, 20.0), (40.0, 50.0)])
def test_the_controlled_cryostat_follows_its_differential_equations(
    cryostat, start, target
):
    model = cryostat(start)
    model.change(0.0, set_point_k=target)

    path = follow(model, 180.0)

    expected = independent_run(start, target, 1 / 6, 180.0)
    assert np.abs(path - expected).max() < 0.04
    assert path[-1] == pytest.approx(expected[-1], abs=0.005)


def test_the_energy_is_conserved_over_a_step(cryostat, sample):
    model = cryostat(20.0)
    model.change(0.0, set_point_k=40.0)
    parameters = sample.cryostat

    times = np.arange(0.0, 400.0, STEP)
    readings = [model.read(time) for time in times]
    finger = np.array([reading.finger_k for reading in readings])
    heater = np.array([reading.heater_w for reading in readings])
    flow = np.array([heat_flow(kelvin, 1.0, parameters) for kelvin in finger])
    stored = np.array([heat_capacity(kelvin, parameters) for kelvin in finger])

    supplied = (heater[:-1] + (flow[:-1] + flow[1:]) / 2).sum() * STEP
    gained = ((stored[:-1] + stored[1:]) / 2 * np.diff(finger)).sum()
    assert gained == pytest.approx(supplied, rel=2e-3)


def test_a_dry_dewar_lets_the_sample_warm_up(cryostat):
    model = cryostat(helium_use=2.0)
    model.run_dry(0.0, 1.0)

    start, minute, five_minutes = (model.read(t) for t in (0.0, 60.0, 300.0))

    assert start.helium_percent < 1.0
    assert minute.sample_k == pytest.approx(9.2, abs=0.5)
    assert five_minutes.sample_k == pytest.approx(13.6, abs=0.5)
    assert five_minutes.heater_w == 0.0
    assert not minute.stable


def test_a_full_dewar_brings_the_temperature_back(cryostat):
    model = cryostat()
    model.run_dry(0.0, 1.0)
    model.run_dry(300.0, 0.0)

    reading = model.read(900.0)

    assert reading.helium_percent > 99.0
    assert reading.sample_k == pytest.approx(4.0, abs=0.01)
    assert reading.stable


def test_a_leak_warms_the_finger_to_where_the_balance_says(cryostat):
    model = cryostat()
    model.spoil_vacuum(0.0, 1e-2)

    soon, later = model.read(5.0), model.read(1800.0)

    leak = 4e-4 * (1 + 1e-2 / 1e-3)
    balance = (0.16 * 3.2 + leak * 300) / (0.16 + leak)
    assert soon.vacuum_mbar < later.vacuum_mbar
    assert later.vacuum_mbar == pytest.approx(1e-2, rel=0.01)
    assert later.sample_k == pytest.approx(balance, abs=0.01)

    model.spoil_vacuum(1800.0, 0.0)

    assert model.read(5400.0).sample_k == pytest.approx(4.0, abs=0.01)
    assert model.read(5400.0).vacuum_mbar == pytest.approx(5e-7, rel=0.05)


def test_an_open_thermometer_switches_the_heater_off_for_good(cryostat):
    model = cryostat(30.0)
    model.open_thermometer(10.0, is_open=True)

    during = model.read(60.0)
    again = model.reset_trip(60.0)

    assert np.isnan(during.sample_k)
    assert np.isnan(during.peak_k)
    assert (during.trip, during.heater_range, during.heater_w) == ("Sensor", "Off", 0)
    assert not during.stable
    assert not again
    assert during.finger_k < 20.0

    model.open_thermometer(61.0, is_open=False)

    assert model.read(62.0).trip == "Sensor"
    assert model.reset_trip(62.0)
    model.change(62.0, heater_range="Range3/High")
    assert model.read(600.0).sample_k == pytest.approx(30.0, abs=0.01)
    assert model.read(600.0).stable


def test_too_high_a_temperature_switches_the_heater_off_for_good(cryostat):
    model = cryostat(20.0)
    model.change(0.0, limits_k=(320.0, 25.0))
    model.change(0.0, set_point_k=40.0)
    path = follow(model, 300.0)

    tripped = model.read(300.0)

    assert 25.0 <= path.max() < 25.2
    assert (tripped.trip, tripped.heater_range) == ("Over temperature", "Off")
    assert tripped.sample_k < 10.0
    assert model.reset_trip(301.0)
    assert model.read(302.0).heater_w == 0.0


def test_the_finger_has_a_limit_of_its_own(cryostat):
    model = cryostat(20.0)
    model.change(0.0, limits_k=(21.0, 320.0))

    model.change(0.0, mode="Open Loop", manual=50.0)

    assert model.read(60.0).trip == "Over temperature"


def test_a_low_range_cannot_hold_a_high_temperature(cryostat):
    model = cryostat(40.0)
    model.change(0.0, heater_range="Range1/Low")

    reading = model.read(3600.0)

    assert (reading.heater_w, reading.heater_percent) == (0.5, 100.0)
    expected = (0.16 * 3.2 + 4e-4 * 300 + 0.5) / (0.16 + 4e-4)
    assert reading.sample_k == pytest.approx(expected, abs=0.01)
    assert not reading.stable


@pytest.mark.parametrize(
    "settings",
    [
        {"mode": "Closed Loop PID", "p": 2.0, "i": 20.0},
        {"heater_range": "Range2/Medium"},
        {"mode": "Closed Loop PID", "p": 20.0, "heater_range": "Range2/Medium"},
    ],
)
def test_the_loop_changes_over_without_a_jump(cryostat, settings):
    model = cryostat(30.0)
    before = model.read(100.0).heater_w

    model.change(100.0, **settings)
    path = [model.read(100.0 + t).sample_k for t in np.arange(0.0, 120.0, 1.0)]

    assert model.read(100.3).heater_w == pytest.approx(before, rel=1e-3)
    assert np.abs(np.array(path) - 30.0).max() < 0.01


def test_a_loop_with_own_settings_gets_there_too(cryostat):
    model = cryostat(20.0)
    model.change(0.0, mode="Closed Loop PID", p=2.0, i=20.0, d=50.0)

    model.change(0.0, set_point_k=25.0)
    reading = model.read(900.0)

    assert reading.sample_k == pytest.approx(25.0, abs=0.01)
    assert (reading.p, reading.i, reading.d) == pytest.approx((2.0, 20.0, 50.0))


def test_too_large_a_gain_swings(cryostat):
    model = cryostat(20.0)
    model.change(0.0, mode="Closed Loop PID", p=1000.0, i=1000.0)

    model.change(0.0, set_point_k=25.0)
    path = follow(model, 300.0)

    assert np.ptp(path[200:]) > 0.1


def test_an_open_loop_gives_the_manual_output(cryostat):
    model = cryostat(4.0)
    model.change(0.0, mode="Open Loop", manual=10.0)

    reading = model.read(3600.0)

    assert (reading.heater_w, reading.heater_percent) == (5.0, 10.0)
    expected = (0.16 * 3.2 + 4e-4 * 300 + 5.0) / (0.16 + 4e-4)
    assert reading.sample_k == pytest.approx(expected, abs=0.05)


def test_without_the_ramp_the_working_set_point_is_there_at_once(cryostat):
    model = cryostat()
    model.change(0.0, ramping=False)

    model.change(0.0, set_point_k=10.0)

    assert model.read(0.3).working_k == 10.0
    assert not model.read(0.3).ramping


def test_the_needle_valve_takes_its_time(cryostat):
    model = cryostat()

    end = model.set_flow(10.0, 40.0)

    assert end == pytest.approx(16.0)
    assert model.read(13.0).flow_percent == pytest.approx(70.0)
    assert model.read(16.3).flow_percent == pytest.approx(40.0)


def test_the_automatic_valve_saves_helium_at_rest_and_opens_to_cool(cryostat):
    model = cryostat(100.0)
    model.set_automatic_flow(0.0, automatic=True)

    at_rest = model.read(600.0)
    model.change(600.0, set_point_k=20.0)
    cooling = model.read(660.0)
    cold = model.read(2400.0)

    assert at_rest.flow_percent == pytest.approx(
        100 * (2.0 + 4e-4 * 200) / (0.16 * 96.8), rel=0.01
    )
    assert at_rest.sample_k == pytest.approx(100.0, abs=0.01)
    assert cooling.flow_percent == 100.0
    assert cold.stable
    assert cold.flow_percent < 100.0


def test_the_window_forgets_no_excursion(cryostat):
    """A disturbance that is over again counts as long as it is in the window."""
    model = cryostat(20.0)
    model.set_stability(0.0, band_k=0.05, hold_s=60.0)
    model.set_flow(100.0, 20.0)
    model.set_flow(130.0, 100.0)
    times = np.arange(100.0, 500.0, 0.5)
    readings = [model.read(time) for time in times]

    distances = np.array([abs(reading.sample_k - 20.0) for reading in readings])
    outside = times[np.flatnonzero(distances > 0.05)[-1]]
    stable = times[[reading.stable for reading in readings]]

    assert stable[stable > outside][0] == pytest.approx(outside + 60.0, abs=1.5)
    assert readings[int((outside + 30 - 100) * 2)].peak_k > 0.05


def test_noise_beyond_the_band_is_not_stable(cryostat):
    model = cryostat(thermometer_noise=0.003)
    model.set_stability(0.0, band_k=0.004, hold_s=30.0)

    assert not model.read(100.0).stable
    assert model.read(100.0).peak_k > 0.004


def test_faults_and_settings_do_not_depend_on_when_it_was_asked(cryostat):
    asked, left_alone = cryostat(20.0), cryostat(20.0)

    def work(model, *, often):
        model.change(1.05, set_point_k=30.0)
        model.set_flow(20.3, 60.0)
        model.spoil_vacuum(33.3, 1e-3)
        for time in np.arange(33.3, 90.0, 0.31) if often else []:
            model.read(time)
        model.run_dry(90.0, 0.5)
        model.change(120.7, heater_range="Range2/Medium")
        return model.read(400.0)

    assert work(asked, often=True) == work(left_alone, often=False)


def test_the_set_point_and_the_flow_come_in_any_order(cryostat):
    first, second = cryostat(20.0), cryostat(20.0)
    first.change(0.0, set_point_k=30.0)
    first.set_flow(0.0, 60.0)
    second.set_flow(0.0, 60.0)
    second.change(0.0, set_point_k=30.0)

    assert first.read(500.0) == second.read(500.0)


def test_a_heater_switched_on_again_on_the_way_down_does_not_stay_off(cryostat):
    """The integral comes back from where a change-over has left it."""
    model = cryostat(8.0)
    model.change(0.0, set_point_k=4.0)
    for time in (0.5, 2.0, 5.0, 10.0, 20.0):
        model.change(time, heater_range="Off")
        model.change(time + 0.3, heater_range="Range3/High")
        model.change(time + 0.4, heater_range="Range3/High")

    assert model.read(600.0).stable
    assert model.read(600.0).sample_k == pytest.approx(4.0, abs=0.01)


def disturb(model, choose):
    """A few seconds to minutes of commands and faults; gives the time of their end."""
    time = 0.0
    for _ in range(choose.randint(2, 5)):
        pause = choose.uniform(0.1, 15.0)
        match choose.randrange(7):
            case 0:
                model.change(time, set_point_k=choose.choice([4.5, 8.0, 100.0, 200.0]))
            case 1:
                model.open_thermometer(time, is_open=True)
            case 2:
                model.change(time, limits_k=(320.0, choose.choice([3.0, 6.0])))
            case 3:
                model.set_flow(time, choose.choice([0.0, 50.0, 80.0]))
            case 4:
                model.run_dry(time, 1.0)
            case 5:
                model.change(time, heater_range=choose.choice(["Off", "Range1/Low"]))
            case 6:
                model.change(time, mode="Closed Loop PID", p=choose.choice([0.1, 2.0]))
        time += pause
        model.open_thermometer(time, is_open=False)
        model.run_dry(time, 0.0)
        model.change(time, limits_k=(320.0, 320.0), mode="Zone")
    return time


@pytest.mark.parametrize("seed", [*range(12), 84, 96, 170, 371, 437])
def test_whatever_has_happened_it_gets_cold_and_stable_again(cryostat, seed):
    """No order of commands and faults leaves the integral far from where it works."""
    model = cryostat(4.0)
    end = disturb(model, random.Random(seed))

    model.reset_trip(end)
    model.change(end, heater_range="Range3/High")
    model.set_flow(end, 100.0)
    model.change(end + 0.4, set_point_k=4.0)

    assert model.read(end + 700.0).stable
