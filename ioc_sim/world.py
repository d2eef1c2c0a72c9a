"""The one state of the bench, its history, and the light that goes through it."""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ioc_sim import camera, detection, source
from ioc_sim.axes import Axes
from ioc_sim.clock import Clock
from ioc_sim.counting import Arrivals
from ioc_sim.fading import Fading
from ioc_sim.faults import Faults
from ioc_sim.focus import overlaps
from ioc_sim.history import History
from ioc_sim.light_path import BenchState, LightPath
from ioc_sim.phonons import COLD_K
from ioc_sim.pmt import photoelectrons
from ioc_sim.power_meter import Calibration, MeterReading, PowerMeter
from ioc_sim.random_streams import hash_noise, stream
from ioc_sim.sample import Sample
from ioc_sim.source import LightNoise
from ioc_sim.stage import Stage
from ioc_sim.thermal import Cryostat

__all__ = ["World"]

FloatArray = npt.NDArray[np.float64]

LONGEST_STEP = 10.0
"""Longest part of an exposure that one expected rate stands for, s: the laser drifts
by 0.2 % in that time."""

WARMED_K = 0.5
"""Change of the temperature that hardly changes the light, K."""

PERCENT = 100.0
SECONDS_PER_HOUR = 3600.0


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
        self._fading = Fading(self.faults.history("photodegradation"), self._bleach)
        self._noise = LightNoise(seed, sample.source)
        self._meter = PowerMeter(seed, sample)

    def now(self) -> float:
        """Give the simulated seconds since the start."""
        return self.clock.now()

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

    def power_before_shutter(self, time_s: float) -> float:
        """Give the power that the sample would get through an open shutter, in uW.

        Parameters
        ----------
        time_s
            Simulated seconds.
        """
        return self._power(time_s) * self._noise.mean(time_s, time_s)

    def power_at_sample(self, time_s: float) -> float:
        """Give the power at the sample, in uW.

        Parameters
        ----------
        time_s
            Simulated seconds.
        """
        return self.power_before_shutter(time_s) * self._opening(time_s)

    def maximum_power(self, wavelength_nm: float, bandwidth_nm: float) -> float:
        """Give the power at full level and no attenuation, in uW.

        Parameters
        ----------
        wavelength_nm, bandwidth_nm
            Centre and FWHM of the pump line, in nm.
        """
        return source.maximum_power(wavelength_nm, bandwidth_nm, self.sample.source)

    def meter_reading(
        self,
        start_s: float,
        end_s: float,
        meter_wavelength_nm: float,
        counter: int,
        *,
        full_scale_uw: float | None = None,
    ) -> MeterReading:
        """Average the pick-off meter over an interval of the past.

        Parameters
        ----------
        start_s, end_s
            The interval, in simulated seconds.
        meter_wavelength_nm
            Wavelength for which the meter corrects its responsivity.
        counter
            Number of the reading.
        full_scale_uw
            Range to read in, in uW; none for the least that takes the power.
        """
        parts = self._parts(start_s, end_s, self._beam_steps())
        energy = sum(
            self._power((a + b) / 2) * self._noise.mean(a, b) * (b - a)
            for a, b in parts
        )
        duration = end_s - start_s
        power = energy / duration if duration else self.power_before_shutter(end_s)
        return self._meter.read(
            power,
            self._pump_nm((start_s + end_s) / 2),
            setting_nm=meter_wavelength_nm,
            duration_s=duration,
            counter=counter,
            full_scale_uw=full_scale_uw,
        )

    def calibration(self) -> Calibration:
        """Give the calibration from pick-off to sample, with its uncertainty."""
        return self._meter.calibration()

    def ceiling(self) -> FloatArray:
        """Give the stored most power at the sample at each calibrated wavelength.

        Returns
        -------
        :
            At full level and the source's own bandwidth, in uW; shape ``(32,)``.
        """
        return self._meter.ceiling()

    @property
    def meter_ranges_uw(self) -> tuple[float, ...]:
        """Full scales of the pick-off meter, in uW, the smallest first."""
        return self._meter.ranges_uw

    def monitor_reading(self, second: int) -> float:
        """Give what the laser's monitor diode averaged over one second.

        Parameters
        ----------
        second
            Number of the second; it has passed by now.

        Returns
        -------
        :
            Output before the filter, in % of the full one.
        """
        output = self._output(second + 0.5) * self._noise.mean(second, second + 1)
        noise = hash_noise(self.seed, "monitor", second)
        return PERCENT * output * (1 + self.sample.laser.monitor_noise * noise)

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

    def gain_e_per_adu(self, preamp_gain: float = 1.0) -> float:
        """Give the camera's gain, in e-/ADU.

        Parameters
        ----------
        preamp_gain
            Gain of the preamplifier.
        """
        return self.sample.ccd.gain / preamp_gain

    def full_well_e(self, setting: camera.ReadOut) -> float:
        """Give the charge that a pixel of a frame holds, in e-.

        Parameters
        ----------
        setting
            How the chip is read out.
        """
        return setting.well(self.sample.ccd)

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

    def frame(
        self,
        start_s: float,
        exposure_s: float,
        counter: int,
        *,
        preamp_gain: float = 1.0,
    ) -> npt.NDArray[np.uint16]:
        """Take one frame: what the bench did during the exposure, as counts.

        Parameters
        ----------
        start_s
            Start of the exposure, in simulated seconds; it has ended by now.
        exposure_s
            Exposure, in simulated seconds; nought gives bias and read noise.
        counter
            Number of the frame; the same number draws the same noise.
        preamp_gain
            Gain of the preamplifier.

        Returns
        -------
        :
            Counts in ADU; shape ``(1024,)``.
        """
        setting = camera.ReadOut(preamp_gain=preamp_gain)
        return self.read_out(start_s, exposure_s, counter, setting)[0]

    def read_out(
        self, start_s: float, exposure_s: float, counter: int, setting: camera.ReadOut
    ) -> npt.NDArray[np.uint16]:
        """Take one frame, read out as a line or as an image.

        Parameters
        ----------
        start_s, exposure_s, counter
            As of `frame`.
        setting
            How the chip is read out.

        Returns
        -------
        :
            Counts in ADU; in the shape of the setting.
        """
        ccd = self.sample.ccd
        rng = stream(self.seed, "ccd", counter)
        if setting.image:
            light, diffuse = self._chip_charge(start_s, exposure_s)
            charge = camera.expose_chip(light, diffuse, exposure_s, rng, ccd)
        else:
            expected = self.expected_charge(start_s, exposure_s)
            charge = camera.expose_line(expected, exposure_s, rng, ccd)
        return camera.read_out(charge, rng, setting=setting, ccd=ccd)

    def saturation_level(self, setting: camera.ReadOut) -> int:
        """Give the count from which on a pixel is saturated.

        Parameters
        ----------
        setting
            How the chip is read out.
        """
        return camera.saturation_level(setting, self.sample.ccd)

    def expected_charge(self, start_s: float, exposure_s: float) -> FloatArray:
        """Integrate light, room light and dark current over an exposure.

        Parameters
        ----------
        start_s, exposure_s
            Start and length of the exposure, in simulated seconds.

        Returns
        -------
        :
            Expected electrons; shape ``(1024,)``.
        """
        charge = np.zeros(detection.PIXELS)
        for rate, diffuse, duration in self._rates(start_s, start_s + exposure_s):
            charge += (rate + diffuse) * duration
        return charge

    def _chip_charge(
        self, start_s: float, exposure_s: float
    ) -> tuple[FloatArray, float]:
        """Integrate what comes through the fibre, and what falls on all rows alike."""
        light, evenly = np.zeros(detection.PIXELS), 0.0
        for rate, diffuse, duration in self._rates(start_s, start_s + exposure_s):
            light += rate * duration
            evenly += diffuse * duration
        return light, evenly

    def _rates(
        self, start_s: float, end_s: float
    ) -> Iterator[tuple[FloatArray, float, float]]:
        """Give light and diffuse charge of a column, in e-/s, and for how long."""
        self.cryostat.advance(end_s)
        steps = {**self._beam_steps(), **self._path_steps()}
        for a, b in self._parts(start_s, end_s, steps):
            state = self._mean_state(a, b)
            chip_c = self.ccd_temperature_c.at((a + b) / 2)
            diffuse = camera.dark_rate(chip_c, self.sample.ccd)
            diffuse += state.stray_light / detection.PIXELS
            yield self.expected_rate(state), diffuse, b - a

    def arrivals(
        self, start_s: float, end_s: float, steps: dict[History, float]
    ) -> list[tuple[float, float, Arrivals]]:
        """Give the photoelectrons of the photomultiplier, part by part.

        Parameters
        ----------
        start_s, end_s
            The interval, in simulated seconds; it has passed.
        steps
            Further axes at whose bends to cut, each with a change that hardly shows.

        Returns
        -------
        :
            Start, end and mean rates of each part, without dark counts.
        """
        port, stray = self.exit_port, self.faults.history("stray_light")
        if not (port.at(start_s) or port.span(start_s, end_s)):
            # All light goes to the camera; what it is need not be worked out.
            parts = self._parts(start_s, end_s, {port: 0.1, stray: 1.0, **steps})
            return [(a, b, Arrivals(steady=stray.at((a + b) / 2))) for a, b in parts]
        self.cryostat.advance(end_s)
        every = {**self._beam_steps(), **self._path_steps(), **steps}
        return [
            (a, b, photoelectrons(self._path, self._mean_state(a, b), self.sample))
            for a, b in self._parts(start_s, end_s, every)
        ]

    def at_rest(self, start_s: float, end_s: float) -> bool:
        """Tell whether nothing in the light path moved or warmed up in an interval.

        Parameters
        ----------
        start_s, end_s
            The interval, in simulated seconds; it has passed.
        """
        self.cryostat.advance(end_s)
        axes = (*self._beam_steps(), *self._path_steps())
        moved = any(axis.span(start_s, end_s) for axis in axes)
        return not moved and self.temperature_k.span(start_s, end_s) < WARMED_K

    def _beam_steps(self) -> dict[History, float]:
        """Give the axes of the pump, each with a change that hardly shows."""
        return {
            self.emission: 0.1,
            self.level: 1.0,
            self.laser_output: 0.01,
            self.faults.history("laser_mode_hop"): 0.01,
            self.filter_open: 0.1,
            self.filter_nm: 0.1,
            self.faults.history("filter_slip"): 0.1,
            self.bandwidth_nm: 0.1,
            self.od: 0.02,
        }

    def _path_steps(self) -> dict[History, float]:
        """Give the axes from the shutter to the camera, likewise."""
        return {
            self.shutter: 0.1,
            self.faults.history("shutter_leak"): 0.1,
            self.hwp_deg: 1.0,
            self.faults.history("hwp_slip"): 1.0,
            self.analyser_in: 0.2,
            self.spec_nm: 0.02,
            self.slit_um: 2.0,
            self.grating: 0.1,
            self.exit_port: 0.1,
            self.exit_slit_um: 20.0,
            self.lamp: 0.1,
            self.faults.history("stray_light"): 1.0,
            self.objective_x: 0.05,
            self.objective_y: 0.05,
            self.objective_z: 0.2,
            self.servo_x: 0.1,
            self.servo_y: 0.1,
            self.servo_z: 0.1,
            self.faults.history("focus_loss"): 0.2,
            self.faults.history("stage_creep"): 1e3,
            self.ccd_temperature_c: 0.5,
        }

    def _parts(
        self, start_s: float, end_s: float, steps: dict[History, float]
    ) -> list[tuple[float, float]]:
        """Cut an interval where an axis bends, and finely where it moves."""
        bends = {
            time_s for axis in steps for time_s in axis.breakpoints(start_s, end_s)
        }
        cuts = [start_s]
        for a, b in pairwise([start_s, *sorted(bends), end_s]):
            pieces = [axis.span(a, b) / step for axis, step in steps.items()]
            pieces.append(self.temperature_k.span(a, b) / 0.1)
            pieces.append((b - a) / LONGEST_STEP)
            count = max(math.ceil(max(pieces)), 1)
            cuts.extend(np.linspace(a, b, count + 1)[1:].tolist())
        return [(a, b) for a, b in pairwise(cuts) if b > a]

    def _power(self, time_s: float) -> float:
        """Give the power before the shutter without noise, in uW."""
        strength = self._output(time_s) * self.filter_open.at(time_s)
        if strength == 0:
            return 0.0
        most = self.maximum_power(self._pump_nm(time_s), self.bandwidth_nm.at(time_s))
        return most * strength * 10 ** -self.od.at(time_s)

    def _output(self, time_s: float) -> float:
        """Give the laser's output without noise, as a share of the full one."""
        output = self.emission.at(time_s) * self.level.at(time_s) / PERCENT
        output *= self.laser_output.at(time_s)
        return output * (1 + self.faults.at("laser_mode_hop", time_s))

    def _pump_nm(self, time_s: float) -> float:
        """Give the true centre of the pump line, in nm."""
        return self.filter_nm.at(time_s) + self.faults.at("filter_slip", time_s)

    def _opening(self, time_s: float) -> float:
        """Give the share of the pump that passes the shutter."""
        return max(self.shutter.at(time_s), self.faults.at("shutter_leak", time_s))

    def _grating(self, time_s: float) -> int:
        """Give the place of the turret, from 1; 0 while it turns."""
        turning = self.grating.moving(time_s)
        return 0 if turning else round(self.grating.at(time_s))

    def _bleach(self, start_s: float, end_s: float) -> dict[int, float]:
        """Give the dose of each crystal in an interval; see `Fading`."""
        switch = self.faults.history("photodegradation")

        def ever(*axes: History) -> bool:
            return any(axis.at(start_s) or axis.span(start_s, end_s) for axis in axes)

        leak = self.faults.history("shutter_leak")
        if not (ever(switch) and ever(self.shutter, leak)):
            return {}
        steps = {**self._beam_steps(), **self._path_steps(), switch: 1.0}
        doses: dict[int, float] = {}
        for a, b in self._parts(start_s, end_s, steps):
            rate = switch.at((a + b) / 2) / PERCENT / SECONDS_PER_HOUR
            for number, spent in self._path.spent(self._state(a, b)):
                dose = rate * spent * (b - a)
                doses[number] = doses.get(number, 0.0) + dose
        return doses

    def _mean_state(self, start_s: float, end_s: float) -> BenchState:
        state = self._state(start_s, end_s)
        faded = self._fading.left((start_s + end_s) / 2)
        return replace(state, faded=faded) if faded else state

    def _state(self, start_s: float, end_s: float) -> BenchState:
        middle = (start_s + end_s) / 2
        power = self._power(middle) * self._opening(middle)
        power *= self._noise.mean(start_s, end_s) if power else 0.0
        return BenchState(
            pump_nm=self._pump_nm(middle),
            bandwidth_nm=self.bandwidth_nm.at(middle),
            power_uw=power,
            hwp_deg=self.hwp_deg.at(middle) + self.faults.at("hwp_slip", middle),
            analyser_in=self.analyser_in.at(middle),
            spec_nm=self.spec_nm.at(middle),
            slit_um=self.slit_um.at(middle),
            temperature_k=self.temperature_k.at(middle),
            position_um=self.stage.focus_um(start_s, end_s),
            grating=self._grating(middle),
            exit_port=self.exit_port.at(middle),
            exit_slit_um=self.exit_slit_um.at(middle),
            lamp=self.lamp.at(middle),
            stray_light=self.faults.at("stray_light", middle),
        )
