"""From the pump at the sample to the light on each pixel, in one state of the bench."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ioc_sim import detection, source
from ioc_sim.carriers import Pump
from ioc_sim.emission import Line
from ioc_sim.lamp import neon_spectrum
from ioc_sim.phonons import COLD_K
from ioc_sim.sample import Sample
from ioc_sim.sample_map import SampleMap
from ioc_sim.source import HC_MEV_NM

__all__ = ["BenchState", "LightPath"]

FloatArray = npt.NDArray[np.float64]

FADING_PUMP = Pump(wavelength_nm=495.0, bandwidth_nm=1.8, power_uw=50.0)
"""Pump for which the rate of photodegradation is stated."""

AS_STATED: FloatArray = np.ones(())
"""Efficiency of the first grating, behind which the camera's rates are stated."""

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
    position_um: tuple[float, float, float] = (20.0, 20.0, 20.0)
    """Focus of the objective on the sample's axes x, y, z, in um, drifts included."""
    grating: int = 1
    """Place of the turret, from 1; 0 while it turns, when no light gets through."""
    exit_port: float = 0.0
    """Share of the light that the mirror sends to the photomultiplier."""
    exit_slit_um: float = 1000.0
    """Width of the slit before the photomultiplier."""
    lamp: float = 0.0
    """Output of the calibration lamp, from nought to one."""
    stray_light: float = 0.0
    """Photons a second that a detector sees from the room."""
    faded: tuple[tuple[int, float], ...] = ()
    """Crystals that have faded, by number, each with the share of light left."""


class LightPath:
    """Crystals, analyser, spectrometer and the pump light that the sample scatters.

    Parameters
    ----------
    sample
        Parameters of the bench.
    seed
        Seed of the bench; it draws the crystals beside the paper's.
    """

    def __init__(self, sample: Sample, *, seed: int = 0) -> None:
        self._sample = sample
        self.map = SampleMap(sample, seed)
        """The crystals of the sample; the paper's is the first."""
        self._continuum = lru_cache(REMEMBERED_RATES)(self._continuum_on)
        self.rate = lru_cache(REMEMBERED_RATES)(self._rate)
        """Expected light on each pixel for a `BenchState`, in e-/s, without dark."""

    def lines(self, state: BenchState) -> list[tuple[Line, float]]:
        """Give what the crystals under the focus emit, line by line.

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
        if not state.grating:
            return []
        pump = Pump(
            wavelength_nm=state.pump_nm,
            bandwidth_nm=state.bandwidth_nm,
            power_uw=state.power_uw,
        )
        left = dict(state.faded)
        analyser = self._sample.analyser
        lines: list[tuple[Line, float]] = []
        for seen in self.map.under(state.position_um):
            emission = seen.crystal.emit(pump, state.temperature_k, overlap=seen.pump)
            collected = seen.collection * left.get(seen.number, 1.0)
            for line in emission.lines:
                passed = detection.analyser_transmission(
                    line, state.hwp_deg, state.analyser_in, analyser
                )
                passed *= float(self._efficiency(HC_MEV_NM / line.energy_mev, state))
                lines.append((line, collected * passed))
        return lines

    def spent(self, state: BenchState) -> list[tuple[int, float]]:
        """Give the pump light that the crystals under the focus absorb.

        Parameters
        ----------
        state
            State of the light path.

        Returns
        -------
        :
            Crystals by number, each with its share of what the paper's crystal takes
            of 50 uW at 495 nm.
        """
        if not state.power_uw:
            return []
        pump = Pump(
            wavelength_nm=state.pump_nm,
            bandwidth_nm=state.bandwidth_nm,
            power_uw=state.power_uw,
        )
        full = self.map.crystal(0).carriers.feed(FADING_PUMP, COLD_K)
        return [
            (seen.number, (feed.cold + feed.hot) / (full.cold + full.hot))
            for seen in self.map.under(state.position_um)
            for feed in [
                seen.crystal.carriers.feed(pump, state.temperature_k, overlap=seen.pump)
            ]
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
        if not state.grating:
            return np.zeros(edges_nm.size - 1)
        line = detection.scatter_spectrum(
            edges_nm, state.pump_nm, state.bandwidth_nm, self._spread(state)
        )
        laser = self._sample.source
        pump = source.pump_shape(state.pump_nm, laser)
        leak = laser.leak / (pump * state.bandwidth_nm)
        leaked = leak * self._continuum(edges_nm.tobytes())
        passed = detection.unpolarized_transmission(
            state.analyser_in, self._sample.analyser
        )
        strength = 2 * self._sample.ccd.scatter * state.power_uw * passed
        middle = (edges_nm[1:] + edges_nm[:-1]) / 2
        return strength * (line + leaked) * self._efficiency(middle, state)

    def lamp_rate(self, state: BenchState, edges_nm: FloatArray) -> FloatArray:
        """Give the light of the calibration lamp, which stands before the slit.

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
        if not state.grating or not state.lamp:
            return np.zeros(edges_nm.size - 1)
        middle = (edges_nm[1:] + edges_nm[:-1]) / 2
        strength = self._sample.spectrometer.lamp_rate * state.lamp
        light = neon_spectrum(edges_nm, self._spread(state))
        return strength * light * self._efficiency(middle, state)

    def _continuum_on(self, edges: bytes) -> FloatArray:
        """Give the laser's continuum in each interval: its shape times the width."""
        edges_nm = np.frombuffer(edges)
        middle = (edges_nm[1:] + edges_nm[:-1]) / 2
        shape = source.continuum_shape(middle, self._sample.source)
        return shape * np.diff(edges_nm)

    def _spread(self, state: BenchState) -> float:
        """FWHM of the line spread function, in nm."""
        spectrometer = self._sample.spectrometer
        return detection.line_spread(state.slit_um, spectrometer, state.grating)

    def _efficiency(
        self, wavelength_nm: npt.ArrayLike, state: BenchState
    ) -> FloatArray:
        """Efficiency of the grating in the beam, relative to the first one."""
        if state.grating == 1:
            return AS_STATED
        spectrometer = self._sample.spectrometer
        return detection.grating_efficiency(wavelength_nm, spectrometer, state.grating)

    def _rate(self, state: BenchState) -> FloatArray:
        spectrometer = self._sample.spectrometer
        rate = np.zeros(detection.PIXELS)
        if state.grating and state.exit_port < 1:
            edges = detection.pixel_edges(state.spec_nm, spectrometer, state.grating)
            rate += self.lamp_rate(state, edges)
            if state.power_uw > 0:
                spread = self._spread(state)
                rate += detection.emission_rate(
                    edges, self.lines(state), spread, self._sample.ccd
                )
                rate += self.scattered(state, edges)
            rate *= detection.slit_throughput(state.slit_um, spectrometer)
            rate *= 1 - state.exit_port
        rate.flags.writeable = False
        return rate
