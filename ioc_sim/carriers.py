"""Carriers of one laser shot: absorbed, cooled, and clamped by the gain.

Energies in meV, numbers in pairs per laser shot in the crystal. Pump pulse (10 ps) and
photon lifetime are short against the feed and the decay, and the decay is short against
the laser period, so each shot is a balance of carriers in closed form.
"""

import math
from dataclasses import dataclass
from functools import cached_property

from ioc_sim.phonons import COLD_K, broadening, gap_shift
from ioc_sim.sample import Sample
from ioc_sim.source import (
    FWHM_PER_SIGMA,
    bandwidth_sigma_mev,
    photon_energy_mev,
    photons_per_pulse,
)

__all__ = [
    "REFERENCE_PUMP",
    "Carriers",
    "Feed",
    "Pump",
    "clamped_decay",
    "hot_phonon_limit",
    "lase",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pump:
    """The light that reaches the sample."""

    wavelength_nm: float
    """Centre, in nm (vacuum)."""
    bandwidth_nm: float
    """FWHM, in nm."""
    power_uw: float
    """Mean power, in uW."""


REFERENCE_PUMP = Pump(wavelength_nm=526.0, bandwidth_nm=1.8, power_uw=50.0)
"""Pump at which `emission.line_low` is the energy of the lower line; paper, Fig. 3."""

OFF_RESONANCE_NM = 495.0
"""Wavelength of `threshold_495` and `saturation_495`, nm; paper, Fig. 4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What one pump pulse puts into the crystal."""

    cold: float
    """Excitons, pairs per shot."""
    hot: float
    """Carriers in the continuum before they cool, pairs per shot."""
    cooled: float
    """Of these, the ones that reach the band edge, pairs per shot."""
    excess_mev: float
    """Excess energy of the pump above the exciton, zero below it."""
    detuning: float
    """Pump minus exciton, in widths of the exciton's absorption."""


def hot_phonon_limit(load: float, sharpness: float) -> float:
    r"""Share of the hot carriers that cool in time, :math:`[1+(h/h_s)^m]^{-1/m}`.

    Parameters
    ----------
    load
        Energy given to phonons per shot in units of its limit, :math:`h/h_s`.
    sharpness
        Exponent :math:`m`.
    """
    return (1 + load**sharpness) ** (-1 / sharpness)


def clamped_decay(stimulated_ps: float, spontaneous_ps: float) -> float:
    r"""Carriers that decay per e-fold of the time for which the gain is clamped.

    A feed :math:`e^{-t/t_R}/t_R` fills the crystal to at most
    :math:`\hat n = (t_R/t_S)^{(t_R/t_S)/(1-t_R/t_S)}` of what it brings, so threshold
    is there; clamped at it, :math:`\hat n\,t_R/t_S` decay per e-fold of the feed:

    .. math::

        \rho = (t_R/t_S)^{1/(1-t_R/t_S)}

    with the limit 1/e for equal times.

    Parameters
    ----------
    stimulated_ps, spontaneous_ps
        Decay times of the feed :math:`t_R` and of the carriers :math:`t_S`.

    Examples
    --------
    >>> round(clamped_decay(49.0, 268.0), 3)
    0.125
    """
    ratio = stimulated_ps / spontaneous_ps
    if math.isclose(ratio, 1.0, rel_tol=1e-6):
        return math.exp(-1)
    return ratio ** (1 / (1 - ratio))


def lase(overdrive: float, beta: float, decay: float) -> tuple[float, float]:
    r"""Split the carriers of a shot into stimulated and spontaneous emission.

    .. math::

        s_q &= \tfrac12\big[(x-1) + \sqrt{(x-1)^2 + 4 \beta x}\big], \quad
        n_q = x - s_q \\
        L &= \rho \ln(1+s_q), \quad S = s_q - n_q L, \quad N = n_q (1+L)

    so that :math:`S + N = x`; above threshold the carriers clamp at :math:`n_q = 1`.

    Parameters
    ----------
    overdrive
        Carriers fed, in thresholds, :math:`x`.
    beta
        Spontaneous emission factor.
    decay
        :math:`\rho` of `clamped_decay`.

    Returns
    -------
    :
        Stimulated :math:`S` and spontaneous :math:`N`, in thresholds.
    """
    above = overdrive - 1
    root = math.sqrt(above**2 + 4 * beta * overdrive)
    quick = (above + root) / 2
    if above < 0:  # the same root, without the difference of two near numbers
        quick = 2 * beta * overdrive / (root - above)
    clamped = overdrive - quick
    late = decay * math.log1p(quick)
    return quick - clamped * late, clamped * (1 + late)


class Carriers:
    """What the pump makes of one crystal.

    Threshold and hot-phonon limit are derived from the powers at 495 nm at which they
    are observed, so these keep their meaning when other parameters change.

    Parameters
    ----------
    sample
        Parameters of the bench.
    """

    def __init__(self, sample: Sample) -> None:
        self._sample = sample

    @cached_property
    def phonon_limit(self) -> float:
        """Energy that the phonons of a shot can take, meV x pairs."""
        _, hot, excess, _ = self._absorb(
            self._off_resonance(self._sample.lasing.saturation_495), COLD_K, overlap=1.0
        )
        return hot * excess

    @cached_property
    def cold_threshold(self) -> float:
        """Carriers at threshold at 4 K, pairs per shot."""
        power = self._sample.lasing.threshold_495
        feed = self.feed(self._off_resonance(power), COLD_K)
        return feed.cold + feed.cooled

    @cached_property
    def reference(self) -> Feed:
        """Feed by the reference pump with the spot on the crystal, at 4 K."""
        return self.feed(REFERENCE_PUMP, COLD_K)

    def threshold(self, temperature_k: float) -> float:
        r"""Carriers at threshold, :math:`n_{th} = n_{th,0}\, e^{(T-4)/T_0}`.

        Parameters
        ----------
        temperature_k
            Temperature of the sample.
        """
        scale = self._sample.lasing.threshold_temperature
        return self.cold_threshold * math.exp((temperature_k - COLD_K) / scale)

    def absorption(
        self, energy_mev: float, pump_sigma_mev: float, temperature_k: float
    ) -> tuple[float, float]:
        r"""Share of the photons that make excitons, and that make free carriers.

        .. math::

            A_X &= a_c r_X \frac{s_X}{s} e^{-(E-E_X)^2/2s^2}, \quad
            s^2 = s_X^2 + s_\mathsf{pump}^2 + s_T^2 \\
            A_c &= \frac{a_c}{2}\Big[1 + \mathrm{erf}
              \frac{E-E_X-E_\mathsf{on}}{\sqrt2 s_c}\Big]

        Parameters
        ----------
        energy_mev, pump_sigma_mev
            Centre and sigma of the pump line.
        temperature_k
            Temperature of the sample.
        """
        absorption = self._sample.absorption
        detuning = energy_mev - self._exciton(temperature_k)
        width = self._width(pump_sigma_mev, temperature_k)
        exciton = (
            absorption.absorbed
            * absorption.exciton_strength
            * absorption.exciton_sigma
            / width
            * math.exp(-((detuning / width) ** 2) / 2)
        )
        edge = (detuning - absorption.continuum_onset) / absorption.continuum_sigma
        return exciton, absorption.absorbed * math.erfc(-edge / math.sqrt(2)) / 2

    def feed(self, pump: Pump, temperature_k: float, *, overlap: float = 1.0) -> Feed:
        r"""Carriers that one pulse puts into the crystal.

        .. math::

            n_X = A_X \Phi, \quad n_c = A_c \Phi, \quad
            n_c' = \eta\, n_c [1+(h/h_s)^m]^{-1/m}, \quad h = n_c D, \quad
            \eta = q^{D/E_\mathsf{LO}}

        Parameters
        ----------
        pump
            The light at the sample.
        temperature_k
            Temperature of the sample.
        overlap
            Share of the pump's intensity that reaches the crystal, :math:`g`; the
            photons count with it.
        """
        cold, hot, excess, detuning = self._absorb(pump, temperature_k, overlap=overlap)
        return Feed(
            cold=cold,
            hot=hot,
            cooled=hot * self._cooled(hot, excess),
            excess_mev=excess,
            detuning=detuning,
        )

    def _off_resonance(self, power_uw: float) -> Pump:
        return Pump(
            wavelength_nm=OFF_RESONANCE_NM,
            bandwidth_nm=REFERENCE_PUMP.bandwidth_nm,
            power_uw=power_uw,
        )

    def _exciton(self, temperature_k: float) -> float:
        shift = gap_shift(temperature_k, self._sample.temperature)
        return self._sample.absorption.exciton + shift

    def _width(self, pump_sigma_mev: float, temperature_k: float) -> float:
        thermal = broadening(temperature_k, self._sample) / FWHM_PER_SIGMA
        return math.hypot(
            self._sample.absorption.exciton_sigma, pump_sigma_mev, thermal
        )

    def _absorb(
        self, pump: Pump, temperature_k: float, *, overlap: float
    ) -> tuple[float, float, float, float]:
        energy = photon_energy_mev(pump.wavelength_nm)
        sigma = bandwidth_sigma_mev(pump.wavelength_nm, pump.bandwidth_nm)
        photons = overlap * photons_per_pulse(
            pump.power_uw, pump.wavelength_nm, self._sample.source.rate
        )
        exciton, continuum = self.absorption(energy, sigma, temperature_k)
        detuning = energy - self._exciton(temperature_k)
        return (
            exciton * photons,
            continuum * photons,
            max(detuning, 0.0),
            detuning / self._width(sigma, temperature_k),
        )

    def _cooled(self, hot: float, excess_mev: float) -> float:
        """Share of the hot carriers that reach the band edge."""
        cooling, lasing = self._sample.cooling, self._sample.lasing
        kept = cooling.yield_per_phonon ** (excess_mev / cooling.phonon)
        load = hot * excess_mev / self.phonon_limit
        return kept * hot_phonon_limit(load, lasing.saturation_sharpness)
