"""How the PVs of an instrument are declared: one function for each kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from caproto.server import PvpropertyInteger, pvproperty

from ioc_sim.channels import (
    Channel,
    ChoiceReadback,
    ChoiceSetPoint,
    IntegerReadback,
    IntegerSetPoint,
    NumberReadback,
    NumberSetPoint,
    PathReadback,
    PathSetPoint,
    TextReadback,
    TextSetPoint,
    WholeNumberSetPoint,
)

__all__ = [
    "Enumerated",
    "Numeric",
    "choice",
    "choice_rbv",
    "integer",
    "integer_rbv",
    "number",
    "number_rbv",
    "path",
    "path_rbv",
    "text",
    "text_rbv",
    "waveform_rbv",
    "whole_number",
]

LONG_TEXT = 256
"""Characters of a text that is read as ``PV$``."""

PATH_LENGTH = 256
"""Characters of a path, as in ADCore."""

ARRAY_BACKLOG = 16
"""Waveforms that wait for a client that reads slowly; the newest are kept."""

_PATH = {"max_length": PATH_LENGTH}

Limits = tuple[float, float]
ChannelT = TypeVar("ChannelT", bound=Channel)


@dataclass(frozen=True)
class Numeric(Generic[ChannelT]):
    """How numbers of one kind are declared."""

    kind: type[ChannelT]
    """DOUBLE or LONG; a set point, or a value that only the instrument writes."""

    def __call__(
        self, name: str, value: float, limits: Limits, units: str, **more: Any
    ) -> pvproperty[ChannelT, Any]:
        """Declare a number.

        Parameters
        ----------
        name
            PV name within the instrument.
        value
            Initial value.
        limits
            Lowest and highest value: others are refused, or are not expected.
        units
            Unit of the value and the limits; of a whole number, what is counted.
        **more
            ``precision`` of a DOUBLE, ``doc``, and ``mirrors``, the driver's record.
        """
        whole = issubclass(self.kind, PvpropertyInteger)
        start = int(value) if whole else float(value)
        return _numeric(self.kind, name, start, limits, units, **more)


@dataclass(frozen=True)
class Enumerated(Generic[ChannelT]):
    """How enums of one kind are declared."""

    kind: type[ChannelT]
    """A set point, or a state that only the instrument writes."""

    def __call__(
        self, name: str, choices: Sequence[str], value: str, **more: Any
    ) -> pvproperty[ChannelT, Any]:
        """Declare an enum.

        Parameters
        ----------
        name
            PV name within the instrument.
        choices
            Its states, from index 0.
        value
            Initial state.
        **more
            ``doc`` and ``mirrors``, the real driver's record.
        """
        return _plain(self.kind, name, value, enum_strings=tuple(choices), **more)


number = Numeric(NumberSetPoint)
"""Declare a floating-point set point."""

number_rbv = Numeric(NumberReadback)
"""Declare a floating-point value that only the instrument writes."""

whole_number = Numeric(WholeNumberSetPoint)
"""Declare a floating-point set point for whole numbers."""

integer = Numeric(IntegerSetPoint)
"""Declare a whole-number set point."""

integer_rbv = Numeric(IntegerReadback)
"""Declare a whole number that only the instrument writes."""

choice = Enumerated(ChoiceSetPoint)
"""Declare an enum set point."""

choice_rbv = Enumerated(ChoiceReadback)
"""Declare an enum that only the instrument writes."""


def waveform_rbv(
    name: str, value: np.ndarray, limits: Limits, units: str, **more: Any
) -> pvproperty[Channel, Any]:
    """Declare an array that only the instrument writes; it keeps its length.

    Parameters
    ----------
    name
        PV name within the instrument.
    value
        Initial values; their type decides between DOUBLE and LONG.
    limits
        Range to show them in.
    units
        Unit of the values.
    **more
        ``precision`` of a DOUBLE, ``doc`` and ``mirrors``, the real driver's record.
    """
    kind = NumberReadback if value.dtype.kind == "f" else IntegerReadback
    more.setdefault("max_length", len(value))
    more["max_subscription_backlog"] = ARRAY_BACKLOG
    return _numeric(kind, name, value, limits, units, **more)


def text(name: str, value: str, **more: Any) -> pvproperty[TextSetPoint, Any]:
    """Declare a short text that clients may write.

    Parameters
    ----------
    name
        PV name within the instrument.
    value
        Initial text.
    **more
        ``doc`` and ``mirrors``, the real driver's record.
    """
    return _plain(TextSetPoint, name, value, **more)


def path(name: str, value: str, **more: Any) -> pvproperty[PathSetPoint, Any]:
    """Declare a text of up to 255 characters, a waveform of CHAR, to be written.

    Parameters
    ----------
    name
        PV name within the instrument.
    value
        Initial text.
    **more
        ``doc`` and ``mirrors``, the real driver's record.
    """
    return _plain(PathSetPoint, name, value, **_PATH, **more)


def path_rbv(name: str, value: str, **more: Any) -> pvproperty[PathReadback, Any]:
    """Declare a text of up to 255 characters that only the instrument writes.

    Parameters
    ----------
    name
        PV name within the instrument.
    value
        Initial text.
    **more
        ``doc`` and ``mirrors``, the real driver's record.
    """
    return _plain(PathReadback, name, value, **_PATH, **more)


def text_rbv(name: str, value: str, **more: Any) -> pvproperty[TextReadback, Any]:
    """Declare a short text that only the instrument writes.

    Parameters
    ----------
    name
        PV name within the instrument.
    value
        Initial text.
    **more
        ``doc`` and ``mirrors``, the real driver's record.
    """
    more["long_string_max_length"] = LONG_TEXT
    return _plain(TextReadback, name, value, **more)


def _numeric(
    kind: type[Channel], name: str, value: Any, limits: Limits, units: str, **more: Any
) -> Any:
    low, high = limits
    scale = {"lower_ctrl_limit": low, "upper_ctrl_limit": high, "units": units}
    scale |= {"lower_disp_limit": low, "upper_disp_limit": high}
    return _plain(kind, name, value, **scale, **more)


def _plain(kind: type[Channel], name: str, value: Any, **more: Any) -> Any:
    read_only = not hasattr(kind, "accept")
    return pvproperty(
        dtype=kind, name=name, value=value, read_only=read_only or None, **more
    )
