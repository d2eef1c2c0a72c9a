"""Gratings and slits: where light goes, how wide it is, and that none gets lost."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate

from ioc_sim.detection import (
    grating_efficiency,
    line_spectrum,
    line_spread,
    passband,
    pixel_edges,
    pixel_wavelengths,
    slit_throughput,
)
from ioc_sim.emission import Line

HC_MEV_NM = 1239841.984
FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))
GRATINGS = (1, 2, 3)


def line(energy=2335.0, fwhm=0.85):
    return Line(
        energy_mev=energy,
        fwhm_mev=fwhm,
        rate=1.0,
        dolp=0.0,
        axis_deg=0.0,
        lifetime_ps=49.0,
    )


@pytest.fixture
def spectrometer(sample):
    return sample.spectrometer


@pytest.mark.parametrize("grating", GRATINGS)
@pytest.mark.parametrize("slit_um", [20.0, 100.0, 800.0])
def test_pixels_get_the_integral_of_a_line_and_the_line_spread(
    spectrometer, grating, slit_um
):
    """Equation 9, against quadrature of the convolution in energy."""
    target = line()
    spread_nm = line_spread(slit_um, spectrometer, grating)
    spread = HC_MEV_NM / (HC_MEV_NM / 2335.0) ** 2 * spread_nm
    own, lsf = target.fwhm_mev / FWHM_PER_SIGMA, spread / FWHM_PER_SIGMA
    edges = pixel_edges(HC_MEV_NM / 2335.0, spectrometer, grating)[505:520]

    def normal(x, sigma):
        return math.exp(-((x / sigma) ** 2) / 2) / (sigma * math.sqrt(2 * math.pi))

    def convolved(energy):
        def product(shift):
            return normal(shift, own) * normal(energy - 2335.0 - shift, lsf)

        return integrate.quad(product, -8 * own, 8 * own, points=[0.0])[0]

    energies = HC_MEV_NM / edges
    expected = [
        integrate.quad(convolved, low, high)[0] for high, low in pairwise(energies)
    ]
    assert line_spectrum(edges, target, spread_nm) == pytest.approx(expected, rel=1e-5)


def test_a_delta_line_is_0_70_mev_wide_at_531_nm(spectrometer):
    edges = np.linspace(529.5, 532.5, 6001)
    energy = HC_MEV_NM / ((edges[1:] + edges[:-1]) / 2)

    light = line_spectrum(
        edges, line(HC_MEV_NM / 531.0, 1e-6), line_spread(100.0, spectrometer)
    )

    assert np.ptp(energy[light > light.max() / 2]) == pytest.approx(0.70, abs=0.004)


@pytest.mark.parametrize("grating", GRATINGS)
@pytest.mark.parametrize("energy", [2320.0, 2335.0, 2345.0])
def test_a_line_is_at_the_wavelength_of_its_energy(spectrometer, grating, energy):
    edges = pixel_edges(531.0, spectrometer, grating)
    middle = (edges[1:] + edges[:-1]) / 2

    light = line_spectrum(
        edges, line(energy), line_spread(100.0, spectrometer, grating)
    )

    assert np.average(middle, weights=light) == pytest.approx(
        HC_MEV_NM / energy, abs=1e-3
    )


@pytest.mark.parametrize("grating", GRATINGS)
def test_all_of_a_line_reaches_the_camera_through_any_slit(spectrometer, grating):
    edges = pixel_edges(531.0, spectrometer, grating)

    for slit_um in (10.0, 50.0, 100.0, 1000.0):
        spread = line_spread(slit_um, spectrometer, grating)
        assert line_spectrum(edges, line(), spread).sum() == pytest.approx(1.0)


def test_resolution_in_pixels_is_nearly_the_same_for_every_grating(spectrometer):
    """The slit's image is as wide on the camera, whatever the grating."""
    widths = [
        line_spread(100.0, spectrometer, g) / spectrometer.dispersion[g - 1]
        for g in GRATINGS
    ]

    assert widths == pytest.approx([widths[0]] * 3, rel=0.01)


