"""Maximum likelihood of Poisson counts with read noise, by Fisher scoring.

Counts y with mean mu and Gaussian noise of known variance v are treated as
y + v ~ Poisson(mu + v), which has the right mean and the right variance.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import gammaln

from triplet_bluesky.errors import FitError
from triplet_bluesky.units import FloatArray

__all__ = ["Model", "Score", "expected_deviance", "goodness_of_fit", "score"]

Model = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""From k parameters to the mean of n pixels, and its Jacobian of shape (k, n)."""

MAX_ITERATIONS = 60
"""Trial steps before a fit is given up; a good start needs about six."""
TOLERANCE = 1e-3
"""A fit has converged when a step promises and brings less deviance than this."""
FLOOR = 1e-9
"""Least mean that a pixel is given, in counts: the logarithm needs one."""
DAMPING_START, DAMPING_LEAST, DAMPING_MOST = 1e-3, 1e-9, 1e12
"""Levenberg-Marquardt damping, relative to the diagonal of the Fisher matrix."""
TABLE_MEAN = 60.0
"""Mean, in counts, above which the moments of the deviance follow their expansion."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Score:
    """Where the likelihood has its maximum, and how sharp it is there."""

    parameters: FloatArray
    """Best parameters, shape (k,)."""
    covariance: FloatArray
    """Inverse Fisher matrix, shape (k, k); nan for a parameter at its limit."""
    mean: FloatArray
    """Mean of each pixel at the best parameters, without the noise variance."""
    deviance: float
    """Twice the log likelihood ratio to a perfect model."""
    converged: bool
    """Whether the last step no longer mattered."""
    at_limit: tuple[bool, ...]
    """For each parameter, whether it ended at one of its limits."""
    iterations: int
    """Trial steps taken."""


def score(
    counts: FloatArray,
    model: Model,
    start: FloatArray,
    *,
    variance: FloatArray | float = 0.0,
    bounds: tuple[FloatArray, FloatArray] | None = None,
    tolerance: float = TOLERANCE,
) -> Score:
    """Fit a model of the mean to counts, by damped Fisher scoring.

    The Fisher matrix is scaled by its diagonal before it is solved or inverted: its
    entries in eV and in counts lie sixteen decades apart.

    Parameters
    ----------
    counts
        Counts y of each pixel, in events (photo-electrons); shape (n,).
    model
        From parameters to mean and Jacobian.
    start
        First parameters; shape (k,). Those outside ``bounds`` are moved in.
    variance
        Variance of the noise in each pixel beside the counting noise, in events^2.
    bounds
        Lowest and highest parameters, each of shape (k,).
    tolerance
        Deviance below which a step counts as no gain.

    Returns
    -------
    :
        The fit; not converged, and with nan for covariance, if the model is not
        finite at the start.

    Raises
    ------
    FitError
        If counts, Jacobian, start and bounds are not of matching shapes.

    References
    ----------
    T. A. Laurence and B. A. Chromy, Nature Methods 7, 338 (2010).

    Examples
    --------
    >>> def level(p):
    ...     return np.full(4, p[0]), np.ones((1, 4))
    >>> fit = score(np.array([90.0, 110.0, 95.0, 105.0]), level, np.array([50.0]))
    >>> round(float(fit.parameters[0]), 3), round(float(fit.covariance[0, 0]), 3)
    (100.0, 25.0)
    """
    unbounded = np.full(np.shape(start), np.inf)
    lower, upper = bounds if bounds is not None else (-unbounded, unbounded)
    if not np.shape(start) == np.shape(lower) == np.shape(upper):
        msg = (
            f"score got {np.shape(start)} parameters with bounds of "
            f"{np.shape(lower)} and {np.shape(upper)}: give one of each per parameter"
        )
        raise FitError(msg)
    ascent = _Ascent(counts, model, variance, lower, upper)
    return ascent.run(np.clip(start, lower, upper), tolerance)


class _Ascent:
    """One climb to the maximum: the data, the limits, and how to step."""

    def __init__(
        self,
        counts: FloatArray,
        model: Model,
        variance: FloatArray | float,
        lower: FloatArray,
        upper: FloatArray,
    ) -> None:
        self.shifted = np.maximum(counts + variance, 0.0)
        safe = np.where(self.shifted > 0, self.shifted, 1.0)
        self.perfect = float(np.sum(self.shifted * np.log(safe) - self.shifted))
        self.variance = variance
        self.model = model
        self.lower, self.upper = lower, upper

    def evaluate(self, p: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        """Mean with variance, Jacobian and deviance; infinite if not finite."""
        mean, jacobian = self.model(p)
        if jacobian.shape != (p.size, self.shifted.size):
            msg = (
                f"score got {self.shifted.size} counts and {p.size} parameters, but a "
                f"Jacobian of {jacobian.shape}: the model must belong to the counts"
            )
            raise FitError(msg)
        m = np.maximum(mean + self.variance, FLOOR)
        deviance = 2 * (np.sum(m) - self.shifted @ np.log(m) + self.perfect)
        finite = np.isfinite(deviance) and np.all(np.isfinite(jacobian))
        return m, jacobian, float(deviance) if finite else np.inf

    def run(self, p: FloatArray, tolerance: float) -> Score:
        """Climb until a step no longer matters."""
        m, jacobian, deviance = self.evaluate(p)
        if not np.isfinite(deviance):
            return self.result(p, m, jacobian, deviance, converged=False, iterations=0)
        damping, converged, iteration = DAMPING_START, False, 0
        while not converged and iteration < MAX_ITERATIONS and damping < DAMPING_MOST:
            iteration += 1
            q, promised = self.step(p, m, jacobian, damping)
            m_new, jacobian_new, deviance_new = self.evaluate(q)
            gain = deviance - deviance_new
            if gain >= 0:
                converged = promised < tolerance and gain < tolerance
                p, m, jacobian, deviance = q, m_new, jacobian_new, deviance_new
                damping = max(damping / 10, DAMPING_LEAST)
            else:
                converged = promised < tolerance / 100 and damping < 1
                damping *= 10
        return self.result(
            p, m, jacobian, deviance, converged=converged, iterations=iteration
        )

    def step(
        self, p: FloatArray, m: FloatArray, jacobian: FloatArray, damping: float
    ) -> tuple[FloatArray, float]:
        """One damped step inside the limits, and the deviance that it promises."""
        weighted = jacobian / m
        gradient = weighted @ (self.shifted - m)
        held = (p <= self.lower) & (gradient < 0) | (p >= self.upper) & (gradient > 0)
        free = np.flatnonzero(~held)
        if free.size < p.size:
            weighted, jacobian = weighted[free], jacobian[free]
        fisher, scale = _scaled(weighted @ jacobian.T)
        fisher.flat[:: free.size + 1] += damping
        q = p.copy()
        q[free] += np.linalg.solve(fisher, gradient[free] * scale) * scale
        q = np.clip(q, self.lower, self.upper)
        return q, float(gradient @ (q - p))

    def result(
        self,
        p: FloatArray,
        m: FloatArray,
        jacobian: FloatArray,
        deviance: float,
        *,
        converged: bool,
        iterations: int,
    ) -> Score:
        """Gather the result, with the covariance of the parameters that are free."""
        at_limit = (p <= self.lower) | (p >= self.upper)
        covariance = np.full((p.size, p.size), np.nan)
        if np.isfinite(deviance):
            free = np.flatnonzero(~at_limit)
            covariance[np.ix_(free, free)] = _inverse(
                (jacobian / m)[free], jacobian[free]
            )
        return Score(
            parameters=p,
            covariance=covariance,
            mean=m - self.variance,
            deviance=deviance,
            converged=converged,
            at_limit=tuple(at_limit.tolist()),
            iterations=iterations,
        )


def _scaled(fisher: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fisher matrix with a unit diagonal, and the scale that makes it so.

    A parameter without any effect gets scale zero and a unit row: it stays in place.
    """
    diagonal = np.diag(fisher)
    known = diagonal > 0
    scale = known / np.sqrt(np.where(known, diagonal, 1.0))
    unit = fisher * (scale[:, np.newaxis] * scale)
    unit.flat[:: scale.size + 1] = 1.0
    return unit, scale


