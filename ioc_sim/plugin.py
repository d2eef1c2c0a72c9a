"""What the plugins of the camera share: they take frames over, in order."""

import asyncio
import logging
import time
from abc import abstractmethod
from typing import Any

from caproto import SkipWrite

from ioc_sim.base import Instrument
from ioc_sim.channels import RefusedPutError
from ioc_sim.nd_array import NDArray
from ioc_sim.records import Records
from ioc_sim.vocabulary import COUNTER

__all__ = ["CAMERA_PORT", "Plugin"]

logger = logging.getLogger(__name__)

CAMERA_PORT = "CCD"
"""Name of the camera's port."""

DIMENSIONS = 10
"""Dimensions that a frame may have; ADCore."""

MILLI = 1e3


class Plugin(Records):
    """Takes frames over, at once or in the background, unless it is disabled.

    No frame is lost because this computer is slow: the camera waits for a place in the
    queue, while its frames keep their simulated times.

    Parameters
    ----------
    prefix
        What its PV names begin with.
    parent
        The CCD.
    """

    def __init__(self, prefix: str, *, parent: Instrument) -> None:
        super().__init__(prefix, parent=parent)
        self.last: NDArray | None = None
        """The frame that was taken over last."""
        self._turn = asyncio.Lock()
        self._queue: set[asyncio.Task[None]] = set()
        self.when_put("NDArrayPort", self._put_port)
        self.when_put("ProcessPlugin", self._put_process)
        self.when_put("QueueSize", self._put_queue_size)

    @abstractmethod
    async def process(self, array: NDArray) -> None:
        """Do with a frame what the plugin is for.

        Parameters
        ----------
        array
            The frame.
        """

    async def offer(self, array: NDArray) -> None:
        """Take a frame over; returns when it is done with, or waits in the queue.

        Parameters
        ----------
        array
            The frame.
        """
        if self.value("EnableCallbacks") != "Enable":
            return
        if self.value("BlockingCallbacks") == "Yes":
            await self._take(array)
            return
        while len(self._queue) >= self.value("QueueSize"):
            await asyncio.wait(self._queue, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(self._take_queued(array))
        self._queue.add(task)
        await self._show_queue()

    async def miss(self, number: int = 1) -> None:
        """Count frames that did not get here.

        Parameters
        ----------
        number
            How many.
        """
        if self.value("EnableCallbacks") == "Enable":
            await self._count("DroppedArrays", number)

    async def drain(self) -> None:
        """Wait until no frame is left in the queue."""
        while self._queue:
            await asyncio.wait(self._queue)

    async def count(self) -> None:
        """Count a frame that the plugin has done its work on."""
        await self._count("ArrayCounter")

    async def _count(self, name: str, number: int = 1) -> None:
        counted = min(self.value(name) + number, COUNTER[1])
        await self.show(f"{name}_RBV", counted)

    async def _take_queued(self, array: NDArray) -> None:
        try:
            await self._take(array)
        except Exception:
            logger.exception("%s: frame %d is lost", self.prefix, array.unique_id)
            await self._count("DroppedArrays")
        finally:
            task = asyncio.current_task()
            if task is not None:
                self._queue.discard(task)
            await self._show_queue()

    async def _take(self, array: NDArray) -> None:
        async with self._turn:
            began = time.perf_counter()
            self.last = array
            await self._show_size(array)
            await self.process(array)
            took = time.perf_counter() - began
            await self.show("ExecutionTime_RBV", took * MILLI)

    async def _show_size(self, array: NDArray) -> None:
        sizes = [*reversed(array.pixels.shape)]
        sizes += [0] * (DIMENSIONS - len(sizes))
        if list(self.value("Dimensions")) != sizes:
            for ending in ("", "_RBV"):
                await self.show(f"Dimensions{ending}", sizes)
                await self.show(f"NDimensions{ending}", array.pixels.ndim)
                for axis, size in enumerate(sizes):
                    await self.show(f"ArraySize{axis}{ending}", size)
                    await self.show(f"Dim{axis}SA{ending}", size)
            await self.show("ArraySizeX_RBV", sizes[0])
            await self.show("ArraySizeY_RBV", sizes[1])
            await self.show("ArraySize_RBV", array.pixels.nbytes)

    async def show_stamps(self, array: NDArray) -> None:
        """Show when the frame was taken; its number last.

        Parameters
        ----------
        array
            The frame.
        """
        await self.show("TimeStamp_RBV", array.time_stamp_s)
        await self.show("EpicsTSSec_RBV", array.epics_seconds)
        await self.show("EpicsTSNsec_RBV", array.epics_nanoseconds)
        await self.show("UniqueId_RBV", array.unique_id)

    async def _show_queue(self) -> None:
        waiting = len(self._queue)
        await self.show("QueueUse", waiting)
        await self.show("QueueFree", max(self.value("QueueSize") - waiting, 0))
        await self.show("NumQueuedArrays", waiting)

    async def _put_port(self, value: str) -> None:
        if value != CAMERA_PORT:
            msg = f"got {value!r}, the only port that has frames is {CAMERA_PORT}"
            raise RefusedPutError(msg)

    async def _put_process(self, value: int) -> None:
        if value and self.last is not None:
            await self._take(self.last)
        await self.show("ProcessPlugin", 0)
        raise SkipWrite

    async def _put_queue_size(self, value: Any) -> None:
        await self.show("QueueFree", max(value - len(self._queue), 0))
