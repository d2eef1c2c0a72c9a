"""From the pump at the sample to the light on each pixel, in one state of the bench."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ioc_sim import detection, source
from ioc_sim.carriers import Pump
from ioc_sim.emission import Crystal, Line
from ioc_sim.sample import Sample

__all__ = ["BenchState", "LightPath"]

FloatArray = npt.NDArray[np.float64]

REMEMBERED_RATES = 8
"""Expected rates that are kept: a bench at rest asks for the same one again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchState:
    """What the light path is at one time, or in the mean over a short one."""

    pump_nm: float
    bandwidth_nm: float
    power_uw: float
    """Mean power of the pump line at the sample, in uW."""
    hwp_deg: float
    analyser_in: float
    """Share of the beam that the polarizer covers."""
    spec_nm: float
    slit_um: float
    temperature_k: float
    position_um: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Focus of the objective on the sample's axes x, y, z, in um, drifts included."""
    grating: int = 1
    """Place of the turret, from 1."""
    exit_port: float = 0.0
    """Share of the light that the mirror sends to the photomultiplier."""
    exit_slit_um: float = 1000.0
    """Width of the slit before the photomultiplier."""
    lamp: float = 0.0
    """Output of the calibration lamp, from nought to one."""
    stray_light: float = 0.0
    """Photons a second that a detector sees from the room."""


class LightPath:
    """Crystal, analyser, spectrometer and the pump light that the crystal scatters.

    Parameters
    ----------
    sample
        Parameters of the bench.
    """

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self._collected = source.collection_overlap(sample.spot)
        self.crystal = Crystal(sample)
        self.rate = lru_cache(REMEMBERED_RATES)(self._rate)
        """Expected light on each pixel for a `BenchState`, in e-/s, without dark."""

    def lines(self, state: BenchState) -> list[tuple[Line, float]]:
        """Give what the crystal emits, line by line.

        Parameters
        ----------
        state
            State of the light path.

        Returns
        -------
        :
            Lines, each with the share of it that passes objective, analyser and
            grating; the entrance slit's share is not part of it.
        """
        pump = Pump(
            wavelength_nm=state.pump_nm,
            bandwidth_nm=state.bandwidth_nm,
            power_uw=state.power_uw,
        )
        emission = self.crystal.emit(pump, state.temperature_k)
        analyser = self._sample.analyser
        return [
            (
                line,
                self._collected
                * detection.analyser_transmission(
                    line, state.hwp_deg, state.analyser_in, analyser
                ),
            )
            for line in emission.lines
        ]

    def scattered(self, state: BenchState, edges_nm: FloatArray) -> FloatArray:
        """Give the scattered pump line and leaked continuum, both unpolarized.

        They follow the laser's pulse without delay.

        Parameters
        ----------
        state
            State of the light path.
        edges_nm
            Edges of the wavelength intervals, rising; shape ``(n + 1,)``.

        Returns
        -------
        :
            Electrons per second in each interval, before the entrance slit; shape
            ``(n,)``.
        """
        spread = detection.line_spread(state.slit_um, self._sample.spectrometer)
        line = detection.scatter_spectrum(
            edges_nm, state.pump_nm, state.bandwidth_nm, spread
        )
        laser = self._sample.source
        shape = source.continuum_shape((edges_nm[1:] + edges_nm[:-1]) / 2, laser)
        shape /= source.continuum_shape(state.pump_nm, laser)
        leak = laser.leak * shape * np.diff(edges_nm) / state.bandwidth_nm
        passed = detection.unpolarized_transmission(
            state.analyser_in, self._sample.analyser
        )
        strength = 2 * self._sample.ccd.scatter * state.power_uw * passed
        return strength * (line + leak)

    def _rate(self, state: BenchState) -> FloatArray:
        sample = self._sample
        rate = np.zeros(detection.PIXELS)
        if state.power_uw > 0:
            spread = detection.line_spread(state.slit_um, sample.spectrometer)
            edges = detection.pixel_edges(state.spec_nm, sample.spectrometer)
            rate += detection.emission_rate(
                edges, self.lines(state), spread, sample.ccd
            )
            rate += self.scattered(state, edges)
            rate *= detection.slit_throughput(state.slit_um, sample.spectrometer)
        rate.flags.writeable = False
        return rate
