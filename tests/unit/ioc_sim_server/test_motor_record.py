"""The motor record does what clients of EPICS motorRecord rely on."""

import asyncio
import functools

import pytest
from caproto import AlarmSeverity, AlarmStatus

from ioc_sim.base import Instrument
from ioc_sim.channels import RefusedPutError
from ioc_sim.clock import Clock
from ioc_sim.history import History
from ioc_sim.motor_record import MotorRecord, MotorSettings, MotorStatus
from ioc_sim.sample import load_sample
from ioc_sim.world import World

LINEAR = MotorSettings(
    low=0.0,
    high=40.0,
    speed=1000.0,
    units="mm",
    home=10.0,
    switches=(-2.0, 42.0),
    slip="hwp_slip",
)


class Stage:
    """One motor record on an axis of its own, called ``ANALYSER:HWP``."""

    def __init__(self, put, runner, settings=LINEAR):
        clock = Clock(source=runner.get_loop().time)
        self.run = runner.run
        self.world = World(load_sample(None), seed=3, clock=clock)
        self.history = History(0)
        self.parent = Instrument("T:ANALYSER:", world=self.world)
        self.record = MotorRecord(
            "T:ANALYSER:HWP",
            parent=self.parent,
            history=self.history,
            settings=settings,
        )
        self._put = put
        self.run(self.record.start())

    async def put(self, name, value):
        await self._put(getattr(self.record, name), value)

    def do(self, **puts):
        async def work():
            for name, value in puts.items():
                await self.put(name, value)

        self.run(work())

    def __getitem__(self, name):
        return getattr(self.record, name).value

    @property
    def bits(self):
        return MotorStatus(self["msta"])

    def alarm(self, name="rbv"):
        alarm = getattr(self.record, name).alarm
        return alarm.status, alarm.severity


@pytest.fixture
def make_stage(put, jumping_loop):
    """Make a stage; time passes where it waits."""
    with asyncio.Runner(loop_factory=jumping_loop) as runner:
        yield functools.partial(Stage, put, runner)


@pytest.fixture
def stage(make_stage):
    return make_stage()


@pytest.fixture
def slow_stage(make_stage):
    """A stage that needs 0.4 s for its travel."""
    return make_stage(MotorSettings(low=0.0, high=40.0, speed=100.0, units="mm"))


DEADLINE = 10.0
"""Real seconds for what takes a part of one."""

QUIET = (AlarmStatus.NO_ALARM, AlarmSeverity.NO_ALARM)


def test_it_starts_where_its_axis_is(make_stage):
    stage = make_stage()
    stage.history.record(stage.world.now(), 12.0)
    stage.run(stage.record.start())

    assert (stage["val"], stage["rbv"], stage["dval"], stage["drbv"]) == (12.0,) * 4
    assert (stage["egu"], stage["llm"], stage["hlm"]) == ("mm", 0.0, 40.0)
    assert stage.bits == MotorStatus.DIRECTION | MotorStatus.DONE | MotorStatus.HOMED


def test_the_offset_shifts_positions_and_limits_and_moves_nothing(stage):
    stage.do(val=5.0, off=100.0)

    assert (stage["val"], stage["rbv"], stage["dval"], stage["drbv"]) == (
        105.0,
        105.0,
        5.0,
        5.0,
    )
    assert (stage["llm"], stage["hlm"]) == (100.0, 140.0)
    assert stage.record.val.upper_ctrl_limit == 140.0

    stage.do(val=110.0)

    assert stage.history.at(stage.world.now()) == 10.0


def test_in_set_mode_a_put_says_where_the_motor_is(stage):
    stage.do(val=5.0, set="Set")
    stage.do(val=0.0, set="Use")

    assert (stage["rbv"], stage["drbv"], stage["off"]) == (0.0, 5.0, -5.0)
    assert stage.history.at(stage.world.now()) == 5.0


def test_in_set_mode_a_name_is_not_bound_by_limits(stage):
    stage.do(val=5.0, set="Set")
    stage.do(val=1000.0, set="Use")

    assert (stage["rbv"], stage["drbv"], stage["lvio"]) == (1000.0, 5.0, 0)
    assert (stage["llm"], stage["hlm"]) == (995.0, 1035.0)


def test_in_set_mode_a_distance_and_a_tweak_shift_the_name(stage):
    stage.do(val=5.0, set="Set")
    stage.do(rlv=2.0, twv=0.5, twf=1)

    assert (stage["rbv"], stage["drbv"], stage["off"]) == (7.5, 5.0, 2.5)


