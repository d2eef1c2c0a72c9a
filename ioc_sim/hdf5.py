"""The plugin of the CCD that writes its frames into HDF5 files."""

import asyncio
import errno
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from caproto import AlarmSeverity, AlarmStatus, SkipWrite

from ioc_sim.alarms import NO_ALARM, Alarm
from ioc_sim.base import Busy, Instrument
from ioc_sim.channels import RefusedPutError
from ioc_sim.folders import make_folder
from ioc_sim.hdf5_file import FILE_ERRORS, FileSettings, FrameFile
from ioc_sim.nd_array import NDArray
from ioc_sim.plugin import CAMERA_PORT, Plugin
from ioc_sim.records import records

__all__ = ["Hdf5"]

logger = logging.getLogger(__name__)

LONGEST_NAME = 255
"""Characters that a path in a CHAR waveform of ADCore may have."""

BITS_PER_BYTE, MEGA = 8, 1e6

MAJOR = Alarm(AlarmStatus.STATE, AlarmSeverity.MAJOR_ALARM)

FIELD = re.compile(r"%(?:%|[-+ #0]*(\d*)(?:\.(\d*))?)")
"""A field of a template, with its width and its precision."""

_Declared = records(
    "Hdf5Records",
    ("NDArrayBase", "NDArrayBase:plugin", "NDPluginBase", "NDFile", "NDFileHDF5"),
    {
        "PluginType_RBV": "NDFileHDF5",
        "PortName_RBV": "HDF1",
        "NDArrayPort": CAMERA_PORT,
    },
)


class WriteError(Exception):
    """A file could not be written; the message says which and why."""


