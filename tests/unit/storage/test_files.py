"""Frames in files that an IOC has written are part of a run like all other arrays."""

import json
import uuid

import numpy as np
import pytest

from triplet_bluesky.errors import StorageError
from triplet_bluesky.storage.reading import documents, read_run
from triplet_bluesky.storage.writer import RunWriter


def write(store, docs, **options):
    writer = RunWriter(store, **options)
    for name, doc in docs:
        writer(name, doc)
    return store[docs[0][1]["uid"]]


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_frames_of_all_points_are_one_array(
    store, compose_files, make_file, batch_size
):
    files, frames = zip(*[make_file(n) for n in (1, 2, 4)], strict=True)
    docs = compose_files({"primary": files})

    run = write(store, docs, batch_size=batch_size)

    node = run["primary"]["ccd_images"]
    assert node.dims == ("time", "frame", "row", "pixel")
    assert node.dtype == np.uint16
    np.testing.assert_array_equal(node.read(), frames)
    np.testing.assert_array_equal(node[2, 1, 1:3], frames[2][1, 1:3])
    data = read_run(run)
    np.testing.assert_array_equal(data["ccd_images"], frames)
    assert data["ccd_images"].dims == ("time", "frame", "row", "pixel")
    assert data["ccd_images"].attrs["units"] == "ADU"
    np.testing.assert_array_equal(data["level"], [1.0, 2.0, 3.0])


def test_streams_of_a_run_have_frames_of_their_own(store, compose_files, make_file):
    (dark, dark_frames), *lit = [make_file(n) for n in (1, 2, 3)]
    docs = compose_files({"dark": [dark], "primary": [file for file, _ in lit]})

    run = write(store, docs)

    np.testing.assert_array_equal(read_run(run, "dark")["ccd_images"], [dark_frames])
    np.testing.assert_array_equal(read_run(run)["ccd_images"], [f for _, f in lit])


def test_documents_name_each_file_before_its_event(store, compose_files, make_file):
    files = [make_file(n)[0] for n in (1, 3, 4)]
    docs = compose_files({"primary": files})

    replayed = list(documents(write(store, docs)))

    assert [name for name, _ in replayed] == [name for name, _ in docs]
    for (name, old), (_, new) in zip(docs, replayed, strict=True):
        if name == "stream_resource":
            assert new["uri"] == old["uri"]
            assert new["parameters"]["dataset"] == "/entry/data/data"
        if name == "stream_datum":
            assert new["seq_nums"] == old["seq_nums"]


def test_replayed_documents_can_be_stored_again(store, compose_files, make_file):
    files, frames = zip(*[make_file(n) for n in (2, 3)], strict=True)
    docs = compose_files({"primary": files})
    replayed = json.dumps(list(documents(write(store, docs))))

    uid = docs[0][1]["uid"]
    run = write(store, json.loads(replayed.replace(uid, str(uuid.uuid4()))))

    np.testing.assert_array_equal(run["primary"]["ccd_images"].read(), frames)


def test_files_are_registered_with_the_events_of_their_batch(
    store, compose_files, make_file
):
    files, frames = zip(*[make_file(n) for n in (1, 2, 3)], strict=True)
    docs = compose_files({"primary": files})

    run = write(store, docs[:-1], batch_size=2)

    data = read_run(run)
    assert data.sizes["time"] == 2
    np.testing.assert_array_equal(data["ccd_images"], frames[:2])


@pytest.mark.parametrize("where", ["outside", "beside", "above", "linked"])
def test_file_outside_the_folder_is_refused(
    store, compose_files, make_file, frames_dir, tmp_path, where
):
    beside = frames_dir.with_name(frames_dir.name + "-beside")
    directory = {
        "outside": tmp_path,
        "beside": beside,
        "above": frames_dir / ".." / beside.name,
        "linked": frames_dir / "linked",
    }[where]
    if where == "linked":
        directory.symlink_to(tmp_path)
    file, _ = make_file(1, directory)

    with pytest.raises(StorageError, match=rf"{file.name}, which is outside the fold"):
        write(store, compose_files({"primary": [file]}))
