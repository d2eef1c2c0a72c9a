"""The CCD as a camera: images and kinetic series, in files that its IOC writes."""

import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from event_model import compose_stream_resource
from ophyd import Component as Cpt
from ophyd import EpicsSignalRO

from triplet_bluesky.devices.ccd import IMAGE, Camera, CameraNumber
from triplet_bluesky.devices.derived import Derived
from triplet_bluesky.devices.detector import Detector
from triplet_bluesky.devices.hdf5 import DATASET, FramesFolder, Hdf5Writer
from triplet_bluesky.devices.operation import (
    Halt,
    issue,
    label,
    read_fresh,
)
from triplet_bluesky.devices.optional import OptionalSignalRO
from triplet_bluesky.devices.staging import answering
from triplet_bluesky.errors import AcquireError, ConnectError

__all__ = ["CCDImages", "ImagingCamera"]

DTYPES = {
    "Int8": "|i1",
    "UInt8": "|u1",
    "Int16": "<i2",
    "UInt16": "<u2",
    "Int32": "<i4",
    "UInt32": "<u4",
    "Int64": "<i8",
    "UInt64": "<u8",
    "Float32": "<f4",
    "Float64": "<f8",
}
"""numpy's names of areaDetector's pixel types."""

TEMPLATE = "%s%s_%4.4d.h5"
"""areaDetector's form of a file name: folder, name and number."""

MAY_MAKE_ONE_FOLDER = -1
"""``CreateDirectory``: how many levels of folders the IOC may add."""

SETTLE_S = 10.0
"""Longest time until the writer takes frames."""

READOUT_ALLOWANCE_S = 10.0
"""Longest time of an acquisition beyond its exposures, apart from the next one."""

FRAME_ALLOWANCE_S = 1.0
"""Longest time that each frame may take beyond its exposure or period."""

STALL_S = 5.0
"""A file that gets no frame for so long after the last exposure gets none any more."""

CHECK_S = 0.05
"""Seconds between looks at an acquisition."""

CHUNK_BYTES = 32 * 2**20
"""Most bytes that Tiled hands out at once."""


class ImagingCamera(Camera):
    """The ``cam1:`` records that images and kinetic series need in addition."""

    num_images = Cpt(CameraNumber, "NumImages", tolerance=0, kind="config")
    num_exposures = Cpt(CameraNumber, "NumExposures", tolerance=0, kind="config")
    acquire_period = Cpt(CameraNumber, "AcquirePeriod", tolerance=1e-6, kind="config")
    min_x = Cpt(CameraNumber, "MinX", tolerance=0, kind="config")
    min_y = Cpt(CameraNumber, "MinY", tolerance=0, kind="config")
    size_x = Cpt(CameraNumber, "SizeX", tolerance=0, kind="config")
    size_y = Cpt(CameraNumber, "SizeY", tolerance=0, kind="config")
    bin_x = Cpt(CameraNumber, "BinX", tolerance=0, kind="config")
    bin_y = Cpt(CameraNumber, "BinY", tolerance=0, kind="config")
    array_size_x = Cpt(EpicsSignalRO, "ArraySizeX_RBV", kind="omitted")
    array_size_y = Cpt(EpicsSignalRO, "ArraySizeY_RBV", kind="omitted")
    data_type = Cpt(EpicsSignalRO, "DataType_RBV", string=True, kind="omitted")
    saturated_pixels = Cpt(OptionalSignalRO, "SaturatedPixels_RBV", kind="hinted")


