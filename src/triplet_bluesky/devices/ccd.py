"""The CCD, by the names of its areaDetector driver: sub-exposures of one spectrum."""

import threading
import time
from typing import Any

import numpy as np
from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal, EpicsSignalRO
from ophyd.status import DeviceStatus

from triplet_bluesky.devices.derived import Derived
from triplet_bluesky.devices.operation import (
    Halt,
    await_completion,
    label,
    read_fresh,
    run_operation,
)
from triplet_bluesky.devices.settable import Axis, Choice
from triplet_bluesky.errors import AcquireError, MoveError

__all__ = ["CCD", "IMAGE", "Camera", "ImagePlugin"]

IMAGE = "Image"
"""Read-out mode in which each pixel of the chip is read, not sums of columns."""

READOUT_ALLOWANCE_S = 10.0
"""Longest time that a frame may take beyond its exposure until it is read out."""


class Camera(Device):
    """The ``cam1:`` records that the bench uses."""

    acquire = Cpt(EpicsSignal, "Acquire", kind="omitted")
    acquire_time = Cpt(Axis, "AcquireTime", tolerance=1e-6, kind="normal")
    num_images = Cpt(Axis, "NumImages", tolerance=0, kind="omitted")
    image_mode = Cpt(Choice, "ImageMode", kind="config")
    trigger_mode = Cpt(Choice, "TriggerMode", kind="config")
    array_counter = Cpt(EpicsSignalRO, "ArrayCounter_RBV", kind="normal")
    detector_state = Cpt(
        EpicsSignalRO, "DetectorState_RBV", string=True, kind="omitted"
    )
    temperature = Cpt(EpicsSignalRO, "TemperatureActual", kind="normal")
    temperature_status = Cpt(
        EpicsSignalRO, "AndorTempStatus_RBV", string=True, kind="config"
    )
    read_out_mode = Cpt(Choice, "AndorReadOutMode", kind="config")
    preamp_gain = Cpt(Choice, "AndorPreAmpGain", kind="config")
    sensitivity = Cpt(EpicsSignalRO, "Sensitivity_RBV", kind="config")
    saturation_level = Cpt(EpicsSignalRO, "SaturationLevel_RBV", kind="config")
    saturated_pixels = Cpt(EpicsSignalRO, "SaturatedPixels_RBV", kind="omitted")
    size_x = Cpt(EpicsSignalRO, "SizeX_RBV", kind="config")
    manufacturer = Cpt(EpicsSignalRO, "Manufacturer_RBV", string=True, kind="config")
    model = Cpt(EpicsSignalRO, "Model_RBV", string=True, kind="config")


class ImagePlugin(Device):
    """The ``image1:`` records that the bench uses."""

    array_data = Cpt(EpicsSignalRO, "ArrayData", kind="omitted")
    unique_id = Cpt(EpicsSignalRO, "UniqueId_RBV", kind="omitted")


class CCD(Device):
    """Cooled CCD that delivers a stack of sub-exposures for each trigger.

    A cosmic ray hits one sub-exposure of a pixel and not the others, so a stack can be
    cleaned where a single long exposure cannot.

    Parameters
    ----------
    prefix
        PV prefix with its trailing colon, for example ``"TRIPLET:CCD:"``.
    name
        Name of the device in plans and data.
    """

    cam = Cpt(Camera, "cam1:", kind="normal")
    image = Cpt(ImagePlugin, "image1:", kind="omitted")
    last_error = Cpt(EpicsSignalRO, "LastError_RBV.VAL$", string=True, kind="omitted")

    counts = Cpt(
        Derived,
        units="ADU",
        dims=("subexposure", "pixel"),
        value=np.zeros((3, 1024), dtype=np.int32),
        kind="normal",
    )
    """Raw counts, one row for each sub-exposure."""
    peak = Cpt(Derived, units="ADU", value=0, kind="hinted")
    """Largest raw count of all sub-exposures."""
    saturated = Cpt(Derived, units="pixels", value=0, kind="normal")
    """Number of pixels at or above the saturation level, over all sub-exposures."""
    subexposures = Cpt(Derived, units="", value=3, kind="config")
    """Number of frames taken for each trigger."""

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        super().__init__(prefix, **kwargs)
        self._halt = Halt()
        self._free = threading.Lock()

    def trigger(self) -> DeviceStatus:
        """Take the sub-exposures.

        Returns
        -------
        :
            Finished when all of them are read out; fails if the camera delivers a
            frame late, twice or not at all.
        """
        self._halt = halt = Halt()
        return run_operation(self, lambda: self._expose(halt), halt)

    def stop(self, *, success: bool = False) -> None:
        """Abort the exposure that runs; no further sub-exposure begins."""
        super().stop(success=success)
        self._halt.stop(success=success)
        if self.cam.acquire.connected:
            self.cam.acquire.put(0)

    def pause(self) -> None:
        """Abort the exposure when the scan pauses; it is repeated on resume."""
        super().pause()
        self.stop(success=True)

    def _expose(self, halt: Halt) -> None:
        if not self._free.acquire(timeout=READOUT_ALLOWANCE_S):
            msg = f"{label(self)}: the exposure before has not ended; is it stuck?"
            raise AcquireError(msg)
        try:
            self._take(halt)
        finally:
            self._free.release()

    def _take(self, halt: Halt) -> None:
        if self.cam.read_out_mode.position == IMAGE:
            msg = (
                f"{label(self)}: the camera takes images; expected it to add columns "
                "up; is ccd_images staged as well, or was the mode left so by hand?"
            )
            raise AcquireError(msg)
        exposure = float(self.cam.acquire_time.position)
        number = int(self.subexposures.get())
        level = int(read_fresh(self.cam.saturation_level))
        before = int(read_fresh(self.image.unique_id))
        frames = [
            self._frame(exposure, before + index, halt)
            for index in range(1, number + 1)
        ]
        stack = np.stack(frames)
        timestamp = time.time()
        self.counts.put(stack, timestamp=timestamp)
        self.peak.put(int(stack.max()), timestamp=timestamp)
        self.saturated.put(int(np.count_nonzero(stack >= level)), timestamp=timestamp)

    def _frame(self, exposure: float, expected_id: int, halt: Halt) -> np.ndarray:
        try:
            done = halt.issue(self.cam.acquire, 1)
            longest = exposure + READOUT_ALLOWANCE_S
            await_completion(self.cam.acquire, done, 1, longest)
        except MoveError as error:
            state = read_fresh(self.cam.detector_state)
            msg = (
                f"{label(self)}: no frame from an exposure of {exposure:g} s; the "
                f"camera is in state {state}"
            )
            raise AcquireError(msg) from error
        unique_id = int(read_fresh(self.image.unique_id))
        if unique_id != expected_id:
            msg = (
                f"{label(self)}: expected frame {expected_id}, the image plugin has "
                f"frame {unique_id}; was the exposure aborted, or does another client "
                "drive the camera?"
            )
            raise AcquireError(msg)
        return np.asarray(read_fresh(self.image.array_data), dtype=np.int32)
