"""The piezo stage: moves under servo control, sensors, power."""

import asyncio

import numpy as np
import pytest
from caproto import AlarmSeverity

from ioc_sim.channels import RefusedPutError
from ioc_sim.clock import ManualClock
from ioc_sim.motor_record import MotorStatus
from ioc_sim.objective import Objective
from ioc_sim.sample import load_sample
from ioc_sim.world import World

AXES = "XYZ"


@pytest.fixture
def stage():
    """The stage alone, in a time that stands still until it is moved on."""
    world = World(load_sample(None), seed=3, clock=ManualClock())
    stage = Objective("T:OBJ:", world=world)
    asyncio.run(stage.start())
    return stage


def position(bench, axis):
    now = bench.world.now()
    return getattr(bench.world, f"objective_{axis.lower()}").at(now)


@pytest.mark.parametrize("axis", AXES)
def test_it_starts_on_the_paper_s_crystal_under_servo_control(pvs, axis):
    assert pvs[f"T:OBJ:{axis}"].value == 20.0
    assert pvs[f"T:OBJ:{axis}.RBV"].value == pytest.approx(20.0, abs=0.006)
    assert pvs[f"T:OBJ:{axis}.EGU"].value == "um"
    assert pvs[f"T:OBJ:{axis}:Servo_RBV"].value == "On"
    assert pvs[f"T:OBJ:{axis}:Range_RBV"].value == 40.0
    assert pvs["T:OBJ:Power_RBV"].value == "On"


@pytest.mark.parametrize("axis", AXES)
def test_a_move_goes_where_it_was_sent(bench, pvs, put, axis):
    asyncio.run(put(pvs[f"T:OBJ:{axis}"], 31.25))

    assert position(bench, axis) == pytest.approx(31.25)
    assert pvs[f"T:OBJ:{axis}.RBV"].value == pytest.approx(31.25, abs=0.006)
    assert pvs[f"T:OBJ:{axis}.DMOV"].value == 1
    assert pvs[f"T:OBJ:{axis}.MISS"].value == 0
    assert {position(bench, other) for other in AXES.replace(axis, "")} == {20.0}


def test_a_move_takes_its_time(bench, pvs, put):
    before = bench.world.now()

    asyncio.run(put(pvs["T:OBJ:X"], 40.0))

    assert bench.world.now() - before >= 20.0 / 100.0


@pytest.mark.parametrize("target", [-0.01, 40.01])
def test_beyond_its_range_a_piezo_does_not_go(bench, pvs, put, target):
    with pytest.raises(RefusedPutError, match="limits"):
        asyncio.run(put(pvs["T:OBJ:Z"], target))

    assert position(bench, "Z") == 20.0
    assert pvs["T:OBJ:LastError_RBV"].value.startswith("Z: got")
    assert pvs["T:OBJ:Z.LVIO"].value == 1


def test_without_servo_it_takes_no_moves_and_says_why(bench, pvs, put):
    async def work():
        await put(pvs["T:OBJ:Z:Servo"], "Off")
        with pytest.raises(RefusedPutError, match="T:OBJ:Z:Servo"):
            await put(pvs["T:OBJ:Z"], 25.0)
        await put(pvs["T:OBJ:X"], 25.0)

    asyncio.run(work())

    assert pvs["T:OBJ:Z:Servo_RBV"].value == "Off"
    assert pvs["T:OBJ:Z"].alarm.severity == AlarmSeverity.INVALID_ALARM
    assert position(bench, "Z") == 20.0
    assert position(bench, "X") == pytest.approx(25.0)


def test_the_same_state_again_changes_nothing(bench, pvs, put):
    asyncio.run(put(pvs["T:OBJ:Y:Servo"], "On"))

    assert pvs["T:OBJ:Y:Servo_RBV"].value == "On"
    assert position(bench, "Y") == 20.0


def test_without_power_the_piezos_go_to_nought_and_stay(bench, pvs, put):
    async def work():
        await put(pvs["T:OBJ:Power"], "Off")
        with pytest.raises(RefusedPutError, match="T:OBJ:Power"):
            await put(pvs["T:OBJ:X:Servo"], "On")
        with pytest.raises(RefusedPutError, match="servo is off"):
            await put(pvs["T:OBJ:Y"], 1.0)

    asyncio.run(work())

    assert [position(bench, axis) for axis in AXES] == [0.0, 0.0, 0.0]
    assert [pvs[f"T:OBJ:{axis}:Servo_RBV"].value for axis in AXES] == ["Off"] * 3
    assert [pvs[f"T:OBJ:{axis}"].value for axis in AXES] == [0.0, 0.0, 0.0]


