"""A Tiled server inside the test process: no socket, no second process."""

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from event_model import compose_run

PIXELS = 1024


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> Iterator:
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
        prepare(directory)
        application = build_application(directory, "secret")
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
