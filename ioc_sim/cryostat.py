"""The cryostat behind a temperature controller, with Lake Shore's names.

Records of the controller are called as in ``lakeshore336`` by M. Pearson (Oak Ridge),
with the finger on input A (index 0), the sample on input B (1) and the heater on output
1. Gauges and needle valve have no record there.
"""

import asyncio
from typing import Any

from caproto import AlarmSeverity, AlarmStatus, SkipWrite

from ioc_sim.alarms import NO_ALARM, Alarm
from ioc_sim.base import Instrument
from ioc_sim.channels import RefusedPutError
from ioc_sim.cryostat_state import CryostatReading
from ioc_sim.declare import choice, choice_rbv, integer_rbv, number, number_rbv
from ioc_sim.helium_flow import HeliumFlow
from ioc_sim.settling import Settling
from ioc_sim.temperature_control import MODES, RANGES, TRIPS
from ioc_sim.thermometers import SHOWN, Thermometers
from ioc_sim.vocabulary import NO_YES, OFF_ON
from ioc_sim.world import World

__all__ = ["Cryostat"]

PERIOD = 0.2
"""Real seconds between two read-backs."""

TEMPERATURE = (3.5, 310.0)
"""Range of the set point, K."""

RATE = (0.1, 30.0)
"""Range of the ramp rate, K/min."""

PROPORTIONAL = (0.1, 1000.0)
"""Range of P, %/K, from the controller's manual."""

INTEGRAL = (0.0, 1000.0)
"""Range of I, resets per 1000 s, from the controller's manual."""

DERIVATIVE = (0.0, 200.0)
"""Range of D, %, from the controller's manual."""

PERCENT = (0.0, 100.0)
RESET = ("Idle", "Reset")

DRIVER = "lakeshore336"

TRIPPED = Alarm(AlarmStatus.STATE, AlarmSeverity.MAJOR_ALARM)


