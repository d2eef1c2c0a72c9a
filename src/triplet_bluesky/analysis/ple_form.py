r"""The form of an excitation curve: an exciton line on the edge of a continuum.

.. math::

    f(E) = A\, e^{-(E-c)^2/2s^2} + \Phi\Big(\frac{E-c-d}{w}\Big)\,q(E-c-d) + b

The form that is quoted has an error function for an edge and a continuum that falls
linearly, :math:`q(u) = H - g\,u`. Real edges are neither, so a peak is also sought with
forms that differ in what no data fix: a logistic edge, and a continuum that falls
exponentially with the same slope at the edge, :math:`q(u) = H e^{-g u/H}`.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, ndtr

from triplet_bluesky.units import FloatArray

__all__ = ["PARAMETERS", "QUOTED", "Form", "excitation", "maximum"]

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
DENSITY_AT_ZERO = 1 / np.sqrt(2 * np.pi)
LOGISTIC = 1.702
"""Scale at which a logistic edge is nearest to the error function's (to 0.0095)."""
LEAST_EDGE = 1e-9
"""Edge height from which an exponential continuum has a slope of its own."""
STEEPEST = 20.0
"""Greatest exponent of an exponential continuum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One form of the edge and of the continuum above it."""

    logistic: bool = False
    """Whether the edge is a logistic function instead of an error function."""
    exponential: bool = False
    """Whether the continuum falls exponentially instead of linearly."""

    def edge(self, v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Give the share of the continuum at ``v`` widths above the edge.

        Parameters
        ----------
        v
            Distance from the edge, in its widths.

        Returns
        -------
        :
            The share, 0 to 1, and its derivative.
        """
        if self.logistic:
            share = expit(LOGISTIC * v)
            return share, LOGISTIC * share * (1 - share)
        return ndtr(v), DENSITY_AT_ZERO * np.exp(-v * v / 2)

    def continuum(
        self, u: FloatArray, edge: float, slope: float
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Give the continuum without its edge.

        Parameters
        ----------
        u
            Energy above the edge.
        edge, slope
            Height and fall at the edge.

        Returns
        -------
        :
            The continuum and its derivatives to height, slope and energy.
        """
        if not self.exponential:
            return edge - slope * u, np.ones_like(u), -u, np.full_like(u, -slope)
        height = max(edge, LEAST_EDGE)
        exponent = np.clip(-slope * u / height, -STEEPEST, STEEPEST)
        fall = np.exp(exponent)
        return height * fall, fall * (1 - exponent), -u * fall, -slope * fall

    def curve(self, energy: FloatArray, p: FloatArray) -> FloatArray:
        """Evaluate the curve.

        Parameters
        ----------
        energy
            Photon energies, in any unit.
        p
            Parameters in the order of `PARAMETERS`, in the same unit.

        Returns
        -------
        :
            The curve at each energy.
        """
        height, centre, sigma, edge, distance, softness, slope, offset = p
        x = (energy - centre) / sigma
        u = energy - centre - distance
        share, _ = self.edge(u / softness)
        level, *_ = self.continuum(u, edge, slope)
        return height * np.exp(-x * x / 2) + share * level + offset

    def jacobian(self, energy: FloatArray, p: FloatArray) -> FloatArray:
        """Differentiate the curve to its parameters.

        Parameters
        ----------
        energy
            Photon energies, in any unit; shape (n,).
        p
            Parameters in the order of `PARAMETERS`, in the same unit.

        Returns
        -------
        :
            The derivatives; shape (n, 8).
        """
        height, centre, sigma, edge, distance, softness, slope, _ = p
        x = (energy - centre) / sigma
        u = energy - centre - distance
        v = u / softness
        share, density = self.edge(v)
        level, by_edge, by_slope, fall = self.continuum(u, edge, slope)
        bell = np.exp(-x * x / 2)
        rise = density / softness * level + share * fall
        return np.column_stack(
            [
                bell,
                height * bell * x / sigma - rise,
                height * bell * x * x / sigma,
                share * by_edge,
                -rise,
                -density / softness * v * level,
                share * by_slope,
                np.ones_like(u),
            ]
        )

    def slope(self, energy: FloatArray, p: FloatArray) -> FloatArray:
        """Differentiate the curve to the energy.

        Parameters
        ----------
        energy
            Photon energies, in any unit.
        p
            Parameters in the order of `PARAMETERS`, in the same unit.

        Returns
        -------
        :
            The derivative at each energy.
        """
        height, centre, sigma, edge, distance, softness, slope, _ = p
        x = (energy - centre) / sigma
        u = energy - centre - distance
        share, density = self.edge(u / softness)
        level, _, _, fall = self.continuum(u, edge, slope)
        line = -height * x / sigma * np.exp(-x * x / 2)
        return line + density / softness * level + share * fall

    def top(self, p: FloatArray) -> float:
        """Find the maximum of the curve near the line.

        Parameters
        ----------
        p
            Parameters in the order of `PARAMETERS`.

        Returns
        -------
        :
            Its energy, in the unit of the parameters; nan if there is no maximum.
        """
        grid = p[1] + p[2] * np.linspace(-2.0, 2.0, 201)
        slopes = self.slope(grid, p)
        tops = np.flatnonzero((slopes[:-1] > 0) & (slopes[1:] <= 0))
        if tops.size == 0:
            return np.nan
        at = int(tops[np.argmax(self.curve(grid[tops], p))])

        def slope(energy: float) -> float:
            return float(self.slope(np.array(energy), p))

        return float(brentq(slope, grid[at], grid[at + 1]))


QUOTED = Form()
"""The form whose maximum is quoted."""


def excitation(energy_mev: FloatArray, p: FloatArray) -> FloatArray:
    """Evaluate the curve that is quoted.

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
    return QUOTED.curve(energy_mev, p)


def maximum(p: FloatArray, covariance: FloatArray) -> tuple[float, float]:
    """Find the maximum of the quoted curve, with its standard deviation.

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
    peak = QUOTED.top(p)
    if np.isnan(peak):
        return np.nan, np.nan
    step = 1e-3 * p[2]
    ends = np.array([peak - step, peak + step])
    curvature = float(np.diff(QUOTED.slope(ends, p))[0]) / (2 * step)
    by_parameter = np.diff(QUOTED.jacobian(ends, p), axis=0)[0] / (2 * step)
    gradient = -by_parameter / curvature
    return peak, float(np.sqrt(gradient @ covariance @ gradient))
