"""Excitation curves of a lasing crystal, computed here from its rate balance."""

import numpy as np
import pytest
from scipy.special import erf

from triplet_bluesky.analysis import (
    PEAK_DEFINITION,
    PLEAssessment,
    PLECurve,
    fit_ple,
)
from triplet_bluesky.errors import FitError
from triplet_bluesky.units import Medium, vacuum_to_air_nm

HC_MEV_NM = 1239841.984
EXCITON, WIDTH, ONSET, SOFTNESS, STRENGTH = 2352.0, 10.2, 19.0, 12.0, 2.2  # meV, ratio
COOLING, PHONON = 0.911, 19.0  # kept per phonon; meV
PUMP_NM = 1.8


def photons(power_uw, wavelength_nm):
    return power_uw * 1e-6 * wavelength_nm / (HC_MEV_NM * 1.602176634e-22 * 78e6)


def feed(energy, flux, exciton, limit, edge=(ONSET, SOFTNESS)):
    pump = PUMP_NM * energy**2 / HC_MEV_NM / 2.3548
    width = np.hypot(WIDTH, pump)
    line = STRENGTH * WIDTH / width * np.exp(-(((energy - exciton) / width) ** 2) / 2)
    onset, soft = edge
    hot = (1 + erf((energy - exciton - onset) / (np.sqrt(2) * soft))) / 2 * flux
    excess = np.maximum(energy - exciton, 0)
    kept = COOLING ** (excess / PHONON) * (1 + (hot * excess / limit) ** 6) ** (-1 / 6)
    return line * flux + kept * hot, hot * excess


def overdrive(energy, exciton, power_uw, edge):
    """Carriers in thresholds, cooled and as they were made."""
    off = HC_MEV_NM / 495.0
    limit = feed(off, photons(45.5, 495.0), exciton, np.inf, edge)[1]
    threshold = feed(off, photons(15.45, 495.0), exciton, limit, edge)[0]
    flux = photons(power_uw, 526.0)
    cooled = feed(energy, flux, exciton, limit, edge)[0] / threshold
    return cooled, feed(energy, flux, exciton, np.inf, edge)[0] / threshold


def emission(energy, exciton=EXCITON, power_uw=50.0, edge=(ONSET, SOFTNESS)):
    """Stimulated light per shot, in thresholds, at one photon number."""
    x, _ = overdrive(energy, exciton, power_uw, edge)
    quick = ((x - 1) + np.sqrt((x - 1) ** 2 + 4e-3 * x)) / 2
    return quick - (x - quick) * 0.125 * np.log1p(quick)


def spontaneous(energy, exciton=EXCITON, power_uw=50.0, edge=(ONSET, SOFTNESS)):
    """Spontaneous light per shot: clamped, and a rim that saturates."""
    x, made = overdrive(energy, exciton, power_uw, edge)
    quick = ((x - 1) + np.sqrt((x - 1) ** 2 + 4e-3 * x)) / 2
    return x - quick + 0.18 * made / (1 + made / 12)


def true_peak(exciton=EXCITON, curve=emission, **conditions):
    fine = np.linspace(exciton - 20, exciton + 20, 40_001)
    return fine[np.argmax(curve(fine, exciton, **conditions))]


def scatter(seed, energy, clean, noise):
    """A curve with a share of scatter, and as little again of the maximum's."""
    sigma = noise * clean + 1e-5 * clean.max()
    signal = clean + sigma * np.random.default_rng(seed).normal(size=clean.size)
    return PLECurve(
        energy_mev=energy,
        signal=signal,
        signal_sigma=sigma,
        photons=np.ones(clean.size),
    )


DEMO_MEV = HC_MEV_NM / np.linspace(508.0, 532.0, 25)


@pytest.mark.parametrize(
    "edge", [(19.0, 12.0), (16.0, 14.0), (12.0, 6.0), (30.0, 20.0)]
)
@pytest.mark.parametrize("noise", [0.001, 0.002, 0.005, 0.01, 0.02])
def test_the_stated_sigma_covers_and_is_not_absurdly_wide(edge, noise):
    fits, pull = [], []
    for shift in (0.0, -7.0, 5.0):
        truth = true_peak(EXCITON + shift, edge=edge)
        clean = emission(DEMO_MEV, EXCITON + shift, edge=edge)
        for seed in range(12):
            fit = fit_ple(scatter(1000 * seed + int(shift) + 7, DEMO_MEV, clean, noise))
            fits.append(fit.ok)
            pull.append((fit.peak_mev - truth) / fit.peak_sigma_mev)

    assert np.mean(fits) > 0.9
    assert np.mean(np.abs(pull) < 1) >= 0.60
    assert 0.4 < np.sqrt(np.mean(np.square(pull))) < 1.2


