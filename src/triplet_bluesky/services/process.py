"""Start a process, know it again later, and end it: nothing else's life is touched.

A pid alone may by now belong to a stranger. A record therefore also holds a token that
stands in the environment of the process, which no setting of the clock can change, and
the time at which the process was created, for where an environment cannot be read.
"""

import contextlib
import itertools
import json
import os
import secrets
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from triplet_bluesky.errors import ServiceError
from triplet_bluesky.services.service import Service
from triplet_bluesky.settings import SERVICE_VARIABLE

__all__ = [
    "Record",
    "end",
    "exit_status",
    "find",
    "forget",
    "launch",
    "recall",
    "remember",
    "state_file",
]

CREATE_TIME_TOLERANCE_S = 0.05
"""Two reads of a creation time differ by less; the kernel counts in ticks of 10 ms."""

MAX_LOG_BYTES = 5_000_000
"""A log that has grown beyond is set aside as `.1` when its service starts anew."""

POLL_S = 0.05
"""Seconds between two looks at a process."""

KILL_WAIT_S = 5.0
"""Seconds that the kernel is given to remove a killed process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What must be known about a process that was started, to find it again."""

    name: str
    """Name of the service."""

    pid: int
    """Process id; also that of its process group and session."""

    create_time: float
    """Seconds since the epoch."""

    token: str
    """Random value in the environment of the process."""

    argv: tuple[str, ...]
    """Its command line."""

    log: str
    """Its log file."""

    log_offset: int
    """Size of the log, in bytes, when it was started."""

    grace_s: float
    """Seconds from SIGTERM to SIGKILL."""

    def dumps(self) -> str:
        """Return the record as one line of text."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> "Record":
        """Return the record that `dumps` has written."""
        values = json.loads(text)
        return cls(**values | {"argv": tuple(values["argv"])})


def state_file(name: str, state_dir: Path) -> Path:
    """Return the file that holds the record of the service of that name."""
    return state_dir / f"{name}.json"


def remember(record: Record, state_dir: Path) -> None:
    """Write the record down, at once and whole."""
    file = state_file(record.name, state_dir)
    temporary = file.with_suffix(".new")
    temporary.write_text(record.dumps(), encoding="utf-8")
    temporary.replace(file)


def recall(name: str, state_dir: Path) -> Record | None:
    """Return what is written down of a service, or None."""
    try:
        return Record.loads(state_file(name, state_dir).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def forget(records: Sequence[Record], state_dir: Path) -> None:
    """Remove what is written down of these processes, and of no later ones."""
    for record in records:
        if recall(record.name, state_dir) == record:
            state_file(record.name, state_dir).unlink(missing_ok=True)


def launch(service: Service) -> Record:
    """Start the service's program in a session of its own.

    A signal from the terminal does not reach it, it keeps no terminal, and it inherits
    no open file of the caller's.

    Parameters
    ----------
    service
        What to start.

    Returns
    -------
    Record
        What finds the process again.

    Raises
    ------
    ServiceError
        The program cannot be executed.
    """
    token = secrets.token_hex(16)
    environment = {**os.environ, **service.environment, SERVICE_VARIABLE: token}
    offset = _open_log(service.log)
    flags = os.O_WRONLY | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(service.log), flags, 0),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    try:
        pid = os.posix_spawn(
            service.argv[0],
            service.argv,
            environment,
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE),
        )
    except OSError as error:
        msg = f"got no process for {service.name}: {error}; command: {service.argv}"
        raise ServiceError(msg) from error
    return Record(
        name=service.name,
        pid=pid,
        create_time=psutil.Process(pid).create_time(),
        token=token,
        argv=service.argv,
        log=str(service.log),
        log_offset=offset,
        grace_s=service.grace_s,
    )


def find(record: Record) -> psutil.Process | None:
    """Return the recorded process while it lives, never another with its pid.

    Parameters
    ----------
    record
        What `launch` returned, perhaps in another process.

    Returns
    -------
    psutil.Process or None
        None when it has ended.
    """
    try:
        process = psutil.Process(record.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        same = _same(process, record)
    except psutil.NoSuchProcess:
        return None
    return process if same else None


EXIT_S = 2.0
"""Longest wait, in seconds, for the end of a process that has begun to exit: it loses
its environment, by which it is known, a moment before its status can be read."""


def exit_status(record: Record) -> int | None:
    """Return the exit status of an ended child, or None where it cannot be known."""
    try:
        return psutil.Process(record.pid).wait(timeout=EXIT_S)
    except psutil.Error:
        return None


def end(records: Sequence[Record]) -> list[str]:
    """End the recorded processes and what they have started, and see that it is so.

    Parameters
    ----------
    records
        Those to end; the ones that have ended already are passed over.

    Returns
    -------
    list of str
        Names of the services that still ran.

    Raises
    ------
    ServiceError
        A process outlived SIGKILL.
    """
    found = [(r, p) for r in records if (p := find(r)) is not None]
    families = [_family(p) for _, p in found]
    for _, process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    grace = max((r.grace_s for r, _ in found), default=0.0)
    _wait([p for _, p in found], grace)
    left = [p for p in itertools.chain(*families) if _alive(p)]
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    alive = _wait(left, KILL_WAIT_S)
    if alive:
        pids = ", ".join(str(p.pid) for p in alive)
        msg = f"got processes that outlived SIGKILL: {pids}; expected none; see ps"
        raise ServiceError(msg)
    return [r.name for r, _ in found]


def _wait(
    processes: Sequence[psutil.Process], timeout_s: float
) -> list[psutil.Process]:
    """Wait until all have ended; return those that live at the time's end."""
    deadline = time.monotonic() + timeout_s
    alive = [p for p in processes if _alive(p)]
    while alive and (left := deadline - time.monotonic()) > 0:
        with contextlib.suppress(psutil.TimeoutExpired):
            alive[0].wait(timeout=min(left, POLL_S))
        alive = [p for p in alive if _alive(p)]
    return alive


def _alive(process: psutil.Process) -> bool:
    """Return whether the process runs; a zombie that nobody has collected does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [process]


def _same(process: psutil.Process, record: Record) -> bool:
    try:
        environment = process.environ()
    except (psutil.AccessDenied, OSError):
        environment = {}
    if environment:
        return environment.get(SERVICE_VARIABLE) == record.token
    # It is another user's, or at this moment in its exec or its exit.
    age = abs(process.create_time() - record.create_time)
    return age < CREATE_TIME_TOLERANCE_S


def _open_log(log: Path) -> int:
    """Make the log file, for its owner alone, and return its size in bytes."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        log.replace(log.with_suffix(log.suffix + ".1"))
    os.close(os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600))
    return log.stat().st_size
