"""The programs that run beside a session: the IOCs and the Tiled server."""

from triplet_bluesky.services.bench import (
    bench_services,
    epics_environment,
    free_port,
    ioc_service,
    tiled_service,
)
from triplet_bluesky.services.control import Report, down, running, status, up
from triplet_bluesky.services.service import AllOf, HttpOk, LogLine, Service

__all__ = [
    "AllOf",
    "HttpOk",
    "LogLine",
    "Report",
    "Service",
    "bench_services",
    "down",
    "epics_environment",
    "free_port",
    "ioc_service",
    "running",
    "status",
    "tiled_service",
    "up",
]
