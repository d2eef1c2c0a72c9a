"""Serve the simulated bench: ``python -m ioc_sim``."""

import asyncio
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ioc_sim.clock import Clock
from ioc_sim.faults import describe_faults, parse_faults
from ioc_sim.hardware import hand_over, take_over
from ioc_sim.latency import PortTakenError
from ioc_sim.log import LogLevel, set_up_logging
from ioc_sim.pv_table import describe_pvs
from ioc_sim.sample import SampleError, load_sample
from ioc_sim.server import (
    LOOPBACK,
    Bench,
    ServedElsewhereError,
    ServerSettings,
    group_names,
    serve,
)
from ioc_sim.truth_table import describe_truth
from ioc_sim.world import World

__all__ = ["main"]

logger = logging.getLogger(__name__)

GROUP_NAMES = tuple(group_names())

REFUSALS = (SampleError, PortTakenError, ServedElsewhereError, OSError, ValueError)
"""What the command says in a line, and ends."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def simulate(  # noqa: PLR0913, PLR0917  (each one is an option of the command)
    prefix: Annotated[
        str, typer.Option(metavar="TEXT", help="What all PV names begin with.")
    ] = "TRIPLET:",
    seed: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=2**31 - 1, help="Seed of all random numbers."
        ),
    ] = 0,
    time_factor: Annotated[
        float,
        typer.Option(metavar="X", help="Simulated seconds in a real second."),
    ] = 1.0,
    sample: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="TOML file with the truths to change; the rest stays."
        ),
    ] = None,
    interfaces: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on, 127.0.0.1 by default; give it again, or commas,"
            " for more. Channel Access knows no passwords: who reaches it can open the"
            " shutter.",
        ),
    ] = None,
    truth: Annotated[
        bool, typer.Option("--truth", help="Serve the SIM: group: what is behind it.")
    ] = False,
    serve_only: Annotated[
        str | None,
        typer.Option(
            "--serve",
            metavar="GROUPS",
            help=f"Groups to serve, with commas between them: {', '.join(GROUP_NAMES)}."
            " Follows the others over Channel Access. All by default.",
        ),
    ] = None,
    epoch: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Instant of simulated time zero, for example 2026-01-31T09:00:00Z; the"
            " same for all processes of a bench. Now by default.",
        ),
    ] = None,
    faults: Annotated[
        str,
        typer.Option(
            metavar="FAULTS",
            help="What is broken from the start, for example"
            " filter_slip=0.3,shutter_stuck=Closed.",
        ),
    ] = "",
    list_truth: Annotated[
        bool,
        typer.Option(
            "--list-truth", help="Print all keys of a --sample file as tables and end."
        ),
    ] = False,
    list_faults: Annotated[
        bool, typer.Option("--list-faults", help="Print all faults as a table and end.")
    ] = False,
    list_pvs: Annotated[
        bool, typer.Option("--list-pvs", help="Print all PVs as a table and end.")
    ] = False,
    log_level: Annotated[
        LogLevel,
        typer.Option(
            metavar="LEVEL",
            case_sensitive=False,
            help="What to say on stderr: debug, info, warning or error.",
        ),
    ] = LogLevel.WARNING,
) -> None:
    """Simulate the triplet-exciton bench behind EPICS Channel Access PVs.

    Serves all instruments from one process, over one light path; with --serve some of
    them, beside other processes. The port is EPICS_CAS_SERVER_PORT, else
    EPICS_CA_SERVER_PORT, else 5064. Prints one line when clients can connect, closes
    the shutter and ends on Ctrl-C or SIGTERM.
    """
    set_up_logging(log_level)
    if list_faults or list_truth:
        typer.echo(describe_faults() if list_faults else describe_truth(), nl=False)
        return
    try:
        clock = Clock(time_factor, epoch=_instant(epoch))
        world = World(load_sample(sample), seed=seed, clock=clock)
        settings = _settings(interfaces)
        groups = None if serve_only is None else _words(serve_only)
        bench = Bench(prefix, world, truth=truth, serve=groups)
        if list_pvs:
            asyncio.run(bench.start())  # motors learn their units then
            typer.echo(describe_pvs(bench.groups), nl=False)
            return
        broken = parse_faults(faults)
        serving = serve(
            bench, settings, lambda: _say_ready(bench, settings), broken, take_over()
        )
        restart = asyncio.run(serving)
    except REFUSALS as error:
        typer.echo(f"ioc_sim: {error}", err=True)
        raise typer.Exit(1) from error
    if restart:
        hand_over(bench.keep())
        _start_anew(clock)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"got the epoch {text!r}, expected a time such as 2026-01-31T09:00:00Z"
        raise ValueError(msg) from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _start_anew(clock: Clock) -> None:
    """Become a new process with the same arguments, on the same time axis."""
    arguments = [sys.executable, *sys.orig_argv[1:]]
    if not any(word.partition("=")[0] == "--epoch" for word in arguments):
        arguments += ["--epoch", clock.epoch.isoformat()]
    sys.stdout.flush()
    os.execv(sys.executable, arguments)


def _settings(interfaces: list[str] | None) -> ServerSettings:
    given = [part for text in interfaces or [LOOPBACK] for part in _words(text)]
    settings = ServerSettings(interfaces=tuple(given))
    if not settings.loopback:
        logger.warning(
            "serving on %s: whoever reaches this port can open the shutter",
            ", ".join(settings.interfaces),
        )
    return settings


def _say_ready(bench: Bench, settings: ServerSettings) -> None:
    where = ", ".join(settings.interfaces)
    sys.stdout.write(
        f"ioc_sim: ready, serving {len(bench.pvdb)} PVs with prefix {bench.prefix} "
        f"on {where} port {settings.port}\n"
    )
    sys.stdout.flush()


def main() -> None:
    """Run the command."""
    app(prog_name="triplet-sim")


if __name__ == "__main__":
    main()
