"""The demonstration: an excitation scan from light to stored result, in one call."""

import contextlib
import json
import math
import os
import shlex
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from triplet_bluesky import services
from triplet_bluesky.errors import BenchError
from triplet_bluesky.settings import CONTAINER, Settings

__all__ = ["Options", "run_demo"]

TEMPERATURE_K = 4.0
"""Sample temperature of the demonstration: that of the paper."""

FIGURES = "figures"
"""Folder of the figures in the data folder."""

CLOCK_S = 1.0
"""What a file's time may lie before that of the clock, in s."""

PUMP_NM = [508.0 + step for step in range(25)]
"""Pump wavelengths of the demonstration, in nm: both sides of the resonance."""

PAPER_PEAK_MEV = 2353.0
"""Excitation maximum in the paper: the 2.335 eV line plus its 18 meV Stokes shift (Ying
et al., Figs. 3 and S3). Shown beside the result, used nowhere else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the demonstration is asked for."""

    settings: Settings
    """Folder, seed, sample, time factor."""
    json_file: Path | None
    """Where to write the results as JSON."""
    keep_running: bool
    """Whether bench and store are left running on the ports of the settings."""
    command: str = "triplet"
    """The command as it has to be typed here, for the hints at the end."""

    @property
    def same_data(self) -> str:
        """The option that leads other commands to this folder, where it needs one."""
        where = self.settings.data_dir
        same = where == Settings().data_dir
        return "" if same else f" --data-dir {shlex.quote(str(where))}"


def run_demo(options: Options, console: Console) -> None:
    """Start everything, scan, show, store, read back, and stop everything.

    Parameters
    ----------
    options
        What is asked for.
    console
        Where it is shown.

    Raises
    ------
    BenchError
        If anything did not work, with what and why.
    """
    began = time.monotonic()
    _check_places(options)
    _check_alone(options)
    with _services(options, console) as settings:
        os.environ.update(services.epics_environment(settings))
        outcome = _measure(settings, console)
        outcome["seconds"] = round(time.monotonic() - began, 1)
        outcome["data_dir"] = str(settings.data_dir)
        if options.json_file is not None:
            options.json_file.write_text(json.dumps(outcome, indent=2) + "\n")
        _say_where(outcome, settings, options, console)


def _check_places(options: Options) -> None:
    """Refuse, before anything is measured, files that could not be written after it."""
    figures = options.settings.data_dir / FIGURES
    figures.mkdir(parents=True, exist_ok=True)
    _check_writable(figures, "--data-dir")
    file = options.json_file
    if file is None:
        return
    if file.is_dir():
        msg = f"--json: got the folder {file}; expected the name of a file"
        raise BenchError(msg)
    _check_writable(file if file.exists() else file.absolute().parent, "--json")


def _check_writable(path: Path, option: str) -> None:
    if not path.exists():
        msg = f"{option}: got no folder {path}; expected one that exists: make it first"
        raise BenchError(msg)
    if not os.access(path, os.W_OK):
        msg = f"{option}: got {path}, which you may not write to; name another place"
        raise BenchError(msg)


def _check_alone(options: Options) -> None:
    """Refuse to open a store that another Tiled server has open."""
    settings = options.settings
    living = [
        report.name
        for report in services.status(
            services.bench_services(settings), settings.state_dir
        )
        if report.pid is not None
    ]
    if living:
        msg = (
            f"got {' and '.join(living)} already running with the data in "
            f"{settings.data_dir}; expected none, since the demo starts its own and "
            "two Tiled servers cannot share a folder; measure in "
            f"`{options.command} shell{options.same_data}`, or give another "
            f"--data-dir, or stop them with `{options.command} down{options.same_data}`"
        )
        raise BenchError(msg)


@contextlib.contextmanager
def _services(options: Options, console: Console) -> Generator[Settings]:
    """Run bench and store: on private ports for this call, or to stay."""
    settings = options.settings
    with contextlib.ExitStack() as stack:
        spinner = stack.enter_context(console.status("starting bench and Tiled ..."))
        if options.keep_running:
            reports = services.up(services.bench_services(settings), settings.state_dir)
        else:
            ports = [services.free_port() for _ in range(3)]
            names = ("ca_port", "ca_repeater_port", "tiled_port")
            settings = settings.model_copy(update=dict(zip(names, ports, strict=True)))
            state = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            reports = stack.enter_context(
                services.running(services.bench_services(settings), state)
            )
        spinner.stop()
        for report in reports:
            console.print(
                f"[green]✓[/] {report.name}: {report.address}", soft_wrap=True
            )
        yield settings


def _measure(settings: Settings, console: Console) -> dict[str, Any]:
    """Scan, store, read back and compare."""
    began = time.time()
    uid, live, figures = _scan(settings, console)
    if live is None or not live.ok:
        why = "no point was measured" if live is None else live.assessment
        msg = f"run {uid}: the excitation curve has no maximum that can be given: {why}"
        raise BenchError(msg)
    stored = _read_back(settings, uid, console)
    if stored.result.peak_mev != live.peak_mev:
        msg = f"run {uid}: {live.peak_mev} meV live, {stored.result.peak_mev} stored"
        raise BenchError(msg)
    _check_figures(figures, began)
    _show_result(stored, console)
    return {
        "run_uid": uid,
        "tiled": {"uri": settings.tiled_uri, "container": CONTAINER},
        "results": _results(stored),
        "figure": str(figures[0]),
    }


