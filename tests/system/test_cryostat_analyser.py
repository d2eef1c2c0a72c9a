"""Motor records and cryostat over Channel Access: stock ophyd, our devices, faults."""

import time

import epics
import pytest
from ophyd import Device, EpicsMotor
from ophyd.utils import UnknownStatusFailure
from ophyd.utils.epics_pvs import AlarmSeverity

from triplet_bluesky.devices import Analyser, Cryostat
from triplet_bluesky.errors import MoveError

pytestmark = pytest.mark.ioc

TIMEOUT = 20.0


@pytest.fixture(scope="module")
def connect(ioc):
    """Connect devices and PVs for all tests of this file."""
    connected = {}

    def connect(kind, suffix, **kwargs):
        if suffix not in connected:
            connected[suffix] = kind(f"{ioc.prefix}{suffix}", **kwargs)
            connected[suffix].wait_for_connection(timeout=TIMEOUT)
        return connected[suffix]

    yield connect
    for thing in connected.values():
        if isinstance(thing, Device):
            thing.destroy()
        else:
            thing.disconnect()


@pytest.fixture
def stock(connect):
    """ophyd's own motor class on the polarizer's slide, unmodified."""
    return connect(EpicsMotor, "ANALYSER:POL", name="slide")


@pytest.fixture
def analyser(connect):
    return connect(Analyser, "ANALYSER:", name="analyser")


@pytest.fixture
def cryostat(connect):
    """The cryostat; afterwards its heater is on and it is on its way to 4 K."""
    device = connect(Cryostat, "CRYO:", name="cryostat")
    timeout = device.temperature.timeout
    yield device
    device.temperature.timeout = 40.0
    device.temperature_limit.set(320.0).wait(TIMEOUT)
    device.reset_trip().wait(TIMEOUT)
    device.heater_range.set("Range3/High").wait(TIMEOUT)
    device.flow_mode.set("Manual").wait(TIMEOUT)
    device.flow.set(100.0).wait(TIMEOUT)
    device.temperature.set(4.0).wait(60)
    device.temperature.timeout = timeout


@pytest.fixture
def fault(connect, request):
    """Switch faults on by their PV; they are off before the devices are tidied up."""
    if "cryostat" in request.fixturenames:
        request.getfixturevalue("cryostat")
    switched = []

    def switch(name, value):
        pv = connect(epics.PV, f"SIM:Fault:{name}")
        switched.append(pv)
        assert pv.put(value, wait=True, timeout=TIMEOUT)

    yield switch
    for pv in switched:
        off = "" if pv.type.endswith("string") else 0
        assert pv.put(off, wait=True, timeout=TIMEOUT)


def wait_for_limits(motor, limits):
    """Wait until the motor's monitors have brought new limits along."""
    deadline = time.monotonic() + TIMEOUT
    while motor.limits != limits:
        assert time.monotonic() < deadline, f"limits are {motor.limits}"
        time.sleep(0.01)


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
        wait_for_limits(stock, (0.0, 25.0))


def test_ophyds_own_motor_class_sees_a_limit_switch_as_a_failure(stock):
    stock.set(20.0).wait(TIMEOUT)
    stock.high_limit_travel.set(40.0).wait(TIMEOUT)
    wait_for_limits(stock, (0.0, 40.0))
    try:
        with pytest.raises(UnknownStatusFailure):
            stock.move(30.0, wait=False).wait(TIMEOUT)
        assert stock.high_limit_switch.get(use_monitor=False) == 1
    finally:
        stock.high_limit_travel.set(25.0).wait(TIMEOUT)
        wait_for_limits(stock, (0.0, 25.0))
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
        MoveError, match=r"asked for 45\.0 deg.*still at 0\.0 .*gave up \(MISS is 1\)"
    ):
        analyser.angle.set(90.0).wait(TIMEOUT)


def test_a_stuck_slide_is_an_error_of_the_choice(analyser, fault):
    analyser.inserted.set("In").wait(TIMEOUT)
    fault("StuckMotor", "ANALYSER:POL")

    with pytest.raises(MoveError, match=r"asked for Out; .*still at In"):
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


