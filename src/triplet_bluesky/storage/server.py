"""The embedded Tiled server, as a program of its own.

``python -m triplet_bluesky.storage.server --data-dir DIR --frames-dir DIR --port P
--key-file FILE`` serves a catalogue of Bluesky runs from one directory: the catalogue
and the tables in two SQLite files, arrays as files. The files of frames that an IOC
writes it reads from the other one, and nothing from elsewhere. It listens on the
loopback interface alone; who wants to read or write shows the key that is in the key
file. Its line ``tiled: ready, …`` tells that it serves; SIGTERM ends it.
"""

import argparse
import logging
import logging.config
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvicorn

from triplet_bluesky.errors import ServiceError, StorageError
from triplet_bluesky.storage.key import ensure_key

__all__ = ["main"]

LOGGER = "triplet_bluesky.storage.server"
"""Name of the logger; as a program, this module has another name."""

logger = logging.getLogger(LOGGER)

HOST = "127.0.0.1"

SHUTDOWN_S = 1
"""Seconds that open requests are given at the end."""


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
        frames_dir = arguments.frames_dir.expanduser().resolve()
        key = ensure_key(arguments.key_file.expanduser())
    except (ServiceError, StorageError) as error:
        logger.error("tiled: %s", error)  # noqa: TRY400 - the message says it all
        sys.exit(1)
    _ignore_environment()
    from triplet_bluesky.storage.application import (  # noqa: PLC0415 - takes seconds
        build_application,
        prepare,
    )

    prepare(data_dir, frames_dir)
    application = build_application(data_dir, frames_dir, key)
    # Again: what has been imported since has set up logging of its own.
    logging.config.dictConfig(_logging())
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    _Server(config).run(sockets=[listener])


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m triplet_bluesky.storage.server",
        description="Serve a catalogue of Bluesky runs on the loopback interface.",
    )
    parser.add_argument("--data-dir", type=Path, required=True, help="its directory")
    parser.add_argument(
        "--frames-dir", type=Path, required=True, help="of the IOC's files of frames"
    )
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


class _Server(uvicorn.Server):
    """A server that says when it serves."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()
            logger.info("tiled: ready, on http://%s:%d/api/v1", host, port)


def _ignore_environment() -> None:
    """Drop Tiled's own variables, which would go over the configuration."""
    for name in [n for n in os.environ if n.startswith("TILED_")]:
        del os.environ[name]


def _logging() -> dict[str, Any]:
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
