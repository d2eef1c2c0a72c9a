"""The plugin of the CCD that serves its last frame as a waveform."""

import numpy as np

from ioc_sim.declare import waveform_rbv
from ioc_sim.nd_array import NDArray
from ioc_sim.plugin import CAMERA_PORT, Plugin
from ioc_sim.records import records

__all__ = ["StdArrays"]

CHIP = 1024 * 256
"""Pixels of the chip: the longest frame."""

LINE = 1024
"""Pixels of a frame at the start."""

_Declared = records(
    "StdArraysRecords",
    ("NDArrayBase", "NDArrayBase:plugin", "NDPluginBase"),
    {
        "PluginType_RBV": "NDPluginStdArrays",
        "PortName_RBV": "IMAGE1",
        "NDArrayPort": CAMERA_PORT,
    },
)


class StdArrays(Plugin, _Declared):
    """Serves the last frame, row by row."""

    array_data = waveform_rbv(
        "ArrayData",
        np.zeros(LINE, dtype=np.int32),
        (0, 65535),
        "ADU",
        max_length=CHIP,
        doc="The last frame, row by row",
        mirrors="ADCore NDStdArrays ArrayData",
    )

    async def process(self, array: NDArray) -> None:
        """Serve a frame; its number is written after its pixels.

        Parameters
        ----------
        array
            The frame.
        """
        await self.array_data.post(array.pixels.ravel().astype(np.int32))
        await self.count()
        await self.show_stamps(array)
