"""Clients of the store: Tiled's own, and databroker's over the same catalogue."""

import functools
from http import HTTPStatus
from typing import Any

import httpx
from bluesky_tiled_plugins import BlueskyEventStream, BlueskyRun, CatalogOfBlueskyRuns
from databroker.v1 import Broker
from tiled.client import from_uri
from tiled.client.container import DEFAULT_STRUCTURE_CLIENT_DISPATCH
from tiled.utils import OneShotCachedMap

from triplet_bluesky.errors import StorageError
from triplet_bluesky.settings import CONTAINER

__all__ = ["broker", "catalog"]

ANSWER_S = 5.0
"""Longest wait, in seconds, for the first answer of a server on this machine."""


def catalog(uri: str, key: str) -> CatalogOfBlueskyRuns:
    """Connect to the store with Tiled's client.

    Parameters
    ----------
    uri
        Address of the server's API, without the key.
    key
        API key, from `triplet_bluesky.storage.read_key`; sent in a header.

    Returns
    -------
    CatalogOfBlueskyRuns
        Runs by uid (`catalog[uid]`), by age (`catalog[-1]`) or by scan id.

    Raises
    ------
    StorageError
        No Tiled server answers, or it refuses the key.
    """
    _check_answers(uri, key)
    root: Any = from_uri(
        uri,
        _own_classes(),  # pyright: ignore[reportArgumentType] - wants a str by default
        api_key=key,
        show_progress=False,
        trust_env=False,
    )
    client = root[CONTAINER]
    if not isinstance(client, CatalogOfBlueskyRuns):
        msg = f"got a {type(client).__name__} at {uri}; expected a catalogue of runs"
        raise StorageError(msg)
    return client


def broker(uri: str, key: str) -> Broker:
    """Connect to the store with databroker's classic interface.

    It has a client of its own, because it changes the one that it is given.

    Parameters
    ----------
    uri
        Address of the server's API, without the key.
    key
        API key.

    Returns
    -------
    databroker.v1.Broker
        Headers by uid or age; ``header.table()`` and the like.

    Raises
    ------
    StorageError
        As `catalog`.
    """
    return Broker(catalog(uri, key))


def _own_classes() -> OneShotCachedMap[str, type]:
    """Return the classes that stand for stored nodes, for one client alone.

    All clients share one such table otherwise, and databroker enters an older class of
    runs there, for every client of the process.
    """
    shared = DEFAULT_STRUCTURE_CLIENT_DISPATCH["numpy"]
    own = {name: functools.partial(shared.__getitem__, name) for name in shared}
    classes = (CatalogOfBlueskyRuns, BlueskyRun, BlueskyEventStream)
    bluesky = {c.__name__: functools.partial(_itself, c) for c in classes}
    return OneShotCachedMap(own | bluesky)


def _itself(cls: type) -> type:
    return cls


def _check_answers(uri: str, key: str) -> None:
    """Ask once: Tiled's client would retry for most of a minute."""
    headers = {"Authorization": f"Apikey {key}"}
    try:
        with httpx.Client(trust_env=False, timeout=ANSWER_S) as http:
            answer = http.get(f"{uri.rstrip('/')}/metadata/", headers=headers)
    except httpx.HTTPError as error:
        msg = (
            f"got no answer from {uri}: {error}; expected a Tiled server; start it "
            "(triplet up) or correct tiled_port"
        )
        raise StorageError(msg) from error
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        msg = (
            f"got a refusal of the key from {uri}; expected the key of this server, "
            "which is in its data directory (tiled/api-key)"
        )
        raise StorageError(msg)
