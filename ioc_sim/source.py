"""The pump light: laser, tunable filter, attenuator, pick-off meter and spot."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import constants

from ioc_sim.random_streams import RedNoise, WhiteNoise, stream
from ioc_sim.sample import Meter, Sample, Source, Spot

__all__ = [
    "HC_MEV_NM",
    "Calibration",
    "LightNoise",
    "MeterReading",
    "PowerMeter",
    "bandwidth_sigma_mev",
    "collection_overlap",
    "continuum_shape",
    "maximum_power",
    "photon_energy_mev",
    "photons_per_pulse",
    "pick_off_ratio",
    "pump_overlap",
    "responsivity",
]

FloatArray = npt.NDArray[np.float64]

HC_MEV_NM = constants.h * constants.c / constants.e * 1e12
"""Photon energy times vacuum wavelength, 1239841.98 meV nm; CODATA."""

FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))
"""Full width at half maximum of a Gaussian of unit sigma."""

REFERENCE_NM = 526.0
"""Wavelength at which power_526 and the meter's ratio hold, nm."""

CALIBRATION_NM = np.linspace(480.0, 700.0, 32)
"""Wavelengths of the pick-off's calibration: the tunable filter's range, nm."""


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
    return HC_MEV_NM / wavelength_nm**2 * bandwidth_nm / FWHM_PER_SIGMA


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
    offset = (nm - source.envelope_center) / source.envelope_width
    envelope = np.exp(-(offset**2) / 2)
    return (rise + source.blue_peak * bump) / edge * envelope


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
    shape = continuum_shape([wavelength_nm, REFERENCE_NM], source)
    ratio = float(shape[0] / shape[1])
    return source.power_526 * ratio * bandwidth_nm / source.bandwidth


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


def _focus(spot: Spot) -> tuple[float, float]:
    dx, dy, dz = (a - b for a, b in zip(spot.objective, spot.crystal, strict=True))
    return math.hypot(dx, dy), 1 / (1 + (dz / spot.depth) ** 2)


def pump_overlap(spot: Spot) -> float:
    r"""Share of the pump that hits the crystal.

    :math:`g = f\, e^{-\ln 2\,(2r/D_e)^4}` with :math:`f = 1/(1+(dz/3\,\mu m)^2)`

    Parameters
    ----------
    spot
        Sizes and positions.
    """
    radius, focus = _focus(spot)
    return focus * math.exp(-math.log(2) * (2 * radius / spot.diameter) ** 4)


def collection_overlap(spot: Spot) -> float:
    r"""Share of the emission that is collected.

    :math:`c = f\, e^{-4\ln 2\,(r/D_c)^2}` with :math:`f = 1/(1+(dz/3\,\mu m)^2)`

    Parameters
    ----------
    spot
        Sizes and positions.
    """
    radius, focus = _focus(spot)
    return focus * math.exp(-4 * math.log(2) * (radius / spot.collection) ** 2)


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


def pick_off_ratio(wavelength_nm: npt.ArrayLike, meter: Meter) -> FloatArray:
    r"""Power at the sample over power at the pick-off.

    :math:`r(\lambda) = r_{526}\,[1 + a(\lambda-526)]\,
    [1 + b \sin(2\pi(\lambda-526)/\Lambda)]`: the splitter's slope and its ripple.

    Parameters
    ----------
    wavelength_nm
        Wavelengths, in nm; any shape.
    meter
        Parameters of the meter.
    """
    offset = np.asarray(wavelength_nm, dtype=float) - REFERENCE_NM
    ripple = np.sin(2 * np.pi * offset / meter.ratio_period)
    slope = 1 + meter.ratio_slope * offset
    return meter.ratio * slope * (1 + meter.ratio_ripple * ripple)


def responsivity(wavelength_nm: float) -> float:
    r"""Responsivity of the meter's silicon photodiode, in A/W.

    :math:`R = \frac{\lambda}{hc/e}\, 0.9\,(1-e^{-(\lambda-300)/150})\,
    /(1+e^{(\lambda-1040)/25})`: quantum efficiency that falls in the blue (shallow
    absorption) and at the band gap; typical of a silicon photodiode.

    Parameters
    ----------
    wavelength_nm
        Vacuum wavelength, in nm, above 300.

    Examples
    --------
    >>> round(responsivity(526.0), 2)
    0.3
    """
    ideal = wavelength_nm / HC_MEV_NM * 1e3
    blue = 1 - math.exp(-(wavelength_nm - 300) / 150)
    gap = 1 + math.exp((wavelength_nm - 1040) / 25)
    return ideal * 0.9 * blue / gap


class MeterReading(NamedTuple):
    """One averaged reading of the pick-off meter."""

    power_uw: float
    """Power at the pick-off, in uW, as the meter's wavelength setting makes it."""
    sigma_uw: float
    """Standard error of that mean, in uW: the meter's noise and the laser's jitter."""
    overrange: bool
    """Whether the power was above the meter's full scale (where it then reads)."""


class Calibration(NamedTuple):
    """What the bench's owner measured between pick-off and sample."""

    wavelength_nm: FloatArray
    """Wavelengths, in nm; shape ``(32,)``."""
    ratio: FloatArray
    """Sample power over pick-off power; shape ``(32,)``."""
    ratio_sigma: float
    """Relative standard uncertainty, common to all wavelengths."""


class PowerMeter:
    """Silicon photodiode behind a beam splitter, before the shutter.

    Parameters
    ----------
    seed
        Seed of the bench; it also draws the error of the calibration.
    sample
        Parameters of the bench.
    """

    def __init__(self, seed: int, sample: Sample) -> None:
        self._seed = seed
        self._meter = sample.meter
        self._source = sample.source

    def read(
        self,
        power_uw: float,
        pump_nm: float,
        *,
        setting_nm: float,
        duration_s: float,
        counter: int,
    ) -> MeterReading:
        """Read the power, averaged over a time.

        Parameters
        ----------
        power_uw
            True mean power at the sample with the shutter open, in uW.
        pump_nm
            Wavelength of the light, in nm.
        setting_nm
            Wavelength for which the meter corrects its responsivity, in nm.
        duration_s
            Averaging time, in simulated seconds.
        counter
            Number of the reading.
        """
        meter, source = self._meter, self._source
        correction = responsivity(pump_nm) / responsivity(setting_nm)
        shown = power_uw / float(pick_off_ratio(pump_nm, meter)) * correction
        samples = max(duration_s / meter.sample_time, 1.0)
        noise = math.hypot(meter.noise * shown, meter.noise_floor) / math.sqrt(samples)
        cells = max(duration_s / source.jitter_time, 1.0)
        sigma = math.hypot(noise, source.jitter * shown / math.sqrt(cells))
        normal = stream(self._seed, "meter", counter).standard_normal()
        shown += noise * float(normal)
        limit = meter.full_scale
        return MeterReading(min(shown, limit), sigma, shown > limit)

    def calibration(self) -> Calibration:
        """Give the calibration: the true ratios times one error of its sigma."""
        normal = stream(self._seed, "calibration", 0).standard_normal()
        error = 1 + self._meter.ratio_sigma * float(normal)
        ratio = pick_off_ratio(CALIBRATION_NM, self._meter) * error
        return Calibration(CALIBRATION_NM.copy(), ratio, self._meter.ratio_sigma)
