"""Scans that are repeated, paused, resumed and aborted on a served bench."""

import threading

import pytest
from bluesky import RunEngine
from bluesky import plan_stubs as bps
from bluesky.utils import RunEngineInterrupted

from triplet_bluesky.callbacks import FitRecorder, LivePLE
from triplet_bluesky.devices import Bench
from triplet_bluesky.plans import ple, switch_on

pytestmark = pytest.mark.ioc

PUMPS = [515.0, 520.0, 525.0]


@pytest.fixture(scope="module")
def bench(ioc):
    bench = Bench.from_prefix(ioc.prefix)
    bench.connect()
    RunEngine({}, context_managers=[])(switch_on(bench, 4.0))
    yield bench
    bench.disconnect()


@pytest.fixture
def RE():
    engine = RunEngine({}, context_managers=[])
    yield engine
    if engine.state != "idle":
        engine.abort()


@pytest.fixture
def documents(RE):
    collected = []
    RE.subscribe(lambda name, doc: collected.append((name, doc)))
    return collected


def scan(bench, **arguments):
    return ple(bench, PUMPS, subexposures=2, **({"exposure": 0.5} | arguments))


def pause_while_exposing(RE, bench, *, frames=1):
    """Pause as soon as the camera has begun some frames with the shutter open."""
    begun = threading.Event()
    seen = []

    def look(value, old_value, **_):
        lit = bench.power_control.shutter.position == "Open"
        if value == 1 and old_value != 1 and lit:
            seen.append(value)
            if len(seen) == frames:
                begun.set()

    token = bench.ccd.cam.acquire.subscribe(look, run=False)

    def ask():
        begun.wait(30)
        RE.request_pause(defer=False)

    asker = threading.Thread(target=ask)
    asker.start()
    return asker, lambda: bench.ccd.cam.acquire.unsubscribe(token)


def points(documents):
    """Events of the stream primary, as a reader has them: the last of each number."""
    names = {d["uid"]: d["name"] for n, d in documents if n == "descriptor"}
    found = {}
    for name, doc in documents:
        if name == "event" and names[doc["descriptor"]] == "primary":
            found[doc["seq_num"]] = doc["data"]["tunable_filter_wavelength"]
    return found


def is_at_rest(bench):
    assert bench.power_control.shutter.position == "Closed"
    assert bench.ccd.cam.detector_state.get() in ("Idle", "Aborted")
    assert bench.ccd.cam.acquire.get() == 0


def test_one_scan_after_the_other(RE, bench, documents):
    for _ in range(2):
        documents.clear()
        RE(scan(bench, exposure=0.05))

        assert points(documents) == pytest.approx(dict(enumerate(PUMPS, 1)))
    is_at_rest(bench)


def test_the_dose_can_be_set_by_hand_after_a_scan(RE, bench):
    RE(scan(bench, exposure=0.05))
    RE(bps.mv(bench.tunable_filter.wavelength, 600.0))

    RE(bps.mv(bench.power_control.photons, 1.0e6))

    assert bench.power_control.meter.wavelength.position == pytest.approx(600.0)
    assert bench.power_control.photons.position == pytest.approx(1.0e6, rel=0.02)


def test_a_pause_in_an_exposure_closes_the_shutter_and_resume_repeats_it(
    RE, bench, documents
):
    asker, done = pause_while_exposing(RE, bench)
    with pytest.raises(RunEngineInterrupted):
        RE(scan(bench, exposure=2.0))
    asker.join(30)
    done()

    bench.power_control.shutter.set("Closed").wait(5)
    is_at_rest(bench)
    RE.resume()

    assert points(documents) == pytest.approx(dict(enumerate(PUMPS, 1)))
    assert documents[-1][1]["exit_status"] == "success"
    assert documents[-1][1]["num_events"]["primary"] == len(PUMPS)


def test_an_abort_in_an_exposure_leaves_the_bench_as_it_was(RE, bench, documents):
    bench.ccd.cam.acquire_time.set(1.0).wait(5)
    bench.analyser.half_wave_plate.set(65.0).wait(20)
    before = bench.tunable_filter.wavelength.position
    asker, done = pause_while_exposing(RE, bench)
    with pytest.raises(RunEngineInterrupted):
        RE(scan(bench, exposure=2.0, analyser=35.0))
    asker.join(30)
    done()
    frames = int(bench.ccd.image.unique_id.get())

    RE.abort("enough")

    is_at_rest(bench)
    assert documents[-1][1]["exit_status"] == "abort"
    assert bench.ccd.cam.acquire_time.position == 1.0
    assert bench.tunable_filter.wavelength.position == pytest.approx(before)
    assert bench.analyser.half_wave_plate.position == pytest.approx(65.0, abs=0.02)
    assert int(bench.ccd.image.unique_id.get()) <= frames + 1


def test_results_until_an_abort_are_recorded(RE, bench, documents):
    analysis = LivePLE()
    RE.subscribe(analysis)
    RE.preprocessors.append(FitRecorder(analysis))
    asker, done = pause_while_exposing(RE, bench, frames=3)
    with pytest.raises(RunEngineInterrupted):
        RE(scan(bench, exposure=1.0))
    asker.join(30)
    done()

    RE.abort("enough")

    recorded = documents[-1][1]["num_events"]
    assert recorded["fit_spectra"] == recorded["primary"] >= 1
