"""Acquisitions of the CCD: frames by the simulated clock, passed on to the plugins."""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ioc_sim.base import Busy, pass_time
from ioc_sim.camera import SATURATION_ADU
from ioc_sim.camera_settings import Camera
from ioc_sim.nd_array import NDArray
from ioc_sim.plugin import Plugin
from ioc_sim.random_streams import stream
from ioc_sim.world import World

__all__ = ["Acquisition"]

RECORDED = (
    "AcquireTime",
    "AcquirePeriod",
    "NumExposures",
    "AndorADCSpeed",
    "AndorPreAmpGain",
    "AndorReadOutMode",
    "BinX",
    "BinY",
    "ColorMode",
    "MinX",
    "MinY",
    "SizeX",
    "SizeY",
)
"""Settings that each frame carries along as attributes."""

MEASURED = ("TemperatureActual", "Sensitivity_RBV", "SaturationLevel_RBV")
"""Readings that each frame carries along as attributes."""


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
        camera.when_put("Acquire", self._put_acquire)

    async def _put_acquire(self, value: str) -> None:
        """Take frames; completes when they are all there, or the abort is done."""
        await self._busy.put(self._camera.record("Acquire"), value, self._acquire)

    async def _acquire(self) -> None:
        await self._camera.show("Acquire_RBV", "Acquiring")
        await self._camera.show("AndorMessage_RBV", "")
        try:
            await self._take_frames()
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

    async def _take_frames(self) -> None:
        camera = self._camera
        mode = camera.value("ImageMode")
        wanted = {"Single": 1, "Multiple": camera.value("NumImages")}.get(mode)
        await camera.show("NumImagesCounter_RBV", 0)
        start = self._world.now()
        for taken in itertools.count(1):
            counts = await self._expose(start)
            if counts is None:
                await camera.show_state("Aborted", "Acquisition aborted")
                return
            await self._pass_on(counts, start)
            await camera.show("NumImagesCounter_RBV", taken)
            if taken == wanted:
                break
            # Frames follow each other by the simulated clock, not by this loop.
            start += camera.period_s
            if not await self._wait(start):
                await camera.show_state("Aborted", "Acquisition aborted")
                return
            await asyncio.sleep(0)
        await camera.show_state("Idle", "Idle")

    async def _expose(self, start_s: float) -> npt.NDArray[np.uint16] | None:
        """Take the exposures of one frame and add them up; none if aborted."""
        camera = self._camera
        exposure, setting = camera.value("AcquireTime"), camera.read_out
        frame = np.zeros(setting.shape, dtype=np.uint16)
        number = self._frame + 1
        for scan in range(camera.value("NumExposures")):
            begin = start_s + scan * camera.exposures_s
            await camera.show_state("Acquire", "Acquiring data")
            await camera.show("NumExposuresCounter_RBV", scan)
            await camera.show("TimeRemaining_RBV", exposure)
            if not await self._wait(begin + exposure):
                return None
            await camera.show_state("Readout", "Reading out")
            noise = scan << 32 | number
            counts = self._world.read_out(begin, exposure, noise, setting)
            frame = _added(frame, counts) if scan else counts
            await camera.show("NumExposuresCounter_RBV", scan + 1)
            if not await self._wait(begin + exposure + camera.read_out_s):
                return None
        self._frame = number
        return frame

    async def _wait(self, end_s: float) -> bool:
        """Wait until a simulated time; false if aborted before it."""
        abort = self._busy.abort
        while await pass_time(self._world, end_s, abort):
            pass
        return not abort.is_set()

    async def _pass_on(self, counts: npt.NDArray[np.uint16], start_s: float) -> None:
        camera = self._camera
        level = camera.value("SaturationLevel_RBV")
        await camera.show("SaturatedPixels_RBV", np.count_nonzero(counts >= level))
        array = NDArray(
            pixels=self._flipped(counts),
            unique_id=self._frame,
            time_stamp_s=start_s,
            attributes=self._attributes(),
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

    def _flipped(self, counts: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
        if self._camera.value("ReverseX") == "Yes":
            counts = counts[:, ::-1]
        if self._camera.value("ReverseY") == "Yes":
            counts = counts[::-1]
        return counts

    def _attributes(self) -> dict[str, Any]:
        settings = {name: self._camera.value(name) for name in RECORDED}
        return settings | {
            name.removesuffix("_RBV"): self._camera.record(name).value
            for name in MEASURED
        }

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
