"""The settings of the CCD: region, binning, gain, speed, and what follows from them."""

from typing import Any

from caproto import AlarmSeverity, AlarmStatus

from ioc_sim.alarms import NO_ALARM, Alarm
from ioc_sim.camera import ROWS, ReadOut
from ioc_sim.channels import RefusedPutError
from ioc_sim.detection import PIXELS
from ioc_sim.plugin import CAMERA_PORT
from ioc_sim.records import records
from ioc_sim.world import World

__all__ = ["Camera"]

ROW_SHIFT = 8e-6
"""Time to shift the charge by one row, s; typical."""

SPEEDS = {"0.05 MHz": (5e4, 0.7), "1.00 MHz": (1e6, 1.0), "3.00 MHz": (3e6, 1.8)}
"""Pixels per second, and read noise relative to that at 1 MHz, of each ADC speed;
typical."""

AXES = {
    "X": ("columns", PIXELS),
    "Y": ("rows", ROWS),
}
"""What the pixels along an axis are called, and how many there are."""

ALARMS = {"Error": Alarm(AlarmStatus.STATE, AlarmSeverity.MAJOR_ALARM)}
"""Alarms of the detector states; the others have none."""

_Declared = records(
    "CameraRecords",
    ("NDArrayBase", "NDArrayBase:camera", "ADBase", "andorCCD", "camera"),
    {"PortName_RBV": CAMERA_PORT},
)


class Camera(_Declared):
    """How the next frames are taken.

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
        for axis in AXES:
            for part in ("Bin", "Min", "Size"):
                self.when_put(f"{part}{axis}", self._regional(part, axis))
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
    def read_out(self) -> ReadOut:
        """How the chip is read out."""
        return ReadOut(
            image=self.value("AndorReadOutMode") == "Image",
            min_x=self.value("MinX"),
            size_x=self.value("SizeX"),
            bin_x=self.value("BinX"),
            min_y=self.value("MinY"),
            size_y=self.value("SizeY"),
            bin_y=self.value("BinY"),
            preamp_gain=float(self.value("AndorPreAmpGain").removesuffix("x")),
            noise=SPEEDS[self.value("AndorADCSpeed")][1],
        )

    @property
    def read_out_s(self) -> float:
        """Time that one exposure takes to be read out, in s."""
        rows, columns = self.read_out.shape
        return (
            ROWS * ROW_SHIFT + rows * columns / SPEEDS[self.value("AndorADCSpeed")][0]
        )

    @property
    def exposures_s(self) -> float:
        """Time from one exposure's start to the next one's, in a frame of several."""
        least = self.value("AcquireTime") + self.read_out_s
        return max(least, self.value("AndorAccumulatePeriod"))

    @property
    def period_s(self) -> float:
        """Time from one frame's start to the next one's."""
        further = (self.value("NumExposures") - 1) * self.exposures_s
        least = further + self.value("AcquireTime") + self.read_out_s
        return max(least, self.value("AcquirePeriod"))

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

    def _regional(self, part: str, axis: str) -> Any:
        async def put(value: int) -> int:
            region = {p: self.value(p + axis) for p in ("Bin", "Min", "Size")}
            region[part] = value
            _check(axis, **region)
            return await self._apply(part + axis, value)

        return put

    def _following(self, name: str) -> Any:
        async def put(value: Any) -> Any:
            return await self._apply(name, value)

        return put

    async def _apply(self, name: str, value: Any) -> Any:
        await self.show(f"{name}_RBV", value)
        await self._show_consequences()
        return value

    async def _show_consequences(self) -> None:
        setting = self.read_out
        rows, columns = setting.shape
        await self.show("ArraySizeX_RBV", columns)
        await self.show("ArraySizeY_RBV", rows)
        await self.show("ArraySize_RBV", 2 * rows * columns)
        gain = self._world.gain_e_per_adu(setting.preamp_gain)
        await self.show("Sensitivity_RBV", gain)
        await self.show("FullWell_RBV", self._world.full_well_e(setting))
        level = self._world.saturation_level(setting)
        await self.show("SaturationLevel_RBV", level)
        await self.show("ReadOutTime_RBV", self.read_out_s)
        await self.show("FramePeriod_RBV", self.period_s)


def _check(axis: str, *, Bin: int, Min: int, Size: int) -> None:  # noqa: N803  (names of records)
    """Refuse a region that is not on the chip, or less than one binned pixel."""
    pixels, chip = AXES[axis]
    if Min + Size > chip:
        msg = (
            f"got Min{axis} {Min} and Size{axis} {Size}, the chip has {chip} {pixels}: "
            f"make the one smaller before the other larger"
        )
        raise RefusedPutError(msg)
    if Bin > Size:
        msg = f"got Bin{axis} {Bin} for {Size} {pixels}, expected Size{axis} at most"
        raise RefusedPutError(msg)


def _only(possible: str) -> Any:
    async def put(value: str) -> None:
        if value != possible:
            msg = f"got {value}, only {possible} is possible"
            raise RefusedPutError(msg)

    return put
