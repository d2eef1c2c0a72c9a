"""The documents of external files, one file for each event, from what Tiled keeps.

Tiled's own export has one document for all files of a stream and guesses their names.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["FilesOfEvents", "documents_of_files", "without_files"]

Document = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesOfEvents:
    """The files of one data key, the first of the first event, and so on."""

    run: str
    """Uid of the run."""
    descriptor: str
    """Uid of the descriptor of the stream."""
    data_key: str
    mimetype: str
    parameters: Mapping[str, Any]
    uris: tuple[str, ...]

    def documents(self, seq_num: int) -> Iterator[Document]:
        """Give the documents of the file of one event.

        Parameters
        ----------
        seq_num
            Of the event; the first is 1.

        Yields
        ------
        :
            Name and document; none where the event has no file.
        """
        if not 0 < seq_num <= len(self.uris):
            return
        uid = f"{self.descriptor}-{self.data_key}-{seq_num}"
        yield (
            "stream_resource",
            {
                "uid": f"sr-{uid}",
                "run_start": self.run,
                "data_key": self.data_key,
                "mimetype": self.mimetype,
                "uri": self.uris[seq_num - 1],
                "parameters": dict(self.parameters),
            },
        )
        yield (
            "stream_datum",
            {
                "uid": f"sd-{uid}",
                "stream_resource": f"sr-{uid}",
                "descriptor": self.descriptor,
                "indices": {"start": 0, "stop": 1},
                "seq_nums": {"start": seq_num, "stop": seq_num + 1},
            },
        )


def documents_of_files(run: Any) -> dict[str, list[FilesOfEvents]]:
    """Find the files of a run of which each holds one event.

    Parameters
    ----------
    run
        A run of the catalogue.

    Returns
    -------
    dict
        By the uid of the descriptor. Where one file holds several events, it is left
        out.
    """
    found: dict[str, list[FilesOfEvents]] = {}
    for stream in run:
        metadata = run[stream].metadata
        external = [k for k, v in metadata["data_keys"].items() if "external" in v]
        parts = run[stream].base if external else {}
        for key in external:
            if key not in parts:
                continue
            (source,) = parts[key].data_sources()
            assets = sorted(source.assets, key=lambda asset: asset.num or 0)
            if len(assets) != parts[key].shape[0]:
                continue
            files = FilesOfEvents(
                run=run.metadata["start"]["uid"],
                descriptor=metadata["uid"],
                data_key=key,
                mimetype=source.mimetype,
                parameters=source.parameters,
                uris=tuple(asset.data_uri for asset in assets),
            )
            found.setdefault(files.descriptor, []).append(files)
    return found


def without_files(
    exported: Iterable[Document], files: Mapping[str, list[FilesOfEvents]]
) -> list[Document]:
    """Leave out what Tiled exports of files that are known better.

    Parameters
    ----------
    exported
        Documents of a run, as Tiled gives them.
    files
        From `documents_of_files`.

    Returns
    -------
    list
        The documents without the resources and datums of these files.
    """
    exported = list(exported)
    known = {(f.descriptor, f.data_key) for each in files.values() for f in each}
    keys = {d["uid"]: d["data_key"] for n, d in exported if n == "stream_resource"}
    replaced = {
        doc["stream_resource"]
        for name, doc in exported
        if name == "stream_datum"
        and (doc["descriptor"], keys[doc["stream_resource"]]) in known
    }
    return [
        (name, doc)
        for name, doc in exported
        if not (name == "stream_resource" and doc["uid"] in replaced)
        and not (name == "stream_datum" and doc["stream_resource"] in replaced)
    ]
