"""An excitation curve fitted, and its maximum found in several ways.

Eight parameters are many for a dozen points, so three of them are held loosely by what
any such curve has: the edge about two widths of the line above it, as soft as the line
is wide (each to a factor of two), the offset within a tenth of the maximum. What that
freedom does to the peak is part of its sigma. The offset is what a lasing threshold
takes off a curve that is proportional to the absorption.

No form is exact. `WAYS` are other ways to the same maximum; how far they lead from it
is a measure of what the form does to the peak.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.special import ndtr

from triplet_bluesky.analysis.ple_form import QUOTED, Form
from triplet_bluesky.units import FloatArray

__all__ = ["ExcitationFit", "fit_excitation"]

Data = tuple[FloatArray, FloatArray, FloatArray]
"""Energies, values and weights, in units of the range and of the greatest value."""

EDGE_DISTANCE, EDGE_SOFTNESS = 2.0, 1.0
"""Distance and softness of the edge that are held loosely, in sigmas of the line."""
EDGE_LATITUDE = 0.7
"""How loosely: standard deviation of their logarithms, a factor of two."""
OFFSET_LATITUDE = 0.1
"""Standard deviation of the offset about zero, as a share of the greatest value."""
SEED_CENTRES = 48
"""Centres tried for a start, evenly over the range."""
SEED_SIGMAS = (0.06, 0.1, 0.15, 0.22)
"""Widths of the line tried for a start, as shares of the range."""
SEED_DISTANCES = (1.5, 2.5)
"""Distances of the edge tried for a start, in widths of the line."""
LOWER = np.array([0.0, -0.1, 0.02, 0.0, 0.01, 0.01, -20.0, -2.0])
UPPER = np.array([20.0, 1.1, 1.0, 20.0, 3.0, 2.0, 20.0, 2.0])
"""Limits of the parameters, in units of the greatest value and of the range."""
MAX_EVALUATIONS = 200
"""Evaluations before a fit is given up; a good start needs about fifteen."""

FOLLOW_TOLERANCE, FOLLOW_EVALUATIONS = 1e-7, 40
"""Relative tolerance and most evaluations of a fit that starts at the quoted curve: a
thousandth of a sigma is enough for a spread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What holds the parameters that points alone determine badly."""

    distance: float = EDGE_DISTANCE
    """Distance of the edge, in sigmas of the line."""
    softness: float = EDGE_SOFTNESS
    """Softness of the edge, in sigmas of the line."""
    offset: float = OFFSET_LATITUDE
    """Latitude of the offset, as a share of the greatest value."""

    def residuals(self, p: FloatArray) -> FloatArray:
        """Give the deviations from what is held, in their latitudes.

        Parameters
        ----------
        p
            Parameters, in units of the greatest value and of the range.

        Returns
        -------
        :
            Three deviations.
        """
        return np.array(
            [
                np.log(p[4] / (self.distance * p[2])) / EDGE_LATITUDE,
                np.log(p[5] / (self.softness * p[2])) / EDGE_LATITUDE,
                p[7] / self.offset,
            ]
        )

    def jacobian(self, p: FloatArray) -> FloatArray:
        """Differentiate the deviations to the parameters.

        Parameters
        ----------
        p
            Parameters, in units of the greatest value and of the range.

        Returns
        -------
        :
            The derivatives; shape (3, 8).
        """
        jacobian = np.zeros((3, p.size))
        jacobian[:2, 2] = -1 / (EDGE_LATITUDE * p[2])
        jacobian[0, 4] = 1 / (EDGE_LATITUDE * p[4])
        jacobian[1, 5] = 1 / (EDGE_LATITUDE * p[5])
        jacobian[2, 7] = 1 / self.offset
        return jacobian


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Another way to find the maximum: another form, or only the points near it."""

    form: Form = QUOTED
    """Form of edge and continuum."""
    held: Held = Held()
    """What holds the loose parameters."""
    below: float = np.inf
    """Reach of the points below the maximum, in sigmas of the line."""
    above: float = np.inf
    """Reach of the points above it."""


