"""Long work in short turns: the event loop answers its clients in between.

Work is a generator that yields wherever it may be left for a while and returns its
result. What it works out does not depend on where it was left.
"""

import asyncio
import time
from collections.abc import Generator
from typing import TypeVar

__all__ = ["Work", "do_at_once", "do_in_turns"]

Result = TypeVar("Result")

Work = Generator[None, None, Result]
"""Work that may be left wherever it yields."""

TURN = 0.005
"""Real seconds of work after which the event loop gets its turn: a tenth of the period
at which motions are told."""


def do_at_once(work: Work[Result]) -> Result:
    """Do all of a work; nobody else gets a turn.

    Parameters
    ----------
    work
        The work.

    Returns
    -------
    :
        Its result.

    Examples
    --------
    >>> def count():
    ...     yield
    ...     return 2
    >>> do_at_once(count())
    2
    """
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


async def do_in_turns(work: Work[Result]) -> Result:
    """Do a work while the event loop does other things too.

    Parameters
    ----------
    work
        The work.

    Returns
    -------
    :
        Its result.
    """
    turn_ends = time.monotonic() + TURN
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value
        if time.monotonic() >= turn_ends:
            await asyncio.sleep(0)
            turn_ends = time.monotonic() + TURN
