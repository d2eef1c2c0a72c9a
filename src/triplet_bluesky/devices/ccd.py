"""The CCD, by the names of its areaDetector driver: sub-exposures of one spectrum."""

import threading
import time
from typing import Any

import numpy as np
from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal, EpicsSignalRO

from triplet_bluesky.devices.derived import Derived
from triplet_bluesky.devices.detector import Detector
from triplet_bluesky.devices.operation import (
    Halt,
    await_completion,
    label,
    read_fresh,
)
from triplet_bluesky.devices.optional import OptionalSignalRO
from triplet_bluesky.devices.settable import Axis, Choice
from triplet_bluesky.errors import AcquireError, MoveError

__all__ = ["CCD", "IMAGE", "Camera", "CameraNumber", "ImagePlugin"]

IMAGE = "Image"
"""Read-out mode in which each pixel of the chip is read, not sums of columns."""

SINGLE = "Single"
"""Image mode in which an acquisition ends after one frame."""

FULL_SCALE_ADU = 65535
"""Saturation of the converter, which has 16 bits; that of the pixels may be below."""

READOUT_ALLOWANCE_S = 10.0
"""Longest time that a frame may take beyond its exposure until it is read out."""

PLUGIN_ALLOWANCE_S = 2.0
"""Longest time from the end of an acquisition until the image plugin has its frame; it
has it by then if the camera waits for its plugins."""

CHECK_S = 0.05
"""Seconds between looks for it."""


class CameraNumber(Axis):
    """A number of the camera; the records of areaDetector state no limits for it."""

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        super().__init__(prefix, limits_required=False, **kwargs)


class StoredChoice(Choice):
    """A choice that the IOC keeps and serves under one PV name."""

    readback = Cpt(EpicsSignalRO, "", string=True, kind="normal")


class Camera(Device):
    """The ``cam1:`` records that the bench uses."""

    acquire = Cpt(EpicsSignal, "Acquire", kind="omitted")
    acquire_time = Cpt(CameraNumber, "AcquireTime", tolerance=1e-6, kind="normal")
    num_images = Cpt(CameraNumber, "NumImages", tolerance=0, kind="omitted")
    image_mode = Cpt(Choice, "ImageMode", kind="config")
    trigger_mode = Cpt(Choice, "TriggerMode", kind="config")
    array_callbacks = Cpt(Choice, "ArrayCallbacks", kind="omitted")
    wait_for_plugins = Cpt(StoredChoice, "WaitForPlugins", kind="omitted")
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
    sensitivity = Cpt(
        OptionalSignalRO, "Sensitivity_RBV", default_units="e-/ADU", kind="config"
    )
    """Electrons per count; give ``default`` where the IOC does not serve it."""
    saturation_level = Cpt(
        OptionalSignalRO,
        "SaturationLevel_RBV",
        default=FULL_SCALE_ADU,
        default_units="ADU",
        kind="config",
    )
    saturated_pixels = Cpt(OptionalSignalRO, "SaturatedPixels_RBV", kind="omitted")
    size_x = Cpt(EpicsSignalRO, "SizeX_RBV", kind="config")
    manufacturer = Cpt(EpicsSignalRO, "Manufacturer_RBV", string=True, kind="config")
    model = Cpt(EpicsSignalRO, "Model_RBV", string=True, kind="config")


class ImagePlugin(Device):
    """The ``image1:`` records that the bench uses."""

    enable = Cpt(Choice, "EnableCallbacks", kind="omitted")
    array_data = Cpt(EpicsSignalRO, "ArrayData", kind="omitted")
    unique_id = Cpt(EpicsSignalRO, "UniqueId_RBV", kind="omitted")


