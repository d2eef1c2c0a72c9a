"""The health of bench and store as a table, or as JSON for programs.

Imported after the environment of Channel Access is set, like `triplet_bluesky.health`.
"""

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from triplet_bluesky import services
from triplet_bluesky.health import Health, Latency, examine
from triplet_bluesky.services import HttpOk
from triplet_bluesky.settings import Settings

__all__ = ["run_doctor"]

STDERR = 2
"""File descriptor of the standard error stream."""

TENTHS_BELOW_MS = 100.0
"""Latency below which tenths of a millisecond are of interest."""


def run_doctor(
    settings: Settings,
    console: Console,
    *,
    timeout: float,
    as_json: bool,
    command: str,
) -> bool:
    """Examine the bench and tell how it does.

    Parameters
    ----------
    settings
        Prefix of the PVs, ports and state of the services.
    console
        Where to tell it.
    timeout
        Longest time for all PVs together to connect, in seconds.
    as_json
        Whether to print JSON instead of tables.
    command
        How the user calls this program, for what to do next.

    Returns
    -------
    :
        Whether every instrument answers and all that they say can be trusted.
    """
    with _without_noise():
        if as_json:
            found = examine(settings.prefix, timeout)
        else:
            with console.status(f"asking {settings.prefix} ..."):
                found = examine(settings.prefix, timeout)
    helpers = _services(settings)
    healthy = all(one.well for one in found)
    if as_json:
        told = {
            "prefix": settings.prefix,
            "healthy": healthy,
            "instruments": [one.as_dict() for one in found],
            "services": helpers,
        }
        console.print(json.dumps(told, indent=2), markup=False, soft_wrap=True)
        return healthy
    console.print(_table(found))
    for one in found:
        for complaint in one.complaints if not one.connection.absent else ():
            _line(console, f"{one.instrument}: {complaint}")
        if one.connection.off:
            _line(console, f"{one.instrument}: {one.connection.off}")
        if one.alarm_pv:
            text = f"{one.alarm_pv} reads {one.alarm_value} with {one.alarm} alarm"
            _line(console, f"{one.instrument}: {text}")
        if one.last_error:
            _line(console, f"{one.instrument}: last refused put: {one.last_error}")
    console.print(_services_table(helpers))
    for line in _advice(found, helpers, settings, command):
        _line(console, line)
    return healthy


def _table(found: list[Health]) -> Table:
    """Lay out one line for each instrument, in the 80 columns of a terminal."""
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    for title in ("instrument", "state", "PVs", "heartbeat", "alarm"):
        table.add_column(title, no_wrap=True)
    table.add_column("firmware")  # may shrink, alone
    table.add_column("sim.", no_wrap=True)
    table.add_column("latency ms", no_wrap=True)
    for one in found:
        connection = one.connection
        age = one.heartbeat_age_s
        table.add_row(
            one.instrument,
            f"[{_color(one)}]{one.state}[/]",
            f"{connection.connected}/{connection.total}",
            "-" if age is None else f"{age:.1f} s",
            _alarm(one),
            _firmware(one),
            {None: "-", True: "yes", False: "no"}[one.simulated],
            _latency(one.latency),
        )
    return table


def _color(one: Health) -> str:
    if not one.well:
        return "red"
    return "green" if one.state == "ok" else "yellow"


def _alarm(one: Health) -> str:
    """Give the worst severity; the PV that has it stands below the table."""
    if not one.alarm_pv:
        return "-" if one.connection.connected == 0 else "none"
    return one.alarm


def _firmware(one: Health) -> Text:
    """Give the version in one line; a simulated one without the instrument's name."""
    version = one.version.rpartition(" ")[2] if one.simulated else one.version
    return Text(version or "-", no_wrap=True, overflow="ellipsis")


def _latency(latency: Latency | None) -> str:
    """Give the median and the worst, in ms, short enough for any."""
    if latency is None:
        return "-"
    return "/".join(
        f"{each:.1f}" if each < TENTHS_BELOW_MS else f"{each:.0f}"
        for each in (latency.median_ms, latency.worst_ms)
    )


def _services(settings: Settings) -> list[dict[str, Any]]:
    """Look at what `triplet up` starts, and whether the store answers."""
    reports = services.status(services.bench_services(settings), settings.state_dir)
    answers = {"tiled": HttpOk(settings.tiled_port)(settings.log_dir, 0)}
    return [
        {
            "service": report.name,
            "state": report.state,
            "pid": report.pid,
            "address": report.address,
            "answers": answers.get(report.name),
        }
        for report in reports
    ]


def _services_table(helpers: list[dict[str, Any]]) -> Table:
    table = Table(
        "service", "state", "answers", "address", box=box.SIMPLE_HEAD, padding=0
    )
    for helper in helpers:
        answers = {None: "-", True: "yes", False: "no"}[helper["answers"]]
        table.add_row(helper["service"], helper["state"], answers, helper["address"])
    return table


def _advice(
    found: list[Health],
    helpers: list[dict[str, Any]],
    settings: Settings,
    command: str,
) -> list[str]:
    """Say what to do next."""
    told: list[str] = []
    absent = [one.instrument for one in found if one.connection.absent]
    if len(absent) == len(found):
        told.append(
            f"Nothing answers with the prefix {settings.prefix} on port "
            f"{os.environ.get('EPICS_CA_SERVER_PORT', settings.ca_port)} of "
            f"{os.environ.get('EPICS_CA_ADDR_LIST', 'this network')}. "
            f"{command} up starts the simulated bench; for another one set the prefix "
            "and EPICS_CA_ADDR_LIST."
        )
    elif absent:
        told.append(
            f"No IOC answers for {', '.join(absent)}: start it, or look into its log."
        )
    if any(helper["answers"] is False for helper in helpers):
        told.append(
            f"The store does not answer at {settings.tiled_uri}: nothing can be "
            f"recorded until {command} up has started it."
        )
    return told


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


@contextmanager
def _without_noise() -> Generator[None]:
    """Keep what libca writes to the terminal away: it is what is examined here."""
    kept = os.dup(STDERR)
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, STDERR)
    try:
        yield
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)
        os.close(sink)
