"""Read runs back: as data sets with named axes and units, and as documents."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from bluesky_tiled_plugins import BlueskyRun
from numpy.typing import NDArray

from triplet_bluesky.errors import StorageError
from triplet_bluesky.storage.casting import dtype_of
from triplet_bluesky.storage.files import documents_of_files, without_files

__all__ = ["documents", "read_run"]

logger = logging.getLogger(__name__)

TABLE = "internal"
"""Part of a stored stream that holds its scalars, one row per event."""

AXIS = "spectrometer_wavelength"
"""Data key that gives the wavelength of each pixel."""

EVENT, PIXEL, WAVELENGTH = "time", "pixel", "wavelength"
"""Dimensions of events and of the detector's columns; coordinate on the latter."""


def read_run(
    run: BlueskyRun, stream: str = "primary", *, axis: str = AXIS
) -> xr.Dataset:
    """Read one stream of a run.

    Parameters
    ----------
    run
        A run of the catalogue.
    stream
        Name of the stream.
    axis
        Data key of the pixels' wavelengths: looked for among the events, then in the
        configuration, then in the first event of the baseline.

    Returns
    -------
    xarray.Dataset
        One variable per data key, as recorded; the dimension of events is ``time``, the
        others are those that the data keys declare; every variable has ``units``. The
        coordinate ``wavelength`` is along ``pixel``, or along ``time`` and ``pixel``
        when the spectrometer was moved during the run.

    Raises
    ------
    StorageError
        The run has no such stream.
    """
    columns, data_keys = _columns(run, stream)
    variables = {
        key: (_dims(key, values, data_keys[key]), values, _attrs(data_keys[key]))
        for key, values in columns.items()
        if key in data_keys
    }
    coords = {
        "time": (EVENT, columns["time"], {"units": "s", "long_name": "Unix time"}),
        "seq_num": (EVENT, columns["seq_num"], {"units": ""}),
    }
    start = _start(run)
    attrs = {"run_uid": start["uid"], "scan_id": start.get("scan_id", 0)}
    attrs |= {"plan_name": start.get("plan_name", ""), "stream": stream}
    data = xr.Dataset(variables, coords, attrs)
    return _with_wavelength(data, run, stream, axis)


def documents(run: BlueskyRun) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the documents of a run again, as callbacks had them when it was measured.

    Values have their types and shapes again. Not restored: the uids of events and of
    files, which Tiled does not keep, and the order of documents of different streams
    that carry the same time. A run that was never closed has no stop document.

    Parameters
    ----------
    run
        A run of the catalogue.

    Yields
    ------
    tuple
        Name and document.
    """
    files = documents_of_files(run)
    stored = without_files(_stored(run), files)
    descriptors = {d["uid"]: _descriptor(d) for n, d in stored if n == "descriptor"}
    given: set[str] = set()
    for name, doc in stored:
        if name in {"descriptor", "event"}:
            uid = doc["uid"] if name == "descriptor" else doc["descriptor"]
            if uid not in given:
                given.add(uid)
                yield "descriptor", descriptors[uid]
        if name == "event":
            for file in files.get(doc["descriptor"], ()):
                yield from file.documents(doc["seq_num"])
            yield name, _event(doc, descriptors[doc["descriptor"]]["data_keys"])
        elif name != "descriptor" and not (name == "stop" and not doc):
            yield name, doc


def _start(run: Any) -> dict[str, Any]:
    return dict(run.metadata["start"])


def _stored(run: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the documents as the server writes them."""
    return [(name, dict(doc)) for name, doc in run.documents()]


def _columns(
    run: Any, stream: str
) -> tuple[dict[str, NDArray[Any]], dict[str, dict[str, Any]]]:
    """Return the values of a stream by data key, and its data keys."""
    if stream not in list(run):
        msg = (
            f"got the stream {stream!r}, which run {_start(run)['uid']} does "
            f"not have; expected one of {', '.join(run) or 'none: it has no events'}"
        )
        raise StorageError(msg)
    node = run[stream]
    data_keys = dict(node.metadata["data_keys"])
    columns = {"time": np.empty(0), "seq_num": np.empty(0, dtype=np.int64)}
    for part, client in node.base.items():
        if part == TABLE:
            table = client.read()
            for key in table.columns:
                columns[key] = _column(table[key].to_numpy(), data_keys.get(key))
        else:
            columns[part] = client.read()
    return _same_length(columns, stream), data_keys


