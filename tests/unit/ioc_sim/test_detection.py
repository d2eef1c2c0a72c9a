"""From lines to counts."""

import math

import numpy as np
import pytest
from scipy import stats

from ioc_sim.detection import (
    PIXELS,
    SATURATION_ADU,
    analyser_transmission,
    cosmic_rays,
    dark_rate,
    line_spectrum,
    line_spread,
    pixel_edges,
    pixel_wavelengths,
    read_out,
    scatter_spectrum,
    slit_throughput,
    unpolarized_transmission,
)
from ioc_sim.emission import Line
from ioc_sim.random_streams import stream

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


def test_dark_current_doubles_every_8_kelvin(sample):
    assert dark_rate(-70.0, sample.ccd) == 0.5
    assert dark_rate(-62.0, sample.ccd) == 1.0
    assert dark_rate(-20.0, sample.ccd) / 0.5 == pytest.approx(76, abs=0.2)


@pytest.fixture
def read(sample):
    def run(electrons, counter=1, exposure=0.0, gain=1.0, **changes):
        ccd = sample.ccd.model_copy(update=changes)
        rng = stream(1, "ccd", counter)
        expected = np.full(PIXELS, float(electrons))
        return read_out(expected, exposure, rng, ccd=ccd, preamp_gain=gain)

    return run


def test_an_empty_frame_is_bias_and_read_noise(read):
    frame = read(0.0)

    assert frame.dtype == np.uint16
    assert frame.mean() == pytest.approx(300.0, abs=0.1)
    assert frame.std() == pytest.approx(math.hypot(0.6, 1 / math.sqrt(12)), rel=0.1)


@pytest.mark.parametrize("electrons", [30.0, 2000.0, 1e5])
def test_photons_are_poissonian(read, electrons):
    counts = np.concatenate(
        [
            read(electrons, i, read_noise=0.0, gain=10.0, full_well=1e9)
            for i in range(20)
        ]
    ).astype(float)
    counts = counts[counts < SATURATION_ADU] - 300

    if electrons < 6e4:
        assert counts.mean() == pytest.approx(electrons, rel=0.01)
        assert counts.var() / counts.mean() == pytest.approx(1.0, abs=0.04)
    else:
        assert counts.size == 0


def test_a_small_rate_has_the_whole_poisson_distribution(read):
    counts = np.concatenate(
        [read(3.0, i, read_noise=0.0, gain=10.0) for i in range(10)]
    ).astype(int)

    observed = np.bincount(counts - 300, minlength=11)[:11]
    expected = stats.poisson(3.0).pmf(np.arange(11)) * counts.size
    chi2 = np.sum((observed - expected) ** 2 / expected)
    assert chi2 < 30


def test_counts_end_at_the_converter_s_range(read):
    assert set(read(1e6)) == {SATURATION_ADU}
    assert read(0.0, bias=0.0).min() == 0


def test_a_column_holds_its_full_well(read):
    frame = read(1e6, full_well=1e5, read_noise=0.0)

    assert set(frame) == {10300}


def test_preamplifier_divides_the_electrons_per_count(read):
    single, quadruple = (read(5000.0, gain=gain).mean() - 300 for gain in (1.0, 4.0))

    assert quadruple / single == pytest.approx(4.0, rel=0.02)


def test_cosmic_rays_come_at_their_rate_and_on_few_columns(sample):
    frames = [cosmic_rays(60.0, stream(1, "cosmic", i), sample.ccd) for i in range(500)]
    charge = np.array(frames)

    columns = (charge > 0).sum(axis=1)
    assert columns.mean() == pytest.approx(1.2 * 2, rel=0.15)
    assert charge.sum() / 500 == pytest.approx(1.2 * 4000, rel=0.2)
    assert cosmic_rays(0.0, stream(1, "cosmic", 0), sample.ccd).sum() == 0