def test_the_dial_is_not_redefined_in_set_mode(stage):
    stage.do(val=5.0, set="Set")

    with pytest.raises(RefusedPutError, match="by homing only"):
        stage.do(dval=3.0)

    assert (stage["dval"], stage["drbv"], stage["off"]) == (5.0, 5.0, 0.0)


def test_a_frozen_offset_is_not_changed_by_set_mode(stage):
    stage.do(foff="Frozen", set="Set")

    with pytest.raises(RefusedPutError, match="FOFF is Frozen"):
        stage.do(val=3.0)

    assert stage["off"] == 0.0


def test_the_users_direction_can_be_the_other_one(stage):
    stage.do(val=30.0, foff="Frozen", dir="Neg")

    assert (stage["rbv"], stage["dval"], stage["llm"], stage["hlm"]) == (
        -30.0,
        30.0,
        -40.0,
        0.0,
    )

    stage.do(val=-12.0)

    assert (stage["drbv"], stage["tdir"]) == (12.0, 0)


def test_a_free_offset_keeps_the_position_when_the_direction_turns(stage):
    stage.do(val=30.0, dir="Neg")

    assert (stage["rbv"], stage["drbv"], stage["off"]) == (30.0, 30.0, 60.0)


def test_a_dial_target_a_distance_and_a_tweak_move_too(stage):
    stage.do(off=1.0, dval=4.0)
    assert (stage["val"], stage["rbv"]) == (5.0, 5.0)

    stage.do(rlv=2.5)
    assert (stage["rbv"], stage["rlv"]) == (7.5, 0.0)

    stage.do(twv=0.5, twf=1)
    assert (stage["rbv"], stage["twf"]) == (8.0, 0)

    stage.do(twr=1)
    assert stage["rbv"] == 7.5


@pytest.mark.parametrize(
    ("name", "value"), [("val", 41.0), ("dval", -0.1), ("rlv", -1.0), ("twr", 1)]
)
def test_every_way_beyond_a_limit_is_a_limit_violation(stage, name, value):
    with pytest.raises(RefusedPutError, match="limits"):
        stage.do(**{name: value})

    assert (stage["lvio"], stage["rbv"]) == (1, 0.0)
    stage.do(val=1.0)
    assert stage["lvio"] == 0


def test_a_move_beyond_a_limit_switch_ends_there_in_alarm(stage):
    stage.do(hlm=60.0, val=50.0)

    assert (stage["rbv"], stage["hls"], stage["lls"], stage["dmov"]) == (42.0, 1, 0, 1)
    assert MotorStatus.PLUS_LS in stage.bits
    assert stage.alarm() == (AlarmStatus.HIGH, AlarmSeverity.MAJOR_ALARM)

    stage.do(val=20.0)

    assert (stage["hls"], stage.alarm()) == (0, QUIET)


def test_the_switches_follow_the_users_direction(stage):
    stage.do(foff="Frozen", dir="Neg", llm=-60.0, val=-50.0)

    assert (stage["drbv"], stage["hls"], stage["lls"]) == (42.0, 0, 1)
    assert stage.alarm() == (AlarmStatus.LOW, AlarmSeverity.MAJOR_ALARM)


def test_homing_finds_the_mark_and_zeroes_there(stage):
    async def slip_and_home():
        await stage.put("val", 10.0)
        await stage.world.faults.set("hwp_slip", 5.0)
        await stage.put("val", 10.0)
        before = stage["athm"], stage.bits
        await stage.put("homf", 1)
        return before

    at_home, bits = stage.run(slip_and_home())

    assert at_home == 0
    assert MotorStatus.HOME not in bits
    assert stage.world.faults.value("hwp_slip") == 0
    assert (stage["rbv"], stage["val"], stage["athm"], stage["homf"]) == (10, 10, 1, 0)
    assert MotorStatus.HOME | MotorStatus.HOMED in stage.bits


def test_the_motor_is_where_the_mark_is_before_it_is_zeroed(stage):
    async def slip_and_home():
        await stage.world.faults.set("hwp_slip", 5.0)
        await stage.put("homr", 1)

    stage.run(slip_and_home())

    zeroed = stage.history.breakpoints(0, stage.world.now() + 1)[-1]
    before = zeroed - 1e-9
    encoder = stage.history.at(before)
    assert encoder + stage.world.faults.at("hwp_slip", before) == pytest.approx(10.0)