def test_a_temperature_is_recorded_with_what_a_scan_needs(cryostat):
    cryostat.temperature.set(4.5).wait(TIMEOUT)

    reading = {key: value["value"] for key, value in cryostat.read().items()}
    configuration = cryostat.read_configuration()

    assert reading["cryostat_temperature"] == pytest.approx(4.5, abs=0.1)
    assert reading["cryostat_temperature_setpoint"] == 4.5
    assert reading["cryostat_temperature_stable"] == "Yes"
    rms, peak = (reading[f"cryostat_temperature_{name}"] for name in ("rms", "peak"))
    assert 0 < rms < peak < 0.05
    assert reading["cryostat_finger"] == pytest.approx(4.5, abs=0.1)
    assert reading["cryostat_heater_power"] == pytest.approx(0.09, abs=0.02)
    for key in ("heater_range", "loop_mode", "ramp_rate", "ramp", "flow", "flow_mode"):
        assert f"cryostat_{key}" in configuration
    for key in ("helium_level", "vacuum", "stable_band", "stable_time", "integral"):
        assert f"cryostat_{key}" in configuration


def test_an_open_thermometer_ends_the_wait_with_what_to_do(cryostat, fault):
    move = cryostat.temperature.set(100.0)
    fault("ThermometerOpen", 1)

    with pytest.raises(MoveError, match=r"asked for 100.* sample nan K, finger .* K"):
        move.wait(TIMEOUT)

    with pytest.raises(MoveError, match=r"cannot be reset.*still there"):
        cryostat.reset_trip().wait(TIMEOUT)
    assert cryostat.heater_range.position == "Off"
    fault("ThermometerOpen", 0)

    with pytest.raises(MoveError, match=r"heater off \(.*Trip_RBV is Sensor\); sample"):
        cryostat.temperature.set(5.0).wait(TIMEOUT)


def test_a_reading_that_is_none_ends_the_wait(cryostat, fault):
    fault("NanReading", "CRYO:KRDG1")

    with pytest.raises(MoveError, match=r"asked for 50.*KRDG1 reads nan K .*thermom"):
        cryostat.temperature.set(50.0).wait(TIMEOUT)


def test_a_temperature_above_the_limit_ends_the_wait(cryostat):
    cryostat.temperature_limit.set(6.0).wait(TIMEOUT)

    with pytest.raises(MoveError, match=r"is Over temperature\); sample .* finger"):
        cryostat.temperature.set(8.0).wait(TIMEOUT)


def test_a_tripped_controller_is_sent_nowhere(cryostat):
    cryostat.temperature_limit.set(3.0).wait(TIMEOUT)
    before = cryostat.temperature.setpoint.get(use_monitor=False)

    with pytest.raises(MoveError, match="call reset_trip"):
        cryostat.temperature.set(50.0).wait(TIMEOUT)

    assert cryostat.temperature.setpoint.get(use_monitor=False) == before


def test_a_temperature_that_is_not_reached_in_time_fails_with_all_readings(cryostat):
    cryostat.temperature.timeout = 0.5

    with pytest.raises(
        MoveError,
        match=r"asked for 200.*not stable after 0\.5 s; sample .* K, finger .* K, "
        r"working set point .* K, greatest deviation .* K, heater .* flow .* helium "
        r".* vacuum .* mbar",
    ):
        cryostat.temperature.set(200.0).wait(TIMEOUT)


def test_a_stopped_temperature_counts_as_failed(cryostat):
    move = cryostat.temperature.set(150.0)

    cryostat.temperature.stop()

    with pytest.raises(MoveError, match="stopped"):
        move.wait(TIMEOUT)


def test_the_flow_waits_for_the_valve(cryostat):
    cryostat.flow.set(80.0).wait(TIMEOUT)

    assert cryostat.flow.position == pytest.approx(80.0, abs=0.1)
    cryostat.flow_mode.set("Automatic").wait(TIMEOUT)

    with pytest.raises(MoveError, match="the IOC says: Flow: got 50 while"):
        cryostat.flow.set(50.0).wait(TIMEOUT)


def test_low_helium_is_an_alarm_of_the_level(cryostat, fault):
    fault("HeliumLow", 1)

    cryostat.helium_level.get(use_monitor=False)

    assert cryostat.helium_level.alarm_severity == AlarmSeverity.MAJOR
