"""The spectrometer: a turret of gratings, slits, two exits and a calibration lamp."""

from typing import Any

import numpy as np
from caproto import AlarmSeverity, AlarmStatus, SkipWrite
from caproto.server import pvproperty

from ioc_sim import motion
from ioc_sim.base import Axis, Instrument
from ioc_sim.channels import ChoiceReadback, NumberReadback, RefusedPutError
from ioc_sim.declare import (
    choice,
    choice_rbv,
    number,
    number_rbv,
    text_rbv,
    waveform_rbv,
)
from ioc_sim.vocabulary import NO_YES, OFF_ON
from ioc_sim.world import World

__all__ = ["Spectrometer"]

WAVELENGTH = (400.0, 800.0)
"""Range of the centre wavelength, nm (vacuum); a grating may reach less."""

SHOWN = (350.0, 850.0)
"""Range of the pixels' wavelengths, nm: the centre's and half the widest window."""

SLIT = (10.0, 2500.0)
"""Range of a slit, um."""

GRATINGS = ("Grating 1", "Grating 2", "Grating 3")
"""Places of the turret."""

PORTS = ("Direct", "Side")
"""Exits: camera at the direct one, photomultiplier behind a slit at the side."""

PIXELS = 1024

CALIBRATED = "2026-01-12T09:00:00+00:00"
"""When the maker calibrated the gratings; chosen."""

DRIVER = "ADAndor shamrock "
SDK = "Andor Shamrock SDK "
OWN = "none: not in the Shamrock driver"


def _exists(record: str, value: str, doc: str) -> pvproperty[ChoiceReadback, Any]:
    return choice_rbv(record, NO_YES, value, doc=doc, mirrors=DRIVER + record)


def _limit(record: str, doc: str) -> pvproperty[NumberReadback, Any]:
    mirrors = DRIVER + record
    return number_rbv(record, 400, SHOWN, "nm", precision=3, doc=doc, mirrors=mirrors)


