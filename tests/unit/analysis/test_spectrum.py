"""Decomposition of spectra simulated by other code, line by line."""

from dataclasses import replace

import numpy as np
import pytest

from triplet_bluesky.analysis import (
    Line,
    PumpLine,
    SEEstimate,
    SpectrumAssessment,
    SpectrumFit,
    SpectrumOptions,
    fit_spectrum,
    pixel_edges_ev,
    reduce_frames,
)
from triplet_bluesky.errors import FitError
from triplet_bluesky.units import HC_EV_NM, Medium, vacuum_to_air_nm

LOW, HIGH = 2335.0, 2337.0
BRIGHT = {"spe": (2338.5, 16.0, 1e6), "lines": ((LOW, 0.85, 3e6), (HIGH, 0.85, 6e3))}


@pytest.fixture(scope="module")
def take(bench):
    """Take a spectrum: three sub-exposures and five dark frames."""

    def _take(seed=0, **truth):
        rng = np.random.default_rng(seed)
        frames = bench.camera(rng, bench.expected(**truth) / 3, 3)
        dark = bench.camera(rng, 0.0, 5)
        return reduce_frames(frames, dark, gain_e_per_adu=bench.gain, exposure_s=1.0)

    return _take


def pulls(fit, lines, spe):
    """Deviations of a fit from the truth, in its own sigmas."""
    found = [
        ((1e3 * fit.spe.center_ev - spe[0]) / (1e3 * fit.spe.center_sigma_ev)),
        (fit.spe.fwhm_mev - np.hypot(spe[1], 0.7)) / fit.spe.fwhm_sigma_mev,
        (fit.spe.area_e - spe[2]) / fit.spe.area_sigma_e,
        (fit.se_area_e - sum(area for *_, area in lines)) / fit.se_area_sigma_e,
    ]
    for line, (centre, _, area) in zip(fit.lines, lines, strict=True):
        found += [
            (1e3 * line.center_ev - centre) / (1e3 * line.center_sigma_ev),
            (line.area_e - area) / line.area_sigma_e,
        ]
    return found


@pytest.mark.parametrize(
    "areas", [(4e3, 2e3), (2e3, 4e3), (2e6, 1.2e6), (4e3, 1e6)], ids=str
)
def test_two_lines_are_found_and_the_sigmas_cover(bench, take, areas):
    lines = ((LOW, 0.85, areas[0]), (HIGH, 0.85, areas[1]))

    fits = [
        fit_spectrum(take(seed, lines=lines), bench.wavelengths_nm)
        for seed in range(25)
    ]

    assert {str(fit.assessment) for fit in fits} == {"ok"}
    assert {fit.se_source for fit in fits} == {SEEstimate.LINES}
    deviations = np.array([pulls(fit, lines, bench.truth["spe"]) for fit in fits])
    assert np.abs(np.mean(deviations, axis=0)).max() < 4 / np.sqrt(25)
    assert np.mean(np.abs(deviations) < 1) == pytest.approx(0.683, abs=0.1)
    assert np.mean([fit.z for fit in fits]) == pytest.approx(0, abs=0.8)
    assert fits[0].splitting_mev == pytest.approx(2.0, abs=0.15)


def test_widths_contain_the_instrument_and_can_be_freed_of_it(bench, take):
    fit = fit_spectrum(take(**BRIGHT), bench.wavelengths_nm)

    low = fit.lines[0]
    assert fit.resolution_mev == pytest.approx(0.70, abs=0.01)
    assert low.fwhm_mev == pytest.approx(np.hypot(0.85, 0.699), abs=0.005)
    assert low.intrinsic_fwhm_mev(fit.resolution_mev) == pytest.approx(0.85, abs=0.01)
    assert Line(fwhm_mev=0.5).intrinsic_fwhm_mev(0.7) == 0.0


@pytest.mark.parametrize("shift", [-12.0, 9.0])
def test_the_fit_follows_a_sample_with_other_energies(bench, take, shift):
    lines = ((LOW + shift, 0.85, 4e4), (LOW + shift + 3.1, 0.85, 9e4))
    spe = (2331.0 + shift, 22.0, 2e5)

    fit = fit_spectrum(take(lines=lines, spe=spe), bench.wavelengths_nm)

    assert fit.ok
    assert np.abs(pulls(fit, lines, spe)).max() < 4


def test_no_line_is_invented(bench, take):
    fits = [
        fit_spectrum(take(seed, lines=()), bench.wavelengths_nm) for seed in range(40)
    ]

    assert sum(len(fit.lines) for fit in fits) == 0
    assert {fit.se_source for fit in fits} == {SEEstimate.NONE}
    assert np.isnan(fits[0].se_area_e)
    assert np.isnan(fits[0].splitting_mev)


