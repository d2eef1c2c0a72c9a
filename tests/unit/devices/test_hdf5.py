"""The folder of frames has a name on each of two computers."""

from pathlib import Path

import pytest

from triplet_bluesky.devices.ccd_images import FrameStack, Stall
from triplet_bluesky.devices.hdf5 import FramesFolder
from triplet_bluesky.errors import AcquireError

HERE = Path("/data/frames")


@pytest.mark.parametrize(
    ("ioc", "day", "file"),
    [
        (None, "/data/frames/2026-11-22", "/data/frames/2026-11-22/a.h5"),
        ("/mnt/ccd/", "/mnt/ccd/2026-11-22", "/mnt/ccd//2026-11-22/a.h5"),
        ("D:\\ccd", "D:\\ccd\\2026-11-22", "D:\\ccd\\2026-11-22\\a.h5"),
        ("D:/ccd", "D:\\ccd\\2026-11-22", "d:/ccd/2026-11-22/a.h5"),
        ("\\\\pc\\ccd", "\\\\pc\\ccd\\2026-11-22", "\\\\pc\\ccd\\2026-11-22\\a.h5"),
    ],
)
def test_names_go_there_and_back(ioc, day, file):
    folder = FramesFolder(local=HERE, ioc=ioc)

    assert str(folder.for_ioc("2026-11-22")) == day
    assert folder.from_ioc(file) == HERE / "2026-11-22" / "a.h5"


@pytest.mark.parametrize(
    "file", ["", "a.h5", "/data/a.h5", "/data/frames2/a.h5", "/data/frames/../a.h5"]
)
def test_file_outside_the_folder_is_refused(file):
    with pytest.raises(AcquireError, match="expected one in /data/frames"):
        FramesFolder(local=HERE).from_ioc(file)


def test_stall_begins_anew_with_each_frame(monkeypatch):
    now = iter([0.0, 4.0, 5.0, 9.0, 10.1])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    stall = Stall(5.0)

    assert [stall.at(count) for count in (0, 0, 1, 1, 1)] == [False] * 4 + [True]


@pytest.mark.parametrize(
    ("frames", "rows", "frames_at_once"),
    [(1, 256, 1), (20, 256, 20), (1000, 256, 64), (1000, 1, 1000)],
)
def test_tiled_hands_a_part_of_long_series_out_at_once(frames, rows, frames_at_once):
    stack = FrameStack(frames, rows, 1024, "<u2")

    assert stack.chunk == (1, frames_at_once)