class Cryostat(Instrument):
    """Cools the sample; a client waits for Stable_RBV, not for the put."""

    setpoint = number(
        "SETP_S1",
        4,
        TEMPERATURE,
        "K",
        precision=3,
        doc="Where the sample's temperature is to go; completes when it is on its way",
        mirrors=f"{DRIVER} SETP_S1",
    )
    working = number_rbv(
        "SETP1",
        4,
        SHOWN,
        "K",
        precision=3,
        doc="Working set point: follows the ramp",
        mirrors=f"{DRIVER} SETP1",
    )
    ramp_rate = number(
        "RAMP_S1",
        10,
        RATE,
        "K/min",
        precision=2,
        doc="Rate at which the working set point moves",
        mirrors=f"{DRIVER} RAMP_S1",
    )
    ramp_rate_rbv = number_rbv(
        "RAMP1",
        10,
        RATE,
        "K/min",
        precision=2,
        doc="Ramp rate now",
        mirrors=f"{DRIVER} RAMP1",
    )
    ramp = choice(
        "RAMPST_S1",
        OFF_ON,
        "On",
        doc="Whether a new set point is gone to by the ramp, or at once",
        mirrors=f"{DRIVER} RAMPST_S1",
    )
    ramp_rbv = choice_rbv(
        "RAMPST1",
        OFF_ON,
        "On",
        doc="Whether the ramp is switched on",
        mirrors=f"{DRIVER} RAMPST1",
    )
    ramping = choice_rbv(
        "Ramping_RBV",
        NO_YES,
        "No",
        doc="Whether the working set point is on its way",
        mirrors="none: command RAMPST? of the controller, which lakeshore336 lacks",
    )
    mode = choice(
        "OMM_S1",
        MODES,
        "Zone",
        doc="Loop: Zone chooses P, I, D by the temperature and foresees the losses; "
        "Closed Loop PID uses P_S1, I_S1, D_S1; Open Loop gives MOUT_S1",
        mirrors=f"{DRIVER} OMM_S1",
    )
    mode_rbv = choice_rbv(
        "OMM1", MODES, "Zone", doc="Loop mode now", mirrors=f"{DRIVER} OMM1"
    )
    heater_range = choice(
        "RANGE_S1",
        RANGES,
        "Range3/High",
        doc="Heater range: 100 %, 10 % or 1 % of the largest power, or off",
        mirrors=f"{DRIVER} RANGE_S1",
    )
    heater_range_rbv = choice_rbv(
        "RANGE1",
        RANGES,
        "Range3/High",
        doc="Heater range now; a trip switches it off",
        mirrors=f"{DRIVER} RANGE1",
    )
    heater = number_rbv(
        "HTR1",
        0,
        PERCENT,
        "%",
        precision=2,
        doc="Heater output, of the present range",
        mirrors=f"{DRIVER} HTR1",
    )
    heater_status = integer_rbv(
        "HTRST1",
        0,
        (0, 2),
        "code",
        doc="Fault of the heater's circuit: 0 none, 1 open, 2 short",
        mirrors=f"{DRIVER} HTRST1",
    )
    heater_power = number_rbv(
        "HeaterPower_RBV",
        0,
        (0, 100),
        "W",
        precision=4,
        doc="Heat that the heater gives",
        mirrors="none: HTR1 times the power of the range",
    )
    manual = number(
        "MOUT_S1",
        0,
        PERCENT,
        "%",
        precision=2,
        doc="Output added in every loop mode, and all there is in Open Loop",
        mirrors=f"{DRIVER} MOUT_S1",
    )
    manual_rbv = number_rbv(
        "MOUT1",
        0,
        PERCENT,
        "%",
        precision=2,
        doc="Manual output now",
        mirrors=f"{DRIVER} MOUT1",
    )
    p = number(
        "P_S1",
        0.1,
        PROPORTIONAL,
        "%/K",
        precision=3,
        doc="Proportional setting of Closed Loop PID",
        mirrors=f"{DRIVER} P_S1",
    )
    p_rbv = number_rbv(
        "P1",
        0.1,
        (0, 1e6),
        "%/K",
        precision=3,
        doc="Proportional setting that the loop uses now",
        mirrors=f"{DRIVER} P1",
    )
    i = number(
        "I_S1",
        20,
        INTEGRAL,
        "1/ks",
        precision=2,
        doc="Integral setting of Closed Loop PID: resets per 1000 s",
        mirrors=f"{DRIVER} I_S1",
    )
    i_rbv = number_rbv(
        "I1",
        20,
        INTEGRAL,
        "1/ks",
        precision=2,
        doc="Integral setting that the loop uses now",
        mirrors=f"{DRIVER} I1",
    )
    d = number(
        "D_S1",
        0,
        DERIVATIVE,
        "%",
        precision=1,
        doc="Derivative setting of Closed Loop PID: of a quarter of the integral time",
        mirrors=f"{DRIVER} D_S1",
    )
    d_rbv = number_rbv(
        "D1",
        0,
        DERIVATIVE,
        "%",
        precision=1,
        doc="Derivative setting that the loop uses now",
        mirrors=f"{DRIVER} D1",
    )
    trip_rbv = choice_rbv(
        "Trip_RBV",
        TRIPS,
        "None",
        doc="Why the heater was switched off, until TripReset: a temperature above its "
        "limit, or the sample's thermometer",
        mirrors="none: the controller switches RANGE1 off and shows it on its front",
    )
    trip_reset = choice(
        "TripReset",
        RESET,
        "Idle",
        doc="Put Reset when the reason is gone; then choose RANGE_S1",
        mirrors="none: the controller starts again with RANGE_S1",
    )

    def __init__(self, prefix: str, *, world: World, **kwargs: Any) -> None:
        super().__init__(prefix, world=world, **kwargs)
        self._parts = [
            part(prefix, parent=self, refresh=self._report)
            for part in (Thermometers, HeliumFlow, Settling)
        ]
        for part in self._parts:
            self.pvdb.update(part.pvdb)

    async def start(self) -> None:
        """Show what is set on the controller, and where it is."""
        control = self.world.cryostat.control
        for channel, value in (
            (self.setpoint, control.set_point_k),
            (self.ramp_rate, control.ramp_k_per_min),
            (self.ramp, OFF_ON[control.ramping]),
            (self.mode, control.mode),
            (self.heater_range, control.heater_range),
            (self.manual, control.manual),
            (self.p, control.p),
            (self.i, control.i),
            (self.d, control.d),
        ):
            await channel.post(value)
        for part in self._parts:
            await part.start()
        await self._report()

    async def run(self) -> None:
        """Show the temperatures, five times a second."""
        while True:
            await self._report()
            await asyncio.sleep(PERIOD)

    @setpoint.putter
    async def _put_setpoint(self, instance: Any, value: float) -> None:
        """Start towards a temperature; Stable_RBV has dropped when it completes."""
        await self._change(set_point_k=value)

    @ramp_rate.putter
    async def _put_ramp_rate(self, instance: Any, value: float) -> None:
        """Change the rate of this ramp and the next ones."""
        await self._change(ramp_k_per_min=value)

    @ramp.putter
    async def _put_ramp(self, instance: Any, value: str) -> None:
        """Switch the ramp on or off."""
        await self._change(ramping=value == "On")

    @mode.putter
    async def _put_mode(self, instance: Any, value: str) -> None:
        """Change the loop."""
        await self._change(mode=value)

    @heater_range.putter
    async def _put_heater_range(self, instance: Any, value: str) -> None:
        """Change the range of the heater, or switch it off."""
        trip = self.trip_rbv.value
        if trip != TRIPS[0] and value != RANGES[0]:
            msg = f"got {value} after a trip ({trip}); put Reset to TripReset first"
            raise RefusedPutError(msg)
        await self._change(heater_range=value)

    @manual.putter
    async def _put_manual(self, instance: Any, value: float) -> None:
        """Change the manual output."""
        await self._change(manual=value)

    @p.putter
    async def _put_p(self, instance: Any, value: float) -> None:
        """Change the proportional setting."""
        await self._change(p=value)

    @i.putter
    async def _put_i(self, instance: Any, value: float) -> None:
        """Change the integral setting."""
        await self._change(i=value)

    @d.putter
    async def _put_d(self, instance: Any, value: float) -> None:
        """Change the derivative setting."""
        await self._change(d=value)

    @trip_reset.putter
    async def _put_trip_reset(self, instance: Any, value: str) -> None:
        """Forget a trip whose reason is gone."""
        if value == "Reset" and not self.world.cryostat.reset_trip(self.world.now()):
            msg = f"got Reset, but the reason is still there: {self.trip_rbv.value}"
            raise RefusedPutError(msg)
        await self._report()
        await instance.post("Idle")
        raise SkipWrite

    async def _change(self, **settings: Any) -> None:
        self.world.cryostat.change(self.world.now(), **settings)
        await self._report()

    async def _report(self) -> None:
        reading = self.world.cryostat.read(self.world.now())
        for part in self._parts:
            await part.show(reading)
        await self._report_settings(reading)
        await self.heater.post(reading.heater_percent)
        await self.heater_power.post(reading.heater_w)
        await self.trip_rbv.post(reading.trip)
        tripped = reading.trip != TRIPS[0]
        await self.trip_rbv.raise_alarm(*(TRIPPED if tripped else NO_ALARM))

    async def _report_settings(self, reading: CryostatReading) -> None:
        """Show what is set on the controller, where it has changed."""
        control = self.world.cryostat.control
        await self.working.post(reading.working_k)
        await self.ramping.post(NO_YES[bool(reading.ramping)])
        for channel, value in (
            (self.ramp_rate_rbv, control.ramp_k_per_min),
            (self.ramp_rbv, OFF_ON[control.ramping]),
            (self.mode_rbv, control.mode),
            (self.heater_range_rbv, control.heater_range),
            (self.manual_rbv, control.manual),
            (self.p_rbv, reading.p),
            (self.i_rbv, reading.i),
            (self.d_rbv, reading.d),
        ):
            await channel.post(value)
