"""Lines as a detector sees them: Gaussians integrated over each pixel.

Energies are taken at the edges of the pixels and the counts are never rescaled, so the
counts stay Poisson and a line narrower than a pixel keeps its area.
"""

import numpy as np
from scipy.special import ndtr

from triplet_bluesky.errors import FitError
from triplet_bluesky.units import FloatArray, Medium, energy_ev

__all__ = ["FWHM_PER_SIGMA", "gaussian_pixels", "pixel_edges_ev", "pixel_edges_nm"]

FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))
"""Full width at half maximum of a Gaussian over its standard deviation."""

DENSITY_AT_ZERO = 1 / np.sqrt(2 * np.pi)
MIN_PIXELS = 2
"""Pixels from which the edges between them can be known."""


def pixel_edges_nm(centres_nm: FloatArray) -> FloatArray:
    """Edges of pixels from their centres: midpoints, the outermost extrapolated.

    Parameters
    ----------
    centres_nm
        Wavelength at the centre of each pixel, in nm; shape (n,), n > 1.

    Returns
    -------
    :
        Wavelength at the edges, in nm; shape (n + 1,).

    Raises
    ------
    FitError
        If there is no second pixel, or the wavelengths neither rise nor fall.

    Examples
    --------
    >>> pixel_edges_nm(np.array([530.0, 531.0, 532.0])).tolist()
    [529.5, 530.5, 531.5, 532.5]
    """
    steps = np.diff(centres_nm)
    monotonic = np.all(steps > 0) or np.all(steps < 0)
    if centres_nm.ndim != 1 or centres_nm.size < MIN_PIXELS or not monotonic:
        msg = (
            f"pixel edges need {MIN_PIXELS} or more wavelengths that rise or fall, got "
            f"an array of shape {centres_nm.shape}: give the calibration of the camera"
        )
        raise FitError(msg)
    middle = centres_nm[:-1] + steps / 2
    first, last = centres_nm[0] - steps[0] / 2, centres_nm[-1] + steps[-1] / 2
    return np.concatenate(([first], middle, [last]))


def pixel_edges_ev(
    centres_nm: FloatArray, medium: Medium = Medium.VACUUM
) -> FloatArray:
    """Photon energy at the edges of pixels.

    Parameters
    ----------
    centres_nm
        Wavelength at the centre of each pixel, in nm; shape (n,), n > 1.
    medium
        The medium in which the wavelengths are stated.

    Returns
    -------
    :
        Photon energy at the edges, in eV, in the order of the pixels; (n + 1,).

    Examples
    --------
    >>> pixel_edges_ev(np.array([530.0, 531.0, 532.0])).round(4).tolist()
    [2.3415, 2.3371, 2.3327, 2.3283]
    """
    return energy_ev(pixel_edges_nm(centres_nm), medium)


def gaussian_pixels(
    edges: FloatArray, centre: float, fwhm: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Share of a Gaussian that falls on each pixel, and how it changes.

    .. math::

        h_i = |\Phi(u_{i+1}) - \Phi(u_i)|, \qquad u = (E - c) / s

    Parameters
    ----------
    edges
        Edges of the pixels, rising or falling; shape (n + 1,).
    centre, fwhm
        Centre and full width at half maximum, in the unit of the edges.

    Returns
    -------
    :
        Share of each pixel and its derivatives to centre and to fwhm; each (n,).

    Examples
    --------
    >>> share, _, _ = gaussian_pixels(np.array([-1.0, 0.0, 1.0]), 0.0, 2.0)
    >>> share.round(4).tolist()
    [0.3805, 0.3805]
    """
    sigma = fwhm / FWHM_PER_SIGMA
    u = (edges - centre) / sigma
    density = DENSITY_AT_ZERO * np.exp(-0.5 * u * u)
    sign = 1.0 if edges[-1] > edges[0] else -1.0
    share = sign * _difference(ndtr(u))
    by_centre = (-sign / sigma) * _difference(density)
    by_fwhm = (-sign / fwhm) * _difference(u * density)
    return share, by_centre, by_fwhm


def _difference(values: FloatArray) -> FloatArray:
    """Give what `numpy.diff` gives, in a fifth of its time for a thousand values."""
    return values[1:] - values[:-1]
