"""ophyd's stock areaDetector classes work against the simulated CCD as they are."""

import h5py
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky import plan_stubs as bps
from bluesky import plans as bp
from ophyd import Component as Cpt
from ophyd import DetectorBase, Device, EpicsSignal, SingleTrigger
from ophyd.areadetector.cam import AndorDetectorCam
from ophyd.areadetector.filestore_mixins import (
    FileStoreHDF5IterativeWrite,
    FileStoreHDF5SingleIterativeWrite,
)
from ophyd.areadetector.plugins import (
    HDF5Plugin,
    HDF5Plugin_V34,
    ImagePlugin,
    ImagePlugin_V34,
)
from ophyd.status import SubscriptionStatus

pytestmark = pytest.mark.ioc

TIMEOUT = 20.0
ROWS, COLUMNS = 256, 1024
ACQUIRING, CONTINUOUS = 1, 2


class StreamedHDF5(HDF5Plugin_V34, FileStoreHDF5IterativeWrite):
    """One file for a run, as facilities put it together."""


class OldHDF5(HDF5Plugin, FileStoreHDF5IterativeWrite):
    """The same with the records of areaDetector 1.9."""


class SingleHDF5(HDF5Plugin_V34, FileStoreHDF5SingleIterativeWrite):
    """One file for each frame."""


def detector_class(image, file):
    class StockDetector(SingleTrigger, DetectorBase):
        cam = Cpt(AndorDetectorCam, "cam1:")
        image1 = Cpt(image, "image1:")
        hdf1 = Cpt(file, "HDF1:", write_path_template="/")

    return StockDetector


@pytest.fixture
def connect(ioc, tmp_path, monkeypatch):
    """Connect a detector made of stock classes; it writes to a folder of its own.

    Signals that are made late have a second each otherwise, on however slow a computer.
    """
    made = []

    def connect(image=ImagePlugin_V34, file=StreamedHDF5, *, everything=False):
        cls = detector_class(image, file)
        detector = cls(f"{ioc.prefix}CCD:", name="det")
        made.append(detector)
        detector.hdf1.write_path_template = str(tmp_path)
        detector.read_attrs = ["hdf1"]
        detector.hdf1.read_attrs = []
        with monkeypatch.context() as patch:
            patch.setattr(Device, "lazy_wait_for_connection", False)
            detector.wait_for_connection(all_signals=everything, timeout=TIMEOUT)
        return detector

    yield connect
    for detector in made:
        detector.destroy()


@pytest.mark.parametrize(
    ("image", "file"),
    [(ImagePlugin, OldHDF5), (ImagePlugin_V34, StreamedHDF5)],
    ids=["AD 1.9", "AD 3.4"],
)
def test_every_pv_that_the_stock_classes_declare_is_served(connect, image, file):
    detector = connect(image, file, everything=True)

    signals = [walk.item for walk in detector.walk_signals(include_lazy=True)]
    assert len(signals) > 200
    assert all(signal.connected for signal in signals)


@pytest.fixture
def setting(ioc):
    """Put to a record that the stock classes do not have; it is put back."""
    before = {}

    def put(name, value):
        signal = EpicsSignal(f"{ioc.prefix}CCD:{name}", name="setting")
        signal.wait_for_connection(timeout=TIMEOUT)
        before.setdefault(signal, signal.get())
        signal.put(value, use_complete=True)
        wait(signal)

    def wait(signal):
        signal.get(use_monitor=False)

    yield put
    for signal, value in before.items():
        signal.put(value)
        wait(signal)
        signal.destroy()


@pytest.fixture
def prime(connect):
    """Connect a detector that has seen a frame; exposures are short."""

    def prime(**kwargs):
        detector = connect(**kwargs)
        detector.hdf1.warmup()  # the frame before may have been of another shape
        detector.cam.acquire_time.set(0.2).wait(TIMEOUT)
        detector.cam.num_images.set(1).wait(TIMEOUT)
        detector.cam.acquire.set(0).wait(TIMEOUT)
        return detector

    return prime


@pytest.fixture
def run():
    """Run a plan; gives its documents by name."""
    engine = RunEngine({}, context_managers=[])

    def run(plan):
        documents = {}
        engine(plan, lambda name, doc: documents.setdefault(name, []).append(doc))
        return documents

    return run


def shown(detector):
    """What the image plugin shows; its own `image` asks for no pixels in ophyd 1.11."""
    plugin = detector.image1
    return plugin.array_data.get().reshape(plugin.height.get(), plugin.width.get())


def with_images(detector, number, images):
    """Take frames, and keep what the image plugin shows of each."""

    def look(detectors):
        yield from bps.trigger_and_read(detectors)
        images.append(shown(detector))

    return bp.count([detector], number, per_shot=look)


def file_of(documents):
    resource = documents["resource"][0]
    return resource, resource["root"].rstrip("/") + "/" + resource["resource_path"]