def _column(values: NDArray[Any], data_key: Mapping[str, Any] | None) -> NDArray[Any]:
    """Return one column of the table in the type that was declared."""
    if data_key is None:
        return values
    if data_key["dtype"] == "string":
        return values.astype(np.str_)
    return values.astype(dtype_of(data_key))


def _same_length(
    columns: dict[str, NDArray[Any]], stream: str
) -> dict[str, NDArray[Any]]:
    """Cut to the whole events: a writer that was killed leaves a part of its last."""
    lengths = {key: len(values) for key, values in columns.items()}
    events = min(lengths.values())
    if max(lengths.values()) > events:
        logger.warning(
            "stream %s: its last event was stored in part, the first %d are read",
            stream,
            events,
        )
    return {key: values[:events] for key, values in columns.items()}


def _dims(
    key: str, values: NDArray[Any], data_key: Mapping[str, Any]
) -> tuple[str, ...]:
    declared = data_key.get("dims") or ()
    if len(declared) != values.ndim - 1:
        declared = [f"{key}_{axis}" for axis in range(values.ndim - 1)]
    return (EVENT, *(PIXEL if dim == WAVELENGTH else dim for dim in declared))


def _attrs(data_key: Mapping[str, Any]) -> dict[str, Any]:
    return {"units": data_key.get("units") or "", "source": data_key["source"]}


def _with_wavelength(data: xr.Dataset, run: Any, stream: str, axis: str) -> xr.Dataset:
    """Add the wavelength coordinate where the run knows the axis."""
    values = _axis_values(data, run, stream, axis)
    if values is None or values.shape[-1] != data.sizes.get(PIXEL, values.shape[-1]):
        return data
    dims = (EVENT, PIXEL) if values.ndim > 1 else (PIXEL,)
    medium = _medium(run, stream, axis)
    attrs = {"units": "nm", "medium": medium, "long_name": f"wavelength in {medium}"}
    return data.assign_coords({WAVELENGTH: (dims, values, attrs)})


def _axis_values(
    data: xr.Dataset, run: Any, stream: str, axis: str
) -> NDArray[Any] | None:
    """Return the axis: once when it stood still, else once per event."""
    if axis in data:
        values = data[axis].to_numpy()
        still = len(values) > 0 and bool((values == values[0]).all())
        return values[0] if still else values
    for device in run[stream].metadata.get("configuration", {}).values():
        if axis in device["data"]:
            return np.asarray(device["data"][axis], dtype=float)
    if "baseline" in list(run) and axis in list(run["baseline"]):
        return np.asarray(run["baseline"][axis].read()[0], dtype=float)
    return None


def _medium(run: Any, stream: str, axis: str) -> str:
    """Return the medium that the axis' device states, else the run, else vacuum."""
    key = f"{axis.removesuffix('_wavelength')}_medium"
    for device in run[stream].metadata.get("configuration", {}).values():
        if key in device["data"]:
            return str(device["data"][key])
    return str(_start(run).get("wavelength_medium", "vacuum"))


def _descriptor(doc: dict[str, Any]) -> dict[str, Any]:
    """Give configured numbers back what JSON does not have: NaN, and arrays."""
    configuration = {}
    for name, device in doc.get("configuration", {}).items():
        keys = device["data_keys"]
        data = {k: _restored(v, keys.get(k)) for k, v in device["data"].items()}
        configuration[name] = {**device, "data": data}
    return {**doc, "configuration": configuration}


def _event(doc: dict[str, Any], data_keys: Mapping[str, Any]) -> dict[str, Any]:
    data = {k: _restored(v, data_keys.get(k)) for k, v in doc["data"].items()}
    return {**doc, "data": data, "filled": {}}


def _restored(value: Any, data_key: Mapping[str, Any] | None) -> Any:
    """Return a value of JSON in the type that its data key declares."""
    if data_key is None or "external" in data_key:
        return value
    match data_key["dtype"]:
        case "array":
            return np.asarray(value, dtype=dtype_of(data_key))
        case "number":
            return np.nan if value is None else float(value)
        case "boolean":
            return bool(value)
        case _:
            return value
