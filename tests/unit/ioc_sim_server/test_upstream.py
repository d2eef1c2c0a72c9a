"""A process follows the instruments that others serve, axis by axis."""

import asyncio
import math

import pytest

from ioc_sim import motion
from ioc_sim.axes import Axes
from ioc_sim.base import TICK
from ioc_sim.clock import ManualClock
from ioc_sim.faults import FAULTS
from ioc_sim.history import History
from ioc_sim.sample import load_sample
from ioc_sim.server import Bench, group_names
from ioc_sim.upstream import Follower, followed_axes
from ioc_sim.wire_faults import SERVER_FAULTS, START_ONLY
from ioc_sim.world import World

SERVER = ("127.0.0.1", 5066)
LOCAL = {"ccd_temperature_c"}
"""Axes that matter to their own instrument alone."""


@pytest.fixture
def clock():
    clock = ManualClock()
    clock.advance(10.0)
    return clock


@pytest.fixture
def world(clock):
    return World(load_sample(None), clock=clock)


@pytest.fixture
def follower(world):
    return Follower(world, "T:", group_names(), [SERVER])


@pytest.fixture
def receive(follower):
    """Receive a value of a PV, true at a simulated time."""
    wanted = follower._wanted()

    def receive(name, value, time_s):
        asyncio.run(wanted[f"T:{name}"].receive(value, time_s))

    return receive


def test_every_axis_of_the_light_path_is_followed():
    sample = load_sample(None)
    axes = {name for name, each in vars(Axes(sample)).items() if type(each) is History}
    followed = {each.axis for group in followed_axes(sample).values() for each in group}

    assert followed == axes - LOCAL | {"temperature_k"}


def test_every_pv_that_is_followed_is_served(follower, world):
    served = Bench("T:", world, truth=True).pvdb

    assert set(follower._wanted()) - set(served) == set()


def test_only_what_is_absent_is_followed(world):
    follower = Follower(world, "T:", {"laser": "LASER:"}, [SERVER])

    assert {name.split(":")[1] for name in follower._wanted()} == {"LASER"}


@pytest.mark.parametrize(
    ("name", "axis", "value", "expected"),
    [
        ("LASER:Emission_RBV", "emission", 1.0, 1.0),
        ("LASER:WarmUp_RBV", "laser_output", 100.0, 1.0),
        ("ANALYSER:POL.DRBV", "analyser_in", 12.5, 0.5),
        ("SPEC:Grating_RBV", "grating", 2.0, 3.0),
        ("SPEC:FlipperMirror2_RBV", "exit_port", 1.0, 1.0),
        ("SPEC:LampOutput_RBV", "lamp", 40.0, 0.4),
        ("OBJ:Z.DRBV", "objective_z", 7.0, 7.0),
        ("CRYO:KRDG1", "temperature_k", 77.0, 77.0),
    ],
)
def test_a_read_back_becomes_the_value_of_its_axis(
    receive, world, name, axis, value, expected
):
    receive(name, value, 10.0)

    assert getattr(world, axis).at(10.0) == pytest.approx(expected)


def test_a_cold_laser_gives_less_than_a_warm_one(receive, world):
    receive("LASER:WarmUp_RBV", 0.0, 10.0)

    expected = 1 - world.sample.laser.cold_loss
    assert world.laser_output.at(10.0) == pytest.approx(expected)


def test_it_moves_straight_between_two_read_backs_and_rests_before_the_first(
    receive, world
):
    receive("POWER:OD_RBV", 4.0, 5.0)
    receive("POWER:OD_RBV", 3.0, 9.0)
    receive("POWER:OD_RBV", 2.0, 9.0 + TICK / 2)

    at = [
        world.od.at(time_s)
        for time_s in (8.9, 9.0 - TICK / 2, 9.0, 9.0 + TICK / 4, 10.0)
    ]
    assert at == pytest.approx([4.0, 3.5, 3.0, 2.5, 2.0])


def test_a_state_steps_at_its_own_time(receive, world):
    receive("LASER:Emission_RBV", 1.0, 9.5)

    assert [world.emission.at(time_s) for time_s in (9.4999, 9.5)] == [0.0, 1.0]


