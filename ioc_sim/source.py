"""The pump light: what laser and tunable filter give, and how it fluctuates."""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import constants

from ioc_sim.random_streams import RedNoise, WhiteNoise
from ioc_sim.sample import Source

__all__ = [
    "HC_MEV_NM",
    "LightNoise",
    "bandwidth_mev",
    "bandwidth_sigma_mev",
    "continuum_shape",
    "filter_efficiency",
    "maximum_power",
    "photon_energy_mev",
    "photons_per_pulse",
    "pump_shape",
]

FloatArray = npt.NDArray[np.float64]

HC_MEV_NM = constants.h * constants.c / constants.e * 1e12
"""Photon energy times vacuum wavelength, 1239841.98 meV nm; CODATA."""

FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))
"""Full width at half maximum of a Gaussian of unit sigma."""

REFERENCE_NM = 526.0
"""Wavelength at which power_526 and the meter's ratio hold, nm."""


def photon_energy_mev(wavelength_nm: float) -> float:
    """Energy of a photon, ``hc / wavelength``, in meV.

    Parameters
    ----------
    wavelength_nm
        Vacuum wavelength, in nm.

    Examples
    --------
    >>> round(photon_energy_mev(495.0), 1)
    2504.7
    """
    return HC_MEV_NM / wavelength_nm


def bandwidth_mev(wavelength_nm: float, bandwidth_nm: float) -> float:
    """FWHM of the pump line, in meV, from its FWHM in nm.

    Parameters
    ----------
    wavelength_nm, bandwidth_nm
        Centre and FWHM of the pump line, in nm.

    Examples
    --------
    >>> round(bandwidth_mev(526.0, 1.8), 2)
    8.07
    """
    return HC_MEV_NM / wavelength_nm**2 * bandwidth_nm


def bandwidth_sigma_mev(wavelength_nm: float, bandwidth_nm: float) -> float:
    """Sigma of the pump line, in meV, from its FWHM in nm.

    Parameters
    ----------
    wavelength_nm, bandwidth_nm
        Centre and FWHM of the pump line, in nm.

    Examples
    --------
    >>> round(bandwidth_sigma_mev(526.0, 1.8) * FWHM_PER_SIGMA, 2)
    8.07
    """
    return bandwidth_mev(wavelength_nm, bandwidth_nm) / FWHM_PER_SIGMA


def continuum_shape(wavelength_nm: npt.ArrayLike, source: Source) -> FloatArray:
    r"""Spectral shape of the continuum behind the filter, in free units.

    .. math::

        s(\lambda) = \frac{(\lambda/526)^5
          + 0.75\, e^{-((\lambda-487)/14)^2/2}}{1+e^{-(\lambda-470)/6}}\;
          e^{-((\lambda-560)/260)^2/2}

    The envelope is the filter gratings' efficiency; see `sample.toml` for the numbers.

    Parameters
    ----------
    wavelength_nm
        Wavelengths, in nm; any shape.
    source
        Parameters of the laser and filter.
    """
    nm = np.asarray(wavelength_nm, dtype=float)
    rise = (nm / REFERENCE_NM) ** source.red_exponent
    bump = np.exp(-(((nm - source.blue_center) / source.blue_width) ** 2) / 2)
    edge = 1 + np.exp(-(nm - source.edge) / source.edge_width)
    return (rise + source.blue_peak * bump) / edge * filter_efficiency(nm, source)


def filter_efficiency(wavelength_nm: npt.ArrayLike, source: Source) -> FloatArray:
    r"""Efficiency of the filter's gratings, relative to its maximum.

    :math:`e^{-((\lambda-560)/260)^2/2}`

    Parameters
    ----------
    wavelength_nm
        Wavelengths, in nm; any shape.
    source
        Parameters of the laser and filter.
    """
    nm = np.asarray(wavelength_nm, dtype=float)
    offset = (nm - source.envelope_center) / source.envelope_width
    return np.exp(-(offset**2) / 2)


def maximum_power(wavelength_nm: float, bandwidth_nm: float, source: Source) -> float:
    r"""Most power at the sample, in uW.

    :math:`P_\mathsf{max} = P_{526}\; s(\lambda)/s(526)\; \Delta\lambda/1.8`

    Parameters
    ----------
    wavelength_nm, bandwidth_nm
        Centre and FWHM of the pump line, in nm.
    source
        Parameters of the laser and filter.

    Examples
    --------
    >>> from ioc_sim.sample import load_sample
    >>> maximum_power(526.0, 1.8, load_sample().source)
    80.0
    """
    ratio = pump_shape(wavelength_nm, source) / pump_shape(REFERENCE_NM, source)
    return source.power_526 * ratio * bandwidth_nm / source.bandwidth


@lru_cache(16)
def pump_shape(wavelength_nm: float, source: Source) -> float:
    """Give `continuum_shape` at one wavelength; the latest ones are remembered.

    Parameters
    ----------
    wavelength_nm
        Wavelength, in nm.
    source
        Parameters of the laser and filter.
    """
    return float(continuum_shape(wavelength_nm, source))


def photons_per_pulse(power_uw: float, wavelength_nm: float, rate_mhz: float) -> float:
    r"""Photons in one pulse at the sample, :math:`\Phi = P \lambda / (h c f)`.

    Parameters
    ----------
    power_uw
        Mean power at the sample, in uW.
    wavelength_nm
        Vacuum wavelength, in nm.
    rate_mhz
        Repetition rate, in MHz.

    Examples
    --------
    >>> round(photons_per_pulse(50.0, 495.0, 78.0) / 1e6, 2)
    1.6
    """
    photon_j = photon_energy_mev(wavelength_nm) * 1e-3 * constants.e
    return power_uw * 1e-6 / (rate_mhz * 1e6 * photon_j)


class LightNoise:
    """Relative power of the laser in time: slow drift and fast jitter around one.

    Parameters
    ----------
    seed
        Seed of the bench.
    source
        Parameters of the laser.
    """

    def __init__(self, seed: int, source: Source) -> None:
        self._drift = RedNoise(
            seed, "laser drift", rms=source.drift, time_s=source.drift_time
        )
        self._jitter = WhiteNoise(
            seed, "laser jitter", rms=source.jitter, cell_s=source.jitter_time
        )

    def mean(self, start_s: float, end_s: float) -> float:
        """Mean relative power over an interval, or at a time if that is empty.

        Parameters
        ----------
        start_s, end_s
            The interval, in simulated seconds from zero.
        """
        drift = self._drift.mean(start_s, end_s)
        return max(1 + drift + self._jitter.mean(start_s, end_s), 0.0)
