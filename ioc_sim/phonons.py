"""What temperature does to the crystal: gap, widths and yield."""

import math

from scipy import constants

from ioc_sim import sample as truth

__all__ = ["COLD_K", "broadening", "gap_shift", "occupation", "quantum_yield"]

BOLTZMANN = constants.k / constants.e * 1e3
"""Boltzmann constant, meV/K; CODATA."""

COLD_K = 4.0
"""Temperature at which the parameters of the sample hold, K."""


def occupation(energy_mev: float, temperature_k: float) -> float:
    """Bose-Einstein occupation of a phonon, ``1 / (exp(E/kT) - 1)``.

    Parameters
    ----------
    energy_mev
        Energy of the phonon.
    temperature_k
        Temperature, above zero.
    """
    return 1 / math.expm1(min(energy_mev / (BOLTZMANN * temperature_k), 700.0))


def gap_shift(temperature_k: float, temperature: truth.Temperature) -> float:
    r"""Shift of the gap from zero temperature, in meV.

    :math:`dE = 24 / (e^{100/T} - 1)`; measured sign and near-linearity at room
    temperature, see `sample.toml`.

    Parameters
    ----------
    temperature_k
        Temperature of the sample.
    temperature
        Parameters of the sample.
    """
    phonon = temperature.gap_theta * BOLTZMANN
    return temperature.gap_shift * occupation(phonon, temperature_k)


def broadening(temperature_k: float, sample: truth.Sample) -> float:
    r"""Broadening (FWHM) by phonons, in meV.

    :math:`G_h = g_\mathsf{ac}(T-4) + G_\mathsf{LO}/(e^{E_\mathsf{LO}/kT}-1)`

    Parameters
    ----------
    temperature_k
        Temperature of the sample.
    sample
        Parameters of the sample.
    """
    acoustic = sample.temperature.acoustic * max(temperature_k - COLD_K, 0.0)
    optical = sample.temperature.optical
    return acoustic + optical * occupation(sample.cooling.phonon, temperature_k)


def quantum_yield(temperature_k: float, temperature: truth.Temperature) -> float:
    r"""Yield of the emission against quenching, :math:`Q = 1/(1+30\,e^{-50/kT})`.

    Parameters
    ----------
    temperature_k
        Temperature of the sample.
    temperature
        Parameters of the sample.
    """
    barrier = temperature.quench_energy / (BOLTZMANN * temperature_k)
    return 1 / (1 + temperature.quench_ratio * math.exp(-barrier))
