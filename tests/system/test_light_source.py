"""Laser, filter and power control as a session meets them, over Channel Access."""

import time

import pytest
from ophyd import EpicsSignal

from triplet_bluesky.devices import Bench
from triplet_bluesky.errors import AcquireError, DeviceError, MoveError

pytestmark = pytest.mark.ioc

DEADLINE = 20.0


@pytest.fixture(scope="module")
def bench(ioc):
    bench = Bench.from_prefix(ioc.prefix)
    bench.connect()
    bench.laser.level.set(100).wait(DEADLINE)
    bench.laser.emission.set("On").wait(DEADLINE)
    bench.tunable_filter.wavelength.set(526.0).wait(DEADLINE)
    yield bench
    bench.disconnect()


@pytest.fixture
def fault(ioc):
    """Switch faults on by their PVs; they are off after the test."""
    signals = {}

    def switch(name, value):
        if name not in signals:
            signals[name] = EpicsSignal(f"{ioc.prefix}SIM:Fault:{name}", name=name)
            signals[name].wait_for_connection(timeout=DEADLINE)
        signals[name].put(value, wait=True)

    yield switch
    for name, signal in signals.items():
        signal.put("" if name == "NanReading" else 0, wait=True)
        signal.destroy()


@pytest.fixture(autouse=True)
def left_as_found(bench):
    yield
    control = bench.power_control
    control.shutter.set("Closed").wait(DEADLINE)
    control.power_cap.set(1000.0).wait(DEADLINE)
    control.meter.auto_range.set("On").wait(DEADLINE)


def test_emission_is_done_when_the_laser_is_ready(bench):
    laser = bench.laser
    laser.emission.set("Off").wait(DEADLINE)
    assert laser.ready.get() == "No"

    laser.emission.set("On").wait(DEADLINE)

    assert laser.ready.get(use_monitor=False) == "Yes"
    assert laser.warm_up.get(use_monitor=False) == 100.0
    assert int(laser.status.get(use_monitor=False)) & 1


def test_an_open_interlock_is_named_and_needs_its_reset(bench, fault):
    laser = bench.laser
    fault("InterlockOpen", 1)
    assert laser.interlock.get(use_monitor=False) == "Tripped"

    with pytest.raises(MoveError, match=r"still at Off.* to InterlockReset"):
        laser.emission.set("On").wait(DEADLINE)
    with pytest.raises(DeviceError, match=r"is 'Tripped'.* still: interlock loop"):
        laser.reset().wait(DEADLINE)

    fault("InterlockOpen", 0)
    assert laser.interlock.get(use_monitor=False) == "Reset needed"
    laser.reset().wait(DEADLINE)
    laser.emission.set("On").wait(DEADLINE)
    assert laser.interlock.get(use_monitor=False) == "OK"


def test_a_laser_that_trips_while_it_warms_up_says_why(bench, fault):
    bench.laser.emission.set("Off").wait(DEADLINE)
    fault("LaserTrip", 1)

    with pytest.raises(MoveError, match="the laser's fault: supply voltage low"):
        bench.laser.emission.set("On").wait(DEADLINE)

    fault("LaserTrip", 0)
    bench.laser.reset().wait(DEADLINE)
    bench.laser.emission.set("On").wait(DEADLINE)


def test_the_filter_homes_to_its_mark(bench, fault):
    fault("FilterSlip", 0.3)

    bench.tunable_filter.home().wait(DEADLINE)

    assert bench.tunable_filter.wavelength.position == pytest.approx(480.0)
    bench.tunable_filter.wavelength.set(526.0).wait(DEADLINE)


def test_a_stuck_filter_is_an_error_with_the_drive_s_words(bench, fault):
    fault("StuckMotor", "FILTER:Wavelength")

    with pytest.raises(
        MoveError, match=r"asked for 530\.0 nm.*still at 526.*not follow"
    ):
        bench.tunable_filter.wavelength.set(530.0).wait(DEADLINE)


@pytest.mark.parametrize(("name", "per_uw"), [("power", 1.0), ("fluence", 1.1336)])
def test_a_dose_above_the_ceiling_is_refused_before_anything_moves(bench, name, per_uw):
    control = bench.power_control
    before = control.attenuator.position
    view = getattr(control, name)

    with pytest.raises(MoveError, match=r"the most at 526\.00 nm is .*stored table"):
        view.set(200 * per_uw).wait(DEADLINE)

    assert control.attenuator.position == before


