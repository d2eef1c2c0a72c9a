"""The offset of the pump filter, from decompositions whose truth is known."""

from types import SimpleNamespace

import numpy as np
import pytest

from triplet_bluesky.analysis import (
    Line,
    PumpLine,
    SpectrumAssessment,
    SpectrumFit,
    fit_spectrum,
    pump_offset,
    reduce_frames,
)


def decomposed(shift, sigma=0.01, *, pump_nm=518.0, ok=True, pump=True):
    model = SimpleNamespace(pump=(pump_nm, 1.8) if pump else None)
    return SpectrumFit(
        assessment=SpectrumAssessment.OK if ok else SpectrumAssessment.POOR_FIT,
        exposure_s=1.0,
        lines=(Line(center_ev=2.335), Line(center_ev=2.337)),
        pump_shift_nm=shift,
        pump_shift_sigma_nm=sigma,
        shape=model,
    )


def test_the_mean_is_weighted():
    found = pump_offset([decomposed(0.10, 0.01), decomposed(0.13, 0.02)])

    assert found.offset_nm == pytest.approx(0.106)
    assert found.spectra == 2
    assert found.error_scale == pytest.approx(1.342, abs=1e-3)
    assert found.sigma_nm == pytest.approx(1.342 * 0.01 / np.sqrt(1.25), abs=1e-5)


@pytest.mark.parametrize(
    "other",
    [
        decomposed(0.4, ok=False),
        decomposed(0.4, pump=False),
        decomposed(np.nan),
        decomposed(0.4, np.nan),
        decomposed(0.4, pump_nm=529.0),
        SpectrumFit(assessment=SpectrumAssessment.SATURATED, exposure_s=1.0),
    ],
    ids=["not ok", "no pump", "too weak", "no sigma", "near the lines", "no numbers"],
)
def test_a_spectrum_that_does_not_tell_is_left_out(other):
    found = pump_offset([decomposed(0.1), other])

    assert (found.offset_nm, found.spectra) == (pytest.approx(0.1), 1)
    assert found.sigma_nm == pytest.approx(0.01)


def test_without_a_spectrum_that_tells_there_is_no_number():
    found = pump_offset([])

    assert np.isnan(found.offset_nm)
    assert np.isnan(found.sigma_nm)
    assert found.spectra == 0


def test_an_offset_in_the_counts_is_found(bench):
    rng = np.random.default_rng(1)
    fits = []
    for pump_nm in (516.0, 518.0, 520.0):
        mean = bench.expected(pump=(pump_nm + 0.08, 1.8, 2e5)) / 3
        spectrum = reduce_frames(
            bench.camera(rng, mean, 3),
            bench.camera(rng, 0.0, 5),
            gain_e_per_adu=bench.gain,
            exposure_s=1.0,
        )
        pump = PumpLine(wavelength_nm=pump_nm, fwhm_nm=1.8)
        fits.append(fit_spectrum(spectrum, bench.wavelengths_nm, pump=pump))

    found = pump_offset(fits)

    assert found.spectra == 3
    assert found.offset_nm == pytest.approx(0.08, abs=4 * found.sigma_nm)
    assert found.sigma_nm < 0.005
