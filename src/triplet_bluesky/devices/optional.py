"""PVs that an IOC need not serve: what belongs to them is then off."""

import math
import time
from typing import Any

from ophyd import EpicsSignal, EpicsSignalRO
from ophyd.signal import EpicsSignalBase

__all__ = ["OptionalSignal", "OptionalSignalRO"]

GRACE_S = 2.0
"""Seconds after which a PV that has not answered since its signal was made counts as
not served; an IOC of usual speed answers for several hundred PVs in less."""


class MayBeAbsent(EpicsSignalBase):
    """A PV without which its device works.

    If the IOC does not serve it, reading gives `default`. A default that says something
    is recorded, with a source that tells what it is; one that says nothing (NaN, no
    text) is left out of the documents. A PV that has been there once is not optional
    any more: it is an error if it goes away.

    Parameters
    ----------
    read_pv
        Name of the PV.
    default
        What stands for its value if nobody serves it, in its unit.
    default_units
        Unit of the default.
    """

    optional = True
    """What tells these signals from the others."""

    def __init__(
        self,
        read_pv: str,
        *args: Any,
        default: Any = math.nan,
        default_units: str = "",
        **kwargs: Any,
    ) -> None:
        self.default = default
        self.default_units = default_units
        self._made = time.monotonic()
        self._seen = False
        super().__init__(read_pv, *args, **kwargs)

    @property
    def connected(self) -> bool:
        """Whether nothing needs to be waited for: it answers, or nobody serves it."""
        if self._answers() or self._destroyed:
            return bool(super().connected)
        return time.monotonic() - self._made > GRACE_S

    @property
    def served(self) -> bool:
        """Whether the IOC serves it; a new signal first waits for an answer."""
        left = self._made + GRACE_S - time.monotonic()
        if not self._answers() and left > 0 and not self._destroyed:
            pv: Any = self._read_pv
            pv.wait_for_connection(timeout=left)
        return self._answers()

    @property
    def recorded(self) -> bool:
        """Whether there is something to record."""
        default = self.default
        return self.served or not (default == "" or default != default)  # noqa: PLR0124 - NaN

    @property
    def hints(self) -> dict[str, Any]:
        """What one would plot: nothing, if there is nothing."""
        return super().hints if self.recorded else {"fields": []}

    def get(self, **kwargs: Any) -> Any:
        """Read the PV, or give the default if nobody serves it."""
        return super().get(**kwargs) if self.served else self.default

    def read(self) -> dict[str, Any]:
        """Give the value with its time, if there is one."""
        if self.served:
            return super().read()
        if not self.recorded:
            return {}
        return {self.name: {"value": self.default, "timestamp": time.time()}}

    def describe(self) -> dict[str, Any]:
        """Describe the value, if there is one."""
        if not self.recorded:
            return {}
        description = super().describe()
        if not self.served:
            key = description[self.name]
            key["source"] = f"default:{self.pvname}"
            key["units"] = self.default_units
        return description

    def _answers(self) -> bool:
        """Tell whether it has ever been there."""
        pv: Any = getattr(self, "_read_pv", None)
        self._seen = self._seen or (pv is not None and pv.connected)
        return self._seen


class OptionalSignalRO(MayBeAbsent, EpicsSignalRO):
    """A PV to read, which the IOC need not serve."""


class OptionalSignal(MayBeAbsent, EpicsSignal):
    """A PV to write, which the IOC need not serve."""
