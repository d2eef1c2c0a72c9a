"""Images and kinetic series go from the IOC's files through Tiled to readers."""

import contextlib
import http.client
import io
import re
import signal
import threading
from pathlib import Path
from urllib.parse import urlparse

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import h5py
import numpy as np
import psutil
import pytest
from bluesky import RunEngine
from bluesky.callbacks.best_effort import BestEffortCallback
from bluesky.utils import FailedStatus, RunEngineInterrupted

from triplet_bluesky.devices import Bench, CCDImages, FramesFolder
from triplet_bluesky.errors import AcquireError, StorageError
from triplet_bluesky.plans import count_light, switch_on
from triplet_bluesky.services import down, status, tiled_service, up
from triplet_bluesky.session import what_was_said
from triplet_bluesky.startup import bound
from triplet_bluesky.storage.client import broker
from triplet_bluesky.storage.key import read_key
from triplet_bluesky.storage.reading import documents, read_run
from triplet_bluesky.storage.writer import RunWriter

pytestmark = [pytest.mark.ioc, pytest.mark.tiled]

ROWS, COLUMNS = 256, 1024
HOW_TO = Path(__file__).parents[2].joinpath("docs", "how-to", "images.md")
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FOLDER_RECORDS = ("file_path", "file_name", "file_template", "file_number")


@pytest.fixture(scope="module")
def bench(ioc, server):
    frames = FramesFolder(local=server.frames_dir)
    bench = Bench.from_prefix(ioc.prefix, frames=frames)
    bench.connect()
    yield bench
    bench.disconnect()


@pytest.fixture
def images(bench):
    """The camera, two short frames a point; put back after the test."""
    camera = bench.ccd_images
    camera.cam.acquire_time.set(0.2).wait(5)
    camera.cam.num_images.set(2).wait(5)
    yield camera
    camera.read_out.put("Image")
    for axis, value in (
        (camera.cam.num_images, 1),
        (camera.cam.acquire_period, 0.0),
        (camera.cam.bin_x, 1),
        (camera.cam.bin_y, 1),
        (camera.cam.min_x, 0),
        (camera.cam.min_y, 0),
        (camera.cam.size_x, COLUMNS),
        (camera.cam.size_y, ROWS),
    ):
        axis.set(value).wait(5)


@pytest.fixture
def RE(store):
    engine = RunEngine({}, context_managers=[])
    engine.subscribe(RunWriter(store))
    yield engine
    if engine.state != "idle":
        engine.abort()


@pytest.fixture
def fault(ioc):
    """Switch a fault of the bench on; it ends with the test."""
    from ophyd import EpicsSignal

    made = []

    def switch(name, value):
        signal = EpicsSignal(f"{ioc.prefix}SIM:Fault:{name}", name=name)
        signal.wait_for_connection(timeout=10)
        made.append(signal)
        signal.put(value, wait=True)

    yield switch
    for switched in made:
        switched.put(0, wait=True)
        switched.destroy()


def in_files(run):
    """The frames of a run, as h5py reads them from the files that its events name."""
    stacks = []
    for name in run["primary"]["ccd_images_file"].read():
        with h5py.File(name) as file:
            stacks.append(file["/entry/data/data"][:])
    return np.array(stacks)


def set_now(camera):
    """What staging changes."""
    settings = [getattr(camera.hdf, name) for name in FOLDER_RECORDS]
    settings += [camera.hdf.file_write_mode, camera.hdf.num_capture]
    settings += [camera.hdf.lazy_open, camera.hdf.auto_increment]
    settings += [camera.hdf.create_directory]
    settings += [camera.cam.image_mode, camera.cam.read_out_mode]
    return {setting.name: setting.position for setting in settings}


def server_process(settings):
    (report,) = status([tiled_service(settings)], settings.state_dir)
    return psutil.Process(report.pid)


