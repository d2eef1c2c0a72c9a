"""The scoring routine against exact answers, scipy and Monte Carlo."""

import numpy as np
import pytest
from scipy import optimize, stats

from triplet_bluesky.analysis.scoring import expected_deviance, goodness_of_fit, score
from triplet_bluesky.errors import FitError

X = np.linspace(-1.0, 1.0, 60)


def peak(p):
    """Gaussian on a level: the tests' own, with its derivatives by hand."""
    level, height, centre, width = p
    bell = np.exp(-(((X - centre) / width) ** 2))
    mean = level + height * bell
    slope = 2 * height * bell * (X - centre) / width**2
    return mean, np.array([np.ones_like(X), bell, slope, slope * (X - centre) / width])


TRUTH = np.array([20.0, 400.0, 0.1, 0.3])
BOUNDS = np.array([0.0, 0.0, -1.0, 0.05]), np.array([500.0, 5e3, 1.0, 2.0])
START = np.array([1.0, 30.0, -0.1, 0.5])


def draw(seed, read_noise=0.0):
    rng = np.random.default_rng(seed)
    return rng.poisson(peak(TRUTH)[0]) + read_noise * rng.normal(size=X.size)


def test_the_maximum_is_that_of_another_optimiser():
    counts = draw(1)

    fit = score(counts, peak, START, tolerance=1e-8)

    def minus_log_likelihood(p):
        mean = np.maximum(peak(p)[0], 1e-9)
        return np.sum(mean - counts * np.log(mean))

    other = optimize.minimize(
        minus_log_likelihood,
        TRUTH,
        method="Nelder-Mead",
        options={"xatol": 1e-7, "fatol": 1e-9, "maxiter": 4000, "maxfev": 8000},
    )
    assert fit.converged
    np.testing.assert_allclose(fit.parameters, other.x, rtol=1e-4)


@pytest.mark.parametrize("read_noise", [0.0, 4.0])
def test_sigmas_cover_and_deviance_is_expected(read_noise):
    pulls, deviances = [], []
    for seed in range(400):
        variance = read_noise**2
        fit = score(
            draw(seed, read_noise), peak, START, variance=variance, bounds=BOUNDS
        )
        pulls.append((fit.parameters - TRUTH) / np.sqrt(np.diag(fit.covariance)))
        expectation, deviation = expected_deviance(fit.mean, variance)
        deviances.append(goodness_of_fit(fit.deviance, expectation, deviation, 4))

    assert np.abs(np.mean(pulls, axis=0)).max() < 4 / np.sqrt(400)
    assert np.mean(np.abs(pulls) < 1, axis=0) == pytest.approx([0.683] * 4, abs=0.09)
    assert np.mean(deviances) == pytest.approx(0, abs=0.2)
    assert np.std(deviances) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("mean", [0.01, 0.3, 2.0, 20.0, 59.0, 61.0, 500.0])
def test_moments_of_the_deviance_are_those_of_the_distribution(mean):
    k = np.arange(0, 2000)
    probability = stats.poisson.pmf(k, mean)
    term = 2 * (mean - k + np.where(k > 0, k * np.log(np.maximum(k, 1) / mean), 0))
    expected = np.sum(probability * term)
    spread = np.sqrt(np.sum(probability * term**2) - expected**2)

    got = expected_deviance(np.array([mean]))

    np.testing.assert_allclose(got, [expected, spread], rtol=2e-3)


def test_a_limit_is_kept_and_said():
    bounds = np.array([0.0, 0.0, -1.0, 0.4]), np.array([50.0, 500.0, 1.0, 0.9])

    fit = score(draw(3), peak, START, bounds=bounds)

    assert fit.parameters[3] == 0.4
    assert fit.at_limit == (False, False, False, True)
    assert np.isnan(fit.covariance[3]).all()
    assert np.isfinite(fit.covariance[:3, :3]).all()


def test_a_parameter_can_leave_its_limit_again():
    fit = score(draw(3), peak, np.array([20.0, 300.0, 0.0, 2.0]), bounds=BOUNDS)

    assert fit.converged
    assert not any(fit.at_limit)


def test_a_model_that_is_not_finite_is_reported():
    fit = score(draw(1), peak, np.array([np.nan, 1.0, 0.0, 0.3]))

    assert not fit.converged
    assert np.isnan(fit.covariance).all()


def test_a_step_into_nonsense_is_taken_back():
    def model(p):
        root = np.sqrt(p[0]) if p[0] > 0 else np.nan
        return np.full(3, root), np.full((1, 3), 0.5 / root)

    fit = score(np.full(3, 1.0), model, np.array([400.0]))

    assert fit.converged
    assert fit.parameters[0] == pytest.approx(1.0, rel=1e-3)


def test_a_wrong_jacobian_ends_without_convergence():
    def model(p):
        return np.full(3, 1 + p[0] ** 2), np.full((1, 3), -2 * p[0])

    fit = score(np.full(3, 100.0), model, np.array([3.0]))

    assert not fit.converged


def test_a_parameter_without_effect_has_no_sigma():
    def model(p):
        return np.full(3, p[0]), np.array([[1.0] * 3, [0.0] * 3])

    fit = score(np.full(3, 9.0), model, np.array([1.0, 7.0]))

    assert fit.parameters == pytest.approx([9.0, 7.0], rel=1e-3)
    assert fit.covariance[0, 0] == pytest.approx(3.0, rel=1e-3)
    assert np.isnan(fit.covariance[1, 1])


def test_parameters_that_cannot_be_told_apart_have_no_sigma():
    def model(p):
        return np.full(3, p[0] + p[1]), np.ones((2, 3))

    fit = score(np.full(3, 9.0), model, np.array([1.0, 7.0]))

    assert np.sum(fit.parameters) == pytest.approx(9.0, rel=1e-3)
    assert np.isnan(fit.covariance).all()


def test_no_deviance_no_goodness():
    assert np.isnan(goodness_of_fit(0.0, 0.0, 0.0, 0))


def test_shapes_that_do_not_match_are_refused():
    with pytest.raises(FitError, match="one of each per parameter"):
        score(draw(1), peak, START, bounds=(np.zeros(3), np.ones(3)))
    with pytest.raises(FitError, match="Jacobian"):
        score(np.ones(7), lambda _: (np.ones(7), np.ones((4, 6))), START)
