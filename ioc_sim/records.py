"""Groups of PVs that are declared by a table instead of one by one."""

import re
import tomllib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import new_class
from typing import Any

import numpy as np
from caproto import AlarmSeverity, AlarmStatus
from caproto.server import pvproperty

from ioc_sim.base import Instrument, Part
from ioc_sim.declare import (
    choice,
    choice_rbv,
    integer,
    integer_rbv,
    number,
    number_rbv,
    path,
    path_rbv,
    text,
    text_rbv,
    waveform_rbv,
)

__all__ = ["Records", "records"]

TABLE = "area_detector.toml"
READ_BACK = "_RBV"
DIGITS = 3
"""Decimal digits of a number whose row does not say."""

Putter = Callable[[Any], Awaitable[Any]]


class Records(Part):
    """A group with records from the table; puts to them are read back.

    Parameters
    ----------
    prefix
        What its PV names begin with.
    parent
        The instrument, which shows its refusals.
    """

    def __init__(self, prefix: str, *, parent: Instrument) -> None:
        super().__init__(prefix, parent=parent)
        self._putters: dict[str, Putter] = {}

    def when_put(self, name: str, putter: Putter) -> None:
        """Have something done for a put, before it is read back.

        Parameters
        ----------
        name
            Name of the set point within the group.
        putter
            Awaited with the new value; raises to refuse it, and may give the value
            that holds instead.
        """
        self._putters[name] = putter

    def record(self, name: str) -> Any:
        """Give a channel by its name within the group.

        Parameters
        ----------
        name
            Name of a record.
        """
        return self.pvdb[self.prefix + name]

    def value(self, name: str) -> Any:
        """Give the value that holds: of the read-back if there is one.

        Parameters
        ----------
        name
            Name of a record, without ``_RBV``.
        """
        read_back = name + READ_BACK
        present = self.prefix + read_back in self.pvdb
        return self.record(read_back if present else name).value

    async def show(self, name: str, value: Any) -> None:
        """Write a read-back; an ENUM may be given by its index.

        Parameters
        ----------
        name
            Name of a record, as it is.
        value
            The value.
        """
        await self.record(name).post(value)

    async def show_rate(self, rate_hz: float) -> None:
        """Show how many frames come, if it is another number.

        Parameters
        ----------
        rate_hz
            Frames per second.
        """
        if self.value("ArrayRate_RBV") != rate_hz:
            await self.show("ArrayRate_RBV", rate_hz)

    async def warn(
        self, name: str, status: AlarmStatus, severity: AlarmSeverity
    ) -> None:
        """Change the alarm of a record.

        Parameters
        ----------
        name
            Name of a record, as it is.
        status, severity
            What is wrong, and how bad it is.
        """
        await self.record(name).raise_alarm(status, severity)

    async def take_over(self, instance: Any, value: Any) -> None:
        """Do what a put asks for and read it back; called by caproto.

        Parameters
        ----------
        instance
            The channel that was put to.
        value
            The value.
        """
        name = instance.pvname.removeprefix(self.prefix)
        holds = value
        if name in self._putters:
            instead = await self._putters[name](value)
            holds = value if instead is None else instead
        read_back: Any = self.pvdb.get(instance.pvname + READ_BACK)
        if read_back is not None and read_back.value != holds:
            await read_back.post(holds)


