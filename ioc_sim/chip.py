"""The chip of the CCD and its cooler."""

import asyncio
from typing import Any

from ioc_sim import motion
from ioc_sim.base import Axis, Instrument, Part
from ioc_sim.declare import choice, choice_rbv, number, number_rbv, text_rbv

__all__ = ["Chip"]

AMBIENT = 20.0
"""Temperature of the chip with its cooler off, degC."""

SHOWN = (-120.0, 40.0)
"""Range to show chip temperatures in, degC."""

OFF_ON = ("Off", "On")
BASE = "ADCore ADBase"
ANDOR = "ADAndor andorCCD"


class Chip(Part):
    """Follows its set point at the rate of the cooler; it starts cold.

    Parameters
    ----------
    prefix
        Prefix of the camera's PVs.
    parent
        The CCD.
    """

    temperature = number(
        "Temperature",
        -70,
        (-100, 25),
        "degC",
        precision=1,
        doc="Where the chip's temperature is to go",
        mirrors=BASE,
    )
    temperature_actual = number_rbv(
        "TemperatureActual",
        -70,
        SHOWN,
        "degC",
        precision=2,
        doc="Temperature of the chip",
        mirrors=BASE,
    )
    cooler = choice("AndorCooler", OFF_ON, "On", doc="Cool the chip", mirrors=ANDOR)
    cooler_rbv = choice_rbv(
        "AndorCooler_RBV", OFF_ON, "On", doc="Cooler now", mirrors=ANDOR
    )
    temperature_status_rbv = text_rbv(
        "AndorTempStatus_RBV",
        "Stabilized",
        doc="Off, Not Reached or Stabilized",
        mirrors=ANDOR,
    )

    def __init__(self, prefix: str, *, parent: Instrument) -> None:
        super().__init__(prefix, parent=parent)
        self._retarget = asyncio.Event()
        self._axis = Axis(
            parent.world,
            parent.world.ccd_temperature_c,
            motion.CCD_COOLING_SPEED,
            self.temperature_actual.post,
        )

    async def run(self) -> None:
        """Bring the chip to the temperature that was asked last."""
        while True:
            await self._retarget.wait()
            self._retarget.clear()
            await self._bring_to_temperature()

    @temperature.putter
    async def _put_temperature(self, instance: Any, value: float) -> None:
        """Start towards a temperature; TemperatureActual follows."""
        await instance.post(value)
        await self._start_cooling()

    @cooler.putter
    async def _put_cooler(self, instance: Any, value: str) -> None:
        """Switch the cooler."""
        await self.cooler_rbv.post(value)
        await self._start_cooling()

    async def _start_cooling(self) -> None:
        cooled = self.cooler_rbv.value == "On"
        await self.temperature_status_rbv.post("Not Reached" if cooled else "Off")
        self._retarget.set()
        await self._axis.stop()

    async def _bring_to_temperature(self) -> None:
        cooled = self.cooler_rbv.value == "On"
        await self._axis.move(self.temperature.value if cooled else AMBIENT)
        if cooled and not self._retarget.is_set():
            await self.temperature_status_rbv.post("Stabilized")
