"""Units against numbers worked out by hand."""

import numpy as np
import pytest

from triplet_bluesky.units import (
    HC_EV_NM,
    Medium,
    SpotDefinition,
    air_to_vacuum_nm,
    bandwidth_mev,
    energy_ev,
    energy_mev,
    fluence_uj_cm2,
    photons_per_pulse,
    power_from_fluence_uw,
    power_from_photons_uw,
    refractive_index_of_air,
    vacuum_to_air_nm,
    wavelength_nm,
)

WAVELENGTHS = np.linspace(400.0, 800.0, 9)


def test_hc_is_that_of_the_si():
    assert pytest.approx(1239.841984, abs=1e-6) == HC_EV_NM


def test_the_index_of_air_agrees_with_another_authors_formula():
    # B. Edlen, Metrologia 2, 71 (1966), standard air of 300 ppm CO2.
    wavenumber2 = (1e3 / WAVELENGTHS) ** 2
    edlen = 8342.13 + 2406030 / (130 - wavenumber2) + 15997 / (38.9 - wavenumber2)

    ciddor = 1e8 * (refractive_index_of_air(WAVELENGTHS) - 1)

    np.testing.assert_allclose(ciddor, edlen, atol=3)


def test_air_and_vacuum_differ_by_a_resolution_element_at_531_nm():
    difference_mev = energy_mev(531.0) - energy_mev(531.0, Medium.AIR)

    assert difference_mev == pytest.approx(0.65, abs=0.005)


@pytest.mark.parametrize("medium", list(Medium))
def test_wavelength_and_energy_are_inverse(medium):
    there = energy_ev(WAVELENGTHS, medium)

    np.testing.assert_allclose(wavelength_nm(there, medium), WAVELENGTHS, rtol=1e-13)


def test_air_and_vacuum_wavelengths_are_inverse():
    there = vacuum_to_air_nm(WAVELENGTHS)

    np.testing.assert_allclose(air_to_vacuum_nm(there), WAVELENGTHS, rtol=1e-14)
    assert np.all(there < WAVELENGTHS)


def test_a_band_keeps_its_edges():
    edges = energy_mev(np.array([526.0 - 0.9, 526.0 + 0.9]))

    assert bandwidth_mev(526.0, 1.8) == pytest.approx(edges[0] - edges[1], rel=1e-5)


def test_photons_carry_the_energy_of_the_pulse():
    photons = photons_per_pulse(15.0, 495.0, 78.0)

    pulse_j = photons * energy_ev(495.0) * 1.602176634e-19
    assert pulse_j == pytest.approx(15e-6 / 78e6, rel=1e-12)
    assert power_from_photons_uw(photons, 495.0, 78.0) == pytest.approx(15.0)


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (SpotDefinition.FLAT_TOP, 17.004),
        (SpotDefinition.GAUSSIAN_FWHM, 11.786),
        (SpotDefinition.GAUSSIAN_1E2, 34.008),
    ],
)
def test_fluence_follows_the_definition_of_the_spot(definition, expected):
    fluence = fluence_uj_cm2(15.0, 78.0, 1.2, definition)

    assert fluence == pytest.approx(expected, abs=1e-3)
    assert power_from_fluence_uw(fluence, 78.0, 1.2, definition) == pytest.approx(15.0)


@pytest.mark.parametrize(
    ("definition", "profile"),
    [
        (SpotDefinition.GAUSSIAN_FWHM, lambda r: np.exp(-4 * np.log(2) * r**2)),
        (SpotDefinition.GAUSSIAN_1E2, lambda r: np.exp(-8 * r**2)),
    ],
)
def test_peak_fluence_integrates_to_the_pulse_energy(definition, profile):
    radius_um, step = np.linspace(0.0, 10.0, 100_001, retstep=True)
    peak = fluence_uj_cm2(15.0, 78.0, 1.0, definition)

    integrand = 2 * np.pi * radius_um * peak * profile(radius_um)

    pulse_uj = np.sum(integrand) * step * 1e-8
    assert pulse_uj == pytest.approx(15.0 / 78e6, rel=1e-6)


@pytest.mark.parametrize(("spot", "rate"), [(0.0, 78.0), (1.2, 0.0), (np.nan, 78.0)])
def test_a_fluence_without_a_spot_is_refused(spot, rate):
    with pytest.raises(ValueError, match="spot and a repetition rate above zero"):
        fluence_uj_cm2(15.0, rate, spot, SpotDefinition.FLAT_TOP)
