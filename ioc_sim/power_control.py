"""The power control: attenuator, pick-off meter and shutter, in the beam's order."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from caproto import AlarmSeverity, AlarmStatus, SkipWrite

from ioc_sim import motion
from ioc_sim.alarms import NO_ALARM
from ioc_sim.base import TICK, Axis, Instrument
from ioc_sim.channels import RefusedPutError
from ioc_sim.client import WRITER, Client
from ioc_sim.declare import choice, choice_rbv, number, number_rbv, waveform_rbv
from ioc_sim.meter import WAVELENGTH, Meter
from ioc_sim.vocabulary import CLOSED_OPEN, NO_YES
from ioc_sim.world import World

__all__ = ["PowerControl"]

logger = logging.getLogger(__name__)

DENSITY = (0.0, 4.0)
"""Range of the attenuator, optical density."""

CAP = (0.0, 1000.0)
"""Range of the operator's cap, uW; the upper end is above what the laser has."""

CALIBRATED = 32
"""Wavelengths of the calibration table."""

ROUNDING = 1e-6
"""Relative excess over the cap that is none."""

PERCENT = 100.0
ATTENUATOR = "EPICS motorRecord of the filter wheel"
SHUTTER = "areaDetector ADCore ADBase"
TABLE = "none: a table that the bench's owner has measured"

STUCK = (AlarmStatus.STATE, AlarmSeverity.MAJOR_ALARM)


