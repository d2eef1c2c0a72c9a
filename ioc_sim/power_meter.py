"""The pick-off power meter: ranges, noise, responsivity, and its calibration."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ioc_sim.beam import Beam
from ioc_sim.random_streams import stream
from ioc_sim.sample import Meter, Sample
from ioc_sim.source import HC_MEV_NM, REFERENCE_NM, maximum_power

__all__ = [
    "Calibration",
    "MeterReading",
    "PowerMeter",
    "pick_off_ratio",
    "responsivity",
]

FloatArray = npt.NDArray[np.float64]

CALIBRATION_NM = np.linspace(480.0, 700.0, 32)
"""Wavelengths of the pick-off's calibration: the tunable filter's range, nm."""

DECADE = 10.0
"""Ratio of neighbouring ranges."""

AUTO_FILL = 0.95
"""Share of a range beyond which the automatic choice takes the next one."""


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
    """Whether the power was above the meter's range (where it then reads)."""
    full_scale_uw: float
    """Range of the reading, in uW."""


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
        self.ranges_uw = tuple(
            sample.meter.full_scale / DECADE**step
            for step in reversed(range(sample.meter.ranges))
        )
        """Full scales, in uW, the smallest first."""

    def range_for(self, power_uw: float) -> float:
        """Give the least full scale that takes a power; the highest if none does.

        Parameters
        ----------
        power_uw
            Power at the pick-off, in uW.
        """
        fitting = (full for full in self.ranges_uw if power_uw <= full)
        return next(fitting, self.ranges_uw[-1])

    def average(
        self,
        beam: Beam,
        start_s: float,
        end_s: float,
        *,
        setting_nm: float,
        counter: int,
        full_scale_uw: float | None = None,
    ) -> MeterReading:
        """Average the pump before the shutter over an interval of the past.

        Parameters
        ----------
        beam
            The pump.
        start_s, end_s
            The interval, in simulated seconds.
        setting_nm, counter, full_scale_uw
            As of `read`.
        """
        return self.read(
            beam.mean_power(start_s, end_s),
            beam.centre_nm((start_s + end_s) / 2),
            setting_nm=setting_nm,
            duration_s=end_s - start_s,
            counter=counter,
            full_scale_uw=full_scale_uw,
        )

    def read(
        self,
        power_uw: float,
        pump_nm: float,
        *,
        setting_nm: float,
        duration_s: float,
        counter: int,
        full_scale_uw: float | None = None,
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
        full_scale_uw
            Range to read in, in uW; none for the least that takes the power.
        """
        meter, source = self._meter, self._source
        correction = responsivity(pump_nm) / responsivity(setting_nm)
        shown = power_uw / float(pick_off_ratio(pump_nm, meter)) * correction
        limit = full_scale_uw or self.range_for(shown / AUTO_FILL)
        samples = max(duration_s / meter.sample_time, 1.0)
        one = math.hypot(
            meter.noise * shown, meter.noise_floor, meter.range_noise * limit
        )
        noise = one / math.sqrt(samples)
        cells = max(duration_s / source.jitter_time, 1.0)
        sigma = math.hypot(noise, source.jitter * shown / math.sqrt(cells))
        normal = stream(self._seed, "meter", counter).standard_normal()
        shown += noise * float(normal)
        return MeterReading(min(shown, limit), sigma, shown > limit, limit)

    def calibration(self) -> Calibration:
        """Give the calibration: the true ratios times one error of its sigma."""
        error = self._error("calibration", self._meter.ratio_sigma)
        ratio = pick_off_ratio(CALIBRATION_NM, self._meter) * error
        return Calibration(CALIBRATION_NM.copy(), ratio, self._meter.ratio_sigma)

    def ceiling(self) -> FloatArray:
        """Give the stored most power at the sample at each calibrated wavelength.

        Returns
        -------
        :
            The true ones at full level and the source's own bandwidth times one error
            of their sigma, in uW; shape ``(32,)``.
        """
        error = self._error("ceiling", self._meter.ceiling_sigma)
        return error * np.array(
            [
                maximum_power(nm, self._source.bandwidth, self._source)
                for nm in CALIBRATION_NM
            ]
        )

    def _error(self, name: str, sigma: float) -> float:
        return 1 + sigma * float(stream(self._seed, name, 0).standard_normal())
