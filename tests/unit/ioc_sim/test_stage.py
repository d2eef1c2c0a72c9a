"""Where the objective looks: piezos, drift, contraction and two faults."""

import asyncio

import numpy as np
import pytest

from ioc_sim.clock import ManualClock
from ioc_sim.stage import contraction
from ioc_sim.world import World

HOUR = 3600.0


@pytest.fixture
def world(sample):
    return World(sample, seed=4, clock=ManualClock())


@pytest.fixture
def still(quiet):
    return World(quiet, seed=4, clock=ManualClock())


def warm(world, kelvin):
    """Give where the focus is when the cryostat has settled at a temperature."""
    world.temperature_k.record(world.now(), kelvin)
    return np.array(world.stage.focus_um(world.now(), world.now()))


def test_it_starts_on_the_crystal(still):
    assert still.stage.focus_um(0.0, 0.0) == pytest.approx((20.0, 20.0, 20.0))


def test_the_focus_is_where_the_piezos_are(still):
    still.objective_x.record(1.0, 12.0)
    still.objective_z.record(1.0, 31.5)

    assert still.stage.focus_um(2.0, 2.0) == pytest.approx((12.0, 20.0, 31.5))


def test_the_cold_finger_contracts_by_12_um(still):
    travel = warm(still, 295.0) - 20.0

    assert np.linalg.norm(travel) == pytest.approx(12.0)
    assert travel / np.linalg.norm(travel) == pytest.approx([-0.48, -0.36, -0.8])


def test_below_20_k_the_finger_keeps_its_length(still):
    assert warm(still, 4.0) == pytest.approx(20.0, abs=1e-9)
    assert warm(still, 20.0) == pytest.approx(20.0, abs=1e-3)
    assert np.linalg.norm(warm(still, 60.0) - 20.0) > 0.2


def test_the_finger_contracts_as_debye_s_copper_does():
    def debye(kelvin, theta=343.0):
        x = np.linspace(1e-6, theta / kelvin, 20001)
        integrand = x**3 / np.expm1(x)
        return kelvin**4 * np.trapezoid(integrand, x)

    kelvin = np.array([60.0, 77.0, 120.0, 200.0, 295.0])
    lattice = np.array([debye(t) for t in kelvin]) / debye(295.0)

    model = [contraction(t, 240.0) for t in kelvin]

    assert model == pytest.approx(lattice, abs=0.03)


def test_a_warm_sample_is_found_again_by_peaking(bench, quiet):
    """At 100 K the crystal has left the spot by 1.5 um; the stage follows it."""
    world = bench(quiet, wavelength_nm=495.0, power_uw=80.0)
    world.temperature_k.record(0.0, 100.0)

    def light(time_s):
        return world.expected_rate(world.state_at(time_s))[200:900].sum()

    left = light(1.0)
    travel = 12.0 * contraction(100.0, 240.0)
    world.objective_x.record(2.0, 20.0 + 0.48 * travel)
    world.objective_y.record(2.0, 20.0 + 0.36 * travel)
    world.objective_z.record(2.0, 20.0 + 0.8 * travel)

    assert travel == pytest.approx(1.5, abs=0.1)
    assert left < 0.15 * light(3.0)


def test_the_mounts_drift_by_nanometres_an_hour(world):
    times = np.arange(0, 400 * HOUR, HOUR / 2)
    focus = np.array([world.stage.focus_um(t, t) for t in times]) - 20.0

    later = focus[2:] - focus[:-2]
    assert focus.mean(axis=0) == pytest.approx([0, 0, 0], abs=0.02)
    assert focus.std(axis=0) == pytest.approx([0.01, 0.01, 0.05], rel=0.25)
    expected = np.sqrt(2 * (1 - np.exp(-1))) * np.array([0.01, 0.01, 0.05])
    assert later.std(axis=0) == pytest.approx(expected, rel=0.2)


def test_drift_does_not_depend_on_who_looks(sample, world):
    other = World(sample, seed=4, clock=ManualClock())
    for time_s in np.arange(0, HOUR, 10.0):
        other.stage.focus_um(time_s, time_s + 1)

    assert world.stage.focus_um(HOUR, HOUR) == other.stage.focus_um(HOUR, HOUR)


def test_sensors_do_not_see_the_drift_of_the_mounts(world):
    readings = [world.stage.reading_um("z", t) for t in np.arange(0, 9 * HOUR, 60.0)]

    assert np.mean(readings) == pytest.approx(20.0, abs=2e-4)
    assert np.std(readings) == pytest.approx(0.001, rel=0.15)


def test_without_servo_a_piezo_wanders_and_its_sensor_sees_it(still):
    still.servo_x.ramp(0.0, 10.0, 0.0)
    times = np.arange(HOUR, 200 * HOUR, HOUR / 2)

    wander = np.array([still.stage.piezo_um("x", t, t) for t in times]) - 20.0
    seen = np.array([still.stage.reading_um("x", t) for t in times]) - 20.0

    assert wander.std() == pytest.approx(0.3, rel=0.2)
    assert seen == pytest.approx(wander, abs=0.006)
    assert still.stage.focus_um(HOUR, HOUR)[1:] == pytest.approx((20.0, 20.0))


def test_a_servo_lets_go_without_a_jump(still):
    still.servo_x.ramp(100.0, 110.0, 0.0)

    before, after = (still.stage.piezo_um("x", t, t) for t in (100.0, 100.1))

    assert after == pytest.approx(before, abs=0.02)


def test_focus_loss_is_along_the_light_and_unseen(still):
    asyncio.run(still.faults.set("focus_loss", 2.0))
    still.clock.advance(1.0)

    assert still.stage.focus_um(1.0, 1.0) == pytest.approx((20.0, 20.0, 22.0))
    assert still.stage.reading_um("z", 1.0) == pytest.approx(20.0, abs=0.006)


def test_a_creeping_stage_goes_on_from_where_the_fault_left_it(still):
    def go(fault, hours):
        asyncio.run(still.faults.set("stage_creep", fault))
        still.clock.advance(hours * HOUR)
        x, y, z = still.stage.focus_um(still.now(), still.now())
        return np.hypot(x - 20, y - 20), z

    assert go(0.0, 1.0) == pytest.approx((0.0, 20.0))
    assert go(2.0, 0.5) == pytest.approx((1.0, 20.0))
    assert go(6.0, 0.5) == pytest.approx((4.0, 20.0))
    assert go(0.0, 1.0) == pytest.approx((4.0, 20.0))


def test_a_moved_focus_shows_in_the_exposure(bench, quiet):
    world = bench(quiet, power_uw=10.0)
    world.objective_z.record(5.0, 23.0)

    sharp, both, blurred = (
        world.sensor.expected_charge(start, 2.0)[400:600].sum()
        for start in (1.0, 4.0, 6.0)
    )

    assert blurred < 0.5 * sharp
    assert both == pytest.approx((sharp + blurred) / 2, rel=1e-3)


def test_the_truth_tells_focus_and_crystals(bench, quiet):
    world = bench(quiet)
    world.objective_z.record(0.0, 23.0)

    derived = world.truth()["derived"]

    assert derived["focus"] == pytest.approx([20.0, 20.0, 23.0])
    assert derived["pump_overlap"] == derived["collection_overlap"] == 0.5
    assert len(derived["crystals"]) == 60
    assert derived["crystals"][0]["position_um"] == (20.0, 20.0, 20.0)
