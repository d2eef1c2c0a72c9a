"""Have a guard process for services that must not outlive their caller."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import psutil

from triplet_bluesky.services.process import Record

__all__ = ["guarded"]

WAIT_S = 15.0
"""Seconds in which the guard has ended everything: grace, force, and a margin."""


@contextlib.contextmanager
def guarded(state_dir: Path) -> Generator[Callable[[Record], None]]:
    """Have a guard process for the duration of a block.

    Parameters
    ----------
    state_dir
        Where the state files of the guarded services are.

    Yields
    ------
    callable
        Puts a started process under guard.
    """
    reading, writing = os.pipe()
    argv = [sys.executable, "-m", "triplet_bluesky.services.guard", str(state_dir)]
    try:
        pid = os.posix_spawn(
            sys.executable,
            argv,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, reading, 0)],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
        )
    except OSError:
        os.close(writing)
        raise
    finally:
        os.close(reading)

    def watch(record: Record) -> None:
        os.write(writing, record.dumps().encode() + b"\n")

    try:
        yield watch
    finally:
        os.close(writing)
        with contextlib.suppress(psutil.Error):
            psutil.Process(pid).wait(timeout=WAIT_S)
