"""The ``triplet`` command."""

import logging
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from triplet_bluesky.errors import BenchError
from triplet_bluesky.settings import Settings, load_settings

__all__ = ["app", "main"]

app = typer.Typer(
    help="Laser spectroscopy bench: simulated instruments, Bluesky scans, Tiled store.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False)

INTERRUPTED = 130
"""Exit status of a command that Ctrl-C ended, as shells have it."""

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
    """Run the command; a bench error becomes one clear line and exit status 1."""
    try:
        app()
    except BenchError as error:
        console.print(f"[bold red]{type(error).__name__}:[/] {error}", soft_wrap=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        console.print("interrupted; everything that was started is stopped")
        raise SystemExit(INTERRUPTED) from None


def _log(settings: Settings) -> None:
    """Warnings of the bench go to the terminal, everything also to a file."""
    settings.log_dir.mkdir(parents=True, exist_ok=True)
    file = logging.FileHandler(settings.log_dir / "session.log")
    file.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[file])
    terminal = RichHandler(
        logging.WARNING,
        Console(stderr=True),
        show_time=False,
        show_path=False,
    )
    logging.getLogger("triplet_bluesky").addHandler(terminal)


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
    from triplet_bluesky.demo import Options, run_demo  # noqa: PLC0415 - see `_lazy`

    settings = _settings(data_dir, sample, seed, time_factor)
    _log(settings)
    run_demo(
        Options(settings=settings, json_file=json_file, keep_running=keep_running),
        console,
    )


@app.command()
def shell(data_dir: DataDir = None) -> None:
    """Open an IPython session with the bench connected (after `triplet up`)."""
    from triplet_bluesky.startup import start_shell  # noqa: PLC0415 - see `_lazy`

    settings = _settings(data_dir, None, None, None)
    _log(settings)
    start_shell(settings)


@app.command()
def up(
    sample: Sample = None,
    seed: Seed = None,
    time_factor: TimeFactor = None,
    data_dir: DataDir = None,
) -> None:
    """Start the simulated bench and the Tiled server in the background."""
    from triplet_bluesky import services  # noqa: PLC0415 - see `_lazy`

    settings = _settings(data_dir, sample, seed, time_factor)
    with console.status("starting ...") as status:
        reports = services.up(
            services.bench_services(settings),
            settings.state_dir,
            progress=lambda name: status.update(f"{name} is ready ..."),
        )
    for report in reports:
        if not report.started:
            console.print(f"{report.name}: already running (pid {report.pid})")
    _show(reports, settings)
    console.print("next: [bold]triplet shell[/]; stop with [bold]triplet down[/]")


@app.command()
def down(data_dir: DataDir = None) -> None:
    """Stop what `triplet up` started."""
    from triplet_bluesky import services  # noqa: PLC0415 - see `_lazy`

    settings = _settings(data_dir, None, None, None)
    stopped = services.down(settings.state_dir)
    console.print(
        f"stopped: {', '.join(stopped)}" if stopped else "nothing was running"
    )


@app.command()
def status(data_dir: DataDir = None) -> None:
    """Tell what runs, since when, where its log is and how to reach it."""
    from triplet_bluesky import services  # noqa: PLC0415 - see `_lazy`

    settings = _settings(data_dir, None, None, None)
    reports = services.status(services.bench_services(settings), settings.state_dir)
    _show(reports, settings)
    if any(report.state != "running" for report in reports):
        raise typer.Exit(1)


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
    from triplet_bluesky.services import epics_environment  # noqa: PLC0415

    table = Table("service", "state", "pid", "address", "log")
    for report in reports:
        table.add_row(
            report.name,
            report.state,
            str(report.pid or ""),
            report.address,
            str(report.log or ""),
        )
    console.print(table)
    environment = epics_environment(settings)
    console.print("EPICS clients need:")
    for name in (
        "EPICS_CA_ADDR_LIST",
        "EPICS_CA_AUTO_ADDR_LIST",
        "EPICS_CA_SERVER_PORT",
    ):
        console.print(f"  export {name}={environment[name]}")
    console.print(f"Tiled API key: in {settings.api_key_file}", soft_wrap=True)


if __name__ == "__main__":
    main()
