"""What the writer stores is what was recorded, or an error that says why not."""

import httpx
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
def test_every_value_comes_back_exactly(store, make_run, data_keys, values, batch_size):
    docs = make_run(data_keys, values)

    data = read_run(write(store, docs, batch_size=batch_size))

    for key in data_keys:
        recorded = np.array([v[key] for v in values])
        np.testing.assert_array_equal(data[key].to_numpy(), recorded)
        assert data[key].dtype.kind == recorded.dtype.kind


def test_axes_and_units_come_back(store, make_run, data_keys, values):
    data = read_run(write(store, make_run(data_keys, values, plan_name="ple")))

    assert data["ccd_frame"].dims == ("time", "subexposure", "pixel")
    assert data["ccd_frame"].attrs["units"] == "ADU"
    assert data["valid"].attrs["units"] == ""
    assert data["ccd_frame"].coords["wavelength"].dims == ("pixel",)
    assert data["wavelength"].attrs["units"] == "nm"
    assert data["wavelength"].attrs["medium"] == "vacuum"
    assert data.attrs["plan_name"] == "ple"
    assert data["time"].attrs["units"] == "s"


def test_every_variable_has_units(store, make_run, data_keys, values):
    data = read_run(write(store, make_run(data_keys, values)))

    assert all("units" in variable.attrs for variable in data.variables.values())


def test_documents_come_back_with_their_types(store, make_run, data_keys, values):
    docs = make_run(data_keys, values, sample="S2", scan_id=7)

    replayed = list(documents(write(store, docs)))

    assert [name for name, _ in replayed] == [name for name, _ in docs]
    assert replayed[0] == docs[0]
    assert replayed[-1] == docs[-1]
    for (name, old), (_, new) in zip(docs, replayed, strict=True):
        if name == "event":
            assert {k: new[k] for k in ("seq_num", "time", "descriptor")} == {
                k: old[k] for k in ("seq_num", "time", "descriptor")
            }
            assert new["timestamps"] == old["timestamps"]
            for key, value in old["data"].items():
                assert type(new["data"][key]) is type(value)
                np.testing.assert_array_equal(new["data"][key], value)


def test_descriptor_comes_back_with_hints_and_configuration(
    store, make_run, data_keys, values
):
    number = {"source": "PV:G", "dtype": "number", "shape": []}
    array = {"source": "PV:A", "dtype": "array", "shape": [2]}
    configuration = {
        "ccd": {
            "data": {"gain": float("nan"), "region": [0.0, 1.0]},
            "timestamps": {"gain": 1.0, "region": 1.0},
            "data_keys": {"gain": number, "region": array},
        }
    }
    docs = make_run(data_keys, values, configuration=configuration)

    replayed = dict(documents(write(store, docs)))["descriptor"]

    original = docs[1][1]
    assert replayed["hints"] == original["hints"]
    assert replayed["object_keys"] == original["object_keys"]
    assert replayed["run_start"] == original["run_start"]
    for key, data_key in original["data_keys"].items():
        assert data_key.items() <= replayed["data_keys"][key].items()
    assert np.isnan(replayed["configuration"]["ccd"]["data"]["gain"])
    np.testing.assert_array_equal(
        replayed["configuration"]["ccd"]["data"]["region"], [0.0, 1.0]
    )


def test_axis_that_moves_is_a_coordinate_of_each_event(
    store, make_run, data_keys, values
):
    for index, point in enumerate(values):
        point["spectrometer_wavelength"] = point["spectrometer_wavelength"] + index

    data = read_run(write(store, make_run(data_keys, values)))

    assert data["wavelength"].dims == ("time", "pixel")


def test_axis_is_found_in_the_configuration(store, make_run, data_keys, values):
    axis = values[0]["spectrometer_wavelength"]
    key = data_keys.pop("spectrometer_wavelength")
    medium = {"source": "PV:M", "dtype": "string", "shape": []}
    configuration = {
        "spectrometer": {
            "data": {"spectrometer_wavelength": axis, "spectrometer_medium": "air"},
            "timestamps": {"spectrometer_wavelength": 1.0, "spectrometer_medium": 1.0},
            "data_keys": {
                "spectrometer_wavelength": key,
                "spectrometer_medium": medium,
            },
        }
    }
    for point in values:
        del point["spectrometer_wavelength"]

    data = read_run(
        write(store, make_run(data_keys, values, configuration=configuration))
    )

    np.testing.assert_array_equal(data["wavelength"], axis)
    assert data["wavelength"].attrs["medium"] == "air"


