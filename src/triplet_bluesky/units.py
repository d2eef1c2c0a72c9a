"""Units of the bench: photon energy and wavelength, photons per pulse, fluence.

A wavelength is in vacuum unless its medium says otherwise, an energy is always the
photon's own, and a fluence is never without the definition of its spot.
"""

import math
from enum import StrEnum
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import constants

__all__ = [
    "HC_EV_NM",
    "FloatArray",
    "Medium",
    "SpotDefinition",
    "air_to_vacuum_nm",
    "bandwidth_mev",
    "energy_ev",
    "energy_mev",
    "fluence_uj_cm2",
    "photons_per_pulse",
    "power_from_fluence_uw",
    "power_from_photons_uw",
    "refractive_index_of_air",
    "vacuum_to_air_nm",
    "wavelength_nm",
]

FloatArray = npt.NDArray[np.float64]
Number = TypeVar("Number", float, FloatArray)

HC_EV_NM = constants.h * constants.c / constants.e * 1e9
"""Planck constant times speed of light, in eV nm (exact in the SI of 2019)."""

HC_UJ_NM = constants.h * constants.c * 1e15
"""Planck constant times speed of light, in uJ nm."""

MEV_PER_EV = 1e3
CM2_PER_UM2 = 1e-8


class Medium(StrEnum):
    """The medium in which a wavelength is stated."""

    VACUUM = "vacuum"
    """The wavelength in vacuum, hc / E."""
    AIR = "air"
    """The wavelength in standard air: 15 degC, 101.325 kPa, dry, 450 ppm CO2."""


class SpotDefinition(StrEnum):
    """What the diameter of the spot means, and which fluence it gives."""

    FLAT_TOP = "flat_top"
    """Diameter of a disc of even fluence."""
    GAUSSIAN_FWHM = "gaussian_fwhm"
    """Full width at half maximum of a Gaussian; the fluence is that of its peak."""
    GAUSSIAN_1E2 = "gaussian_1e2"
    """Diameter at 1/e^2 of a Gaussian; the fluence is that of its peak."""


PEAK_FACTOR = {
    SpotDefinition.FLAT_TOP: 1.0,
    SpotDefinition.GAUSSIAN_FWHM: math.log(2),
    SpotDefinition.GAUSSIAN_1E2: 2.0,
}
"""Fluence in units of the pulse energy over the disc of the stated diameter.

From the integral of the Gaussian: peak = E 4 ln2 / (pi D^2) for a full width at half
maximum D, and peak = E 8 / (pi D^2) for a diameter D at 1/e^2.
"""


def refractive_index_of_air(vacuum_nm: Number) -> Number:
    r"""Refractive index of standard air.

    .. math::

        n - 1 = \frac{0.05792105}{238.0185 - \lambda^{-2}}
              + \frac{0.00167917}{57.362 - \lambda^{-2}},
        \qquad \lambda \text{ in um}

    Parameters
    ----------
    vacuum_nm
        Wavelength in vacuum, in nm, between 230 and 1690.

    Returns
    -------
    :
        The refractive index, of the shape of ``vacuum_nm``.

    References
    ----------
    P. E. Ciddor, "Refractive index of air: new equations for the visible and near
    infrared", Applied Optics 35, 1566 (1996).

    Examples
    --------
    >>> round(refractive_index_of_air(531.0) - 1, 8)
    0.00027823
    """
    wavenumber2 = (1e3 / vacuum_nm) ** 2
    return (
        1 + 0.05792105 / (238.0185 - wavenumber2) + 0.00167917 / (57.362 - wavenumber2)
    )


def vacuum_to_air_nm(vacuum_nm: Number) -> Number:
    """Wavelength in standard air of light whose wavelength in vacuum is known.

    Parameters
    ----------
    vacuum_nm
        Wavelength in vacuum, in nm.

    Returns
    -------
    :
        Wavelength in standard air, in nm.

    Examples
    --------
    >>> round(vacuum_to_air_nm(531.0), 3)
    530.852
    """
    return vacuum_nm / refractive_index_of_air(vacuum_nm)


def air_to_vacuum_nm(air_nm: Number) -> Number:
    """Wavelength in vacuum of light whose wavelength in standard air is known.

    The index belongs to the wavelength in vacuum, so it is found by fixed point; each
    step gains five decades, three are exact to rounding.

    Parameters
    ----------
    air_nm
        Wavelength in standard air, in nm.

    Returns
    -------
    :
        Wavelength in vacuum, in nm.

    Examples
    --------
    >>> round(air_to_vacuum_nm(vacuum_to_air_nm(531.0)), 9)
    531.0
    """
    vacuum_nm = air_nm
    for _ in range(3):
        vacuum_nm = air_nm * refractive_index_of_air(vacuum_nm)
    return vacuum_nm


def energy_ev(wavelength_nm: Number, medium: Medium = Medium.VACUUM) -> Number:
    """Photon energy of a wavelength, E = hc / (n lambda).

    Parameters
    ----------
    wavelength_nm
        Wavelength in ``medium``, in nm.
    medium
        The medium in which the wavelength is stated.

    Returns
    -------
    :
        Photon energy, in eV.

    Examples
    --------
    >>> round(energy_ev(531.0), 5)
    2.33492
    >>> round(1e3 * (energy_ev(531.0) - energy_ev(531.0, Medium.AIR)), 2)
    0.65
    """
    if medium is Medium.AIR:
        return HC_EV_NM / air_to_vacuum_nm(wavelength_nm)
    return HC_EV_NM / wavelength_nm


