"""What the start document of every measurement says."""

from importlib.metadata import version
from typing import Any

from triplet_bluesky.protocols import MicroPLBench

__all__ = ["SCHEMA_VERSION", "common_metadata", "start_metadata"]

SCHEMA_VERSION = "1.0"
"""Version of the layout of the events, ``triplet_schema`` in the start document."""

RECORDED_VERSIONS = ("triplet-bluesky", "bluesky", "ophyd", "numpy", "scipy")
"""Distributions whose version is recorded with each run."""


def common_metadata() -> dict[str, Any]:
    """Gather what the start documents of all measurements have in common.

    Returns
    -------
    :
        A new dictionary.
    """
    return {
        "triplet_schema": SCHEMA_VERSION,
        "wavelength_medium": "vacuum",
        "versions": {name: version(name) for name in RECORDED_VERSIONS},
    }


def start_metadata(
    bench: MicroPLBench,
    *,
    plan_name: str,
    technique: str,
    num_points: int,
    plan_args: dict[str, Any],
    dimension: str,
) -> dict[str, Any]:
    """Gather the metadata of a measurement.

    Parameters
    ----------
    bench
        The instruments.
    plan_name
        Name of the plan.
    technique
        What the field calls the measurement.
    num_points
        Number of points in the stream ``primary``.
    plan_args
        The arguments, as numbers, strings, lists and None.
    dimension
        Field that the measurement is plotted against.

    Returns
    -------
    :
        A new dictionary for the start document.
    """
    return {
        "plan_name": plan_name,
        "plan_args": plan_args,
        "technique": technique,
        "num_points": num_points,
        "num_intervals": num_points - 1,
        "motors": [bench.tunable_filter.name],
        "detectors": [bench.ccd.name, bench.power_control.name],
        "hints": {"dimensions": [[[dimension], "primary"]]},
        **common_metadata(),
    }
