"""The bench in time."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from ioc_sim import motion
from ioc_sim.camera import FULL_LINE
from ioc_sim.clock import ManualClock
from ioc_sim.world import World


def measured(world, start_s, end_s, setting_nm, counter):
    """What the pick-off meter reads between two times."""
    return world.meter.average(
        world.beam, start_s, end_s, setting_nm=setting_nm, counter=counter
    )


def test_it_starts_dark_cold_and_safe(sample):
    world = World(sample, clock=ManualClock())

    state = world.state_at(0.0)

    assert (state.power_uw, state.temperature_k) == (0.0, 4.0)
    assert (state.pump_nm, state.bandwidth_nm, state.spec_nm) == (526.0, 1.8, 531.0)
    assert (world.od.at(0), world.shutter.at(0), world.emission.at(0)) == (4, 0, 0)
    assert world.now() == 0.0


def test_the_truth_is_every_parameter_and_fits_json(bench):
    truth = json.loads(json.dumps(bench().truth()))

    assert truth["absorption"]["exciton"] == 2352.0
    assert truth["derived"]["threshold_carriers"] == pytest.approx(1.17e4, rel=0.01)


def test_power_is_the_product_of_laser_filter_and_attenuator(quiet, bench):
    world = bench(quiet, power_uw=20.0)
    world.level.record(1.0, 50)
    world.od.record(2.0, 2.0)
    world.shutter.record(3.0, 0)

    powers = [world.beam.power(t, t) for t in (0.5, 1.5, 2.5, 3.5)]

    assert powers == pytest.approx([20.0, 10.0, 0.4, 0.0])
    assert world.beam.power_before_shutter(3.5, 3.5) == pytest.approx(0.4)


def test_no_light_without_emission(bench):
    world = bench()
    world.emission.record(1.0, 0)

    assert world.beam.power_before_shutter(2.0, 2.0) == 0.0


def test_the_meter_sees_the_light_with_the_shutter_closed(bench):
    world = bench(power_uw=20.0)
    world.shutter.record(0.0, 0)

    reading = measured(world, 1.0, 11.0, 526.0, 1)

    assert reading.power_uw == pytest.approx(2.0, rel=0.05)
    assert not reading.overrange


def test_meter_times_calibration_is_the_power_of_the_exposure(bench):
    world = bench(power_uw=20.0, wavelength_nm=505.0)
    nm, ratio, sigma = world.meter.calibration()

    reading = measured(world, 1.0, 21.0, 505.0, 1)
    inferred = reading.power_uw * np.interp(505.0, nm, ratio)

    light = world.sensor.expected_charge(1.0, 20.0) - 0.5 * 20.0
    state = replace(world.state_at(1.0), power_uw=inferred)
    assert world.expected_rate(state).sum() * 20.0 == pytest.approx(
        light.sum(), rel=4 * sigma
    )


def test_the_meter_averages_a_move_of_the_attenuator(quiet, bench):
    world = bench(quiet, power_uw=40.0)
    start = world.od.at(0)
    world.od.ramp(0.0, 10.0, start + 1.0)

    reading = measured(world, 0.0, 10.0, 526.0, 1)

    mean = (1 - 0.1) / math.log(10)
    assert reading.power_uw == pytest.approx(4.0 * mean, rel=2e-3)


def test_a_reading_of_no_length_is_one_of_the_moment(quiet, bench):
    reading = measured(bench(quiet), 3.0, 3.0, 526.0, 1)

    assert reading.power_uw == pytest.approx(2.0, rel=0.01)


def test_the_pixels_and_the_camera_describe_themselves(bench):
    world = bench()

    nm = world.pixel_wavelengths(531.0)
    assert (nm[0], nm[-1]) == pytest.approx((509.77, 552.23), abs=0.01)
    assert world.resolution_nm(0.0) == pytest.approx(0.159)
    assert world.sensor.gain_e_per_adu(4.0) == 2.5
    assert world.sensor.full_well_e(FULL_LINE) == 655000.0
    assert world.beam.maximum_power(526.0, 0.9) == pytest.approx(40.0)


def test_the_same_seed_and_commands_give_the_same_counts(bench):
    first, again, other = bench(seed=3), bench(seed=3), bench(seed=4)

    frames = [world.sensor.frame(1.0, 0.1, 1) for world in (first, again, other)]

    assert np.array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[0], frames[2])


def test_counts_do_not_depend_on_polling_or_on_other_frames(bench):
    polled, alone = bench(), bench()
    for world in (polled, alone):
        world.cryostat.change(0.5, set_point_k=6.0)
    for time in np.arange(0.5, 30.0, 0.21):
        polled.cryostat.read(time)
        polled.beam.power(time, time)
        measured(polled, time, time + 0.1, 526.0, 5)
    polled.sensor.frame(2.0, 0.1, 1)

    assert np.array_equal(
        polled.sensor.frame(30.0, 0.1, 2), alone.sensor.frame(30.0, 0.1, 2)
    )


def test_the_order_of_commands_to_different_axes_does_not_matter(bench):
    def commands(world):
        return [
            lambda: world.filter_nm.move(1.0, 522.0, motion.FILTER_SPEED),
            lambda: world.od.move(1.0, 1.0, motion.OD_SPEED),
            lambda: world.hwp_deg.move(1.0, 40.0, motion.HWP_SPEED),
            lambda: world.cryostat.change(1.0, set_point_k=5.0),
        ]

    forward, backward = bench(), bench()
    for command in commands(forward):
        command()
    for command in reversed(commands(backward)):
        command()

    assert np.array_equal(
        forward.sensor.frame(1.1, 0.5, 1), backward.sensor.frame(1.1, 0.5, 1)
    )


def test_two_frames_of_the_same_time_differ_by_noise_only(bench):
    world = bench(power_uw=2.0)
    expected = world.sensor.expected_charge(1.0, 1.0)

    frames = np.array(
        [world.sensor.frame(1.0, 1.0, i) for i in range(200)], dtype=float
    )

    electrons = (frames - 300) * 10
    smooth = np.median(electrons, axis=0)
    variance = electrons.var(axis=0)
    clean = variance < 10 * expected + 1e3
    assert (smooth[clean] - expected[clean]).std() < 0.2 * np.sqrt(expected.max())
    assert np.median(
        variance[clean] / (expected[clean] + 36 + 100 / 12)
    ) == pytest.approx(1.0, abs=0.05)


def test_a_frame_of_no_exposure_is_bias_and_read_noise(bench):
    frame = bench(power_uw=80.0).sensor.frame(1.0, 0.0, 1)

    assert frame.mean() == pytest.approx(300, abs=0.1)
    assert frame.max() < 306


def test_dark_current_follows_the_chip_s_temperature(sample):
    world = World(sample, clock=ManualClock())
    world.ccd_temperature_c.record(1.0, -20.0)

    cold, warm = (
        world.sensor.expected_charge(0.0, 1.0),
        world.sensor.expected_charge(1.0, 1.0),
    )

    assert cold == pytest.approx(np.full(1024, 0.5))
    assert warm[0] / cold[0] == pytest.approx(2 ** (50 / 8))


def test_a_shutter_that_opens_half_way_lets_half_of_the_light_in(quiet, bench):
    world = bench(quiet)
    whole = world.sensor.expected_charge(0.5, 1.0) - 0.5
    world.shutter.record(2.0, 0)
    world.shutter.record(2.5, 1)

    half = world.sensor.expected_charge(2.0, 1.0) - 0.5

    assert half == pytest.approx(whole / 2, rel=1e-9)


def test_a_filter_that_steps_during_an_exposure_gives_the_mixture(quiet, bench):
    world = bench(quiet, power_uw=10.0)
    world.filter_nm.record(5.0, 515.0)
    before, after = (world.sensor.expected_charge(t, 1.0) for t in (3.0, 6.0))

    mixed = world.sensor.expected_charge(4.25, 1.0)

    assert mixed == pytest.approx(0.75 * before + 0.25 * after, rel=1e-9)


def test_a_ramp_during_an_exposure_is_its_mean_over_time(quiet, bench):
    world = bench(quiet, power_uw=10.0)
    world.filter_nm.ramp(1.0, 2.0, 520.0)
    world.hwp_deg.ramp(1.2, 1.4, 40.0)

    moving = world.sensor.expected_charge(1.0, 1.0)

    times = (np.arange(600) + 0.5) / 600 + 1.0
    mean = np.mean([world.expected_rate(world.state_at(t)) for t in times], axis=0)
    assert moving == pytest.approx(mean + 0.5, rel=5e-3, abs=0.5)


def test_a_temperature_ramp_during_an_exposure_is_its_mean(quiet, bench):
    world = bench(quiet, power_uw=10.0)
    world.cryostat.change(0.0, set_point_k=10.0)

    moving = world.sensor.expected_charge(0.0, 20.0)

    times = (np.arange(400) + 0.5) / 20
    mean = np.mean([world.expected_rate(world.state_at(t)) for t in times], axis=0)
    assert moving == pytest.approx(20 * (mean + 0.5), rel=2e-3)


def test_parts_of_an_exposure_add_up(bench):
    world = bench()
    world.spec_nm.move(10.0, 540.0, motion.SPECTROMETER_SPEED)

    whole = world.sensor.expected_charge(0.0, 60.0)
    parts = world.sensor.expected_charge(0.0, 25.0) + world.sensor.expected_charge(
        25.0, 35.0
    )

    assert whole == pytest.approx(parts, rel=2e-3)


def test_an_analyser_half_in_is_half_in_and_half_out(quiet, bench):
    world = bench(quiet)
    rates = []
    for time, share in ((1.0, 1.0), (2.0, 0.5), (3.0, 0.0)):
        world.analyser_in.record(time, share)
        rates.append(world.expected_rate(world.state_at(time + 0.1)))

    assert rates[1] == pytest.approx((rates[0] + rates[2]) / 2)


def test_drift_and_jitter_show_in_the_counts(bench):
    world = bench(power_uw=20.0)

    totals = np.array(
        [
            world.sensor.expected_charge(t, 0.05).sum()
            for t in np.arange(0, 30000, 300.0)
        ]
    )

    assert 0.007 < totals.std() / totals.mean() < 0.02
