"""The power control: ranges of the meter, the operator's cap, a shutter that sticks."""

import asyncio
import time

import numpy as np
import pytest
from caproto import AlarmSeverity

from ioc_sim.channels import RefusedPutError

METER = "T:POWER:Meter:"


@pytest.fixture
def faults(bench):
    return bench.world.faults


def light(pvs, put, density, nm=526):
    """Full emission behind an attenuator."""

    async def run():
        await put(pvs["T:FILTER:Wavelength"], nm)
        await put(pvs["T:LASER:Level"], 100)
        await put(pvs["T:LASER:Emission"], "On")
        await put(pvs["T:POWER:OD"], density)

    asyncio.run(run())


async def shown(channel):
    """What a client gets."""
    _, (value,) = await channel.read(channel.data_type)
    return value


def measure(pvs, put):
    asyncio.run(put(pvs[f"{METER}Measure"], "Measure"))
    return pvs[f"{METER}Power_RBV"].value


@pytest.mark.parametrize(("density", "full_uw"), [(0, 40), (1, 4), (2, 0.4), (3, 0.04)])
def test_the_meter_chooses_its_range(pvs, put, density, full_uw):
    light(pvs, put, density)

    power = measure(pvs, put)

    assert power == pytest.approx(8 * 10**-density, rel=0.1)
    assert pvs[f"{METER}Range_RBV"].value == pytest.approx(full_uw)
    assert pvs[f"{METER}AutoRange_RBV"].value == "On"


@pytest.mark.parametrize(("asked", "full_uw"), [(40, 40), (3, 4), (4, 4), (0, 0.04)])
def test_a_range_is_the_least_that_takes_what_is_asked(pvs, put, asked, full_uw):
    asyncio.run(put(pvs[f"{METER}Range"], asked))

    for name in ("Range", "Range_RBV"):
        assert pvs[METER + name].value == pytest.approx(full_uw)
    for name in ("AutoRange", "AutoRange_RBV"):
        assert pvs[METER + name].value == "Off"


def test_a_range_that_the_meter_does_not_have_is_refused(pvs, put):
    with pytest.raises(RefusedPutError, match=r"limits 0\.\.40 uW"):
        asyncio.run(put(pvs[f"{METER}Range"], 41))


def test_a_reading_beyond_the_range_is_void(pvs, put):
    light(pvs, put, 0)
    over, power = pvs[f"{METER}Overrange_RBV"], pvs[f"{METER}Power_RBV"]

    async def exceed():
        await put(pvs[f"{METER}Range"], 0.4)
        await put(pvs[f"{METER}Measure"], "Measure")
        assert (power.value, over.value) == (0.4, "Yes")
        assert over.alarm.severity == AlarmSeverity.MAJOR_ALARM
        assert power.alarm.severity == AlarmSeverity.INVALID_ALARM
        await put(pvs[f"{METER}AutoRange"], "On")
        await put(pvs[f"{METER}Measure"], "Measure")

    asyncio.run(exceed())

    assert power.value == pytest.approx(8, rel=0.1)
    assert over.value == "No"
    for channel in (over, power):
        assert channel.alarm.severity == AlarmSeverity.NO_ALARM


def test_a_range_that_sticks_is_said_and_shown(pvs, put, faults):
    light(pvs, put, 2)

    async def stick():
        await put(pvs[f"{METER}Measure"], "Measure")
        await faults.set("meter_range_stuck", 1)
        await put(pvs["T:POWER:OD"], 0)
        await put(pvs[f"{METER}Measure"], "Measure")
        over = pvs[f"{METER}Overrange_RBV"].value
        await put(pvs[f"{METER}Range"], 40)
        return over

    assert asyncio.run(stick()) == "Yes"
    assert pvs[f"{METER}Range_RBV"].value == pytest.approx(0.4)
    said = pvs["T:POWER:LastError_RBV"].value
    assert said == "Meter:Range: got 40, the range does not change"


def test_a_reading_tells_when_it_was(pvs, put):
    before = time.time()

    measure(pvs, put)

    assert before <= pvs[f"{METER}Timestamp_RBV"].value <= time.time()


def test_the_ceiling_is_that_of_the_wavelength_and_the_bandwidth(bench, pvs, put):
    most = {}
    for nm in (495.0, 526.0, 700.0):
        light(pvs, put, 0, nm)
        most[nm] = asyncio.run(shown(pvs["T:POWER:MaxPower_RBV"]))
        truth = bench.world.beam.maximum_power(nm, 1.8)
        assert most[nm] == pytest.approx(truth, rel=0.04)
    asyncio.run(put(pvs["T:FILTER:Bandwidth"], 0.9))

    narrow = asyncio.run(shown(pvs["T:POWER:MaxPower_RBV"]))
    assert narrow == pytest.approx(most[700.0] / 2)
    table = pvs["T:POWER:Calibration:MaxPower_RBV"].value
    nm = pvs["T:POWER:Calibration:Wavelength_RBV"].value
    assert np.interp(526.0, nm, table) == pytest.approx(most[526.0])


def test_a_slip_of_the_filter_does_not_show_in_the_ceiling(pvs, put, faults):
    light(pvs, put, 0, 600)
    before = asyncio.run(shown(pvs["T:POWER:MaxPower_RBV"]))

    asyncio.run(faults.set("filter_slip", 3.0))

    assert asyncio.run(shown(pvs["T:POWER:MaxPower_RBV"])) == before


