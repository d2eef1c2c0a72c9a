"""Instruments do what they are told, in simulated time, and tell the world."""

import asyncio
import json
import time

import numpy as np
import pytest
from caproto import AlarmSeverity

from ioc_sim.channels import RefusedPutError
from ioc_sim.client import WRITER, Client


def group(bench, name):
    return next(group for group in bench.groups if type(group).__name__ == name)


def test_the_laser_emits_at_the_level_asked(bench, pvs, put):
    async def light():
        await put(pvs["T:LASER:Level"], 80)
        await put(pvs["T:LASER:Emission"], "On")

    asyncio.run(light())

    now = bench.world.now()
    assert (bench.world.emission.at(now), bench.world.level.at(now)) == (1, 80)
    assert pvs["T:LASER:Level_RBV"].value == 80
    assert pvs["T:LASER:Emission_RBV"].value == "On"
    assert pvs["T:LASER:Ready_RBV"].value == "Yes"


def test_a_tripped_interlock_ends_emission_and_refuses_it(bench, pvs, put):
    async def trip():
        await put(pvs["T:LASER:Emission"], "On")
        await group(bench, "Laser").trip()
        with pytest.raises(RefusedPutError, match="interlock"):
            await put(pvs["T:LASER:Emission"], "On")

    asyncio.run(trip())

    assert bench.world.emission.at(bench.world.now()) == 0
    assert pvs["T:LASER:Emission"].value == "Off"
    assert pvs["T:LASER:Emission"].alarm.severity == AlarmSeverity.INVALID_ALARM
    assert "interlock" in pvs["T:LASER:LastError_RBV"].value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FILTER:Wavelength", 530.5),
        ("FILTER:Bandwidth", 2.5),
        ("POWER:OD", 1.25),
        ("SPEC:Wavelength", 540.0),
        ("SPEC:SlitSize1", 200.0),
    ],
)
def test_a_put_completes_with_its_read_back_written(pvs, put, name, value):
    asyncio.run(put(pvs[f"T:{name}"], value))

    assert pvs[f"T:{name}"].value == value
    assert pvs[f"T:{name}_RBV"].value == value


def test_a_move_takes_its_simulated_time(bench, pvs, put):
    before = bench.world.now()

    asyncio.run(put(pvs["T:FILTER:Wavelength"], 626))

    assert bench.world.now() - before >= 10.0


def test_the_set_point_shows_during_the_move(pvs, put):
    async def look():
        move = asyncio.create_task(put(pvs["T:FILTER:Wavelength"], 700))
        await asyncio.sleep(0)
        during = pvs["T:FILTER:Wavelength"].value, pvs["T:FILTER:Moving_RBV"].value
        await move
        return during

    assert asyncio.run(look()) == (700, "Yes")
    assert pvs["T:FILTER:Moving_RBV"].value == "No"


def test_stop_completes_the_move_where_it_is(bench, pvs, put):
    async def move_and_stop():
        await put(pvs["T:FILTER:Velocity"], 0.1)
        move = asyncio.create_task(put(pvs["T:FILTER:Wavelength"], 700))
        await asyncio.sleep(0.05)
        await put(pvs["T:FILTER:Stop"], "Stop")
        await move

    began = time.monotonic()
    asyncio.run(move_and_stop())

    assert time.monotonic() - began < 1.0
    rested = pvs["T:FILTER:Wavelength_RBV"].value
    assert 526 < rested < 700
    assert bench.world.filter_nm.at(bench.world.now()) == rested
    assert pvs["T:FILTER:Moving_RBV"].value == "No"
    assert pvs["T:FILTER:Stop"].value == "Idle"


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("FILTER:Wavelength", (700, 530)),
        ("FILTER:Bandwidth", (5, 2)),
        ("POWER:OD", (2, 3)),
        ("SPEC:SlitSize1", (500, 200)),
        ("LASER:Level", (20, 50)),
    ],
)
def test_a_newer_target_takes_over_and_both_puts_complete_at_rest(visit, name, targets):
    async def retarget(client):
        async def go(target):
            await client.put(name, target)
            return await client.get(f"{name}_RBV")

        older, newer = (asyncio.create_task(go(target)) for target in targets)
        return await asyncio.gather(older, newer)

    assert visit(retarget) == [targets[1], targets[1]]


