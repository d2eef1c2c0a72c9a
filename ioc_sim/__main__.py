"""Serve the simulated bench: ``python -m ioc_sim``."""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from ioc_sim.clock import Clock
from ioc_sim.latency import PortTakenError
from ioc_sim.log import LogLevel, set_up_logging
from ioc_sim.pv_table import describe_pvs
from ioc_sim.sample import SampleError, load_sample
from ioc_sim.server import LOOPBACK, Bench, ServerSettings, serve
from ioc_sim.world import World

__all__ = ["main"]

logger = logging.getLogger(__name__)

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

    Serves all instruments from one process: laser, tunable filter, power control,
    cryostat, analyser, spectrometer and CCD share one light path. The port is
    EPICS_CA_SERVER_PORT, or 5064. Prints one line when clients can connect, closes the
    shutter and ends on Ctrl-C or SIGTERM.
    """
    set_up_logging(log_level)
    try:
        world = World(load_sample(sample), seed=seed, clock=Clock(time_factor))
        settings = _settings(interfaces)
        bench = Bench(prefix, world, truth=truth)
        if list_pvs:
            typer.echo(describe_pvs(bench.groups), nl=False)
            return
        asyncio.run(serve(bench, settings, lambda: _say_ready(bench, settings)))
    except (SampleError, PortTakenError, OSError, ValueError) as error:
        typer.echo(f"ioc_sim: {error}", err=True)
        raise typer.Exit(1) from error


def _settings(interfaces: list[str] | None) -> ServerSettings:
    given = [part for text in interfaces or [LOOPBACK] for part in text.split(",")]
    settings = ServerSettings(interfaces=tuple(part.strip() for part in given if part))
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
