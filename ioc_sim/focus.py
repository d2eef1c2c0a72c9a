"""How well the focus of the objective meets a crystal: eq. 8 of the bench's model."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ioc_sim.sample import Spot

__all__ = ["Overlap", "overlaps"]

FloatArray = npt.NDArray[np.float64]


class Overlap(NamedTuple):
    """How well the focus meets each of some crystals."""

    pump: FloatArray
    """Shares of the pump's intensity that reach them."""
    collection: FloatArray
    """Shares of their emission that are collected."""


def overlaps(offsets_um: npt.ArrayLike, spot: Spot) -> Overlap:
    r"""Shares of pump and emission for crystals beside the focus.

    .. math::

        g = f\, e^{-\ln 2\,(2r/D_e)^4}, \quad c = f\, e^{-4\ln 2\,(r/D_c)^2}, \quad
        f = \frac{1}{1+(dz/3\,\mu m)^2}

    A flat-topped pump spot, a Gaussian collected one, and one focal depth for both.

    Parameters
    ----------
    offsets_um
        Focus minus crystal along x, y, z; shape ``(n, 3)`` or ``(3,)``.
    spot
        Sizes of the spots and depth of the focus.

    Returns
    -------
    :
        The shares; shapes ``(n,)`` or ``()``.
    """
    dx, dy, dz = np.asarray(offsets_um, dtype=float).T
    square = dx**2 + dy**2
    focus = 1 / (1 + (dz / spot.depth) ** 2)
    half = math.log(2)
    pump = np.exp(-half * (4 / spot.diameter**2 * square) ** 2)
    collection = np.exp(-4 * half / spot.collection**2 * square)
    return Overlap(focus * pump, focus * collection)