def test_a_stop_completes_all_puts(visit):
    async def stop(client):
        puts = [
            asyncio.create_task(client.put("FILTER:Wavelength", nm))
            for nm in (700, 600)
        ]
        await asyncio.sleep(1.0)
        await client.put("FILTER:Stop", "Stop")
        async with asyncio.timeout(0.01):
            await asyncio.gather(*puts)
        return await client.get("FILTER:Wavelength_RBV")

    assert 526 < visit(stop) < 600


def test_the_shutter_is_closed_only_when_it_is_fully_closed(bench, pvs, put):
    async def open_and_look():
        await put(pvs["T:POWER:Shutter"], "Open")
        close = asyncio.create_task(put(pvs["T:POWER:Shutter"], "Closed"))
        await asyncio.sleep(0)
        stated = pvs["T:POWER:Shutter_RBV"].value
        share = bench.world.shutter.at(bench.world.now())
        await close
        return stated, share

    stated, share = asyncio.run(open_and_look())
    assert stated == "Open" or share == 0
    assert pvs["T:POWER:Shutter_RBV"].value == "Closed"
    assert bench.world.shutter.at(bench.world.now()) == 0


def test_the_bench_is_made_safe(bench, pvs, put):
    async def light_and_leave():
        await put(pvs["T:LASER:Emission"], "On")
        await put(pvs["T:POWER:Shutter"], "Open")
        await bench.make_safe()

    asyncio.run(light_and_leave())

    now = bench.world.now()
    assert (bench.world.shutter.at(now), bench.world.emission.at(now)) == (0, 0)
    assert pvs["T:POWER:Shutter_RBV"].value == "Closed"


def test_a_reading_of_the_meter_is_a_power_with_its_error(pvs, put):
    async def measure():
        await put(pvs["T:LASER:Level"], 100)
        await put(pvs["T:LASER:Emission"], "On")
        await put(pvs["T:POWER:OD"], 0)
        await put(pvs["T:POWER:Meter:AveragingTime"], 1)
        await put(pvs["T:POWER:Meter:Measure"], "Measure")

    asyncio.run(measure())

    power = pvs["T:POWER:Meter:Power_RBV"].value
    sigma = pvs["T:POWER:Meter:PowerSigma_RBV"].value
    assert 0 < sigma < 0.1 * power
    assert pvs["T:POWER:Meter:Measure"].value == "Done"
    assert pvs["T:POWER:Meter:Counter_RBV"].value == 1


def test_a_second_reading_is_refused_and_done_ends_the_first(pvs, put):
    async def measure_twice():
        await put(pvs["T:POWER:Meter:AveragingTime"], 3600)
        reading = asyncio.create_task(put(pvs["T:POWER:Meter:Measure"], "Measure"))
        await asyncio.sleep(0)
        with pytest.raises(RefusedPutError, match="during a reading"):
            await put(pvs["T:POWER:Meter:Measure"], "Measure")
        await put(pvs["T:POWER:Meter:Measure"], "Done")
        await reading

    asyncio.run(measure_twice())

    assert pvs["T:POWER:Meter:Power_RBV"].value == 0
    assert pvs["T:POWER:Meter:Counter_RBV"].value == 0


class BrokenError(Exception):
    """Something that nobody has foreseen."""


def broken(*_, **__):
    raise BrokenError


def test_a_failed_reading_is_no_reading_and_the_next_one_works(
    bench, pvs, put, monkeypatch
):
    measure, counter = pvs["T:POWER:Meter:Measure"], pvs["T:POWER:Meter:Counter_RBV"]

    async def fail_and_measure():
        with monkeypatch.context() as patch:
            patch.setattr(bench.world.meter, "average", broken)
            with pytest.raises(BrokenError):
                await put(measure, "Measure")
        assert (measure.value, counter.value) == ("Done", 0)
        assert measure.alarm.severity == AlarmSeverity.INVALID_ALARM
        said = "Meter:Measure: failed, BrokenError()"
        assert pvs["T:POWER:LastError_RBV"].value == said
        await put(measure, "Measure")

    asyncio.run(fail_and_measure())

    assert (measure.value, counter.value) == ("Done", 1)
    assert measure.alarm.severity == AlarmSeverity.NO_ALARM
    assert pvs["T:POWER:LastError_RBV"].value == ""


