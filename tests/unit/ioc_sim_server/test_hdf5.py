"""The plugin that writes files: complete ones, and clear words when it cannot."""

import asyncio

import h5py
import numpy as np
import pytest
from caproto import AlarmSeverity

from ioc_sim.channels import RefusedPutError

DATA = "entry/data/data"
NAMES = "entry/instrument/NDAttributes"
OK = ("Write OK", AlarmSeverity.NO_ALARM, "")
FAILED = ("Write error", AlarmSeverity.MAJOR_ALARM)


class Writer:
    """The file writer of a CCD that takes frames of no exposure."""

    def __init__(self, ccd, folder):
        self.ccd, self.folder = ccd, folder
        self.faults = ccd.world.faults
        self.take, self.capture = ccd.take, ccd.capture
        asyncio.run(self.ccd.set("cam1", AcquireTime=0))
        asyncio.run(self.set(FilePath=folder, FileName="run"))

    async def set(self, **values):
        await self.ccd.set("HDF1", **values)

    def value(self, name):
        return self.ccd.value(f"HDF1:{name}")

    @property
    def said(self):
        status = self.ccd["HDF1:WriteStatus"]
        return status.value, status.alarm.severity, self.value("WriteMessage")

    def ids(self, number=1):
        """Numbers of the frames in a file."""
        with h5py.File(self.folder / f"run_{number:06d}.h5") as file:
            assert len(file[DATA]) == len(file[NAMES]["NDArrayUniqueId"])
            return list(file[NAMES]["NDArrayUniqueId"])


@pytest.fixture
def writer(ccd, tmp_path):
    return Writer(ccd, tmp_path)


def test_a_stream_is_complete_when_its_capture_completes(writer, tmp_path):
    async def stream():
        await writer.take()
        await writer.set(FileWriteMode="Stream", NumCapture=3)
        capture = await writer.capture()
        taken = [await writer.take() for _ in range(3)]
        await capture
        return taken

    taken = asyncio.run(stream())

    path = tmp_path / "run_000001.h5"
    assert writer.value("FullFileName_RBV") == str(path)
    assert writer.value("NumCaptured_RBV") == 3
    assert writer.value("FileNumber_RBV") == writer.value("FileNumber") == 2
    assert writer.value("Capture") == writer.value("Capture_RBV") == "Done"
    assert writer.value("RunTime") > 0
    assert writer.ids() == [2, 3, 4]
    with h5py.File(path) as file:
        assert file[DATA].dtype == np.uint16
        assert np.array_equal(file[DATA], taken)


def test_the_layout_is_that_of_areadetector(writer, tmp_path):
    async def write():
        await writer.set(AutoSave="Yes")
        await writer.take()

    asyncio.run(write())

    with h5py.File(tmp_path / "run_000001.h5") as file:
        assert file["entry/instrument/detector/data"] == file[DATA]
        kinds = [file[at].attrs["NX_class"] for at in ("entry", "entry/data")]
        assert kinds == ["NXentry", "NXdata"]
        assert file[DATA].shape == (1, 1, 1024)
        names = file[NAMES]
        assert names["NDArrayEpicsTSSec"].dtype == np.uint32
        stamp = writer.ccd.value("cam1:TimeStamp_RBV")
        assert names["NDArrayTimeStamp"][0] == stamp
        assert names["AndorReadOutMode"][0] == b"FVB"
        assert names["TemperatureActual"][0] == -70.0
        assert names["AcquireTime"].attrs["NDAttrName"] == "AcquireTime"


def test_attributes_can_be_left_out(writer, tmp_path):
    async def write():
        await writer.set(AutoSave="Yes", StoreAttr="No")
        await writer.take()

    asyncio.run(write())

    with h5py.File(tmp_path / "run_000001.h5") as file:
        assert list(file[NAMES]) == []


def test_single_writes_a_file_for_each_frame_or_the_last_one(writer):
    async def write():
        await writer.set(AutoSave="Yes")
        await writer.take(2)
        await writer.set(AutoSave="No")
        await writer.take()
        await writer.set(WriteFile=1)

    asyncio.run(write())

    assert [writer.ids(number) for number in (1, 2, 3)] == [[1], [2], [3]]
    assert writer.value("ArrayCounter_RBV") == 3
    assert writer.value("WriteFile") == "Done"