class CCD(Detector):
    """Cooled CCD that delivers a stack of sub-exposures for each trigger.

    A cosmic ray hits one sub-exposure of a pixel and not the others, so a stack can be
    cleaned where a single long exposure cannot.

    Staging lets the camera take one frame at a time, hand it to the image plugin, and
    wait for that; unstaging puts back what was set.

    Parameters
    ----------
    prefix
        PV prefix with its trailing colon, for example ``"TRIPLET:CCD:"``.
    name
        Name of the device in plans and data.
    """

    cam = Cpt(Camera, "cam1:", kind="normal")
    image = Cpt(ImagePlugin, "image1:", kind="omitted")
    last_error = Cpt(
        OptionalSignalRO,
        "LastError_RBV.VAL$",
        string=True,
        default="",
        kind="omitted",
    )

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

    def _set_up(self) -> None:
        self._settings.set(self.cam.image_mode, SINGLE)
        self._settings.set(self.cam.array_callbacks, "Enable")
        self._settings.set(self.cam.wait_for_plugins, "Yes")
        self._settings.set(self.image.enable, "Enable")

    def _abandon(self) -> None:
        if self.cam.acquire.connected:
            self.cam.acquire.put(0)

    def _take(self, halt: Halt) -> None:
        if self.cam.read_out_mode.position == IMAGE:
            msg = (
                f"{label(self)}: the camera takes images; expected it to add columns "
                "up; is ccd_images staged as well, or was the mode left so by hand?"
            )
            raise AcquireError(msg)
        mode = self.cam.image_mode.position
        if mode != SINGLE:
            msg = (
                f"{label(self)}: {self.cam.image_mode.setpoint.pvname} is {mode}, "
                f"expected {SINGLE}; stage the camera, as plans do, or set it by hand"
            )
            raise AcquireError(msg)
        exposure = float(self.cam.acquire_time.position)
        number = int(self.subexposures.get())
        level = int(read_fresh(self.cam.saturation_level))
        before = int(read_fresh(self.image.unique_id))
        read_fresh(self.image.array_data)  # for its time stamp
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
        stamp = self.image.array_data.timestamp
        try:
            done = halt.issue(self.cam.acquire, 1)
            longest = exposure + READOUT_ALLOWANCE_S
            await_completion(self.cam.acquire, done, 1, longest)
        except MoveError as error:
            state = read_fresh(self.cam.detector_state)
            msg = (
                f"{label(self)}: no frame from an exposure of {exposure:g} s "
                f"({error}); {self.cam.detector_state.pvname} is {state}"
            )
            raise AcquireError(msg) from error
        self._await_id(expected_id, halt)
        return self._new_array(expected_id, stamp, halt)

    def _await_id(self, expected: int, halt: Halt) -> None:
        """Wait until the image plugin has a frame, which it may get a moment late."""
        deadline = time.monotonic() + PLUGIN_ALLOWANCE_S
        pause = threading.Event()
        while (unique_id := int(read_fresh(self.image.unique_id))) != expected:
            if unique_id > expected or time.monotonic() > deadline:
                msg = (
                    f"{label(self)}: expected frame {expected}, "
                    f"{self.image.unique_id.pvname} is {unique_id}; was the exposure "
                    "aborted, does another client drive the camera, or is the image "
                    "plugin disabled?"
                )
                raise AcquireError(msg)
            halt.check(self.cam.acquire, 1)
            pause.wait(CHECK_S)

    def _new_array(self, frame: int, stamp: float, halt: Halt) -> np.ndarray:
        """Read the array of a frame, which was written after a time stamp."""
        signal = self.image.array_data
        deadline = time.monotonic() + PLUGIN_ALLOWANCE_S
        pause = threading.Event()
        while True:
            array = np.asarray(read_fresh(signal), dtype=np.int32)
            if signal.timestamp != stamp:
                return array
            if time.monotonic() > deadline:
                msg = (
                    f"{label(self)}: {signal.pvname} was last written "
                    f"{time.time() - stamp:.1f} s ago, before frame {frame} was taken; "
                    "the array is an old one"
                )
                raise AcquireError(msg)
            halt.check(self.cam.acquire, 1)
            pause.wait(CHECK_S)
