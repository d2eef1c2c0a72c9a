"""The ASGI application of the embedded Tiled server, and the directory it serves."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import create_async_engine
from tiled.alembic_utils import stamp_head
from tiled.catalog.alembic_constants import ALEMBIC_DIR, ALEMBIC_INI_TEMPLATE_PATH
from tiled.catalog.core import initialize_database
from tiled.server.app import build_app_from_config

from triplet_bluesky.settings import CONTAINER
from triplet_bluesky.storage.confinement import confine

__all__ = ["WithoutZarr", "build_application", "configuration", "prepare"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class WithoutZarr:
    """An ASGI application that answers 404 under ``/zarr``.

    Tiled serves runs there to anybody, without the key, and has no switch for it.

    Parameters
    ----------
    application
        The application that answers everything else.
    """

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        refused = _is_zarr(scope.get("path", "")) and scope["type"] != "lifespan"
        if not refused:
            await self.application(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = [(b"content-type", b"text/plain")]
            await send(
                {"type": "http.response.start", "status": 404, "headers": headers}
            )
            await send({"type": "http.response.body", "body": b"Not Found"})


def configuration(data_dir: Path, frames_dir: Path, key: str) -> dict[str, Any]:
    """Return the Tiled configuration of the bench.

    Parameters
    ----------
    data_dir
        Directory of the catalogue, the tables and the arrays; absolute.
    frames_dir
        Directory of the files that the IOC writes, which are only read; absolute.
    key
        The API key.

    Returns
    -------
    dict
        What Tiled otherwise reads from its configuration file.
    """
    return {
        "authentication": {"single_user_api_key": key, "allow_anonymous_access": False},
        "streaming_cache": {"uri": "memory"},
        "expose_raw_assets": False,
        "metrics": {"prometheus": False},
        "trees": [
            {
                "path": f"/{CONTAINER}",
                "tree": "catalog",
                "args": {
                    "uri": f"sqlite:///{_catalogue(data_dir)}",
                    "writable_storage": [
                        f"file://localhost{data_dir / 'arrays'}",
                        f"sqlite:///{data_dir / 'tables.db'}",
                    ],
                    "readable_storage": [f"file://localhost{frames_dir}"],
                    "specs": [{"name": "CatalogOfBlueskyRuns", "version": "3.0"}],
                },
            }
        ],
        "media_types": {
            "BlueskyRun": {
                "application/json-seq": (
                    "bluesky_tiled_plugins.exporters:json_seq_exporter"
                )
            }
        },
    }


def prepare(data_dir: Path, frames_dir: Path) -> None:
    """Make the directories and an empty catalogue where there is none.

    Parameters
    ----------
    data_dir
        Directory of the catalogue, the tables and the arrays; absolute.
    frames_dir
        Directory of the files that the IOC writes; absolute.
    """
    for directory in (data_dir / "arrays", frames_dir):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if _catalogue(data_dir).exists():
        return  # Its version is for Tiled to check.
    # Under another name until it is whole: half a catalogue cannot be used or mended.
    for rest in data_dir.glob("catalogue.new*"):
        rest.unlink()
    new = data_dir / "catalogue.new"
    # Tiled does this in a child process, which takes as long again as its own start.
    uri = f"sqlite+aiosqlite:///{new}"

    async def create_tables() -> None:
        engine = create_async_engine(uri)
        try:
            await initialize_database(engine)
        finally:
            await engine.dispose()

    asyncio.run(create_tables())
    stamp_head(Path(ALEMBIC_INI_TEMPLATE_PATH), Path(ALEMBIC_DIR), uri)
    new.replace(_catalogue(data_dir))


def build_application(data_dir: Path, frames_dir: Path, key: str) -> WithoutZarr:
    """Return the server's ASGI application over prepared directories.

    Parameters
    ----------
    data_dir
        Directory of the catalogue, the tables and the arrays; absolute.
    frames_dir
        Directory of the files that the IOC writes; absolute.
    key
        The API key.

    Returns
    -------
    WithoutZarr
        What an ASGI server, or a test without a socket, runs.
    """
    confine()
    return WithoutZarr(build_app_from_config(configuration(data_dir, frames_dir, key)))


def _catalogue(data_dir: Path) -> Path:
    return data_dir / "catalogue.db"


def _is_zarr(path: str) -> bool:
    return path == "/zarr" or path.startswith("/zarr/")