def test_the_detection_limit_is_where_half_of_the_lines_are_found(bench, take):
    limit = fit_spectrum(take(lines=()), bench.wavelengths_nm).se_limit_e
    lines = ((2338.5, 0.78, limit),)

    found = [
        len(fit_spectrum(take(seed, lines=lines), bench.wavelengths_nm).lines)
        for seed in range(30)
    ]

    assert 0.2 < np.mean(found) < 0.9


def test_below_detection_the_reference_gives_an_unbiased_area(bench, take):
    reference = fit_spectrum(take(**BRIGHT), bench.wavelengths_nm)
    areas, sigmas = [], []
    for seed in range(40):
        spectrum = take(seed, lines=((LOW, 0.85, 100.0),))
        fit = fit_spectrum(spectrum, bench.wavelengths_nm, reference=reference)
        assert fit.se_source is SEEstimate.REFERENCE
        areas.append(fit.se_area_e)
        sigmas.append(fit.se_area_sigma_e)

    assert np.mean(areas) == pytest.approx(100, abs=3 * np.mean(sigmas) / np.sqrt(40))
    assert np.std(areas) == pytest.approx(np.mean(sigmas), rel=0.35)
    assert min(areas) < 0


@pytest.mark.parametrize("pump_nm", [505.0, 508.5, 520.0, 527.9, 529.0, 530.0])
def test_the_pump_line_does_not_bias_the_emission(bench, take, pump_nm):
    deviations, shifts = [], []
    for seed in range(8):
        spectrum = take(seed, **BRIGHT, pump=(pump_nm + 0.02, 1.8, 2e5))
        pump = PumpLine(wavelength_nm=pump_nm, fwhm_nm=1.8)

        fit = fit_spectrum(spectrum, bench.wavelengths_nm, pump=pump)

        assert fit.ok, fit.assessment
        deviations.append(pulls(fit, BRIGHT["lines"], BRIGHT["spe"]))
        shifts.append(fit.pump_shift_nm)
    assert np.sqrt(np.mean(np.square(deviations))) < 1.4
    if pump_nm > 512:
        assert np.mean(shifts) == pytest.approx(0.02, abs=0.01)


def test_a_pump_far_from_the_window_is_not_fitted(bench, take):
    pump = PumpLine(wavelength_nm=495.0, fwhm_nm=1.8)

    fit = fit_spectrum(take(), bench.wavelengths_nm, pump=pump)

    assert fit.ok
    assert np.isnan(fit.pump_area_e)
    assert "pump_area_e" not in fit.names


def test_a_weak_pump_stays_where_the_filter_says(bench, take):
    spectrum = take(pump=(520.0, 1.8, 300.0))
    pump = PumpLine(wavelength_nm=520.0, fwhm_nm=1.8)

    fit = fit_spectrum(spectrum, bench.wavelengths_nm, pump=pump)

    assert np.isnan(fit.pump_shift_nm)
    assert fit.pump_area_e == pytest.approx(300, abs=4 * fit.pump_area_sigma_e)


def test_a_pump_without_read_back_is_not_fitted(bench, take):
    pump = PumpLine(wavelength_nm=np.nan, fwhm_nm=1.8)

    assert (
        "pump_area_e" not in fit_spectrum(take(), bench.wavelengths_nm, pump=pump).names
    )


@pytest.mark.parametrize("lines", [(), ((LOW, 0.85, 3e3),)], ids=["none", "weak"])
def test_a_strong_pump_on_the_lines_masks_them(bench, take, lines):
    spectrum = take(lines=lines, pump=(530.9, 1.8, 1e6))
    pump = PumpLine(wavelength_nm=530.9, fwhm_nm=1.8)

    fit = fit_spectrum(spectrum, bench.wavelengths_nm, pump=pump)

    assert fit.assessment is SpectrumAssessment.PUMP_MASKS_SE


def test_where_se_is_expected_the_reference_says(bench, take):
    spectrum = take(lines=(), pump=(527.0, 1.8, 1e5), spe=(2331.0, 16.0, 2e4))
    pump = PumpLine(wavelength_nm=527.0, fwhm_nm=1.8)
    there = fit_spectrum(take(lines=((2352.0, 0.85, 1e5),)), bench.wavelengths_nm)

    alone = fit_spectrum(spectrum, bench.wavelengths_nm, pump=pump)
    told = fit_spectrum(spectrum, bench.wavelengths_nm, pump=pump, reference=there)

    assert alone.assessment is SpectrumAssessment.OK
    assert told.assessment is SpectrumAssessment.PUMP_MASKS_SE