def test_the_sigma_is_both_its_parts():
    fit = fit_ple(scatter(1, DEMO_MEV, emission(DEMO_MEV), 0.005))

    parts = fit.peak_stat_sigma_mev, fit.peak_model_sigma_mev
    assert fit.peak_sigma_mev == pytest.approx(np.hypot(*parts))
    summary = fit.summary()
    assert summary["ple_peak_sigma_mev"] == fit.peak_sigma_mev
    assert summary["ple_peak_stat_sigma_mev"] == parts[0]
    assert summary["ple_peak_model_sigma_mev"] == parts[1] >= 0.03


def test_points_near_threshold_are_left_out():
    clean = emission(DEMO_MEV, EXCITON + 5)
    dim = clean < 0.1 * clean.max()
    assert 0 < np.sum(dim) < 5

    fit = fit_ple(scatter(2, DEMO_MEV, clean, 0.005))

    np.testing.assert_array_equal(fit.used, ~dim)


@pytest.mark.parametrize("power_uw", [20.0, 50.0])
@pytest.mark.parametrize("edge", [(16.0, 14.0), (30.0, 20.0)])
@pytest.mark.parametrize("points", [19, 25])
def test_a_spontaneous_curve_is_within_its_sigma_or_not_ok(power_uw, edge, points):
    energy = HC_MEV_NM / np.linspace(507.0, 531.0, points)
    truth = true_peak(curve=spontaneous, power_uw=power_uw, edge=edge)
    clean = spontaneous(energy, power_uw=power_uw, edge=edge)

    fits = [
        fit_ple(scatter(seed, energy, clean, 0.003), scale_errors=True)
        for seed in range(10)
    ]

    pull = [(fit.peak_mev - truth) / fit.peak_sigma_mev for fit in fits if fit.ok]
    assert not pull or abs(np.median(pull)) < 2


def test_a_curve_that_only_one_way_describes_is_not_quoted():
    clean = 0.6 + emission(DEMO_MEV) / emission(DEMO_MEV).max()

    fit = fit_ple(scatter(3, DEMO_MEV, clean, 0.002))

    assert fit.assessment is PLEAssessment.MODEL_DEPENDENT
    assert np.isfinite(fit.peak_sigma_mev)


def test_a_curve_of_another_form_is_not_quoted():
    energy = HC_MEV_NM / np.linspace(505.0, 530.0, 19)
    signal = emission(energy, power_uw=10.0)

    fit = fit_ple(
        PLECurve(
            energy_mev=energy,
            signal=signal,
            signal_sigma=0.003 * signal,
            photons=np.ones(19),
        )
    )

    assert fit.assessment is PLEAssessment.POOR_FIT
    assert fit.error_scale > 5


def measure(seed, points, noise, exciton=EXCITON):
    rng = np.random.default_rng(seed)
    nm = np.linspace(505.0, 530.0, points)
    dose = 1e6 * (1 + 0.05 * rng.normal(size=points))
    signal = 1e-4 * emission(HC_MEV_NM / nm, exciton) * dose
    measured = dose * (1 + noise * rng.normal(size=points))
    sigma = 0.002 * signal
    return PLECurve.from_wavelengths(
        nm,
        signal + sigma * rng.normal(size=points),
        sigma,
        measured,
        photons_sigma=noise * measured,
        bandwidth_nm=PUMP_NM,
    )


