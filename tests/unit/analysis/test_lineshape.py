"""Pixel-integrated Gaussians against numerical integration."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate

from triplet_bluesky.analysis.lineshape import (
    gaussian_pixels,
    pixel_edges_ev,
    pixel_edges_nm,
)
from triplet_bluesky.errors import FitError
from triplet_bluesky.units import Medium

CENTRES = np.linspace(525.0, 537.0, 289)


def bell(energy, centre, fwhm):
    norm = np.sqrt(4 * np.log(2) / np.pi) / fwhm
    return norm * np.exp(-4 * np.log(2) * ((energy - centre) / fwhm) ** 2)


@pytest.mark.parametrize("order", [1, -1])
def test_a_pixel_holds_the_integral_over_it(order):
    edges = 1e3 * pixel_edges_ev(CENTRES)[::order]

    share, _, _ = gaussian_pixels(edges, 2335.0, 0.9)

    expected = [
        abs(integrate.quad(bell, a, b, args=(2335.0, 0.9))[0])
        for a, b in pairwise(edges)
    ]
    np.testing.assert_allclose(share, expected, atol=1e-9)


@pytest.mark.parametrize("order", [1, -1])
def test_derivatives_are_those_of_the_share(order):
    edges = 1e3 * pixel_edges_ev(CENTRES)[::order]
    step = 1e-5

    _, by_centre, by_fwhm = gaussian_pixels(edges, 2335.0, 3.0)

    def slope(d_centre, d_fwhm):
        high = gaussian_pixels(edges, 2335.0 + d_centre, 3.0 + d_fwhm)[0]
        low = gaussian_pixels(edges, 2335.0 - d_centre, 3.0 - d_fwhm)[0]
        return (high - low) / (2 * step)

    np.testing.assert_allclose(by_centre, slope(step, 0), atol=1e-9)
    np.testing.assert_allclose(by_fwhm, slope(0, step), atol=1e-9)


def test_edges_lie_between_the_pixels():
    edges = pixel_edges_nm(CENTRES)

    np.testing.assert_allclose((edges[1:] + edges[:-1]) / 2, CENTRES)


def test_edges_in_air_and_in_vacuum_differ():
    shift = pixel_edges_ev(CENTRES) - pixel_edges_ev(CENTRES, Medium.AIR)

    assert 1e3 * shift == pytest.approx(0.65, abs=0.01)


@pytest.mark.parametrize("wrong", [[530.0], [530.0, 530.0], [[530.0, 531.0]]])
def test_wavelengths_that_are_no_axis_are_refused(wrong):
    with pytest.raises(FitError, match="rise or fall"):
        pixel_edges_nm(np.array(wrong))