@dataclass(frozen=True, slots=True)
class FrameStack:
    """What each trigger takes, unchanged from stage to unstage."""

    frames: int
    rows: int
    columns: int
    dtype: str
    """numpy's name of the type of a pixel."""

    @property
    def shape(self) -> list[int]:
        """Frames, rows and columns."""
        return [self.frames, self.rows, self.columns]

    @property
    def chunk(self) -> tuple[int, int]:
        """Points and frames that are handed out at once."""
        frame = self.rows * self.columns * int(self.dtype[2:])
        return (1, max(1, min(self.frames, CHUNK_BYTES // frame)))


class Stall:
    """Tells when a count has stood still for too long.

    Parameters
    ----------
    longest
        How long is too long, in seconds.
    """

    def __init__(self, longest: float) -> None:
        self.longest = longest
        self._count = -1
        self._since = 0.0

    def at(self, count: int) -> bool:
        """Take note of the count now; True when it has not changed for too long."""
        now = time.monotonic()
        if count != self._count:
            self._count, self._since = count, now
        return now - self._since > self.longest


class CCDImages(Detector):
    """The CCD that takes ``cam.num_images`` frames for each trigger, into a file.

    Each trigger makes a new file in a folder of the day, which holds its frames and
    nothing else; a trigger that fails or is interrupted leaves a file to which no
    document refers. Frames are images; with ``read_out`` set to
    ``FVB`` they are spectra, one row high. ``cam.acquire_period`` is the period of a
    kinetic series. The status of a trigger is finished when the file has all frames and
    is closed.

    Staging sets the camera and the writer up; unstaging puts back what was set.

    Parameters
    ----------
    prefix
        PV prefix with its trailing colon, for example ``"TRIPLET:CCD:"``.
    name
        Name of the device in plans, and of the frames in the data.
    folder
        Where the files go; without it the device cannot be staged.
    """

    cam = Cpt(ImagingCamera, "cam1:", kind="normal")
    hdf = Cpt(Hdf5Writer, "HDF1:", kind="omitted")

    read_out = Cpt(Derived, units="", value=IMAGE, kind="omitted")
    """Read-out mode that staging chooses."""
    file = Cpt(Derived, units="", value="", kind="normal")
    """File with the frames of the last trigger, as this computer sees it."""

    def __init__(
        self, prefix: str, *, folder: FramesFolder | None = None, **kwargs: Any
    ) -> None:
        super().__init__(prefix, **kwargs)
        self.folder = folder
        self._stack: FrameStack | None = None
        self._taken: Path | None = None
        self._index = 0

    def unstage(self) -> list[object]:
        """Forget the frames, and put back what was set before.

        Returns
        -------
        :
            This device and its parts.
        """
        self._stack = self._taken = None
        return super().unstage()

    def describe(self) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleMethodOverride] - ophyd's own type has no parameters
        """Describe the readings and the frames, which Tiled reads from the file."""
        readings: Any = super().describe()
        description = dict(readings)
        with answering(self):
            stack = self._stack or self._asked()
        description[self.name] = {
            "source": f"PV:{self.hdf.full_file_name.pvname}",
            "dtype": "array",
            "dtype_numpy": stack.dtype,
            "shape": stack.shape,
            "dims": ["frame", "row", "pixel"],
            "units": "ADU",
            "external": "STREAM:",
            "object_name": self.name,
        }
        return description

    def get_index(self) -> int:
        """Give the number of files that were taken since staging."""
        return self._index

    def collect_asset_docs(
        self,
        index: int | None = None,  # noqa: ARG002 - there is one file at a time
    ) -> Iterator[tuple[str, Any]]:
        """Give the documents that say in which file the frames are, once.

        Parameters
        ----------
        index
            Not used.

        Yields
        ------
        :
            Name and document: the file, and its place in the run.

        Raises
        ------
        AcquireError
            If there are no frames that were not recorded yet.
        """
        file, stack, self._taken = self._taken, self._stack, None
        if file is None or stack is None:
            msg = (
                f"{label(self)}: got no frames to record; expected a trigger, in a "
                "staged device, before each reading"
            )
            raise AcquireError(msg)
        bundle = compose_stream_resource(
            mimetype="application/x-hdf5",
            uri=f"file://localhost{file.as_posix()}",
            data_key=self.name,
            parameters={
                "dataset": DATASET,
                "chunk_shape": list(stack.chunk),
                "swmr": False,
            },
        )
        yield "stream_resource", bundle.stream_resource_doc
        datum = bundle.compose_stream_datum(
            indices={"start": 0, "stop": 1}, seq_nums={"start": 0, "stop": 0}
        )
        yield "stream_datum", datum

    def _set_up(self) -> None:
        if self.folder is None:
            msg = (
                f"{label(self)}: got no folder for the files of frames; expected one; "
                "give folder= to the device"
            )
            raise AcquireError(msg)
        now = datetime.now().astimezone()
        day = self.folder.for_ioc(f"{now:%Y-%m-%d}")
        self._settings.set(self.hdf.create_directory, MAY_MAKE_ONE_FOLDER)
        self._settings.set(self.hdf.file_path, str(day))
        self.hdf.check_folder(day)
        self._settings.set(self.hdf.file_name, f"{now:%H%M%S}_{uuid.uuid4().hex[:8]}")
        self._settings.set(self.hdf.file_number, 1)
        self._settings.set(self.hdf.file_template, TEMPLATE)
        self._settings.set(self.hdf.auto_increment, "Yes")
        self._settings.set(self.hdf.lazy_open, "Yes")
        self._settings.set(self.hdf.file_write_mode, "Stream")
        self._settings.set(self.hdf.enable, "Enable")
        self._settings.set(self.cam.array_callbacks, "Enable")
        self._settings.set(self.cam.image_mode, "Multiple")
        self._settings.set(self.cam.read_out_mode, self.read_out.get())
        self._stack = self._asked()
        self._settings.set(self.hdf.num_capture, self._stack.frames)
        self._index = 0

    def _asked(self) -> FrameStack:
        pixel_type = str(read_fresh(self.cam.data_type))
        return FrameStack(
            frames=int(self.cam.num_images.position),
            rows=int(read_fresh(self.cam.array_size_y)),
            columns=int(read_fresh(self.cam.array_size_x)),
            dtype=DTYPES[pixel_type],
        )

    def _take(self, halt: Halt) -> None:
        self._taken = None
        stack = self._stack
        if stack is None or self.folder is None:
            msg = f"{label(self)}: triggered before it was staged"
            raise AcquireError(msg)
        if self._asked() != stack:
            msg = (
                f"{label(self)}: got {self._asked()}, staged for {stack}; change the "
                "frames between runs, not within one"
            )
            raise AcquireError(msg)
        last_id = int(read_fresh(self.hdf.unique_id)) + stack.frames
        dropped = self._dropped()
        captured = halt.issue(self.hdf.capture, 1)
        try:
            self._await_writer()
            acquired = halt.issue(self.cam.acquire, 1)
            self._await_frames(acquired, captured, dropped)
            self._check_frames(stack, last_id, dropped)
        except BaseException:
            self._abandon()
            raise
        file = self.folder.from_ioc(str(read_fresh(self.hdf.full_file_name)))
        if not file.is_file():
            msg = (
                f"{label(self)}: the IOC says that it wrote {file.name}, but there is "
                f"no {file} here; are frames_dir and ioc_frames_dir the same folder?"
            )
            raise AcquireError(msg)
        self.file.put(str(file), timestamp=time.time())
        self._index += 1
        self._taken = file

    def _await_writer(self) -> None:
        """Wait until the writer takes frames."""
        deadline = time.monotonic() + SETTLE_S
        while not read_fresh(self.hdf.capturing):
            self.hdf.check_status()
            if time.monotonic() > deadline:
                msg = f"{label(self.hdf)}: did not begin to capture in {SETTLE_S:g} s"
                raise AcquireError(msg)
            threading.Event().wait(CHECK_S)

    def _await_frames(
        self, acquired: threading.Event, captured: threading.Event, dropped: int
    ) -> None:
        """Wait until the file is closed, or it is clear that it will not be."""
        frames = int(self.cam.num_images.position)
        exposures_s = self.cam.num_exposures.position * self.cam.acquire_time.position
        frame_s = max(exposures_s, self.cam.acquire_period.position)
        longest = frames * (frame_s + FRAME_ALLOWANCE_S) + READOUT_ALLOWANCE_S
        deadline = time.monotonic() + longest
        stalled = Stall(STALL_S)
        while not (captured.wait(CHECK_S) and acquired.is_set()):
            if not self.cam.acquire.connected:
                msg = f"{label(self)}: lost the connection to the IOC while it acquired"
                raise ConnectError(msg)
            self.hdf.check_status()
            if not acquired.is_set():
                if time.monotonic() > deadline:
                    state = read_fresh(self.cam.detector_state)
                    msg = (
                        f"{label(self)}: {frames} frames were not taken within "
                        f"{longest:g} s; the camera is in state {state}"
                    )
                    raise AcquireError(msg)
            elif self._dropped() > dropped or stalled.at(
                int(read_fresh(self.hdf.num_captured))
            ):
                return

    def _dropped(self) -> int:
        return int(read_fresh(self.hdf.dropped_arrays))

    def _check_frames(self, stack: FrameStack, last_id: int, dropped: int) -> None:
        self.hdf.check_status()
        written = int(read_fresh(self.hdf.num_captured))
        lost = self._dropped() - dropped
        unique_id = int(read_fresh(self.hdf.unique_id))
        if written == stack.frames and not lost and unique_id == last_id:
            self._check_size(stack)
            return
        msg = (
            f"{label(self)}: asked for {stack.frames} frames, the file has {written}; "
            f"the writer has dropped {lost} and had frame {unique_id} last, expected "
            f"{last_id}; was the acquisition aborted, or does another client drive "
            "the camera?"
        )
        raise AcquireError(msg)

    def _check_size(self, stack: FrameStack) -> None:
        rows, columns = (read_fresh(s) for s in (self.hdf.rows, self.hdf.columns))
        if (int(rows), int(columns)) != (stack.rows, stack.columns):
            msg = (
                f"{label(self)}: the file has frames of {rows} x {columns} pixels, the "
                f"camera announced {stack.rows} x {stack.columns}"
            )
            raise AcquireError(msg)

    def _abandon(self) -> None:
        """End what runs, without waiting; the failure is on its way already."""
        for signal in (self.cam.acquire, self.hdf.capture):
            if signal.connected:
                issue(signal, 0)