def _scan(settings: Settings, console: Console) -> tuple[str, Any, tuple[Path, ...]]:
    """Run the scan; gives its uid, the fit of its curve and the files of its figure."""
    from triplet_bluesky import plans  # noqa: PLC0415 - after the EPICS environment
    from triplet_bluesky.callbacks import ScanProgress  # noqa: PLC0415
    from triplet_bluesky.callbacks.plot import FigureFile  # noqa: PLC0415
    from triplet_bluesky.session import open_session  # noqa: PLC0415

    with open_session(settings) as session:
        console.print(f"[green]✓[/] connected to {settings.prefix}")
        with console.status(f"laser on, sample to {TEMPERATURE_K:g} K ..."):
            session.run(plans.switch_on(session.bench, TEMPERATURE_K))
        figure = FigureFile(session.ple, settings.data_dir / FIGURES)
        session.watch(ScanProgress(session.ple, console))
        session.watch(figure)
        (uid,) = session.run(
            plans.ple(session.bench, PUMP_NM, order="interleaved", analyser="out")
        )
        return uid, session.ple.result, figure.paths


def _check_figures(paths: tuple[Path, ...], began: float) -> None:
    """Make sure of the figure: what fails in drawing is logged and stops no scan."""
    for path in paths:
        if not path.is_file() or path.stat().st_mtime < began - CLOCK_S:
            msg = (
                f"got no figure {path} from this run, which is measured and stored; "
                "expected it to be drawn; the log says why it was not"
            )
            raise BenchError(msg)


def _read_back(settings: Settings, uid: str, console: Console) -> Any:
    """Read the run through a Tiled client of its own, and analyse it again."""
    from triplet_bluesky.callbacks import LivePLE, replay  # noqa: PLC0415
    from triplet_bluesky.storage.client import catalog  # noqa: PLC0415
    from triplet_bluesky.storage.key import read_key  # noqa: PLC0415
    from triplet_bluesky.storage.reading import documents, read_run  # noqa: PLC0415

    cat = catalog(settings.tiled_uri, read_key(settings.api_key_file))
    with contextlib.closing(cat.context):
        run: Any = cat[uid]
        sizes = read_run(run).sizes
        again = LivePLE()
        replay(documents(run), again)
    shape = f"{sizes['time']} points, {sizes['pixel']} pixels"
    console.print(f"[green]✓[/] read back from Tiled ({shape}) and analysed again")
    return again


def _results(analysis: Any) -> dict[str, dict[str, Any]]:
    fit, offset = analysis.result, analysis.pump_offset
    return {
        name: {"value": value, "sigma": sigma, "unit": unit}
        for name, value, sigma, unit in (
            ("ple_peak", fit.peak_mev, fit.peak_sigma_mev, "meV"),
            ("ple_fwhm", fit.fwhm_mev, fit.fwhm_sigma_mev, "meV"),
            ("pump_offset", offset.offset_nm, offset.sigma_nm, "nm"),
        )
        if math.isfinite(value) and math.isfinite(sigma)  # JSON has no NaN
    }


def _rows(analysis: Any) -> list[tuple[str, str, str]]:
    """Give the lines of the table: quantity, measured, paper."""
    fit, offset = analysis.result, analysis.pump_offset
    return [
        (
            "PLE peak",
            f"{fit.peak_mev / 1e3:.5f} ± {fit.peak_sigma_mev / 1e3:.5f} eV",
            f"{PAPER_PEAK_MEV / 1e3:.3f} eV",
        ),
        (
            "width (FWHM, with the pump's)",
            f"{fit.fwhm_mev:.2f} ± {fit.fwhm_sigma_mev:.2f} meV",
            "not given",
        ),
        (
            "pump axis: spectrometer - filter",
            f"{offset.offset_nm * 1e3:+.1f} ± {offset.sigma_nm * 1e3:.1f} pm",
            "",
        ),
    ]


def _show_result(analysis: Any, console: Console) -> None:
    fit = analysis.result
    table = Table(
        title=f"Excitation of the stimulated emission, {TEMPERATURE_K:g} K",
        title_justify="left",
    )
    table.add_column("quantity")
    table.add_column("measured", justify="right")
    table.add_column("paper", justify="right")
    for row in _rows(analysis):
        table.add_row(*row)
    console.print(table)
    console.print(
        f"± of the peak: {fit.peak_stat_sigma_mev:.3f} meV from counts and dose, "
        f"{fit.peak_model_sigma_mev:.3f} meV from the choice of the curve's form"
    )


def _say_where(
    outcome: dict[str, Any], settings: Settings, options: Options, console: Console
) -> None:
    """Tell where everything is and how to look at it."""
    triplet, option = options.command, options.same_data
    lines = [
        f"run     {outcome['run_uid']}  ({outcome['seconds']:.0f} s in all)",
        f"figure  {outcome['figure']} (and .pdf)",
        f"data    {settings.tiled_dir}",
        f"logs    {settings.log_dir}",
        "",
        "look at it:",
    ]
    if not options.keep_running:
        lines.append(f"  {triplet} up{option}")
    lines += [
        f"  {triplet} shell{option}      then: cat['{outcome['run_uid'][:8]}']",
        f"  {triplet} down{option}       stops bench and store",
    ]
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)