def test_dispersions_are_as_the_grooves_and_the_focal_length_have_them(spectrometer):
    """The grating equation at 0.5 m with 10 degrees between the arms."""
    half = math.radians(5.0)
    grooves = (1200, 600, 1800)
    for grooves_per_mm, stated in zip(grooves, spectrometer.dispersion, strict=True):
        period_nm = 1e6 / grooves_per_mm
        turn = math.asin(531.0 / (2 * period_nm * math.cos(half)))
        per_mm = period_nm * math.cos(turn - half) / 500.0
        assert per_mm * 0.026 == pytest.approx(stated, rel=0.02)


def test_the_first_grating_is_what_the_camera_s_rates_are_stated_for(spectrometer):
    nm = np.linspace(400, 800, 41)

    assert grating_efficiency(nm, spectrometer, 1) == pytest.approx(np.ones(41))


@pytest.mark.parametrize("grating", [2, 3])
def test_another_grating_is_as_good_as_its_blaze_against_the_first(
    spectrometer, grating
):
    def blaze(nm, place):
        distance = (nm - spectrometer.blaze[place]) / spectrometer.blaze_width[place]
        return spectrometer.efficiency[place] * math.exp(-(distance**2) / 2)

    for nm in (450.0, 531.0, 650.0):
        expected = blaze(nm, grating - 1) / blaze(nm, 0)
        assert grating_efficiency(nm, spectrometer, grating) == pytest.approx(expected)


@pytest.mark.parametrize("grating", GRATINGS)
def test_the_exit_slit_passes_what_as_many_pixels_get(spectrometer, grating):
    edges = pixel_edges(531.0, spectrometer, grating)

    low, high = passband(531.0, 40 * 26.0, spectrometer, grating)

    assert (low, high) == pytest.approx((edges[512 - 20], edges[512 + 20]))


@pytest.mark.parametrize("grating", GRATINGS)
def test_exit_slits_side_by_side_pass_all_of_a_line(spectrometer, grating):
    spread = line_spread(100.0, spectrometer, grating)
    _, step = passband(0.0, 200.0, spectrometer, grating)
    step -= sum(passband(0.0, 200.0, spectrometer, grating)) / 2
    passed = [
        line_spectrum(
            np.array(passband(531.0 + 2 * step * k, 200.0, spectrometer, grating)),
            line(),
            spread,
        ).sum()
        for k in range(-40, 41)
    ]

    assert sum(passed) == pytest.approx(1.0, rel=1e-6)


def test_a_wider_exit_slit_passes_a_wider_band(spectrometer):
    def width(slit_um):
        low, high = passband(531.0, slit_um, spectrometer)
        return high - low

    assert width(1000.0) == pytest.approx(1000 / 26 * 0.0415)
    assert width(500.0) == pytest.approx(width(1000.0) / 2)


def test_stated_and_true_axis_differ_by_offset_and_scale(spectrometer):
    off = spectrometer.model_copy(
        update={
            "calibration_offset": (0.3, 0.0, 0.0),
            "calibration_scale": (1.01, 1.0, 1.0),
        }
    )
    stated = pixel_wavelengths(531.0, off)
    edges = pixel_edges(531.0, off)
    true = (edges[1:] + edges[:-1]) / 2

    assert np.mean(true - stated) == pytest.approx(0.3)
    assert np.ptp(true) / np.ptp(stated) == pytest.approx(1.01)
    assert np.mean(passband(531.0, 100.0, off)) == pytest.approx(531.3)


def test_a_closed_slit_leaves_the_aberrations(spectrometer):
    for grating in GRATINGS:
        full = line_spread(100.0, spectrometer, grating)
        assert line_spread(0.0, spectrometer, grating) == pytest.approx(0.4 * full)
    assert slit_throughput(0.0, spectrometer) == 0.0