@pytest.mark.parametrize("auto", ["Yes", "No"])
def test_captured_frames_are_kept_and_written_at_the_end(writer, tmp_path, auto):
    async def write():
        await writer.set(FileWriteMode="Capture", NumCapture=2, AutoSave=auto)
        capture = await writer.capture()
        await writer.take(3)
        await capture
        written = len(list(tmp_path.iterdir()))
        if auto == "No":
            assert writer.value("NumCaptured_RBV") == 2
            await writer.set(WriteFile=1)
        return written

    assert asyncio.run(write()) == (auto == "Yes")
    assert writer.ids() == [1, 2]


def test_kept_frames_can_be_forgotten(writer):
    async def write():
        await writer.set(FileWriteMode="Capture", NumCapture=1)
        capture = await writer.capture()
        await writer.take()
        await capture
        await writer.set(FreeCapture=1)
        with pytest.raises(RefusedPutError, match="no frame to write"):
            await writer.set(WriteFile=1)

    asyncio.run(write())

    assert writer.value("NumCaptured_RBV") == 0


def test_a_stream_ends_when_it_is_told_to(writer, tmp_path):
    async def stream():
        await writer.set(FileWriteMode="Stream", NumCapture=0, LazyOpen="Yes")
        capture = await writer.capture()
        assert list(tmp_path.iterdir()) == []
        assert writer.value("WriteMessage") == "Lazy Open..."
        await writer.take(4)
        await writer.set(Capture=0)
        ids = writer.ids()
        await capture
        return ids

    assert asyncio.run(stream()) == [1, 2, 3, 4]
    assert writer.said == OK