@pytest.mark.parametrize("name", ["POWER:Meter:Measure", "CCD:cam1:Acquire"])
def test_done_resets_what_is_idle(pvs, put, name):
    channel = pvs[f"T:{name}"]

    async def reset():
        await channel.post(1)
        await put(channel, "Done")

    asyncio.run(reset())

    assert channel.value == "Done"


def test_the_shutter_closes_behind_the_client_that_opened_it(pvs, put):
    client = Client()

    async def open_and_leave():
        WRITER.set(client)
        await put(pvs["T:POWER:Shutter"], "Open")
        opened = pvs["T:POWER:Shutter_RBV"].value
        await client.leave()
        return opened

    assert asyncio.run(open_and_leave()) == "Open"
    assert pvs["T:POWER:Shutter"].value == "Closed"
    assert pvs["T:POWER:Shutter_RBV"].value == "Closed"


@pytest.mark.parametrize("states", [["Open"], ["Closed", "Open"]])
def test_the_shutter_stays_open_for_the_last_client_that_opened_it(pvs, put, states):
    first = Client()

    async def take_over():
        WRITER.set(first)
        await put(pvs["T:POWER:Shutter"], "Open")
        WRITER.set(Client())
        for state in states:
            await put(pvs["T:POWER:Shutter"], state)
        await first.leave()

    asyncio.run(take_over())

    assert pvs["T:POWER:Shutter_RBV"].value == "Open"


def test_the_shutter_does_not_open_for_a_client_that_has_gone(pvs, put):
    client = Client()

    async def leave_and_open():
        await client.leave()
        WRITER.set(client)
        with pytest.raises(RefusedPutError, match="a client that has gone"):
            await put(pvs["T:POWER:Shutter"], "Open")

    asyncio.run(leave_and_open())

    assert pvs["T:POWER:Shutter_RBV"].value == "Closed"


def test_the_calibration_covers_the_filter(pvs):
    wavelengths = pvs["T:POWER:Calibration:Wavelength_RBV"].value
    ratios = pvs["T:POWER:Calibration:Ratio_RBV"].value

    assert len(wavelengths) == len(ratios) == 32
    assert wavelengths[0] <= 480
    assert wavelengths[-1] >= 700


def test_stable_has_dropped_when_the_set_point_is_taken(pvs, put):
    assert pvs["T:CRYO:Stable_RBV"].value == "Yes"

    asyncio.run(put(pvs["T:CRYO:SETP_S1"], 50))

    assert pvs["T:CRYO:Stable_RBV"].value == "No"
    assert pvs["T:CRYO:RAMPST1"].value == "On"


def test_the_wavelength_axis_follows_the_centre(pvs, put):
    asyncio.run(put(pvs["T:SPEC:Wavelength"], 540))

    axis = pvs["T:SPEC:Calibration"].value
    assert np.mean(axis) == pytest.approx(540, abs=0.03)
    assert np.ptp(axis) == pytest.approx(1023 * 0.0415, rel=1e-3)


def test_an_acquisition_takes_as_many_frames_as_asked(pvs, put):
    async def acquire():
        await put(pvs["T:CCD:cam1:AcquireTime"], 0.5)
        await put(pvs["T:CCD:cam1:ImageMode"], "Multiple")
        await put(pvs["T:CCD:cam1:NumImages"], 3)
        await put(pvs["T:CCD:cam1:Acquire"], "Acquire")

    asyncio.run(acquire())

    assert pvs["T:CCD:cam1:NumImagesCounter_RBV"].value == 3
    assert pvs["T:CCD:cam1:ArrayCounter_RBV"].value == 3
    assert pvs["T:CCD:image1:UniqueId_RBV"].value == 3
    assert pvs["T:CCD:cam1:Acquire"].value == "Done"
    assert pvs["T:CCD:cam1:DetectorState_RBV"].value == "Idle"
    frame = pvs["T:CCD:image1:ArrayData"].value
    assert (len(frame), frame.dtype) == (1024, np.int32)
    assert frame.mean() > 0


