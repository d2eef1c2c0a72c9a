"""The laser: interlock and faults with their latches, status, warm-up, watchdog."""

import asyncio

import pytest
from caproto import AlarmSeverity

from ioc_sim.channels import RefusedPutError
from ioc_sim.clock import Clock, ManualClock
from ioc_sim.laser import Status
from ioc_sim.sample import Sample, load_sample
from ioc_sim.server import Bench
from ioc_sim.world import World

DEADLINE = 10.0
"""Real seconds that anything here may take at most."""


@pytest.fixture
def laser(bench):
    return next(group for group in bench.groups if type(group).__name__ == "Laser")


@pytest.fixture
def faults(bench):
    return bench.world.faults


def make(factor=1000.0, **laser):
    """A bench whose laser has other parameters."""
    tree = load_sample(None).model_dump()
    tree["laser"].update(laser)
    world = World(Sample.model_validate(tree), seed=3, clock=Clock(factor))
    return Bench("T:", world)


def severity(channel):
    return channel.alarm.severity


def posted(channel):
    """All values that the instrument posts from now on."""
    values = asyncio.Queue()
    post = channel.post

    async def watch(value):
        await post(value)
        values.put_nowait(value)

    channel.post = watch
    return values


async def until(channel, condition):
    """Wait until the instrument has posted a value that fulfils a condition."""
    values = posted(channel)
    async with asyncio.timeout(DEADLINE):
        while not condition(channel.value):
            await values.get()


async def light(pvs, put):
    await put(pvs["T:LASER:Level"], 100)
    await put(pvs["T:LASER:Emission"], "On")


def test_emission_is_complete_when_the_laser_is_warm(bench, pvs, put):
    began = bench.world.now()

    asyncio.run(light(pvs, put))

    now = bench.world.now()
    assert now - began >= bench.world.sample.laser.warm_up
    assert bench.world.laser_output.at(now) == 1.0
    assert pvs["T:LASER:WarmUp_RBV"].value == 100.0
    assert pvs["T:LASER:Ready_RBV"].value == "Yes"


def test_off_ends_the_wait_for_a_warm_laser(put):
    bench = make(factor=1.0, warm_up=3600.0)
    pvs = bench.pvdb

    async def change_mind():
        await bench.start()
        lighting = asyncio.create_task(put(pvs["T:LASER:Emission"], "On"))
        await until(pvs["T:LASER:Emission_RBV"], lambda state: state == "On")
        ready = pvs["T:LASER:Ready_RBV"].value
        await put(pvs["T:LASER:Emission"], "Off")
        async with asyncio.timeout(DEADLINE):
            await lighting
        return ready

    assert asyncio.run(change_mind()) == "No"
    assert pvs["T:LASER:Emission"].value == "Off"
    assert bench.world.emission.at(bench.world.now()) == 0


def test_the_status_bits_are_those_of_the_register(bench, pvs, put):
    asyncio.run(bench.start())
    dark = pvs["T:LASER:Status_RBV"].value

    asyncio.run(light(pvs, put))

    assert Status(dark) & Status.EMISSION == 0
    assert pvs["T:LASER:Status_RBV"].value == 1
    assert pvs["T:LASER:StatusText_RBV"].value == "emission on"
    assert severity(pvs["T:LASER:Status_RBV"]) == AlarmSeverity.NO_ALARM


