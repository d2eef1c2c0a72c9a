"""Acquisitions of the CCD: frames by the simulated clock, passed on to the plugins."""

import asyncio
import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ioc_sim.base import Busy, pass_time
from ioc_sim.camera import SATURATION_ADU
from ioc_sim.camera_settings import Camera, Settings
from ioc_sim.nd_array import NDArray
from ioc_sim.plugin import Plugin
from ioc_sim.random_streams import stream
from ioc_sim.world import World

__all__ = ["Acquisition"]

LONGEST_REST = 0.02
"""Longest time that clients get between two steps of an acquisition that is late, in
real seconds; chosen: it is more than an answer takes."""


class Acquisition:
    """Takes frames and passes them on.

    Parameters
    ----------
    camera
        Its settings.
    plugins
        Where the frames go.
    world
        The bench.
    """

    def __init__(self, camera: Camera, plugins: Sequence[Plugin], world: World) -> None:
        self._camera = camera
        self._plugins = plugins
        self._world = world
        self._busy = Busy("an acquisition")
        self._frame = 0
        self._idle = 0.0
        camera.when_put("Acquire", self._put_acquire)

    async def _put_acquire(self, value: str) -> None:
        """Take frames; completes when they are all there, or the abort is done."""
        await self._busy.put(self._camera.record("Acquire"), value, self._acquire)

    async def _acquire(self) -> None:
        """Take frames by the settings of this moment; later ones are for the next."""
        settings = self._camera.settings
        self._idle = asyncio.get_running_loop().time()
        await self._camera.show("Acquire_RBV", "Acquiring")
        await self._camera.show("AndorMessage_RBV", "")
        try:
            await self._take_frames(settings)
            if self._camera.value("WaitForPlugins") == "Yes":
                for plugin in self._plugins:
                    await plugin.drain()
        except Exception as error:
            message = f"Acquisition failed: {error!r}"
            await self._camera.show("AndorMessage_RBV", message)
            await self._camera.show_state("Error", message)
            raise
        finally:
            await self._camera.show("TimeRemaining_RBV", 0.0)
            await self._camera.show("Acquire_RBV", "Done")

    async def _take_frames(self, settings: Settings) -> None:
        camera = self._camera
        await camera.show("NumImagesCounter_RBV", 0)
        start = self._world.now()
        for taken in itertools.count(1):
            counts = await self._expose(start, settings)
            if counts is None:
                await camera.show_state("Aborted", "Acquisition aborted")
                return
            await self._pass_on(counts, start, settings)
            await camera.show("NumImagesCounter_RBV", taken)
            if taken == settings.frames:
                break
            # Frames follow each other by the simulated clock, not by this loop.
            start += settings.period_s
            if settings.frames is None:
                start += await self._skip(start, settings.period_s)
            if not await self._wait(start):
                await camera.show_state("Aborted", "Acquisition aborted")
                return
        await camera.show_state("Idle", "Idle")

    async def _expose(
        self, start_s: float, settings: Settings
    ) -> npt.NDArray[np.uint16] | None:
        """Take the exposures of one frame and add them up; none if aborted."""
        camera = self._camera
        exposure, setting = settings.exposure_s, settings.read_out
        frame = np.zeros(setting.shape, dtype=np.uint16)
        number = self._frame + 1
        for scan in range(settings.exposures):
            begin = start_s + scan * settings.exposures_s
            await camera.show_state("Acquire", "Acquiring data")
            await camera.show("NumExposuresCounter_RBV", scan)
            await camera.show("TimeRemaining_RBV", exposure)
            exposed = self._world.sensor.expose(begin, exposure)
            while not exposed.done:
                if not await self._wait(exposed.next_s):
                    return None
                await exposed.advance(exposed.next_s)
            await camera.show_state("Readout", "Reading out")
            noise = scan << 32 | number
            counts = self._world.sensor.develop(exposed, noise, setting)
            frame = _added(frame, counts) if scan else counts
            await camera.show("NumExposuresCounter_RBV", scan + 1)
            if not await self._wait(begin + exposure + settings.read_out_s):
                return None
        self._frame = number
        return frame

    async def _wait(self, end_s: float) -> bool:
        """Wait until a simulated time; false if aborted before it.

        If it is late, clients get as much real time as the frame took since it last
        waited: it may be late for good.
        """
        abort, loop = self._busy.abort, asyncio.get_running_loop()
        began = loop.time()
        rest = min(began - self._idle, LONGEST_REST)
        while await pass_time(self._world, end_s, abort):
            pass
        await asyncio.sleep(max(began + rest - loop.time(), 0.0))
        self._idle = loop.time()
        return not abort.is_set()

    async def _skip(self, start_s: float, period_s: float) -> float:
        """Leave out, and count, the frames that would be over by now.

        Returns
        -------
        :
            Time to skip, in simulated seconds.
        """
        missed = int((self._world.now() - start_s) // period_s)
        if missed <= 0:
            return 0.0
        if self._camera.value("ArrayCallbacks") == "Enable":
            for plugin in self._plugins:
                await plugin.miss(missed)
        return missed * period_s

    async def _pass_on(
        self, counts: npt.NDArray[np.uint16], start_s: float, settings: Settings
    ) -> None:
        camera = self._camera
        saturated = np.count_nonzero(counts >= settings.saturation_level)
        await camera.show("SaturatedPixels_RBV", saturated)
        temperature = camera.value("TemperatureActual")
        array = NDArray(
            pixels=_flipped(counts, settings),
            unique_id=self._frame,
            time_stamp_s=start_s,
            attributes={**settings.attributes, "TemperatureActual": temperature},
        )
        await camera.show("ArrayCounter_RBV", camera.value("ArrayCounter") + 1)
        await camera.show("TimeStamp_RBV", array.time_stamp_s)
        await camera.show("EpicsTSSec_RBV", array.epics_seconds)
        await camera.show("EpicsTSNsec_RBV", array.epics_nanoseconds)
        await camera.show("UniqueId_RBV", array.unique_id)
        if camera.value("ArrayCallbacks") != "Enable":
            return
        lost = self._lost(start_s)
        for plugin in self._plugins:
            await (plugin.miss() if lost else plugin.offer(array))

    def _lost(self, time_s: float) -> bool:
        """Tell whether a fault keeps this frame from the plugins."""
        share = self._world.faults.at("ccd_dropped_frames", time_s)
        rng = stream(self._world.seed, "ccd-dropped", self._frame)
        return bool(rng.random() < share)


def _added(
    frame: npt.NDArray[np.uint16], counts: npt.NDArray[np.uint16]
) -> npt.NDArray[np.uint16]:
    """Add an exposure to those before, as far as 16 bits go."""
    total = frame.astype(np.uint32) + counts
    return np.minimum(total, SATURATION_ADU).astype(np.uint16)


def _flipped(
    counts: npt.NDArray[np.uint16], settings: Settings
) -> npt.NDArray[np.uint16]:
    if settings.reverse_x:
        counts = counts[:, ::-1]
    if settings.reverse_y:
        counts = counts[::-1]
    return counts
