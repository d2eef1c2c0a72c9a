"""A session: RunEngine, bench, store and live callbacks, assembled here and only here.

Channel Access reads its environment when ophyd is first imported, so whoever imports
this module sets it before (`triplet_bluesky.services.epics_environment`).
"""

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from bluesky import RunEngine
from bluesky.utils import FailedStatus, MsgGenerator, RunEngineInterrupted
from bluesky_tiled_plugins import CatalogOfBlueskyRuns

from triplet_bluesky.callbacks import FitRecorder, LivePLE, isolated
from triplet_bluesky.devices import Bench, FramesFolder
from triplet_bluesky.devices.operation import CONNECTION_ERRORS
from triplet_bluesky.errors import BenchError, ConnectError, PlanError
from triplet_bluesky.settings import Settings
from triplet_bluesky.storage.client import catalog
from triplet_bluesky.storage.key import read_key
from triplet_bluesky.storage.writer import RunWriter

__all__ = ["Session", "open_session", "what_was_said"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What one works with."""

    settings: Settings
    """Where everything is."""
    RE: RunEngine
    """Runs plans; its documents go to the store and to the live callbacks."""
    bench: Bench
    """The instruments, connected."""
    cat: CatalogOfBlueskyRuns
    """The stored runs, through a Tiled client."""
    ple: LivePLE
    """Live analysis of excitation scans."""

    def watch(self, callback: Callable[[str, Any], Any]) -> int:
        """Let a callback follow all runs; what it raises is logged and stops nothing.

        Parameters
        ----------
        callback
            Called with the name and the content of each document, after the analysis.

        Returns
        -------
        :
            Token for ``RE.unsubscribe``.
        """
        return self.RE.subscribe(isolated(callback))

    def run(self, plan: MsgGenerator[Any]) -> tuple[str, ...]:
        """Run a plan where nobody is there to resume it: Ctrl-C ends it.

        Parameters
        ----------
        plan
            What to do.

        Returns
        -------
        :
            The uids of its runs.

        Raises
        ------
        BenchError
            If an instrument failed, with what it said.
        PlanError
            If it was interrupted; the run is closed and stored then.
        """
        usual = self.RE.context_managers
        self.RE.context_managers = [_EndOnInterrupt]
        try:
            return cast("tuple[str, ...]", self.RE(plan))
        except FailedStatus as error:
            raise what_was_said(error) from error
        except CONNECTION_ERRORS as error:
            msg = f"the IOC does not answer ({error}); is it running?"
            raise ConnectError(msg) from error
        except RunEngineInterrupted:
            if self.RE.state == "paused":
                self.RE.abort(reason="interrupted by the user")
            msg = "interrupted: the run is closed, and what was measured is stored"
            raise PlanError(msg) from None
        finally:
            self.RE.context_managers = usual


class _EndOnInterrupt:
    """Let Ctrl-C interrupt a plan at once, also one that has no checkpoint."""

    def __init__(self, engine: RunEngine) -> None:
        self.engine = engine
        self.before: Any = None

    def __enter__(self) -> None:
        self.before = signal.signal(signal.SIGINT, self.interrupt)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self.before)

    def interrupt(self, *_: object) -> None:
        """Ask the RunEngine to pause now."""
        if self.engine.state != "running":
            raise KeyboardInterrupt
        self.engine.request_pause(defer=False)


@contextmanager
def open_session(
    settings: Settings, *, connect_timeout: float = 10.0
) -> Generator[Session]:
    """Connect to a bench and its store, for the duration of a block.

    Parameters
    ----------
    settings
        Prefix of the PVs, address of the Tiled server, folder of its key.
    connect_timeout
        Longest time for all PVs together to connect, in s.

    Yields
    ------
    :
        The session; the store is the first subscriber of its RunEngine.

    Raises
    ------
    ConnectError
        If PVs do not answer.
    StorageError
        If the Tiled server does not answer or refuses the key.
    """
    cat = catalog(settings.tiled_uri, read_key(settings.api_key_file))
    frames = FramesFolder(local=settings.frames_dir, ioc=settings.ioc_frames_dir)
    bench = Bench.from_prefix(settings.prefix, frames=frames)
    try:
        bench.connect(connect_timeout)
        analysis = LivePLE()
        engine = RunEngine({"scan_id": _last_scan_id(cat), "prefix": settings.prefix})
        engine.subscribe(RunWriter(cat, batch_size=settings.batch_size))
        engine.subscribe(isolated(analysis))
        engine.preprocessors.append(FitRecorder(analysis))
        yield Session(settings=settings, RE=engine, bench=bench, cat=cat, ple=analysis)
    finally:
        bench.disconnect()
        cat.context.close()


def what_was_said(error: BaseException) -> BenchError:
    """Give what the instrument said, which Bluesky has put behind its own error.

    Parameters
    ----------
    error
        What the RunEngine raised.

    Returns
    -------
    :
        The error of the bench that caused it.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BenchError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return BenchError(str(error))


def _last_scan_id(cat: CatalogOfBlueskyRuns) -> int:
    """Give the scan id of the newest run, so that this session counts on from there."""
    if not len(cat):
        return 0
    newest: Any = cat[-1]
    return int(newest.metadata["start"].get("scan_id", 0))
