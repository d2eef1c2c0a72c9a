"""The pump light, its meter and its spot."""

import math

import numpy as np
import pytest
from scipy import constants

from ioc_sim.source import (
    LightNoise,
    PowerMeter,
    bandwidth_sigma_mev,
    maximum_power,
    photon_energy_mev,
    photons_per_pulse,
    pick_off_ratio,
    responsivity,
)


@pytest.mark.parametrize(("nm", "ev"), [(495.0, 2.50473), (526.0, 2.35711)])
def test_photon_energies_are_those_of_the_paper(nm, ev):
    assert photon_energy_mev(nm) / 1e3 == pytest.approx(ev, abs=1e-5)


def test_energy_of_all_photons_is_the_power():
    photons = photons_per_pulse(15.0, 495.0, 78.0)

    pulse_j = photons * constants.h * constants.c / 495e-9

    assert pulse_j == pytest.approx(15e-6 / 78e6)


def test_equal_photons_need_less_power_at_526_than_at_495_nm():
    ratio = photons_per_pulse(1.0, 495.0, 78.0) / photons_per_pulse(1.0, 526.0, 78.0)

    assert ratio == pytest.approx(495 / 526)


@pytest.mark.parametrize(("nm", "mev"), [(1.5, 6.72), (2.0, 8.96)])
def test_bandwidth_of_the_filter_in_energy(nm, mev):
    fwhm = bandwidth_sigma_mev(526.0, nm) * 2 * math.sqrt(2 * math.log(2))

    assert fwhm == pytest.approx(mev, abs=0.01)


@pytest.mark.parametrize(
    ("nm", "power_uw"), [(495, 104), (526, 80), (560, 109), (650, 216), (700, 287)]
)
def test_most_power_at_each_wavelength(sample, nm, power_uw):
    assert maximum_power(nm, 1.8, sample.source) == pytest.approx(power_uw, abs=1)


def test_most_power_is_proportional_to_the_slit(sample):
    assert maximum_power(526.0, 0.9, sample.source) == pytest.approx(40.0)


def test_no_power_below_the_edge_of_the_continuum(sample):
    assert maximum_power(400.0, 1.8, sample.source) < 0.01


def test_light_noise_has_the_drift_and_the_jitter_of_the_laser(sample):
    noise = LightNoise(2, sample.source)
    minutes = np.array([noise.mean(t, t + 60) for t in np.arange(0, 6e5, 1200.0)])
    cells = np.array([noise.mean(t, t + 0.01) for t in np.arange(0, 5, 0.01)])

    assert minutes.mean() == pytest.approx(1.0, abs=0.002)
    assert minutes.std() == pytest.approx(0.01, rel=0.15)
    assert cells.std() == pytest.approx(0.004, rel=0.1)


def test_light_never_gets_negative(variant):
    noise = LightNoise(2, variant(source__drift=0.2, source__jitter=0.2).source)

    cells = [noise.mean(t, t) for t in np.arange(0, 3000, 10.0)]

    assert min(cells) >= 0.0


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