def test_images_of_three_points_come_back_as_one_array(RE, images, store):
    given = []
    RE.subscribe(lambda name, doc: given.append((name, doc)))
    before = set_now(images)

    (uid,) = RE(bp.count([images], num=3))

    run = store[uid]
    frames = run["primary"]["ccd_images"]
    assert frames.shape == (3, 2, ROWS, COLUMNS)
    assert frames.dims == ("time", "frame", "row", "pixel")
    assert frames.dtype == np.uint16
    written = in_files(run)
    np.testing.assert_array_equal(frames.read(), written)
    np.testing.assert_array_equal(frames[1, 0, 100:110], written[1, 0, 100:110])
    assert len(np.unique(written)) > 3
    assert not np.array_equal(written[0], written[1])
    data = read_run(run)
    np.testing.assert_array_equal(data["ccd_images"], written)
    assert data["ccd_images"].dims == ("time", "frame", "row", "pixel")
    assert data["ccd_images"].attrs["units"] == "ADU"
    assert [name for name, _ in documents(run)] == [name for name, _ in given]
    assert set_now(images) == before


def test_databroker_and_live_tables_take_runs_with_images(RE, images, server):
    RE.subscribe(BestEffortCallback())

    (uid,) = RE(bp.count([images], num=2))

    db = broker(server.tiled_uri, read_key(server.api_key_file))
    table = db[uid].table()
    assert list(table["ccd_images_cam_acquire_time"]) == pytest.approx([0.2, 0.2])
    assert all(Path(name).is_file() for name in table["ccd_images_file"])
    db.v2.context.close()


def test_settings_of_the_camera_are_recorded(RE, images, store):
    images.cam.acquire_period.set(1.5).wait(5)

    (uid,) = RE(bp.count([images]))

    recorded = store[uid]["primary"].metadata["configuration"]["ccd_images"]["data"]
    expected = {
        "read_out_mode": "Image",
        "image_mode": "Multiple",
        "num_images": 2,
        "acquire_period": 1.5,
        "bin_x": 1,
        "size_y": ROWS,
        "preamp_gain": images.cam.preamp_gain.position,
    }
    assert {name: recorded[f"ccd_images_cam_{name}"] for name in expected} == expected


def test_kinetic_series_keeps_its_period(RE, images, store):
    images.cam.num_images.set(20).wait(5)
    images.cam.acquire_period.set(0.6).wait(5)

    (uid,) = RE(bp.count([images]))

    run = store[uid]
    frames = run["primary"]["ccd_images"]
    assert frames.shape == (1, 20, ROWS, COLUMNS)
    np.testing.assert_array_equal(frames.read(), in_files(run))
    (name,) = run["primary"]["ccd_images_file"].read()
    with h5py.File(name) as file:
        attributes = file["/entry/instrument/NDAttributes"]
        np.testing.assert_allclose(np.diff(attributes["NDArrayTimeStamp"]), 0.6)
        np.testing.assert_array_equal(np.diff(attributes["NDArrayUniqueId"]), 1)


def test_series_of_spectra_is_one_row_high(RE, images, store):
    images.read_out.put("FVB")
    images.cam.num_images.set(5).wait(5)

    (uid,) = RE(bp.count([images], num=2))

    frames = store[uid]["primary"]["ccd_images"]
    assert frames.shape == (2, 5, 1, COLUMNS)
    np.testing.assert_array_equal(frames.read(), in_files(store[uid]))


def test_region_and_binning_make_the_frames_smaller(RE, images, store):
    for axis, value in (
        (images.cam.size_x, 512),
        (images.cam.min_x, 256),
        (images.cam.size_y, 64),
        (images.cam.min_y, 96),
        (images.cam.bin_x, 2),
        (images.cam.bin_y, 4),
    ):
        axis.set(value).wait(5)

    (uid,) = RE(bp.count([images]))

    assert store[uid]["primary"]["ccd_images"].shape == (1, 2, 16, 256)
    np.testing.assert_array_equal(
        read_run(store[uid])["ccd_images"], in_files(store[uid])
    )


def test_scan_has_images_at_each_point(RE, bench, images, store):
    axis = bench.spectrometer.centre

    (uid,) = RE(bp.list_scan([images], axis, [530.0, 531.0]))

    data = read_run(store[uid])
    np.testing.assert_allclose(data[axis.name], [530.0, 531.0], atol=0.05)
    np.testing.assert_array_equal(data["ccd_images"], in_files(store[uid]))


