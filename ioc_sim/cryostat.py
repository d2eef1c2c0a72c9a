"""The cryostat behind a temperature controller, with Lake Shore's names.

Records of the controller are called as in ``lakeshore336`` by M. Pearson (Oak Ridge),
with the finger on input A (index 0), the sample on input B (1) and the heater on output
1. Gauges and needle valve have no record there.
"""

import asyncio
import math
from typing import Any

from caproto import AlarmSeverity, AlarmStatus, SkipWrite

from ioc_sim.base import Instrument, pass_time
from ioc_sim.channels import Channel, RefusedPutError
from ioc_sim.declare import choice, choice_rbv, integer_rbv, number, number_rbv
from ioc_sim.temperature_control import MODES, RANGES, TRIPS
from ioc_sim.thermal import STEP, CryostatReading
from ioc_sim.vocabulary import NO_YES, OFF_ON
from ioc_sim.world import World

__all__ = ["Cryostat"]

PERIOD = 0.2
"""Real seconds between two read-backs."""

TEMPERATURE = (3.5, 310.0)
"""Range of the set point, K."""

SHOWN = (0.0, 320.0)
"""Range to show temperatures in, K."""

RATE = (0.1, 30.0)
"""Range of the ramp rate, K/min."""

LIMIT = (0.0, 2999.0)
"""Range of the temperature limits, K, from the controller's manual."""

PROPORTIONAL = (0.1, 1000.0)
"""Range of P, %/K, from the controller's manual."""

INTEGRAL = (0.0, 1000.0)
"""Range of I, resets per 1000 s, from the controller's manual."""

DERIVATIVE = (0.0, 200.0)
"""Range of D, %, from the controller's manual."""

PRESSURE = (0.0, 1100.0)
"""Range of the vacuum gauge, mbar."""

HELIUM_ALARMS = (20.0, 5.0)
"""Levels of the dewar below which to order helium (MINOR), and below which the flow
fades (MAJOR), %."""

VACUUM_ALARMS = (1e-4, 1e-3)
"""Pressures above which the vacuum is poor (MINOR), and above which it warms the finger
(MAJOR), mbar."""

PERCENT = (0.0, 100.0)
SENSOR_STATES = (
    "Valid",
    "Invalid",
    "Temp Under",
    "Temp Over",
    "Sensor Zero",
    "Sensor Over",
)
FLOW_MODES = ("Manual", "Automatic")
RESET = ("Idle", "Reset")

DRIVER = "lakeshore336"
MERCURY = "Oxford Mercury iTC (ISIS EPICS-MercuryiTC)"
WINDOW = "none: judged by this IOC; lakeshore336 has IN_WINDOW1, without a time"


