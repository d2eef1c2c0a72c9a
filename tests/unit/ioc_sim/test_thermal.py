"""The cryostat."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from ioc_sim.thermal import STEP, Cryostat, heat_capacity, heat_flow


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

    model.set_point(0.0, float(target))
    path = follow(model, 700.0)

    outside = np.flatnonzero(np.abs(path - target) > 0.05)
    overshoot = (np.sign(target - start) * (path - target)).max()
    assert 6 <= outside[-1] + 1 <= 600
    assert overshoot < 0.16


def test_the_working_set_point_follows_the_ramp(cryostat):
    model = cryostat()
    model.set_ramp_rate(0.0, 6.0)
    model.set_point(0.0, 10.0)

    half, end = model.read(30.0), model.read(61.0)

    assert half.working_k == pytest.approx(7.0)
    assert half.ramping
    assert (end.working_k, end.ramping) == (10.0, False)


def test_cooling_down_takes_23_minutes(cryostat):
    model = cryostat(295.0)
    model.set_ramp_rate(0.0, 30.0)
    model.set_point(0.0, 4.0)

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
    model.set_point(0.0, 10.0)

    reading = model.read(20.0)

    assert reading.finger_k - reading.sample_k == pytest.approx(1.5 / 6, rel=0.2)


def test_a_new_set_point_is_not_stable_until_held_in_the_band(cryostat):
    model = cryostat()
    model.set_stability(0.0, band_k=0.05, hold_s=20.0)

    model.set_point(5.0, 5.0)
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

    model.set_point(5.0, 4.0)

    assert model.read(5.0).stable


def test_a_narrower_band_has_to_be_entered_anew(cryostat):
    model = cryostat()
    model.set_point(0.0, 4.2)
    model.advance(16.0)
    model.set_stability(16.0, band_k=1e-3, hold_s=0.0)

    assert not model.read(16.0).stable
    assert model.read(3000.0).stable


def test_below_the_coldest_temperature_it_never_gets_stable(cryostat):
    model = cryostat()

    model.set_point(0.0, 3.5)

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
        model.set_point(3.1, 9.0)
    for time in np.arange(3.1, 60.0, 0.037):
        asked.read(time)
    for model in (asked, left_alone):
        model.set_point(60.123, 12.0)

    assert asked.read(200.0) == left_alone.read(200.0)
    assert [asked.sample_temperature.at(t) for t in (10.0, 61.0, 199.0)] == [
        left_alone.sample_temperature.at(t) for t in (10.0, 61.0, 199.0)
    ]


def test_at_rest_it_does_not_depend_on_when_it_was_asked(cryostat):
    asked, left_alone = cryostat(), cryostat()
    for time in (1.0, 700.3, 9000.7):
        asked.read(time)
    for model in (asked, left_alone):
        model.set_point(10000.05, 9.0)

    assert asked.read(10100.0) == left_alone.read(10100.0)


def test_the_history_is_continuous_across_a_command(cryostat):
    model = cryostat()
    model.set_point(0.0, 10.0)
    model.advance(7.1)

    before = model.read(7.1).sample_k
    model.set_point(7.1, 4.0)

    assert model.sample_temperature.at(7.1) == pytest.approx(before)
    assert model.read(7.1 + STEP / 2).sample_k == pytest.approx(before, abs=0.05)
