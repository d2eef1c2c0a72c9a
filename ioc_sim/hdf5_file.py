"""A file of frames, laid out as areaDetector's HDF5 plugin does by default."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ioc_sim.nd_array import NDArray

__all__ = ["FILE_ERRORS", "FileSettings", "FrameFile"]

FILE_ERRORS = (OSError, RuntimeError, ValueError)
"""What h5py raises when a file cannot be opened, written or closed."""

VERSION = ("v110", "v110")
"""Format of the file: the first one that can be read while it grows."""

ATTRIBUTE_CHUNK = 16
"""Frames in a chunk of attributes, unless another number is given; ADCore."""

TEXT = "S256"
"""Type of an attribute that is a text; ADCore."""

STAMPS = {
    "NDArrayUniqueId": ("i4", "The unique ID of the NDArray"),
    "NDArrayTimeStamp": ("f8", "The timestamp of the NDArray as float64"),
    "NDArrayEpicsTSSec": ("u4", "The NDArray EPICS timestamp seconds past epoch"),
    "NDArrayEpicsTSnSec": ("u4", "The NDArray EPICS timestamp nanoseconds"),
}
"""Attributes that every frame has: their types and descriptions; ADCore."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSettings:
    """How a file is written."""

    chunk: tuple[int, int, int] = (1, 0, 0)
    """Frames, rows and columns of a chunk; 0 for those of a frame."""
    attribute_chunk: int = 0
    """Frames in a chunk of attributes; 0 for areaDetector's own number."""
    zlib: int | None = None
    """Effort of the compression, from 0 to 9; None for no compression."""
    fill: float = 0.0
    """Value of pixels that were not written, in ADU."""
    align: tuple[int, int] = (1, 0)
    """Least size of data that are aligned, and the multiple; 0 for any, in bytes."""
    attributes: bool = True
    """Whether to write what is known about each frame."""
    growing: bool = False
    """Whether others may read the file while it grows (SWMR)."""
    flush_every: int = 0
    """Frames between two flushes; 0 for each frame of a growing file, else none."""


class FrameFile:
    """A file that takes frames, one after another.

    Not for the event loop: what it does takes as long as the disk takes.

    Parameters
    ----------
    path
        Where to make the file; there must be none.
    example
        A frame of the size and with the attributes that all will have.
    settings
        How to write.

    Raises
    ------
    OSError
        If the file cannot be made, or there is one.
    """

    def __init__(self, path: Path, example: NDArray, settings: FileSettings) -> None:
        self.path = path
        self.frames = 0
        """Frames written so far."""
        self.flushes = 0
        """Times that it was flushed while it grew."""
        self._settings = settings
        self._pending: list[NDArray] = []
        threshold, multiple = settings.align
        aligned = {"alignment_threshold": threshold, "alignment_interval": multiple}
        self._file = h5py.File(
            path, "x", libver=VERSION, **(aligned if multiple else {})
        )
        try:
            self._lay_out(example)
            if settings.growing:
                self._file.swmr_mode = True
        except BaseException:
            self._file.close()
            raise

    def append(self, array: NDArray) -> None:
        """Write a frame behind the others.

        Parameters
        ----------
        array
            The frame, of the size of the first one.
        """
        self._pending.append(array)
        self._data.resize(self.frames + 1, axis=0)
        self._data[self.frames] = array.pixels
        self.frames += 1
        every = self._settings.flush_every or int(self._settings.growing)
        if every and self.frames % every == 0:
            self.flush()

    def flush(self) -> None:
        """Make what was written visible to readers: attributes first, then pixels."""
        self._write_attributes()
        for dataset in self._attributes.values():
            dataset.flush()
        self._data.flush()
        self.flushes += 1

    def close(self) -> None:
        """Complete the file."""
        try:
            self._write_attributes()
        finally:
            self._file.close()

    def _lay_out(self, example: NDArray) -> None:
        entry = _group(self._file, "entry", "NXentry")
        instrument = _group(entry, "instrument", "NXinstrument")
        detector = _group(instrument, "detector", "NXdetector")
        self._data = self._make_data(detector, example)
        _group(entry, "data", "NXdata")["data"] = self._data
        names = _group(instrument, "NDAttributes", "NXcollection")
        self._attributes: dict[str, h5py.Dataset] = {}
        if self._settings.attributes:
            for name, (kind, doc) in STAMPS.items():
                self._attributes[name] = self._make_attribute(names, name, kind, doc)
            for name, value in example.attributes.items():
                kind = TEXT if isinstance(value, str) else np.asarray(value).dtype
                self._attributes[name] = self._make_attribute(names, name, kind, name)

    def _make_data(self, group: h5py.Group, example: NDArray) -> h5py.Dataset:
        shape = example.pixels.shape
        frames, *wanted = self._settings.chunk
        chunk = [
            min(part or size, size) for part, size in zip(wanted, shape, strict=True)
        ]
        packed: dict[str, Any] = {}
        if self._settings.zlib is not None:
            packed = {"compression": "gzip", "compression_opts": self._settings.zlib}
        data = group.create_dataset(
            "data",
            shape=(0, *shape),
            maxshape=(None, *shape),
            dtype=example.pixels.dtype,
            chunks=(max(frames, 1), *chunk),
            fillvalue=self._settings.fill,
            **packed,
        )
        data.attrs["signal"] = 1
        return data

    def _make_attribute(
        self, group: h5py.Group, name: str, kind: Any, doc: str
    ) -> h5py.Dataset:
        made = group.create_dataset(
            name,
            shape=(0,),
            maxshape=(None,),
            dtype=kind,
            chunks=(self._settings.attribute_chunk or ATTRIBUTE_CHUNK,),
        )
        made.attrs["NDAttrName"] = name
        made.attrs["NDAttrDescription"] = doc
        made.attrs["NDAttrSourceType"] = "NDAttrSourceDriver"
        made.attrs["NDAttrSource"] = "Driver"
        return made

    def _write_attributes(self) -> None:
        if not self._pending:
            return
        for name, dataset in self._attributes.items():
            written = len(dataset)
            dataset.resize(written + len(self._pending), axis=0)
            values = [_attribute(array, name) for array in self._pending]
            dataset[written:] = np.array(values, dtype=dataset.dtype)
        self._pending.clear()


def _group(parent: h5py.Group, name: str, kind: str) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs["NX_class"] = kind
    return group


def _attribute(array: NDArray, name: str) -> Any:
    stamps = {
        "NDArrayUniqueId": array.unique_id,
        "NDArrayTimeStamp": array.time_stamp_s,
        "NDArrayEpicsTSSec": array.epics_seconds,
        "NDArrayEpicsTSnSec": array.epics_nanoseconds,
    }
    return stamps[name] if name in stamps else array.attributes[name]
