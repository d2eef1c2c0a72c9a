"""Readings of any detectors, with light on the sample only while they look."""

import functools
import math
from collections.abc import Sequence
from typing import Any

from bluesky import plan_stubs as bps
from bluesky import plans as bp
from bluesky.utils import MsgGenerator, plan, separate_devices

from triplet_bluesky.errors import PlanError
from triplet_bluesky.plans.exposure import expose
from triplet_bluesky.plans.metadata import common_metadata
from triplet_bluesky.plans.put_back import dark_after_failure_wrapper
from triplet_bluesky.protocols import MicroPLBench

__all__ = ["count_light"]


@plan
def count_light(
    bench: MicroPLBench,
    detectors: Sequence[Any],
    num: int | None = 1,
    delay: float = 0.0,
    *,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Take readings of detectors, with the shutter open only while they look.

    As Bluesky's ``count``, but for each reading the shutter opens, the detectors are
    triggered together, and the shutter closes when the last of them is done, before
    they are read. It is closed, too, whenever the plan fails, pauses or is aborted.
    Pump, dose and detectors stay as they are set.

    Parameters
    ----------
    bench
        The instruments.
    detectors
        What is triggered and read: ``ccd``, ``ccd_images``, ``tcspc``; what only is
        read, such as ``cryostat``; ``power_control``, which measures the dose.
    num
        Number of readings; None goes on until it is stopped.
    delay
        Time from the start of a reading to that of the next, in s, if they are not
        longer.
    md
        Metadata to add to the start document.

    Returns
    -------
    :
        The uid of the run.

    Raises
    ------
    PlanError
        If an argument is not possible; raised before any message.
    """
    detectors = list(detectors)
    _check(detectors, num, delay)
    metadata = {
        "plan_name": "count_light",
        "plan_args": {
            "detectors": [detector.name for detector in detectors],
            "num": num,
            "delay": delay,
        },
        **common_metadata(),
    }

    # One less than readings, for `count` waits after the last one, too:
    delays = delay if num is None else [delay] * (num - 1)
    # Bluesky's type of it has an argument that `count` never hands over:
    shot: Any = functools.partial(_shot, bench)
    return (
        yield from bp.count(
            detectors, num, delays, per_shot=shot, md={**metadata, **(md or {})}
        )
    )


def _shot(bench: MicroPLBench, detectors: Sequence[Any]) -> MsgGenerator[None]:
    """Expose the detectors and record what they have seen."""
    devices = separate_devices(detectors)
    yield from bps.checkpoint()
    yield from dark_after_failure_wrapper(expose(bench, devices), bench, devices)
    yield from bps.create("primary")
    for device in devices:
        yield from bps.read(device)
    yield from bps.save()


def _check(detectors: Sequence[Any], num: int | None, delay: float) -> None:
    """Refuse what cannot be counted."""
    if not detectors:
        msg = "detectors: got none, expected one or more, for example [ccd]"
        raise PlanError(msg)
    if num is not None and (num < 1 or num % 1):
        msg = f"num: got {num}, expected 1, 2, 3, ... or None"
        raise PlanError(msg)
    if not (math.isfinite(delay) and delay >= 0):
        msg = f"delay: got {delay} s, expected 0 or more"
        raise PlanError(msg)
