"""The pick-off meter: its noise, its ranges and its calibration."""

import math

import numpy as np
import pytest

from ioc_sim.power_meter import PowerMeter, pick_off_ratio, responsivity
from ioc_sim.source import maximum_power


def test_pick_off_ratio_is_ten_at_526_nm_and_varies_by_percents(sample):
    ratio = pick_off_ratio(np.arange(480, 701), sample.meter)

    assert pick_off_ratio(526.0, sample.meter) == pytest.approx(10.0)
    assert 0.01 < np.ptp(ratio) / 10 < 0.12


def test_responsivity_is_that_of_silicon():
    values = [responsivity(nm) for nm in (400.0, 526.0, 700.0, 950.0, 1100.0)]

    assert values == [*sorted(values[:4]), values[4]]
    assert values[1] == pytest.approx(0.298, abs=0.002)
    assert values[4] < 0.1


def read(meter, power=20.0, nm=526.0, setting=526.0, duration=1.0, counter=1):
    return meter.read(
        power, nm, setting_nm=setting, duration_s=duration, counter=counter
    )


def test_meter_reads_the_pick_off_within_its_standard_error(sample):
    meter = PowerMeter(1, sample)

    readings = [read(meter, duration=10.0, counter=i) for i in range(200)]

    powers = np.array([reading.power_uw for reading in readings])
    assert powers.mean() == pytest.approx(2.0, rel=1e-3)
    assert powers.std() == pytest.approx(2.0 * 0.002 / 10, rel=0.2)
    assert readings[0].sigma_uw == pytest.approx(
        2.0 * math.hypot(0.002 / 10, 0.004 / math.sqrt(1000)), rel=0.01
    )


def test_a_wrong_wavelength_setting_gives_a_wrong_power(sample):
    meter = PowerMeter(1, sample)

    right, wrong = (read(meter, setting=nm).power_uw for nm in (526.0, 633.0))

    assert wrong / right == pytest.approx(
        responsivity(526.0) / responsivity(633.0), rel=1e-6
    )


def test_meter_reads_noise_without_light(sample):
    powers = [
        read(PowerMeter(1, sample), power=0.0, counter=i).power_uw for i in range(50)
    ]

    assert np.std(powers) == pytest.approx(1e-5 / math.sqrt(10), rel=0.4)
    assert min(powers) < 0


def test_meter_saturates_at_its_full_scale(sample):
    reading = read(PowerMeter(1, sample), power=500.0)

    assert reading.overrange
    assert reading.power_uw == sample.meter.full_scale


def test_a_reading_is_its_seed_and_its_number(sample):
    first, same, other = (
        read(PowerMeter(1, sample), counter=counter) for counter in (1, 1, 2)
    )

    assert first == same
    assert first != other


def test_calibration_misses_the_truth_by_one_error_of_its_sigma(sample):
    errors = []
    for seed in range(100):
        calibration = PowerMeter(seed, sample).calibration()
        truth = pick_off_ratio(calibration.wavelength_nm, sample.meter)
        error = calibration.ratio / truth - 1
        assert np.ptp(error) < 1e-12
        errors.append(error[0])

    assert calibration.wavelength_nm.shape == (32,)
    assert np.std(errors) == pytest.approx(calibration.ratio_sigma, rel=0.25)


def test_calibration_is_fine_enough_to_interpolate(sample):
    calibration = PowerMeter(1, sample).calibration()
    nm = np.linspace(480, 700, 500)

    between = np.interp(nm, calibration.wavelength_nm, calibration.ratio)
    truth = pick_off_ratio(nm, sample.meter)

    assert np.ptp(between / truth) < 1e-3


def in_range(meter, power, full_scale_uw, counter=1, duration=1.0):
    return meter.read(
        power,
        526.0,
        setting_nm=526.0,
        duration_s=duration,
        counter=counter,
        full_scale_uw=full_scale_uw,
    )


def test_the_ranges_are_decades_below_the_full_scale(sample):
    assert PowerMeter(1, sample).ranges_uw == pytest.approx((0.04, 0.4, 4.0, 40.0))


@pytest.mark.parametrize(
    ("picked_off_uw", "full_scale_uw"),
    [(0.0, 0.04), (0.037, 0.04), (0.039, 0.4), (1.0, 4.0), (30.0, 40.0), (90.0, 40.0)],
)
def test_the_least_range_that_takes_the_power_is_chosen(
    sample, picked_off_uw, full_scale_uw
):
    reading = read(PowerMeter(1, sample), power=10 * picked_off_uw)

    assert reading.full_scale_uw == pytest.approx(full_scale_uw)
    assert reading.overrange == (picked_off_uw > full_scale_uw)


def test_a_range_that_is_too_low_reads_its_full_scale(sample):
    reading = in_range(PowerMeter(1, sample), 20.0, 0.4)

    assert reading.overrange
    assert reading.power_uw == 0.4


def test_a_high_range_has_more_noise_than_a_low_one(sample):
    meter, noise = PowerMeter(1, sample), sample.meter.range_noise

    spread = {
        full: np.std([in_range(meter, 0.05, full, i, 0.1).power_uw for i in range(400)])
        for full in meter.ranges_uw
    }

    for full, sd in spread.items():
        expected = math.hypot(0.005 * 0.002, 1e-5, noise * full)
        assert sd == pytest.approx(expected, rel=0.12)
    assert spread[40.0] > 50 * min(spread.values())


def test_the_standard_error_of_a_reading_knows_its_range(sample):
    meter = PowerMeter(1, sample)

    low, high = (in_range(meter, 0.05, full).sigma_uw for full in (0.04, 40.0))

    assert high == pytest.approx(1e-3 / math.sqrt(10), rel=0.01)
    assert high > 50 * low


def test_the_stored_ceiling_misses_the_truth_by_one_error_of_its_sigma(sample):
    errors = []
    for seed in range(100):
        meter = PowerMeter(seed, sample)
        nm = meter.calibration().wavelength_nm
        truth = [maximum_power(one, 1.8, sample.source) for one in nm]
        error = meter.ceiling() / truth - 1
        assert np.ptp(error) < 1e-12
        errors.append(error[0])

    assert np.std(errors) == pytest.approx(sample.meter.ceiling_sigma, rel=0.25)
