"""The embedded Tiled server, as a program of its own.

``python -m triplet_bluesky.storage.server --data-dir DIR --port P --key-file FILE``
serves a catalogue of Bluesky runs from one directory: the catalogue and the tables in
two SQLite files, arrays as files. It listens on the loopback interface alone; who
wants to read or write shows the key that is in the key file. Its line
``tiled: ready, …`` tells that it serves; SIGTERM ends it.
"""

import argparse
import asyncio
import logging
import logging.config
import os
import socket
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from triplet_bluesky.errors import ServiceError, StorageError
from triplet_bluesky.storage.key import ensure_key

__all__ = ["WithoutZarr", "build_application", "configuration", "main", "prepare"]

LOGGER = "triplet_bluesky.storage.server"
"""Name of the logger; as a program, this module has another name."""

logger = logging.getLogger(LOGGER)

HOST = "127.0.0.1"

SHUTDOWN_S = 1
"""Seconds that open requests are given at the end."""

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


def configuration(data_dir: Path, key: str) -> dict[str, Any]:
    """Return the Tiled configuration of the bench.

    Parameters
    ----------
    data_dir
        Directory of the catalogue, the tables and the arrays; absolute.
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
                "path": "/",
                "tree": "catalog",
                "args": {
                    "uri": f"sqlite:///{_catalogue(data_dir)}",
                    "writable_storage": [
                        f"file://localhost{data_dir / 'arrays'}",
                        f"sqlite:///{data_dir / 'tables.db'}",
                    ],
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


def prepare(data_dir: Path) -> None:
    """Make the directory and, in it, an empty catalogue where there is none.

    Parameters
    ----------
    data_dir
        Directory of the catalogue, the tables and the arrays; absolute.
    """
    (data_dir / "arrays").mkdir(parents=True, exist_ok=True, mode=0o700)
    if _initialised(_catalogue(data_dir)):
        return
    # Tiled does this in a child process, which takes as long again as its own start.
    from sqlalchemy.ext.asyncio import create_async_engine
    from tiled.alembic_utils import stamp_head
    from tiled.catalog.alembic_constants import ALEMBIC_DIR, ALEMBIC_INI_TEMPLATE_PATH
    from tiled.catalog.core import initialize_database

    uri = f"sqlite+aiosqlite:///{_catalogue(data_dir)}"

    async def create_tables() -> None:
        engine = create_async_engine(uri)
        try:
            await initialize_database(engine)
        finally:
            await engine.dispose()

    asyncio.run(create_tables())
    stamp_head(ALEMBIC_INI_TEMPLATE_PATH, ALEMBIC_DIR, uri)


def build_application(data_dir: Path, key: str) -> WithoutZarr:
    """Return the server's ASGI application over a prepared directory.

    Parameters
    ----------
    data_dir
        Directory of the catalogue, the tables and the arrays; absolute.
    key
        The API key.

    Returns
    -------
    WithoutZarr
        What an ASGI server, or a test without a socket, runs.
    """
    from tiled.server.app import build_app_from_config

    _ignore_environment()
    return WithoutZarr(build_app_from_config(configuration(data_dir, key)))


def main(argv: Sequence[str] | None = None) -> None:
    """Run the server until it is told to end.

    Parameters
    ----------
    argv
        Command-line arguments; by default those of the process.
    """
    arguments = _parse(argv)
    os.umask(0o077)
    logging.config.dictConfig(_logging())
    try:
        # First of all, so that a taken port is known at once.
        listener = _bind(arguments.port)
        data_dir = arguments.data_dir.expanduser().resolve()
        key = ensure_key(arguments.key_file.expanduser())
    except (ServiceError, StorageError) as error:
        logger.error("tiled: %s", error)  # noqa: TRY400 - the message says it all
        sys.exit(1)
    prepare(data_dir)
    application = build_application(data_dir, key)
    # Again: what has been imported since has set up logging of its own.
    logging.config.dictConfig(_logging())
    _serve(application, listener)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m triplet_bluesky.storage.server",
        description="Serve a catalogue of Bluesky runs on the loopback interface.",
    )
    parser.add_argument("--data-dir", type=Path, required=True, help="its directory")
    parser.add_argument("--port", type=int, required=True, help="TCP port; 0: any free")
    parser.add_argument(
        "--key-file", type=Path, required=True, help="API key, made where there is none"
    )
    return parser.parse_args(argv)


def _bind(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listener.close()
        msg = (
            f"got port {port}, which cannot be used ({error}); expected a free one; "
            "stop what uses it or give another one (tiled_port)"
        )
        raise ServiceError(msg) from error
    return listener


def _serve(application: WithoutZarr, listener: socket.socket) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                host, port = listener.getsockname()
                logger.info("tiled: ready, on http://%s:%d/api/v1", host, port)

    config = uvicorn.Config(
        application,  # pyright: ignore[reportArgumentType] - its types are stricter
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    Server(config).run(sockets=[listener])


def _catalogue(data_dir: Path) -> Path:
    return data_dir / "catalogue.db"


def _initialised(catalogue: Path) -> bool:
    """Return whether the file holds a catalogue; its version is for Tiled to check."""
    if not catalogue.is_file():
        return False
    connection = sqlite3.connect(catalogue)
    try:
        query = "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
        return connection.execute(query).fetchone() is not None
    finally:
        connection.close()


def _ignore_environment() -> None:
    """Drop Tiled's own variables, which would go over the configuration."""
    for name in [n for n in os.environ if n.startswith("TILED_")]:
        del os.environ[name]


def _is_zarr(path: str) -> bool:
    return path == "/zarr" or path.startswith("/zarr/")


def _logging() -> Mapping[str, Any]:
    """Return the logging configuration: our lines plain, others' warnings with time."""
    plain = {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}
    dated = plain | {"formatter": "dated"}
    quiet = {"handlers": ["dated"], "level": "WARNING", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "dated": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}
        },
        "handlers": {"plain": plain, "dated": dated},
        "loggers": {
            LOGGER: {"handlers": ["plain"], "level": "INFO", "propagate": False},
            "tiled": quiet,
            "tiled.server.app": {"level": "WARNING", "handlers": []},
            "uvicorn": quiet,
        },
        "root": {"handlers": ["dated"], "level": "WARNING"},
    }


if __name__ == "__main__":
    main()
