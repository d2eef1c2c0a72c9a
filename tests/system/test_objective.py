"""The piezo stage over Channel Access: stock ophyd, our device, focus and faults."""

import epics
import numpy as np
import pytest
from bluesky import RunEngine
from ophyd import EpicsMotor

from triplet_bluesky.devices import Bench, Objective
from triplet_bluesky.errors import MoveError
from triplet_bluesky.plans import switch_on

pytestmark = pytest.mark.ioc

TIMEOUT = 20.0

HOME = (20.0, 20.0, 20.0)
"""Where the paper's crystal is, um."""


@pytest.fixture
def objective(ioc):
    device = Objective(f"{ioc.prefix}OBJ:", name="objective")
    device.wait_for_connection(timeout=TIMEOUT)
    yield device
    go_home(device)
    device.destroy()


def axes(objective):
    return (objective.x, objective.y, objective.z)


def go_home(objective):
    objective.power.set("On").wait(TIMEOUT)
    for axis in axes(objective):
        axis.servo.set("On").wait(TIMEOUT)
    for axis, place in zip(axes(objective), HOME, strict=True):
        axis.set(place).wait(TIMEOUT)


@pytest.fixture
def fault(ioc):
    """Switch faults on by their PV; they are off again after the test."""
    switched = {}

    def switch(name, value):
        pv = epics.PV(f"{ioc.prefix}SIM:Fault:{name}")
        assert pv.wait_for_connection(TIMEOUT)
        switched.setdefault(name, (pv, pv.get(timeout=TIMEOUT)))
        assert pv.put(value, wait=True, timeout=TIMEOUT)

    yield switch
    for pv, value in switched.values():
        pv.put(value, wait=True, timeout=TIMEOUT)


def test_an_axis_arrives_within_nanometres(objective):
    for axis in axes(objective):
        axis.set(23.456).wait(TIMEOUT)

        assert axis.position == pytest.approx(23.456, abs=0.008)
        assert (axis.egu, axis.limits) == ("um", (0.0, 40.0))


def test_what_is_recorded_of_the_stage(objective):
    reading, settings = objective.read(), objective.read_configuration()

    assert {"objective_x", "objective_y", "objective_z"} <= set(reading)
    assert set(objective.hints["fields"]) == {
        "objective_x",
        "objective_y",
        "objective_z",
    }
    assert settings["objective_z_servo"]["value"] == "On"
    assert settings["objective_z_travel"]["value"] == 40.0
    assert settings["objective_power"]["value"] == "On"


def test_ophyds_own_motor_class_moves_an_axis(ioc, objective):
    stock = EpicsMotor(f"{ioc.prefix}OBJ:X", name="stock")
    stock.wait_for_connection(timeout=TIMEOUT)

    stock.set(12.5).wait(TIMEOUT)

    assert objective.x.position == pytest.approx(12.5, abs=0.008)
    assert (stock.egu, stock.limits) == ("um", (0.0, 40.0))
    stock.destroy()


@pytest.mark.parametrize("target", [-1.0, 41.0, float("nan")])
def test_beyond_the_range_is_refused_with_the_limits(objective, target):
    with pytest.raises(MoveError, match=r"objective\.z.*0 to 40 um"):
        objective.z.set(target)


def test_without_servo_a_move_is_refused_with_what_to_switch_on(objective):
    objective.x.servo.set("Off").wait(TIMEOUT)

    with pytest.raises(MoveError, match=r"OBJ:X:Servo_RBV is Off.*objective\.x\.servo"):
        objective.x.set(25.0)
    objective.y.set(25.0).wait(TIMEOUT)


def test_without_power_all_axes_rest_at_nought(objective):
    objective.power.set("Off").wait(TIMEOUT)

    for axis in axes(objective):
        assert axis.position == pytest.approx(0.0, abs=2.0)
    with pytest.raises(MoveError, match="without power"):
        objective.x.servo.set("On").wait(TIMEOUT)


def test_a_stuck_piezo_fails_the_move_with_the_reason(objective, fault):
    fault("StuckMotor", "OBJ:Z")

    with pytest.raises(MoveError, match=r"asked for 22.*gave up.*stuck"):
        objective.z.set(22.0).wait(TIMEOUT)


@pytest.fixture
def lit(ioc):
    """The bench with 10 uW at 526 nm on the sample, and one exposure of it."""
    bench = Bench.from_prefix(ioc.prefix)
    bench.connect()
    RunEngine({}, context_managers=[])(switch_on(bench, 4.0))
    bench.tunable_filter.wavelength.set(526.0).wait(TIMEOUT)
    bench.power_control.meter.wavelength.set(526.0).wait(TIMEOUT)
    bench.power_control.power.set(10.0).wait(TIMEOUT)
    bench.ccd.cam.acquire_time.set(0.2).wait(TIMEOUT)
    bench.ccd.subexposures.set(1).wait(TIMEOUT)
    bench.power_control.shutter.set("Open").wait(TIMEOUT)
    bench.ccd.stage()

    def look():
        bench.ccd.trigger().wait(TIMEOUT)
        counts = np.asarray(bench.ccd.counts.get(), dtype=float)[0]
        wavelength = np.asarray(bench.spectrometer.wavelength.get())
        return (counts - 300)[np.abs(wavelength - 530.9) < 0.3].sum()

    yield look
    bench.ccd.unstage()
    bench.power_control.shutter.set("Closed").wait(TIMEOUT)
    bench.disconnect()


def test_the_light_peaks_where_the_crystal_is(objective, lit):
    def scan(axis, places):
        light = []
        for place in places:
            axis.set(place).wait(TIMEOUT)
            light.append(lit())
        axis.set(20.0).wait(TIMEOUT)
        return np.array(light)

    z = np.array([16.0, 18.0, 19.0, 20.0, 21.0, 22.0, 24.0])
    x = np.array([18.8, 19.5, 20.0, 20.5, 21.2])

    assert z[scan(objective.z, z).argmax()] == pytest.approx(20.0, abs=1.0)
    across = scan(objective.x, x)
    assert x[across.argmax()] == 20.0
    assert across[[0, -1]].max() < 0.02 * across.max()


def test_a_lost_focus_dims_the_light_and_refocusing_finds_it(objective, lit, fault):
    sharp = lit()

    fault("FocusLoss", 3.0)
    blurred = lit()
    stated = objective.z.position
    objective.z.set(17.0).wait(TIMEOUT)
    found = lit()

    assert blurred < 0.5 * sharp
    assert stated == pytest.approx(20.0, abs=0.008)
    assert found == pytest.approx(sharp, rel=0.1)