def energy_mev(wavelength_nm: Number, medium: Medium = Medium.VACUUM) -> Number:
    """Photon energy of a wavelength, in meV; otherwise as `energy_ev`.

    Parameters
    ----------
    wavelength_nm, medium
        The wavelength, in nm, and the medium in which it is stated.

    Examples
    --------
    >>> round(energy_mev(526.0), 1)
    2357.1
    """
    return MEV_PER_EV * energy_ev(wavelength_nm, medium)


def wavelength_nm(energy_ev: Number, medium: Medium = Medium.VACUUM) -> Number:
    """Wavelength of a photon energy, lambda = hc / (n E).

    Parameters
    ----------
    energy_ev
        Photon energy, in eV.
    medium
        The medium in which the wavelength is wanted.

    Returns
    -------
    :
        Wavelength in ``medium``, in nm.

    Examples
    --------
    >>> round(wavelength_nm(2.353), 2)
    526.92
    """
    vacuum_nm = HC_EV_NM / energy_ev
    if medium is Medium.AIR:
        return vacuum_to_air_nm(vacuum_nm)
    return vacuum_nm


def bandwidth_mev(wavelength_nm: Number, bandwidth_nm: Number) -> Number:
    """Width in energy of a band of wavelengths about a centre.

    Parameters
    ----------
    wavelength_nm
        Centre of the band, wavelength in vacuum, in nm.
    bandwidth_nm
        Width of the band, in nm.

    Returns
    -------
    :
        Width of the band, in meV, of the same definition as ``bandwidth_nm``.

    Examples
    --------
    >>> round(bandwidth_mev(526.0, 1.8), 2)
    8.07
    """
    return MEV_PER_EV * HC_EV_NM * bandwidth_nm / wavelength_nm**2


def photons_per_pulse(
    power_uw: Number, wavelength_nm: Number, rep_rate_mhz: float
) -> Number:
    """Photons in each pulse, N = P lambda / (f hc).

    Parameters
    ----------
    power_uw
        Mean power, in uW.
    wavelength_nm
        Wavelength in vacuum, in nm.
    rep_rate_mhz
        Repetition rate of the pulses, in MHz.

    Returns
    -------
    :
        Photons per pulse.

    Examples
    --------
    >>> round(photons_per_pulse(50.0, 495.0, 78.0) / 1e6, 2)
    1.6
    """
    return power_uw * wavelength_nm / (rep_rate_mhz * 1e6 * HC_UJ_NM)


def power_from_photons_uw(
    photons: Number, wavelength_nm: Number, rep_rate_mhz: float
) -> Number:
    """Mean power that carries a number of photons in each pulse.

    Parameters
    ----------
    photons
        Photons per pulse.
    wavelength_nm
        Wavelength in vacuum, in nm.
    rep_rate_mhz
        Repetition rate of the pulses, in MHz.

    Returns
    -------
    :
        Mean power, in uW.

    Examples
    --------
    >>> matched = photons_per_pulse(85.0, 495.0, 78.0)
    >>> round(power_from_photons_uw(matched, 526.0, 78.0), 1)
    80.0
    """
    return photons * (rep_rate_mhz * 1e6 * HC_UJ_NM) / wavelength_nm


def fluence_uj_cm2(
    power_uw: Number, rep_rate_mhz: float, spot_um: float, definition: SpotDefinition
) -> Number:
    r"""Pulse fluence on the sample, F = k P / (f pi D^2 / 4).

    The factor k is 1 for a flat top of diameter D, ln 2 for the peak of a Gaussian of
    full width at half maximum D, and 2 for the peak of a Gaussian of diameter D at
    1/e^2.

    Parameters
    ----------
    power_uw
        Mean power, in uW.
    rep_rate_mhz
        Repetition rate of the pulses, in MHz.
    spot_um
        Diameter D of the spot, in um.
    definition
        What the diameter means.

    Returns
    -------
    :
        Fluence, in uJ/cm2.

    Raises
    ------
    ValueError
        If the spot or the repetition rate is not positive.

    Examples
    --------
    >>> for definition in SpotDefinition:
    ...     print(definition, round(fluence_uj_cm2(15.0, 78.0, 1.2, definition), 1))
    flat_top 17.0
    gaussian_fwhm 11.8
    gaussian_1e2 34.0
    """
    return power_uw * _fluence_per_power(rep_rate_mhz, spot_um, definition)


def power_from_fluence_uw(
    fluence_uj_cm2: Number,
    rep_rate_mhz: float,
    spot_um: float,
    definition: SpotDefinition,
) -> Number:
    """Mean power that makes a pulse fluence on the sample.

    Parameters
    ----------
    fluence_uj_cm2
        Fluence, in uJ/cm2.
    rep_rate_mhz
        Repetition rate of the pulses, in MHz.
    spot_um
        Diameter of the spot, in um.
    definition
        What the diameter means.

    Returns
    -------
    :
        Mean power, in uW.

    Raises
    ------
    ValueError
        If the spot or the repetition rate is not positive.

    Examples
    --------
    >>> round(power_from_fluence_uw(17.0, 78.0, 1.2, SpotDefinition.FLAT_TOP), 1)
    15.0
    """
    return fluence_uj_cm2 / _fluence_per_power(rep_rate_mhz, spot_um, definition)


def _fluence_per_power(
    rep_rate_mhz: float, spot_um: float, definition: SpotDefinition
) -> float:
    """Fluence of 1 uW, in uJ/cm2: uW / MHz is pJ, and 1 pJ is 1e-6 uJ."""
    if not (spot_um > 0 and rep_rate_mhz > 0):
        msg = (
            f"a fluence needs a spot and a repetition rate above zero, got "
            f"{spot_um} um and {rep_rate_mhz} MHz: give the bench's own values"
        )
        raise ValueError(msg)
    area_cm2 = math.pi / 4 * spot_um**2 * CM2_PER_UM2
    return PEAK_FACTOR[definition] * 1e-6 / (rep_rate_mhz * area_cm2)
