"""The chip of the CCD and its cooler."""

import asyncio
from collections.abc import Mapping
from typing import Any

from caproto import AlarmSeverity, AlarmStatus

from ioc_sim import motion
from ioc_sim.base import Axis
from ioc_sim.records import Records
from ioc_sim.world import World

__all__ = ["Chip"]

AMBIENT = 20.0
"""Temperature of the chip with its cooler off, degC."""

OVERHEATED = -20.0
"""Coldest that a failing cooler keeps the chip, degC."""

COOLER = ("Temperature", "AndorCooler")
"""Records of what is set on the cooler."""

OFF = "Cooler is OFF"
NOT_REACHED = "Not reached setpoint"
STABILIZED = "Stabilized at set point"
DRIFTED = "Stabilized but drifted"


class Chip:
    """Follows its set point at the rate of the cooler; it starts cold.

    Parameters
    ----------
    camera
        Has the records ``Temperature``, ``AndorCooler`` and their read-backs.
    world
        The bench.
    """

    def __init__(self, camera: Records, world: World) -> None:
        self._camera = camera
        self._world = world
        self._faults = world.faults
        self._retarget = asyncio.Event()
        self._axis = Axis(
            world,
            world.ccd_temperature_c,
            motion.CCD_COOLING_SPEED,
            self._show_temperature,
        )
        camera.when_put("Temperature", self._put_temperature)
        camera.when_put("AndorCooler", self._put_cooler)
        world.faults.watch("ccd_overheat", self._overheat)

    def keep(self) -> Mapping[str, Any]:
        """Give what is set on the cooler, ready for JSON."""
        return {name: self._camera.value(name) for name in COOLER}

    async def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on with a cooler that was kept; the world has the chip's temperature.

        Parameters
        ----------
        kept
            What `keep` gave.
        """
        now = self._world.now()
        await self._show_temperature(self._world.ccd_temperature_c.at(now))
        for name in COOLER:
            for record in (name, f"{name}_RBV"):
                await self._camera.show(record, kept[name])
        await self._start(NOT_REACHED)

    async def run(self) -> None:
        """Bring the chip to the temperature that was asked last."""
        while True:
            await self._retarget.wait()
            self._retarget.clear()
            await self._bring_to_temperature()

    async def _put_temperature(self, value: float) -> None:
        """Start towards a temperature; TemperatureActual follows."""
        await self._camera.show("Temperature", value)
        await self._camera.show("Temperature_RBV", value)
        await self._start(NOT_REACHED)

    async def _put_cooler(self, value: str) -> None:
        """Switch the cooler."""
        await self._camera.show("AndorCooler_RBV", value)
        await self._start(NOT_REACHED)

    async def _overheat(self, _: Any) -> None:
        """Let the chip warm up to what a failing cooler holds, or cool it again."""
        await self._start(DRIFTED if self._failing else NOT_REACHED)

    async def _start(self, status: str) -> None:
        await self._show_status(status if self._cooled else OFF)
        self._retarget.set()
        await self._axis.stop()

    async def _bring_to_temperature(self) -> None:
        asked = self._camera.value("Temperature") if self._cooled else AMBIENT
        target = max(asked, OVERHEATED) if self._failing else asked
        await self._axis.move(target)
        if self._cooled and target == asked and not self._retarget.is_set():
            await self._show_status(STABILIZED)

    @property
    def _cooled(self) -> bool:
        return self._camera.value("AndorCooler") == "On"

    @property
    def _failing(self) -> bool:
        return self._faults.active("ccd_overheat")

    async def _show_temperature(self, temperature_c: float) -> None:
        await self._camera.show("TemperatureActual", temperature_c)

    async def _show_status(self, status: str) -> None:
        await self._camera.show("AndorTempStatus_RBV", status)
        severity = AlarmSeverity.NO_ALARM
        if self._cooled and self._failing and status != STABILIZED:
            severity = AlarmSeverity.MAJOR_ALARM
        cause = AlarmStatus.HIHI if severity else AlarmStatus.NO_ALARM
        await self._camera.warn("TemperatureActual", cause, severity)
