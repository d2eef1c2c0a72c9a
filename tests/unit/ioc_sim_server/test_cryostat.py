"""The cryostat's PVs: what the controller shows, refuses, and gives alarm for."""

import asyncio
import math

import pytest
from caproto import AlarmSeverity, AlarmStatus

from ioc_sim.channels import RefusedPutError
from ioc_sim.clock import ManualClock
from ioc_sim.cryostat import Cryostat
from ioc_sim.sample import load_sample
from ioc_sim.world import World

NONE = (AlarmStatus.NO_ALARM, AlarmSeverity.NO_ALARM)


class Bench:
    """The cryostat alone, with a clock that goes when it is told to."""

    def __init__(self, put):
        self.clock = ManualClock()
        self.world = World(load_sample(None), seed=3, clock=self.clock)
        self.group = Cryostat("T:CRYO:", world=self.world)
        self._put = put
        asyncio.run(self.group.start())

    def put(self, name, value):
        asyncio.run(self._put(self.group.pvdb[f"T:CRYO:{name}"], value))

    def fault(self, name, value):
        asyncio.run(self.world.faults.set(name, value))

    def wait(self, seconds):
        self.clock.advance(seconds)
        asyncio.run(self.group._report())

    def __getitem__(self, name):
        return self.group.pvdb[f"T:CRYO:{name}"].value

    def alarm(self, name):
        alarm = self.group.pvdb[f"T:CRYO:{name}"].alarm
        return alarm.status, alarm.severity


@pytest.fixture
def cryostat(put):
    return Bench(put)


@pytest.mark.parametrize(
    ("setting", "readback", "value"),
    [
        ("RAMP_S1", "RAMP1", 5.0),
        ("RAMPST_S1", "RAMPST1", "Off"),
        ("OMM_S1", "OMM1", "Open Loop"),
        ("RANGE_S1", "RANGE1", "Range1/Low"),
        ("MOUT_S1", "MOUT1", 1.0),
        ("TLIMIT_S0", "TLIMIT0", 50.0),
        ("TLIMIT_S1", "TLIMIT1", 0.0),
        ("FlowMode", "FlowMode_RBV", "Automatic"),
    ],
)
def test_each_setting_has_its_read_back(cryostat, setting, readback, value):
    cryostat.put(setting, value)

    assert (cryostat[setting], cryostat[readback]) == (value, value)


def test_the_zone_shows_its_own_gains_and_the_loop_those_that_were_set(cryostat):
    for name, value in {"P_S1": 3.0, "I_S1": 10.0, "D_S1": 25.0}.items():
        cryostat.put(name, value)
    zone = cryostat["P1"], cryostat["I1"], cryostat["D1"]
    cryostat.put("OMM_S1", "Closed Loop PID")

    # C(4 K) = 0.677 J/K over 12 s, of 50 W
    assert zone == pytest.approx((0.677 / 12 / 50 * 100, 1000 / 45, 0.0), rel=1e-3)
    assert (cryostat["P1"], cryostat["I1"], cryostat["D1"]) == pytest.approx(
        (3.0, 10.0, 25.0)
    )


def test_a_new_set_point_ramps_and_gets_stable(cryostat):
    cryostat.put("SETP_S1", 10.0)
    at_once = cryostat["Stable_RBV"], cryostat["Ramping_RBV"], cryostat["SETP1"]
    cryostat.wait(18.0)
    halfway = cryostat["SETP1"]
    cryostat.wait(300.0)

    assert at_once == ("No", "Yes", 4.0)
    assert halfway == pytest.approx(7.0)
    assert (cryostat["Stable_RBV"], cryostat["Ramping_RBV"]) == ("Yes", "No")
    assert cryostat["StableRms_RBV"] < 0.006
    assert cryostat["StablePeak_RBV"] < 0.05
    losses = 0.16 * 6.8 - 4e-4 * 290
    assert cryostat["HeaterPower_RBV"] == pytest.approx(losses, rel=0.01)
    assert cryostat["HTR1"] == pytest.approx(100 * losses / 50, rel=0.01)


def test_an_open_thermometer_is_an_invalid_nan_without_heat(cryostat):
    cryostat.put("SETP_S1", 20.0)
    cryostat.wait(400.0)
    cryostat.fault("thermometer_open", 1)
    cryostat.wait(1.0)

    assert math.isnan(cryostat["KRDG1"])
    assert cryostat.alarm("KRDG1") == (AlarmStatus.READ, AlarmSeverity.INVALID_ALARM)
    assert cryostat["RDGST1"] == "Sensor Over"
    assert cryostat.alarm("RDGST1")[1] == AlarmSeverity.MAJOR_ALARM
    assert (cryostat["Trip_RBV"], cryostat["RANGE1"]) == ("Sensor", "Off")
    assert (cryostat["HTR1"], cryostat["HeaterPower_RBV"]) == (0.0, 0.0)
    assert cryostat.alarm("Trip_RBV")[1] == AlarmSeverity.MAJOR_ALARM
    assert cryostat["Stable_RBV"] == "No"
    assert cryostat["RDGST0"] == "Valid"
    assert math.isfinite(cryostat["KRDG0"])