def _inverse(weighted: FloatArray, jacobian: FloatArray) -> FloatArray:
    """Covariance from the Fisher matrix; nan where the data say nothing."""
    unit, scale = _scaled(weighted @ jacobian.T)
    unknown = scale == 0
    try:
        inverse = np.linalg.inv(unit)
    except np.linalg.LinAlgError:
        return np.full_like(unit, np.nan)
    inverse[np.diag(inverse) <= 0] = np.nan
    inverse[unknown] = np.nan
    inverse[:, unknown] = np.nan
    return inverse * np.outer(scale, scale)


def expected_deviance(
    mean: FloatArray, variance: FloatArray | float = 0.0
) -> tuple[float, float]:
    r"""Deviance that counts of this mean have by chance.

    Summed exactly over the Poisson distribution below 60 counts; above, with
    m = mean + variance, from the cumulants to first order:

    .. math::

        E = 1 + \frac{1}{2m} - \frac{\mu}{3m^2}, \qquad
        V = 2 + \frac{17}{3m} - \frac{5\mu}{m^2}

    Parameters
    ----------
    mean
        Mean of each pixel, in counts.
    variance
        Variance of the noise beside the counting noise, in counts^2.

    Returns
    -------
    :
        Expectation and standard deviation of the deviance of all pixels.

    Examples
    --------
    >>> expectation, deviation = expected_deviance(np.full(1000, 1e4))
    >>> round(expectation), round(deviation, 1)
    (1000, 44.7)
    """
    m = np.maximum(mean + variance, FLOOR)
    expectation = 1 + 1 / (2 * m) - mean / (3 * m**2)
    spread = 2 + 17 / (3 * m) - 5 * mean / m**2
    few = m < TABLE_MEAN
    if np.any(few):
        grid, expectations, spreads = _deviance_table()
        root = np.sqrt(m[few])
        expectation[few] = np.interp(root, grid, expectations)
        spread[few] = np.interp(root, grid, spreads)
    return float(np.sum(expectation)), float(np.sqrt(np.sum(spread)))


