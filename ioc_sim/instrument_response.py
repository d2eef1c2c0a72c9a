"""How a photon's time is smeared between the photocathode and the histogram."""

import numpy as np
import numpy.typing as npt

from ioc_sim.sample import Tcspc
from ioc_sim.source import FWHM_PER_SIGMA

__all__ = ["response"]

ComplexArray = npt.NDArray[np.complex128]
FloatArray = npt.NDArray[np.float64]

PS_PER_NS = 1e3


def response(omega: FloatArray, tcspc: Tcspc, *, walk_ps: float = 0.0) -> ComplexArray:
    r"""Fourier transform of the instrument response, a density of unit area.

    .. math::

        H(\omega) = e^{-\omega^2\sigma^2/2 - i\omega t_0}
        \left[ 1 - a - b + \frac{a}{1 + i\omega\tau_a} + b\,e^{-i\omega t_b} \right]

    A Gaussian (transit-time spread, pulse and electronics together), a share
    :math:`a` of it with an exponential tail (back-scattered electrons), and a share
    :math:`b` in a bump behind it (a reflection in the cable). :math:`t_0` is the delay
    of the detector's cable against the trigger's.

    Parameters
    ----------
    omega
        Angular frequencies, in 1/ps; any shape.
    tcspc
        Parameters of the counting electronics.
    walk_ps
        Further delay that depends on the discriminator.

    Returns
    -------
    :
        Transform, 1 at zero frequency; shape of ``omega``.
    """
    sigma = tcspc.irf_fwhm / FWHM_PER_SIGMA
    tail, bump = tcspc.irf_tail_share, tcspc.irf_bump_share
    shape = 1 - tail - bump + tail / (1 + 1j * omega * tcspc.irf_tail_time)
    shape = shape + bump * np.exp(-1j * omega * tcspc.irf_bump_delay * PS_PER_NS)
    delay = tcspc.zero_delay * PS_PER_NS + walk_ps
    blur = np.exp(-((omega * sigma) ** 2) / 2 - 1j * omega * delay)
    return np.asarray(shape * blur, dtype=np.complex128)
