"""How the PVs of an instrument are declared: one function for each kind."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from caproto.server import pvproperty

from ioc_sim.channels import (
    Channel,
    ChoiceReadback,
    ChoiceSetPoint,
    IntegerReadback,
    IntegerSetPoint,
    NumberReadback,
    NumberSetPoint,
    TextReadback,
)

__all__ = [
    "choice",
    "choice_rbv",
    "integer",
    "integer_rbv",
    "number",
    "number_rbv",
    "text_rbv",
    "waveform_rbv",
]

LONG_TEXT = 256
"""Characters of a text that is read as ``PV$``."""

ARRAY_BACKLOG = 16
"""Waveforms that wait for a client that reads slowly; the newest are kept."""

Limits = tuple[float, float]


def number(
    name: str, value: float, limits: Limits, units: str, **more: Any
) -> pvproperty[NumberSetPoint, Any]:
    """Declare a floating-point set point.

    Parameters
    ----------
    name
        PV name within the instrument.
    value
        Initial value.
    limits
        Lowest and highest value that is not refused.
    units
        Unit of the value and the limits.
    **more
        ``precision``, ``doc`` and ``mirrors``, the real driver's record.
    """
    return _numeric(NumberSetPoint, name, float(value), limits, units, **more)


def number_rbv(
    name: str, value: float, limits: Limits, units: str, **more: Any
) -> pvproperty[NumberReadback, Any]:
    """Declare a floating-point value that only the instrument writes.

    Parameters
    ----------
    name
        PV name within the instrument.
    value
        Initial value.
    limits
        Range to show it in.
    units
        Unit of the value and the limits.
    **more
        ``precision``, ``doc`` and ``mirrors``, the real driver's record.
    """
    return _numeric(NumberReadback, name, float(value), limits, units, **more)


def integer(
    name: str, value: int, limits: Limits, units: str, **more: Any
) -> pvproperty[IntegerSetPoint, Any]:
    """Declare a whole-number set point.

    Parameters
    ----------
    name
        PV name within the instrument.
    value
        Initial value.
    limits
        Lowest and highest value that is not refused.
    units
        What is counted.
    **more
        ``doc`` and ``mirrors``, the real driver's record.
    """
    return _numeric(IntegerSetPoint, name, int(value), limits, units, **more)


def integer_rbv(
    name: str, value: int, limits: Limits, units: str, **more: Any
) -> pvproperty[IntegerReadback, Any]:
    """Declare a whole number that only the instrument writes.

    Parameters
    ----------
    name
        PV name within the instrument.
    value
        Initial value.
    limits
        Range to show it in.
    units
        What is counted.
    **more
        ``doc`` and ``mirrors``, the real driver's record.
    """
    return _numeric(IntegerReadback, name, int(value), limits, units, **more)


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
    more["max_length"] = len(value)
    more["max_subscription_backlog"] = ARRAY_BACKLOG
    return _numeric(kind, name, value, limits, units, **more)


def choice(
    name: str, choices: Sequence[str], value: str, **more: Any
) -> pvproperty[ChoiceSetPoint, Any]:
    """Declare an enum set point.

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
    return _plain(ChoiceSetPoint, name, value, enum_strings=tuple(choices), **more)


def choice_rbv(
    name: str, choices: Sequence[str], value: str, **more: Any
) -> pvproperty[ChoiceReadback, Any]:
    """Declare an enum that only the instrument writes.

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
    return _plain(ChoiceReadback, name, value, enum_strings=tuple(choices), **more)


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
