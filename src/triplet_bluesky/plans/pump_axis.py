"""The pump axis of an excitation scan: which wavelengths, in which order."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from triplet_bluesky import units
from triplet_bluesky.errors import PlanError

__all__ = ["Order", "PumpUnit", "pump_wavelengths"]

PumpUnit = Literal["nm", "eV"]
Order = Literal["up", "down", "interleaved"]

MAX_POINTS = 100_000
"""Most points that count as intended; more is a step with a slipped digit."""

ROUNDING_NM = 1e-6
"""Wavelengths closer than this are the same point, in nm."""


def pump_wavelengths(
    points: Sequence[float] | None,
    span: tuple[float | None, float | None, float | None],
    unit: PumpUnit,
    order: Order,
) -> list[float]:
    """Work out the pump wavelengths of a scan.

    Parameters
    ----------
    points
        The pump points themselves, or None.
    span
        First point, last point and step, or Nones. The last point is included if the
        step leads to it.
    unit
        Unit of the points, the span and the step: ``"nm"`` (vacuum) or ``"eV"``.
    order
        ``"up"`` and ``"down"`` in wavelength; ``"interleaved"`` takes every second
        point upwards and the others on the way back, so that a drift shows as a comb
        instead of a tilt.

    Returns
    -------
    :
        Vacuum wavelengths in nm, in the order to visit them.

    Raises
    ------
    PlanError
        If the points are not given in exactly one way, or make no scan.

    Examples
    --------
    >>> pump_wavelengths(None, (524.0, 528.0, 1.0), "nm", "interleaved")
    [524.0, 526.0, 528.0, 527.0, 525.0]
    """
    if unit not in ("nm", "eV"):
        msg = f"unit: got {unit!r}, expected 'nm' or 'eV'"
        raise PlanError(msg)
    values = _from_span(span) if points is None else _from_points(points, span)
    if any(not (math.isfinite(value) and value > 0) for value in values):
        msg = f"pump points: got {values}, expected positive finite numbers in {unit}"
        raise PlanError(msg)
    wavelengths = values if unit == "nm" else [units.wavelength_nm(v) for v in values]
    ascending = sorted(float(value) for value in wavelengths)
    gaps = np.diff(ascending)
    if np.any(gaps < ROUNDING_NM):
        twice = ascending[int(np.argmin(gaps))]
        msg = f"pump points: {twice:g} nm is given twice; give each point once"
        raise PlanError(msg)
    return _ordered(ascending, order)


def _from_points(
    points: Sequence[float], span: tuple[float | None, float | None, float | None]
) -> list[float]:
    if any(value is not None for value in span):
        msg = "got points and a span: give either points or start, stop and step"
        raise PlanError(msg)
    if isinstance(points, str) or not len(points):
        msg = f"points: got {points!r}, expected at least one pump point"
        raise PlanError(msg)
    return [float(point) for point in points]


def _from_span(span: tuple[float | None, float | None, float | None]) -> list[float]:
    start, stop, step = span
    if start is None or stop is None or step is None:
        msg = (
            f"got start={start}, stop={stop}, step={step}: "
            "give all three of them, or a list of points"
        )
        raise PlanError(msg)
    if not (all(math.isfinite(value) for value in (start, stop, step)) and step > 0):
        msg = f"step: got {step} from {start} to {stop}, expected a positive step"
        raise PlanError(msg)
    low, high = sorted((start, stop))
    number = math.floor((high - low) / step + 1e-9) + 1
    if number > MAX_POINTS:
        msg = f"{start} to {stop} in steps of {step} are {number} points: too many"
        raise PlanError(msg)
    direction = 1.0 if stop >= start else -1.0
    return [start + direction * step * index for index in range(number)]


def _ordered(ascending: list[float], order: Order) -> list[float]:
    match order:
        case "up":
            return ascending
        case "down":
            return ascending[::-1]
        case "interleaved":
            return ascending[::2] + ascending[1::2][::-1]
    msg = f"order: got {order!r}, expected 'up', 'down' or 'interleaved'"
    raise PlanError(msg)
