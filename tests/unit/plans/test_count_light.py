import itertools

import pytest
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.utils import FailedStatus, RunEngineInterrupted
from ophyd.status import Status

from triplet_bluesky.errors import AcquireError, MoveError, PlanError
from triplet_bluesky.plans import count_light

OPEN = ("power_control_shutter", "Open")
CLOSED = ("power_control_shutter", "Closed")
EXPOSED = ("ccd", "expose 1 Open")


def done(bench):
    """What was done, without the stop with which the RunEngine leaves each plan."""
    assert bench.log[-1] == ("power_control_shutter", "stop")
    return bench.log[:-1]


def events(documents):
    return [document for name, document in documents if name == "event"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"detectors": []}, "detectors: got none"),
        ({"num": 0}, "num: got 0, expected 1, 2, 3"),
        ({"num": 1.5}, "num: got 1.5"),
        ({"delay": -1.0}, "delay: got -1.0 s"),
        ({"delay": float("nan")}, "delay: got nan s"),
    ],
)
def test_bad_arguments_are_refused_before_anything_happens(
    RE, bench, documents, arguments, says
):
    with pytest.raises(PlanError, match=says):
        RE(count_light(bench, **({"detectors": [bench.ccd]} | arguments)))

    assert bench.log == []
    assert documents == []


def test_the_shutter_is_open_around_each_exposure_and_only_there(RE, bench):
    RE(count_light(bench, [bench.ccd], num=3))

    assert done(bench) == [OPEN, EXPOSED, CLOSED] * 3


def test_each_reading_has_what_was_seen_in_the_light(RE, bench, documents):
    RE(count_light(bench, [bench.ccd], num=2))

    assert [event["data"]["ccd_peak"] for event in events(documents)] == [65535] * 2


def test_all_detectors_look_at_once_and_readables_are_read_along(RE, bench, documents):
    detectors = [bench.ccd, bench.power_control, bench.cryostat]

    RE(count_light(bench, detectors))

    assert done(bench) == [OPEN, EXPOSED, ("power_control", "measure"), CLOSED]
    (event,) = events(documents)
    assert {"ccd_counts", "power_control_power", "cryostat_temperature"} <= set(
        event["data"]
    )


def test_the_light_is_off_while_detectors_are_read(RE, bench):
    read, states = bench.ccd.read, []

    def look():
        states.append(bench.power_control.shutter.position)
        return read()

    bench.ccd.read = look

    RE(count_light(bench, [bench.ccd], num=2))

    assert states == ["Closed"] * 2


def test_readings_begin_as_far_apart_as_was_asked_for(bench):
    plan = count_light(bench, [bench.cryostat], num=3, delay=60.0)
    delays = [message.args[0] for message in plan if message.command == "sleep"]

    assert delays == pytest.approx([60.0] * 2, abs=10.0)


def test_it_goes_on_until_it_is_stopped(bench):
    messages = itertools.islice(count_light(bench, [bench.ccd], num=None), 500)

    assert sum(message.command == "trigger" for message in messages) > 10


def test_the_start_document_says_what_was_asked_for(RE, bench, documents):
    RE(count_light(bench, [bench.ccd], num=2, delay=0.1, md={"sample": "A"}))

    _, start = documents[0]
    assert start["plan_name"] == "count_light"
    assert start["plan_args"] == {"detectors": ["ccd"], "num": 2, "delay": 0.1}
    assert start["detectors"] == ["ccd"]
    assert start["num_points"] == 2
    assert start["triplet_schema"] == "1.0"
    assert start["sample"] == "A"


def test_a_failed_exposure_is_ended_and_leaves_the_sample_dark(RE, bench, documents):
    bench.ccd.fails, bench.ccd.fails_at = AcquireError("no frame"), 1

    with pytest.raises(FailedStatus):
        RE(count_light(bench, [bench.ccd, bench.cryostat], num=3))

    assert done(bench)[3:] == [OPEN, EXPOSED, ("ccd", "stop"), CLOSED]
    assert len(events(documents)) == 1
    assert documents[-1][1]["exit_status"] == "fail"


def test_two_failures_at_once_still_leave_the_sample_dark(RE, bench, caplog):
    bench.ccd.fails, bench.ccd.fails_at = AcquireError("no frame"), 0

    def fail():
        late = Status()
        late.set_exception(AcquireError("no reading"))
        return late

    bench.power_control.trigger = fail

    with pytest.raises(FailedStatus):
        RE(count_light(bench, [bench.ccd, bench.power_control]))

    assert bench.power_control.shutter.position == "Closed"
    assert "not put back" not in caplog.text


def test_a_shutter_that_does_not_close_ends_it_and_is_closed_blindly(
    RE, bench, documents, caplog
):
    trigger = bench.ccd.trigger

    def trigger_and_jam():
        bench.power_control.shutter.fails = MoveError("jammed")
        return trigger()

    bench.ccd.trigger = trigger_and_jam

    with pytest.raises(FailedStatus):
        RE(count_light(bench, [bench.ccd], num=2))

    assert "make sure that no light reaches the sample" in caplog.text
    assert bench.log.count(EXPOSED) == 1
    assert ("power_control_shutter", "stop") in bench.log
    assert events(documents) == []


def test_a_shutter_that_does_not_open_ends_it_before_anything_is_exposed(RE, bench):
    bench.power_control.shutter.fails = MoveError("jammed")

    with pytest.raises(FailedStatus):
        RE(count_light(bench, [bench.ccd]))

    assert EXPOSED not in bench.log


def paused_in_the_light(plan):
    """Pause once, right after the first trigger."""
    pauses = iter([bps.pause()])

    def insert(message):
        return None, next(pauses, None) if message.command == "trigger" else None

    return bpp.plan_mutator(plan, insert)


def test_an_abort_in_an_exposure_leaves_the_sample_dark(RE, bench, documents):
    with pytest.raises(RunEngineInterrupted):
        RE(paused_in_the_light(count_light(bench, [bench.ccd])))

    RE.abort("enough")

    assert done(bench)[-2:] == [("ccd", "stop"), CLOSED]
    assert events(documents) == []


def test_a_paused_exposure_is_repeated_in_the_light(RE, bench, documents):
    with pytest.raises(RunEngineInterrupted):
        RE(paused_in_the_light(count_light(bench, [bench.ccd])))
    assert bench.log == [OPEN, EXPOSED, ("power_control_shutter", "stop")]
    bench.log.clear()

    RE.resume()

    assert done(bench) == [OPEN, EXPOSED, CLOSED]
    assert len(events(documents)) == 1