def test_an_empty_spectrum_says_so_and_gives_a_limit(bench, take):
    reference = fit_spectrum(take(**BRIGHT), bench.wavelengths_nm)
    dark = take(spe=(2338.5, 16.0, 0.0), lines=())

    fit = fit_spectrum(dark, bench.wavelengths_nm, reference=reference)

    assert fit.assessment is SpectrumAssessment.NO_SIGNAL
    assert fit.background_e == pytest.approx(20, abs=5 * fit.background_sigma_e)
    assert abs(fit.se_area_e) < 4 * fit.se_area_sigma_e
    assert 0 < fit.se_limit_e < 1e3


def test_cosmic_rays_in_sub_exposures_do_not_move_the_fit(bench):
    rng = np.random.default_rng(5)
    frames = bench.camera(rng, bench.expected() / 3, 3)
    frames[rng.integers(3, size=12), rng.integers(400, 700, size=12)] += 200
    spectrum = reduce_frames(
        frames, bench.camera(rng, 0.0, 5), gain_e_per_adu=10.0, exposure_s=1.0
    )

    fit = fit_spectrum(spectrum, bench.wavelengths_nm)

    assert spectrum.cosmic_hits >= 11
    assert fit.ok
    assert np.abs(pulls(fit, bench.truth["lines"], bench.truth["spe"])).max() < 4


def test_masked_pixels_are_left_out(bench, take):
    spectrum = take(**BRIGHT)
    mask = spectrum.mask.copy()
    mask[480:500] = False
    counts = np.where(mask, spectrum.counts, np.nan)

    fit = fit_spectrum(
        replace(spectrum, mask=mask, counts=counts), bench.wavelengths_nm
    )

    assert fit.ok
    assert np.abs(pulls(fit, BRIGHT["lines"], BRIGHT["spe"])).max() < 4


@pytest.mark.parametrize(
    ("change", "assessment"),
    [
        ({"saturated_pixels": 2}, SpectrumAssessment.SATURATED),
        ({"mask": np.arange(1024) < 30}, SpectrumAssessment.TOO_FEW_PIXELS),
        ({"exposure_s": np.nan}, SpectrumAssessment.NON_FINITE),
        ({"counts": np.full(1024, np.nan)}, SpectrumAssessment.NON_FINITE),
    ],
)
def test_data_that_cannot_be_fitted_are_said_to_be_so(bench, take, change, assessment):
    fit = fit_spectrum(replace(take(), **change), bench.wavelengths_nm)

    assert fit.assessment is assessment
    assert not fit.ok
    assert np.isnan(fit.se_rate)
    assert fit.components(pixel_edges_ev(bench.wavelengths_nm)) == {}
    assert np.isnan(fit.model(pixel_edges_ev(bench.wavelengths_nm))).all()
    assert set(fit.summary()) == set(
        fit_spectrum(take(), bench.wavelengths_nm).summary()
    )


def test_wavelengths_that_are_not_finite_are_said_to_be_so(bench, take):
    wavelengths = bench.wavelengths_nm.copy()
    wavelengths[3] = np.nan

    fit = fit_spectrum(take(), wavelengths)

    assert fit.assessment is SpectrumAssessment.NON_FINITE


def test_wavelengths_of_another_camera_are_refused(bench, take):
    with pytest.raises(FitError, match="one wavelength for each pixel"):
        fit_spectrum(take(), bench.wavelengths_nm[:-1])


def test_a_band_at_its_limit_is_said_to_be_so(bench, take):
    options = SpectrumOptions(spe_fwhm_mev=(7.0, 12.0))

    fit = fit_spectrum(take(lines=()), bench.wavelengths_nm, options=options)

    assert fit.assessment is SpectrumAssessment.AT_LIMIT
    assert np.isnan(fit.spe.fwhm_sigma_mev)


def test_a_model_that_does_not_describe_the_counts_is_said_to_be_so(bench, take):
    lines = tuple((2320.0 + 5 * n, 0.85, 3e5) for n in range(6))

    fit = fit_spectrum(take(lines=lines), bench.wavelengths_nm)

    assert fit.assessment is SpectrumAssessment.POOR_FIT
    assert fit.error_scale > 3


def test_lines_are_not_looked_for_unless_asked(bench, take):
    options = SpectrumOptions(max_lines=1)

    fit = fit_spectrum(take(), bench.wavelengths_nm, options=options)

    assert len(fit.lines) == 1


