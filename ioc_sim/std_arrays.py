"""The plugin of the CCD that serves its last frame as a waveform."""

from typing import Any

import numpy as np

from ioc_sim.base import Part
from ioc_sim.declare import choice, choice_rbv, integer_rbv, text_rbv, waveform_rbv

__all__ = ["StdArrays"]

PIXELS = 1024
COUNTER = (0, 2**31 - 1)
DISABLE_ENABLE = ("Disable", "Enable")
PLUGIN = "ADCore NDPluginBase"


class StdArrays(Part):
    """Takes over the frames of the camera, unless it is disabled."""

    array_data = waveform_rbv(
        "ArrayData",
        np.zeros(PIXELS, dtype=np.int32),
        (0, 65535),
        "ADU",
        doc="The last frame",
        mirrors="ADCore NDStdArrays",
    )
    array_counter_rbv = integer_rbv(
        "ArrayCounter_RBV",
        0,
        COUNTER,
        "frames",
        doc="ArrayCounter of that frame",
        mirrors=PLUGIN,
    )
    unique_id_rbv = integer_rbv(
        "UniqueId_RBV",
        0,
        COUNTER,
        "frames",
        doc="Number of that frame since the IOC started",
        mirrors=PLUGIN,
    )
    array_size0_rbv = integer_rbv(
        "ArraySize0_RBV",
        PIXELS,
        (0, PIXELS),
        "px",
        doc="Pixels of that frame",
        mirrors=PLUGIN,
    )
    enable_callbacks = choice(
        "EnableCallbacks",
        DISABLE_ENABLE,
        "Enable",
        doc="Take over new frames",
        mirrors=PLUGIN,
    )
    enable_callbacks_rbv = choice_rbv(
        "EnableCallbacks_RBV",
        DISABLE_ENABLE,
        "Enable",
        doc="New frames are taken over",
        mirrors=PLUGIN,
    )
    plugin_type_rbv = text_rbv(
        "PluginType_RBV",
        "NDPluginStdArrays",
        doc="Kind of the plugin",
        mirrors=PLUGIN,
    )

    async def take_over(self, frame: np.ndarray, counter: int, unique_id: int) -> None:
        """Serve a frame; its number is written after its pixels.

        Parameters
        ----------
        frame
            Counts, in ADU.
        counter
            The camera's resettable counter.
        unique_id
            Number of the frame since the IOC started.
        """
        if self.enable_callbacks_rbv.value == "Enable":
            await self.array_data.post(frame.astype(np.int32))
            await self.array_counter_rbv.post(counter)
            await self.unique_id_rbv.post(unique_id)

    @enable_callbacks.putter
    async def _put_enable_callbacks(self, instance: Any, value: str) -> None:
        """Take over new frames, or keep the last one."""
        await self.enable_callbacks_rbv.post(value)
