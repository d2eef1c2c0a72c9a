r"""An exciton line on a continuum edge, fitted to an excitation curve.

.. math::

    f(E) = A\, e^{-(E-c)^2/2s^2}
      + \Phi\Big(\frac{E-c-d}{w}\Big)\,[H - g\,(E-c-d)] + b

The offset b is what a lasing threshold takes off a curve that is proportional to the
absorption. Eight parameters are many for a dozen points, so three of them are held
loosely by what any such curve has: the edge about two widths of the line above it, as
soft as the line is wide (each to a factor of two), the offset within a tenth of the
maximum. What that freedom does to the peak is part of its sigma. This form and these
latitudes were chosen by comparing variants on the simulated crystal at its defaults.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, least_squares
from scipy.special import ndtr

from triplet_bluesky.units import FloatArray

__all__ = ["PARAMETERS", "ExcitationFit", "excitation", "fit_excitation", "maximum"]

PARAMETERS = (
    "line_height",
    "line_center_mev",
    "line_sigma_mev",
    "edge_height",
    "edge_distance_mev",
    "edge_sigma_mev",
    "edge_slope_per_mev",
    "offset",
)
"""Names of A, c, s, H, d, w, g and b."""
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
DENSITY_AT_ZERO = 1 / np.sqrt(2 * np.pi)


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


def excitation(energy_mev: FloatArray, p: FloatArray) -> FloatArray:
    """Evaluate the curve.

    Parameters
    ----------
    energy_mev
        Photon energies, in meV.
    p
        Parameters in the order of `PARAMETERS`.

    Returns
    -------
    :
        The curve at each energy.
    """
    height, centre, sigma, edge, distance, softness, slope, offset = p
    x = (energy_mev - centre) / sigma
    u = energy_mev - centre - distance
    return (
        height * np.exp(-x * x / 2) + ndtr(u / softness) * (edge - slope * u) + offset
    )


def _jacobian(energy_mev: FloatArray, p: FloatArray) -> FloatArray:
    """Differentiate the curve to its parameters; shape (n, 8)."""
    height, centre, sigma, edge, distance, softness, slope, _ = p
    x = (energy_mev - centre) / sigma
    u = energy_mev - centre - distance
    v = u / softness
    bell, share = np.exp(-x * x / 2), ndtr(v)
    density = DENSITY_AT_ZERO * np.exp(-v * v / 2) / softness
    rise = density * (edge - slope * u) - slope * share
    return np.column_stack(
        [
            bell,
            height * bell * x / sigma - rise,
            height * bell * x * x / sigma,
            share,
            -rise,
            -density * v * (edge - slope * u),
            -u * share,
            np.ones_like(u),
        ]
    )


def _slope(energy_mev: FloatArray, p: FloatArray) -> FloatArray:
    """Differentiate the curve to the energy."""
    height, centre, sigma, edge, distance, softness, slope, _ = p
    x = (energy_mev - centre) / sigma
    u = energy_mev - centre - distance
    v = u / softness
    density = DENSITY_AT_ZERO * np.exp(-v * v / 2) / softness
    rise = density * (edge - slope * u) - slope * ndtr(v)
    return rise - height * x / sigma * np.exp(-x * x / 2)


def maximum(p: FloatArray, covariance: FloatArray) -> tuple[float, float]:
    """Find the maximum of the curve near the line, with its standard deviation.

    The sigma is that of the implicit function: the derivatives of the slope to the
    parameters, over the curvature.

    Parameters
    ----------
    p
        Parameters in the order of `PARAMETERS`.
    covariance
        Their covariance.

    Returns
    -------
    :
        Energy and its standard deviation, in meV; nan if there is no maximum.
    """
    grid = p[1] + p[2] * np.linspace(-2.0, 2.0, 801)
    slopes = _slope(grid, p)
    tops = np.flatnonzero((slopes[:-1] > 0) & (slopes[1:] <= 0))
    if tops.size == 0:
        return np.nan, np.nan
    top = int(tops[np.argmax(excitation(grid[tops], p))])

    def slope(energy: float) -> float:
        return float(_slope(np.array(energy), p))

    peak = float(brentq(slope, grid[top], grid[top + 1]))
    step = 1e-3 * p[2]
    ends = np.array([peak - step, peak + step])
    curvature = float(np.diff(_slope(ends, p))[0]) / (2 * step)
    by_parameter = np.diff(_jacobian(ends, p), axis=0)[0] / (2 * step)
    gradient = -by_parameter / curvature
    return peak, float(np.sqrt(gradient @ covariance @ gradient))


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

    def residuals(p: FloatArray) -> FloatArray:
        return np.append(weight * (excitation(scaled, p) - y), _loosely(p))

    def jacobian(p: FloatArray) -> FloatArray:
        return np.vstack([weight[:, None] * _jacobian(scaled, p), _loosely_jacobian(p)])

    margin = 1e-6 * (UPPER - LOWER)
    solved = least_squares(
        residuals,
        np.clip(start, LOWER + margin, UPPER - margin),
        jac=jacobian,
        bounds=(LOWER, UPPER),
        x_scale="jac",
        max_nfev=MAX_EVALUATIONS,
    )
    best: FloatArray = solved.x
    whole = jacobian(best)
    inverse = np.linalg.pinv(whole.T @ whole)
    covariance: FloatArray = np.asarray(inverse, dtype=np.float64)
    points = whole[: value.size]
    chi2 = float(np.sum(residuals(best)[: value.size] ** 2))
    return ExcitationFit(
        parameters=origin + best * unit,
        covariance=covariance * np.outer(unit, unit),
        chi2=chi2,
        dof=value.size - float(np.sum((points @ covariance) * points)),
        saved=chi2_without - chi2,
        converged=bool(solved.success),
        at_limit=bool(np.any(solved.active_mask[1:3] != 0)),
    )


def _loosely(p: FloatArray) -> FloatArray:
    """Residuals of the parameters that are held loosely."""
    return np.array(
        [
            np.log(p[4] / (EDGE_DISTANCE * p[2])) / EDGE_LATITUDE,
            np.log(p[5] / (EDGE_SOFTNESS * p[2])) / EDGE_LATITUDE,
            p[7] / OFFSET_LATITUDE,
        ]
    )


def _loosely_jacobian(p: FloatArray) -> FloatArray:
    """Differentiate these residuals; shape (3, 8)."""
    jacobian = np.zeros((3, p.size))
    jacobian[:2, 2] = -1 / (EDGE_LATITUDE * p[2])
    jacobian[0, 4] = 1 / (EDGE_LATITUDE * p[4])
    jacobian[1, 5] = 1 / (EDGE_LATITUDE * p[5])
    jacobian[2, 7] = 1 / OFFSET_LATITUDE
    return jacobian


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
