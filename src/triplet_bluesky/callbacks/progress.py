"""A progress bar with the time left and the live numbers of a scan."""

from typing import Any

from event_model import DocumentRouter, Event, EventDescriptor, RunStart, RunStop
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from triplet_bluesky.callbacks.fields import PRIMARY
from triplet_bluesky.callbacks.ple import LivePLE

__all__ = ["ScanProgress"]


class ScanProgress(DocumentRouter):
    """Show how far a scan is and what it measures.

    Parameters
    ----------
    analysis
        The analysis that follows the same run; subscribe it before this one.
    console
        Where to show it; standard output by default.
    """

    def __init__(self, analysis: LivePLE, console: Console | None = None) -> None:
        super().__init__()
        self.analysis = analysis
        self.console = console or Console()
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._primary = ""
        self._told = False

    def start(self, doc: RunStart) -> None:
        """Begin a new bar."""
        self._close()
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[live]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._task = self._progress.add_task(
            str(doc.get("plan_name", "scan")), total=doc.get("num_points"), live=""
        )
        self._progress.start()

    def descriptor(self, doc: EventDescriptor) -> None:
        """Remember which events are the points."""
        if doc.get("name") == PRIMARY:
            self._primary = doc["uid"]
            self._told = self.analysis.spectra.fields.has_spectra(doc)

    def event(self, doc: Event) -> Event:
        """Advance by one point."""
        if self._progress is not None and doc["descriptor"] == self._primary:
            self._progress.update(self._task, advance=1, live=self._live())
            if self._told and not self.console.is_terminal:
                live = self._live() or "not decomposed"
                self.console.print(f"  point {doc['seq_num']}: {live}", highlight=False)
        return doc

    def stop(self, doc: RunStop) -> RunStop:
        """End the bar where it is."""
        self._close()
        return doc

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _live(self) -> str:
        points = self.analysis.spectra.points
        if not points:
            return ""
        point = points[-1]
        parts = [
            f"{point.conditions.pump_nm:.2f} nm",
            f"{point.conditions.power_uw:.1f} uW",
            f"SE {_si(point.fit.se_rate)}e-/s",
        ]
        result: Any = self.analysis.result
        if result is not None and result.ok:
            parts.append(
                f"peak {result.peak_mev:.2f} ± {result.peak_sigma_mev:.2f} meV"
            )
        return "  ".join(parts)


def _si(value: float) -> str:
    """Write a rate with three digits and a prefix."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {prefix}"
    return f"{value:.3g} "