def test_the_noise_goes_on_when_the_counter_is_reset(pvs, put):
    async def acquire_twice():
        await put(pvs["T:CCD:cam1:AcquireTime"], 0)
        await put(pvs["T:CCD:cam1:Acquire"], "Acquire")
        first = pvs["T:CCD:image1:ArrayData"].value
        await put(pvs["T:CCD:cam1:ArrayCounter"], 0)
        await put(pvs["T:CCD:cam1:Acquire"], "Acquire")
        return first, pvs["T:CCD:image1:ArrayData"].value

    first, second = asyncio.run(acquire_twice())

    assert pvs["T:CCD:cam1:ArrayCounter_RBV"].value == 1
    assert pvs["T:CCD:image1:UniqueId_RBV"].value == 2
    assert not np.array_equal(first, second)


def test_an_abort_completes_the_acquisition_without_a_frame(pvs, put):
    async def acquire_and_abort():
        await put(pvs["T:CCD:cam1:AcquireTime"], 3600)
        acquisition = asyncio.create_task(put(pvs["T:CCD:cam1:Acquire"], 1))
        await asyncio.sleep(0.01)
        with pytest.raises(RefusedPutError, match="during an acquisition"):
            await put(pvs["T:CCD:cam1:Acquire"], 1)
        await put(pvs["T:CCD:cam1:Acquire"], 0)
        await acquisition

    asyncio.run(acquire_and_abort())

    assert pvs["T:CCD:cam1:ArrayCounter_RBV"].value == 0
    assert pvs["T:CCD:cam1:DetectorState_RBV"].value == "Aborted"
    assert pvs["T:CCD:cam1:Acquire"].value == "Done"


def test_a_failed_acquisition_shows_it_and_the_next_one_works(
    bench, pvs, put, monkeypatch
):
    acquire, state = pvs["T:CCD:cam1:Acquire"], pvs["T:CCD:cam1:DetectorState_RBV"]
    asyncio.run(put(pvs["T:CCD:cam1:AcquireTime"], 0))
    with monkeypatch.context() as patch:
        patch.setattr(bench.world.sensor, "develop", broken)
        with pytest.raises(BrokenError):
            asyncio.run(put(acquire, "Acquire"))

    assert (acquire.value, state.value) == ("Done", "Error")
    assert acquire.alarm.severity == AlarmSeverity.INVALID_ALARM
    assert state.alarm.severity == AlarmSeverity.MAJOR_ALARM
    said = pvs["T:CCD:cam1:StatusMessage_RBV"].value
    assert said == "Acquisition failed: BrokenError()"
    text = pvs["T:CCD:LastError_RBV"].value
    assert text == "cam1:Acquire: failed, BrokenError()"

    asyncio.run(put(acquire, "Acquire"))

    assert (acquire.value, state.value) == ("Done", "Idle")
    assert acquire.alarm.severity == AlarmSeverity.NO_ALARM
    assert state.alarm.severity == AlarmSeverity.NO_ALARM
    assert pvs["T:CCD:LastError_RBV"].value == ""
    assert pvs["T:CCD:cam1:ArrayCounter_RBV"].value == 1


def test_the_sensitivity_follows_the_gain(pvs, put):
    single = pvs["T:CCD:cam1:Sensitivity_RBV"].value

    asyncio.run(put(pvs["T:CCD:cam1:AndorPreAmpGain"], "4.0x"))

    assert pvs["T:CCD:cam1:Sensitivity_RBV"].value == pytest.approx(single / 4)


def posted(channel):
    """All values that the instrument posts from now on."""
    values = asyncio.Queue()
    post = channel.post

    async def watch(value):
        await post(value)
        values.put_nowait(value)

    channel.post = watch
    return values