def test_a_dose_above_the_cap_is_refused_before_anything_moves(bench):
    control = bench.power_control
    control.attenuator.set(2.0).wait(DEADLINE)
    control.power_cap.set(20.0).wait(DEADLINE)

    with pytest.raises(
        MoveError,
        match=r"power: asked for 30 uW, the most at 526\.00 nm is 20 uW \(the operator",
    ):
        control.power.set(30.0).wait(DEADLINE)

    assert control.attenuator.position == 2.0
    control.power.set(15.0).wait(DEADLINE)


def test_the_ioc_keeps_to_the_cap_also_for_others(bench):
    control = bench.power_control
    control.attenuator.set(1.0).wait(DEADLINE)
    control.power_cap.set(5.0).wait(DEADLINE)

    with pytest.raises(MoveError, match=r"asked for Open.*cap is 5 uW"):
        control.shutter.set("Open").wait(DEADLINE)
    with pytest.raises(MoveError, match=r"asked for 0\.5.*cap is 5 uW"):
        control.attenuator.set(0.5).wait(DEADLINE)


def test_a_range_that_is_too_low_is_raised_while_the_dose_is_regulated(bench):
    control = bench.power_control
    control.attenuator.set(2.0).wait(DEADLINE)
    control.meter.range.set(0.03).wait(DEADLINE)

    control.power.set(20.0).wait(DEADLINE)

    assert control.power.position == pytest.approx(20.0, rel=0.02)
    assert control.meter.range.position == pytest.approx(4.0)
    assert control.meter.auto_range.position == "Off"


def test_a_dose_that_was_over_range_during_an_exposure_is_an_error(bench):
    control = bench.power_control
    control.power.set(20.0).wait(DEADLINE)
    control.meter.range.set(0.3).wait(DEADLINE)

    with pytest.raises(AcquireError, match=r"over range at 0\.4 uW"):
        control.trigger().wait(DEADLINE)


def test_a_range_that_sticks_fails_the_dose(bench, fault):
    control = bench.power_control
    control.attenuator.set(3.0).wait(DEADLINE)
    control.trigger().wait(DEADLINE)
    fault("MeterRangeStuck", 1)
    control.attenuator.set(1.0).wait(DEADLINE)

    with pytest.raises(MoveError, match=r"meter\.range.*the range does not change"):
        control.power.set(20.0).wait(DEADLINE)


def test_a_reading_has_the_time_at_which_it_was_taken(bench):
    before = time.time()

    bench.power_control.trigger().wait(DEADLINE)

    taken = bench.power_control.meter.timestamp.get(use_monitor=False)
    assert before <= taken <= time.time()


@pytest.mark.parametrize(("state", "stuck"), [("Open", "Closed"), ("Closed", "Open")])
def test_a_shutter_that_sticks_is_an_error_with_what_the_switch_says(
    bench, fault, state, stuck
):
    shutter = bench.power_control.shutter
    shutter.set(stuck).wait(DEADLINE)
    fault("ShutterStuck", stuck)

    with pytest.raises(MoveError, match=f"got {state}, the limit switch says {stuck}"):
        shutter.set(state).wait(DEADLINE)


NO_LIGHT = (
    r"asked for 10 uW, but there is no light .*POWER:Meter:Power_RBV reads \S+ uW, "
    r"written \d+\.\d s ago; .* the filter's shutter open"
)


def test_a_closed_shutter_of_the_filter_leaves_no_light_to_regulate(bench):
    bench.tunable_filter.shutter.set("Closed").wait(DEADLINE)

    with pytest.raises(MoveError, match=NO_LIGHT):
        bench.power_control.power.set(10.0).wait(DEADLINE)

    bench.tunable_filter.shutter.set("Open").wait(DEADLINE)
    bench.power_control.power.set(10.0).wait(DEADLINE)


def test_a_meter_that_reads_no_number_is_named_with_what_was_asked(bench, fault):
    fault("NanReading", "POWER:Meter:Power_RBV")

    with pytest.raises(AcquireError, match=r"asked for 10 uW .*Power_RBV reads nan"):
        bench.power_control.power.set(10.0).wait(DEADLINE)


def test_the_wanted_dose_is_a_plain_number(bench):
    bench.power_control.photons.set(1e5).wait(DEADLINE)

    assert type(bench.power_control.wanted.get()) is float
