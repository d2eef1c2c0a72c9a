"""The helium of the cryostat: needle valve, dewar and insulating vacuum.

Needle valve and dewar have the names of ISIS's support for the Oxford Mercury iTC; the
gauge of the vacuum has one of its own.
"""

import asyncio
from typing import Any

from caproto import AlarmSeverity, AlarmStatus, SkipWrite

from ioc_sim.alarms import NO_ALARM, Alarm
from ioc_sim.base import pass_time
from ioc_sim.channels import Channel, RefusedPutError
from ioc_sim.cryostat_part import CryostatPart
from ioc_sim.cryostat_state import STEP, CryostatReading
from ioc_sim.declare import choice, choice_rbv, number, number_rbv

__all__ = ["HeliumFlow"]

PRESSURE = (0.0, 1100.0)
"""Range of the vacuum gauge, mbar."""

HELIUM_ALARMS = (20.0, 5.0)
"""Levels of the dewar below which to order helium (MINOR), and below which the flow
fades (MAJOR), %."""

VACUUM_ALARMS = (1e-4, 1e-3)
"""Pressures above which the vacuum is poor (MINOR), and above which it warms the finger
(MAJOR), mbar."""

PERCENT = (0.0, 100.0)
FLOW_MODES = ("Manual", "Automatic")
MERCURY = "Oxford Mercury iTC (ISIS EPICS-MercuryiTC)"

LOW = Alarm(AlarmStatus.LOW, AlarmSeverity.MINOR_ALARM)
LOLO = Alarm(AlarmStatus.LOLO, AlarmSeverity.MAJOR_ALARM)
HIGH = Alarm(AlarmStatus.HIGH, AlarmSeverity.MINOR_ALARM)
HIHI = Alarm(AlarmStatus.HIHI, AlarmSeverity.MAJOR_ALARM)


class HeliumFlow(CryostatPart):
    """Needle valve, by hand or as the temperature needs it; level and vacuum."""

    flow = number(
        "Flow",
        100,
        PERCENT,
        "%",
        precision=1,
        doc="Needle valve of the helium flow; completes when its motor has got there",
        mirrors=f"{MERCURY} FLOW:SP",
    )
    flow_rbv = number_rbv(
        "Flow_RBV",
        100,
        PERCENT,
        "%",
        precision=1,
        doc="Opening of the needle valve now",
        mirrors=f"{MERCURY} FLOW",
    )
    flow_mode = choice(
        "FlowMode",
        FLOW_MODES,
        "Manual",
        doc="Automatic opens the valve as far as the temperature needs it",
        mirrors=f"{MERCURY} FLOW:STAT:SP",
    )
    flow_mode_rbv = choice_rbv(
        "FlowMode_RBV",
        FLOW_MODES,
        "Manual",
        doc="Who turns the needle valve",
        mirrors=f"{MERCURY} FLOW:STAT",
    )
    helium_rbv = number_rbv(
        "HeLevel_RBV",
        100,
        PERCENT,
        "%",
        precision=1,
        doc="Helium left in the dewar; MINOR alarm below 20 %, MAJOR below 5 %",
        mirrors=f"{MERCURY} HELIUM",
    )
    vacuum_rbv = number_rbv(
        "Vacuum_RBV",
        1e-6,
        PRESSURE,
        "mbar",
        precision=9,
        doc="Insulating vacuum; MINOR alarm above 1e-4 mbar, MAJOR above 1e-3 mbar",
        mirrors="none: a gauge of its own",
    )

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        super().__init__(prefix, **kwargs)
        self._valve_turns = asyncio.Event()
        faults = self._world.faults
        faults.watch("helium_low", self._run_dry)
        faults.watch("vacuum_leak", self._spoil_vacuum)

    async def start(self) -> None:
        """Show where the needle valve is to be, and who turns it."""
        cryostat = self._world.cryostat
        await self.flow.post(cryostat.valve_percent)
        for channel in (self.flow_mode, self.flow_mode_rbv):
            await channel.post(FLOW_MODES[cryostat.automatic_flow])

    async def show(self, reading: CryostatReading) -> None:
        """Show the valve, and level and vacuum with their alarms."""
        await self.flow_rbv.post(reading.flow_percent)
        await self.helium_rbv.post(reading.helium_percent)
        await _raise_low(self.helium_rbv, HELIUM_ALARMS)
        await self.vacuum_rbv.post(reading.vacuum_mbar)
        await _raise_high(self.vacuum_rbv, VACUUM_ALARMS)

    @flow.putter
    async def _put_flow(self, instance: Any, value: float) -> None:
        """Turn the needle valve; completes when it has got there, or is sent on."""
        if self.flow_mode.value == "Automatic":
            msg = f"got {value:g} while FlowMode is Automatic; put Manual to it first"
            raise RefusedPutError(msg)
        await instance.post(value)
        self._valve_turns.set()
        turns = self._valve_turns = asyncio.Event()
        end = self._world.cryostat.set_flow(self._world.now(), value)
        while await pass_time(self._world, end + STEP, turns):
            pass
        await self._refresh()
        raise SkipWrite

    @flow_mode.putter
    async def _put_flow_mode(self, instance: Any, value: str) -> None:
        """Hand the needle valve over; it goes on from where it is."""
        now, cryostat = self._world.now(), self._world.cryostat
        self._valve_turns.set()
        if value == "Manual":
            opening = cryostat.read(now).flow_percent
            cryostat.set_flow(now, opening)
            await self.flow.post(opening)
        cryostat.set_automatic_flow(now, automatic=value == "Automatic")
        await self.flow_mode_rbv.post(value)

    async def _run_dry(self, share: Any) -> None:
        self._world.cryostat.run_dry(self._world.now(), float(share))
        await self._refresh()

    async def _spoil_vacuum(self, pressure_mbar: Any) -> None:
        self._world.cryostat.spoil_vacuum(self._world.now(), float(pressure_mbar))
        await self._refresh()


async def _raise_low(channel: Channel, levels: tuple[float, float]) -> None:
    """Raise the alarm of a value that may not be too small."""
    low, lolo = levels
    mild = LOW if channel.value < low else NO_ALARM
    await channel.raise_alarm(*(LOLO if channel.value < lolo else mild))


async def _raise_high(channel: Channel, levels: tuple[float, float]) -> None:
    """Raise the alarm of a value that may not be too large."""
    high, hihi = levels
    mild = HIGH if channel.value > high else NO_ALARM
    await channel.raise_alarm(*(HIHI if channel.value > hihi else mild))
