"""The neon lamp, and what it shows of the spectrometer."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate

from ioc_sim.detection import line_spread, pixel_edges, pixel_wavelengths
from ioc_sim.lamp import NEON, REFERENCE_INTENSITY, NeonLine, neon_spectrum
from ioc_sim.light_path import BenchState, LightPath
from ioc_sim.sample import Sample

HC_MEV_NM = 1239841.984
FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))

IN_AIR = {
    503.77512: 5000,
    533.07775: 6000,
    534.10938: 10000,
    534.32834: 6000,
    540.05616: 20000,
    585.24878: 20000,
    588.18950: 10000,
    607.43376: 10000,
    614.30627: 10000,
    640.22480: 20000,
    650.65277: 15000,
    692.94672: 100000,
}
"""Observed wavelengths of Ne I in standard air, nm, and their relative intensities, as
the NIST Atomic Spectra Database lists them."""


def in_vacuum(air_nm):
    """Ciddor (1996), standard air: not the formula behind the lamp's table."""
    squared = (1e3 / air_nm) ** 2
    refraction = 0.05792105 / (238.0185 - squared) + 0.00167917 / (57.362 - squared)
    return air_nm * (1 + refraction)


def lit(sample, **changes):
    """The lamp's light on the camera, in e-/s."""
    state = BenchState(
        pump_nm=526.0,
        bandwidth_nm=1.8,
        power_uw=0.0,
        hwp_deg=0.0,
        analyser_in=1.0,
        spec_nm=531.0,
        slit_um=100.0,
        temperature_k=4.0,
        lamp=1.0,
    )
    asked = {name: changes.get(name, getattr(state, name)) for name in state.__slots__}
    return LightPath(sample).rate(BenchState(**asked))


def centres(axis_nm, light, lines, half_nm=0.8):
    """The centre of gravity of each line on an axis."""
    found = []
    for line in lines:
        near = abs(axis_nm - line) < half_nm
        found.append(np.average(axis_nm[near], weights=light[near]))
    return np.array(found)


def test_the_lines_rise_and_span_the_range_of_the_bench():
    wavelengths = [line.wavelength_nm for line in NEON]

    assert wavelengths == sorted(wavelengths)
    assert wavelengths[0] > 480
    assert wavelengths[-1] < 700
    assert max(np.diff(wavelengths)) < 30


@pytest.mark.parametrize(("air_nm", "intensity"), IN_AIR.items())
def test_the_lines_are_where_nist_has_them_in_vacuum(air_nm, intensity):
    nearest = min(NEON, key=lambda line: abs(line.wavelength_nm - in_vacuum(air_nm)))

    assert nearest.wavelength_nm == pytest.approx(in_vacuum(air_nm), abs=2e-4)
    assert nearest.intensity == intensity


def test_each_pixel_gets_the_integral_of_the_line_spread_over_it(sample):
    edges = pixel_edges(540.0, sample.spectrometer)[480:560]
    sigma = 0.159 / FWHM_PER_SIGMA

    def density(nm):
        return sum(
            line.intensity
            / REFERENCE_INTENSITY
            * math.exp(-(((nm - line.wavelength_nm) / sigma) ** 2) / 2)
            / (sigma * math.sqrt(2 * math.pi))
            for line in NEON
        )

    expected = [
        integrate.quad(density, low, high, epsabs=1e-12)[0]
        for low, high in pairwise(edges)
    ]
    assert neon_spectrum(edges, 0.159) == pytest.approx(expected, abs=1e-9)


def test_no_light_of_a_line_is_lost_or_made():
    edges = np.linspace(475.0, 705.0, 20001)

    light = neon_spectrum(edges, 0.2)

    total = sum(line.intensity for line in NEON) / REFERENCE_INTENSITY
    assert light.sum() == pytest.approx(total)


def test_a_line_has_the_resolution_of_the_paper_at_531_nm(sample, monkeypatch):
    monkeypatch.setattr("ioc_sim.lamp.NEON", (NeonLine(531.0, REFERENCE_INTENSITY),))
    edges = np.linspace(530.0, 532.0, 4001)

    light = neon_spectrum(edges, line_spread(100.0, sample.spectrometer))

    energy = HC_MEV_NM / ((edges[1:] + edges[:-1]) / 2)
    above = energy[light > light.max() / 2]
    assert np.ptp(above) == pytest.approx(0.70, abs=0.005)


def test_the_lamp_s_strength_is_that_of_its_strongest_line(sample):
    light = lit(sample, spec_nm=540.2063)

    axis = pixel_wavelengths(540.2063, sample.spectrometer)
    assert light[abs(axis - 540.2063) < 0.6].sum() == pytest.approx(
        sample.spectrometer.lamp_rate, rel=1e-6
    )


@pytest.mark.parametrize("output", [0.0, 0.25, 1.0])
def test_a_lamp_that_warms_up_gives_its_share(sample, output):
    assert lit(sample, lamp=output) == pytest.approx(output * lit(sample))


def test_a_narrow_slit_takes_light_and_width_from_the_lamp(sample):
    wide, narrow = lit(sample), lit(sample, slit_um=25.0)

    assert narrow.sum() / wide.sum() == pytest.approx(0.25, rel=1e-6)
    assert narrow.max() / wide.max() > 0.4


def test_the_mirror_shares_the_lamp_between_the_exits(sample):
    assert lit(sample, exit_port=0.25) == pytest.approx(0.75 * lit(sample))
    assert lit(sample, exit_port=1.0).sum() == 0


def test_a_turret_that_turns_shows_no_lamp(sample):
    assert lit(sample, grating=0).sum() == 0


def test_the_lines_are_at_their_wavelengths_on_the_calibrated_grating(sample):
    lines = np.array([514.6372, 533.2260, 540.2063])
    axis = pixel_wavelengths(531.0, sample.spectrometer)

    # 534.2579 and 534.4770 are too near to each other for a centre of gravity
    assert centres(axis, lit(sample), lines, 0.4) == pytest.approx(lines, abs=2e-3)


@pytest.mark.parametrize(("grating", "offset"), [(2, 0.12), (3, -0.05)])
def test_the_lamp_shows_how_far_the_other_gratings_are_off(sample, grating, offset):
    axis = pixel_wavelengths(540.0, sample.spectrometer, grating)
    line = np.array([540.2063])

    (seen,) = centres(axis, lit(sample, spec_nm=540.0, grating=grating), line)

    assert line[0] - seen == pytest.approx(offset, abs=5e-3)


def test_a_fit_to_the_lamp_mends_a_wrong_calibration(sample):
    tree = sample.model_dump()
    tree["spectrometer"] |= {
        "calibration_offset": (0.08, 0.0, 0.0),
        "calibration_scale": (1.002, 1.0, 1.0),
    }
    off = Sample.model_validate(tree)
    lines = np.array([514.6372, 533.2260, 540.2063, 543.5162])
    stated = pixel_wavelengths(531.0, off.spectrometer)
    edges = pixel_edges(531.0, off.spectrometer)
    true = (edges[1:] + edges[:-1]) / 2

    seen = centres(stated, lit(off), lines, 0.4)
    mended = np.polynomial.Polynomial.fit(seen, lines, 1)(stated)

    assert abs(stated - true).max() == pytest.approx(0.08 + 0.002 * 21.2, abs=1e-3)
    assert mended == pytest.approx(true, abs=5e-3)