def test_spectra_go_on_after_images(RE, bench, images, store):
    RE(bp.count([images]))

    (uid,) = RE(bp.count([bench.ccd]))

    assert read_run(store[uid])["ccd_counts"].shape == (1, 3, COLUMNS)


def test_spectra_are_not_taken_from_a_camera_that_takes_images(RE, bench, images):
    with pytest.raises(FailedStatus) as caught:
        RE(bp.count([images, bench.ccd]))

    assert isinstance(what_was_said(caught.value), AcquireError)


@pytest.mark.timeout(300)
def test_killed_server_has_the_frames_when_it_is_back(images, make_settings, connect):
    settings = make_settings()
    service = tiled_service(settings)
    up([service], settings.state_dir)
    folder, images.folder = images.folder, FramesFolder(local=settings.frames_dir)
    engine = RunEngine({}, context_managers=[])
    engine.subscribe(RunWriter(connect(settings)))
    try:
        (uid,) = engine(bp.count([images], num=2))
    finally:
        images.folder = folder
    server_process(settings).send_signal(signal.SIGKILL)
    down(settings.state_dir)

    up([service], settings.state_dir)

    run = connect(settings)[uid]
    np.testing.assert_array_equal(run["primary"]["ccd_images"].read(), in_files(run))


def test_files_that_the_server_does_not_read_end_the_run(RE, images, tmp_path, store):
    folder, images.folder = images.folder, FramesFolder(local=tmp_path)
    try:
        with pytest.raises(StorageError, match=r"outside the folders.*frames_dir"):
            RE(bp.count([images], num=20))
    finally:
        images.folder = folder

    assert store[-1].stop["exit_status"] == "fail"
    assert store[-1].stop["num_events"] == {"primary": 0}


def test_folder_has_another_name_for_the_ioc(RE, images, server, tmp_path, store):
    link = tmp_path / "drive"
    link.symlink_to(server.frames_dir)
    folder = images.folder
    images.folder = FramesFolder(local=server.frames_dir, ioc=str(link))
    try:
        (uid,) = RE(bp.count([images]))
    finally:
        images.folder = folder

    (name,) = store[uid]["primary"]["ccd_images_file"].read()
    assert Path(name).is_relative_to(server.frames_dir)
    assert images.hdf.full_file_name.get().startswith(f"{link}/")
    np.testing.assert_array_equal(
        store[uid]["primary"]["ccd_images"].read(), in_files(store[uid])
    )


def with_light(bench, images):
    """Count with the shutter open while the camera is staged."""

    @bpp.stage_decorator([images])
    @bpp.run_decorator()
    def plan():
        yield from bps.mv(bench.power_control.shutter, "Open")
        yield from bps.trigger_and_read([images])
        yield from bps.mv(bench.power_control.shutter, "Closed")

    return plan()


def test_missing_folder_is_named_before_the_shutter_opens(RE, bench, images, tmp_path):
    opened = []
    shutter = bench.power_control.shutter.setpoint
    token = shutter.subscribe(lambda value, **_: opened.append(value), run=False)
    before = set_now(images)
    folder = images.folder
    images.folder = FramesFolder(local=tmp_path / "nowhere" / "at all")
    try:
        with pytest.raises(AcquireError, match=r"nowhere.*correct frames_dir"):
            RE(with_light(bench, images))
    finally:
        images.folder = folder
        shutter.unsubscribe(token)

    assert "Open" not in opened
    assert set_now(images) == before
    RE(with_light(bench, images))


def test_device_without_a_folder_says_so(ioc, RE):
    images = CCDImages(f"{ioc.prefix}CCD:", name="ccd_images")
    images.wait_for_connection(timeout=10)

    with pytest.raises(AcquireError, match="no folder"):
        RE(bp.count([images]))
    images.destroy()


def test_trigger_before_staging_is_refused(RE, images):
    with pytest.raises(FailedStatus) as caught:
        RE(bps.trigger(images, wait=True))

    assert "triggered before it was staged" in str(what_was_said(caught.value))


