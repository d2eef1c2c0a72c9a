"""From lines to counts."""

import math

import numpy as np
import pytest

from ioc_sim.detection import (
    analyser_transmission,
    line_spectrum,
    line_spread,
    pixel_edges,
    pixel_wavelengths,
    scatter_spectrum,
    slit_throughput,
    unpolarized_transmission,
)
from ioc_sim.emission import Line

HWP = np.arange(0.0, 180.0, 5.0)


def line(energy=2335.0, fwhm=0.85, dolp=1.0, axis=35.0):
    return Line(
        energy_mev=energy,
        fwhm_mev=fwhm,
        rate=1.0,
        dolp=dolp,
        axis_deg=axis,
        lifetime_ps=49.0,
    )


def scan(target, analyser, covered=1.0):
    return np.array([analyser_transmission(target, t, covered, analyser) for t in HWP])


@pytest.fixture
def ideal(sample):
    return sample.analyser.model_copy(
        update={"retardance_error": 0.0, "extinction": 0.0}
    )


def test_a_perfect_analyser_follows_malus_s_law_at_twice_the_plate_s_angle(ideal):
    expected = np.cos(np.deg2rad(2 * HWP - 35.0)) ** 2

    assert scan(line(), ideal) == pytest.approx(expected, abs=1e-12)


def test_the_analysed_angle_has_a_period_of_180_degrees(sample):
    values = scan(line(dolp=0.7), sample.analyser)

    assert values[:18] == pytest.approx(values[18:])


def test_jones_calculus_gives_the_same_transmission(sample):
    analyser, delta = sample.analyser, math.radians(183.0)
    favoured, across = 1.0, math.sqrt(0.55 * 5e-5)
    field = np.array([math.cos(math.radians(35)), math.sin(math.radians(35))])

    def jones(theta):
        c, s = math.cos(math.radians(theta)), math.sin(math.radians(theta))
        turn = np.array([[c, s], [-s, c]])
        plate = turn.T @ np.diag([1, np.exp(1j * delta)]) @ turn
        return np.sum(np.abs(np.diag([favoured, across]) @ plate @ field) ** 2)

    assert scan(line(), analyser) == pytest.approx([jones(t) for t in HWP], abs=1e-12)


def test_extrema_give_the_line_s_degree_of_polarization(ideal):
    values = scan(line(dolp=0.905, axis=30.0), ideal)

    contrast = (values.max() - values.min()) / (values.max() + values.min())
    assert contrast == pytest.approx(0.905)
    assert HWP[values.argmax()] in {15.0, 105.0}


def test_the_grating_alone_analyses_weakly(sample):
    values = scan(line(axis=0.0), sample.analyser, covered=0.0)

    assert values.max() == pytest.approx(1.0)
    assert values.min() == pytest.approx(0.55, abs=0.01)


def test_unpolarized_light_passes_by_the_mean(sample):
    assert scan(line(dolp=0.0), sample.analyser) == pytest.approx(0.5, abs=1e-4)
    assert unpolarized_transmission(0.0, sample.analyser) == pytest.approx(0.775)


def test_pixels_span_42_nm_around_the_centre(sample):
    centres = pixel_wavelengths(531.0, sample.spectrometer)
    edges = pixel_edges(531.0, sample.spectrometer)

    assert centres.shape == (1024,)
    assert centres.mean() == pytest.approx(531.0)
    assert np.diff(centres) == pytest.approx(0.0415)
    assert (edges[1:] + edges[:-1]) / 2 == pytest.approx(centres)


def test_resolution_is_700_uev_at_531_nm(sample):
    spread = line_spread(100.0, sample.spectrometer)

    assert spread * 1239841.984 / 531**2 == pytest.approx(0.7, abs=0.002)


def test_a_narrow_slit_resolves_more_and_passes_less(sample):
    spectrometer = sample.spectrometer

    assert line_spread(10.0, spectrometer) < 0.45 * line_spread(100.0, spectrometer)
    assert line_spread(500.0, spectrometer) == line_spread(100.0, spectrometer)
    assert [slit_throughput(w, spectrometer) for w in (25.0, 100.0, 500.0)] == [
        0.25,
        1.0,
        1.0,
    ]


def test_a_line_is_a_gaussian_of_its_width_and_the_resolution(sample):
    edges = pixel_edges(531.0, sample.spectrometer)
    energy = 1239841.984 / pixel_wavelengths(531.0, sample.spectrometer)

    shares = line_spectrum(edges, line(), 0.159)

    mean = np.average(energy, weights=shares)
    width = math.sqrt(np.average((energy - mean) ** 2, weights=shares))
    pixel = 0.0415 * 2335**2 / 1239841.984 / math.sqrt(12)
    resolution = 0.159 * 2335**2 / 1239841.984
    assert shares.sum() == pytest.approx(1.0)
    assert mean == pytest.approx(2335.0, abs=1e-3)
    assert width == pytest.approx(
        math.hypot(math.hypot(0.85, resolution) / 2.3548, pixel), rel=1e-3
    )


def test_a_line_beside_the_camera_falls_beside_it(sample):
    edges = pixel_edges(600.0, sample.spectrometer)

    assert line_spectrum(edges, line(), 0.159).sum() == pytest.approx(0.0, abs=1e-12)


def test_scattered_pump_light_has_the_filter_s_width(sample):
    edges = pixel_edges(526.0, sample.spectrometer)
    nm = pixel_wavelengths(526.0, sample.spectrometer)

    shares = scatter_spectrum(edges, 526.0, 1.8, 0.159)

    width = math.sqrt(np.average((nm - 526.0) ** 2, weights=shares))
    assert width * 2.3548 == pytest.approx(1.8, abs=0.02)