@pytest.mark.parametrize("shift", [0.0, -7.0, 5.0])
@pytest.mark.parametrize("points", [13, 19, 27])
@pytest.mark.parametrize("noise", [0.005, 0.015])
def test_the_peak_follows_the_crystal_and_its_sigma_covers(shift, points, noise):
    truth = true_peak(EXCITON + shift)

    fits = [
        fit_ple(measure(seed, points, noise, EXCITON + shift)) for seed in range(25)
    ]

    assert {str(fit.assessment) for fit in fits} == {"ok"}
    errors = np.array([fit.peak_mev - truth for fit in fits])
    sigmas = np.array([fit.peak_sigma_mev for fit in fits])
    assert abs(np.mean(errors)) < 0.2
    assert np.sqrt(np.mean((errors / sigmas) ** 2)) < 1.4
    assert np.median(sigmas) < (0.4 if shift == -7 else 0.3)  # no flank seen at -7
    assert np.mean(np.abs(errors) < sigmas) > 0.45


def test_the_peak_is_the_maximum_of_the_fitted_curve():
    curve = measure(1, 26, 0.005)

    fit = fit_ple(curve)

    fine = np.linspace(2340, 2365, 25_001)
    assert fit.peak_mev == pytest.approx(fine[np.argmax(fit.model(fine))], abs=2e-3)
    assert fit.peak_mev > fit.center_mev
    assert fit.definition == PEAK_DEFINITION
    assert fit.peak_ev == fit.peak_mev / 1e3
    assert fit.summary()["ple_peak_mev"] == fit.peak_mev
    np.testing.assert_allclose(fit.model(curve.energy_mev), curve.value, rtol=0.03)


def test_the_width_contains_the_pump_and_can_be_freed_of_it():
    fit = fit_ple(measure(2, 27, 0.003))

    assert fit.pump_fwhm_mev == pytest.approx(8.3, abs=0.1)
    pump = fit.pump_fwhm_mev
    assert fit.fwhm_mev == pytest.approx(np.hypot(2.3548 * WIDTH, pump), abs=1.0)
    assert fit.intrinsic_fwhm_mev == pytest.approx(2.3548 * WIDTH, abs=1.1)


def test_scatter_beyond_the_sigmas_widens_them_only_when_asked():
    curve = measure(3, 27, 0.015)
    shy = PLECurve.from_wavelengths(
        HC_MEV_NM / curve.energy_mev, curve.signal, 0.004 * curve.signal, curve.photons
    )

    stated, widened = fit_ple(shy), fit_ple(shy, scale_errors=True)

    assert stated.ok
    assert stated.error_scale > 2
    assert not stated.errors_scaled
    assert widened.errors_scaled
    assert widened.peak_stat_sigma_mev == pytest.approx(
        stated.error_scale * stated.peak_stat_sigma_mev
    )
    assert widened.peak_model_sigma_mev == stated.peak_model_sigma_mev
    assert widened.peak_mev == stated.peak_mev


def test_masked_and_broken_points_are_not_used():
    curve = measure(4, 27, 0.01)
    signal = curve.signal.copy()
    signal[:2] = np.nan, 1e9
    flux = curve.photons.copy()
    flux[2] = 0.0
    sigma = curve.signal_sigma.copy()
    sigma[3] = -1.0
    curve = PLECurve(
        energy_mev=curve.energy_mev,
        signal=signal,
        signal_sigma=sigma,
        photons=flux,
        mask=np.arange(27) != 1,
    )

    fit = fit_ple(curve)

    assert np.flatnonzero(~fit.used).tolist() == [0, 1, 2, 3]
    assert fit.peak_mev == pytest.approx(true_peak(), abs=0.5)


def test_axes_in_air_and_in_vacuum_agree():
    curve = measure(5, 13, 0.01)
    in_air = vacuum_to_air_nm(HC_MEV_NM / curve.energy_mev)

    other = PLECurve.from_wavelengths(
        in_air, curve.signal, curve.signal_sigma, curve.photons, medium=Medium.AIR
    )

    np.testing.assert_allclose(other.energy_mev, curve.energy_mev, rtol=1e-8)


def cut(curve, keep):
    return PLECurve(
        energy_mev=curve.energy_mev[keep],
        signal=curve.signal[keep],
        signal_sigma=curve.signal_sigma[keep],
        photons=curve.photons[keep],
    )


def test_a_maximum_beyond_the_points_is_said_to_be_extrapolated():
    curve = measure(6, 27, 0.002, EXCITON - 7)

    fit = fit_ple(cut(curve, curve.energy_mev > 2346.5))

    assert fit.assessment in {PLEAssessment.PEAK_NEAR_EDGE, PLEAssessment.NO_PEAK}
    assert not fit.ok