def test_without_a_home_mark_homing_is_refused(make_stage):
    stage = make_stage(MotorSettings(low=0, high=1, speed=100, units="um", home=None))

    with pytest.raises(RefusedPutError, match="no home mark"):
        stage.do(homf=1)

    assert (stage["homf"], stage["athm"]) == (0, 0)


def test_a_stuck_motor_takes_its_time_and_gives_up(stage):
    async def stick_and_move():
        await stage.put("val", 5.0)
        await stage.world.faults.set("stuck_motor", "ANALYSER:HWP")
        before = stage.world.now()
        await stage.put("velo", 10.0)
        await stage.put("val", 15.0)
        return stage.world.now() - before

    assert stage.run(stick_and_move()) == pytest.approx(1.0)

    assert (stage["val"], stage["rbv"], stage["dmov"], stage["miss"]) == (15, 5, 1, 1)
    assert MotorStatus.SLIP_STALL in stage.bits
    for name in ("val", "rbv"):
        assert stage.alarm(name) == (AlarmStatus.STATE, AlarmSeverity.MAJOR_ALARM)


def test_a_freed_motor_moves_again_without_alarm(stage):
    async def free_and_move():
        await stage.world.faults.set("stuck_motor", "ANALYSER:HWP")
        await stage.put("val", 15.0)
        await stage.world.faults.set("stuck_motor", "None")
        await stage.put("val", 15.0)

    stage.run(free_and_move())

    assert (stage["rbv"], stage["miss"], stage.alarm()) == (15.0, 0, QUIET)
    assert MotorStatus.SLIP_STALL not in stage.bits


def test_another_stuck_motor_is_none_of_its_business(stage):
    async def stick_and_move():
        await stage.world.faults.set("stuck_motor", "ANALYSER:POL")
        await stage.put("val", 15.0)

    stage.run(stick_and_move())

    assert (stage["rbv"], stage["miss"]) == (15.0, 0)


def test_a_stuck_motor_does_not_home(stage):
    async def stick_and_home():
        await stage.world.faults.set("hwp_slip", 5.0)
        await stage.world.faults.set("stuck_motor", "ANALYSER:HWP")
        await stage.put("homf", 1)

    stage.run(stick_and_home())

    assert stage.world.faults.value("hwp_slip") == 5.0
    assert (stage["rbv"], stage["val"], stage["miss"], stage["homf"]) == (0, 0, 1, 0)


def test_a_motor_that_jams_on_its_way_stays_there(slow_stage):
    stage = slow_stage

    async def jam():
        move = asyncio.create_task(stage.put("val", 40.0))
        await asyncio.sleep(0.05)
        await stage.world.faults.set("stuck_motor", "ANALYSER:HWP")
        await move

    stage.run(jam())

    assert 0 < stage["rbv"] < 40
    assert (stage["dmov"], stage["miss"]) == (1, 1)


def test_a_pause_holds_the_move_until_go(slow_stage):
    stage = slow_stage

    async def hold():
        move = asyncio.create_task(stage.put("val", 40.0))
        await asyncio.sleep(0.05)
        await stage.put("spmg", "Pause")
        first = stage.history.at(stage.world.now())
        await asyncio.sleep(0.05)
        held = stage.history.at(stage.world.now()) == first, stage["dmov"], move.done()
        await stage.put("spmg", "Go")
        await move
        return first, held

    first, held = stage.run(hold())

    assert 0 < first < 40
    assert held == (True, 0, False)
    assert (stage["rbv"], stage["dmov"]) == (40.0, 1)


def test_stop_ends_a_pause(slow_stage):
    stage = slow_stage

    async def hold_and_stop():
        move = asyncio.create_task(stage.put("val", 40.0))
        await asyncio.sleep(0.05)
        await stage.put("spmg", "Pause")
        await stage.put("stop", 1)
        await move

    stage.run(hold_and_stop())

    assert 0 < stage["rbv"] < 40
    assert (stage["val"], stage["dmov"], stage["miss"]) == (stage["rbv"], 1, 0)


def test_move_allows_a_single_move(stage):
    stage.do(spmg="Move", val=3.0)

    assert (stage["rbv"], stage["spmg"]) == (3.0, "Pause")

    stage.do(val=4.0)

    assert (stage["val"], stage["rbv"], stage["dmov"]) == (4.0, 3.0, 1)

    stage.do(spmg="Move")

    assert (stage["rbv"], stage["spmg"]) == (4.0, "Pause")


