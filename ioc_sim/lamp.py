"""The calibration lamp: lines of neon at known wavelengths."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from ioc_sim.source import FWHM_PER_SIGMA

__all__ = ["NEON", "REFERENCE_INTENSITY", "NeonLine", "neon_spectrum"]

FloatArray = npt.NDArray[np.float64]


class NeonLine(NamedTuple):
    """One line of the lamp."""

    wavelength_nm: float
    """In vacuum."""
    intensity: float
    """Relative, on the scale of the NIST Atomic Spectra Database."""


NEON = (
    NeonLine(482.8687, 10000),
    NeonLine(488.6281, 10000),
    NeonLine(500.6555, 5000),
    NeonLine(503.9156, 5000),
    NeonLine(514.6372, 5000),
    NeonLine(533.2260, 6000),
    NeonLine(534.2579, 10000),
    NeonLine(534.4770, 6000),
    NeonLine(540.2063, 20000),
    NeonLine(543.5162, 2500),
    NeonLine(556.4311, 5000),
    NeonLine(565.8229, 5000),
    NeonLine(572.0811, 5000),
    NeonLine(574.9893, 5000),
    NeonLine(576.6018, 7000),
    NeonLine(580.6059, 5000),
    NeonLine(582.1769, 5000),
    NeonLine(585.4110, 20000),
    NeonLine(587.4455, 5000),
    NeonLine(588.3525, 10000),
    NeonLine(594.6481, 5000),
    NeonLine(596.7124, 5000),
    NeonLine(597.6282, 5000),
    NeonLine(597.7190, 6000),
    NeonLine(603.1667, 10000),
    NeonLine(607.6019, 10000),
    NeonLine(609.7851, 3000),
    NeonLine(614.4763, 10000),
    NeonLine(616.5299, 10000),
    NeonLine(621.9001, 10000),
    NeonLine(626.8228, 10000),
    NeonLine(633.6179, 10000),
    NeonLine(638.4756, 10000),
    NeonLine(640.4018, 20000),
    NeonLine(650.8325, 15000),
    NeonLine(660.0775, 10000),
    NeonLine(668.0121, 5000),
    NeonLine(693.1379, 100000),
)
"""Strong lines of Ne I from 480 to 700 nm, rising.

NIST Atomic Spectra Database (Saloman and Sansonetti 2004): observed wavelengths in air,
as vacuum wavelengths by the dispersion of Peck and Reeder (1972), as the database has
it. Its intensities are estimates that depend on the lamp.
"""

REFERENCE_INTENSITY = 20000.0
"""Intensity of the lines at 540.21, 585.41 and 640.40 nm."""

WINGS = 5.0
"""Widths (FWHM) beyond which a line of Gaussian shape has no light."""


def neon_spectrum(edges_nm: FloatArray, spread_nm: float) -> FloatArray:
    """Give the lamp's light in intervals of wavelength.

    The lines themselves are narrow (Doppler width 2 pm): each has the shape of the line
    spread function.

    Parameters
    ----------
    edges_nm
        Edges of the intervals, rising; shape ``(n + 1,)``.
    spread_nm
        FWHM of the line spread function.

    Returns
    -------
    :
        Light in each interval, in units of one line of `REFERENCE_INTENSITY`; shape
        ``(n,)``.
    """
    light = np.zeros(edges_nm.size - 1)
    sigma = spread_nm / FWHM_PER_SIGMA
    near = WINGS * spread_nm
    for wavelength, intensity in NEON:
        if edges_nm[0] - near < wavelength < edges_nm[-1] + near:
            share = np.diff(ndtr((edges_nm - wavelength) / sigma))
            light += intensity / REFERENCE_INTENSITY * share
    return light