def test_a_stream_without_a_frame_leaves_no_file(writer, tmp_path):
    async def stream():
        await writer.take()
        await writer.set(FileWriteMode="Stream")
        capture = await writer.capture()
        files = len(list(tmp_path.iterdir()))
        await writer.set(Capture=0)
        await capture
        return files

    assert asyncio.run(stream()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_stream_needs_a_frame_before_it_unless_it_is_lazy(writer):
    asyncio.run(writer.set(FileWriteMode="Stream"))

    with pytest.raises(RefusedPutError, match="put LazyOpen to Yes"):
        asyncio.run(writer.set(Capture=1))

    assert writer.said[:2] == FAILED
    assert writer.value("Capture_RBV") == "Done"


def test_a_file_can_be_read_while_it_grows(writer, tmp_path):
    async def stream():
        await writer.set(FileWriteMode="Stream", NumCapture=3, SWMRMode="On")
        await writer.take()
        capture = await writer.capture()
        active = writer.value("SWMRActive_RBV")
        lengths = []
        with h5py.File(tmp_path / "run_000001.h5", swmr=True) as file:
            for _ in range(2):
                await writer.take()
                for data in (file[DATA], names := file[NAMES]["NDArrayUniqueId"]):
                    data.refresh()
                lengths.append((len(file[DATA]), len(names)))
        await writer.take()
        await capture
        return active, lengths

    assert asyncio.run(stream()) == ("Active", [(1, 1), (2, 2)])
    assert writer.value("SWMRActive_RBV") == "Off"
    assert writer.value("SWMRCbCounter_RBV") == 3


def test_a_file_is_flushed_on_demand(writer, tmp_path):
    async def stream():
        await writer.set(FileWriteMode="Stream", NumCapture=0, SWMRMode="On")
        await writer.set(NumFramesFlush=100, LazyOpen="Yes")
        capture = await writer.capture()
        await writer.take(2)
        before = writer.value("SWMRCbCounter_RBV")
        await writer.set(FlushNow=1)
        with h5py.File(tmp_path / "run_000001.h5", swmr=True) as file:
            frames = len(file[DATA])
        await writer.set(Capture=0)
        await capture
        return before, frames

    assert asyncio.run(stream()) == (0, 2)


def test_zlib_makes_the_file_smaller_and_nothing_else(writer, tmp_path):
    async def write():
        await writer.set(AutoSave="Yes", Compression="zlib", BoundaryAlign=4096)
        return await writer.take()

    taken = asyncio.run(write())

    with h5py.File(tmp_path / "run_000001.h5") as file:
        assert file[DATA].compression == "gzip"
        assert np.array_equal(file[DATA][0], taken)
    with pytest.raises(RefusedPutError, match="possible here: None, zlib"):
        asyncio.run(writer.set(Compression="szip"))


def test_a_file_is_complete_before_it_has_its_name(writer, tmp_path):
    async def stream():
        await writer.take()
        await writer.set(FileWriteMode="Stream", NumCapture=1, TempSuffix=".part")
        capture = await writer.capture()
        names = [path.name for path in tmp_path.iterdir()]
        await writer.take()
        await capture
        return names

    assert asyncio.run(stream()) == ["run_000001.h5.part"]
    assert [path.name for path in tmp_path.iterdir()] == ["run_000001.h5"]


def test_an_existing_file_is_never_written_over(writer):
    async def write():
        await writer.set(AutoIncrement="No")
        await writer.take()
        await writer.set(WriteFile=1)
        with pytest.raises(RefusedPutError, match="cannot be opened: File exists"):
            await writer.set(WriteFile=1)

    asyncio.run(write())

    assert writer.said[:2] == FAILED
    assert writer.said[2].endswith("run_000001.h5 cannot be opened: File exists")
    assert writer.ids() == [1]


@pytest.mark.parametrize("missing", [True, False], ids=["missing", "forbidden"])
def test_a_folder_that_cannot_be_used_fails_the_capture(writer, tmp_path, missing):
    # Nobody may write to /proc, not even who runs as root; HDF5 tells no more.
    folder = tmp_path / "missing" if missing else "/proc/self"

    async def write():
        await writer.take()
        await writer.set(FilePath=folder, FileWriteMode="Stream")
        with pytest.raises(RefusedPutError, match="cannot be opened: "):
            await writer.set(Capture=1)

    asyncio.run(write())

    assert writer.said[:2] == FAILED
    assert ("No such file or directory" in writer.said[2]) or not missing
    capture = writer.ccd["HDF1:Capture"]
    assert capture.alarm.severity == AlarmSeverity.INVALID_ALARM
    assert writer.value("FileNumber_RBV") == 1


def test_a_full_disk_ends_the_capture_with_what_is_written(writer):
    async def stream():
        await writer.take()
        await writer.set(FileWriteMode="Stream", NumCapture=5)
        capture = await writer.capture()
        await writer.take(2)
        await writer.faults.set("disk_full", 1)
        await writer.take()
        with pytest.raises(RefusedPutError, match="after 2 frames: No space left"):
            await capture
        said = writer.said
        await writer.faults.set("disk_full", 0)
        await writer.set(NumCapture=1)
        capture = await writer.capture()
        await writer.take()
        await capture
        return said

    said = asyncio.run(stream())

    assert said[:2] == FAILED
    assert said[2].endswith("after 2 frames: No space left on device")
    assert writer.said == OK
    assert (writer.ids(1), writer.ids(2)) == ([2, 3], [5])


def test_a_frame_of_another_size_is_ignored(writer):
    async def stream():
        await writer.take()
        await writer.set(FileWriteMode="Stream", NumCapture=2)
        capture = await writer.capture()
        await writer.take()
        await writer.ccd.set("cam1", BinX=2)
        await writer.take()
        said = writer.said
        await writer.ccd.set("cam1", BinX=1)
        await writer.take()
        await capture
        return said

    assert asyncio.run(stream())[2] == (
        "frame of (1, 512) ignored: the file has frames of (1, 1024)"
    )
    assert writer.ids() == [2, 4]


def test_a_path_gets_its_slash_and_says_whether_it_is_there(writer, tmp_path):
    asyncio.run(writer.set(FilePath=tmp_path / "missing"))

    there = writer.ccd["HDF1:FilePathExists_RBV"]
    assert writer.value("FilePath_RBV") == f"{tmp_path}/missing/"
    assert (there.value, there.alarm.severity) == ("No", AlarmSeverity.MAJOR_ALARM)

    asyncio.run(writer.set(CreateDirectory=-1))

    assert (there.value, there.alarm.severity) == ("Yes", AlarmSeverity.NO_ALARM)
    assert (tmp_path / "missing").is_dir()


@pytest.mark.parametrize(("levels", "made"), [(-1, False), (-2, True), (1, True)])
def test_as_many_folders_are_made_as_allowed(writer, tmp_path, levels, made):
    folder = tmp_path / "one" / "two"

    asyncio.run(writer.set(CreateDirectory=levels, FilePath=folder))

    assert folder.is_dir() == made


def test_a_folder_that_cannot_be_made_is_not_there(writer):
    asyncio.run(writer.set(CreateDirectory=-5, FilePath="/proc/none/such"))

    assert writer.value("FilePathExists_RBV") == "No"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("FileTemplate", "%s%s", "expected three fields"),
        ("FileTemplate", "%s%s_%d_%d", "expected three fields"),
        ("FileTemplate", "x%s%s_%d", "begin with the path"),
        ("FileTemplate", "%s%s%300000000d.h5", "fields of 255 characters at most"),
        ("FileTemplate", "%s%s%-0256d.h5", "fields of 255 characters at most"),
        ("FileTemplate", "%s%.256s%d.h5", "fields of 255 characters at most"),
        ("FileTemplate", "%s%s%1.99999999999d.h5", "fields of 255 characters at most"),
        ("FileTemplate", "%s%s%*d.h5", "expected three fields"),
        ("ReadFile", "Read", "files are not read here"),
        ("NDArrayPort", "STATS1", "only port that has frames is CCD"),
        ("Capture", "Capture", "in Single mode"),
        ("WriteFile", "Write", "no frame to write"),
        ("FileFormat", "Undefined", "possible here: HDF5"),
    ],
)
def test_what_cannot_be_is_refused(writer, name, value, reason):
    with pytest.raises(RefusedPutError, match=reason):
        asyncio.run(writer.set(**{name: value}))


