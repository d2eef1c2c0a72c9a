"""The fields of a motor record: how they are declared, and those that only show."""

from collections.abc import Callable
from enum import IntFlag
from typing import Any, TypeVar

from ioc_sim.base import Part
from ioc_sim.channels import NumberSetPoint
from ioc_sim.declare import (
    choice,
    integer_rbv,
    number,
    number_rbv,
    text_rbv,
)

__all__ = [
    "MotorFields",
    "MotorStatus",
    "Position",
    "record_field",
    "record_flag",
    "record_position",
]

DeclaredT = TypeVar("DeclaredT")

PRECISION = 4
ANY = (-360.0, 360.0)
"""Limits before the settings are known."""

FLAG = (0, 1)
DRIVER = "motorRecord"

LONGEST_ACCELERATION = 10.0
"""Upper limit of ACCL, s; chosen."""


class MotorStatus(IntFlag):
    """Bits of MSTA that the simulation sets, as the record numbers them."""

    DIRECTION = 1 << 0
    """The last move went up, in dial coordinates."""
    DONE = 1 << 1
    """No move is under way."""
    PLUS_LS = 1 << 2
    """The high limit switch is on."""
    HOME = 1 << 3
    """The home switch is on."""
    SLIP_STALL = 1 << 6
    """The motor was commanded and the encoder did not follow."""
    MOVING = 1 << 10
    """The encoder moves."""
    MINUS_LS = 1 << 13
    """The low limit switch is on."""
    HOMED = 1 << 14
    """The position refers to the home mark."""


class Position(NumberSetPoint):
    """A position to go to, or to be called so: a name is not bound by limits."""

    def within(self, value: float) -> float:
        """Refuse a target beyond the limits, but not in SET mode.

        Parameters
        ----------
        value
            In the unit of the position.
        """
        return value if self._is_a_name else super().within(value)

    async def verify_value(self, value: Any) -> Any:
        """Hand a value on to the putter, a name without a look at the limits.

        Parameters
        ----------
        value
            In the unit of the position.
        """
        if self._is_a_name and self.putter is not None:
            return await self.putter(self, value)
        return await super().verify_value(value)

    @property
    def _is_a_name(self) -> bool:
        return self.group.set.value == "Set"


def record_field(
    declare: Callable[..., DeclaredT], name: str, *args: Any, **more: Any
) -> DeclaredT:
    """Declare a field of the record; VAL is the record's own name.

    Parameters
    ----------
    declare
        From `ioc_sim.declare`.
    name
        Name of the field.
    *args, **more
        What ``declare`` takes besides name and ``mirrors``.
    """
    suffix = "" if name == "VAL" else f".{name}"
    return declare(suffix, *args, mirrors=f"{DRIVER} {name}", **more)


def record_position(
    declare: Callable[..., DeclaredT], name: str, value: float = 0, **more: Any
) -> DeclaredT:
    """Declare a field that is a position, as `record_field` does."""
    return record_field(declare, name, value, ANY, "deg", precision=PRECISION, **more)


def record_flag(
    declare: Callable[..., DeclaredT], name: str, value: int = 0, **more: Any
) -> DeclaredT:
    """Declare a field that is 0 or 1, as `record_field` does."""
    return record_field(declare, name, value, FLAG, "bool", **more)


class MotorFields(Part):
    """Read-backs and parameters: what takes a put takes it without further ado."""

    rbv = record_position(number_rbv, "RBV", doc="Position now")
    drbv = record_position(number_rbv, "DRBV", doc="Position by the dial now")
    twv = record_position(number, "TWV", 1, doc="Distance of a tweak")
    dmov = record_flag(integer_rbv, "DMOV", 1, doc="1 when the move is done")
    movn = record_flag(integer_rbv, "MOVN", doc="1 while it moves")
    lvio = record_flag(integer_rbv, "LVIO", doc="1 if the last put was beyond a limit")
    velo = record_field(
        number, "VELO", 50, (0.1, 200), "deg/s", precision=PRECISION, doc="Speed"
    )
    accl = record_field(
        number,
        "ACCL",
        0,
        (0, LONGEST_ACCELERATION),
        "s",
        precision=2,
        doc="Time to full speed",
    )
    egu = record_field(text_rbv, "EGU", "deg", doc="Unit of the position")
    prec = record_field(
        integer_rbv, "PREC", PRECISION, (0, 15), "digits", doc="Decimals to show"
    )
    foff = record_field(
        choice,
        "FOFF",
        ("Variable", "Frozen"),
        "Variable",
        doc="Whether SET and DIR may change OFF; Frozen: puts in SET mode are refused",
    )
    set = record_field(
        choice,
        "SET",
        ("Use", "Set"),
        "Use",
        doc="Set: puts to VAL, RLV and the tweaks say where it is and change OFF; "
        "nothing moves",
    )
    hls = record_flag(integer_rbv, "HLS", doc="1 at the high limit switch")
    lls = record_flag(integer_rbv, "LLS", doc="1 at the low limit switch")
    athm = record_flag(integer_rbv, "ATHM", doc="1 at the home mark")
    miss = record_flag(integer_rbv, "MISS", doc="1 if the last move did not arrive")
    msta = record_field(
        integer_rbv,
        "MSTA",
        MotorStatus.DONE.value,
        (0, 2**15 - 1),
        "bits",
        doc="Status bits: 0 up, 1 done, 2 high switch, 3 home switch, 6 stalled, "
        "10 moving, 13 low switch, 14 homed",
    )
    tdir = record_flag(
        integer_rbv, "TDIR", 1, doc="1 if the last move went up on the dial"
    )
