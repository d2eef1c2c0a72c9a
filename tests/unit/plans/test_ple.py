import re
from operator import attrgetter

import numpy as np
import pytest
from bluesky.utils import FailedStatus

from triplet_bluesky.errors import AcquireError, MoveError, PlanError
from triplet_bluesky.plans import ple, switch_on


def exposures(bench):
    """What the camera exposed, and with which shutter."""
    log = [what for name, what in bench.log if name == "ccd"]
    return [what for what in log if what != "stop"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"points": [900.0]}, "480 to 700 nm"),
        ({"points": [526.0], "dose": -1.0}, "dose: got -1"),
        ({"points": [526.0], "dose": float("nan")}, "dose: got nan"),
        ({"points": [526.0], "dose_mode": "watts"}, "'photons', 'power' or 'fluence'"),
        ({"points": [526.0], "exposure": -0.1}, "exposure: got -0.1 s"),
        ({"points": [526.0], "exposure": 1e5}, "possible is 0 to 3600 s"),
        ({"points": [526.0], "max_exposure": 1e-6}, "max_exposure"),
        ({"points": [526.0], "subexposures": 0}, "subexposures: got 0"),
        ({"points": [526.0], "subexposures": 2.5}, "subexposures: got 2.5"),
        ({"points": [526.0], "settle": -1.0}, "settle: got -1"),
        ({"points": [526.0], "analyser": "in"}, "an angle in deg, 'out' or None"),
        ({"points": [526.0], "analyser": float("inf")}, "a finite angle"),
        ({}, "give all three"),
    ],
)
def test_bad_arguments_are_refused_before_anything_happens(
    RE, bench, documents, arguments, says
):
    with pytest.raises(PlanError, match=says):
        RE(ple(bench, **arguments))

    assert bench.log == []
    assert documents == []


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        (
            "laser.emission",
            "Off",
            "laser.emission is Off, expected On: RE(bps.mv(laser.emission, 'On', "
            "laser.level, 100)) switches it on",
        ),
        ("laser.ready", "No", "laser.ready is No, expected Yes: wait until it is warm"),
        (
            "tunable_filter.shutter",
            "Closed",
            "tunable_filter.shutter is Closed, expected Open: "
            "RE(bps.mv(tunable_filter.shutter, 'Open'))",
        ),
        (
            "objective.power",
            "Off",
            "objective.power is Off, expected On: RE(bps.mv(objective.power, 'On'))",
        ),
        (
            "objective.y.servo",
            "Off",
            "objective.y.servo is Off, expected On: RE(bps.mv(objective.x.servo, 'On'",
        ),
        (
            "spectrometer.exit_port",
            "Side",
            "spectrometer.exit_port is Side, expected Direct: "
            "RE(bps.mv(spectrometer.exit_port, 'Direct')) leads to the camera",
        ),
        (
            "spectrometer.lamp",
            "On",
            "spectrometer.lamp is On, expected Off: RE(bps.mv(spectrometer.lamp, ",
        ),
        (
            "ccd.cam.read_out_mode",
            "Image",
            "ccd.cam.read_out_mode is Image, expected FVB: ",
        ),
    ],
)
def test_a_bench_that_is_not_ready_is_refused_before_anything_moves(
    RE, bench, documents, setting, value, says
):
    attrgetter(setting)(bench).position = value

    with pytest.raises(PlanError, match=f"^{re.escape(says)}"):
        RE(ple(bench, [526.0]))

    assert bench.log == []
    assert documents == []


def test_all_that_is_in_the_way_is_told_at_once_without_what_follows_from_it(RE, bench):
    bench.laser.emission.position = "Off"
    bench.laser.ready.position = "No"
    bench.spectrometer.exit_port.position = "Side"

    with pytest.raises(PlanError) as caught:
        RE(ple(bench, [526.0]))

    said = str(caught.value)
    assert "laser.emission is Off" in said
    assert "laser.ready" not in said
    assert "spectrometer.exit_port is Side" in said


