"""The devices on a served bench, over Channel Access."""

import epics
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky import plan_stubs as bps
from bluesky.utils import FailedStatus

from triplet_bluesky.devices import Bench
from triplet_bluesky.errors import AcquireError, ConnectError, MoveError
from triplet_bluesky.plans import switch_on

pytestmark = pytest.mark.ioc


@pytest.fixture(scope="module")
def bench(ioc):
    bench = Bench.from_prefix(ioc.prefix)
    bench.connect()
    RunEngine({}, context_managers=[])(switch_on(bench, 4.0))
    yield bench
    bench.disconnect()


@pytest.fixture(autouse=True)
def shutter_is_closed_after_each_test(bench):
    yield
    bench.power_control.shutter.set("Closed").wait(5)


def test_a_move_is_done_when_a_fresh_read_back_agrees(bench):
    for wavelength in (520.0, 521.0, 520.0):
        bench.tunable_filter.wavelength.set(wavelength).wait(10)

        assert bench.tunable_filter.wavelength.position == pytest.approx(wavelength)


def test_the_energy_view_drives_the_same_axis(bench):
    bench.tunable_filter.energy.set(2.36).wait(10)

    assert bench.tunable_filter.energy.position == pytest.approx(2.36, abs=5e-5)
    assert bench.tunable_filter.wavelength.position == pytest.approx(
        1239.841984 / 2.36, abs=0.01
    )


@pytest.mark.parametrize("value", [900.0, float("nan"), float("inf"), -1.0])
def test_what_is_out_of_range_is_refused_and_nothing_moves(bench, value):
    before = bench.tunable_filter.wavelength.position

    with pytest.raises(MoveError, match=r"tunable_filter\.wavelength.*480 to 700 nm"):
        bench.tunable_filter.wavelength.set(value)

    assert bench.tunable_filter.wavelength.position == before


def test_a_refusal_of_the_ioc_is_an_error_that_says_what_the_ioc_said(bench):
    bench.laser.emission.set("Off").wait(5)
    axis = bench.tunable_filter.wavelength

    # past the check of the client, straight to the IOC:
    status = _go_past_the_check(axis, 900.0)

    with pytest.raises(MoveError, match=r"asked for 900.*the IOC says: .*900"):
        status.wait(10)
    bench.laser.emission.set("On").wait(5)


def _go_past_the_check(axis, value):
    from triplet_bluesky.devices.operation import Halt, run_operation

    low, high = axis.setpoint.limits
    axis.setpoint._metadata.update(lower_ctrl_limit=0.0, upper_ctrl_limit=1e6)
    status = run_operation(axis, lambda: axis.go(value, Halt()), Halt())
    status.exception(10)
    axis.setpoint._metadata.update(lower_ctrl_limit=low, upper_ctrl_limit=high)
    return status


def test_a_stopped_move_counts_as_failed(bench):
    bench.tunable_filter.wavelength.set(480.0).wait(10)
    status = bench.tunable_filter.wavelength.set(700.0)

    bench.tunable_filter.wavelength.stop()

    with pytest.raises(MoveError, match="700"):
        status.wait(10)


def test_a_state_that_a_choice_does_not_have_is_refused(bench):
    with pytest.raises(MoveError, match=r"got 'Ajar', expected one of \('Closed', 'Op"):
        bench.power_control.shutter.set("Ajar")


def test_stopping_the_shutter_closes_it(bench):
    bench.power_control.shutter.set("Open").wait(5)

    bench.power_control.shutter.stop()

    bench.power_control.shutter.set("Closed").wait(5)
    assert bench.power_control.shutter.position == "Closed"


@pytest.mark.parametrize(
    ("view", "value"), [("power", 30.0), ("photons", 1.0e6), ("fluence", 25.0)]
)
def test_the_dose_is_reached_in_every_view(bench, view, value):
    control = bench.power_control
    bench.tunable_filter.wavelength.set(520.0).wait(10)
    control.meter.wavelength.set(520.0).wait(5)

    getattr(control, view).set(value).wait(20)

    control.trigger().wait(10)
    assert getattr(control, view).position == pytest.approx(value, rel=0.02)
    assert control.in_tolerance.get() == 1
    assert control.shutter.position == "Closed"


def test_the_views_agree_on_the_arithmetic_of_the_dose(bench):
    control = bench.power_control
    control.meter.wavelength.set(495.0).wait(5)
    control.power.record(15.0, 0.1)
    control.photons.record(15.0, 0.1)
    control.fluence.record(15.0, 0.1)

    # 15 uW at 78 MHz are 0.1923 pJ a pulse, on a flat top of 1.2 um 17.0 uJ/cm2
    assert control.photons.position == pytest.approx(0.1923e-12 / 4.0130e-19, rel=1e-3)
    assert control.fluence.position == pytest.approx(17.0, abs=0.02)


