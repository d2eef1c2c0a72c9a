"""Leave the bench dark and as it was found, however a plan ends."""

import logging
from collections.abc import Sequence
from typing import Any

from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.protocols import Stoppable
from bluesky.utils import FailedStatus, MsgGenerator

from triplet_bluesky.errors import BenchError
from triplet_bluesky.protocols import MicroPLBench, Setting

__all__ = ["dark_after_failure_wrapper", "put_back_wrapper"]

logger = logging.getLogger(__name__)

CLOSED = "Closed"
PUT_BACK = "put-back"
"""Group of the messages that put something back."""

PATIENCE = 5
"""Failures of others that may arrive while one setting is being put back."""


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
        yield from _end_exposure([bench.ccd])
        yield from _try_set(bench.power_control.shutter, CLOSED)
        for setting, value in before:
            yield from _try_set(setting, value)
        yield from _confirm_closed(bench.power_control.shutter)

    return (yield from bpp.finalize_wrapper(plan, put_back))


def dark_after_failure_wrapper(
    plan: MsgGenerator[Any], bench: MicroPLBench, detectors: Sequence[Any]
) -> MsgGenerator[Any]:
    """Run an exposure; if it fails or is aborted, end it and close the shutter.

    Parameters
    ----------
    plan
        The exposure, which closes the shutter by itself when all goes well.
    bench
        The bench, whose shutter is closed.
    detectors
        What the exposure triggers.

    Returns
    -------
    :
        What the plan returns.
    """

    def go_dark(_: Exception) -> MsgGenerator[None]:
        yield from _end_exposure(detectors)
        yield from _try_set(bench.power_control.shutter, CLOSED)
        yield from _confirm_closed(bench.power_control.shutter)

    return (yield from bpp.contingency_wrapper(plan, except_plan=go_dark))


def _end_exposure(detectors: Sequence[Any]) -> MsgGenerator[None]:
    """Stop the detectors, which nothing else does: they were triggered, not set."""
    for detector in detectors:
        if isinstance(detector, Stoppable):
            yield from _stop(detector)


def _stop(detector: Any) -> MsgGenerator[None]:
    for _ in range(PATIENCE):
        try:
            yield from bps.stop(detector)
            yield from bps.null()
        except (FailedStatus, BenchError) as error:
            logger.debug("%s while %s was being stopped", error, detector.name)
        else:
            return


def _try_set(setting: Setting, value: Any) -> MsgGenerator[None]:
    """Set something back; what fails is logged, so that the rest is still put back.

    The RunEngine hands a plan the failure of any status at the next message, so what
    arrives here may be somebody else's: then this one is tried again.
    """
    if not getattr(setting, "connected", True):
        logger.error("%s: not connected, not put back to %s", setting.name, value)
        return
    reason: BaseException | None = None
    for _ in range(PATIENCE):
        status = None
        try:
            status = yield from bps.abs_set(setting, value, group=PUT_BACK)
            yield from bps.wait(PUT_BACK)
        except FailedStatus as error:
            reason = error.__cause__ or error
            if status is not None and status in error.args:
                break
        except BenchError as error:
            reason = error
            break
        else:
            return
    logger.error("%s: not put back to %s: %s", setting.name, value, reason)


def _confirm_closed(shutter: Setting) -> MsgGenerator[None]:
    """Look whether the shutter is closed; if not, say so and close it blindly."""
    try:
        state = yield from bps.rd(shutter, default_value=CLOSED)
    except Exception as error:  # noqa: BLE001 - whatever hides the state of the shutter
        state = f"unknown ({error})"
    if state != CLOSED:
        logger.critical(
            "%s: state %s after the plan: make sure that no light reaches the sample",
            shutter.name,
            state,
        )
        yield from bps.stop(shutter)