def test_the_sample_sees_light_only_while_the_camera_exposes(RE, bench):
    RE(ple(bench, [524.0, 526.0], exposure=0.1))

    opened = False
    for name, what in bench.log:
        if name == "power_control_shutter":
            opened = what == "Open"
        elif opened:
            assert (name, what) in [
                ("ccd", "expose 0.1 Open"),
                ("power_control", "measure"),
            ]
    assert not opened


def test_the_dose_is_set_after_the_wavelength_and_before_the_light(RE, bench):
    RE(ple(bench, [530.0], exposure=0.1, dose_mode="power", dose=50.0))

    order = [
        bench.log.index(entry)
        for entry in [
            ("tunable_filter_wavelength", 530.0),
            ("power_control_power", 50.0),
            ("power_control_shutter", "Open"),
        ]
    ]
    assert order == sorted(order)


def test_one_dark_is_taken_for_each_exposure_time(RE, bench, documents):
    RE(ple(bench, [524.0, 526.0, 528.0], exposure=0.2))

    streams = {d["uid"]: d["name"] for n, d in documents if n == "descriptor"}
    events = [streams[d["descriptor"]] for n, d in documents if n == "event"]
    assert events.count("dark") == 1
    assert events.count("primary") == 3
    assert exposures(bench).count("expose 0.2 Closed") == 1


def test_no_dark_is_taken_when_none_is_wanted(RE, bench):
    RE(ple(bench, [524.0], exposure=0.2, darks=False))

    assert exposures(bench) == ["expose 0.2 Open"]


@pytest.mark.parametrize(
    ("rate", "chosen"),
    [(1e5, 0.2), (1e8, 0.001), (10.0, 2.0), (5e6, 0.005)],
    ids=["usual", "brighter than the shortest", "dimmer than the longest", "bright"],
)
def test_automatic_exposure_fills_half_of_the_well(RE, bench, documents, rate, chosen):
    bench.ccd.rate = rate

    RE(ple(bench, [526.0]))

    events = [d["data"] for n, d in documents if n == "event"]
    taken = [
        d["ccd_cam_acquire_time"] for d in events if "tunable_filter_wavelength" in d
    ]
    assert taken == [chosen]


def test_three_subexposures_are_recorded_at_each_point(RE, bench, documents):
    RE(ple(bench, [526.0], exposure=0.1))

    events = [d["data"] for n, d in documents if n == "event"]
    counts = [data["ccd_counts"] for data in events if "ccd_counts" in data]
    assert len(counts) == 2  # a dark and a point
    assert all(np.shape(stack) == (3, 64) for stack in counts)


def settings(bench):
    return {
        setting.name: setting.position
        for setting in (
            bench.tunable_filter.wavelength,
            bench.power_control.attenuator,
            bench.power_control.shutter,
            bench.power_control.meter.wavelength,
            bench.analyser.half_wave_plate,
            bench.analyser.inserted,
            bench.ccd.cam.acquire_time,
            bench.ccd.subexposures,
        )
    }


def test_the_camera_is_staged_for_its_exposures_and_only_for_them(RE, bench):
    RE(ple(bench, [500.0, 530.0]))

    assert bench.ccd.staged_for
    assert all(bench.ccd.staged_for)
    assert not bench.ccd.staged


def test_everything_is_put_back_after_success(RE, bench):
    before = settings(bench)

    RE(ple(bench, [500.0, 530.0], analyser="out"))

    assert settings(bench) == before


def test_everything_is_put_back_and_the_run_closed_after_a_failure(
    RE, bench, documents
):
    before = settings(bench)
    bench.ccd.fails, bench.ccd.fails_at = AcquireError("no frame"), 2

    with pytest.raises(FailedStatus):
        RE(ple(bench, [500.0, 530.0], exposure=0.1, analyser=35.0))

    assert settings(bench) == before
    name, stop = documents[-1]
    assert (name, stop["exit_status"]) == ("stop", "fail")


