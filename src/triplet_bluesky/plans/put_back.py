"""Leave the bench as it was found, however a plan ends."""

import logging
from collections.abc import Sequence
from typing import Any

from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.utils import FailedStatus, MsgGenerator

from triplet_bluesky.errors import BenchError
from triplet_bluesky.protocols import MicroPLBench, Setting

__all__ = ["put_back_wrapper"]

logger = logging.getLogger(__name__)


def put_back_wrapper(
    plan: MsgGenerator[Any], bench: MicroPLBench, settings: Sequence[Setting]
) -> MsgGenerator[Any]:
    """Run a plan; afterwards close the shutter and put settings back.

    Parameters
    ----------
    plan
        The plan to run.
    bench
        The bench, whose shutter is closed first of all.
    settings
        What to put back, in this order.

    Returns
    -------
    :
        What the plan returns.
    """
    before: list[tuple[Setting, Any]] = []
    for setting in settings:
        reading = yield from bps.rd(setting)
        before.append((setting, reading))

    def put_back() -> MsgGenerator[None]:
        yield from _try_set(bench.power_control.shutter, "Closed")
        for setting, value in before:
            yield from _try_set(setting, value)

    return (yield from bpp.finalize_wrapper(plan, put_back))


def _try_set(setting: Setting, value: Any) -> MsgGenerator[None]:
    """Set something back; what fails is logged, so that the rest is still put back."""
    if not getattr(setting, "connected", True):
        logger.error("%s: not connected, not put back to %s", setting.name, value)
        return
    try:
        yield from bps.mv(setting, value)
    except (FailedStatus, BenchError) as error:
        reason = error.__cause__ or error
        logger.error("%s: not put back to %s: %s", setting.name, value, reason)  # noqa: TRY400 - the cause says it all