def test_a_capture_of_no_frames_is_refused(writer):
    asyncio.run(writer.set(FileWriteMode="Capture", NumCapture=0))

    with pytest.raises(RefusedPutError, match="expected NumCapture 1 or more"):
        asyncio.run(writer.set(Capture=1))


def test_settings_stay_as_they_are_during_a_capture(writer):
    async def stream():
        await writer.set(FileWriteMode="Stream", LazyOpen="Yes")
        capture = await writer.capture()
        for name, value in (("FileWriteMode", "Single"), ("Capture", 1)):
            with pytest.raises(RefusedPutError, match="during a capture"):
                await writer.set(**{name: value})
        await writer.set(Capture=0)
        await capture

    asyncio.run(stream())


def test_a_name_that_is_too_long_is_not_cut(writer, tmp_path):
    async def write():
        await writer.set(FileName="n" * 250)
        await writer.take()
        with pytest.raises(RefusedPutError, match="characters, limit 255"):
            await writer.set(WriteFile=1)

    asyncio.run(write())

    assert list(tmp_path.iterdir()) == []


def test_an_open_file_is_complete_when_the_server_ends(writer):
    async def stream():
        await writer.set(FileWriteMode="Stream", NumCapture=0, LazyOpen="Yes")
        capture = await writer.capture()
        await writer.take(2)
        await writer.ccd.group.make_safe()
        await capture

    asyncio.run(stream())

    assert writer.ids() == [1, 2]


@pytest.mark.parametrize("blocking", ["Yes", "No"])
def test_frames_wait_in_the_queue_and_none_is_lost(writer, blocking):
    async def stream():
        await writer.set(FileWriteMode="Stream", NumCapture=30, LazyOpen="Yes")
        await writer.set(QueueSize=1, BlockingCallbacks=blocking)
        capture = await writer.capture()
        await writer.take(30)
        await capture

    asyncio.run(stream())

    assert writer.ids() == list(range(1, 31))
    assert writer.value("DroppedArrays_RBV") == 0
    assert (writer.value("QueueUse"), writer.value("QueueFree")) == (0, 1)


def test_a_disabled_plugin_takes_no_frame(writer):
    async def stream():
        await writer.set(AutoSave="Yes", EnableCallbacks="Disable")
        await writer.take()

    asyncio.run(stream())

    assert writer.value("UniqueId_RBV") == 0
    assert writer.value("WriteMessage") == ""


def test_the_last_frame_is_taken_over_once_more(writer):
    async def write():
        await writer.take()
        await writer.set(AutoSave="Yes")
        await writer.set(ProcessPlugin=1)

    asyncio.run(write())

    assert writer.ids() == [1]


def test_words_of_the_library_are_passed_on(writer, monkeypatch):
    def broken(*_):
        msg = "Unable to lock the file"
        raise RuntimeError(msg)

    async def write():
        await writer.take()
        monkeypatch.setattr("ioc_sim.hdf5.FrameFile", broken)
        with pytest.raises(RefusedPutError, match="opened: Unable to lock the file"):
            await writer.set(WriteFile=1)

    asyncio.run(write())


def test_what_nobody_has_foreseen_costs_one_frame_only(writer, monkeypatch, caplog):
    def broken(*_):
        raise KeyError

    async def write():
        await writer.set(AutoSave="Yes")
        with monkeypatch.context() as patch:
            patch.setattr("ioc_sim.hdf5.FrameFile", broken)
            await writer.take()
        await writer.take()

    asyncio.run(write())

    assert writer.ids() == [2]
    assert writer.value("DroppedArrays_RBV") == 1
    assert "frame 1 is lost" in caplog.text
