"""The RunEngine's subscriber that stores every run in Tiled while it is measured."""

import copy
import warnings
from typing import Any

import httpx
from bluesky_tiled_plugins import CatalogOfBlueskyRuns
from bluesky_tiled_plugins.writing.tiled_writer import (
    RunNormalizer,
    _RunWriter,  # pyright: ignore[reportPrivateUsage] - what TiledWriter is made of
)
from event_model import Event, EventDescriptor, RunRouter, RunStart, StreamDatum

from triplet_bluesky.errors import StorageError
from triplet_bluesky.storage.casting import (
    cast_value,
    check_data_keys,
    check_metadata,
)

__all__ = ["CastingNormalizer", "FramesWithEvents", "RunWriter"]

EVERY_ARRAY_AS_FILE = 0
"""``max_array_size`` above which arrays leave the tables; SQLite cannot hold them."""


class CastingNormalizer(RunNormalizer):
    """Casts what a run records to what it has declared, or refuses it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._data_keys: dict[str, dict[str, Any]] = {}

    def start(self, doc: RunStart) -> None:
        """Check the metadata of the run."""
        check_metadata(doc, "start")
        super().start(doc)

    def descriptor(self, doc: EventDescriptor) -> None:
        """Check the data keys of a stream and keep them for its events."""
        check_data_keys(doc["data_keys"])
        for name, device in doc.get("configuration", {}).items():
            check_metadata(device.get("data", {}), f"configuration of {name}")
        self._data_keys[doc["uid"]] = copy.deepcopy(dict(doc["data_keys"]))
        super().descriptor(doc)

    def event(self, doc: Event) -> None:
        """Cast the values of one event."""
        data_keys = self._data_keys[doc["descriptor"]]
        data = dict(doc["data"])
        for key, value in doc["data"].items():
            if key not in data_keys:
                msg = (
                    f"got {key!r} in an event, which its descriptor does not declare; "
                    f"expected {', '.join(sorted(data_keys))}"
                )
                raise StorageError(msg)
            if "external" not in data_keys[key]:
                data[key] = cast_value(key, value, data_keys[key])
        cast = doc.copy()
        cast["data"] = data
        cast["timestamps"] = {k: float(time) for k, time in doc["timestamps"].items()}
        cast["time"] = float(doc["time"])
        super().event(cast)


class FramesWithEvents(_RunWriter):
    """Registers files of frames as soon as the events that they belong to are sent.

    TiledWriter registers a file that holds a single point only when the run is closed:
    of a session that is killed, all of them were lost. The first file is registered at
    once, to know that the server takes it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._begun: set[tuple[str, str]] = set()

    def stream_datum(self, doc: StreamDatum) -> None:
        """Take the place of a file in the run."""
        data_key = self._stream_resource_cache[doc["stream_resource"]]["data_key"]
        column = (doc["descriptor"], data_key)
        if column in self._begun:
            super().stream_datum(doc)
        else:
            self._begun.add(column)
            self._write_external_data(doc)

    def event(self, doc: Event) -> None:
        """Take an event; when its batch is sent, register the files of the batch."""
        super().event(doc)
        stream = self._desc_nodes[doc["descriptor"]].item["id"]
        if self._internal_data_cache[stream]:
            return
        datums = self._external_data_cache
        of_stream = [
            resource
            for resource, datum in datums.items()
            if self._desc_nodes[datum["descriptor"]].item["id"] == stream
        ]
        try:
            for resource in of_stream:
                self._write_external_data(datums.pop(resource))
        except Exception:
            # Those after one that is missing would take its place.
            datums.clear()
            raise


class RunWriter:
    """Stores runs in a Tiled catalogue; subscribe it to a RunEngine.

    It writes in the RunEngine's thread and raises when it cannot, which ends the run:
    nothing is measured that is not stored.

    Parameters
    ----------
    catalog
        Where runs go, from `triplet_bluesky.storage.catalog`.
    batch_size
        Events that are gathered before they are sent. With 1 each event can be read as
        soon as it is measured, but costs several requests in the RunEngine's thread;
        of a larger batch, the events not yet sent are lost when this process is killed.
        Closing the run sends the rest.
    """

    def __init__(self, catalog: CatalogOfBlueskyRuns, *, batch_size: int = 10) -> None:
        client = catalog.include_data_sources()

        def store(*_: Any) -> tuple[list[CastingNormalizer], list[Any]]:
            """Make what stores one run."""
            normalizer = CastingNormalizer()
            normalizer.subscribe(
                FramesWithEvents(
                    client,
                    batch_size=batch_size,
                    max_array_size=EVERY_ARRAY_AS_FILE,
                )
            )
            return [normalizer], []

        self._writer = RunRouter([store])

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Store one document.

        Parameters
        ----------
        name
            Kind of the document.
        doc
            The document.

        Raises
        ------
        StorageError
            The document cannot be stored without loss, or Tiled did not take it.
        """
        try:
            if name == "start":
                self._start(doc)
            else:
                self._writer(name, doc)
        except httpx.HTTPError as error:
            msg = (
                f"got no storage of a {name} document: {error or type(error).__name__};"
                " expected Tiled to take it; look at the server (triplet status) and "
                "its log; what was stored before is kept"
            )
            raise StorageError(msg) from error

    def _start(self, doc: dict[str, Any]) -> None:
        """Begin a run, without the guess that event-model makes when that fails."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The callback", UserWarning)
            self._writer("start", doc)
