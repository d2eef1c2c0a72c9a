"""A Tiled server inside the test process: no socket, no second process."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from event_model import compose_run, compose_stream_resource

PIXELS = 1024
FRAMES, ROWS, COLUMNS = 2, 4, 8
DATASET = "/entry/data/data"

IMAGES = {
    "source": "PV:TRIPLET:CCD:HDF1:FullFileName_RBV",
    "dtype": "array",
    "dtype_numpy": "<u2",
    "shape": [FRAMES, ROWS, COLUMNS],
    "dims": ["frame", "row", "pixel"],
    "units": "ADU",
    "external": "STREAM:",
}
LEVEL = {"source": "PV:X", "dtype": "number", "shape": [], "units": "%"}


@pytest.fixture(scope="session")
def frames_dir(tmp_path_factory) -> Path:
    """The folder of the IOC's files, which the server reads."""
    return tmp_path_factory.mktemp("frames")


@pytest.fixture(scope="session")
def store(tmp_path_factory, frames_dir) -> Iterator:
    """Client of an empty catalogue; the server's classes with their defects aside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations among the server's libraries
        from tiled.client import from_context
        from tiled.client.context import Context

        from triplet_bluesky.settings import CONTAINER
        from triplet_bluesky.storage.application import (
            build_application,
            prepare,
        )

        directory = tmp_path_factory.mktemp("tiled")
        prepare(directory, frames_dir)
        application = build_application(directory, frames_dir, "secret")
        with Context.from_app(application, api_key="secret") as context:
            yield from_context(context)[CONTAINER]


@pytest.fixture
def data_keys() -> dict:
    """What a PLE point declares, as the devices describe it."""
    return {
        "ccd_frame": {
            "source": "PV:TRIPLET:CCD:image1:ArrayData",
            "dtype": "array",
            "dtype_numpy": "<i4",
            "shape": [3, PIXELS],
            "dims": ["subexposure", "pixel"],
            "units": "ADU",
        },
        "spectrometer_wavelength": {
            "source": "PV:TRIPLET:SPEC:Calibration",
            "dtype": "array",
            "dtype_numpy": "<f8",
            "shape": [PIXELS],
            "dims": ["pixel"],
            "units": "nm",
        },
        "power": {
            "source": "PV:TRIPLET:POWER",
            "dtype": "number",
            "shape": [],
            "units": "uW",
        },
        "saturated": {"source": "PV:S", "dtype": "integer", "shape": []},
        "valid": {"source": "PV:V", "dtype": "boolean", "shape": []},
        "comment": {"source": "PV:C", "dtype": "string", "shape": []},
    }


@pytest.fixture
def values() -> list[dict]:
    """Five points of that run, with the awkward values that occur."""
    rng = np.random.default_rng(20261122)
    axis = np.linspace(509.8, 552.2, PIXELS)
    return [
        {
            "ccd_frame": rng.integers(0, 65536, (3, PIXELS), dtype=np.int32),
            "spectrometer_wavelength": axis,
            "power": power,
            "saturated": index,
            "valid": index != 2,
            "comment": comment,
        }
        for index, (power, comment) in enumerate(
            zip(
                [0.0, 0.5, float("nan"), 1e-300, float("inf")],
                ["", "a", "°", "1", "b"],
                strict=True,
            )
        )
    ]


@pytest.fixture
def make_run():
    """Compose the documents of a run from its data keys and values."""

    def make(data_keys, values, *, stream="primary", configuration=None, **metadata):
        run = compose_run(metadata=metadata)
        stream = run.compose_descriptor(
            name=stream,
            data_keys=data_keys,
            configuration=configuration,
            object_keys={"bench": list(data_keys)},
            hints={"bench": {"fields": ["power"]}},
        )
        documents = [("start", run.start_doc), ("descriptor", stream.descriptor_doc)]
        for data in values:
            timestamps = dict.fromkeys(data, 1.5)
            event = stream.compose_event(data=data, timestamps=timestamps)
            documents.append(("event", event))
        return [*documents, ("stop", run.compose_stop())]

    return make


@pytest.fixture
def make_file(frames_dir, tmp_path_factory):
    """Write frames as NDFileHDF5 does; gives the file and its frames."""
    rng = np.random.default_rng(20261122)
    folder = tmp_path_factory.mktemp("point", numbered=True).name

    def make(number, directory=frames_dir / folder):
        directory.mkdir(exist_ok=True)
        file = directory / f"193015_1f3a9c2b_{number:04d}.h5"
        frames = rng.integers(0, 65536, (FRAMES, ROWS, COLUMNS), dtype=np.uint16)
        with h5py.File(file, "w") as target:
            target.create_dataset(DATASET, data=frames, chunks=(1, ROWS, COLUMNS))
        return file, frames

    return make


@pytest.fixture
def compose_files():
    """Compose the documents of a run, with a file for each event of its streams."""
    return _compose


def _compose(streams):
    run = compose_run()
    docs = [("start", run.start_doc)]
    for name, files in streams.items():
        keys = {"ccd_images": IMAGES, "level": LEVEL}
        stream = run.compose_descriptor(
            name=name,
            data_keys=keys,
            object_keys={"ccd_images": ["ccd_images"], "laser": ["level"]},
        )
        docs.append(("descriptor", stream.descriptor_doc))
        for number, file in enumerate(files, start=1):
            bundle = compose_stream_resource(
                mimetype="application/x-hdf5",
                uri=f"file://localhost{file}",
                data_key="ccd_images",
                parameters={"dataset": DATASET, "chunk_shape": (1, 1), "swmr": False},
                start=run.start_doc,
            )
            datum = bundle.compose_stream_datum(
                indices={"start": 0, "stop": 1},
                seq_nums={"start": number, "stop": number + 1},
                descriptor=stream.descriptor_doc,
            )
            docs += [
                ("stream_resource", bundle.stream_resource_doc),
                ("stream_datum", datum),
                (
                    "event",
                    stream.compose_event(
                        data={"level": float(number)}, timestamps={"level": 1.5}
                    ),
                ),
            ]
    return [*docs, ("stop", run.compose_stop())]
