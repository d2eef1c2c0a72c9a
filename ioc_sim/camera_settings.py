"""The settings of the CCD: region, binning, gain, speed, and what follows from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from caproto import AlarmSeverity, AlarmStatus

from ioc_sim.alarms import NO_ALARM, Alarm
from ioc_sim.camera import ROWS, ReadOut
from ioc_sim.channels import RefusedPutError
from ioc_sim.detection import PIXELS
from ioc_sim.plugin import CAMERA_PORT
from ioc_sim.records import records
from ioc_sim.world import World

__all__ = ["Camera", "Settings"]

ROW_SHIFT = 8e-6
"""Time to shift the charge by one row, s; typical."""

SPEEDS = {"0.05 MHz": (5e4, 0.7), "1.00 MHz": (1e6, 1.0), "3.00 MHz": (3e6, 1.8)}
"""Pixels per second, and read noise relative to that at 1 MHz, of each ADC speed;
typical."""

AXES = {"X": PIXELS, "Y": ROWS}
"""How many pixels there are along an axis."""

REGION = tuple(part + axis for axis in AXES for part in ("Bin", "Min", "Size"))
"""Settings of the region."""

RECORDED = (
    "AcquireTime",
    "AcquirePeriod",
    "NumExposures",
    "AndorADCSpeed",
    "AndorPreAmpGain",
    "AndorReadOutMode",
    "ColorMode",
    *REGION,
)
"""Settings that each frame carries along as attributes."""

ALARMS = {"Error": Alarm(AlarmStatus.STATE, AlarmSeverity.MAJOR_ALARM)}
"""Alarms of the detector states; the others have none."""

_Declared = records(
    "CameraRecords",
    ("NDArrayBase", "NDArrayBase:camera", "ADBase", "andorCCD", "camera"),
    {"PortName_RBV": CAMERA_PORT},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the frames of an acquisition are taken, all of them."""

    frames: int | None
    """Number of frames; None for frames until it is aborted."""
    exposure_s: float
    """Duration of an exposure."""
    exposures: int
    """Exposures that are added to one frame."""
    read_out: ReadOut
    """How the chip is read out."""
    pixels_per_s: float
    """Speed of the converter."""
    least_exposures_s: float
    """Least time from one exposure's start to the next one's, in a frame of several."""
    least_period_s: float
    """Least time from one frame's start to the next one's."""
    reverse_x: bool
    """Whether the frame is mirrored, left for right."""
    reverse_y: bool
    """Whether the frame is mirrored, top for bottom."""
    saturation_level: int
    """Count from which on a pixel is saturated, in ADU."""
    attributes: Mapping[str, Any]
    """What each frame tells of them."""

    @property
    def read_out_s(self) -> float:
        """Time that one exposure takes to be read out."""
        rows, columns = self.read_out.shape
        return ROWS * ROW_SHIFT + rows * columns / self.pixels_per_s

    @property
    def exposures_s(self) -> float:
        """Time from one exposure's start to the next one's, in a frame of several."""
        return max(self.exposure_s + self.read_out_s, self.least_exposures_s)

    @property
    def period_s(self) -> float:
        """Time from one frame's start to the next one's."""
        further = (self.exposures - 1) * self.exposures_s
        return max(further + self.exposure_s + self.read_out_s, self.least_period_s)


