"""The CCD: exposures over the history of the bench, with areaDetector's names."""

import asyncio
import itertools
from typing import Any

import numpy as np
from caproto import AlarmSeverity, AlarmStatus

from ioc_sim import detection
from ioc_sim.base import Busy, Instrument, pass_time
from ioc_sim.channels import RefusedPutError
from ioc_sim.chip import Chip
from ioc_sim.declare import (
    choice,
    choice_rbv,
    integer,
    integer_rbv,
    number,
    number_rbv,
    text_rbv,
)
from ioc_sim.std_arrays import StdArrays
from ioc_sim.world import World

__all__ = ["Ccd"]

PIXELS = 1024
EXPOSURE = (0.0, 3600.0)
"""Range of the exposure time and the frame period, s."""

FRAMES = (1, 100_000)
"""Range of the number of frames of one acquisition."""

COUNTER = (0, 2**31 - 1)
STATES = (
    "Idle",
    "Acquire",
    "Readout",
    "Correct",
    "Saving",
    "Aborting",
    "Error",
    "Waiting",
    "Initializing",
    "Disconnected",
    "Aborted",
)
"""ADCore's detector states, in its order."""

NO_ALARM = (AlarmStatus.NO_ALARM, AlarmSeverity.NO_ALARM)
STATE_ALARMS = {"Error": (AlarmStatus.STATE, AlarmSeverity.MAJOR_ALARM)}
"""Alarms of the detector states; the others have none."""

IMAGE_MODES = ("Single", "Multiple", "Continuous")
TYPES = ("Int8", "UInt8", "Int16", "UInt16", "Int32", "UInt32")
READ_OUT_MODES = ("Full Vertical Binning", "Image")
PREAMP_GAINS = ("1.0x", "2.0x", "4.0x")
BASE = "ADCore ADBase"
ARRAY = "ADCore NDArrayBase"
ANDOR = "ADAndor andorCCD"