def test_a_maximum_beyond_the_last_point_keeps_its_number():
    energy = np.linspace(2353.0, 2450.0, 30)
    signal = 100 * np.exp(-(((energy - 2352.0) / 11) ** 2) / 2) + 20

    fit = fit_ple(
        PLECurve(
            energy_mev=energy,
            signal=signal,
            signal_sigma=0.002 * signal,
            photons=np.ones(30),
        )
    )

    assert fit.assessment is PLEAssessment.PEAK_NEAR_EDGE
    assert fit.peak_mev == pytest.approx(2352.0, abs=1.0)


@pytest.mark.parametrize("slope", [0.0, 0.4, -0.4])
def test_a_curve_without_a_line_has_no_peak(slope):
    rng = np.random.default_rng(7)
    energy = HC_MEV_NM / np.linspace(505.0, 530.0, 19)
    truth = 100 + slope * (energy - 2400)

    fits = [
        fit_ple(
            PLECurve(
                energy_mev=energy,
                signal=truth * (1 + 0.01 * rng.normal(size=19)),
                signal_sigma=0.01 * truth,
                photons=np.ones(19),
            )
        )
        for _ in range(15)
    ]

    assert {fit.assessment for fit in fits} == {PLEAssessment.NO_PEAK}
    assert np.isnan(fits[0].peak_mev)
    assert np.isfinite(fits[0].model(energy)).all()


def test_a_step_has_no_peak():
    energy = HC_MEV_NM / np.linspace(505.0, 530.0, 19)
    signal = 10 + 50 * (1 + erf((energy - 2380) / 15))

    fit = fit_ple(
        PLECurve(
            energy_mev=energy,
            signal=signal,
            signal_sigma=0.01 * signal,
            photons=np.ones(19),
        )
    )

    assert fit.assessment is PLEAssessment.NO_PEAK


@pytest.mark.parametrize("points", [1, 5, 7])
def test_few_points_are_too_few(points):
    fit = fit_ple(cut(measure(8, 19, 0.01), slice(points)))

    assert fit.assessment is PLEAssessment.TOO_FEW_POINTS
    assert np.isnan(fit.model(np.array([2350.0]))).all()
    assert set(fit.summary()) == set(fit_ple(measure(8, 19, 0.01)).summary())


def test_no_light_at_all_is_too_few_points():
    nothing = PLECurve(
        energy_mev=np.linspace(2340, 2450, 13),
        signal=np.zeros(13),
        signal_sigma=np.ones(13),
        photons=np.ones(13),
    )

    assert fit_ple(nothing).assessment is PLEAssessment.TOO_FEW_POINTS


def test_everything_masked_is_too_few_points():
    curve = measure(9, 13, 0.01)
    masked = PLECurve(
        energy_mev=curve.energy_mev,
        signal=curve.signal,
        signal_sigma=curve.signal_sigma,
        photons=curve.photons,
        mask=np.zeros(13, dtype=bool),
    )

    assert fit_ple(masked).assessment is PLEAssessment.TOO_FEW_POINTS


@pytest.mark.parametrize("points", [0, 13])
def test_nothing_finite_is_said_to_be_so(points):
    nothing = np.full(points, np.nan)

    fit = fit_ple(PLECurve.from_wavelengths(nothing, nothing, nothing, nothing))

    assert fit.assessment is PLEAssessment.NON_FINITE


def test_a_fit_that_has_not_ended_is_said_to_be_so(monkeypatch):
    monkeypatch.setattr("triplet_bluesky.analysis.ple_model.MAX_EVALUATIONS", 1)

    fit = fit_ple(measure(10, 27, 0.005))

    assert fit.assessment is PLEAssessment.NOT_CONVERGED


def test_arrays_that_do_not_match_are_refused():
    with pytest.raises(FitError, match="for every pump wavelength"):
        PLECurve(
            energy_mev=np.ones(3),
            signal=np.ones(3),
            signal_sigma=np.ones(4),
            photons=np.ones(3),
        )
    with pytest.raises(FitError, match="for every pump wavelength"):
        PLECurve(
            energy_mev=np.ones((3, 1)),
            signal=np.ones((3, 1)),
            signal_sigma=np.ones((3, 1)),
            photons=np.ones((3, 1)),
        )