def test_the_interlock_is_latched_and_reset_only_when_closed(faults, pvs, put):
    interlock, reset = pvs["T:LASER:Interlock_RBV"], pvs["T:LASER:InterlockReset"]
    emission = pvs["T:LASER:Emission"]

    async def go_through():
        await light(pvs, put)
        await faults.set("interlock_open", 1)
        assert (interlock.value, emission.value) == ("Tripped", "Off")
        assert severity(interlock) == AlarmSeverity.MAJOR_ALARM
        assert pvs["T:LASER:Status_RBV"].value & 0b1010 == 0b1010
        with pytest.raises(RefusedPutError, match="still: interlock loop open"):
            await put(reset, "Reset")
        await faults.set("interlock_open", 0)
        assert interlock.value == "Reset needed"
        assert severity(interlock) == AlarmSeverity.MINOR_ALARM
        assert pvs["T:LASER:Status_RBV"].value & 0b1010 == 0b0010
        with pytest.raises(RefusedPutError, match="put Reset to InterlockReset"):
            await put(emission, "On")
        await put(reset, "Reset")
        assert (interlock.value, reset.value) == ("OK", "Idle")
        assert severity(interlock) == AlarmSeverity.NO_ALARM
        assert pvs["T:LASER:Emission_RBV"].value == "Off"
        await put(emission, "On")

    asyncio.run(go_through())

    assert pvs["T:LASER:Emission_RBV"].value == "On"
    assert pvs["T:LASER:LastError_RBV"].value == ""


def test_a_failed_supply_is_latched_until_its_reset(faults, pvs, put):
    message, reset = pvs["T:LASER:FaultMessage_RBV"], pvs["T:LASER:Reset"]

    async def go_through():
        await light(pvs, put)
        await faults.set("laser_trip", 1)
        assert message.value == "supply voltage low"
        assert severity(message) == AlarmSeverity.MAJOR_ALARM
        status = Status(pvs["T:LASER:Status_RBV"].value)
        assert Status.SUPPLY_LOW | Status.ERROR in status
        assert Status.EMISSION not in status
        with pytest.raises(RefusedPutError, match="still: supply voltage low"):
            await put(reset, "Reset")
        await faults.set("laser_trip", 0)
        assert message.value == "supply voltage low"
        with pytest.raises(RefusedPutError, match="got On after supply voltage low"):
            await put(pvs["T:LASER:Emission"], "On")
        await put(reset, "Reset")
        await put(pvs["T:LASER:Emission"], "On")

    asyncio.run(go_through())

    assert message.value == ""
    assert severity(pvs["T:LASER:Status_RBV"]) == AlarmSeverity.NO_ALARM
    assert pvs["T:LASER:Ready_RBV"].value == "Yes"


def test_two_faults_are_both_named(faults, laser, pvs):
    async def fail_twice():
        await faults.set("laser_trip", 1)
        await laser._fail("base temperature out of range")
        return pvs["T:LASER:FaultMessage_RBV"].value

    said = asyncio.run(fail_twice())

    assert said == "supply voltage low, base temperature out of range"


def test_a_hop_shows_on_the_monitor_and_in_the_status(bench, faults, pvs, put):
    text = pvs["T:LASER:StatusText_RBV"]

    async def hop():
        running = asyncio.create_task(bench.run())
        await light(pvs, put)
        await until(pvs["T:LASER:Monitor_RBV"], lambda percent: percent > 95)
        sound = text.value
        await faults.set("laser_mode_hop", -0.2)
        await until(text, lambda words: "output off its level" in words)
        monitor = pvs["T:LASER:Monitor_RBV"]
        shown = monitor.value, severity(monitor)
        running.cancel()
        return sound, shown

    sound, (monitor, alarm) = asyncio.run(hop())

    assert sound == "emission on"
    assert monitor == pytest.approx(80, abs=4)
    assert alarm == AlarmSeverity.MINOR_ALARM
    assert pvs["T:LASER:Emission_RBV"].value == "On"


def test_a_lost_trigger_is_a_status_bit(faults, pvs, put):
    async def lose():
        await light(pvs, put)
        await faults.set("lost_sync", 1)

    asyncio.run(lose())

    assert "no sync output" in pvs["T:LASER:StatusText_RBV"].value
    assert severity(pvs["T:LASER:Status_RBV"]) == AlarmSeverity.MINOR_ALARM