def goodness_of_fit(
    deviance: float, expectation: float, deviation: float, fitted: int
) -> float:
    """Distance of a deviance from the one expected, in standard deviations.

    Parameters
    ----------
    deviance
        Deviance of the fit.
    expectation, deviation
        Expectation and standard deviation of the deviance at the true mean.
    fitted
        Number of free parameters, each of which takes one from the expectation.

    Returns
    -------
    :
        z; about -2 to 2 for a model that is right, nan without data.

    Examples
    --------
    >>> round(goodness_of_fit(1040.0, 1003.0, 45.0, 8), 3)
    1.0
    """
    return (deviance - (expectation - fitted)) / deviation if deviation else np.nan


@cache
def _deviance_table() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean and variance of the Poisson deviance against the square root of the mean."""
    root = np.linspace(0.0, np.sqrt(TABLE_MEAN), 400)
    m = np.maximum(root**2, FLOOR)[:, np.newaxis]
    k = np.arange(0.0, 2.5 * TABLE_MEAN)
    probability = np.exp(k * np.log(m) - m - gammaln(k + 1))
    term = 2 * (m - k + k * np.log(np.maximum(k, 1.0) / m))
    expectation = np.sum(probability * term, axis=1)
    spread = np.sum(probability * term**2, axis=1) - expectation**2
    return root, expectation, spread
