"""First guesses from counts alone."""

import numpy as np
import pytest

from triplet_bluesky.analysis.seeds import (
    band_seed,
    fill,
    line_candidates,
    linear_amplitudes,
)

ENERGY = np.linspace(2430.0, 2245.0, 1024)


def bell(centre, fwhm):
    return np.exp(-4 * np.log(2) * ((ENERGY - centre) / fwhm) ** 2)


@pytest.mark.parametrize("centre", [2265.0, 2300.0, 2340.0, 2415.0])
@pytest.mark.parametrize("lines", [0.0, 3000.0])
def test_the_band_is_found_under_lines_twenty_times_its_height(centre, lines):
    counts = 20 + 150 * bell(centre, 16.0)
    counts += lines * (bell(centre - 3, 1.1) + bell(centre - 1, 1.1))

    band = band_seed(counts, ENERGY, 3.8)

    assert band.centre_mev == pytest.approx(centre, abs=4)
    assert 8 < band.fwhm_mev < 30
    assert band.background == pytest.approx(20, abs=5)


def test_a_flat_spectrum_has_a_guess_all_the_same():
    band = band_seed(np.full(1024, 7.0), ENERGY, 3.8)

    assert np.isfinite(
        [band.background, band.centre_mev, band.fwhm_mev, band.area]
    ).all()


def test_gaps_are_bridged():
    values = np.arange(6.0)
    good = np.array([True, False, False, True, True, False])

    assert fill(values, good).tolist() == [0, 1, 2, 3, 4, 4]


def test_the_strongest_line_comes_first():
    residual = 500 * bell(2335.0, 1.1) + 450 * bell(2350.0, 1.1)

    found = line_candidates(residual, np.full(1024, 25.0), 3.8, 2)

    assert [round(ENERGY[at]) for at, _ in found] == [2335, 2350]


def test_amplitudes_are_those_of_the_data():
    columns = np.stack([np.ones(1024), bell(2338.0, 16.0)])

    amplitudes, chi2 = linear_amplitudes(
        columns, 3 * columns[0] + 50 * columns[1], np.full(1024, 4.0)
    )

    assert amplitudes == pytest.approx([3, 50], rel=1e-6)
    assert chi2 == pytest.approx(0, abs=1e-9)
