"""A value that a device derives from its instrument, recorded beside its PVs."""

import math
from typing import Any

from ophyd import Device, Signal
from ophyd.ophydobj import OphydObject
from ophyd.status import Status

__all__ = ["Derived", "PositionView", "View", "no_offset"]


class Derived(Signal):
    """A value that the device writes and everybody else only reads.

    Parameters
    ----------
    units
        Unit of the value, recorded with it.
    precision
        Digits after the decimal point that are worth showing.
    dims
        Names of the dimensions of an array.
    """

    def __init__(
        self,
        *,
        units: str,
        precision: int | None = None,
        dims: tuple[str, ...] = (),
        value: Any = math.nan,
        **kwargs: Any,
    ) -> None:
        super().__init__(value=value, **kwargs)
        self.units = units
        self.precision = precision
        self.dims = dims

    def get(self, **kwargs: Any) -> Any:
        """Give the value that was written last."""
        return super().get(**kwargs)

    def set(self, value: Any, **_: Any) -> Status:
        """Write the value; nothing has to move for it."""
        self.put(value)
        status = Status(self)
        status.set_finished()
        return status

    def describe(self) -> dict[str, Any]:
        """Describe the value with its unit, precision and named dimensions."""
        description = super().describe()
        key = description[self.name]
        key["units"] = self.units
        key["source"] = f"derived:{self.name}"
        if self.precision is not None:
            key["precision"] = self.precision
        if self.dims:
            key["dims"] = list(self.dims)
            key["dtype_numpy"] = self.get().dtype.str
        return description


class PositionView(Derived):
    """The position of the device it belongs to, worked out whenever it is read."""

    def get(self, **kwargs: Any) -> Any:
        """Work out the position of the device now."""
        positioner: Any = self.parent
        self.put(positioner.position)
        return super().get(**kwargs)


class View(Device):
    """Another way to state and to set an axis of its parent."""

    @property
    def user_offset(self) -> Derived:
        """The offset that Bluesky's ``%wa`` shows; a view has none."""
        return no_offset(self)


def no_offset(obj: OphydObject) -> Derived:
    """Give the offset of something that has none.

    Parameters
    ----------
    obj
        A positioner.

    Returns
    -------
    :
        A value of zero.
    """
    return Derived(name=f"{obj.name}_user_offset", units="", value=0.0)
