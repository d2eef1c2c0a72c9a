"""Canaries: each fails when upstream mends a defect that the storage works around."""

import numpy as np
import pyarrow as pa
import pytest
from bluesky_tiled_plugins import TiledWriter

from triplet_bluesky.storage import application, confinement


def write(store, docs, **options):
    writer = TiledWriter(store, **options)
    for name, doc in docs:
        writer(name, doc)
    return store[docs[0][1]["uid"]]


def key(dtype, shape=()):
    return {"source": "PV:X", "dtype": dtype, "shape": list(shape)}


def test_tiled_shows_runs_under_zarr_to_anybody(store, make_run, monkeypatch):
    uid = write(store, make_run({}, [])).start["uid"]
    monkeypatch.setattr(store.context, "api_key", None)
    get = store.context.http_client.get

    refused = get("/zarr/v3/runs/" + uid + "/zarr.json")
    monkeypatch.setattr(application, "_is_zarr", lambda _: False)
    leaked = get("/zarr/v3/runs/" + uid + "/zarr.json")

    assert refused.status_code == 404
    assert leaked.status_code == 200
    assert uid in leaked.text


def test_small_arrays_in_tables_cannot_be_stored_in_sqlite(store, make_run):
    docs = make_run({"power": key("array", [3])}, [{"power": [1.0, 2.0, 3.0]}])

    with pytest.raises(ValueError, match="Unsupported PyArrow type"):
        write(store, docs)


def test_writer_takes_the_type_of_a_column_from_its_first_row(store, make_run):
    docs = make_run({"power": key("number")}, [{"power": 0}, {"power": 0.5}])

    with pytest.raises(pa.ArrowInvalid, match="truncated"):
        write(store, docs, batch_size=1)


def test_writer_cuts_decimals_of_integer_arrays_off(store, make_run):
    declared = key("array", [1]) | {"dtype_numpy": "<i4"}
    docs = make_run({"power": declared}, [{"power": [0.5]}])

    run = write(store, docs, max_array_size=0)

    assert run["primary"].base["power"].read() == 0


def test_writer_changes_infinite_metadata(store, make_run):
    run = write(store, make_run({}, [], limit=float("inf")))

    assert np.isfinite(run.start["limit"])


def test_open_run_has_an_empty_stop_document(store, make_run):
    run = write(store, make_run({}, [])[:-1])

    assert list(run.documents())[-1] == ("stop", {})


def test_dims_of_the_descriptor_are_not_given_to_the_array(store, make_run):
    declared = key("array", [20]) | {"dims": ["pixel"]}
    docs = make_run({"power": declared}, [{"power": np.arange(20.0)}])

    assert write(store, docs)["primary"]["power"].dims == ("time", "dim_int_1")


def test_tiled_serves_files_above_its_folders(
    store, compose_files, make_file, frames_dir, monkeypatch
):
    beside = frames_dir.with_name(frames_dir.name + "-above")
    file, frames = make_file(1, frames_dir / ".." / beside.name)
    catalogue = confinement.CatalogNodeAdapter
    monkeypatch.setattr(catalogue, "_put_asset", confinement.PUT_ASSET)

    run = write(store, compose_files({"primary": [file]}))

    np.testing.assert_array_equal(run["primary"].base["ccd_images"].read(), [frames])


def test_writer_registers_files_only_when_the_run_is_closed(
    store, compose_files, make_file
):
    docs = compose_files({"primary": [make_file(n)[0] for n in (1, 2)]})

    run = write(store, docs[:-1], batch_size=2)

    assert list(run["primary"].base) == ["internal"]


def test_v2_interface_changes_the_client_it_comes_from(store):
    classes = store.structure_clients
    before = classes["BlueskyRun"]

    try:
        _ = store.v2
        assert classes["BlueskyRun"] is not before
    finally:
        classes.set("BlueskyRun", lambda: before)
