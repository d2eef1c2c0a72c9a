"""The lines that the crystal emits: where, how broad, how strong, how polarized.

Energies in meV; rates of emission in units of the clamped spontaneous emission.
"""

import math
from dataclasses import dataclass

from ioc_sim.carriers import Carriers, Feed, Pump, clamped_decay, lase
from ioc_sim.phonons import COLD_K, broadening, gap_shift, quantum_yield
from ioc_sim.sample import Sample

__all__ = ["Crystal", "Emission", "Line", "mills_ratio"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One Gaussian line of the emission."""

    energy_mev: float
    fwhm_mev: float
    rate: float
    """Strength, in units of the clamped spontaneous emission."""
    dolp: float
    """Degree of linear polarization."""
    axis_deg: float
    """Axis of polarization from the grating's favoured one, modulo 180."""
    lifetime_ps: float
    """Time in which the light decays after the pulse, in ps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """The two stimulated lines and the spontaneous band."""

    low: Line
    high: Line
    spontaneous: Line
    overdrive: float
    """Carriers fed, in thresholds."""

    @property
    def stimulated_rate(self) -> float:
        """Strength of both stimulated lines together."""
        return self.low.rate + self.high.rate

    @property
    def lines(self) -> tuple[Line, Line, Line]:
        """All of them."""
        return self.low, self.high, self.spontaneous


def mills_ratio(detuning: float) -> float:
    r"""Mean depth below the pump of the sites that it reaches, in widths.

    :math:`M(z) = \varphi(z)/\Phi(z)` of the normal distribution: sites above the
    pump's energy are not excited. Nought far above, :math:`-z` far below.

    Parameters
    ----------
    detuning
        Pump minus exciton, in widths, :math:`z`.

    Examples
    --------
    >>> round(mills_ratio(0.0), 4)
    0.7979
    """
    far = -30.0
    if detuning < far:
        return -detuning
    density = math.exp(-(detuning**2) / 2) / math.sqrt(2 * math.pi)
    return density / (math.erfc(-detuning / math.sqrt(2)) / 2)


class Crystal:
    """One crystal of the sample.

    Parameters
    ----------
    sample
        Parameters of the bench, with what is this crystal's own.
    brightness
        Emission relative to that of the paper's crystal.
    """

    def __init__(self, sample: Sample, *, brightness: float = 1.0) -> None:
        self._sample = sample
        self._brightness = brightness
        self.carriers = Carriers(sample)

    def emit(
        self, pump: Pump, temperature_k: float, *, overlap: float = 1.0
    ) -> Emission:
        r"""Light that the crystal gives off.

        The spontaneous emission has a part that does not clamp, from the rim of the
        spot: :math:`b = b_0 x_a/(1+x_a/x_A)`, with all the carriers that were made,
        :math:`x_a = (n_X+n_c)/n_{th}`.

        Parameters
        ----------
        pump
            The light at the sample.
        temperature_k
            Temperature of the sample.
        overlap
            Share of the pump's intensity that reaches the crystal.
        """
        sample, carriers = self._sample, self.carriers
        feed = carriers.feed(pump, temperature_k, overlap=overlap)
        threshold = carriers.threshold(temperature_k)
        overdrive = (feed.cold + feed.cooled) / threshold
        made = (feed.cold + feed.hot) / threshold
        decay = clamped_decay(
            sample.lifetime.stimulated, self.spontaneous_time(temperature_k)
        )
        stimulated, clamped = lase(overdrive, sample.lasing.beta, decay)
        rim = sample.background.share * made / (1 + made / sample.background.saturation)
        output = self._brightness * quantum_yield(temperature_k, sample.temperature)
        rates = stimulated * output, (clamped + rim) * output
        low, high, band = self._lines(feed, temperature_k, *rates)
        return Emission(low=low, high=high, spontaneous=band, overdrive=overdrive)

    def spontaneous_time(self, temperature_k: float) -> float:
        r"""Decay time of the spontaneous emission, in ps.

        :math:`t_S(T) \propto [1+(T/60)^{1.5}]\, Q(T)`, with the parameter at 4 K.

        Parameters
        ----------
        temperature_k
            Temperature of the sample.
        """
        lifetime = self._sample.lifetime

        def growth(kelvin: float) -> float:
            quantum = quantum_yield(kelvin, self._sample.temperature)
            return (1 + (kelvin / lifetime.softening) ** 1.5) * quantum

        return lifetime.spontaneous * growth(temperature_k) / growth(COLD_K)

    def _shift(self, feed: Feed) -> float:
        r"""Shift of the stimulated lines from the reference condition, in meV.

        .. math::

            B[(n/n_\mathsf{ref})^{2/3}-1] + c_\mathsf{hot}(D-D_\mathsf{ref})
            - \mu s_X [M(z) - M(z_\mathsf{ref})]

        with all the carriers that were made, :math:`n = n_X + n_c`.
        """
        emission = self._sample.emission
        reference = self.carriers.reference
        density = (feed.cold + feed.hot) / (reference.cold + reference.hot)
        filling = emission.filling_shift * (density ** (2 / 3) - 1)
        hot = emission.hot_shift * (feed.excess_mev - reference.excess_mev)
        depth = mills_ratio(feed.detuning) - mills_ratio(reference.detuning)
        site = emission.site_shift * self._sample.absorption.exciton_sigma * depth
        return filling + hot - site

    def _lines(
        self, feed: Feed, temperature_k: float, stimulated: float, spontaneous: float
    ) -> tuple[Line, Line, Line]:
        """Lower line, higher line and band; the first two share a strength."""
        emission, polarization = self._sample.emission, self._sample.polarization
        gap = gap_shift(temperature_k, self._sample.temperature)
        phonons = broadening(temperature_k, self._sample)
        shift = self._shift(feed)
        kept = polarization.kept_per_phonon ** (
            feed.excess_mev / self._sample.cooling.phonon
        )
        axis = polarization.axis % 180
        centre = emission.line_low + gap + shift
        weight, narrow = emission.weight_low, emission.se_fwhm + phonons
        low = Line(
            energy_mev=centre,
            fwhm_mev=narrow,
            rate=weight * stimulated,
            dolp=polarization.low * kept,
            axis_deg=axis,
            lifetime_ps=self._sample.lifetime.stimulated,
        )
        high = Line(
            energy_mev=centre + emission.splitting,
            fwhm_mev=narrow,
            rate=(1 - weight) * stimulated,
            dolp=polarization.high * kept,
            axis_deg=(axis + 90) % 180,
            lifetime_ps=self._sample.lifetime.stimulated,
        )
        band = Line(
            energy_mev=emission.spe_center + gap + shift / 2,
            fwhm_mev=emission.spe_fwhm + phonons,
            rate=spontaneous,
            dolp=polarization.spe * kept,
            axis_deg=axis,
            lifetime_ps=self.spontaneous_time(temperature_k),
        )
        return low, high, band