class PowerControl(Instrument):
    """Sets and measures the dose; the shutter behind the meter decides about it."""

    od = number(
        "OD",
        4,
        DENSITY,
        "OD",
        precision=4,
        doc="Optical density of the attenuator; refused if the cap were exceeded",
        mirrors=f"{ATTENUATOR} .VAL",
    )
    od_rbv = number_rbv(
        "OD_RBV",
        4,
        DENSITY,
        "OD",
        precision=4,
        doc="Optical density now",
        mirrors=f"{ATTENUATOR} .RBV",
    )
    moving_rbv = choice_rbv(
        "Moving_RBV",
        NO_YES,
        "No",
        doc="The attenuator moves",
        mirrors=f"{ATTENUATOR} .MOVN",
    )
    stop = choice(
        "Stop",
        ("Idle", "Stop"),
        "Idle",
        doc="Stop the attenuator",
        mirrors=f"{ATTENUATOR} .STOP",
    )
    shutter = choice(
        "Shutter",
        CLOSED_OPEN,
        "Closed",
        doc="Let light to the sample; refused if the cap were exceeded",
        mirrors=f"{SHUTTER} ShutterControl",
    )
    shutter_rbv = choice_rbv(
        "Shutter_RBV",
        CLOSED_OPEN,
        "Closed",
        doc="Closed when it is fully closed, by its limit switches",
        mirrors=f"{SHUTTER} ShutterStatus_RBV",
    )
    max_power_rbv = number_rbv(
        "MaxPower_RBV",
        0,
        CAP,
        "uW",
        precision=3,
        doc="Most power at the sample at the filter's wavelength and bandwidth, full "
        "level, attenuator open, by the stored table",
        mirrors="none: calculated from the table",
    )
    expected_power_rbv = number_rbv(
        "ExpectedPower_RBV",
        0,
        CAP,
        "uW",
        precision=5,
        doc="Power at the sample with emission on and the shutter open, by the table, "
        "level and attenuator",
        mirrors="none: calculated from the table",
    )
    power_cap = number(
        "PowerCap",
        CAP[1],
        CAP,
        "uW",
        precision=3,
        doc="Power at the sample that the operator allows at most; beyond it the "
        "shutter closes",
        mirrors="none: an interlock of this bench",
    )
    calibration_wavelength_rbv = waveform_rbv(
        "Calibration:Wavelength_RBV",
        np.zeros(CALIBRATED),
        WAVELENGTH,
        "nm",
        precision=3,
        doc="Wavelengths of the calibration",
        mirrors=TABLE,
    )
    calibration_ratio_rbv = waveform_rbv(
        "Calibration:Ratio_RBV",
        np.zeros(CALIBRATED),
        (0, 1000),
        "uW/uW",
        precision=5,
        doc="Sample power over pick-off power at these wavelengths",
        mirrors=TABLE,
    )
    calibration_sigma_rbv = number_rbv(
        "Calibration:RatioSigma_RBV",
        0,
        (0, 1),
        "1",
        precision=5,
        doc="Relative uncertainty of the ratio, common to all wavelengths",
        mirrors=TABLE,
    )
    calibration_max_power_rbv = waveform_rbv(
        "Calibration:MaxPower_RBV",
        np.zeros(CALIBRATED),
        CAP,
        "uW",
        precision=4,
        doc="Most power at the sample at these wavelengths, at full level and the "
        "calibration's bandwidth",
        mirrors=TABLE,
    )
    calibration_bandwidth_rbv = number_rbv(
        "Calibration:Bandwidth_RBV",
        1.8,
        (0, 100),
        "nm",
        precision=3,
        doc="Bandwidth (FWHM) that the most power was measured at",
        mirrors=TABLE,
    )

    def __init__(self, prefix: str, *, world: World, **kwargs: Any) -> None:
        super().__init__(prefix, world=world, **kwargs)
        self.meter = Meter(f"{prefix}Meter:", parent=self)
        self.pvdb.update(self.meter.pvdb)
        self._wheel = Axis(world, world.od, motion.OD_SPEED, self.od_rbv.post)
        self._blade = Axis(
            world, world.shutter, motion.SHUTTER_SPEED, self._report_shutter
        )
        self._opener: Client | None = None
        self._table_nm = np.asarray(world.meter.calibration().wavelength_nm)
        self._table_uw = world.meter.ceiling()
        world.faults.watch("shutter_stuck", self._watch_blade)

    async def start(self) -> None:
        """Show the calibration and the ranges, the attenuator and the blade."""
        now = self.world.now()
        await self.od.post(self.world.od.at(now))
        await self.od_rbv.post(self.od.value)
        await self._report_shutter(self.world.shutter.at(now))
        calibration = self.world.meter.calibration()
        await self.calibration_wavelength_rbv.post(calibration.wavelength_nm)
        await self.calibration_ratio_rbv.post(calibration.ratio)
        await self.calibration_sigma_rbv.post(calibration.ratio_sigma)
        await self.calibration_max_power_rbv.post(self._table_uw)
        await self.calibration_bandwidth_rbv.post(self.world.sample.source.bandwidth)
        await self.meter.start()
        await self._guard()

    def keep(self) -> Mapping[str, Any]:
        """Give what the operator allows, ready for JSON."""
        return {"power_cap": self.power_cap.value}

    async def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on with the cap of the operator.

        Parameters
        ----------
        kept
            What `keep` gave.
        """
        await self.power_cap.post(kept["power_cap"])

    async def run(self) -> None:
        """Keep to the cap whatever laser and filter do."""
        while True:
            await self._guard()
            await asyncio.sleep(TICK)

    async def make_safe(self) -> None:
        """Close the shutter, at once: its spring needs no drive."""
        await self._blade.stop()
        await self.shutter.post("Closed")
        if not self._sticks("Open"):
            self.world.shutter.record(self.world.now(), 0.0)
        await self._report_shutter(self.world.shutter.at(self.world.now()))

    @max_power_rbv.getter
    async def _get_max_power(self, instance: Any) -> float:
        """Work the ceiling out for the wavelength of now."""
        return self._max_power()

    @expected_power_rbv.getter
    async def _get_expected_power(self, instance: Any) -> float:
        """Work the power out for laser, filter and attenuator of now."""
        return self._expected_power(self.world.od.at(self.world.now()))

    @od.putter
    async def _put_od(self, instance: Any, value: float) -> None:
        """Turn the attenuator; completes when it rests."""
        if value < self.od_rbv.value:
            self._refuse_beyond_cap(f"{value:g} OD", value)
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

    @power_cap.putter
    async def _put_power_cap(self, instance: Any, value: float) -> None:
        """Change the cap; an open shutter closes if the light is beyond it."""
        await instance.post(value)
        await self._guard()
        raise SkipWrite

    @shutter.putter
    async def _put_shutter(self, instance: Any, value: str) -> None:
        """Move the blade; completes when it is fully there, or does not go there."""
        if value == "Open":
            density = min(self.od_rbv.value, self.od.value)
            self._refuse_beyond_cap(value, density)
        self._watch_opener(WRITER.get() if value == "Open" else None)
        await instance.post(value)
        await self._move_blade(value)
        raise SkipWrite

    async def _move_blade(self, value: str) -> None:
        """Move the blade unless it sticks; a blade that does not open is let go."""
        if value == "Closed" and self._sticks("Open"):
            await self._say_stuck(value)
        elif value == "Open" and self._sticks("Closed"):
            await self.shutter.post("Closed")
            self._watch_opener(None)
            await self._say_stuck(value)
        else:
            await self._blade.move(float(value == "Open"))
            await self.shutter_rbv.raise_alarm(*NO_ALARM)

    def _sticks(self, end: str) -> bool:
        """Tell whether the blade is at an end that it does not leave."""
        there = self.world.shutter.at(self.world.now()) == float(end == "Open")
        return there and self.world.faults.value("shutter_stuck") == end

    async def _say_stuck(self, asked: str) -> None:
        await self.shutter_rbv.raise_alarm(*STUCK)
        switch = self.shutter_rbv.value
        text = f"{self.shutter.label}: got {asked}, the limit switch says {switch}"
        await self.report_error(self.shutter, text)

    async def _watch_blade(self, _: Any) -> None:
        """Let the spring act when the blade comes free."""
        if self.shutter.value == "Closed" and self.shutter_rbv.value == "Open":
            await self._move_blade("Closed")

    def _max_power(self) -> float:
        """Give the most power at the sample now, in uW, by the table."""
        now, world = self.world.now(), self.world
        most = np.interp(world.filter_drive_nm.at(now), self._table_nm, self._table_uw)
        return float(most) * world.bandwidth_nm.at(now) / world.sample.source.bandwidth

    def _expected_power(self, density: float) -> float:
        """Give the power at the sample for an attenuation, in uW, by the table."""
        level = self.world.level.at(self.world.now()) / PERCENT
        return self._max_power() * level * 10**-density

    def _beyond_cap(self, density: float) -> bool:
        limit = self.power_cap.value * (1 + ROUNDING)
        return self._expected_power(density) > limit

    def _refuse_beyond_cap(self, asked: str, density: float) -> None:
        if self._beyond_cap(density):
            nm = self.world.filter_drive_nm.at(self.world.now())
            msg = (
                f"got {asked}, that is {self._expected_power(density):.4g} uW at the "
                f"sample at {nm:.2f} nm, the cap is {self.power_cap.value:g} uW"
            )
            raise RefusedPutError(msg)

    async def _guard(self) -> None:
        """Show the ceiling, and close the shutter when the cap is exceeded."""
        density = self.world.od.at(self.world.now())
        for channel, power_uw in (
            (self.max_power_rbv, self._max_power()),
            (self.expected_power_rbv, self._expected_power(density)),
        ):
            if channel.value != power_uw:
                await channel.post(power_uw)
        if self.shutter.value == "Open" and self._beyond_cap(density):
            await self.shutter.post("Closed")
            self._watch_opener(None)
            text = f"{self.shutter.label}: closed, the power is beyond the cap"
            await self.report_error(self.shutter, text)
            await self._move_blade("Closed")

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
        await self._move_blade("Closed")

    async def _report_shutter(self, opened: float) -> None:
        await self.shutter_rbv.post(CLOSED_OPEN[opened > 0])