class Ccd(Instrument):
    """A cooled camera, read out as one row of pixels."""

    acquire = choice(
        "cam1:Acquire",
        ("Done", "Acquire"),
        "Done",
        doc="Take the frames; completes after the last one, Done aborts",
        mirrors=BASE,
    )
    acquire_time = number(
        "cam1:AcquireTime",
        1,
        EXPOSURE,
        "s",
        precision=4,
        doc="Exposure of one frame",
        mirrors=BASE,
    )
    acquire_time_rbv = number_rbv(
        "cam1:AcquireTime_RBV",
        1,
        EXPOSURE,
        "s",
        precision=4,
        doc="Exposure of one frame now",
        mirrors=BASE,
    )
    acquire_period = number(
        "cam1:AcquirePeriod",
        0,
        EXPOSURE,
        "s",
        precision=4,
        doc="Least time from one frame's start to the next one's",
        mirrors=BASE,
    )
    acquire_period_rbv = number_rbv(
        "cam1:AcquirePeriod_RBV",
        0,
        EXPOSURE,
        "s",
        precision=4,
        doc="Least frame period now",
        mirrors=BASE,
    )
    num_images = integer(
        "cam1:NumImages",
        1,
        FRAMES,
        "frames",
        doc="Frames of an acquisition in Multiple mode",
        mirrors=BASE,
    )
    num_images_rbv = integer_rbv(
        "cam1:NumImages_RBV", 1, FRAMES, "frames", doc="Frames now", mirrors=BASE
    )
    num_images_counter_rbv = integer_rbv(
        "cam1:NumImagesCounter_RBV",
        0,
        COUNTER,
        "frames",
        doc="Frames of this acquisition so far",
        mirrors=BASE,
    )
    image_mode = choice(
        "cam1:ImageMode",
        IMAGE_MODES,
        "Single",
        doc="One frame, NumImages, or until aborted",
        mirrors=BASE,
    )
    image_mode_rbv = choice_rbv(
        "cam1:ImageMode_RBV", IMAGE_MODES, "Single", doc="Mode now", mirrors=BASE
    )
    trigger_mode = choice(
        "cam1:TriggerMode",
        ("Internal",),
        "Internal",
        doc="What starts a frame",
        mirrors=BASE,
    )
    trigger_mode_rbv = choice_rbv(
        "cam1:TriggerMode_RBV", ("Internal",), "Internal", doc="Trigger", mirrors=BASE
    )
    array_counter = integer(
        "cam1:ArrayCounter",
        0,
        COUNTER,
        "frames",
        doc="Put 0 to count frames from here",
        mirrors=ARRAY,
    )
    array_counter_rbv = integer_rbv(
        "cam1:ArrayCounter_RBV",
        0,
        COUNTER,
        "frames",
        doc="Frames since it was set",
        mirrors=ARRAY,
    )
    detector_state_rbv = choice_rbv(
        "cam1:DetectorState_RBV", STATES, "Idle", doc="What it does", mirrors=BASE
    )
    status_message_rbv = text_rbv(
        "cam1:StatusMessage_RBV", "Idle", doc="What it does, in words", mirrors=BASE
    )
    read_out_mode = choice(
        "cam1:AndorReadOutMode",
        READ_OUT_MODES,
        "Full Vertical Binning",
        doc="Only Full Vertical Binning is possible",
        mirrors=ANDOR,
    )
    read_out_mode_rbv = choice_rbv(
        "cam1:AndorReadOutMode_RBV",
        READ_OUT_MODES,
        "Full Vertical Binning",
        doc="Read-out mode now",
        mirrors=ANDOR,
    )
    preamp_gain = choice(
        "cam1:AndorPreAmpGain",
        PREAMP_GAINS,
        "1.0x",
        doc="Gain of the preamplifier",
        mirrors=ANDOR,
    )
    preamp_gain_rbv = choice_rbv(
        "cam1:AndorPreAmpGain_RBV", PREAMP_GAINS, "1.0x", doc="Gain now", mirrors=ANDOR
    )
    size_x_rbv = integer_rbv(
        "cam1:SizeX_RBV", PIXELS, (1, PIXELS), "px", doc="Region, wide", mirrors=BASE
    )
    size_y_rbv = integer_rbv(
        "cam1:SizeY_RBV", 1, (1, 1), "px", doc="Region, high", mirrors=BASE
    )
    max_size_x_rbv = integer_rbv(
        "cam1:MaxSizeX_RBV", PIXELS, (1, PIXELS), "px", doc="Chip, wide", mirrors=BASE
    )
    max_size_y_rbv = integer_rbv(
        "cam1:MaxSizeY_RBV", 1, (1, 1), "px", doc="Chip, high (binned)", mirrors=BASE
    )
    array_size_x_rbv = integer_rbv(
        "cam1:ArraySizeX_RBV",
        PIXELS,
        (0, PIXELS),
        "px",
        doc="Frame, wide",
        mirrors=ARRAY,
    )
    array_size_y_rbv = integer_rbv(
        "cam1:ArraySizeY_RBV", 1, (0, 1), "px", doc="Frame, high", mirrors=ARRAY
    )
    data_type_rbv = choice_rbv(
        "cam1:DataType_RBV", TYPES, "UInt16", doc="Type of a pixel", mirrors=ARRAY
    )
    manufacturer_rbv = text_rbv(
        "cam1:Manufacturer_RBV", "Simulated", doc="Who made it", mirrors=ARRAY
    )
    model_rbv = text_rbv(
        "cam1:Model_RBV", "Twin 1024 FVB", doc="What was made", mirrors=ARRAY
    )
    sensitivity_rbv = number_rbv(
        "cam1:Sensitivity_RBV",
        1,
        (0, 1000),
        "e-/ADU",
        precision=3,
        doc="Electrons per count at the present gain, by the data sheet",
    )
    full_well_rbv = number_rbv(
        "cam1:FullWell_RBV", 1, (0, 1e8), "e-", precision=0, doc="Full well of a pixel"
    )
    saturated_pixels_rbv = integer_rbv(
        "cam1:SaturatedPixels_RBV",
        0,
        (0, PIXELS),
        "px",
        doc="Pixels of the last frame at or above saturation",
    )
    saturation_level_rbv = integer_rbv(
        "cam1:SaturationLevel_RBV",
        detection.SATURATION_ADU,
        (0, 65535),
        "ADU",
        doc="Counts at which a pixel is saturated",
    )

    def __init__(self, prefix: str, *, world: World, **kwargs: Any) -> None:
        super().__init__(prefix, world=world, **kwargs)
        self._acquisition = Busy("an acquisition")
        self._frame = 0
        self.chip = Chip(f"{prefix}cam1:", parent=self)
        self.image = StdArrays(f"{prefix}image1:", parent=self)
        self.pvdb.update(self.chip.pvdb)
        self.pvdb.update(self.image.pvdb)

    async def start(self) -> None:
        """Show the data sheet."""
        await self._show_sensitivity("1.0x")
        await self.full_well_rbv.post(self.world.full_well_e)

    async def run(self) -> None:
        """Keep the chip at its temperature."""
        await self.chip.run()

    @acquire.putter
    async def _put_acquire(self, instance: Any, value: str) -> None:
        """Take frames; completes when they are all there, or the abort is done."""
        await self._acquisition.put(instance, value, self._acquire)

    @acquire_time.putter
    async def _put_acquire_time(self, instance: Any, value: float) -> None:
        """Change the exposure of the next acquisition."""
        await self.acquire_time_rbv.post(value)

    @acquire_period.putter
    async def _put_acquire_period(self, instance: Any, value: float) -> None:
        """Change the frame period of the next acquisition."""
        await self.acquire_period_rbv.post(value)

    @num_images.putter
    async def _put_num_images(self, instance: Any, value: int) -> None:
        """Change the number of frames of the next acquisition."""
        await self.num_images_rbv.post(value)

    @image_mode.putter
    async def _put_image_mode(self, instance: Any, value: str) -> None:
        """Change the mode of the next acquisition."""
        await self.image_mode_rbv.post(value)

    @trigger_mode.putter
    async def _put_trigger_mode(self, instance: Any, value: str) -> None:
        """Choose what starts a frame."""
        await self.trigger_mode_rbv.post(value)

    @array_counter.putter
    async def _put_array_counter(self, instance: Any, value: int) -> None:
        """Count from here; the number that keys the noise goes on."""
        await self.array_counter_rbv.post(value)

    @read_out_mode.putter
    async def _put_read_out_mode(self, instance: Any, value: str) -> None:
        """Choose how the chip is read out."""
        if value != READ_OUT_MODES[0]:
            msg = f"got {value}, only {READ_OUT_MODES[0]} is possible"
            raise RefusedPutError(msg)
        await self.read_out_mode_rbv.post(value)

    @preamp_gain.putter
    async def _put_preamp_gain(self, instance: Any, value: str) -> None:
        """Change the gain of the next frame, and the sensitivity with it."""
        await self._show_sensitivity(value)
        await self.preamp_gain_rbv.post(value)

    async def _acquire(self) -> None:
        try:
            await self._take_frames()
        except Exception as error:
            await self._show_state("Error", f"Acquisition failed: {error!r}")
            raise

    async def _take_frames(self) -> None:
        mode = self.image_mode_rbv.value
        wanted = {"Single": 1, "Multiple": self.num_images_rbv.value}.get(mode)
        exposure = self.acquire_time_rbv.value
        period = max(exposure, self.acquire_period_rbv.value)
        await self.num_images_counter_rbv.post(0)
        start = self.world.now()
        for taken in itertools.count(1):
            await self._show_state("Acquire", "Acquiring data")
            if not await self._expose(start, exposure):
                await self._show_state("Aborted", "Acquisition aborted")
                return
            await self._read_out(start, exposure)
            await self.num_images_counter_rbv.post(taken)
            if taken == wanted:
                break
            # Frames follow each other by the simulated clock, not by this loop.
            start = start + period if period > 0 else self.world.now()
            await asyncio.sleep(0)
        await self._show_state("Idle", "Idle")

    async def _expose(self, start_s: float, exposure_s: float) -> bool:
        """Wait for the end of a frame; False if it was aborted."""
        end = start_s + exposure_s
        while await pass_time(self.world, end, self._acquisition.abort):
            pass
        return not self._acquisition.abort.is_set()

    async def _read_out(self, start_s: float, exposure_s: float) -> None:
        await self._show_state("Readout", "Reading out")
        self._frame += 1
        gain = float(self.preamp_gain_rbv.value.removesuffix("x"))
        frame = self.world.frame(start_s, exposure_s, self._frame, preamp_gain=gain)
        saturated = np.count_nonzero(frame >= detection.SATURATION_ADU)
        await self.saturated_pixels_rbv.post(int(saturated))
        counter = self.array_counter_rbv.value + 1
        await self.array_counter.post(counter)
        await self.array_counter_rbv.post(counter)
        await self.image.take_over(frame, counter, self._frame)

    async def _show_state(self, state: str, message: str) -> None:
        await self.detector_state_rbv.post(state)
        await self.detector_state_rbv.raise_alarm(*STATE_ALARMS.get(state, NO_ALARM))
        await self.status_message_rbv.post(message)

    async def _show_sensitivity(self, gain: str) -> None:
        sensitivity = self.world.gain_e_per_adu(float(gain.removesuffix("x")))
        await self.sensitivity_rbv.post(sensitivity)