def test_the_chip_follows_its_set_point(bench, pvs, put):
    async def warm_up():
        said = posted(pvs["T:CCD:cam1:AndorTempStatus_RBV"])
        cooling = asyncio.create_task(group(bench, "Ccd").run())
        await put(pvs["T:CCD:cam1:Temperature"], -60)
        async with asyncio.timeout(5):
            heard = await said.get(), await said.get()
        cooling.cancel()
        return heard

    assert asyncio.run(warm_up()) == (
        "Not reached setpoint",
        "Stabilized at set point",
    )
    assert pvs["T:CCD:cam1:TemperatureActual"].value == -60


def test_the_motor_goes_through_not_done_on_every_put(pvs, put):
    async def follow():
        done = posted(pvs["T:ANALYSER:HWP.DMOV"])
        for target in (5.0, 5.0):
            await put(pvs["T:ANALYSER:HWP"], target)
        return [done.get_nowait() for _ in range(done.qsize())]

    assert asyncio.run(follow()) == [0, 1, 0, 1]
    assert pvs["T:ANALYSER:HWP.RBV"].value == 5.0
    assert pvs["T:ANALYSER:HWP.MOVN"].value == 0


def test_the_motor_stops_where_it_is_and_says_so_in_val(pvs, put):
    async def move_and_stop():
        await put(pvs["T:ANALYSER:HWP.VELO"], 0.1)
        move = asyncio.create_task(put(pvs["T:ANALYSER:HWP"], 300))
        await asyncio.sleep(0.05)
        await put(pvs["T:ANALYSER:HWP.STOP"], 1)
        await move

    asyncio.run(move_and_stop())

    assert 0 < pvs["T:ANALYSER:HWP"].value < 300
    assert pvs["T:ANALYSER:HWP"].value == pvs["T:ANALYSER:HWP.RBV"].value
    assert pvs["T:ANALYSER:HWP.DMOV"].value == 1
    assert pvs["T:ANALYSER:HWP.STOP"].value == 0


def test_the_motor_refuses_beyond_its_limits_and_shows_the_violation(pvs, put):
    async def beyond():
        await put(pvs["T:ANALYSER:HWP.HLM"], 90)
        with pytest.raises(RefusedPutError, match=r"limits -360\.\.90 deg"):
            await put(pvs["T:ANALYSER:HWP"], 91)

    asyncio.run(beyond())

    assert pvs["T:ANALYSER:HWP.LVIO"].value == 1
    assert pvs["T:ANALYSER:HWP"].upper_ctrl_limit == 90


def test_a_held_motor_waits_for_go(pvs, put):
    async def hold():
        await put(pvs["T:ANALYSER:HWP.SPMG"], "Stop")
        await put(pvs["T:ANALYSER:HWP"], 10)
        held = pvs["T:ANALYSER:HWP.RBV"].value, pvs["T:ANALYSER:HWP.DMOV"].value
        await put(pvs["T:ANALYSER:HWP.SPMG"], "Go")
        return held

    assert asyncio.run(hold()) == (0, 1)
    assert pvs["T:ANALYSER:HWP.RBV"].value == 10


@pytest.mark.parametrize("field", ["HOMF", "HOMR"])
def test_the_motor_homes_to_zero(pvs, put, field):
    async def home():
        await put(pvs["T:ANALYSER:HWP"], 12)
        await put(pvs[f"T:ANALYSER:HWP.{field}"], 1)

    asyncio.run(home())

    assert pvs["T:ANALYSER:HWP.RBV"].value == 0


def test_the_polarizer_is_in_when_it_covers_the_beam(bench, pvs, put):
    asyncio.run(put(pvs["T:ANALYSER:In"], "Out"))

    assert pvs["T:ANALYSER:In_RBV"].value == "Out"
    assert bench.world.analyser_in.at(bench.world.now()) == 0


def test_the_truth_is_json(pvs):
    assert json.loads(pvs["T:SIM:Truth_RBV"].value)


def test_same_seed_and_same_times_give_the_same_frame(bench):
    again = type(bench.world)(bench.world.sample, seed=3, clock=bench.world.clock)

    assert np.array_equal(
        bench.world.sensor.frame(0, 1, 5), again.sensor.frame(0, 1, 5)
    )