class Cryostat(Instrument):
    """Cools the sample; a client waits for Stable_RBV, not for the put."""

    finger = number_rbv(
        "KRDG0",
        4,
        SHOWN,
        "K",
        precision=4,
        doc="Cold finger; the loop controls by it",
        mirrors=f"{DRIVER} KRDG0",
    )
    sample = number_rbv(
        "KRDG1",
        4,
        SHOWN,
        "K",
        precision=4,
        doc="Sample; NaN with INVALID alarm when its thermometer has failed",
        mirrors=f"{DRIVER} KRDG1",
    )
    finger_status = choice_rbv(
        "RDGST0",
        SENSOR_STATES,
        "Valid",
        doc="State of the finger's thermometer",
        mirrors=f"{DRIVER} RDGST0",
    )
    sample_status = choice_rbv(
        "RDGST1",
        SENSOR_STATES,
        "Valid",
        doc="State of the sample's thermometer",
        mirrors=f"{DRIVER} RDGST1",
    )
    finger_limit = number(
        "TLIMIT_S0",
        320,
        LIMIT,
        "K",
        precision=1,
        doc="Finger temperature above which the heater is switched off; 0 for none",
        mirrors=f"{DRIVER} TLIMIT_S0",
    )
    finger_limit_rbv = number_rbv(
        "TLIMIT0",
        320,
        LIMIT,
        "K",
        precision=1,
        doc="Limit of the finger now",
        mirrors=f"{DRIVER} TLIMIT0",
    )
    sample_limit = number(
        "TLIMIT_S1",
        320,
        LIMIT,
        "K",
        precision=1,
        doc="Sample temperature above which the heater is switched off; 0 for none",
        mirrors=f"{DRIVER} TLIMIT_S1",
    )
    sample_limit_rbv = number_rbv(
        "TLIMIT1",
        320,
        LIMIT,
        "K",
        precision=1,
        doc="Limit of the sample now",
        mirrors=f"{DRIVER} TLIMIT1",
    )
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
    stable_rbv = choice_rbv(
        "Stable_RBV",
        NO_YES,
        "Yes",
        doc="The ramp was over and every reading of the sample within StableBand of "
        "SETP_S1 for StableTime",
        mirrors=WINDOW,
    )
    stable_band = number(
        "StableBand",
        0.05,
        (0.001, 10),
        "K",
        precision=3,
        doc="Half width of the band that counts as stable",
        mirrors=WINDOW,
    )
    stable_time = number(
        "StableTime",
        10,
        (0, 3600),
        "s",
        precision=1,
        doc="How long it has to stay in the band",
        mirrors=WINDOW,
    )
    stable_peak = number_rbv(
        "StablePeak_RBV",
        0,
        SHOWN,
        "K",
        precision=4,
        doc="Greatest distance of the sample from SETP_S1 within the last StableTime",
        mirrors=WINDOW,
    )
    stable_rms = number_rbv(
        "StableRms_RBV",
        0,
        SHOWN,
        "K",
        precision=4,
        doc="Root mean square of that distance",
        mirrors=WINDOW,
    )
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

    def __init__(self, prefix: str, *, world: World, **kwargs: Any) -> None:
        super().__init__(prefix, world=world, **kwargs)
        self._valve_turns = asyncio.Event()
        faults = world.faults
        faults.watch("helium_low", self._run_dry)
        faults.watch("vacuum_leak", self._spoil_vacuum)
        faults.watch("thermometer_open", self._open_thermometer)

    async def start(self) -> None:
        """Show what is set on the controller, and where it is."""
        cryostat = self.world.cryostat
        control, (band_k, hold_s) = cryostat.control, cryostat.stability
        flow_mode = FLOW_MODES[cryostat.automatic_flow]
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
            (self.finger_limit, _limit(control.limits_k[0])),
            (self.sample_limit, _limit(control.limits_k[1])),
            (self.flow, cryostat.valve_percent),
            (self.flow_mode, flow_mode),
            (self.flow_mode_rbv, flow_mode),
            (self.stable_band, band_k),
            (self.stable_time, hold_s),
        ):
            await _show(channel, value)
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

    @finger_limit.putter
    async def _put_finger_limit(self, instance: Any, value: float) -> None:
        """Change the temperature limit of the finger."""
        await self._set_limits(value, self.sample_limit.value)

    @sample_limit.putter
    async def _put_sample_limit(self, instance: Any, value: float) -> None:
        """Change the temperature limit of the sample."""
        await self._set_limits(self.finger_limit.value, value)

    @trip_reset.putter
    async def _put_trip_reset(self, instance: Any, value: str) -> None:
        """Forget a trip whose reason is gone."""
        if value == "Reset" and not self.world.cryostat.reset_trip(self.world.now()):
            msg = f"got Reset, but the reason is still there: {self.trip_rbv.value}"
            raise RefusedPutError(msg)
        await self._report()
        await instance.post("Idle")
        raise SkipWrite

    @flow.putter
    async def _put_flow(self, instance: Any, value: float) -> None:
        """Turn the needle valve; completes when it has got there, or is sent on."""
        if self.flow_mode.value == "Automatic":
            msg = f"got {value:g} while FlowMode is Automatic; put Manual to it first"
            raise RefusedPutError(msg)
        await instance.post(value)
        self._valve_turns.set()
        turns = self._valve_turns = asyncio.Event()
        end = self.world.cryostat.set_flow(self.world.now(), value)
        while await pass_time(self.world, end + STEP, turns):
            pass
        await self._report()
        raise SkipWrite

    @flow_mode.putter
    async def _put_flow_mode(self, instance: Any, value: str) -> None:
        """Hand the needle valve over; it goes on from where it is."""
        now, cryostat = self.world.now(), self.world.cryostat
        self._valve_turns.set()
        if value == "Manual":
            opening = cryostat.read(now).flow_percent
            cryostat.set_flow(now, opening)
            await self.flow.post(opening)
        cryostat.set_automatic_flow(now, automatic=value == "Automatic")
        await self.flow_mode_rbv.post(value)

    @stable_band.putter
    async def _put_stable_band(self, instance: Any, value: float) -> None:
        """Judge by another band from now on."""
        await self._set_stability(value, self.stable_time.value)

    @stable_time.putter
    async def _put_stable_time(self, instance: Any, value: float) -> None:
        """Judge by another time from now on."""
        await self._set_stability(self.stable_band.value, value)

    async def _run_dry(self, share: Any) -> None:
        self.world.cryostat.run_dry(self.world.now(), float(share))
        await self._report()

    async def _spoil_vacuum(self, pressure_mbar: Any) -> None:
        self.world.cryostat.spoil_vacuum(self.world.now(), float(pressure_mbar))
        await self._report()

    async def _open_thermometer(self, share: Any) -> None:
        now = self.world.now()
        self.world.cryostat.open_thermometer(now, is_open=float(share) > 0)
        await self._report()

    async def _change(self, **settings: Any) -> None:
        self.world.cryostat.change(self.world.now(), **settings)
        await self._report()

    async def _set_limits(self, *limits_k: float) -> None:
        await self._change(limits_k=tuple(limit or math.inf for limit in limits_k))

    async def _set_stability(self, band_k: float, hold_s: float) -> None:
        now = self.world.now()
        self.world.cryostat.set_stability(now, band_k=band_k, hold_s=hold_s)
        await self._report()

    async def _report(self) -> None:
        reading = self.world.cryostat.read(self.world.now())
        await self._report_temperatures(reading)
        await self._report_settings(reading)
        await self.heater.post(reading.heater_percent)
        await self.heater_power.post(reading.heater_w)
        await _show(self.trip_rbv, reading.trip)
        tripped = reading.trip != TRIPS[0]
        await self.trip_rbv.raise_alarm(
            AlarmStatus.STATE if tripped else AlarmStatus.NO_ALARM,
            AlarmSeverity.MAJOR_ALARM if tripped else AlarmSeverity.NO_ALARM,
        )
        await self.flow_rbv.post(reading.flow_percent)
        await self.helium_rbv.post(reading.helium_percent)
        await _raise_low(self.helium_rbv, HELIUM_ALARMS)
        await self.vacuum_rbv.post(reading.vacuum_mbar)
        await _raise_high(self.vacuum_rbv, VACUUM_ALARMS)
        await self.stable_peak.post(reading.peak_k)
        await self.stable_rms.post(reading.rms_k)
        await _show(self.stable_rbv, NO_YES[bool(reading.stable)])

    async def _report_temperatures(self, reading: CryostatReading) -> None:
        """Show the thermometers with the alarms of their limits."""
        temperatures = reading.finger_k, reading.sample_k
        channels = self.finger, self.sample
        states = self.finger_status, self.sample_status
        limits = self.world.cryostat.control.limits_k
        for temperature, channel, state, limit in zip(
            temperatures, channels, states, limits, strict=True
        ):
            valid = not math.isnan(temperature)
            if not valid:
                alarm = AlarmStatus.READ, AlarmSeverity.INVALID_ALARM
            elif temperature > limit:
                alarm = AlarmStatus.HIHI, AlarmSeverity.MAJOR_ALARM
            else:
                alarm = AlarmStatus.NO_ALARM, AlarmSeverity.NO_ALARM
            await channel.raise_alarm(*alarm)
            await channel.post(temperature)
            await _show(state, SENSOR_STATES[0 if valid else -1])
            await state.raise_alarm(
                AlarmStatus.NO_ALARM if valid else AlarmStatus.STATE,
                AlarmSeverity.NO_ALARM if valid else AlarmSeverity.MAJOR_ALARM,
            )

    async def _report_settings(self, reading: CryostatReading) -> None:
        """Show what is set on the controller, where it has changed."""
        control = self.world.cryostat.control
        await self.working.post(reading.working_k)
        await _show(self.ramping, NO_YES[bool(reading.ramping)])
        finger_limit, sample_limit = map(_limit, control.limits_k)
        for channel, value in (
            (self.ramp_rate_rbv, control.ramp_k_per_min),
            (self.ramp_rbv, OFF_ON[control.ramping]),
            (self.mode_rbv, control.mode),
            (self.heater_range_rbv, control.heater_range),
            (self.manual_rbv, control.manual),
            (self.finger_limit_rbv, finger_limit),
            (self.sample_limit_rbv, sample_limit),
            (self.p_rbv, reading.p),
            (self.i_rbv, reading.i),
            (self.d_rbv, reading.d),
        ):
            await _show(channel, value)


