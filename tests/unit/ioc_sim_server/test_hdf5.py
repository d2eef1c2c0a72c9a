"""The plugin that writes files: complete ones, and clear words when it cannot."""

import asyncio
import os

import h5py
import numpy as np
import pytest
from caproto import AlarmSeverity, ChannelType

from ioc_sim.channels import RefusedPutError

HDF = "T:CCD:HDF1:"
CAM = "T:CCD:cam1:"
DATA = "entry/data/data"
NAMES = "entry/instrument/NDAttributes"


@pytest.fixture
def put_all(pvs, put, tmp_path):
    """Write several records of the writer or, with ``cam1:``, of the camera."""

    async def put_all(**values):
        for name, value in values.items():
            where = CAM if name in {"AcquireTime", "NumImages", "ImageMode"} else HDF
            if name in {"FilePath", "FileName", "FileTemplate"}:
                text = np.frombuffer(str(value).encode() + b"\0", dtype=np.uint8)
                await put(pvs[where + name], text, ChannelType.CHAR)
            else:
                await put(pvs[where + name], value)

    asyncio.run(put_all(FilePath=tmp_path, FileName="run", AcquireTime=0))
    return put_all


@pytest.fixture
def take(pvs, put):
    async def take(number=1):
        await put(pvs[CAM + "ImageMode"], "Multiple")
        await put(pvs[CAM + "NumImages"], number)
        await put(pvs[CAM + "Acquire"], 1)

    return take


@pytest.fixture
def capture(pvs, put):
    """Start a capture; gives the task that completes with it."""

    async def capture():
        task = asyncio.create_task(put(pvs[HDF + "Capture"], 1))
        async with asyncio.timeout(5):
            while pvs[HDF + "Capture_RBV"].value == "Done" and not task.done():
                await asyncio.sleep(0.001)
        return task

    return capture


def frame(pvs):
    return pvs["T:CCD:image1:ArrayData"].value


def said(pvs):
    status = pvs[HDF + "WriteStatus"]
    return status.value, status.alarm.severity, pvs[HDF + "WriteMessage"].value


def test_a_stream_is_complete_when_its_capture_completes(
    pvs, put_all, take, capture, tmp_path
):
    async def stream():
        await take()
        await put_all(FileWriteMode="Stream", NumCapture=3)
        writing = await capture()
        taken = []
        for _ in range(3):
            await take()
            taken.append(frame(pvs))
        await writing
        return taken

    taken = asyncio.run(stream())

    path = tmp_path / "run_000001.h5"
    assert pvs[HDF + "FullFileName_RBV"].value == str(path)
    assert pvs[HDF + "NumCaptured_RBV"].value == 3
    assert pvs[HDF + "FileNumber_RBV"].value == pvs[HDF + "FileNumber"].value == 2
    assert pvs[HDF + "Capture"].value == pvs[HDF + "Capture_RBV"].value == "Done"
    with h5py.File(path) as file:
        assert file[DATA].dtype == np.uint16
        assert np.array_equal(file[DATA][:, 0], taken)
        assert list(file[NAMES]["NDArrayUniqueId"]) == [2, 3, 4]
