"""One background program: how it is started and how one knows that it is ready."""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

__all__ = ["AllOf", "HttpOk", "LogLine", "Probe", "Service", "log_tail"]

PROBE_TIMEOUT_S = 1.0
"""Longest wait for one answer of a probe; a probe is repeated until the deadline."""

TAIL_LINES = 15
"""Lines of a log that an error message quotes."""


class Probe(Protocol):
    """Tells whether a service does its work by now."""

    def __call__(self, log: Path, offset: int) -> bool:
        """Return whether the service is ready; its own log begins at ``offset``."""
        ...


@dataclass(frozen=True, slots=True)
class LogLine:
    """Ready when the service has written a line that begins so."""

    start: str
    """First characters of the line."""

    def __call__(self, log: Path, offset: int) -> bool:
        """Return whether such a complete line stands in the log behind ``offset``."""
        text = _read(log, offset)
        lines = text.splitlines(keepends=True)
        return any(x.startswith(self.start) and x.endswith("\n") for x in lines)


@dataclass(frozen=True, slots=True)
class HttpOk:
    """Ready when a page of the service on the loopback interface answers 200."""

    port: int
    """TCP port of the service."""

    path: str = "/healthz"
    """Page that is asked for."""

    def __call__(self, log: Path, offset: int) -> bool:  # noqa: ARG002 - see Probe
        """Return whether the page answers 200; a refused connection is a no."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=PROBE_TIMEOUT_S
        )
        try:
            connection.request("GET", self.path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class AllOf:
    """Ready when every one of the probes says so, asked in their order."""

    probes: tuple[Probe, ...]
    """The probes; none is asked after one that has said no."""

    def __call__(self, log: Path, offset: int) -> bool:
        """Return whether all probes say yes."""
        return all(probe(log, offset) for probe in self.probes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A program that runs in its own session beside the caller."""

    name: str
    """Short name; also that of its state file."""

    argv: tuple[str, ...]
    """Command line, the program's absolute path first; it never holds a secret."""

    log: Path
    """File that takes what the program writes."""

    ready: Probe
    """Tells when the service may be used."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables laid over those of the caller."""

    address: str = ""
    """Where clients reach it, as shown to the user."""

    deadline_s: float = 90.0
    """Longest start, in seconds; a cold disk on a busy machine needs most of it."""

    grace_s: float = 5.0
    """Seconds between the request to end (SIGTERM) and the end by force (SIGKILL)."""


def log_tail(log: Path, offset: int = 0) -> str:
    """Return the last lines that a service has written.

    Parameters
    ----------
    log
        The service's log file.
    offset
        Size of the file, in bytes, when this start of the service began.

    Returns
    -------
    str
        Up to `TAIL_LINES` lines.
    """
    return "\n".join(_read(log, offset).splitlines()[-TAIL_LINES:])


def _read(log: Path, offset: int) -> str:
    try:
        with log.open("rb") as file:
            file.seek(offset)
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