def test_a_base_plate_that_gets_too_hot_warns_and_then_ends_the_emission(put):
    bench = make(factor=200.0, ambient=36.5, base_time=60.0)
    pvs = bench.pvdb
    base, seen = pvs["T:LASER:BaseTemperature_RBV"], set()

    async def heat():
        await bench.start()
        running = asyncio.create_task(bench.run())
        await light(pvs, put)
        values = posted(base)
        while pvs["T:LASER:Emission_RBV"].value == "On":
            await values.get()
            seen.add(severity(base))
        message = pvs["T:LASER:FaultMessage_RBV"].value
        await until(base, lambda base_c: base_c < 38)
        await put(pvs["T:LASER:Reset"], "Reset")
        running.cancel()
        return message

    message = asyncio.run(asyncio.wait_for(heat(), 30))

    assert message == "base temperature out of range"
    assert AlarmSeverity.MINOR_ALARM in seen
    assert pvs["T:LASER:FaultMessage_RBV"].value == ""


def test_the_base_plate_and_the_counter_are_shown(bench, pvs, put):
    async def emit():
        await bench.start()
        running = asyncio.create_task(bench.run())
        await light(pvs, put)
        await until(pvs["T:LASER:BaseTemperature_RBV"], lambda base_c: base_c > 30.9)
        running.cancel()

    asyncio.run(emit())

    assert pvs["T:LASER:BaseTemperature_RBV"].value < 31.0
    assert pvs["T:LASER:Hours_RBV"].value > 1200.3


def test_the_watchdog_ends_the_emission_of_a_silent_client(bench, pvs, put):
    async def fall_silent():
        running = asyncio.create_task(bench.run())
        await light(pvs, put)
        await put(pvs["T:LASER:WatchdogTime"], 5)
        began = bench.world.now()
        await until(pvs["T:LASER:Emission_RBV"], lambda state: state == "Off")
        silent = bench.world.now() - began
        with pytest.raises(RefusedPutError, match="watchdog"):
            await put(pvs["T:LASER:Emission"], "On")
        await put(pvs["T:LASER:Reset"], "Reset")
        await put(pvs["T:LASER:WatchdogTime"], 0)
        await put(pvs["T:LASER:Emission"], "On")
        running.cancel()
        return silent

    assert asyncio.run(fall_silent()) >= 5.0
    assert pvs["T:LASER:FaultMessage_RBV"].value == ""


@pytest.mark.parametrize("kept_by", [("Keepalive", "Alive"), ("Level", 100)])
def test_every_put_contents_the_watchdog(put, kept_by):
    bench = make(factor=40.0)
    pvs = bench.pvdb
    name, value = kept_by
    hours = pvs["T:LASER:Hours_RBV"]

    async def keep_talking():
        await bench.start()
        running = asyncio.create_task(bench.run())
        await light(pvs, put)
        await put(pvs["T:LASER:WatchdogTime"], 60)
        end, seconds = hours.value + 70 / 3600, posted(hours)
        while hours.value < end and pvs["T:LASER:Emission_RBV"].value == "On":
            await seconds.get()
            await put(pvs[f"T:LASER:{name}"], value)
        running.cancel()

    asyncio.run(keep_talking())

    assert pvs["T:LASER:Emission_RBV"].value == "On"
    assert pvs["T:LASER:Keepalive"].value == "Idle"


def test_without_a_time_nobody_is_watched(bench, pvs, put):
    hours = pvs["T:LASER:Hours_RBV"]

    async def wait():
        running = asyncio.create_task(bench.run())
        await light(pvs, put)
        end = hours.value + 300 / 3600
        await until(hours, lambda now: now > end)
        running.cancel()

    asyncio.run(wait())

    assert pvs["T:LASER:Emission_RBV"].value == "On"


def test_the_monitor_does_not_depend_on_who_looks_how_often():
    worlds = [World(load_sample(None), seed=3, clock=ManualClock()) for _ in range(2)]
    for world in worlds:
        world.emission.record(0.0, 1)
        world.level.record(0.0, 60)
    for second in range(0, 500, 7):
        worlds[1].beam.monitor_percent(second)

    readings = [world.beam.monitor_percent(500) for world in worlds]

    assert readings[0] == readings[1] == pytest.approx(60, rel=0.05)
