"""From emitted lines to counts: analyser, grating, pixels and camera."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from ioc_sim.emission import Line
from ioc_sim.sample import Analyser, Ccd, Spectrometer
from ioc_sim.source import FWHM_PER_SIGMA, HC_MEV_NM

__all__ = [
    "PIXELS",
    "analyser_transmission",
    "emission_rate",
    "grating_efficiency",
    "line_spectrum",
    "line_spread",
    "passband",
    "pixel_edges",
    "pixel_wavelengths",
    "scatter_spectrum",
    "slit_throughput",
    "unpolarized_transmission",
]

FloatArray = npt.NDArray[np.float64]

FAR = 8.0
"""Distance from the centre of a line in sigmas from which on there is none of it: a
share of 1e-15."""

PIXELS = 1024
"""Columns of the camera; typical."""


def analyser_transmission(
    line: Line, hwp_deg: float, covered: float, analyser: Analyser
) -> float:
    r"""Share of a line that passes half-wave plate, polarizer and grating.

    .. math::

        s_1' &= s_1(\cos^2 2\theta + \sin^2 2\theta \cos\delta)
              + s_2 \sin 2\theta \cos 2\theta (1 - \cos\delta) \\
        T &= \tfrac{a+b}{2} + \tfrac{a-b}{2} s_1'

    with :math:`(s_1, s_2) = p\,(\cos 2\phi, \sin 2\phi)`, retardance
    :math:`\delta = \pi + 3^\circ`, :math:`a = 1` along the grating's favoured axis and
    :math:`b = 0.55` across it, times the polarizer's extinction where it covers the
    beam. The plate stays in the beam when the polarizer slides out.

    Parameters
    ----------
    line
        The line; its degree and axis of polarization are used.
    hwp_deg
        Angle :math:`\theta` of the half-wave plate's fast axis.
    covered
        Share of the beam that the polarizer covers.
    analyser
        Parameters of the analyser.
    """
    axis, plate = math.radians(line.axis_deg), math.radians(hwp_deg)
    first = line.dolp * math.cos(2 * axis)
    second = line.dolp * math.sin(2 * axis)
    cosine, sine = math.cos(2 * plate), math.sin(2 * plate)
    retardance = math.cos(math.pi + math.radians(analyser.retardance_error))
    turned = first * (cosine**2 + sine**2 * retardance)
    turned += second * sine * cosine * (1 - retardance)
    mean = unpolarized_transmission(covered, analyser)
    return mean + (1 - mean) * turned


def unpolarized_transmission(covered: float, analyser: Analyser) -> float:
    """Share of unpolarized light that passes polarizer and grating, ``(a + b) / 2``.

    Parameters
    ----------
    covered
        Share of the beam that the polarizer covers.
    analyser
        Parameters of the analyser.
    """
    across = covered * analyser.extinction + (1 - covered)
    return (1 + across * analyser.grating_ratio) / 2


def pixel_wavelengths(
    centre_nm: float, spectrometer: Spectrometer, grating: int = 1
) -> FloatArray:
    """Give the wavelength that the driver states for each pixel, in nm.

    Parameters
    ----------
    centre_nm
        Wavelength that the driver states for the centre of the camera, in nm.
    spectrometer
        Parameters of the spectrometer.
    grating
        Place of the turret, from 1.

    Returns
    -------
    :
        Wavelengths, rising; shape ``(1024,)``.
    """
    offset = np.arange(PIXELS, dtype=float) - (PIXELS - 1) / 2
    return centre_nm + spectrometer.dispersion[grating - 1] * offset


def pixel_edges(
    centre_nm: float, spectrometer: Spectrometer, grating: int = 1
) -> FloatArray:
    """Give the true wavelengths between the pixels and at both ends, in nm.

    Arguments as of `pixel_wavelengths`; one value more, shape ``(1025,)``. The driver's
    calibration is off by an offset and a scale that a lamp shows.
    """
    offset = np.arange(PIXELS + 1, dtype=float) - PIXELS / 2
    return _true_wavelength(centre_nm, offset, spectrometer, grating)


def passband(
    centre_nm: float, exit_slit_um: float, spectrometer: Spectrometer, grating: int = 1
) -> tuple[float, float]:
    """Give the true wavelengths at the blades of the exit slit, in nm.

    Parameters
    ----------
    centre_nm
        Wavelength that the driver states for the centre of the exit, in nm.
    exit_slit_um
        Width of the exit slit.
    spectrometer
        Parameters of the spectrometer.
    grating
        Place of the turret, from 1.

    Returns
    -------
    :
        Shortest and longest wavelength that passes, without the line spread.

    Examples
    --------
    >>> from ioc_sim.sample import load_sample
    >>> low, high = passband(531.0, 1000.0, load_sample().spectrometer)
    >>> round(low, 3), round(high, 3)
    (530.202, 531.798)
    """
    half = np.array([-0.5, 0.5]) * exit_slit_um / spectrometer.pixel
    low, high = _true_wavelength(centre_nm, half, spectrometer, grating)
    return float(low), float(high)


def _true_wavelength(
    centre_nm: float, offset_px: FloatArray, spectrometer: Spectrometer, grating: int
) -> FloatArray:
    """Wavelength at a distance from the optical axis, in pixels of the camera."""
    place = grating - 1
    centre = centre_nm + spectrometer.calibration_offset[place]
    per_pixel = spectrometer.dispersion[place] * spectrometer.calibration_scale[place]
    return centre + per_pixel * offset_px


def grating_efficiency(
    wavelength_nm: npt.ArrayLike, spectrometer: Spectrometer, grating: int = 1
) -> FloatArray:
    r"""Efficiency of a grating relative to the first one.

    Both have a Gaussian blaze, :math:`\eta\,e^{-(\lambda-\lambda_b)^2/2w^2}`. The
    camera's rates are stated behind the first grating, so that its own is one.

    Parameters
    ----------
    wavelength_nm
        Wavelengths, in nm.
    spectrometer
        Parameters of the spectrometer.
    grating
        Place of the turret, from 1.
    """

    def blaze(place: int) -> FloatArray:
        distance = np.asarray(wavelength_nm, dtype=float) - spectrometer.blaze[place]
        curve = np.exp(-((distance / spectrometer.blaze_width[place]) ** 2) / 2)
        return spectrometer.efficiency[place] * curve

    return blaze(grating - 1) / blaze(0)


def slit_throughput(slit_um: float, spectrometer: Spectrometer) -> float:
    """Share of the fibre's image that the entrance slit lets pass.

    Parameters
    ----------
    slit_um
        Width of the slit; from the reference width on all of it passes.
    spectrometer
        Parameters of the spectrometer.
    """
    return min(slit_um / spectrometer.slit, 1.0)


def line_spread(slit_um: float, spectrometer: Spectrometer, grating: int = 1) -> float:
    r"""FWHM of the line spread function, in nm.

    :math:`w = w_0 \sqrt{a^2 + (1-a^2)\,t^2}`: aberrations, and the slit's image with
    the throughput :math:`t` of `slit_throughput`.

    Parameters
    ----------
    slit_um
        Width of the entrance slit.
    spectrometer
        Parameters of the spectrometer.
    grating
        Place of the turret, from 1.
    """
    floor = spectrometer.aberration**2
    image = slit_throughput(slit_um, spectrometer) ** 2
    reference = spectrometer.resolution[grating - 1]
    return reference * math.sqrt(floor + (1 - floor) * image)


def line_spectrum(edges_nm: FloatArray, line: Line, spread_nm: float) -> FloatArray:
    """Share of a line that falls on each pixel: a Gaussian in energy.

    Parameters
    ----------
    edges_nm
        Edges of the pixels, rising; shape ``(n + 1,)``.
    line
        The line; its energy and width are used.
    spread_nm
        FWHM of the line spread function.

    Returns
    -------
    :
        Shares, at most one in sum; shape ``(n,)``.
    """
    spread_mev = spread_nm * line.energy_mev**2 / HC_MEV_NM
    sigma = math.hypot(line.fwhm_mev, spread_mev) / FWHM_PER_SIGMA
    far = FAR * sigma
    first, last = np.searchsorted(
        edges_nm,
        (
            HC_MEV_NM / (line.energy_mev + far),
            HC_MEV_NM / max(line.energy_mev - far, far),
        ),
    )
    near = slice(max(first - 1, 0), last + 1)
    below = ndtr((HC_MEV_NM / edges_nm[near] - line.energy_mev) / sigma)
    shares = np.zeros(edges_nm.size - 1)
    shares[near.start : near.start + below.size - 1] = below[:-1] - below[1:]
    return shares


def scatter_spectrum(
    edges_nm: FloatArray, centre_nm: float, bandwidth_nm: float, spread_nm: float
) -> FloatArray:
    """Share of the scattered pump that falls on each pixel: a Gaussian in wavelength.

    Parameters
    ----------
    edges_nm
        Edges of the pixels, rising; shape ``(n + 1,)``.
    centre_nm, bandwidth_nm
        Centre and FWHM of the pump line.
    spread_nm
        FWHM of the line spread function.
    """
    sigma = math.hypot(bandwidth_nm, spread_nm) / FWHM_PER_SIGMA
    return np.diff(ndtr((edges_nm - centre_nm) / sigma))


def emission_rate(
    edges_nm: FloatArray,
    lines: Sequence[tuple[Line, float]],
    spread_nm: float,
    ccd: Ccd,
) -> FloatArray:
    r"""Electrons per second on each pixel, :math:`2 Y_0 \sum_j I_j T_j s_{jk}`.

    The factor two makes :math:`Y_0` the rate of unpolarized light behind a polarizer.

    Parameters
    ----------
    edges_nm
        Edges of the pixels; shape ``(n + 1,)``.
    lines
        Lines, each with the share of it that passes the analyser.
    spread_nm
        FWHM of the line spread function.
    ccd
        Parameters of the camera.
    """
    rate = np.zeros(edges_nm.size - 1)
    for line, transmission in lines:
        strength = 2 * ccd.efficiency * line.rate * transmission
        rate += strength * line_spectrum(edges_nm, line, spread_nm)
    return rate