def test_reading_twice_does_not_record_the_frames_twice(RE, images):
    @bpp.stage_decorator([images])
    @bpp.run_decorator()
    def plan():
        yield from bps.trigger_and_read([images])
        yield from bps.create()
        yield from bps.read(images)
        yield from bps.save()

    with pytest.raises(AcquireError, match="expected a trigger"):
        RE(plan())


def test_number_of_frames_stands_fast_within_a_run(RE, images):
    @bpp.stage_decorator([images])
    @bpp.run_decorator()
    def plan():
        yield from bps.trigger_and_read([images])
        yield from bps.mv(images.cam.num_images, 3)
        yield from bps.trigger_and_read([images])

    with pytest.raises(FailedStatus) as caught:
        RE(plan())

    assert "change the frames between runs" in str(what_was_said(caught.value))


def test_dropped_frame_fails_the_point(RE, images, fault):
    fault("CcdDroppedFrames", 1.0)

    with pytest.raises(FailedStatus) as caught:
        RE(bp.count([images]))

    said = str(what_was_said(caught.value))
    assert "asked for 2 frames, the file has 0" in said
    assert "dropped 2" in said


def test_full_disk_fails_the_point_with_the_reason(RE, images, fault):
    before = set_now(images)
    fault("DiskFull", 1.0)

    with pytest.raises(FailedStatus) as caught:
        RE(bp.count([images]))

    assert "No space left on device" in str(what_was_said(caught.value))
    assert set_now(images) == before


def test_point_that_is_interrupted_is_taken_again_into_another_file(RE, images, store):
    images.cam.num_images.set(10).wait(5)
    images.cam.acquire_time.set(1.0).wait(5)
    begun = threading.Event()

    def look(value, **_):
        if value:
            begun.set()

    token = images.hdf.num_captured.subscribe(look, run=False)
    asker = threading.Thread(
        target=lambda: begun.wait(30) and RE.request_pause(defer=False)
    )
    asker.start()
    with pytest.raises(RunEngineInterrupted):
        RE(bp.count([images], num=2))
    asker.join(30)
    images.hdf.num_captured.unsubscribe(token)

    (uid,) = RE.resume()

    run = store[uid]
    names = [Path(name).name for name in run["primary"]["ccd_images_file"].read()]
    assert [name.rpartition("_")[2] for name in names] == ["0002.h5", "0003.h5"]
    frames = run["primary"]["ccd_images"]
    assert frames.shape == (2, 10, ROWS, COLUMNS)
    np.testing.assert_array_equal(frames.read(), in_files(run))


def test_files_are_not_handed_out(RE, images, server, store):
    (uid,) = RE(bp.count([images]))
    uri = urlparse(server.tiled_uri)
    headers = {"Authorization": f"Apikey {read_key(server.api_key_file)}"}

    def get(path):
        connection = http.client.HTTPConnection(uri.hostname, uri.port)
        connection.request("GET", f"/api/v1/{path}", headers=headers)
        answer = connection.getresponse().status
        connection.close()
        return answer

    (source,) = store[uid]["primary"].base["ccd_images"].data_sources()
    node = f"runs/{uid}/primary/ccd_images"
    assert get(f"array/full/{node}?format=application/octet-stream") == 200
    assert get(f"asset/bytes/{node}?id={source.assets[0].id}") == 403


@pytest.mark.usefixtures("images")
def test_how_to_prints_what_it_says(RE, bench, store):
    text = HOW_TO.read_text(encoding="utf-8")
    names = {"RE": RE, "bps": bps, "bp": bp, "cat": store, "read_run": read_run}
    names |= {device.name: device for device in bench.devices()}
    names |= {plan.__name__: bound(plan, bench) for plan in (count_light, switch_on)}
    printed = io.StringIO()

    with contextlib.redirect_stdout(printed):
        for kind, block in FENCED.findall(text):
            if kind == "python":
                exec(block, names)

    said = "".join(block for kind, block in FENCED.findall(text) if kind == "text")
    assert printed.getvalue() == said
    assert names["first"].max() > 3000, "the image is dark"