def test_the_blade_moves_at_its_speed(receive, world):
    receive("POWER:Shutter_RBV", 1.0, 9.0)

    half = 9.0 + 0.5 / motion.SHUTTER_SPEED
    assert world.shutter.at(half) == pytest.approx(0.5)
    assert world.shutter.at(9.1) == 1.0


def test_the_filter_follows_its_drive_with_the_play_of_its_gear(receive, world):
    play = world.sample.filter.play
    for nm, time_s in ((530.0, 6.0), (525.0, 7.0), (525.0 + play / 2, 8.0), (540.0, 9)):
        receive("FILTER:Wavelength_RBV", nm, time_s)

    drive = [world.filter_drive_nm.at(time_s) for time_s in (6.0, 7.0, 8.0, 9.0)]
    assert drive == pytest.approx([530.0, 525.0, 525.0 + play / 2, 540.0])
    light = [world.filter_nm.at(time_s) for time_s in (6.0, 7.0, 8.0, 9.0)]
    assert light == pytest.approx([530.0, 525.0 + play, 525.0 + play, 540.0])


def test_values_that_come_out_of_order_do_no_harm(receive, world):
    receive("POWER:OD_RBV", 3.0, 9.0)
    receive("POWER:OD_RBV", 2.0, 8.0)

    assert world.od.at(9.0) == 2.0


def test_the_finger_stands_in_for_a_sample_whose_thermometer_is_broken(receive, world):
    temperatures = []
    for name, kelvin, time_s in (
        ("CRYO:KRDG1", 20.0, 8.0),
        ("CRYO:KRDG0", 19.0, 8.2),
        ("CRYO:KRDG1", math.nan, 8.4),
        ("CRYO:KRDG0", 18.0, 8.6),
        ("CRYO:KRDG1", 18.5, 8.8),
        ("CRYO:KRDG0", 17.0, 9.0),
    ):
        receive(name, kelvin, time_s)
        temperatures.append(world.temperature_k.at(time_s))

    assert temperatures == pytest.approx([20.0, 20.0, 20.0, 18.0, 18.5, 18.5])


def test_the_sensor_of_a_piezo_without_servo_is_not_its_command(receive, world):
    receive("OBJ:X:Servo_RBV", 1.0, 8.0)
    receive("OBJ:X.DRBV", 12.0, 8.5)
    receive("OBJ:X:Servo_RBV", 0.0, 9.0)
    receive("OBJ:X.DRBV", 12.4, 9.5)

    assert world.objective_x.at(10.0) == 12.0


def test_the_model_of_an_absent_cryostat_does_nothing(receive, world):
    receive("CRYO:KRDG1", 50.0, 9.0)

    assert world.state_at(10.0).temperature_k == pytest.approx(50.0)


def test_what_an_ioc_leaves_behind_when_it_dies(follower, receive, world):
    receive("LASER:Emission_RBV", 1.0, 9.0)
    receive("LASER:Level_RBV", 80.0, 9.0)
    receive("POWER:Shutter_RBV", 1.0, 9.0)
    receive("POWER:OD_RBV", 1.0, 9.0)
    for name in ("laser", "power_control"):
        follower._find(name, SERVER)
        follower._lose(name)

    assert world.emission.at(10.0) == 0.0
    assert world.shutter.at(10.0 + 1 / motion.SHUTTER_SPEED) == 0.0
    assert (world.level.at(11.0), world.od.at(11.0)) == (80.0, 1.0)


def test_the_faults_of_the_bench_are_followed_and_those_of_a_process_are_not(
    follower, receive, world
):
    receive("SIM:Fault:FilterSlip", 0.3, 9.0)
    receive("SIM:Fault:ShutterStuck", "Closed", 9.0)

    assert world.faults.value("filter_slip") == 0.3
    assert world.faults.value("shutter_stuck") == "Closed"
    followed = {name for name in follower._wanted() if ":Fault:" in name}
    ignored = {f"T:SIM:{FAULTS[name].pv}" for name in SERVER_FAULTS + START_ONLY}
    assert not followed & ignored
    assert len(followed) == len(FAULTS) - len(ignored)
