"""The ``triplet`` command."""

import importlib.metadata
import logging
import os
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table
from typer.core import TyperGroup

from triplet_bluesky.errors import BenchError, SettingsError
from triplet_bluesky.settings import Settings, load_settings

__all__ = ["app", "main"]

console = Console(highlight=False)
error_console = Console(highlight=False, stderr=True)

FAILED = 1
"""Exit status of a command that did not do what it was asked to."""

INTERRUPTED = 130
"""Exit status of a command that Ctrl-C ended, as shells have it."""


class Commands(TyperGroup):
    """The commands; what goes wrong in one of them becomes one clear line."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error of the bench or of a file is told, not traced.

        Parameters
        ----------
        ctx
            Of the command line.

        Returns
        -------
        :
            What the command returns.

        Raises
        ------
        Exit
            With the status for the shell, after an error or a Ctrl-C.
        """
        try:
            return super().invoke(ctx)
        except BenchError as error:
            _tell(f"{type(error).__name__}: {error}")
            raise typer.Exit(FAILED) from None
        except OSError as error:
            _tell(_file_error(error))
            raise typer.Exit(FAILED) from None
        except KeyboardInterrupt:
            _tell("interrupted; everything that was started is stopped")
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=Commands,
    help="Laser spectroscopy bench: simulated instruments, Bluesky scans, Tiled store.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder of runs, figures, logs and state.", show_default=False),
]
Sample = Annotated[
    Path | None,
    typer.Option(
        help="TOML file that replaces values of the simulated sample.",
        show_default=False,
        exists=True,
        dir_okay=False,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(help="Seed of the simulated noise.  [default: 0]", show_default=False),
]
TimeFactor = Annotated[
    float | None,
    typer.Option(
        help="Simulated seconds per second.  [default: 1; demo: 10]",
        show_default=False,
    ),
]


def main() -> None:
    """Run the command."""
    app()


def _tell(message: str) -> None:
    """Print an error as it is: square brackets in it are no markup."""
    error_console.print(message, style="red", markup=False, soft_wrap=True)


def _file_error(error: OSError) -> str:
    """Say which file could not be used and why."""
    kind = type(error).__name__
    if error.filename is None:
        return f"{kind}: {error}"
    return (
        f"{kind}: got {error.strerror!r} from {error.filename}; expected a place where "
        "files can be read and written; --data-dir names another"
    )


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"triplet {importlib.metadata.version('triplet-bluesky')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Show the version and exit.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Take the options that belong to no command."""


def _log(settings: Settings) -> None:
    """Warnings of the bench go to the terminal, everything also to a file."""
    file = _log_file(settings)
    file.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(file)
    terminal = RichHandler(
        logging.WARNING,
        error_console,
        show_time=False,
        show_path=False,
    )
    logging.getLogger("triplet_bluesky").addHandler(terminal)


def _log_file(settings: Settings) -> logging.FileHandler:
    """Open the log of the session, the first file that a command writes."""
    try:
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        return logging.FileHandler(settings.log_dir / "session.log")
    except OSError as error:
        msg = (
            f"got the data folder {settings.data_dir}, where no log can be written "
            f"({error.strerror}: {error.filename}); expected a folder of your own; "
            "--data-dir names another"
        )
        raise SettingsError(msg) from error


@app.command()
def demo(
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Write the results to this file as JSON."),
    ] = None,
    sample: Sample = None,
    seed: Seed = None,
    time_factor: TimeFactor = 10.0,
    data_dir: DataDir = None,
    keep_running: Annotated[
        bool,
        typer.Option(
            "--keep-running",
            help="Leave bench and store running, as `triplet up` does.",
        ),
    ] = False,
) -> None:
    """Measure the resonance of the simulated sample, from light to stored result.

    Starts the simulated bench and a Tiled server, scans the pump across the resonance
    at 4 K, fits while it scans, stores the run, reads it back and shows the result.
    """
    from triplet_bluesky.demo import (  # noqa: PLC0415 - slow, and --help is not
        Options,
        run_demo,
    )

    settings = _settings(data_dir, sample, seed, time_factor)
    _log(settings)
    run_demo(
        Options(
            settings=settings,
            json_file=json_file,
            keep_running=keep_running,
            command=_command(),
        ),
        console,
    )


@app.command()
def shell(data_dir: DataDir = None) -> None:
    """Open an IPython session with the bench connected (after `triplet up`)."""
    from triplet_bluesky.startup import start_shell  # noqa: PLC0415 - as in `demo`

    settings = _settings(data_dir, None, None, None)
    _log(settings)
    start_shell(settings)