def records(
    name: str, templates: tuple[str, ...], values: Mapping[str, Any] | None = None
) -> type[Records]:
    """Make a class of groups with all records of some templates.

    Parameters
    ----------
    name
        Name of the class.
    templates
        Tables of ``area_detector.toml``; a later one replaces records of an earlier
        one.
    values
        Values at the start that differ from the table's.

    Returns
    -------
    :
        The class, to be derived from.
    """
    declared: dict[str, pvproperty[Any, Any]] = {}
    for template in templates:
        for record, prop in _declare(template, values or {}):
            declared[_attribute(record)] = prop
    return new_class(name, (Records,), exec_body=lambda space: space.update(declared))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One record, or a set point with its read-back."""

    value: Any
    doc: str
    mirrors: str
    limits: tuple[float, float] = (0.0, 0.0)
    units: str = ""
    digits: int = DIGITS
    states: tuple[str, ...] = ()
    length: int = 0


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files("ioc_sim").joinpath(TABLE).read_text(encoding="utf-8"))


def _declare(
    template: str, values: Mapping[str, Any]
) -> Iterator[tuple[str, pvproperty[Any, Any]]]:
    """Declare all records of a template: their names and properties."""
    table = _table()[template]
    for group, endings in GROUPS.items():
        for pattern, cells in table.get(group, {}).items():
            for stem, own in _expand(pattern, cells):
                for ending, make in endings.items():
                    name = stem + ending
                    value = values.get(name, values.get(stem, own[0]))
                    row = _row(name, [value, *own[1:]], _source(template, name))
                    yield name, make(name, row)


def _expand(pattern: str, cells: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    """Give one row for each of the characters in braces, or the row itself."""
    family = re.fullmatch(r"(.*)\{(\w+)\}(.*)", pattern)
    if family is None:
        yield pattern, cells
        return
    before, members, after = family.groups()
    *rest, doc = cells
    for member in members:
        yield before + member + after, [*rest, doc.replace("{}", member)]


def _source(template: str, name: str) -> str:
    driver = _table()[template]["driver"]
    if driver.startswith("none"):
        return driver
    return f"{driver} {template.partition(':')[0]} {name}"


def _row(name: str, cells: list[Any], mirrors: str) -> _Row:
    match cells:
        case [str() as value, str() as doc]:
            return _Row(value=value, doc=doc, mirrors=mirrors)
        case [str() as value, int() as length, str() as doc]:
            return _Row(value=value, doc=doc, mirrors=mirrors, length=length)
        case [str() as value, [*states], str() as doc]:
            return _Row(value=value, doc=doc, mirrors=mirrors, states=tuple(states))
        case [str() as value, [*states], [*shown], str() as doc]:
            states = shown if name.endswith(READ_BACK) else states
            return _Row(value=value, doc=doc, mirrors=mirrors, states=tuple(states))
        case [value, [low, high], units, doc, *digits]:
            return _Row(
                value=value,
                limits=(low, high),
                units=units,
                doc=doc,
                mirrors=mirrors,
                digits=digits[0] if digits else DIGITS,
            )
    msg = f"{TABLE}: {name} has the row {cells}, which is none of those described"
    raise ValueError(msg)


def _set_point(name: str, row: _Row) -> Any:
    more = {"doc": row.doc, "mirrors": row.mirrors, "put": _take_over}
    if isinstance(row.value, str):
        if row.states:
            return choice(name, row.states, row.value, **more)
        return (path if row.length else text)(name, row.value, **more)
    if isinstance(row.value, int):
        return integer(name, row.value, row.limits, row.units, **more)
    more["precision"] = row.digits
    return number(name, row.value, row.limits, row.units, **more)


def _reading(name: str, row: _Row) -> Any:
    more: dict[str, Any] = {"doc": row.doc, "mirrors": row.mirrors}
    if isinstance(row.value, str):
        if row.states:
            return choice_rbv(name, row.states, row.value, **more)
        return (path_rbv if row.length else text_rbv)(name, row.value, **more)
    if isinstance(row.value, list):
        array = np.array(row.value, dtype=np.int32)
        return waveform_rbv(name, array, row.limits, row.units, **more)
    if isinstance(row.value, int):
        return integer_rbv(name, row.value, row.limits, row.units, **more)
    more["precision"] = row.digits
    return number_rbv(name, row.value, row.limits, row.units, **more)


GROUPS: dict[str, dict[str, Callable[[str, _Row], Any]]] = {
    "settings": {"": _set_point, READ_BACK: _reading},
    "controls": {"": _set_point},
    "mirrored": {"": _reading, READ_BACK: _reading},
    "readings": {"": _reading},
}
"""How the records of a group are made, by what their names end with."""


async def _take_over(group: Records, instance: Any, value: Any) -> None:
    await group.take_over(instance, value)


def _attribute(name: str) -> str:
    return re.sub(r"\W", "_", name)