def test_a_trip_stays_until_its_reason_is_gone_and_it_is_reset(cryostat):
    cryostat.fault("thermometer_open", 1)
    with pytest.raises(RefusedPutError, match="still there: Sensor"):
        cryostat.put("TripReset", "Reset")
    with pytest.raises(RefusedPutError, match="after a trip \\(Sensor\\)"):
        cryostat.put("RANGE_S1", "Range3/High")
    cryostat.fault("thermometer_open", 0)
    assert cryostat["Trip_RBV"] == "Sensor"

    cryostat.put("TripReset", "Reset")

    assert (cryostat["Trip_RBV"], cryostat["RANGE1"]) == ("None", "Off")
    assert cryostat.alarm("Trip_RBV") == NONE
    assert cryostat.alarm("KRDG1") == NONE
    assert cryostat["TripReset"] == "Idle"
    cryostat.put("RANGE_S1", "Range3/High")
    cryostat.wait(300.0)
    assert cryostat["Stable_RBV"] == "Yes"


def test_a_temperature_above_its_limit_trips_with_alarm(cryostat):
    cryostat.put("SETP_S1", 20.0)
    cryostat.wait(400.0)

    cryostat.put("TLIMIT_S1", 15.0)

    assert (cryostat["Trip_RBV"], cryostat["RANGE1"]) == ("Over temperature", "Off")
    assert cryostat.alarm("KRDG1") == (AlarmStatus.HIHI, AlarmSeverity.MAJOR_ALARM)
    cryostat.wait(100.0)
    assert cryostat.alarm("KRDG1") == NONE
    assert cryostat["Trip_RBV"] == "Over temperature"


def test_the_helium_level_warns_before_it_is_too_low(cryostat):
    assert cryostat.alarm("HeLevel_RBV") == NONE

    cryostat.wait(41 * 3600.0)  # 2 %/h at full flow

    assert cryostat["HeLevel_RBV"] == pytest.approx(18.0)
    assert cryostat.alarm("HeLevel_RBV") == (AlarmStatus.LOW, AlarmSeverity.MINOR_ALARM)

    cryostat.fault("helium_low", 1)

    assert cryostat["HeLevel_RBV"] < 5.0
    assert cryostat.alarm("HeLevel_RBV") == (
        AlarmStatus.LOLO,
        AlarmSeverity.MAJOR_ALARM,
    )
    cryostat.wait(60.0)
    assert cryostat["KRDG1"] == pytest.approx(9.2, abs=0.5)


def test_a_leak_is_seen_by_gauge_and_thermometer(cryostat):
    assert cryostat.alarm("Vacuum_RBV") == NONE
    cryostat.fault("vacuum_leak", 1e-2)
    cryostat.wait(0.5)
    assert cryostat.alarm("Vacuum_RBV") == (AlarmStatus.HIGH, AlarmSeverity.MINOR_ALARM)

    cryostat.wait(600.0)

    assert cryostat["Vacuum_RBV"] == pytest.approx(1e-2, rel=0.01)
    assert cryostat.alarm("Vacuum_RBV") == (AlarmStatus.HIHI, AlarmSeverity.MAJOR_ALARM)
    assert cryostat["KRDG1"] > 10.0
    assert cryostat["Stable_RBV"] == "No"


def test_the_flow_completes_when_the_valve_has_got_there(bench, pvs, put):
    before = bench.world.now()

    asyncio.run(put(pvs["T:CRYO:Flow"], 50))

    assert bench.world.now() - before >= 5.0
    assert pvs["T:CRYO:Flow_RBV"].value == pytest.approx(50.0)


def test_a_newer_flow_takes_over(pvs, put):
    async def turn_twice():
        first = asyncio.create_task(put(pvs["T:CRYO:Flow"], 50))
        await asyncio.sleep(0)
        await put(pvs["T:CRYO:Flow"], 100)
        async with asyncio.timeout(5):
            await first

    asyncio.run(turn_twice())

    assert pvs["T:CRYO:Flow"].value == 100
    assert pvs["T:CRYO:Flow_RBV"].value == pytest.approx(100.0)


def test_an_automatic_valve_is_not_turned_by_hand(cryostat):
    cryostat.put("SETP_S1", 100.0)
    cryostat.wait(1500.0)
    cryostat.put("FlowMode", "Automatic")
    with pytest.raises(RefusedPutError, match="FlowMode is Automatic"):
        cryostat.put("Flow", 50)
    cryostat.wait(60.0)
    opening = cryostat["Flow_RBV"]

    cryostat.put("FlowMode", "Manual")
    cryostat.wait(60.0)

    assert opening < 50.0
    assert cryostat["Flow_RBV"] == pytest.approx(opening)
    assert cryostat["Flow"] == pytest.approx(opening)


def test_a_longer_window_and_a_narrower_band_are_judged_at_once(cryostat):
    cryostat.wait(100.0)
    cryostat.put("StableBand", 0.003)
    assert cryostat["Stable_RBV"] == "No"

    cryostat.put("StableBand", 0.05)
    cryostat.put("StableTime", 60)

    assert cryostat["Stable_RBV"] == "Yes"
