"""A frame on its way from the camera to the plugins."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["EPICS_EPOCH", "NDArray"]

EPICS_EPOCH = 631_152_000
"""Start of EPICS time, 1990-01-01 UTC, in seconds of Unix time; EPICS base."""

NANO = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NDArray:
    """Pixels, and what is known about them."""

    pixels: npt.NDArray[np.uint16]
    """Counts in ADU; shape ``(rows, columns)``."""
    unique_id: int
    """Number of the frame since the IOC started."""
    time_stamp_s: float
    """Start of the exposure, in seconds of the camera's clock."""
    attributes: Mapping[str, float | int | str]
    """How it was taken."""
    unix_ns: int = field(default_factory=time.time_ns)
    """When it was read out, by the clock of the computer."""

    @property
    def epics_seconds(self) -> int:
        """Whole seconds since 1990 at which it was read out."""
        return self.unix_ns // NANO - EPICS_EPOCH

    @property
    def epics_nanoseconds(self) -> int:
        """Nanoseconds of that second."""
        return self.unix_ns % NANO
