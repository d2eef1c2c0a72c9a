"""The spectrometer: one mounted grating, an entrance slit and its wavelength axis."""

from typing import Any

import numpy as np
from caproto import SkipWrite

from ioc_sim import motion
from ioc_sim.base import Axis, Instrument
from ioc_sim.channels import RefusedPutError
from ioc_sim.declare import (
    choice,
    choice_rbv,
    number,
    number_rbv,
    text_rbv,
    waveform_rbv,
)
from ioc_sim.world import World

__all__ = ["Spectrometer"]

WAVELENGTH = (400.0, 800.0)
"""Range of the centre wavelength, nm (vacuum)."""

SHOWN = (370.0, 830.0)
"""Range of the pixels' wavelengths, nm: the centre's and half the window."""

SLIT = (10.0, 2500.0)
"""Range of the entrance slit, um."""

GRATINGS = ("Grating 1", "Grating 2", "Grating 3")
"""Places of the turret; only the first one has a grating."""

PIXELS = 1024
DRIVER = "ADAndor shamrock"


class Spectrometer(Instrument):
    """Disperses what the analyser lets pass; names of the areaDetector driver."""

    wavelength = number(
        "Wavelength",
        531,
        WAVELENGTH,
        "nm",
        precision=3,
        doc="Wavelength at the centre of the camera, vacuum",
        mirrors=DRIVER,
    )
    wavelength_rbv = number_rbv(
        "Wavelength_RBV",
        531,
        WAVELENGTH,
        "nm",
        precision=3,
        doc="Centre wavelength now, vacuum",
        mirrors=DRIVER,
    )
    min_wavelength = number_rbv(
        "MinWavelength",
        WAVELENGTH[0],
        WAVELENGTH,
        "nm",
        precision=3,
        doc="Least centre wavelength of the grating",
        mirrors=DRIVER,
    )
    max_wavelength = number_rbv(
        "MaxWavelength",
        WAVELENGTH[1],
        WAVELENGTH,
        "nm",
        precision=3,
        doc="Greatest centre wavelength of the grating",
        mirrors=DRIVER,
    )
    grating = choice(
        "Grating",
        GRATINGS,
        "Grating 1",
        doc="Place of the turret; only Grating 1 is mounted",
        mirrors=DRIVER,
    )
    grating_rbv = choice_rbv(
        "Grating_RBV", GRATINGS, "Grating 1", doc="Place now", mirrors=DRIVER
    )
    slit_size1 = number(
        "SlitSize1", 100, SLIT, "um", precision=1, doc="Entrance slit", mirrors=DRIVER
    )
    slit_size1_rbv = number_rbv(
        "SlitSize1_RBV",
        100,
        SLIT,
        "um",
        precision=1,
        doc="Entrance slit now",
        mirrors=DRIVER,
    )
    calibration = waveform_rbv(
        "Calibration",
        np.zeros(PIXELS),
        SHOWN,
        "nm",
        precision=4,
        doc="Wavelength at the centre of each pixel, vacuum",
        mirrors=DRIVER,
    )
    medium_rbv = text_rbv("Medium_RBV", "vacuum", doc="Medium of the wavelengths")
    resolution_rbv = number_rbv(
        "Resolution_RBV",
        0.159,
        (0, 10),
        "nm",
        precision=4,
        doc="Width (FWHM) of the line spread function",
    )

    def __init__(self, prefix: str, *, world: World, **kwargs: Any) -> None:
        super().__init__(prefix, world=world, **kwargs)
        self._turret = Axis(
            world, world.spec_nm, motion.SPECTROMETER_SPEED, self._report_centre
        )
        self._slit = Axis(world, world.slit_um, motion.SLIT_SPEED, self._report_slit)

    async def start(self) -> None:
        """Show the wavelength axis and the resolution."""
        now = self.world.now()
        await self._report_slit(self.world.slit_um.at(now))
        await self._report_centre(self.world.spec_nm.at(now))

    @wavelength.putter
    async def _put_wavelength(self, instance: Any, value: float) -> None:
        """Turn the grating; completes when it rests and the axis is written."""
        await instance.post(value)
        await self._turret.move(value)
        raise SkipWrite

    @slit_size1.putter
    async def _put_slit_size1(self, instance: Any, value: float) -> None:
        """Move the entrance slit; completes when it rests."""
        await instance.post(value)
        await self._slit.move(value)
        raise SkipWrite

    @grating.putter
    async def _put_grating(self, instance: Any, value: str) -> None:
        """Turn the turret; refused for a place without a grating."""
        if value != "Grating 1":
            msg = f"got {value}, only Grating 1 is mounted"
            raise RefusedPutError(msg)
        await self.grating_rbv.post(value)

    async def _report_centre(self, centre_nm: float) -> None:
        await self.calibration.post(self.world.pixel_wavelengths(centre_nm))
        await self.resolution_rbv.post(self.world.resolution_nm(self.world.now()))
        await self.wavelength_rbv.post(centre_nm)

    async def _report_slit(self, width_um: float) -> None:
        await self.resolution_rbv.post(self.world.resolution_nm(self.world.now()))
        await self.slit_size1_rbv.post(width_um)
