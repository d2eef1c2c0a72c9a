"""The tunable filter: play and backlash, slip, homing, throughput, its shutter."""

import asyncio

import pytest
from caproto import AlarmSeverity

from ioc_sim.sample import load_sample

PLAY = load_sample(None).filter.play


def true_nm(bench):
    """Centre of the pump line: the gear's output, and what slipped behind it."""
    now = bench.world.now()
    return bench.world.filter_nm.at(now) + bench.world.faults.at("filter_slip", now)


def go(bench, put, *wavelengths):
    async def run():
        for nm in wavelengths:
            await put(bench.pvdb["T:FILTER:Wavelength"], nm)

    asyncio.run(run())
    return true_nm(bench)


@pytest.mark.parametrize("by_way_of", [500.0, 600.0])
def test_the_true_centre_does_not_depend_on_the_direction(bench, pvs, put, by_way_of):
    assert go(bench, put, by_way_of, 530.0) == 530.0
    assert pvs["T:FILTER:Wavelength_RBV"].value == 530.0


@pytest.mark.parametrize(("by_way_of", "off"), [(500.0, 0.0), (600.0, PLAY)])
def test_without_the_overshoot_it_does_and_no_read_back_shows_it(
    bench, pvs, put, by_way_of, off
):
    asyncio.run(put(pvs["T:FILTER:Backlash"], 0))

    assert go(bench, put, by_way_of, 530.0) == pytest.approx(530.0 + off)
    assert pvs["T:FILTER:Wavelength_RBV"].value == 530.0


def test_play_that_is_taken_up_later_is_right_again(bench, pvs, put):
    asyncio.run(put(pvs["T:FILTER:Backlash"], 0))
    go(bench, put, 600.0, 530.0)
    asyncio.run(put(pvs["T:FILTER:Backlash"], 0.2))

    assert go(bench, put, 530.0) == 530.0


def test_a_worn_gear_has_more_play_than_the_overshoot_takes_up(bench, pvs, put):
    asyncio.run(bench.world.faults.set("filter_play", 0.3))

    assert go(bench, put, 600.0, 530.0) == pytest.approx(530.0 + PLAY + 0.3 - 0.2)
    asyncio.run(put(pvs["T:FILTER:Backlash"], 0.5))
    assert go(bench, put, 600.0, 530.0) == 530.0


def test_a_slip_is_gone_after_homing(bench, pvs, put):
    async def slip_and_home():
        await bench.world.faults.set("filter_slip", 0.3)
        slipped = true_nm(bench) - pvs["T:FILTER:Wavelength_RBV"].value
        await put(pvs["T:FILTER:Home"], "Home")
        return slipped

    assert asyncio.run(slip_and_home()) == pytest.approx(0.3)
    assert true_nm(bench) == pvs["T:FILTER:Wavelength_RBV"].value == 480.0
    assert pvs["T:FILTER:Wavelength"].value == 480.0
    assert pvs["T:FILTER:Home"].value == "Idle"
    assert pvs["T:FILTER:Moving_RBV"].value == "No"


def test_homing_that_is_stopped_leaves_the_slip(bench, pvs, put):
    async def slip_and_stop():
        await bench.world.faults.set("filter_slip", 0.3)
        await put(pvs["T:FILTER:Velocity"], 0.1)
        homing = asyncio.create_task(put(pvs["T:FILTER:Home"], "Home"))
        await asyncio.sleep(0)
        await put(pvs["T:FILTER:Stop"], "Stop")
        async with asyncio.timeout(5):
            await homing

    asyncio.run(slip_and_stop())

    assert bench.world.faults.value("filter_slip") == 0.3


def test_a_stuck_drive_says_so_and_stays(bench, pvs, put):
    readback, said = pvs["T:FILTER:Wavelength_RBV"], pvs["T:FILTER:LastError_RBV"]

    async def stick():
        await bench.world.faults.set("stuck_motor", "FILTER:Wavelength")
        await put(pvs["T:FILTER:Wavelength"], 600)
        assert (readback.value, pvs["T:FILTER:Moving_RBV"].value) == (526, "No")
        assert readback.alarm.severity == AlarmSeverity.MAJOR_ALARM
        assert said.value == "Wavelength: the drive does not follow its steps"
        await bench.world.faults.set("stuck_motor", "None")
        await put(pvs["T:FILTER:Wavelength"], 600)

    asyncio.run(stick())

    assert readback.value == true_nm(bench) == 600
    assert readback.alarm.severity == AlarmSeverity.NO_ALARM
    assert said.value == ""


def test_the_bandwidth_is_shown_as_energy(pvs, put):
    async def change():
        await put(pvs["T:FILTER:Wavelength"], 495)
        await put(pvs["T:FILTER:Bandwidth"], 2.0)

    asyncio.run(change())

    edges = [1239841.984 / nm for nm in (494.0, 496.0)]
    shown = pvs["T:FILTER:BandwidthMeV_RBV"].value
    assert shown == pytest.approx(edges[0] - edges[1], rel=1e-4)


def test_the_throughput_is_that_of_the_gratings(bench, pvs, put):
    throughput, sample = pvs["T:FILTER:Throughput_RBV"], bench.world.sample
    best = sample.source.envelope_center

    go(bench, put, best)
    assert throughput.value == pytest.approx(100 * sample.filter.efficiency)
    go(bench, put, best + sample.source.envelope_width / 2)
    assert throughput.value == pytest.approx(65 * 0.8825, rel=1e-3)


def test_the_filter_s_shutter_darkens_the_meter_too(pvs, put):
    power, shutter = pvs["T:POWER:Meter:Power_RBV"], pvs["T:FILTER:Shutter"]

    async def measure():
        readings = []
        await put(pvs["T:LASER:Level"], 100)
        await put(pvs["T:LASER:Emission"], "On")
        await put(pvs["T:POWER:OD"], 1)
        for state in ("Open", "Closed", "Open"):
            await put(shutter, state)
            await put(pvs["T:POWER:Meter:Measure"], "Measure")
            readings.append(power.value)
            assert pvs["T:FILTER:Shutter_RBV"].value == state
        return readings

    light, dark, again = asyncio.run(measure())

    assert light == pytest.approx(0.8, rel=0.05)
    assert again == pytest.approx(light, rel=0.05)
    assert abs(dark) < 1e-4


def test_a_stop_during_the_overshoot_ends_the_move(bench, pvs, put):
    async def stop_below():
        await put(pvs["T:FILTER:Backlash"], 5)
        await put(pvs["T:FILTER:Velocity"], 0.1)
        move = asyncio.create_task(put(pvs["T:FILTER:Wavelength"], 525.99))
        await asyncio.sleep(0)
        await put(pvs["T:FILTER:Stop"], "Stop")
        async with asyncio.timeout(5):
            await move

    asyncio.run(stop_below())

    rested = pvs["T:FILTER:Wavelength_RBV"].value
    assert rested == bench.world.filter_drive_nm.at(bench.world.now() + 1e4)
    assert pvs["T:FILTER:Moving_RBV"].value == "No"
