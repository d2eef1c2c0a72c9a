"""The pump light: laser and tunable filter."""

import math

import numpy as np
import pytest
from scipy import constants

from ioc_sim.source import (
    LightNoise,
    bandwidth_mev,
    bandwidth_sigma_mev,
    filter_efficiency,
    maximum_power,
    photon_energy_mev,
    photons_per_pulse,
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
    assert fwhm == pytest.approx(bandwidth_mev(526.0, nm))


@pytest.mark.parametrize(
    ("nm", "power_uw"), [(495, 104), (526, 80), (560, 109), (650, 216), (700, 287)]
)
def test_most_power_at_each_wavelength(sample, nm, power_uw):
    assert maximum_power(nm, 1.8, sample.source) == pytest.approx(power_uw, abs=1)


def test_most_power_is_proportional_to_the_slit(sample):
    assert maximum_power(526.0, 0.9, sample.source) == pytest.approx(40.0)


def test_no_power_below_the_edge_of_the_continuum(sample):
    assert maximum_power(400.0, 1.8, sample.source) < 0.01


def test_the_most_power_contains_the_efficiency_of_the_filter(variant):
    flat = variant(source__envelope_width=1e6).source
    real = variant().source

    ratio = maximum_power(700.0, 1.8, real) / maximum_power(700.0, 1.8, flat)

    assert ratio == pytest.approx(
        filter_efficiency(700.0, real) / filter_efficiency(526.0, real)
    )
    assert filter_efficiency(real.envelope_center, real) == 1.0


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
