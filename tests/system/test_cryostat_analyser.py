"""Motor records and cryostat over Channel Access: stock ophyd, our devices, faults."""

import epics
import pytest
from ophyd import EpicsMotor
from ophyd.utils import UnknownStatusFailure

from triplet_bluesky.devices import Analyser
from triplet_bluesky.errors import MoveError

pytestmark = pytest.mark.ioc

TIMEOUT = 20.0


@pytest.fixture
def stock(ioc):
    """ophyd's own motor class on the polarizer's slide, unmodified."""
    motor = EpicsMotor(f"{ioc.prefix}ANALYSER:POL", name="slide")
    motor.wait_for_connection(timeout=TIMEOUT)
    yield motor
    motor.destroy()


@pytest.fixture
def analyser(ioc):
    device = Analyser(f"{ioc.prefix}ANALYSER:", name="analyser")
    device.wait_for_connection(timeout=TIMEOUT)
    yield device
    device.destroy()


@pytest.fixture
def fault(ioc):
    """Switch faults on by their PV; they are off again after the test."""
    switched = {}

    def switch(name, value):
        pv = switched.setdefault(name, epics.PV(f"{ioc.prefix}SIM:Fault:{name}"))
        assert pv.wait_for_connection(TIMEOUT)
        assert pv.put(value, wait=True, timeout=TIMEOUT)

    yield switch
    for pv in switched.values():
        pv.put(0, wait=True, timeout=TIMEOUT)


def test_ophyds_own_motor_class_knows_the_slide(stock):
    assert (stock.egu, stock.limits) == ("mm", (0.0, 25.0))
    stock.set(10.0).wait(TIMEOUT)
    assert stock.position == pytest.approx(10.0)
    described = stock.describe()
    assert described["slide"]["units"] == "mm"
    assert stock.read_configuration()["slide_motor_egu"]["value"] == "mm"


def test_ophyds_own_motor_class_homes(stock):
    stock.set(10.0).wait(TIMEOUT)

    stock.home("forward", wait=False).wait(TIMEOUT)

    assert stock.user_readback.get(use_monitor=False) == 0.0


def test_ophyds_own_motor_class_says_where_the_motor_is(stock):
    stock.set(10.0).wait(TIMEOUT)
    stock.set_current_position(0.0)
    try:
        assert stock.user_readback.get(use_monitor=False) == pytest.approx(0.0)
        assert stock.user_offset.get(use_monitor=False) == pytest.approx(-10.0)
    finally:
        stock.user_offset.set(0.0).wait(TIMEOUT)


def test_ophyds_own_motor_class_sees_a_limit_switch_as_a_failure(stock):
    stock.set(20.0).wait(TIMEOUT)
    stock.high_limit_travel.set(40.0).wait(TIMEOUT)
    try:
        with pytest.raises(UnknownStatusFailure):
            stock.move(30.0, wait=False).wait(TIMEOUT)
        assert stock.high_limit_switch.get(use_monitor=False) == 1
    finally:
        stock.high_limit_travel.set(25.0).wait(TIMEOUT)
        stock.set(25.0).wait(TIMEOUT)


def test_ophyds_own_motor_class_sees_a_stuck_motor_as_a_failure(stock, fault):
    stock.set(20.0).wait(TIMEOUT)
    fault("StuckMotor", "ANALYSER:POL")

    with pytest.raises(UnknownStatusFailure):
        stock.set(10.0).wait(TIMEOUT)

    fault("StuckMotor", "None")
    stock.set(25.0).wait(TIMEOUT)


def test_a_stuck_plate_is_an_error_that_says_so(analyser, fault):
    analyser.half_wave_plate.set(0.0).wait(TIMEOUT)
    fault("StuckMotor", "ANALYSER:HWP")

    with pytest.raises(
        MoveError, match=r"asked for 45\.0, still at 0\.0 .*gave up \(MISS is 1\)"
    ):
        analyser.angle.set(90.0).wait(TIMEOUT)


def test_a_stuck_slide_is_an_error_of_the_choice(analyser, fault):
    analyser.inserted.set("In").wait(TIMEOUT)
    fault("StuckMotor", "ANALYSER:POL")

    with pytest.raises(MoveError, match="asked for Out, still at In"):
        analyser.inserted.set("Out").wait(TIMEOUT)


def test_homing_cures_a_slipped_plate(analyser, fault):
    fault("HwpSlip", 5.0)
    analyser.half_wave_plate.set(0.0).wait(TIMEOUT)
    assert analyser.half_wave_plate.at_home.get(use_monitor=False) == 0

    analyser.half_wave_plate.home().wait(TIMEOUT)

    assert analyser.half_wave_plate.position == 0.0
    assert analyser.half_wave_plate.at_home.get(use_monitor=False) == 1


def test_a_plate_that_cannot_home_is_an_error(analyser, fault):
    analyser.half_wave_plate.set(30.0).wait(TIMEOUT)
    fault("StuckMotor", "ANALYSER:HWP")

    with pytest.raises(MoveError, match=r"homing .* not at the home mark.*MISS"):
        analyser.half_wave_plate.home().wait(TIMEOUT)


def test_a_position_beyond_the_limits_of_the_record_is_refused(analyser):
    with pytest.raises(MoveError, match="possible is 0 to 25 mm"):
        analyser.polarizer.set(26.0)
    assert analyser.polarizer.egu == "mm"