def test_a_camera_the_other_way_round_gives_the_same(bench, take):
    spectrum = take()
    mirrored = replace(
        spectrum,
        counts=spectrum.counts[::-1],
        variance=spectrum.variance[::-1],
        weight=spectrum.weight[::-1],
        mask=spectrum.mask[::-1],
    )

    one = fit_spectrum(spectrum, bench.wavelengths_nm)
    other = fit_spectrum(mirrored, bench.wavelengths_nm[::-1])

    assert other.spe.center_ev == pytest.approx(one.spe.center_ev, abs=1e-6)
    assert other.se_area_e == pytest.approx(one.se_area_e, rel=1e-4)


def test_an_axis_in_air_gives_the_same_energies(bench, take):
    in_air = vacuum_to_air_nm(bench.wavelengths_nm)

    fit = fit_spectrum(take(), in_air, options=SpectrumOptions(medium=Medium.AIR))

    vacuum = fit_spectrum(take(), bench.wavelengths_nm)
    assert fit.lines[0].center_ev == pytest.approx(vacuum.lines[0].center_ev, abs=2e-8)


def test_components_sum_to_the_model_and_to_the_areas(bench, take):
    pump = PumpLine(wavelength_nm=520.0, fwhm_nm=1.8)
    spectrum = take(**BRIGHT, pump=(520.0, 1.8, 2e5))
    fit = fit_spectrum(spectrum, bench.wavelengths_nm, pump=pump)
    edges = pixel_edges_ev(bench.wavelengths_nm)

    parts = fit.components(edges)

    np.testing.assert_allclose(sum(parts.values()), fit.model(edges))
    assert parts["se"].sum() == pytest.approx(fit.se_area_e, rel=1e-6)
    assert parts["spe"].sum() == pytest.approx(fit.spe.area_e, rel=1e-4)
    assert parts["pump"].sum() == pytest.approx(fit.pump_area_e, rel=1e-6)
    residual = (spectrum.counts - fit.model(edges)) / np.sqrt(fit.model(edges) + 150)
    assert np.std(residual) == pytest.approx(1, abs=0.1)


def test_components_of_a_fit_with_a_reference_sum_to_its_area(bench, take):
    reference = fit_spectrum(take(**BRIGHT), bench.wavelengths_nm)
    empty = take(spe=(2338.5, 16.0, 0.0), lines=())
    edges = pixel_edges_ev(bench.wavelengths_nm)

    for spectrum in (take(lines=()), empty):
        fit = fit_spectrum(spectrum, bench.wavelengths_nm, reference=reference)

        parts = fit.components(edges)
        assert parts["se"].sum() == pytest.approx(fit.se_area_e, rel=1e-6)


def test_rates_are_areas_over_the_exposure(bench, take):
    fit = fit_spectrum(take(), bench.wavelengths_nm)

    summary = fit.summary()

    assert fit.exposure_s == 3.0
    assert summary["se_rate"] == pytest.approx(fit.se_area_e / 3)
    assert summary["spe_rate_sigma"] == pytest.approx(fit.spe.area_sigma_e / 3)
    assert summary["line_high_center_ev"] == fit.lines[1].center_ev
    assert fit.error_scale == pytest.approx(1, abs=0.06)


def test_a_fit_that_has_not_converged_is_said_to_be_so(bench, take, monkeypatch):
    monkeypatch.setattr("triplet_bluesky.analysis.scoring.MAX_ITERATIONS", 0)

    fit = fit_spectrum(take(**BRIGHT), bench.wavelengths_nm)

    assert fit.assessment is SpectrumAssessment.NOT_CONVERGED


def test_a_short_window_is_enough(bench, take):
    spectrum = take(**BRIGHT)
    window = slice(300, 720)
    cut = replace(
        spectrum,
        counts=spectrum.counts[window],
        variance=spectrum.variance[window],
        weight=spectrum.weight[window],
        mask=spectrum.mask[window],
    )

    fit = fit_spectrum(cut, bench.wavelengths_nm[window])

    assert fit.ok
    assert 1e3 * fit.lines[0].center_ev == pytest.approx(LOW, abs=0.01)


def test_an_empty_fit_has_no_splitting():
    assert np.isnan(
        SpectrumFit(assessment=SpectrumAssessment.OK, exposure_s=1.0).splitting_mev
    )


def test_the_vacuum_conversion_is_the_one_used():
    edges = pixel_edges_ev(np.array([530.0, 531.0, 532.0]))

    assert edges[1] == pytest.approx(HC_EV_NM / 530.5)