def _limit(kelvin: float) -> float:
    """Give a temperature limit as the controller shows it: 0 for none."""
    return kelvin if math.isfinite(kelvin) else 0.0


async def _show(channel: Channel, value: Any) -> None:
    """Post a value if it is another one."""
    if channel.value != value:
        await channel.post(value)


async def _raise_low(channel: Channel, levels: tuple[float, float]) -> None:
    """Raise the alarm of a value that may not be too small."""
    low, lolo = levels
    if channel.value < lolo:
        await channel.raise_alarm(AlarmStatus.LOLO, AlarmSeverity.MAJOR_ALARM)
    elif channel.value < low:
        await channel.raise_alarm(AlarmStatus.LOW, AlarmSeverity.MINOR_ALARM)
    else:
        await channel.raise_alarm(AlarmStatus.NO_ALARM, AlarmSeverity.NO_ALARM)


async def _raise_high(channel: Channel, levels: tuple[float, float]) -> None:
    """Raise the alarm of a value that may not be too large."""
    high, hihi = levels
    if channel.value > hihi:
        await channel.raise_alarm(AlarmStatus.HIHI, AlarmSeverity.MAJOR_ALARM)
    elif channel.value > high:
        await channel.raise_alarm(AlarmStatus.HIGH, AlarmSeverity.MINOR_ALARM)
    else:
        await channel.raise_alarm(AlarmStatus.NO_ALARM, AlarmSeverity.NO_ALARM)