def test_run_without_an_axis_has_no_wavelength(store, make_run):
    key = {"source": "PV:X", "dtype": "number", "shape": []}

    data = read_run(write(store, make_run({"power": key}, [{"power": 1.0}])))

    assert "wavelength" not in data.coords


def test_arrays_without_named_axes_do_not_share_them(store, make_run):
    key = {"source": "PV:X", "dtype": "array", "shape": [2, 2]}
    keys = {"power": key, "other": key | {"shape": [2]}}
    values = [{"power": np.eye(2), "other": np.ones(2)}]

    data = read_run(write(store, make_run(keys, values)))

    assert data["power"].dims == ("time", "power_0", "power_1")
    assert data["other"].dims == ("time", "other_0")


def test_numbers_may_begin_as_integers_and_go_on_as_decimals(store, make_run):
    key = {"source": "PV:X", "dtype": "number", "shape": []}
    values = [{"power": value} for value in (0, 0.5, np.float32(0.25), None)]

    data = read_run(write(store, make_run({"power": key}, values)))

    np.testing.assert_array_equal(data["power"], [0.0, 0.5, 0.25, np.nan])


def test_stream_that_is_missing_is_named_with_those_there_are(
    store, make_run, data_keys, values
):
    run = write(store, make_run(data_keys, values))

    with pytest.raises(StorageError, match=r"'dark'.*expected one of primary"):
        read_run(run, "dark")


def test_stream_without_events_is_an_empty_data_set(store, make_run, data_keys):
    data = read_run(write(store, make_run(data_keys, [])))

    assert data.sizes == {"time": 0}


def test_run_that_was_never_closed_has_no_stop_document(
    store, make_run, data_keys, values
):
    docs = make_run(data_keys, values)[:-1]

    replayed = [name for name, _ in documents(write(store, docs, batch_size=1))]

    assert replayed == ["start", "descriptor", *["event"] * 5]


def test_event_that_was_stored_in_part_is_left_out(
    store, make_run, data_keys, values, caplog
):
    run = write(store, make_run(data_keys, values))
    frames = run["primary"].base["ccd_frame"]
    frames.patch(values[0]["ccd_frame"][np.newaxis], offset=(5,), extend=True)

    data = read_run(store[run.start["uid"]])

    assert data.sizes["time"] == 5
    assert "the first 5 are read" in caplog.text


def test_lossy_value_ends_the_run_with_its_name(store, make_run):
    key = {"source": "PV:X", "dtype": "integer", "shape": []}

    with pytest.raises(StorageError, match=r"power = 0\.5; expected an integer"):
        write(store, make_run({"power": key}, [{"power": 0.5}]))


def test_event_with_an_undeclared_key_is_refused(store, make_run):
    key = {"source": "PV:X", "dtype": "integer", "shape": []}
    docs = make_run({"power": key}, [{"power": 1}])
    docs[2][1]["data"]["extra"] = 1

    with pytest.raises(StorageError, match=r"'extra'.*expected power"):
        write(store, docs)


def test_metadata_that_tiled_would_change_is_refused(store, make_run):
    with pytest.raises(StorageError, match=r"start\.limits\[1\] = inf"):
        write(store, make_run({}, [], limits=[0.0, float("inf")]))


def test_run_that_is_there_already_is_not_written_again(store, make_run):
    docs = make_run({}, [])
    write(store, docs)

    with pytest.raises(StorageError, match=r"start document: 409"):
        write(store, docs)


def test_server_that_fails_is_a_storage_error(store, monkeypatch):
    writer = RunWriter(store)

    def fail(*_):
        message = "connection refused"
        raise httpx.ConnectError(message)

    monkeypatch.setattr(writer, "_writer", fail)

    with pytest.raises(StorageError, match="start document: connection refused"):
        writer("start", {})
