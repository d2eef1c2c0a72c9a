"""The one state of the bench, its history, and the light that goes through it."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ioc_sim import camera, detection
from ioc_sim.axes import Axes
from ioc_sim.beam import Beam
from ioc_sim.bench_states import BenchStates
from ioc_sim.clock import Clock
from ioc_sim.counting import Arrivals
from ioc_sim.exposure import Illumination
from ioc_sim.fading import CELL, Fading
from ioc_sim.faults import Faults
from ioc_sim.focus import overlaps
from ioc_sim.history import History
from ioc_sim.light_path import BenchState, LightPath
from ioc_sim.phonons import COLD_K
from ioc_sim.pmt import photoelectrons
from ioc_sim.power_meter import PowerMeter
from ioc_sim.sample import Sample
from ioc_sim.sensor import Sensor
from ioc_sim.stage import Stage
from ioc_sim.thermal import Cryostat
from ioc_sim.timeline import cut
from ioc_sim.turns import do_at_once, do_in_turns

__all__ = ["World"]

FloatArray = npt.NDArray[np.float64]

PERIOD = 0.1
"""Real seconds between two looks at how crystals faded, at least."""


class World(Axes):
    """The simulated bench: one history per axis, one light path through all of them.

    Its instruments write the histories; the light path reads them. Nothing here
    depends on how often it is asked.

    Parameters
    ----------
    sample
        Parameters of the bench.
    seed
        Seed of all noise.
    clock
        Simulated time; real time if not given.
    """

    def __init__(
        self, sample: Sample, *, seed: int = 0, clock: Clock | None = None
    ) -> None:
        super().__init__(sample)
        self.sample = sample
        self.seed = seed
        self.clock = clock or Clock()
        self.faults = Faults(self.clock)
        """What is wrong with the bench."""
        self.cryostat = Cryostat(sample.cryostat, seed=seed)
        """The cryostat; it alone writes `temperature_k`."""
        self.temperature_k = self.cryostat.sample_temperature
        """Temperature of the sample, K."""
        self._path = LightPath(sample, seed=seed)
        self.stage = Stage(
            seed,
            sample.objective,
            axes=self,
            faults=self.faults,
            temperature_k=self.temperature_k,
        )
        """Where the objective looks."""
        self.beam = Beam(seed, sample, axes=self, faults=self.faults)
        """The pump before and behind the shutter."""
        self._states = BenchStates(
            self,
            beam=self.beam,
            stage=self.stage,
            faults=self.faults,
            temperature_k=self.temperature_k,
        )
        fade = self.faults.history("photodegradation")
        self.fading = Fading(fade, self._states, beam=self.beam, path=self._path)
        """What is left of the light of the crystals."""
        for history in (*self._states.histories, fade):
            history.before_forgetting = self._count_fading
        self.meter = PowerMeter(seed, sample)
        """The pick-off meter; what it measures is of the beam."""
        self.sensor = Sensor(seed, sample.ccd, self._illuminate)
        """The chip of the camera in its light."""

    def now(self) -> float:
        """Give the simulated seconds since the start."""
        return self.clock.now()

    async def run(self) -> None:
        """Work out what nobody asks for, until cancelled."""
        while True:
            await asyncio.sleep(max(PERIOD, self.clock.wall(CELL)))
            # What other processes did is known one cell later for sure.
            known_s = max(self.now() - CELL, 0.0)
            self.cryostat.advance(known_s)
            await do_in_turns(self.fading.count(known_s))

    def truth(self) -> dict[str, Any]:
        """Give every parameter, and what follows from them, ready for JSON."""
        carriers = self._path.map.crystal(0).carriers
        now = self.now()
        self.cryostat.advance(now)
        focus = self.stage.focus_um(now, now)
        overlap = overlaps(
            np.subtract(focus, self.sample.spot.crystal), self.sample.spot
        )
        derived = {
            "threshold_carriers": carriers.threshold(COLD_K),
            "phonon_limit": carriers.phonon_limit,
            "pump_overlap": float(overlap.pump),
            "collection_overlap": float(overlap.collection),
            "focus": list(focus),
            "crystals": self._path.map.truth(),
        }
        return {**self.sample.model_dump(mode="json"), "derived": derived}

    def pixel_wavelengths(self, centre_nm: float, grating: int = 1) -> FloatArray:
        """Give the wavelength that the driver states for each pixel, in nm.

        Parameters
        ----------
        centre_nm
            Centre of the spectrometer.
        grating
            Place of the turret, from 1.
        """
        spectrometer = self.sample.spectrometer
        return detection.pixel_wavelengths(centre_nm, spectrometer, grating)

    def resolution_nm(self, time_s: float) -> float:
        """Give the FWHM of the line spread function, in nm.

        Parameters
        ----------
        time_s
            Simulated seconds.
        """
        return detection.line_spread(
            self.slit_um.at(time_s),
            self.sample.spectrometer,
            round(self.grating.at(time_s)),
        )

    def state_at(self, time_s: float) -> BenchState:
        """Give the state of the light path at a time.

        Parameters
        ----------
        time_s
            Simulated seconds, not before the cryostat's latest command.
        """
        self.cryostat.advance(time_s)
        return self._mean_state(time_s, time_s)

    def expected_rate(self, state: BenchState) -> FloatArray:
        """Give the expected light on each pixel, without dark current.

        Parameters
        ----------
        state
            State of the light path.

        Returns
        -------
        :
            Electrons per second; shape ``(1024,)``, not to be written to.
        """
        return self._path.rate(state)

    def _illuminate(self, start_s: float, end_s: float) -> Iterator[Illumination]:
        """Give what falls on the chip between two times, part by part."""
        self.cryostat.advance(end_s)
        for a, b in self._states.parts(start_s, end_s):
            state = self._mean_state(a, b)
            chip_c = self.ccd_temperature_c.at((a + b) / 2)
            diffuse = camera.dark_rate(chip_c, self.sample.ccd)
            diffuse += state.stray_light / detection.PIXELS
            yield Illumination(b - a, self.expected_rate(state), diffuse)

    def arrivals(
        self, start_s: float, end_s: float, steps: dict[History, float]
    ) -> Iterator[tuple[float, float, Arrivals]]:
        """Give the photoelectrons of the photomultiplier, part by part.

        Parameters
        ----------
        start_s, end_s
            The interval, in simulated seconds; it has passed.
        steps
            Further axes at whose bends to cut, each with a change that hardly shows.

        Yields
        ------
        :
            Start, end and mean rates of each part, without dark counts.
        """
        port, stray = self.exit_port, self.faults.history("stray_light")
        if not (port.at(start_s) or port.span(start_s, end_s)):
            # All light goes to the camera; what it is need not be worked out.
            for a, b in cut(start_s, end_s, {port: 0.1, stray: 1.0, **steps}):
                yield a, b, Arrivals(steady=stray.at((a + b) / 2))
            return
        self.cryostat.advance(end_s)
        for a, b in self._states.parts(start_s, end_s, steps):
            yield a, b, photoelectrons(self._path, self._mean_state(a, b), self.sample)

    def at_rest(self, start_s: float, end_s: float) -> bool:
        """Tell whether nothing in the light path moved or warmed up in an interval.

        Parameters
        ----------
        start_s, end_s
            The interval, in simulated seconds; it has passed.
        """
        self.cryostat.advance(end_s)
        return self._states.still(start_s, end_s)

    def _mean_state(self, start_s: float, end_s: float) -> BenchState:
        """Give the state in a part of the past; a time if it is empty."""
        state = self._states.mean(start_s, end_s)
        faded = self.fading.left((start_s + end_s) / 2)
        return replace(state, faded=faded) if faded else state

    def _count_fading(self) -> None:
        """Count what has faded before what it depends on is forgotten."""
        do_at_once(self.fading.count(max(self.now(), 0.0)))
