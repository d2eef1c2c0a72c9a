"""Results of a live analysis, recorded as streams of the run that they belong to."""

import logging
import time
from collections.abc import Generator, Iterator
from typing import Any, Protocol

from bluesky.preprocessors import pchain, plan_mutator
from bluesky.protocols import HasName, Reading
from bluesky.utils import Msg, single_gen

__all__ = ["Analysis", "FitRecorder"]

logger = logging.getLogger(__name__)

UNIT_SUFFIXES = {
    "_mev": "meV",
    "_ev": "eV",
    "_nm": "nm",
    "_e": "e-",
    "_rate": "e-/s",
    "wavelength": "nm",
}
"""Units that the end of a result's name tells, ignoring ``_sigma``."""


class Analysis(Protocol):
    """A callback that has results to record."""

    def streams(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Give names of streams and their rows."""
        ...


class ResultRow(HasName):
    """One row of results, in the shape in which Bluesky reads a device."""

    def __init__(self, stream: str, first: dict[str, Any]) -> None:
        self._name = stream
        self._row = first
        self.parent = None

    @property
    def name(self) -> str:
        """Name of the stream; every field begins with it."""
        return self._name

    def load(self, row: dict[str, Any]) -> None:
        """Take the next row, with the fields of the first one."""
        self._row = row

    def read(self) -> dict[str, Reading[Any]]:
        """Read the row."""
        now = time.time()
        return {
            f"{self.name}_{key}": {"value": value, "timestamp": now}
            for key, value in self._row.items()
        }

    def describe(self) -> dict[str, Any]:
        """Describe the fields of the row, with units by the end of their names."""
        return {
            f"{self.name}_{key}": _data_key(key, value)
            for key, value in self._row.items()
        }


class FitRecorder:
    """Preprocessor that records the results of analyses just before a run is closed.

    The RunEngine itself makes the documents, so whatever stores the run stores them.

    Parameters
    ----------
    analyses
        Callbacks that follow the same run.
    """

    def __init__(self, *analyses: Analysis) -> None:
        self.analyses = analyses

    def __call__(self, plan: Generator[Msg, Any, Any]) -> Generator[Msg, Any, Any]:
        """Add the recording to a plan.

        Parameters
        ----------
        plan
            Any plan.

        Returns
        -------
        :
            The plan, with the results read before each ``close_run``.
        """
        open_bundles: set[Any] = set()

        def insert(
            msg: Msg,
        ) -> tuple[Generator[Msg, Any, Any] | None, Generator[Msg, Any, Any] | None]:
            if msg.command == "create":
                open_bundles.add(msg.run)
            elif msg.command in ("save", "drop"):
                open_bundles.discard(msg.run)
            elif msg.command == "close_run":
                left_open = msg.run in open_bundles
                open_bundles.discard(msg.run)
                return pchain(self._record(msg.run, left_open), single_gen(msg)), None
            return None, None

        return (yield from plan_mutator(plan, insert))

    def _record(self, run: Any, left_open: bool) -> Generator[Msg, Any, None]:
        """Record all results; an event that was never completed is given up first."""
        if left_open:
            yield Msg("drop", run=run)
        for stream, rows in self._results():
            row = ResultRow(stream, rows[0])
            for values in rows:
                row.load(values)
                yield Msg("create", None, name=stream, run=run)
                yield Msg("read", row, run=run)
                yield Msg("save", run=run)

    def _results(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Gather what the analyses have; one that fails is logged and left out."""
        results: list[tuple[str, list[dict[str, Any]]]] = []
        for analysis in self.analyses:
            try:
                results += [
                    (stream, rows) for stream, rows in analysis.streams() if rows
                ]
            except Exception:  # a result that cannot be given must not fail the run
                logger.exception("no results from %s", type(analysis).__name__)
        return results


def _data_key(key: str, value: Any) -> dict[str, Any]:
    description: dict[str, Any] = {"source": "analysis", "shape": []}
    if isinstance(value, str):
        return description | {"dtype": "string"}
    if isinstance(value, int):
        return description | {"dtype": "integer", "dtype_numpy": "<i8"}
    stem = key.replace("_sigma", "")
    unit = next((u for end, u in UNIT_SUFFIXES.items() if stem.endswith(end)), "")
    return description | {"dtype": "number", "dtype_numpy": "<f8", "units": unit}