HELD = Held()
WAYS = (
    Way(form=Form(logistic=True)),
    Way(form=Form(exponential=True)),
    Way(held=Held(offset=1.0)),
    Way(below=1.3),
    Way(above=3.0),
)
"""The other ways. Each changes one thing that the points do not decide."""
FREE = 6
"""Points that a window must leave: the parameters that nothing holds, and one more."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExcitationFit:
    """The curve fitted, with the covariance of its parameters."""

    parameters: FloatArray
    """Parameters in the order of `PARAMETERS`."""
    covariance: FloatArray
    """Their covariance, from the absolute sigmas."""
    chi2: float
    """Squared residuals of the points, in their sigmas."""
    dof: float
    """Points, less the trace of the matrix that maps points to fit."""
    saved: float
    """Chi2 saved over the best curve without a line."""
    converged: bool
    """Whether the fit has ended."""
    at_limit: bool
    """Whether centre or width of the line ended at a limit."""
    others_mev: FloatArray
    """The maximum found in other ways, in meV; nan where there is none."""


def fit_excitation(
    energy_mev: FloatArray, value: FloatArray, sigma: FloatArray
) -> ExcitationFit:
    """Fit the curve by weighted least squares.

    Parameters
    ----------
    energy_mev
        Photon energies, in meV; shape (n,), not all the same.
    value, sigma
        Values and their standard deviations; finite, sigma above zero; shape (n,).

    Returns
    -------
    :
        The fit.
    """
    low, span = float(np.min(energy_mev)), float(np.ptp(energy_mev))
    top = float(np.max(np.abs(value)))
    unit = np.array([top, span, span, top, span, span, top / span, top])
    origin = np.array([0.0, low, 0, 0, 0, 0, 0, 0])
    scaled = (energy_mev - low) / span
    y, weight = value / top, top / sigma
    start, chi2_without = _seed(scaled, y, weight)
    best, ended, limited = _solve(QUOTED, HELD, (scaled, y, weight), start)
    covariance = _covariance(scaled, weight, best)
    points = weight[:, None] * QUOTED.jacobian(scaled, best)
    chi2 = float(np.sum((weight * (QUOTED.curve(scaled, best) - y)) ** 2))
    others = _others((scaled, y, weight), best)
    return ExcitationFit(
        parameters=origin + best * unit,
        covariance=covariance * np.outer(unit, unit),
        chi2=chi2,
        dof=value.size - float(np.sum((points @ covariance) * points)),
        saved=chi2_without - chi2,
        converged=ended,
        at_limit=limited,
        others_mev=low + span * others,
    )


def _others(data: Data, best: FloatArray) -> FloatArray:
    """Find the maximum again in each other way; nan where there is none.

    Every way starts at the curve that is quoted. A window that leaves fewer points than
    free parameters says nothing and is left out.
    """
    x = data[0]
    peak = QUOTED.top(best)
    if np.isnan(peak):
        return np.full(1, np.nan)
    found = []
    for way in WAYS:
        inside = x >= peak - way.below * best[2]
        inside &= x <= peak + way.above * best[2]
        if np.unique(x[inside]).size < FREE:
            continue
        cut = (x[inside], data[1][inside], data[2][inside])
        found.append(way.form.top(_follow(way, cut, best)))
    return np.array(found)


def _solve(
    form: Form, held: Held, data: Data, start: FloatArray
) -> tuple[FloatArray, bool, bool]:
    """Minimise the squares: parameters, has it ended, is the line at a limit."""
    x, y, weight = data

    def residuals(p: FloatArray) -> FloatArray:
        return np.append(weight * (form.curve(x, p) - y), held.residuals(p))

    def jacobian(p: FloatArray) -> FloatArray:
        return np.vstack([weight[:, None] * form.jacobian(x, p), held.jacobian(p)])

    margin = 1e-6 * (UPPER - LOWER)
    solved = least_squares(
        residuals,
        np.clip(start, LOWER + margin, UPPER - margin),
        jac=jacobian,
        bounds=(LOWER, UPPER),
        x_scale="jac",
        max_nfev=MAX_EVALUATIONS,
    )
    return solved.x, bool(solved.success), bool(np.any(solved.active_mask[1:3] != 0))


def _follow(way: Way, data: Data, start: FloatArray) -> FloatArray:
    """Minimise the squares from a good start: faster than `_solve`, which searches."""
    x, y, weight = data

    def residuals(p: FloatArray) -> FloatArray:
        inside = np.clip(p, LOWER, UPPER)
        points = weight * (way.form.curve(x, inside) - y)
        return np.append(points, way.held.residuals(inside))

    def jacobian(p: FloatArray) -> FloatArray:
        inside = np.clip(p, LOWER, UPPER)
        points = weight[:, None] * way.form.jacobian(x, inside)
        return np.vstack([points, way.held.jacobian(inside)])

    solved = least_squares(
        residuals,
        start,
        jac=jacobian,
        method="lm",
        x_scale="jac",
        ftol=FOLLOW_TOLERANCE,
        xtol=FOLLOW_TOLERANCE,
        max_nfev=FOLLOW_EVALUATIONS,
    )
    return np.clip(solved.x, LOWER, UPPER)


def _covariance(x: FloatArray, weight: FloatArray, best: FloatArray) -> FloatArray:
    """Give the covariance of the quoted parameters, what holds them included."""
    points = weight[:, None] * QUOTED.jacobian(x, best)
    whole = np.vstack([points, HELD.jacobian(best)])
    return np.asarray(np.linalg.pinv(whole.T @ whole), dtype=np.float64)


def _seed(x: FloatArray, y: FloatArray, weight: FloatArray) -> tuple[FloatArray, float]:
    """Start from the best of a grid of shapes, each with its linear amplitudes.

    Gives also the chi2 of the best curve without a line: an edge, or a straight line.
    """
    centre, sigma, distance = (
        axis.ravel()[:, np.newaxis]
        for axis in np.meshgrid(
            np.linspace(0.0, 1.0, SEED_CENTRES), SEED_SIGMAS, SEED_DISTANCES
        )
    )
    u = x - centre - distance * sigma
    share = ndtr(u / sigma)
    bell = np.exp(-(((x - centre) / sigma) ** 2) / 2)
    amplitudes, chi2 = _linear(np.stack([bell, share, -u * share], axis=1), y, weight)
    chi2 = np.where((amplitudes[:, 0] > 0) & (amplitudes[:, 1] >= 0), chi2, np.inf)
    best = int(np.argmin(chi2))
    height, edge, slope = np.maximum(amplitudes[best], [1e-3, 1e-3, -np.inf])
    s, d = float(sigma[best, 0]), float((distance * sigma)[best, 0])
    _, without = _linear(
        np.stack([np.ones_like(share), share, u * share], axis=1), y, weight
    )
    _, straight = _linear(np.stack([np.ones_like(x), x])[np.newaxis], y, weight)
    start = np.array([height, centre[best, 0], s, edge, d, s, slope, 0.0])
    return start, float(min(np.min(without), straight[0]))


def _linear(
    columns: FloatArray, y: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Solve many small weighted least squares at once: columns are (grid, k, n)."""
    weighted = columns * weight
    norm = np.sqrt(np.sum(weighted**2, axis=2, keepdims=True)) + 1e-9
    unit = weighted / norm
    fisher = unit @ unit.transpose(0, 2, 1) + 1e-9 * np.eye(columns.shape[1])
    target = unit @ (weight * y)
    solved = np.linalg.solve(fisher, target[..., np.newaxis])[..., 0]
    residual = weight * y - np.einsum("gk,gkn->gn", solved, unit)
    return solved / norm[..., 0], np.sum(residual**2, axis=1)