@pytest.mark.parametrize("state", ["Stop", "Pause"])
def test_a_held_motor_goes_to_the_last_position_that_was_put_meanwhile(stage, state):
    stage.do(spmg=state, val=3.0, rlv=2.0)

    assert (stage["val"], stage["dval"], stage["rbv"], stage["dmov"]) == (5, 5, 0, 1)

    stage.do(spmg="Go")

    assert (stage["rbv"], stage["dmov"], stage["spmg"]) == (5.0, 1, "Go")


def test_stop_forgets_the_position_that_waits(stage):
    stage.do(spmg="Pause", val=3.0, stop=1)

    assert (stage["val"], stage["dval"]) == (0.0, 0.0)

    stage.do(spmg="Go")

    assert stage["rbv"] == 0.0


def test_a_held_motor_does_not_home(stage):
    with pytest.raises(RefusedPutError, match="SPMG is Pause"):
        stage.do(val=3.0, spmg="Pause", homf=1)

    assert (stage["rbv"], stage["homf"]) == (3.0, 0)


def test_a_target_put_during_a_pause_is_where_go_leads(slow_stage):
    stage = slow_stage

    async def hold():
        first = asyncio.create_task(stage.put("val", 40.0))
        await asyncio.sleep(0.02)
        await stage.put("spmg", "Pause")
        second = asyncio.create_task(stage.put("val", 5.0))
        await asyncio.sleep(0.02)
        held = first.done(), second.done(), stage["dmov"], stage["movn"]
        await stage.put("spmg", "Go")
        return held, first.done(), second.done(), await asyncio.gather(first, second)

    held, *_ = stage.run(hold())

    assert held == (False, False, 0, 1)
    assert (stage["val"], stage["rbv"], stage["dmov"]) == (5.0, 5.0, 1)


def test_a_put_that_was_replaced_completes_when_the_motor_rests(slow_stage):
    stage = slow_stage
    ends = []

    async def move(target):
        await stage.put("val", target)
        ends.append((target, stage["dmov"], stage["movn"], stage["rbv"]))

    async def replace():
        first = asyncio.create_task(move(10.0))
        await asyncio.sleep(0.02)
        await asyncio.gather(first, move(20.0), move(30.0))

    stage.run(replace())

    assert sorted(ends) == [(target, 1, 0, 30.0) for target in (10.0, 20.0, 30.0)]


def test_a_stop_completes_all_puts(slow_stage):
    stage = slow_stage

    async def stop():
        moves = [
            asyncio.create_task(stage.put("val", target)) for target in (10.0, 40.0)
        ]
        await asyncio.sleep(0.02)
        await stage.put("stop", 1)
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(*moves)

    stage.run(stop())

    assert 0 < stage["rbv"] < 40
    assert (stage["val"], stage["dmov"]) == (stage["rbv"], 1)


def test_a_move_that_follows_a_stop_does_not_hold_the_one_before(slow_stage):
    stage = slow_stage

    async def stop_and_move():
        first = asyncio.create_task(stage.put("val", 40.0))
        await asyncio.sleep(0.02)
        await stage.put("stop", 1)
        second = asyncio.create_task(stage.put("val", 30.0))
        async with asyncio.timeout(DEADLINE):
            await first
        moving = not second.done()
        await second
        return moving

    assert stage.run(stop_and_move())
    assert stage["rbv"] == 30.0


@pytest.mark.parametrize("puts", [{"off": 1.0}, {"dir": "Neg"}])
def test_coordinates_do_not_change_in_motion(slow_stage, puts):
    stage = slow_stage
    ((name, value),) = puts.items()

    async def change():
        move = asyncio.create_task(stage.put("val", 40.0))
        await asyncio.sleep(0.01)
        with pytest.raises(RefusedPutError, match="during a move"):
            await stage.put(name, value)
        await move

    stage.run(change())

    assert stage["rbv"] == 40.0


@pytest.mark.parametrize(
    ("distance", "duration"), [(40.0, 40 / 20 + 0.5), (2.5, 2 * 0.25)]
)
def test_acceleration_takes_time(make_stage, distance, duration):
    settings = MotorSettings(low=0, high=40, speed=20.0, units="mm", acceleration=0.5)
    stage = make_stage(settings)

    stage.do(val=distance)

    start, end = stage.history.breakpoints(-1.0, stage.world.now() + 1)
    assert end - start == pytest.approx(duration, abs=1e-9)


def test_limits_have_to_leave_room(stage):
    with pytest.raises(RefusedPutError, match="more than the low limit"):
        stage.do(hlm=-1.0)
    with pytest.raises(RefusedPutError, match="less than the high limit"):
        stage.do(llm=41.0)