class Spectrometer(Instrument):
    """Disperses what the analyser lets pass; names of the areaDetector driver."""

    wavelength = number(
        "Wavelength",
        531,
        WAVELENGTH,
        "nm",
        precision=3,
        doc="Wavelength at the centre of the camera, vacuum, as calibrated",
        mirrors=DRIVER + "Wavelength",
    )
    wavelength_rbv = number_rbv(
        "Wavelength_RBV",
        531,
        WAVELENGTH,
        "nm",
        precision=3,
        doc="Centre wavelength now, vacuum, as calibrated",
        mirrors=DRIVER + "Wavelength_RBV",
    )
    min_wavelength = _limit("MinWavelength", "Wavelength of the first pixel")
    max_wavelength = _limit("MaxWavelength", "Wavelength of the last pixel")
    min_wavelength1 = _limit("MinWavelength1", "Least centre wavelength of grating 1")
    max_wavelength1 = _limit("MaxWavelength1", "Greatest centre wavelength of it")
    min_wavelength2 = _limit("MinWavelength2", "Least centre wavelength of grating 2")
    max_wavelength2 = _limit("MaxWavelength2", "Greatest centre wavelength of it")
    min_wavelength3 = _limit("MinWavelength3", "Least centre wavelength of grating 3")
    max_wavelength3 = _limit("MaxWavelength3", "Greatest centre wavelength of it")
    grating = choice(
        "Grating",
        GRATINGS,
        "Grating 1",
        doc="Place of the turret: 1200, 600 or 1800 lines/mm; it turns for seconds",
        mirrors=DRIVER + "Grating",
    )
    grating_rbv = choice_rbv(
        "Grating_RBV",
        GRATINGS,
        "Grating 1",
        doc="Place now; while it turns, the one it left",
        mirrors=DRIVER + "Grating_RBV",
    )
    grating_exists1 = _exists("GratingExists1", "Yes", "Place 1 has a grating")
    grating_exists2 = _exists("GratingExists2", "Yes", "Place 2 has a grating")
    grating_exists3 = _exists("GratingExists3", "Yes", "Place 3 has a grating")
    slit_size1 = number(
        "SlitSize1",
        100,
        SLIT,
        "um",
        precision=1,
        doc="Entrance slit",
        mirrors=DRIVER + "SlitSize1",
    )
    slit_size1_rbv = number_rbv(
        "SlitSize1_RBV",
        100,
        SLIT,
        "um",
        precision=1,
        doc="Entrance slit now",
        mirrors=DRIVER + "SlitSize1_RBV",
    )
    slit_size3 = number(
        "SlitSize3",
        1000,
        SLIT,
        "um",
        precision=1,
        doc="Slit at the side exit, before the photomultiplier",
        mirrors=DRIVER + "SlitSize3",
    )
    slit_size3_rbv = number_rbv(
        "SlitSize3_RBV",
        1000,
        SLIT,
        "um",
        precision=1,
        doc="Slit at the side exit now",
        mirrors=DRIVER + "SlitSize3_RBV",
    )
    slit_exists1 = _exists(
        "SlitExists1", "Yes", "The side entrance, in use, has a slit"
    )
    slit_exists2 = _exists("SlitExists2", "No", "The direct entrance has a slit")
    slit_exists3 = _exists("SlitExists3", "Yes", "The side exit has a slit")
    slit_exists4 = _exists("SlitExists4", "No", "The direct exit has a slit")
    flipper_mirror2 = choice(
        "FlipperMirror2",
        PORTS,
        "Direct",
        doc="Exit: Direct to the camera, Side to the photomultiplier",
        mirrors=DRIVER + "FlipperMirror2",
    )
    flipper_mirror2_rbv = choice_rbv(
        "FlipperMirror2_RBV",
        PORTS,
        "Direct",
        doc="Exit now; while the mirror moves, the one it left",
        mirrors=DRIVER + "FlipperMirror2_RBV",
    )
    flipper_mirror_exists1 = _exists(
        "FlipperMirrorExists1", "No", "The entrance has a mirror that flips"
    )
    flipper_mirror_exists2 = _exists(
        "FlipperMirrorExists2", "Yes", "The exit has a mirror that flips"
    )
    calibration = waveform_rbv(
        "Calibration",
        np.zeros(PIXELS),
        SHOWN,
        "nm",
        precision=4,
        doc="Wavelength at the centre of each pixel, vacuum, as calibrated",
        mirrors=DRIVER + "Calibration",
    )
    coefficients_rbv = waveform_rbv(
        "Coefficients_RBV",
        np.zeros(4),
        SHOWN,
        "nm",
        precision=6,
        doc="Calibration as a polynomial in the number of the pixel, from 0",
        mirrors=SDK + "GetPixelCalibrationCoefficients",
    )
    calibration_time_rbv = text_rbv(
        "CalibrationTime_RBV",
        CALIBRATED,
        doc="When the gratings were calibrated, UTC",
        mirrors=OWN,
    )
    medium_rbv = text_rbv(
        "Medium_RBV", "vacuum", doc="Medium of the wavelengths", mirrors=OWN
    )
    resolution_rbv = number_rbv(
        "Resolution_RBV",
        0.159,
        (0, 10),
        "nm",
        precision=4,
        doc="Width (FWHM) of the line spread function of this grating and slit",
        mirrors=OWN,
    )
    lamp = choice(
        "Lamp",
        OFF_ON,
        "Off",
        doc="Neon lamp before the entrance slit; completes when it is warm",
        mirrors="none: a lamp has no controller, a relay switches it",
    )
    lamp_rbv = choice_rbv(
        "Lamp_RBV",
        OFF_ON,
        "Off",
        doc="The lamp has current",
        mirrors="none: a lamp has no controller, a relay switches it",
    )
    lamp_output_rbv = number_rbv(
        "LampOutput_RBV",
        0,
        (0, 100),
        "%",
        precision=1,
        doc="Light of the lamp now; it warms up",
        mirrors="none: from the time since it was switched on",
    )

    def __init__(self, prefix: str, *, world: World, **kwargs: Any) -> None:
        super().__init__(prefix, world=world, **kwargs)
        self._centre = Axis(
            world, world.spec_nm, motion.SPECTROMETER_SPEED, self._report_centre
        )
        self._turret = Axis(
            world, world.grating, motion.TURRET_SPEED, self._report_grating
        )
        self._slit = Axis(world, world.slit_um, motion.SLIT_SPEED, self._report_slit)
        self._exit_slit = Axis(
            world, world.exit_slit_um, motion.SLIT_SPEED, self._report_exit_slit
        )
        self._mirror = Axis(
            world, world.exit_port, motion.EXIT_MIRROR_SPEED, self._report_mirror
        )
        warm_up = 1 / world.sample.spectrometer.lamp_warm_up
        self._lamp = Axis(world, world.lamp, warm_up, self._report_lamp)

    async def start(self) -> None:
        """Show the wavelength axis, the resolution and what the turret holds."""
        now = self.world.now()
        await self.slit_size1.post(self.world.slit_um.at(now))
        await self._report_slit(self.slit_size1.value)
        await self.slit_size3.post(self.world.exit_slit_um.at(now))
        await self._report_exit_slit(self.slit_size3.value)
        await self._report_mirror(self.world.exit_port.at(now))
        await self.flipper_mirror2.post(self.flipper_mirror2_rbv.value)
        await self.wavelength.post(self.world.spec_nm.at(now))
        await self._report_grating(self.world.grating.at(now))
        await self.grating.post(self.grating_rbv.value)
        await self._report_lamp(self.world.lamp.at(now))
        for lamp in (self.lamp, self.lamp_rbv):
            await lamp.post(OFF_ON[self.lamp_output_rbv.value > 0])
        truth = self.world.sample.spectrometer
        least = (self.min_wavelength1, self.min_wavelength2, self.min_wavelength3)
        greatest = (self.max_wavelength1, self.max_wavelength2, self.max_wavelength3)
        for place, (low, high) in enumerate(zip(least, greatest, strict=True)):
            await low.post(truth.shortest[place])
            await high.post(truth.longest[place])
        for absent in (
            self.slit_exists2,
            self.slit_exists4,
            self.flipper_mirror_exists1,
        ):
            await absent.raise_alarm(AlarmStatus.STATE, AlarmSeverity.MINOR_ALARM)

    @wavelength.putter
    async def _put_wavelength(self, instance: Any, value: float) -> None:
        """Turn the grating; completes when it rests and the axis is written."""
        self._refuse_beyond_reach(self.grating.value, value)
        await instance.post(value)
        await self._centre.move(value)
        raise SkipWrite

    @grating.putter
    async def _put_grating(self, instance: Any, value: str) -> None:
        """Turn the turret; completes when it rests and the axis is written."""
        self._refuse_beyond_reach(value, self.wavelength.value)
        await instance.post(value)
        await self._turret.move(_place(value))
        raise SkipWrite

    @slit_size1.putter
    async def _put_slit_size1(self, instance: Any, value: float) -> None:
        """Move the entrance slit; completes when it rests."""
        await instance.post(value)
        await self._slit.move(value)
        raise SkipWrite

    @slit_size3.putter
    async def _put_slit_size3(self, instance: Any, value: float) -> None:
        """Move the exit slit; completes when it rests."""
        await instance.post(value)
        await self._exit_slit.move(value)
        raise SkipWrite

    @flipper_mirror2.putter
    async def _put_flipper_mirror2(self, instance: Any, value: str) -> None:
        """Move the mirror before the exits; completes when it rests."""
        await instance.post(value)
        await self._mirror.move(PORTS.index(value))
        raise SkipWrite

    @lamp.putter
    async def _put_lamp(self, instance: Any, value: str) -> None:
        """Switch the lamp; completes when it is dark, or warm."""
        await instance.post(value)
        await self.lamp_rbv.post(value)
        if value == "On":
            await self._lamp.move(1.0)
        else:
            await self._lamp.stop()
            self.world.lamp.record(self.world.now(), 0.0)
            await self._report_lamp(0.0)
        raise SkipWrite

    def _refuse_beyond_reach(self, grating: str, centre_nm: float) -> None:
        """Refuse a centre that a grating does not reach; the reason fits 40 letters."""
        truth = self.world.sample.spectrometer
        low = truth.shortest[_place(grating) - 1]
        high = truth.longest[_place(grating) - 1]
        if not low <= centre_nm <= high:
            msg = f"{grating} has {low:g}..{high:g} nm, got {centre_nm:g}"
            raise RefusedPutError(msg)

    async def _report_centre(self, centre_nm: float) -> None:
        place = _place(self.grating_rbv.value)
        axis = self.world.pixel_wavelengths(centre_nm, place)
        per_pixel = self.world.sample.spectrometer.dispersion[place - 1]
        await self.calibration.post(axis)
        await self.coefficients_rbv.post(np.array([axis[0], per_pixel, 0.0, 0.0]))
        await self.min_wavelength.post(axis[0])
        await self.max_wavelength.post(axis[-1])
        await self._report_resolution()
        await self.wavelength_rbv.post(centre_nm)

    async def _report_grating(self, place: float) -> None:
        """Show the new axis when the turret rests: a number and its axis agree."""
        now = self.world.now()
        if not self.world.grating.moving(now):
            await self.grating_rbv.post(GRATINGS[round(place) - 1])
            await self._report_centre(self.world.spec_nm.at(now))

    async def _report_slit(self, width_um: float) -> None:
        await self._report_resolution()
        await self.slit_size1_rbv.post(width_um)

    async def _report_exit_slit(self, width_um: float) -> None:
        await self.slit_size3_rbv.post(width_um)

    async def _report_mirror(self, share: float) -> None:
        if not self.world.exit_port.moving(self.world.now()):
            await self.flipper_mirror2_rbv.post(PORTS[round(share)])

    async def _report_lamp(self, output: float) -> None:
        await self.lamp_output_rbv.post(100 * output)

    async def _report_resolution(self) -> None:
        await self.resolution_rbv.post(self.world.resolution_nm(self.world.now()))


def _place(grating: str) -> int:
    """Give the number of a place of the turret."""
    return GRATINGS.index(grating) + 1
