"""Start, stop and look after background services, for `up`, `down` and the demo.

Which process belongs to which service is written to one file per service in the state
directory, under a lock, before the service is waited for: whatever happens to the
caller, `down` finds what was started.
"""

import contextlib
import fcntl
import signal
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from triplet_bluesky.errors import ServiceError
from triplet_bluesky.services.guarded import guarded
from triplet_bluesky.services.process import (
    POLL_S,
    Record,
    end,
    exit_status,
    find,
    forget,
    launch,
    recall,
    remember,
)
from triplet_bluesky.services.service import Service, log_tail

__all__ = ["Report", "down", "running", "status", "up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is known of one service."""

    name: str
    """Name of the service."""

    state: str
    """`running` (answers), `starting` (lives, no answer), `died` or `stopped`."""

    pid: int | None = None
    """Process id while it lives."""

    since: float | None = None
    """Start of the process, in seconds since the epoch, while it lives."""

    log: Path | None = None
    """Its log file."""

    address: str = ""
    """Where clients reach it."""

    started: bool = False
    """Whether the call that returned this report started it."""


def up(
    services: Sequence[Service],
    state_dir: Path,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Report]:
    """Start the services that do not run, all at once, and wait until each is ready.

    Parameters
    ----------
    services
        Those that shall run.
    state_dir
        Where their state files are.
    progress
        Told the name of each started service when it is ready.

    Returns
    -------
    list of Report
        One per service; ``started`` is false for those that ran before.

    Raises
    ------
    ServiceError
        A service ended or did not get ready in time. Those that this call had started
        are ended; those that ran before are left.
    """
    with _starting(services, state_dir, progress, lambda _: None) as started:
        return _reports(services, state_dir, started)


def down(state_dir: Path) -> list[str]:
    """End every service that the state directory knows.

    Parameters
    ----------
    state_dir
        Where the state files are.

    Returns
    -------
    list of str
        Names of the services that ran and have now ended.

    Raises
    ------
    ServiceError
        A process could not be ended.
    """
    with _locked(state_dir):
        files = sorted(state_dir.glob("*.json"))
        records = [r for f in files if (r := recall(f.stem, state_dir)) is not None]
        ended = end(records)
        forget(records, state_dir)
    return ended


def status(services: Sequence[Service], state_dir: Path) -> list[Report]:
    """Look at the services without touching them.

    Parameters
    ----------
    services
        Those to look at.
    state_dir
        Where their state files are.

    Returns
    -------
    list of Report
        One per service.
    """
    return _reports(services, state_dir, ())


@contextlib.contextmanager
def running(
    services: Sequence[Service],
    state_dir: Path,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> Generator[list[Report]]:
    """Run the services for the duration of a block, whichever way it is left.

    A guard process sees to it that they end even when this process is killed. Services
    that ran before are neither started nor stopped.

    Parameters
    ----------
    services
        Those that shall run.
    state_dir
        Where their state files are.
    progress
        Told the name of each started service when it is ready.

    Yields
    ------
    list of Report
        One per service.

    Raises
    ------
    ServiceError
        As `up`.
    """
    with (
        guarded(state_dir) as watch,
        _starting(services, state_dir, progress, watch) as started,
    ):
        try:
            yield _reports(services, state_dir, started)
        finally:
            end(started)
            forget(started, state_dir)


@contextlib.contextmanager
def _starting(
    services: Sequence[Service],
    state_dir: Path,
    progress: Callable[[str], None],
    launched: Callable[[Record], None],
) -> Generator[list[Record]]:
    """Start what does not run; end it again if any of it, or the block, fails."""
    started: list[Record] = []
    try:
        with _locked(state_dir):
            for service in services:
                if _living(service.name, state_dir) is None:
                    with _uninterrupted():
                        record = launch(service)
                        started.append(record)
                        remember(record, state_dir)
                        launched(record)
        _wait_ready(services, started, progress)
        yield started
    except BaseException:
        end(started)
        forget(started, state_dir)
        raise


def _wait_ready(
    services: Sequence[Service],
    started: Sequence[Record],
    progress: Callable[[str], None],
) -> None:
    """Wait until all started services answer, or one fails to."""
    began = time.monotonic()
    by_name = {s.name: s for s in services}
    pending = list(started)
    ended: dict[int, int | None] = {}
    while pending:
        for record in tuple(pending):
            service = by_name[record.name]
            ready = service.ready(service.log, record.log_offset)
            if find(record) is None:
                code = ended.get(record.pid, exit_status(record))
                raise ServiceError(_ended(service, record, code))
            if ready:
                pending.remove(record)
                progress(service.name)
            elif time.monotonic() - began > service.deadline_s:
                raise ServiceError(_late(service, record))
        if pending:
            pid = pending[0].pid
            with contextlib.suppress(psutil.TimeoutExpired, psutil.NoSuchProcess):
                ended[pid] = psutil.Process(pid).wait(timeout=POLL_S)


def _ended(service: Service, record: Record, code: int | None) -> str:
    return (
        f"got no {service.name} service: it ended in its start with status "
        f"{code}; its log {service.log} ends with\n"
        f"{log_tail(service.log, record.log_offset)}"
    )


def _late(service: Service, record: Record) -> str:
    return (
        f"got no answer from the {service.name} service, expected one within "
        f"{service.deadline_s:g} s ({service.ready}); its log {service.log} ends with\n"
        f"{log_tail(service.log, record.log_offset)}"
    )


def _reports(
    services: Sequence[Service], state_dir: Path, started: Sequence[Record]
) -> list[Report]:
    fresh = {r.name for r in started}
    return [_report(s, state_dir, started=s.name in fresh) for s in services]


def _report(service: Service, state_dir: Path, *, started: bool) -> Report:
    record = recall(service.name, state_dir)
    process = None if record is None else find(record)
    if record is None:
        state = "stopped"
    elif process is None:
        state = "died"
    elif service.ready(service.log, record.log_offset):
        state = "running"
    else:
        state = "starting"
    return Report(
        name=service.name,
        state=state,
        pid=None if process is None else process.pid,
        since=None if process is None else process.create_time(),
        log=service.log,
        address=service.address,
        started=started,
    )


def _living(name: str, state_dir: Path) -> Record | None:
    record = recall(name, state_dir)
    return None if record is None or find(record) is None else record


@contextlib.contextmanager
def _locked(state_dir: Path) -> Generator[None]:
    """Keep others from starting or stopping services meanwhile."""
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (state_dir / "lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _uninterrupted() -> Generator[None]:
    """Put a Ctrl-C off until the end of the block, where a record has been made."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: caught.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if caught:
        raise KeyboardInterrupt
