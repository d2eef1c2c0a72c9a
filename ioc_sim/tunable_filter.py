"""The tunable filter: centre wavelength and bandwidth of the pump light."""

from typing import Any

from caproto import SkipWrite

from ioc_sim import motion
from ioc_sim.base import Axis, Instrument
from ioc_sim.declare import choice, choice_rbv, number, number_rbv, text_rbv
from ioc_sim.world import World

__all__ = ["TunableFilter"]

WAVELENGTH = (480.0, 700.0)
"""Range of the grating, nm (vacuum)."""

BANDWIDTH = (0.5, 5.0)
"""Range of the output slit, nm."""


class TunableFilter(Instrument):
    """A grating and a slit, each with a drive of its own."""

    wavelength = number(
        "Wavelength", 526, WAVELENGTH, "nm", precision=3, doc="Pump wavelength, vacuum"
    )
    wavelength_rbv = number_rbv(
        "Wavelength_RBV",
        526,
        WAVELENGTH,
        "nm",
        precision=3,
        doc="Pump wavelength now, vacuum",
    )
    bandwidth = number(
        "Bandwidth", 1.8, BANDWIDTH, "nm", precision=3, doc="Pump bandwidth (FWHM)"
    )
    bandwidth_rbv = number_rbv(
        "Bandwidth_RBV",
        1.8,
        BANDWIDTH,
        "nm",
        precision=3,
        doc="Pump bandwidth now (FWHM)",
    )
    moving_rbv = choice_rbv("Moving_RBV", ("No", "Yes"), "No", doc="A drive moves")
    stop = choice("Stop", ("Idle", "Stop"), "Idle", doc="Stop both drives")
    velocity = number(
        "Velocity",
        motion.FILTER_SPEED,
        (0.1, 100),
        "nm/s",
        precision=2,
        doc="Speed of the wavelength drive, from its next move on",
    )
    medium_rbv = text_rbv("Medium_RBV", "vacuum", doc="Medium of the wavelengths")

    def __init__(self, prefix: str, *, world: World, **kwargs: Any) -> None:
        super().__init__(prefix, world=world, **kwargs)
        self._grating = Axis(
            world, world.filter_nm, motion.FILTER_SPEED, self.wavelength_rbv.post
        )
        self._slit = Axis(
            world, world.bandwidth_nm, motion.BANDWIDTH_SPEED, self.bandwidth_rbv.post
        )

    @wavelength.putter
    async def _put_wavelength(self, instance: Any, value: float) -> None:
        """Turn the grating; completes when it rests."""
        self._grating.speed = self.velocity.value
        await self._drive(instance, self._grating, value)
        raise SkipWrite

    @bandwidth.putter
    async def _put_bandwidth(self, instance: Any, value: float) -> None:
        """Move the slit; completes when it rests."""
        await self._drive(instance, self._slit, value)
        raise SkipWrite

    @stop.putter
    async def _put_stop(self, instance: Any, value: str) -> None:
        """Stop where it is; pending moves complete."""
        if value == "Stop":
            await self._grating.stop()
            await self._slit.stop()
            await self._show_moving()
        await instance.post("Idle")
        raise SkipWrite

    async def _drive(self, instance: Any, axis: Axis, target: float) -> None:
        await instance.post(target)
        await self.moving_rbv.post("Yes")
        await axis.move(target)
        await self._show_moving()

    async def _show_moving(self) -> None:
        moving = self._grating.moving or self._slit.moving
        await self.moving_rbv.post("Yes" if moving else "No")