def test_what_cannot_be_put_back_does_not_keep_the_rest_from_it(RE, bench, caplog):
    def scan():
        yield from ple(bench, [500.0], exposure=0.1)

    bench.power_control.attenuator.fails = MoveError("stuck")

    RE(scan())

    assert bench.tunable_filter.wavelength.position == 526.0
    assert "power_control_attenuator: not put back to 4.0" in caplog.text
    assert "stuck" in caplog.text


def test_an_angle_puts_the_polarizer_in_and_turns_the_analyser(RE, bench):
    bench.analyser.inserted.position = "Out"

    RE(ple(bench, [526.0], exposure=0.1, analyser=35.0))

    assert ("analyser_inserted", "In") in bench.log
    assert ("analyser_angle", 35.0) in bench.log


def test_the_start_document_says_what_was_asked_for(RE, bench, documents):
    RE(ple(bench, [526.0, 524.0], exposure=0.1, md={"sample": "A"}))

    _, start = documents[0]
    assert start["plan_name"] == "ple"
    assert start["plan_args"]["points"] == [524.0, 526.0]
    assert start["num_points"] == 2
    assert start["sample"] == "A"
    assert start["triplet_schema"] == "1.0"


def test_switch_on_closes_the_shutter_before_there_is_light(RE, bench):
    RE(switch_on(bench, 10.0))

    assert bench.log[0] == ("power_control_shutter", "Closed")
    assert ("laser_emission", "On") in bench.log
    assert bench.cryostat.temperature.position == 10.0


def test_two_failures_at_once_still_leave_the_shutter_closed(RE, bench, caplog):
    bench.ccd.fails, bench.ccd.fails_at = AcquireError("no frame"), 1
    measure = bench.power_control.trigger

    def fails_too():
        status = measure()
        late = type(status)()
        late.set_exception(MoveError("no reading"))
        return late

    bench.power_control.trigger = fails_too

    with pytest.raises(FailedStatus):
        RE(ple(bench, [500.0], exposure=0.1))

    assert bench.power_control.shutter.position == "Closed"
    assert "shutter: not put back" not in caplog.text
    assert bench.tunable_filter.wavelength.position == 526.0


def test_a_shutter_that_does_not_close_is_reported_and_closed_blindly(
    RE, bench, caplog
):
    def stick():
        yield from ple(bench, [500.0], exposure=0.1)

    original = bench.ccd.trigger

    def trigger_and_jam():
        bench.power_control.shutter.fails = MoveError("jammed")
        return original()

    bench.ccd.trigger = trigger_and_jam

    with pytest.raises(FailedStatus):
        RE(stick())

    assert "shutter: not put back to Closed: jammed" in caplog.text
    assert ("power_control_shutter", "stop") in bench.log


def test_the_camera_is_stopped_before_anything_is_put_back(RE, bench):
    RE(ple(bench, [500.0], exposure=0.1))

    stopped = bench.log.index(("ccd", "stop"))
    assert stopped < bench.log.index(("tunable_filter_wavelength", 526.0))


def test_the_state_of_the_bench_is_recorded_before_and_after(RE, bench, documents):
    RE(ple(bench, [526.0], exposure=0.1))

    names = {d["uid"]: d["name"] for n, d in documents if n == "descriptor"}
    baseline = [
        d["data"]
        for n, d in documents
        if n == "event" and names[d["descriptor"]] == "baseline"
    ]
    assert len(baseline) == 2
    assert {"laser_emission", "ioc_boot_id", "cryostat_temperature"} <= set(baseline[0])
    assert {"objective_x", "objective_y", "objective_z"} <= set(baseline[0])
    (configuration,) = (
        d["configuration"]
        for n, d in documents
        if n == "descriptor" and d["name"] == "baseline"
    )
    assert configuration["spectrometer"]["data"]["spectrometer_exit_port"] == "Direct"
    assert configuration["spectrometer"]["data"]["spectrometer_lamp"] == "Off"
    assert configuration["objective"]["data"]["objective_power"] == "On"
