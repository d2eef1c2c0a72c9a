"""The CCD: exposures over the history of the bench, with areaDetector's names."""

import asyncio
from collections.abc import Mapping
from typing import Any

from ioc_sim.acquisition import Acquisition
from ioc_sim.base import Instrument
from ioc_sim.camera_settings import Camera
from ioc_sim.chip import Chip
from ioc_sim.hdf5 import Hdf5
from ioc_sim.std_arrays import StdArrays
from ioc_sim.world import World

__all__ = ["Ccd"]

RATE_PERIOD = 1.0
"""Real seconds that a rate of frames is counted over; ADCore."""


class Ccd(Instrument):
    """A cooled camera with plugins that serve its last frame and write its frames."""

    def __init__(self, prefix: str, *, world: World, **kwargs: Any) -> None:
        super().__init__(prefix, world=world, **kwargs)
        self.camera = Camera(f"{prefix}cam1:", parent=self)
        self.image = StdArrays(f"{prefix}image1:", parent=self)
        self.file = Hdf5(f"{prefix}HDF1:", parent=self)
        plugins = (self.image, self.file)
        self._counted = (self.camera, *plugins)
        self._chip = Chip(self.camera, world)
        self._acquisition = Acquisition(self.camera, plugins, world)
        for part in self._counted:
            self.pvdb.update(part.pvdb)

    async def start(self) -> None:
        """Show what follows from the settings."""
        await super().start()
        await self.camera.start()
        await self.file.start()

    def keep(self) -> Mapping[str, Any]:
        """Give what is set on the cooler, ready for JSON."""
        return self._chip.keep()

    async def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on with a cooler that was kept.

        Parameters
        ----------
        kept
            What `keep` gave.
        """
        await self._chip.resume(kept)

    async def run(self) -> None:
        """Keep the chip at its temperature, and show how many frames come."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._chip.run())
            tasks.create_task(self._show_rates())

    async def make_safe(self) -> None:
        """Close the file that is being written."""
        await super().make_safe()
        await self.file.finish()

    async def _show_rates(self) -> None:
        before = [part.value("ArrayCounter") for part in self._counted]
        while True:
            await asyncio.sleep(RATE_PERIOD)
            now = [part.value("ArrayCounter") for part in self._counted]
            for part, last, count in zip(self._counted, before, now, strict=True):
                await part.show_rate(max(count - last, 0) / RATE_PERIOD)
            before = now
