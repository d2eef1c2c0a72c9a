"""The two services of the bench: the simulated IOCs and the Tiled server.

They are named as programs to run, never imported: the IOCs may be real ones elsewhere.
Everything they open is on the loopback interface.
"""

import contextlib
import socket
import sys

from triplet_bluesky.errors import ServiceError
from triplet_bluesky.services.service import AllOf, HttpOk, LogLine, Service
from triplet_bluesky.settings import Settings

__all__ = [
    "bench_services",
    "epics_environment",
    "free_port",
    "ioc_service",
    "tiled_service",
]

LOOPBACK = "127.0.0.1"

MAX_ARRAY_BYTES = 16_777_216
"""Bytes; longest Channel Access message, room for a 2048 x 1024 frame of doubles."""


def epics_environment(settings: Settings) -> dict[str, str]:
    """Return the variables with which Channel Access stays on this machine.

    They must be in ``os.environ`` before ophyd or pyepics is first imported, which
    reads them once.

    Parameters
    ----------
    settings
        Gives the ports.

    Returns
    -------
    dict
        For clients (``EPICS_CA_``) and for the IOC (``EPICS_CAS_``).
    """
    server, repeater = str(settings.ca_port), str(settings.ca_repeater_port)
    return {
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_ADDR_LIST": LOOPBACK,
        "EPICS_CA_SERVER_PORT": server,
        "EPICS_CA_REPEATER_PORT": repeater,
        "EPICS_CA_MAX_ARRAY_BYTES": str(MAX_ARRAY_BYTES),
        "EPICS_CAS_INTF_ADDR_LIST": LOOPBACK,
        "EPICS_CAS_SERVER_PORT": server,
        "EPICS_CAS_BEACON_ADDR_LIST": LOOPBACK,
        "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_CAS_BEACON_PORT": repeater,
    }


def ioc_service(
    settings: Settings, *, truth: bool = False, faults: str = ""
) -> Service:
    """Describe the simulated bench.

    Parameters
    ----------
    settings
        Gives prefix, ports, seed, time factor and sample.
    truth
        Whether it serves the ``SIM:`` PVs: faults to switch, and what is behind it.
    faults
        What is broken from the start, ``"filter_slip=0.3,shutter_stuck"``; the bench
        itself checks it.

    Returns
    -------
    Service
        Ready when it says that it serves its PVs.
    """
    options = {
        "--prefix": settings.prefix,
        "--seed": str(settings.seed),
        "--time-factor": repr(settings.time_factor),
        "--interfaces": LOOPBACK,
    }
    if settings.sample is not None:
        options["--sample"] = str(settings.sample)
    if faults:
        options["--faults"] = faults
    arguments = [text for option in options.items() for text in option]
    if truth:
        arguments.append("--truth")
    return Service(
        name="ioc",
        argv=(sys.executable, "-u", "-m", "ioc_sim", *arguments),
        environment=epics_environment(settings),
        log=settings.log_dir / "ioc.log",
        ready=LogLine("ioc_sim: ready"),
        address=f"{settings.prefix} on {LOOPBACK}:{settings.ca_port}",
    )


def tiled_service(settings: Settings) -> Service:
    """Describe the Tiled server.

    Parameters
    ----------
    settings
        Gives its port and directory.

    Returns
    -------
    Service
        Ready when it says so and its health page answers.
    """
    options = {
        "--data-dir": str(settings.tiled_dir),
        "--frames-dir": str(settings.frames_dir),
        "--port": str(settings.tiled_port),
        "--key-file": str(settings.api_key_file),
    }
    arguments = (text for option in options.items() for text in option)
    module = "triplet_bluesky.storage.server"
    return Service(
        name="tiled",
        argv=(sys.executable, "-u", "-m", module, *arguments),
        log=settings.log_dir / "tiled.log",
        # The line first: on a taken port somebody else's health page might answer.
        ready=AllOf((LogLine("tiled: ready"), HttpOk(settings.tiled_port))),
        address=settings.tiled_uri,
    )


def bench_services(
    settings: Settings, *, truth: bool = False, faults: str = ""
) -> list[Service]:
    """Describe all that a session needs beside itself.

    Parameters
    ----------
    settings
        Of the bench.
    truth, faults
        Of the simulated bench, as in `ioc_service`.

    Returns
    -------
    list of Service
        The slowest to start first.
    """
    return [tiled_service(settings), ioc_service(settings, truth=truth, faults=faults)]


def free_port() -> int:
    """Return a port of the loopback interface that is free for TCP and for UDP.

    It is free now, and another program may take it before it is used: a service that
    finds it taken refuses to start and says so.

    Returns
    -------
    int
        Number of the port.

    Raises
    ------
    ServiceError
        The machine has none left.
    """
    for _ in range(100):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind((LOOPBACK, 0))
            port = tcp.getsockname()[1]
            with contextlib.suppress(OSError):
                udp.bind((LOOPBACK, port))
                return int(port)
    msg = "got no port that is free for TCP and UDP in 100 tries; close other programs"
    raise ServiceError(msg)