def test_the_expected_power_is_that_of_level_and_attenuator(pvs, put):
    light(pvs, put, 1)
    asyncio.run(put(pvs["T:LASER:Level"], 50))

    most, expected = (
        asyncio.run(shown(pvs[f"T:POWER:{name}Power_RBV"]))
        for name in ("Max", "Expected")
    )

    assert expected == pytest.approx(most / 20)


def test_what_would_exceed_the_cap_is_refused(pvs, put):
    light(pvs, put, 1)

    async def exceed():
        await put(pvs["T:POWER:PowerCap"], 20)
        with pytest.raises(
            RefusedPutError,
            match=r"got 0\.5 OD, that is 2\d\.\d+ uW at the sample at 526\.00 nm, the "
            "cap is 20 uW",
        ):
            await put(pvs["T:POWER:OD"], 0.5)
        assert pvs["T:POWER:OD_RBV"].value == 1
        await put(pvs["T:POWER:OD"], 0.7)
        await put(pvs["T:POWER:PowerCap"], 10)
        with pytest.raises(RefusedPutError, match=r"got Open, .* the cap is 10 uW"):
            await put(pvs["T:POWER:Shutter"], "Open")
        await put(pvs["T:POWER:OD"], 0.8)

    asyncio.run(exceed())

    assert pvs["T:POWER:OD_RBV"].value == 0.8
    assert pvs["T:POWER:Shutter_RBV"].value == "Closed"


def test_a_cap_below_the_light_closes_the_shutter(pvs, put):
    light(pvs, put, 1)

    async def lower():
        await put(pvs["T:POWER:Shutter"], "Open")
        await put(pvs["T:POWER:PowerCap"], 5)

    asyncio.run(lower())

    assert pvs["T:POWER:Shutter_RBV"].value == "Closed"
    assert "beyond the cap" in pvs["T:POWER:LastError_RBV"].value


@pytest.mark.parametrize(
    ("name", "value"), [("FILTER:Wavelength", 690), ("LASER:Level", 60)]
)
def test_the_shutter_closes_when_laser_or_filter_exceed_the_cap(
    bench, pvs, put, name, value
):
    light(pvs, put, 1)

    async def exceed():
        await put(pvs["T:LASER:Level"], 20)
        await put(pvs["T:POWER:PowerCap"], 4)
        await put(pvs["T:POWER:Shutter"], "Open")
        running = asyncio.create_task(bench.run())
        closed = asyncio.Event()
        report = pvs["T:POWER:Shutter_RBV"].post

        async def watch(state):
            await report(state)
            if state == "Closed":
                closed.set()

        pvs["T:POWER:Shutter_RBV"].post = watch
        await put(pvs[f"T:{name}"], value)
        async with asyncio.timeout(5):
            await closed.wait()
        running.cancel()

    asyncio.run(exceed())

    assert pvs["T:POWER:Shutter"].value == "Closed"
    assert bench.world.shutter.at(bench.world.now()) == 0


def test_no_cap_is_the_default(pvs, put):
    light(pvs, put, 0, 700)

    asyncio.run(put(pvs["T:POWER:Shutter"], "Open"))

    assert pvs["T:POWER:Shutter_RBV"].value == "Open"


def test_a_shutter_that_does_not_open_says_so_and_is_let_go(bench, pvs, put, faults):
    shutter, switch = pvs["T:POWER:Shutter"], pvs["T:POWER:Shutter_RBV"]

    async def stick():
        await faults.set("shutter_stuck", "Closed")
        await put(shutter, "Open")
        assert (shutter.value, switch.value) == ("Closed", "Closed")
        assert switch.alarm.severity == AlarmSeverity.MAJOR_ALARM
        said = pvs["T:POWER:LastError_RBV"].value
        assert said == "Shutter: got Open, the limit switch says Closed"
        await faults.set("shutter_stuck", "None")
        assert bench.world.shutter.at(bench.world.now()) == 0
        await put(shutter, "Open")

    asyncio.run(stick())

    assert switch.value == "Open"
    assert switch.alarm.severity == AlarmSeverity.NO_ALARM
    assert pvs["T:POWER:LastError_RBV"].value == ""


def test_a_shutter_that_does_not_close_says_so_until_its_spring_does(
    bench, pvs, put, faults
):
    shutter, switch = pvs["T:POWER:Shutter"], pvs["T:POWER:Shutter_RBV"]

    async def stick():
        await put(shutter, "Open")
        await faults.set("shutter_stuck", "Open")
        await put(shutter, "Closed")
        assert (shutter.value, switch.value) == ("Closed", "Open")
        assert switch.alarm.severity == AlarmSeverity.MAJOR_ALARM
        assert bench.world.shutter.at(bench.world.now()) == 1
        await bench.make_safe()
        assert switch.value == "Open"
        await faults.set("shutter_stuck", "None")

    asyncio.run(stick())

    assert switch.value == "Closed"
    assert switch.alarm.severity == AlarmSeverity.NO_ALARM
    assert bench.world.shutter.at(bench.world.now()) == 0


def test_a_blade_leaves_the_end_where_it_does_not_stick(pvs, put, faults):
    async def open_once():
        await faults.set("shutter_stuck", "Open")
        await put(pvs["T:POWER:Shutter"], "Open")

    asyncio.run(open_once())

    assert pvs["T:POWER:Shutter_RBV"].value == "Open"