class Hdf5(Plugin, _Declared):
    """Writes frames, one to a file or many; the disk does not hold up the server.

    A capture ends by itself when its file is complete, or when it cannot go on: the
    frames that were written until then stay in a closed file. A file that exists is
    never written over.

    Parameters
    ----------
    prefix
        What its PV names begin with.
    parent
        The CCD.
    """

    def __init__(self, prefix: str, *, parent: Instrument) -> None:
        super().__init__(prefix, parent=parent)
        self._faults = parent.world.faults
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="hdf5")
        self._capture = Busy("a capture")
        self._write = Busy("a file is written")
        self._capturing = False
        self._failure = ""
        self._file: FrameFile | None = None
        self._final = Path()
        self._opened = 0.0
        self._kept: list[NDArray] = []
        for name, putter in (
            ("Capture", self._put_capture),
            ("WriteFile", self._put_write_file),
            ("FreeCapture", self._put_free_capture),
            ("FlushNow", self._put_flush),
            ("FilePath", self._put_path),
            ("CreateDirectory", self._put_create_directory),
            ("FileTemplate", self._put_template),
            ("FileWriteMode", self._put_write_mode),
            ("ReadFile", self._put_read_file),
            ("Compression", _one_of("None", "zlib")),
            ("FileFormat", _one_of("HDF5")),
        ):
            self.when_put(name, putter)

    async def start(self) -> None:
        """Look whether the folder at the start is there."""
        await self._look_for_folder(self.value("FilePath"))

    async def finish(self) -> None:
        """Close the file that is being written, if there is one."""
        self._capture.abort.set()
        async with self._turn:
            await self._end_capture()

    async def process(self, array: NDArray) -> None:
        """Write or keep a frame, if it is to be.

        Parameters
        ----------
        array
            The frame.
        """
        mode = self.value("FileWriteMode")
        if mode == "Single" and self.value("AutoSave") == "Yes":
            self._failure = ""
            await self._attempt(self._write_frames([array]))
        elif mode == "Capture" and self._capturing:
            await self._keep(array)
        elif mode == "Stream" and self._capturing:
            await self._stream(array)
        await self.show_stamps(array)

    # --- capturing

    async def _put_capture(self, value: str) -> None:
        """Capture frames; completes when the file is closed, or has failed."""
        await self._capture.put(self.record("Capture"), value, self._capture_frames)

    async def _capture_frames(self) -> None:
        async with self._turn:
            await self._begin_capture()
        await self._capture.abort.wait()
        async with self._turn:
            await self._end_capture()
        if self._failure:
            raise RefusedPutError(self._failure)

    async def _begin_capture(self) -> None:
        mode = self.value("FileWriteMode")
        if mode == "Single":
            msg = "got Capture in Single mode, expected FileWriteMode Capture or Stream"
            raise RefusedPutError(msg)
        if mode == "Capture" and self.value("NumCapture") == 0:
            msg = "got Capture of 0 frames, expected NumCapture 1 or more, or Stream"
            raise RefusedPutError(msg)
        await self._say("")
        await self.show("NumCaptured_RBV", 0)
        self._failure = ""
        self._kept.clear()
        if mode == "Stream":
            await self._begin_stream()
        self._capturing = True
        await self.show("Capture_RBV", "Capturing")

    async def _begin_stream(self) -> None:
        if self.value("LazyOpen") == "Yes":
            await self.show("WriteMessage", "Lazy Open...")
        elif self.last is None:
            msg = "no frame to know the size from: take one, or put LazyOpen to Yes"
            await self._say(msg)
            raise RefusedPutError(msg)
        else:
            await self._attempt(self._open(self.last))
            if self._failure:
                raise RefusedPutError(self._failure)
        await self.show("WriteFile_RBV", "Writing")

    async def _keep(self, array: NDArray) -> None:
        """Keep a frame in memory until there are enough."""
        if not await self._fits(array, self._kept[0] if self._kept else array):
            return
        self._kept.append(array)
        await self.count()
        await self.show("NumCaptured_RBV", len(self._kept))
        if len(self._kept) >= self.value("NumCapture"):
            if self.value("AutoSave") == "Yes":
                await self._attempt(self._write_kept())
            await self._end_capture()

    async def _stream(self, array: NDArray) -> None:
        """Write a frame into the open file."""
        if self._file is None:
            await self._attempt(self._open(array))
        elif not await self._fits(array, self._first):
            return
        if not self._failure:
            await self._attempt(self._append(array))
        if not self._failure:
            await self.count()
        if self._file is not None:
            await self.show("NumCaptured_RBV", self._file.frames)
        wanted = self.value("NumCapture")
        if self._failure or self._file is None or self._file.frames == wanted:
            await self._end_capture()

    async def _fits(self, array: NDArray, first: NDArray) -> bool:
        if array.pixels.shape == first.pixels.shape:
            return True
        got, expected = array.pixels.shape, first.pixels.shape
        await self._say(f"frame of {got} ignored: the file has frames of {expected}")
        return False

    async def _end_capture(self) -> None:
        if not self._capturing:
            return
        self._capturing = False
        if self._file is not None:
            await self._attempt(self._close())
        await self.show("WriteFile_RBV", "Done")
        await self.show("Capture_RBV", "Done")
        self._capture.abort.set()

    # --- writing

    async def _put_write_file(self, value: str) -> None:
        """Write the last frame, or the frames that were kept."""
        await self._write.put(self.record("WriteFile"), value, self._write_now)

    async def _write_now(self) -> None:
        mode = self.value("FileWriteMode")
        async with self._turn:
            self._failure = ""
            if mode == "Single" and self.last is not None:
                await self._attempt(self._write_frames([self.last]))
            elif mode == "Capture" and self._kept:
                await self._attempt(self._write_kept())
            else:
                self._failure = f"no frame to write in mode {mode}"
                await self._say(self._failure)
        if self._failure:
            raise RefusedPutError(self._failure)

    async def _write_kept(self) -> None:
        await self._write_frames(self._kept, counted=True)
        self._kept.clear()
        await self.show("NumCaptured_RBV", 0)

    async def _write_frames(
        self, arrays: list[NDArray], *, counted: bool = False
    ) -> None:
        await self.show("WriteFile_RBV", "Writing")
        try:
            await self._open(arrays[0])
            for array in arrays:
                await self._append(array)
                if not counted:
                    await self.count()
        finally:
            if self._file is not None:
                await self._close()
            await self.show("WriteFile_RBV", "Done")

    async def _attempt(self, work: Awaitable[None]) -> None:
        """Do something with the file, and show how it went."""
        try:
            await work
        except WriteError as error:
            self._failure = str(error)
        await self._say(self._failure)

    async def _say(self, failure: str) -> None:
        if failure:
            logger.warning("%s: %s", self.prefix, failure)
        await self.show("WriteMessage", failure[:LONGEST_NAME])
        await self.show("WriteStatus", "Write error" if failure else "Write OK")
        await self.warn("WriteStatus", *(MAJOR if failure else NO_ALARM))

    async def _open(self, example: NDArray) -> None:
        path = self._name()
        await self.show("FullFileName_RBV", str(path))
        await self._look_for_folder(self.value("FilePath"))
        self._final, self._first = path, example
        temporary = path.with_name(path.name + self.value("TempSuffix"))
        settings = self._settings()

        def make() -> FrameFile:
            if path.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            return FrameFile(temporary, example, settings)

        self._file = await self._on_disk(f"{path} cannot be opened", make)
        self._opened = time.perf_counter()
        if self.value("AutoIncrement") == "Yes":
            number = self.value("FileNumber") + 1
            for name in ("FileNumber", "FileNumber_RBV"):
                await self.show(name, number)
        if settings.growing:
            await self.show("SWMRActive_RBV", "Active")

    async def _append(self, array: NDArray) -> None:
        file, full = self._file, self._faults.active("disk_full")
        if file is None:
            return

        def write() -> None:
            if full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            file.append(array)

        where = f"{self._final} cannot be written after {file.frames} frames"
        await self._on_disk(where, write)
        await self.show("SWMRCbCounter_RBV", file.flushes)

    async def _close(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        final, took = self._final, max(time.perf_counter() - self._opened, 1e-6)

        def complete() -> None:
            file.close()
            if not file.frames:
                file.path.unlink()
            elif file.path != final:
                file.path.rename(final)

        try:
            await self._on_disk(f"{final} cannot be closed", complete)
        finally:
            await self.show("SWMRActive_RBV", "Off")
            bits = BITS_PER_BYTE * file.frames * self._first.pixels.nbytes
            await self.show("RunTime", took)
            await self.show("IOSpeed", bits / MEGA / took)

    async def _on_disk(self, failed: str, work: Callable[[], Any]) -> Any:
        """Do something in the thread that has the file, so that the server goes on."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._disk, work)
        except FILE_ERRORS as error:
            number = getattr(error, "errno", None)
            reason = os.strerror(number) if number else str(error)
            msg = f"{failed}: {reason}"
            raise WriteError(msg) from error

    def _name(self) -> Path:
        path, name = self.value("FilePath"), self.value("FileName")
        full = self.value("FileTemplate") % (path, name, self.value("FileNumber"))
        if len(full) > LONGEST_NAME:
            msg = f"the name has {len(full)} characters, limit {LONGEST_NAME}: {full}"
            raise WriteError(msg)
        return Path(full)

    def _settings(self) -> FileSettings:
        packed = self.value("Compression") == "zlib"
        return FileSettings(
            chunk=(
                self.value("NumFramesChunks"),
                self.value("NumRowChunks"),
                self.value("NumColChunks"),
            ),
            attribute_chunk=self.value("NDAttributeChunk"),
            zlib=self.value("ZLevel") if packed else None,
            fill=self.value("FillValue"),
            align=(self.value("BoundaryThreshold"), self.value("BoundaryAlign")),
            attributes=self.value("StoreAttr") == "Yes",
            growing=self.value("SWMRMode") == "On",
            flush_every=self.value("NumFramesFlush"),
        )

    # --- settings

    async def _put_path(self, value: str) -> str:
        folder = value if value.endswith("/") else f"{value}/"
        await self.show("FilePath_RBV", folder)
        await self._look_for_folder(folder)
        return folder

    async def _put_create_directory(self, value: int) -> None:
        await self.show("CreateDirectory_RBV", value)
        await self._look_for_folder(self.value("FilePath"))

    async def _look_for_folder(self, folder: str) -> None:
        levels = self.value("CreateDirectory")
        loop = asyncio.get_running_loop()
        work = make_folder, Path(folder), levels
        there = await loop.run_in_executor(self._disk, *work)
        await self.show("FilePathExists_RBV", "Yes" if there else "No")
        await self.warn("FilePathExists_RBV", *(NO_ALARM if there else MAJOR))

    async def _put_template(self, value: str) -> None:
        numbers = [int(n) for found in FIELD.findall(value) for n in found if n]
        if max(numbers, default=0) > LONGEST_NAME:
            msg = f"got {value!r}, expected fields of {LONGEST_NAME} characters at most"
            raise RefusedPutError(msg)
        try:
            made = value % ("/folder/", "name", 1)
        except (TypeError, ValueError) as error:
            msg = f"got {value!r}, expected three fields like %s%s_%6.6d.h5 ({error})"
            raise RefusedPutError(msg) from error
        if not made.startswith("/"):
            msg = f"got {value!r}, expected it to begin with the path, %s"
            raise RefusedPutError(msg)

    async def _put_write_mode(self, value: str) -> None:
        if self._capturing and value != self.value("FileWriteMode"):
            msg = f"got {value} during a capture; put Capture to Done first"
            raise RefusedPutError(msg)

    async def _put_read_file(self, value: str) -> None:
        if value != "Done":
            msg = f"got {value}, files are not read here"
            raise RefusedPutError(msg)

    async def _put_free_capture(self, value: int) -> None:
        if value:
            self._kept.clear()
            await self.show("NumCaptured_RBV", 0)
        await self.show("FreeCapture", 0)
        raise SkipWrite

    async def _put_flush(self, value: int) -> None:
        async with self._turn:
            if value and self._file is not None:
                flush = self._on_disk(
                    f"{self._final} cannot be flushed", self._file.flush
                )
                await self._attempt(flush)
        await self.show("FlushNow", 0)
        raise SkipWrite


def _one_of(*possible: str) -> Any:
    async def put(value: str) -> None:
        if value not in possible:
            msg = f"got {value}, possible here: {', '.join(possible)}"
            raise RefusedPutError(msg)

    return put