def test_a_dose_out_of_reach_fails_with_the_ceiling(bench):
    bench.tunable_filter.wavelength.set(526.0).wait(10)
    bench.power_control.meter.wavelength.set(526.0).wait(5)

    with pytest.raises(MoveError, match=r"asked for 500 uW, the most at 526\.00 nm is"):
        bench.power_control.power.set(500.0).wait(20)


def test_a_dose_without_light_fails_with_what_to_look_at(bench):
    bench.laser.emission.set("Off").wait(5)

    with pytest.raises(MoveError, match="is the laser's emission on"):
        bench.power_control.power.set(10.0).wait(20)

    bench.laser.emission.set("On").wait(5)


def test_a_spectrum_is_refused_while_the_camera_takes_frames_without_end(bench):
    bench.ccd.cam.image_mode.set("Continuous").wait(5)

    with pytest.raises(AcquireError, match=r"cam1:ImageMode is Continuous, expected S"):
        bench.ccd.trigger().wait(20)


def test_staging_takes_single_frames_and_puts_the_mode_back(bench):
    mode = bench.ccd.cam.image_mode
    mode.set("Continuous").wait(5)

    bench.ccd.stage()
    assert mode.position == "Single"
    bench.ccd.unstage()

    assert mode.position == "Continuous"
    mode.set("Single").wait(5)


def test_each_trigger_gives_as_many_new_frames_as_asked_for(bench):
    bench.ccd.cam.acquire_time.set(0.05).wait(5)
    bench.ccd.subexposures.set(3).wait(1)
    first = int(bench.ccd.image.unique_id.get())

    bench.ccd.trigger().wait(20)

    assert bench.ccd.counts.get().shape == (3, 1024)
    assert int(bench.ccd.image.unique_id.get()) == first + 3
    assert np.ptp([frame.mean() for frame in bench.ccd.counts.get()]) < 1.0


def test_an_array_that_is_not_of_the_new_frame_is_an_error(bench, ioc):
    stale = epics.PV(f"{ioc.prefix}SIM:Fault:StalePv")
    assert stale.wait_for_connection(5)
    bench.ccd.cam.acquire_time.set(0.05).wait(5)
    assert stale.put("CCD:image1:ArrayData", wait=True, timeout=5)

    with pytest.raises(AcquireError, match=r"image1:ArrayData was last written .* old"):
        bench.ccd.trigger().wait(20)

    assert stale.put("", wait=True, timeout=5)
    bench.ccd.trigger().wait(20)


def test_light_reaches_the_camera_only_through_the_open_shutter(bench):
    control = bench.power_control
    control.meter.wavelength.set(526.0).wait(5)
    bench.tunable_filter.wavelength.set(526.0).wait(10)
    control.power.set(40.0).wait(20)
    bench.ccd.cam.acquire_time.set(0.05).wait(5)

    bench.ccd.trigger().wait(20)
    dark = int(bench.ccd.peak.get())
    control.shutter.set("Open").wait(5)
    bench.ccd.trigger().wait(20)
    light = int(bench.ccd.peak.get())

    assert dark < 500
    assert light > 5000


def test_the_analysed_angle_is_twice_the_angle_of_the_plate(bench):
    bench.analyser.angle.set(215.0).wait(20)

    assert bench.analyser.angle.position == pytest.approx(35.0, abs=0.05)
    assert bench.analyser.half_wave_plate.position == pytest.approx(17.5, abs=0.02)


def test_a_temperature_is_reached_when_it_is_stable(bench):
    bench.cryostat.temperature.set(5.0).wait(60)

    assert bench.cryostat.temperature.position == pytest.approx(5.0, abs=0.1)
    bench.cryostat.temperature.set(4.0).wait(60)


def test_every_recorded_number_has_a_unit(bench):
    for device in bench.devices():
        described = device.describe() | device.describe_configuration()
        for key, description in described.items():
            if description["dtype"] in ("number", "array"):
                dimensionless = key.endswith("_tolerance")
                assert description.get("units") or dimensionless, key


def test_a_prefix_that_nobody_serves_is_an_error_with_the_missing_pvs():
    nobody = Bench.from_prefix("NOBODY:")
    try:
        with pytest.raises(ConnectError, match=r"NOBODY:LASER:Emission.* more"):
            nobody.connect(0.3)
    finally:
        nobody.disconnect()


def test_a_failed_move_stops_a_plan_with_the_reason(bench):
    engine = RunEngine({}, context_managers=[])

    def plan():
        yield from bps.mv(bench.power_control.power, 500.0)

    with pytest.raises(FailedStatus) as failure:
        engine(plan())

    assert "the most at" in str(failure.value.__cause__)