def test_after_power_the_servos_wait_to_be_switched_on(bench, pvs, put):
    async def work():
        await put(pvs["T:OBJ:Power"], "Off")
        await put(pvs["T:OBJ:Power"], "On")
        states = [pvs[f"T:OBJ:{axis}:Servo_RBV"].value for axis in AXES]
        for axis in AXES:
            await put(pvs[f"T:OBJ:{axis}:Servo"], "On")
            await put(pvs[f"T:OBJ:{axis}"], 20.0)
        return states

    assert asyncio.run(work()) == ["Off"] * 3
    assert [position(bench, axis) for axis in AXES] == [20.0, 20.0, 20.0]


def test_a_stuck_piezo_misses_its_target(bench, pvs, put):
    async def work():
        await bench.world.faults.set("stuck_motor", "OBJ:Y")
        await put(pvs["T:OBJ:Y"], 22.0)

    asyncio.run(work())

    assert position(bench, "Y") == 20.0
    assert pvs["T:OBJ:Y.MISS"].value == 1
    assert MotorStatus(pvs["T:OBJ:Y.MSTA"].value) & MotorStatus.SLIP_STALL


def test_a_lost_focus_does_not_show_in_the_read_back(bench, pvs):
    asyncio.run(bench.world.faults.set("focus_loss", 3.0))
    now = bench.world.now() + 1.0

    assert bench.world.stage.focus_um(now, now)[2] == pytest.approx(23.0, abs=0.3)
    assert pvs["T:OBJ:Z.RBV"].value == pytest.approx(20.0, abs=0.006)


def test_it_has_no_home(pvs, put):
    with pytest.raises(RefusedPutError, match="no home mark"):
        asyncio.run(put(pvs["T:OBJ:X.HOMF"], 1))


def test_the_sensors_are_read_while_nothing_is_asked(stage):
    async def watch():
        seen = []
        for _ in range(200):
            stage.world.clock.advance(1.0)
            run = asyncio.create_task(stage.run())
            await asyncio.sleep(0)
            run.cancel()
            seen.append(stage.pvdb["T:OBJ:X.RBV"].value)
        return np.array(seen)

    seen = asyncio.run(watch())

    assert seen.mean() == pytest.approx(20.0, abs=5e-4)
    assert seen.std() == pytest.approx(0.001, rel=0.2)
    assert seen[-1] == stage.world.stage.reading_um("x", stage.world.now())


def test_the_servo_takes_over_where_it_finds_the_piezo(stage, put):
    world, pvs = stage.world, stage.pvdb

    async def switch(state):
        await put(pvs["T:OBJ:Z:Servo"], state)

    asyncio.run(switch("Off"))
    world.clock.advance(500.0)
    adrift = world.stage.piezo_um("z", 500.0, 500.0)
    asyncio.run(switch("On"))
    world.clock.advance(500.0)

    assert abs(adrift - 20.0) > 0.005
    assert world.stage.piezo_um("z", 1000.0, 1000.0) == adrift
    assert pvs["T:OBJ:Z"].value == adrift


def test_letting_go_of_the_servo_stops_the_move(stage, put):
    pvs = stage.pvdb

    async def work():
        move = asyncio.create_task(put(pvs["T:OBJ:X"], 40.0))
        await asyncio.sleep(0)
        stage.world.clock.advance(0.1)
        await put(pvs["T:OBJ:X:Servo"], "Off")
        await move

    asyncio.run(work())

    assert position(stage, "X") == pytest.approx(30.0)
    assert pvs["T:OBJ:X.DMOV"].value == 1
    assert pvs["T:OBJ:X"].value == position(stage, "X")


def test_power_off_while_a_servo_is_off_already(bench, pvs, put):
    async def work():
        await put(pvs["T:OBJ:X:Servo"], "Off")
        await put(pvs["T:OBJ:Power"], "Off")

    asyncio.run(work())

    assert position(bench, "X") == 0.0