@pytest.mark.parametrize(
    ("image", "file"),
    [(ImagePlugin, OldHDF5), (ImagePlugin_V34, StreamedHDF5)],
    ids=["AD 1.9", "AD 3.4"],
)
def test_a_run_is_one_file_with_a_frame_for_each_event(prime, run, image, file):
    detector, images = prime(image=image, file=file), []

    documents = run(with_images(detector, 3, images))

    resource, path = file_of(documents)
    assert resource["spec"] == "AD_HDF5"
    assert resource["resource_kwargs"] == {"frame_per_point": 1}
    points = [doc["datum_kwargs"]["point_number"] for doc in documents["datum"]]
    assert points == [0, 1, 2]
    for event, datum in zip(documents["event"], documents["datum"], strict=True):
        assert event["data"]["det_image"] == datum["datum_id"]
    key = documents["descriptor"][0]["data_keys"]["det_image"]
    assert tuple(key["shape"]) == (1, 1, COLUMNS)
    with h5py.File(path) as frames:
        data = frames["entry/data/data"][:]
    assert data.dtype == np.uint16
    assert np.array_equal(data, images)


def test_an_image_is_a_run_like_a_line(prime, run, setting):
    setting("cam1:AndorReadOutMode", "Image")
    setting("cam1:BinY", 2)
    detector, images = prime(), []
    detector.hdf1.warmup()

    documents = run(with_images(detector, 2, images))

    key = documents["descriptor"][0]["data_keys"]["det_image"]
    assert tuple(key["shape"]) == (1, ROWS // 2, COLUMNS)
    _, path = file_of(documents)
    with h5py.File(path) as frames:
        assert frames["entry/data/data"].shape == (2, ROWS // 2, COLUMNS)
        assert np.array_equal(frames["entry/data/data"], images)


def test_a_detector_that_takes_frames_can_be_unstaged(prime, setting):
    """It puts settings back, and waits for each, before it ends the acquisition."""
    detector = prime()
    setting("cam1:ImageMode", "Continuous")
    setting("cam1:AcquireTime", 600.0)
    detector.cam.stage_sigs["acquire_time"] = 500.0
    detector.stage()
    detector.cam.acquire.put(1)
    SubscriptionStatus(
        detector.cam.detector_state, lambda *, value, **_: value == ACQUIRING
    ).wait(TIMEOUT)

    detector.unstage()

    assert detector.cam.acquire.get() == 0
    assert detector.cam.image_mode.get() == CONTINUOUS
    assert detector.cam.acquire_time.get() == 600.0


def test_a_file_for_each_frame(prime, run, tmp_path):
    detector, images = prime(file=SingleHDF5), []

    documents = run(with_images(detector, 2, images))

    kwargs = documents["resource"][0]["resource_kwargs"]
    template, name = kwargs["template"], kwargs["filename"]
    for number, image in enumerate(images):
        with h5py.File(template % (f"{tmp_path}/", name, number)) as frames:
            assert np.array_equal(frames["entry/data/data"][0], image)


def test_several_frames_of_an_event(prime, run):
    detector = prime()
    detector.cam.num_images.set(4).wait(TIMEOUT)

    documents = run(bp.count([detector], 2))

    resource, path = file_of(documents)
    assert resource["resource_kwargs"] == {"frame_per_point": 4}
    with h5py.File(path) as frames:
        stamps = frames["entry/instrument/NDAttributes/NDArrayTimeStamp"][:]
        assert frames["entry/data/data"].shape == (8, 1, COLUMNS)
    period = detector.cam.acquire_time.get() + 0.003
    assert np.diff(stamps)[[0, 1, 2, 4, 5, 6]] == pytest.approx(period, abs=2e-4)


def test_folders_are_made_as_far_as_the_stock_class_asks_for(prime, run, tmp_path):
    detector = prime()
    detector.hdf1.write_path_template = str(tmp_path / "year" / "month" / "day")

    documents = run(bp.count([detector]))

    assert file_of(documents)[1].startswith(f"{tmp_path}/year/month/day/")


def test_a_folder_that_cannot_be_made_is_told_by_the_file_records(prime, tmp_path):
    writer = prime().hdf1
    writer.create_directory.set(-3).wait(TIMEOUT)
    writer.file_path.set(f"{tmp_path}/1/2/3/4").wait(TIMEOUT)
    writer.file_write_mode.set("Stream").wait(TIMEOUT)

    failed = SubscriptionStatus(writer.write_status, lambda *, value, **_: value == 1)
    writer.capture.put(1)
    failed.wait(TIMEOUT)

    assert writer.capture.get() == 0
    assert writer.file_path_exists.get() == 0
    assert "4/" in writer.write_message.get()
    assert "No such file or directory" in writer.write_message.get()


def test_a_growing_file_can_be_read(prime, setting):
    setting("HDF1:SWMRMode", "On")
    detector = prime()
    detector.stage()
    try:
        path = detector.hdf1.full_file_name.get()
        with h5py.File(path, swmr=True) as frames:
            data = frames["entry/data/data"]
            for number in (1, 2):
                detector.trigger().wait(TIMEOUT)
                data.refresh()
                assert len(data) == number
                assert np.array_equal(data[-1], shown(detector))
    finally:
        detector.unstage()
