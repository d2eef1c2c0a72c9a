"""The power control: attenuator, pick-off meter and shutter, in the beam's order."""

import asyncio
from typing import Any

import numpy as np
from caproto import SkipWrite

from ioc_sim import motion
from ioc_sim.base import Axis, Instrument, pass_time
from ioc_sim.channels import RefusedPutError
from ioc_sim.declare import choice, choice_rbv, number, number_rbv, waveform_rbv
from ioc_sim.world import World

__all__ = ["PowerControl"]

NO_YES = ("No", "Yes")
CLOSED_OPEN = ("Closed", "Open")
DENSITY = (0.0, 4.0)
"""Range of the attenuator, optical density."""

WAVELENGTH = (400.0, 1100.0)
"""Range of the meter's silicon diode, nm."""

POWER = (0.0, 100.0)
"""Range to show pick-off powers in, uW."""

CALIBRATED = 32
"""Wavelengths of the calibration table."""


class PowerControl(Instrument):
    """Sets and measures the dose; the shutter behind the meter decides about it."""

    od = number(
        "OD", 4, DENSITY, "OD", precision=4, doc="Optical density of the attenuator"
    )
    od_rbv = number_rbv(
        "OD_RBV", 4, DENSITY, "OD", precision=4, doc="Optical density now"
    )
    moving_rbv = choice_rbv("Moving_RBV", NO_YES, "No", doc="The attenuator moves")
    stop = choice("Stop", ("Idle", "Stop"), "Idle", doc="Stop the attenuator")
    shutter = choice("Shutter", CLOSED_OPEN, "Closed", doc="Let light to the sample")
    shutter_rbv = choice_rbv(
        "Shutter_RBV", CLOSED_OPEN, "Closed", doc="Closed when it is fully closed"
    )
    measure = choice(
        "Meter:Measure",
        ("Done", "Measure"),
        "Done",
        doc="Average the pick-off power over the averaging time",
    )
    averaging_time = number(
        "Meter:AveragingTime",
        0.1,
        (0.001, 3600),
        "s",
        precision=3,
        doc="Time that one reading averages over",
    )
    power_rbv = number_rbv(
        "Meter:Power_RBV", 0, POWER, "uW", precision=5, doc="Pick-off power, last mean"
    )
    power_sigma_rbv = number_rbv(
        "Meter:PowerSigma_RBV",
        0,
        POWER,
        "uW",
        precision=6,
        doc="Standard error of that mean, meter noise included",
    )
    meter_wavelength = number(
        "Meter:Wavelength",
        526,
        WAVELENGTH,
        "nm",
        precision=3,
        doc="Wavelength that the meter's responsivity is taken at",
    )
    overrange_rbv = choice_rbv(
        "Meter:Overrange_RBV", NO_YES, "No", doc="The last mean is beyond full scale"
    )
    calibration_wavelength_rbv = waveform_rbv(
        "Calibration:Wavelength_RBV",
        np.zeros(CALIBRATED),
        WAVELENGTH,
        "nm",
        precision=3,
        doc="Wavelengths of the calibration",
    )
    calibration_ratio_rbv = waveform_rbv(
        "Calibration:Ratio_RBV",
        np.zeros(CALIBRATED),
        (0, 1000),
        "uW/uW",
        precision=5,
        doc="Sample power over pick-off power at these wavelengths",
    )
    calibration_sigma_rbv = number_rbv(
        "Calibration:RatioSigma_RBV",
        0,
        (0, 1),
        "1",
        precision=5,
        doc="Relative uncertainty of the ratio, common to all wavelengths",
    )

    def __init__(self, prefix: str, *, world: World, **kwargs: Any) -> None:
        super().__init__(prefix, world=world, **kwargs)
        self._wheel = Axis(world, world.od, motion.OD_SPEED, self.od_rbv.post)
        self._blade = Axis(
            world, world.shutter, motion.SHUTTER_SPEED, self._report_shutter
        )
        self._reading = 0
        self._abort = asyncio.Event()

    async def start(self) -> None:
        """Show the calibration."""
        calibration = self.world.calibration()
        await self.calibration_wavelength_rbv.post(calibration.wavelength_nm)
        await self.calibration_ratio_rbv.post(calibration.ratio)
        await self.calibration_sigma_rbv.post(calibration.ratio_sigma)

    async def make_safe(self) -> None:
        """Close the shutter, at once: its spring needs no drive."""
        await self._blade.stop()
        self.world.shutter.record(self.world.now(), 0.0)
        await self.shutter.post("Closed")
        await self._report_shutter(0.0)

    @od.putter
    async def _put_od(self, instance: Any, value: float) -> None:
        """Turn the attenuator; completes when it rests."""
        await instance.post(value)
        await self.moving_rbv.post("Yes")
        await self._wheel.move(value)
        await self.moving_rbv.post(NO_YES[self._wheel.moving])
        raise SkipWrite

    @stop.putter
    async def _put_stop(self, instance: Any, value: str) -> None:
        """Stop the attenuator where it is; its pending move completes."""
        if value == "Stop":
            await self._wheel.stop()
            await self.moving_rbv.post("No")
        await instance.post("Idle")
        raise SkipWrite

    @shutter.putter
    async def _put_shutter(self, instance: Any, value: str) -> None:
        """Move the blade; completes when it is fully there."""
        await instance.post(value)
        await self._blade.move(float(value == "Open"))
        raise SkipWrite

    @measure.putter
    async def _put_measure(self, instance: Any, value: str) -> None:
        """Take one reading; Done ends one that is under way, without a result."""
        if value == "Done":
            self._abort.set()
            raise SkipWrite
        if instance.value == "Measure":
            msg = "got Measure during a reading; wait for it, or put Done to end it"
            raise RefusedPutError(msg)
        await instance.post("Measure")
        self._abort.clear()
        start = self.world.now()
        end = start + self.averaging_time.value
        while await pass_time(self.world, end, self._abort):
            pass
        if not self._abort.is_set():
            await self._read_meter(start, end)
        await instance.post("Done")
        raise SkipWrite

    async def _read_meter(self, start_s: float, end_s: float) -> None:
        self._reading += 1
        reading = self.world.meter_reading(
            start_s, end_s, self.meter_wavelength.value, self._reading
        )
        await self.power_rbv.post(reading.power_uw)
        await self.power_sigma_rbv.post(reading.sigma_uw)
        await self.overrange_rbv.post(NO_YES[bool(reading.overrange)])

    async def _report_shutter(self, opened: float) -> None:
        await self.shutter_rbv.post(CLOSED_OPEN[opened > 0])