@app.command()
def up(
    sample: Sample = None,
    seed: Seed = None,
    time_factor: TimeFactor = None,
    truth: Annotated[
        bool,
        typer.Option(
            "--truth", help="Serve the SIM: PVs: faults, and what is behind the bench."
        ),
    ] = False,
    faults: Annotated[
        str,
        typer.Option(
            help="What is broken from the start, for example "
            "filter_slip=0.3,shutter_stuck=Closed; triplet-sim --list-faults has all.",
            show_default=False,
        ),
    ] = "",
    data_dir: DataDir = None,
) -> None:
    """Start the simulated bench and the Tiled server in the background."""
    from triplet_bluesky import services  # noqa: PLC0415 - as in `demo`

    settings = _settings(data_dir, sample, seed, time_factor)
    with console.status("starting ...") as status:
        reports = services.up(
            services.bench_services(settings, truth=truth, faults=faults),
            settings.state_dir,
            progress=lambda name: status.update(f"{name} is ready ..."),
        )
    for report in reports:
        if not report.started:
            console.print(
                f"{report.name}: already running (pid {report.pid}), with the options "
                "that it was started with",
                soft_wrap=True,
            )
    _show(reports, settings)
    option = _data_option(data_dir)
    console.print(
        f"next: {_command()} shell{option}; stop with {_command()} down{option}",
        markup=False,
        soft_wrap=True,
    )


@app.command()
def down(data_dir: DataDir = None) -> None:
    """Stop what `triplet up` started."""
    from triplet_bluesky import services  # noqa: PLC0415 - as in `demo`

    settings = _settings(data_dir, None, None, None)
    stopped = services.down(settings.state_dir)
    console.print(
        f"stopped: {', '.join(stopped)}" if stopped else "nothing was running"
    )


@app.command()
def status(data_dir: DataDir = None) -> None:
    """Tell what runs, since when, where its log is and how to reach it."""
    from triplet_bluesky import services  # noqa: PLC0415 - as in `demo`

    settings = _settings(data_dir, None, None, None)
    reports = services.status(services.bench_services(settings), settings.state_dir)
    _show(reports, settings)
    if any(report.state != "running" for report in reports):
        raise typer.Exit(1)


@app.command()
def doctor(
    prefix: Annotated[
        str | None,
        typer.Option(
            help="PV prefix of the bench; TRIPLET: by default.", show_default=False
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(min=0.1, max=600.0, help="Seconds to wait for PVs to answer."),
    ] = 5.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, for programs.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Examine every instrument: PVs, heartbeat, alarms, firmware, latency of reads.

    Changes nothing. Exit status 1 if PVs are missing, hang or are INVALID; other alarms
    and the store do not count. The latency is the median and the worst of some reads.
    """
    from triplet_bluesky.services import epics_environment  # noqa: PLC0415 - as in `demo`

    settings = load_settings(overrides={"data_dir": data_dir, "prefix": prefix})
    for name, value in epics_environment(settings).items():
        os.environ.setdefault(name, value)

    # After the environment, which Channel Access reads when ophyd is imported:
    from triplet_bluesky.doctor import run_doctor  # noqa: PLC0415

    healthy = run_doctor(
        settings, console, timeout=timeout, as_json=as_json, command=_command()
    )
    if not healthy:
        raise typer.Exit(FAILED)


def _command() -> str:
    """Give the command as it has to be typed; `uv run` leaves `UV` in it."""
    return "uv run triplet" if "UV" in os.environ else "triplet"


def _data_option(data_dir: Path | None) -> str:
    """Give the option that leads other commands to the same folder."""
    return "" if data_dir is None else f" --data-dir {shlex.quote(str(data_dir))}"


def _settings(
    data_dir: Path | None,
    sample: Path | None,
    seed: int | None,
    time_factor: float | None,
) -> Settings:
    """Read the settings; an option of the command line wins over all."""
    return load_settings(
        overrides={
            "data_dir": data_dir,
            "sample": sample,
            "seed": seed,
            "time_factor": time_factor,
        }
    )


def _show(reports: list[Any], settings: Settings) -> None:
    """Print a table of the services and how clients reach them."""
    from triplet_bluesky.services import epics_environment  # noqa: PLC0415 - as in `demo`

    table = Table("service", "state", "pid", "address")
    for report in reports:
        table.add_row(report.name, report.state, str(report.pid or ""), report.address)
    console.print(table)
    for report in reports:
        if report.log is not None:
            console.print(
                f"log of {report.name}: {report.log}", soft_wrap=True, markup=False
            )
    environment = epics_environment(settings)
    console.print("EPICS clients need:")
    for name in (
        "EPICS_CA_ADDR_LIST",
        "EPICS_CA_AUTO_ADDR_LIST",
        "EPICS_CA_SERVER_PORT",
        "EPICS_CA_REPEATER_PORT",
    ):
        console.print(f"  export {name}={environment[name]}")
    console.print(
        f"Tiled API key: in {settings.api_key_file}", soft_wrap=True, markup=False
    )


if __name__ == "__main__":
    main()
