"""The pick-off meter: readings averaged over a time, in a range, for a wavelength."""

import time
from typing import Any

from caproto import AlarmSeverity, AlarmStatus, SkipWrite

from ioc_sim.alarms import NO_ALARM
from ioc_sim.base import Busy, Instrument, Part, pass_time
from ioc_sim.declare import choice, choice_rbv, integer_rbv, number, number_rbv
from ioc_sim.vocabulary import COUNTER, NO_YES, OFF_ON

__all__ = ["Meter"]


WAVELENGTH = (400.0, 1100.0)
"""Range of the meter's silicon diode, nm."""

POWER = (0.0, 100.0)
"""Range to show pick-off powers in, uW."""

POSIX = (0.0, 1e11)
"""Range to show times in, seconds since 1970."""

PM100 = "Thorlabs PM100D SCPI"

OVER = (AlarmStatus.HIHI, AlarmSeverity.MAJOR_ALARM)
VOID = (AlarmStatus.HIHI, AlarmSeverity.INVALID_ALARM)


class Meter(Part):
    """Power meter on the pick-off, before the shutter."""

    measure = choice(
        "Measure",
        ("Done", "Measure"),
        "Done",
        doc="Average the pick-off power over the averaging time",
        mirrors=f"{PM100} READ?",
    )
    averaging_time = number(
        "AveragingTime",
        0.1,
        (0.001, 3600),
        "s",
        precision=3,
        doc="Time that one reading averages over",
        mirrors=f"{PM100} SENS:AVER:COUN, times its sample time",
    )
    power_rbv = number_rbv(
        "Power_RBV",
        0,
        POWER,
        "uW",
        precision=5,
        doc="Pick-off power, last mean; INVALID beyond the range",
        mirrors=f"{PM100} FETC?",
    )
    power_sigma_rbv = number_rbv(
        "PowerSigma_RBV",
        0,
        POWER,
        "uW",
        precision=6,
        doc="Standard error of that mean, meter noise included",
        mirrors="none: the meter's statistics, on its screen only",
    )
    counter_rbv = integer_rbv(
        "Counter_RBV",
        0,
        COUNTER,
        "readings",
        doc="Readings completed; written after the reading itself",
        mirrors="areaDetector ADCore NDArrayBase ArrayCounter_RBV",
    )
    timestamp_rbv = number_rbv(
        "Timestamp_RBV",
        0,
        POSIX,
        "s",
        precision=3,
        doc="Middle of the last reading's averaging time, seconds since 1970",
        mirrors="areaDetector ADCore NDArrayBase TimeStamp_RBV",
    )
    wavelength = number(
        "Wavelength",
        526,
        WAVELENGTH,
        "nm",
        precision=3,
        doc="Wavelength that the meter's responsivity is taken at",
        mirrors=f"{PM100} SENS:CORR:WAV",
    )
    range_uw = number(
        "Range",
        40,
        POWER,
        "uW",
        precision=5,
        doc="Full scale wanted; the least one that takes it, and no automatic choice",
        mirrors=f"{PM100} SENS:POW:RANG",
    )
    range_rbv = number_rbv(
        "Range_RBV",
        40,
        POWER,
        "uW",
        precision=5,
        doc="Full scale now",
        mirrors=f"{PM100} SENS:POW:RANG?",
    )
    auto_range = choice(
        "AutoRange",
        OFF_ON,
        "On",
        doc="Each reading is in the least range that takes it",
        mirrors=f"{PM100} SENS:POW:RANG:AUTO",
    )
    auto_range_rbv = choice_rbv(
        "AutoRange_RBV",
        OFF_ON,
        "On",
        doc="Whether the range is chosen by the meter",
        mirrors=f"{PM100} SENS:POW:RANG:AUTO?",
    )
    overrange_rbv = choice_rbv(
        "Overrange_RBV",
        NO_YES,
        "No",
        doc="The last mean is beyond the range that it was taken in",
        mirrors=f"{PM100} STAT:MEAS register: overrange",
    )

    def __init__(self, prefix: str, *, parent: Instrument) -> None:
        super().__init__(prefix, parent=parent)
        self._world = parent.world
        self._reading = Busy("a reading")

    async def start(self) -> None:
        """Show the ranges."""
        lowest, *_, highest = (0.0, *self._world.meter.ranges_uw)
        for channel in (self.range_uw, self.range_rbv):
            await channel.write_metadata(
                lower_ctrl_limit=lowest,
                upper_ctrl_limit=highest,
                lower_disp_limit=lowest,
                upper_disp_limit=highest,
            )
            await channel.post(highest)

    @measure.putter
    async def _put_measure(self, instance: Any, value: str) -> None:
        """Take one reading; Done ends one that is under way, without a result."""
        await self._reading.put(instance, value, self._read)

    @range_uw.putter
    async def _put_range(self, instance: Any, value: float) -> None:
        """Choose the range; its read-back says which one it is."""
        fitting = (full for full in self._world.meter.ranges_uw if value <= full)
        full_uw = next(fitting)
        await instance.post(full_uw)
        await self.auto_range.post("Off")
        await self.auto_range_rbv.post("Off")
        if not self._stuck:
            await self.range_rbv.post(full_uw)
        elif full_uw != self.range_rbv.value:
            text = f"{instance.label}: got {value:g}, the range does not change"
            await self.report_error(instance, text)
        raise SkipWrite

    @auto_range.putter
    async def _put_auto_range(self, instance: Any, value: str) -> None:
        """Let the meter choose, or keep what it has."""
        await self.auto_range_rbv.post(value)

    @property
    def _stuck(self) -> bool:
        return bool(self._world.faults.value("meter_range_stuck"))

    async def _read(self) -> None:
        world, began = self._world, time.time()
        start = world.now()
        end = start + self.averaging_time.value
        chosen = self._stuck or self.auto_range_rbv.value == "Off"
        full_uw = float(self.range_rbv.value) if chosen else None
        while await pass_time(world, end, self._reading.abort):
            pass
        if self._reading.abort.is_set():
            return
        counter = self.counter_rbv.value + 1
        reading = world.meter.average(
            world.beam,
            start,
            end,
            setting_nm=self.wavelength.value,
            counter=counter,
            full_scale_uw=full_uw,
        )
        await self.range_rbv.post(reading.full_scale_uw)
        await self.overrange_rbv.post(NO_YES[bool(reading.overrange)])
        await self.overrange_rbv.raise_alarm(*(OVER if reading.overrange else NO_ALARM))
        await self.power_rbv.post(reading.power_uw)
        await self.power_rbv.raise_alarm(*(VOID if reading.overrange else NO_ALARM))
        await self.power_sigma_rbv.post(reading.sigma_uw)
        await self.timestamp_rbv.post((began + time.time()) / 2)
        await self.counter_rbv.post(counter)
