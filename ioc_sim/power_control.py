"""The power control: attenuator, pick-off meter and shutter, in the beam's order."""

import logging
from typing import Any

import numpy as np
from caproto import SkipWrite

from ioc_sim import motion
from ioc_sim.base import Axis, Busy, Instrument, pass_time
from ioc_sim.channels import RefusedPutError
from ioc_sim.client import WRITER, Client
from ioc_sim.declare import (
    choice,
    choice_rbv,
    integer_rbv,
    number,
    number_rbv,
    waveform_rbv,
)
from ioc_sim.world import World

__all__ = ["PowerControl"]

logger = logging.getLogger(__name__)

NO_YES = ("No", "Yes")
CLOSED_OPEN = ("Closed", "Open")
DENSITY = (0.0, 4.0)
"""Range of the attenuator, optical density."""

WAVELENGTH = (400.0, 1100.0)
"""Range of the meter's silicon diode, nm."""

POWER = (0.0, 100.0)
"""Range to show pick-off powers in, uW."""

COUNTER = (0, 2**31 - 1)
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
    counter_rbv = integer_rbv(
        "Meter:Counter_RBV",
        0,
        COUNTER,
        "readings",
        doc="Readings completed; written after the reading itself",
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
        self._opener: Client | None = None
        self._meter = Busy("a reading")

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
        self._watch_opener(WRITER.get() if value == "Open" else None)
        await instance.post(value)
        await self._blade.move(float(value == "Open"))
        raise SkipWrite

    @measure.putter
    async def _put_measure(self, instance: Any, value: str) -> None:
        """Take one reading; Done ends one that is under way, without a result."""
        await self._meter.put(instance, value, self._read_meter)

    async def _read_meter(self) -> None:
        start = self.world.now()
        end = start + self.averaging_time.value
        while await pass_time(self.world, end, self._meter.abort):
            pass
        if self._meter.abort.is_set():
            return
        counter = self.counter_rbv.value + 1
        reading = self.world.meter_reading(
            start, end, self.meter_wavelength.value, counter
        )
        await self.power_rbv.post(reading.power_uw)
        await self.power_sigma_rbv.post(reading.sigma_uw)
        await self.overrange_rbv.post(NO_YES[bool(reading.overrange)])
        await self.counter_rbv.post(counter)

    def _watch_opener(self, client: Client | None) -> None:
        """Close the shutter when this client goes; no other one is watched."""
        if client is not None and not client.connected:
            msg = "got Open from a client that has gone; the shutter stays as it is"
            raise RefusedPutError(msg)
        if self._opener is not None:
            self._opener.forget(self)
        self._opener = client
        if client is not None:
            client.when_gone(self, self._close_behind)

    async def _close_behind(self) -> None:
        """Close the shutter that nobody is there to close."""
        logger.warning("shutter closed: the client that opened it has gone")
        self._opener = None
        await self.shutter.post("Closed")
        await self._blade.move(0.0)

    async def _report_shutter(self, opened: float) -> None:
        await self.shutter_rbv.post(CLOSED_OPEN[opened > 0])
