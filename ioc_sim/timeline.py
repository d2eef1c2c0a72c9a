"""Parts of an interval that one state of the bench stands for."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ioc_sim.history import History, Piece

__all__ = ["LONGEST_PART", "MOST_PARTS", "Part", "cut"]

FloatArray = npt.NDArray[np.float64]

Part = tuple[float, float]
"""Start and end, in simulated seconds."""

LONGEST_PART = 10.0
"""Longest part that one expected rate stands for, s: the laser drifts by 0.2 % in that
time."""

MOST_PARTS = 800
"""Parts into which a time of `LONGEST_PART` is cut for the motions in it, beside those
that begin or end there: at 0.3 ms each they take 2 % of that time."""


def cut(
    start_s: float,
    end_s: float,
    steps: Mapping[History, float],
    drifts: Mapping[History, float] | None = None,
    *,
    most: int = MOST_PARTS,
) -> list[Part]:
    """Cut an interval where an axis bends, and finely where it moves.

    Between two bends all parts are equally long. An axis that moves very far in a short
    time is cut more coarsely than its step.

    Parameters
    ----------
    start_s, end_s
        The interval, in simulated seconds; it has passed.
    steps
        The axes, each with a change in one part whose curvature hardly shows.
    drifts
        What changes without bends that matter, likewise.
    most
        Parts for the motions in each `LONGEST_PART`.

    Returns
    -------
    :
        The parts in the order of time; none if the interval is empty.
    """
    if end_s <= start_s:
        return []
    moving = _moving(start_s, end_s, steps)
    drifting = _moving(start_s, end_s, drifts or {})
    if not (moving or drifting or end_s - start_s > LONGEST_PART):
        return [(start_s, end_s)]
    bends = {piece.start_s for pieces, _ in moving for piece in pieces}
    cuts = np.array(sorted({start_s, *bends, end_s}))
    long = np.diff(cuts) / LONGEST_PART
    travelled = np.zeros(long.size)
    for pieces, step in moving + drifting:
        np.maximum(travelled, _travel(cuts, pieces) / step, out=travelled)
    limit = most * max((end_s - start_s) / LONGEST_PART, 1.0)
    travelled *= min(limit / max(travelled.sum(), 1.0), 1.0)
    counts = np.ceil(np.maximum(np.maximum(travelled, long), 1.0)).astype(int).tolist()
    edges = [start_s]
    for (a, b), count in zip(pairwise(cuts.tolist()), counts, strict=True):
        edges += [b] if count == 1 else np.linspace(a, b, count + 1)[1:].tolist()
    return [(a, b) for a, b in pairwise(edges) if b > a]


def _moving(
    start_s: float, end_s: float, steps: Mapping[History, float]
) -> list[tuple[list[Piece], float]]:
    """Give the pieces and the step of each axis that is not at rest all the time."""
    every = [
        (axis.pieces(start_s, end_s), step)
        for axis, step in steps.items()
        if not axis.rests(start_s)
    ]
    return [
        (pieces, step)
        for pieces, step in every
        if len(pieces) > 1 or pieces[0].first != pieces[0].last
    ]


def _travel(cuts: FloatArray, pieces: Sequence[Piece]) -> FloatArray:
    """Give how far an axis moves between cuts, steps at a time not counted."""
    times = [pieces[0].start_s, *(piece.end_s for piece in pieces)]
    travelled = np.cumsum([0.0, *(abs(piece.last - piece.first) for piece in pieces)])
    return np.diff(np.interp(cuts, times, travelled))
