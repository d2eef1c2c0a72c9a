"""Readings in the light by every detector of a served bench, dark after them."""

import threading

import epics
import h5py
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky import plan_stubs as bps
from bluesky import plans as bp
from bluesky.utils import FailedStatus, RunEngineInterrupted

from triplet_bluesky.devices import Bench, FramesFolder
from triplet_bluesky.plans import count_light, switch_on
from triplet_bluesky.session import what_was_said

pytestmark = pytest.mark.ioc

TIMEOUT = 20.0


@pytest.fixture(scope="module")
def bench(ioc, tmp_path_factory):
    """A bench with 40 uW at 526 nm before its shutter."""
    folder = FramesFolder(local=tmp_path_factory.mktemp("frames"))
    bench = Bench.from_prefix(ioc.prefix, frames=folder)
    bench.connect()
    engine = RunEngine({}, context_managers=[])
    engine(switch_on(bench))
    engine(bps.mv(bench.tunable_filter.wavelength, 526.0))
    engine(bps.mv(bench.power_control.power, 40.0))
    engine(bps.mv(bench.spectrometer.centre, 531.0))
    engine(bps.mv(bench.spectrometer.exit_slit, 2000.0))
    engine(bps.mv(bench.ccd.cam.acquire_time, 0.2, bench.ccd.subexposures, 1))
    yield bench
    engine(bps.mv(bench.spectrometer.exit_port, "Direct"))
    bench.disconnect()


@pytest.fixture
def RE():
    engine = RunEngine({}, context_managers=[])
    yield engine
    if engine.state != "idle":
        engine.abort()


@pytest.fixture
def data(RE):
    """The data of all events so far."""
    collected = []
    RE.subscribe(lambda _, doc: collected.append(doc["data"]), "event")
    return collected


def spectra(event):
    return event["ccd_counts"].sum(axis=0)


def images(event):
    with h5py.File(event["ccd_images_file"]) as file:
        return file["/entry/data/data"][:].sum(axis=0)


def histogram(event):
    return event["tcspc_counts"]


@pytest.mark.parametrize(
    ("name", "port", "seen"),
    [
        ("ccd", "Direct", spectra),
        ("ccd_images", "Direct", images),
        ("tcspc", "Side", histogram),
    ],
)
def test_every_detector_sees_light_with_it_and_none_without(
    RE, bench, data, name, port, seen
):
    detector = getattr(bench, name)
    RE(bps.mv(bench.spectrometer.exit_port, port))

    RE(count_light(bench, [detector, bench.power_control, bench.cryostat], num=2))
    assert bench.power_control.shutter.position == "Closed"
    RE(bp.count([detector]))

    *light, dark = [np.ptp(seen(event).astype(float)) for event in data]
    assert min(light) > 10 * dark
    assert [event["power_control_power"] for event in data[:2]] == pytest.approx(
        [40.0] * 2, rel=0.1
    )
    assert all("cryostat_temperature" in event for event in data[:2])


def test_a_detector_that_fails_leaves_the_sample_dark(ioc, RE, bench, data):
    RE(bps.mv(bench.spectrometer.exit_port, "Side"))
    fault = f"{ioc.prefix}SIM:Fault:StrayLight"
    epics.caput(fault, 5e7, wait=True, timeout=TIMEOUT)
    try:
        with pytest.raises(FailedStatus) as caught:
            RE(count_light(bench, [bench.tcspc]))
    finally:
        epics.caput(fault, 0.0, wait=True, timeout=TIMEOUT)
        bench.tcspc.pmt.clear().wait(TIMEOUT)
        bench.tcspc.pmt.voltage.set(900.0).wait(TIMEOUT)

    assert "tripped" in str(what_was_said(caught.value))
    assert bench.power_control.shutter.position == "Closed"
    assert data == []


def test_an_abort_ends_the_exposure_and_leaves_the_sample_dark(RE, bench, data):
    begun = threading.Event()
    acquire = bench.ccd_images.cam.acquire

    def look(value, **_):
        if value and bench.power_control.shutter.position == "Open":
            begun.set()

    token = acquire.subscribe(look, run=False)
    asker = threading.Thread(
        target=lambda: begun.wait(TIMEOUT) and RE.request_pause(defer=False)
    )
    RE(bps.mv(bench.ccd_images.cam.acquire_time, 100.0))
    asker.start()
    try:
        with pytest.raises(RunEngineInterrupted):
            RE(count_light(bench, [bench.ccd_images]))
        asker.join(TIMEOUT)
        assert begun.is_set()

        RE.abort("enough")
    finally:
        acquire.unsubscribe(token)
        bench.ccd_images.cam.acquire_time.set(0.2).wait(TIMEOUT)

    assert bench.power_control.shutter.position == "Closed"
    assert acquire.get(use_monitor=False) == 0
    assert data == []