class Camera(_Declared):
    """How the next frames are taken.

    A region may be asked for in any order: what does not fit on the chip is left out
    for as long as it does not, so that the end does not depend on the way there.

    Parameters
    ----------
    prefix
        What its PV names begin with.
    parent
        The CCD.
    """

    def __init__(self, prefix: str, *, parent: Any) -> None:
        super().__init__(prefix, parent=parent)
        self._world: World = parent.world
        self._asked = {name: self.record(name).value for name in REGION}
        for name in REGION:
            self.when_put(name, self._regional(name))
        for name in (
            "AcquireTime",
            "AcquirePeriod",
            "NumExposures",
            "AndorAccumulatePeriod",
            "AndorADCSpeed",
            "AndorPreAmpGain",
            "AndorReadOutMode",
        ):
            self.when_put(name, self._following(name))
        for name, only in (
            ("ColorMode", "Mono"),
            ("DataType", "UInt16"),
            ("TriggerMode", "Internal"),
        ):
            self.when_put(name, _only(only))

    async def start(self) -> None:
        """Show what follows from the settings at the start."""
        await self._show_consequences()

    @property
    def settings(self) -> Settings:
        """What an acquisition that began now would keep to."""
        numbers = {"Single": 1, "Multiple": self.value("NumImages")}
        read_out, region = self._read_out, self._region
        level = self._world.sensor.saturation_level(read_out)
        attributes = {name: self.value(name) for name in RECORDED} | region
        attributes["Sensitivity"] = self._world.sensor.gain_e_per_adu(
            read_out.preamp_gain
        )
        attributes["SaturationLevel"] = level
        return Settings(
            frames=numbers.get(self.value("ImageMode")),
            exposure_s=self.value("AcquireTime"),
            exposures=self.value("NumExposures"),
            read_out=read_out,
            pixels_per_s=SPEEDS[self.value("AndorADCSpeed")][0],
            least_exposures_s=self.value("AndorAccumulatePeriod"),
            least_period_s=self.value("AcquirePeriod"),
            reverse_x=self.value("ReverseX") == "Yes",
            reverse_y=self.value("ReverseY") == "Yes",
            saturation_level=level,
            attributes=attributes,
        )

    @property
    def _read_out(self) -> ReadOut:
        region = self._region
        return ReadOut(
            image=self.value("AndorReadOutMode") == "Image",
            min_x=region["MinX"],
            size_x=region["SizeX"],
            bin_x=region["BinX"],
            min_y=region["MinY"],
            size_y=region["SizeY"],
            bin_y=region["BinY"],
            preamp_gain=float(self.value("AndorPreAmpGain").removesuffix("x")),
            noise=SPEEDS[self.value("AndorADCSpeed")][1],
        )

    @property
    def _region(self) -> dict[str, int]:
        """The part of what was asked for that is on the chip, by the records' names."""
        region: dict[str, int] = {}
        for axis, chip in AXES.items():
            first = self._asked[f"Min{axis}"]
            size = min(self._asked[f"Size{axis}"], chip - first)
            together = min(self._asked[f"Bin{axis}"], size)
            region |= {
                f"Min{axis}": first,
                f"Size{axis}": size,
                f"Bin{axis}": together,
            }
        return region

    async def show_state(self, state: str, message: str) -> None:
        """Show what the camera does.

        Parameters
        ----------
        state
            One of ADCore's detector states.
        message
            The same in words.
        """
        await self.show("DetectorState_RBV", state)
        await self.warn("DetectorState_RBV", *ALARMS.get(state, NO_ALARM))
        await self.show("StatusMessage_RBV", message)

    def _regional(self, name: str) -> Any:
        async def put(value: int) -> int:
            self._asked[name] = value
            for each, holds in self._region.items():
                await self.show(f"{each}_RBV", holds)
            await self._show_consequences()
            return self._region[name]

        return put

    def _following(self, name: str) -> Any:
        async def put(value: Any) -> None:
            await self.show(f"{name}_RBV", value)
            await self._show_consequences()

        return put

    async def _show_consequences(self) -> None:
        settings = self.settings
        setting = settings.read_out
        rows, columns = setting.shape
        await self.show("ArraySizeX_RBV", columns)
        await self.show("ArraySizeY_RBV", rows)
        await self.show("ArraySize_RBV", 2 * rows * columns)
        gain = self._world.sensor.gain_e_per_adu(setting.preamp_gain)
        await self.show("Sensitivity_RBV", gain)
        await self.show("FullWell_RBV", self._world.sensor.full_well_e(setting))
        await self.show("SaturationLevel_RBV", settings.saturation_level)
        await self.show("ReadOutTime_RBV", settings.read_out_s)
        await self.show("FramePeriod_RBV", settings.period_s)


def _only(possible: str) -> Any:
    async def put(value: str) -> None:
        if value != possible:
            msg = f"got {value}, only {possible} is possible"
            raise RefusedPutError(msg)

    return put
