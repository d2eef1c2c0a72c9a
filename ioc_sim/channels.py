"""Channels of an instrument: they refuse what it cannot do, and say what and why.

caproto checks values after it has converted them: ``-1`` becomes the last choice of an
enum, NaN becomes an integer, and the limits that come along with a put are taken over.
A set point here looks at what the client sent instead. What it refuses it leaves as it
was, with an INVALID alarm and a text that names the value and the limits.
"""

import math
import time
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from caproto import (
    AccessRights,
    AlarmSeverity,
    AlarmStatus,
    CaprotoError,
    CaprotoValueError,
    ChannelAlarm,
    ChannelType,
    DbrStringArray,
    TimeStamp,
    native_type,
)
from caproto.server import (
    PvpropertyChar,
    PvpropertyDouble,
    PvpropertyEnum,
    PvpropertyInteger,
    PvpropertyString,
)

from ioc_sim.breakable import Breakable

__all__ = [
    "Channel",
    "ChoiceReadback",
    "ChoiceSetPoint",
    "IntegerReadback",
    "IntegerSetPoint",
    "LongTextReadback",
    "NumberReadback",
    "NumberSetPoint",
    "PathReadback",
    "PathSetPoint",
    "Readback",
    "RefusedPutError",
    "SetPoint",
    "TextReadback",
    "TextSetPoint",
    "WholeNumberSetPoint",
]

SHORT_TEXT = 39
"""Characters of a Channel Access string, from its definition as char[40]."""

FAILURES = (CaprotoError, ValueError, TypeError, OverflowError)
"""What a put may raise: a refusal, or a value that cannot be converted."""


class RefusedPutError(CaprotoValueError):
    """An instrument cannot do what a client asked."""


class Channel(Breakable):
    """One PV with an alarm of its own; caproto gives one alarm to a whole group.

    Parameters
    ----------
    mirrors
        The record of the real driver that has this name and meaning.
    """

    group: Any

    def __init__(
        self, *, alarm: ChannelAlarm | None = None, mirrors: str = "", **kwargs: Any
    ) -> None:
        self._own_alarm = ChannelAlarm()
        super().__init__(alarm=self._own_alarm, **kwargs)
        self.mirrors = mirrors

    @property
    def label(self) -> str:
        """Name within the instrument."""
        instrument = self.group
        while instrument.parent is not None:
            instrument = instrument.parent
        return self.pvname.removeprefix(instrument.prefix)

    async def post(self, value: Any) -> None:
        """Write a value that the instrument itself has found, without any check.

        As an EPICS record does, it tells its monitors of a change only.

        Parameters
        ----------
        value
            The value; the string of an enum.
        """
        if self._fill_at_next_write:  # a client's filter wants the moment before
            await self.write(value, verify_value=False)
            return
        value = self.preprocess_value(value)
        changed = self.max_length != 1 or value != self._data["value"]
        self._data["value"] = value
        self._data["timestamp"] = TimeStamp.from_flexible_value(time.time())
        if changed:
            await self.publish(0)

    async def raise_alarm(self, status: AlarmStatus, severity: AlarmSeverity) -> None:
        """Change the alarm and publish it, if it is another one.

        Parameters
        ----------
        status, severity
            What is wrong, and how bad it is.
        """
        alarm = self._own_alarm
        if (alarm.status, alarm.severity) != (status, severity):
            await alarm.write(status=status, severity=severity)


class SetPoint(Channel):
    """A channel that clients may write, after a look at what they sent."""

    async def write_from_dbr(
        self, data: Any, data_type: Any, metadata: Any, *, flags: int = 0
    ) -> None:
        """Take over a client's value, or refuse it; its metadata are ignored.

        Parameters
        ----------
        data
            Values as they came over the wire.
        data_type
            Their type.
        metadata
            Alarm, limits and time by the client, if it sent them.
        flags
            Of the publication.
        """
        if data_type in {ChannelType.PUT_ACKS, ChannelType.PUT_ACKT}:
            await super().write_from_dbr(data, data_type, metadata, flags=flags)
            return
        try:
            value = self.accept(_sent(data, data_type))
            await self.raise_alarm(AlarmStatus.NO_ALARM, AlarmSeverity.NO_ALARM)
            await self.group.forget_error(self)
            await self.write(value, flags=flags)
        except FAILURES as error:
            await self._refuse(str(error) or type(error).__name__)
            msg = f"{self.pvname}: {error}"
            raise RefusedPutError(msg) from error
        except Exception as error:
            # Not foreseen: shown like a refusal; the server logs where it comes from.
            await self._refuse(f"failed, {error!r}")
            raise

    @abstractmethod
    def accept(self, sent: Any) -> Any:
        """Value to write for what was sent; raises if the instrument cannot do it.

        Parameters
        ----------
        sent
            A number or a text.
        """

    async def _refuse(self, text: str) -> None:
        await self.group.report_error(self, f"{self.label}: {text}")
        await self.raise_alarm(AlarmStatus.WRITE, AlarmSeverity.INVALID_ALARM)


def _sent(data: Any, data_type: Any) -> Any:
    """Give the one number or text that a client sent."""
    native = native_type(data_type)
    if native == ChannelType.CHAR and len(data) != 1:
        return bytes(data).split(b"\0", 1)[0].decode("latin-1")
    if len(data) != 1:
        msg = f"got {len(data)} values, expected one"
        raise RefusedPutError(msg)
    if native == ChannelType.STRING:
        return bytes(data[0]).decode("latin-1")
    return data[0].item()


def _number(sent: Any) -> float:
    try:
        value = float(sent)
    except ValueError as error:
        msg = f"got {sent!r}, expected a number"
        raise RefusedPutError(msg) from error
    if not math.isfinite(value):
        msg = f"got {value}, expected a finite number"
        raise RefusedPutError(msg)
    return value


def _whole(value: float) -> float:
    if not value.is_integer():
        msg = f"got {value:g}, expected a whole number"
        raise RefusedPutError(msg)
    return value


class _Limited(SetPoint):
    """A numeric set point; it has limits."""

    units: str
    lower_ctrl_limit: float
    upper_ctrl_limit: float

    def within(self, value: float) -> float:
        """Refuse a value beyond the control limits.

        Parameters
        ----------
        value
            In the unit of the channel.

        Returns
        -------
        :
            The value.
        """
        low, high = self.lower_ctrl_limit, self.upper_ctrl_limit
        if not low <= value <= high:
            msg = f"got {value:g}, limits {low:g}..{high:g} {self.units}"
            raise RefusedPutError(msg)
        return value


class NumberSetPoint(_Limited, PvpropertyDouble[Any]):
    """A DOUBLE that clients may write."""

    def accept(self, sent: Any) -> float:
        """Finite number within the limits.

        Parameters
        ----------
        sent
            A number or its text.
        """
        return self.within(_number(sent))


class WholeNumberSetPoint(NumberSetPoint):
    """A DOUBLE that clients may write, for what is counted: an ao of many drivers."""

    def accept(self, sent: Any) -> float:
        """Whole number within the limits.

        Parameters
        ----------
        sent
            A number or its text.
        """
        return _whole(super().accept(sent))


class IntegerSetPoint(_Limited, PvpropertyInteger[Any]):
    """A LONG that clients may write."""

    def accept(self, sent: Any) -> int:
        """Whole number within the limits.

        Parameters
        ----------
        sent
            A number or its text.
        """
        return int(_whole(self.within(_number(sent))))


class ChoiceSetPoint(SetPoint, PvpropertyEnum[Any]):
    """An ENUM that clients may write."""

    enum_strings: tuple[str, ...]

    def accept(self, sent: Any) -> str:
        """One of the choices, by its text or its index.

        Parameters
        ----------
        sent
            A text, or a whole number from 0.
        """
        choices = self.enum_strings
        if sent in choices:
            return sent
        try:
            index = _number(sent)
        except RefusedPutError:
            index = -1.0
        if index.is_integer() and 0 <= index < len(choices):
            return choices[int(index)]
        msg = f"got {sent!r}, choices {', '.join(choices)}"
        raise RefusedPutError(msg)


class TextSetPoint(SetPoint, PvpropertyString[Any]):
    """A STRING that clients may write."""

    def accept(self, sent: Any) -> str:
        """Text of at most 39 characters.

        Parameters
        ----------
        sent
            A text, or a number to be taken as one.
        """
        return _short_enough(str(sent), SHORT_TEXT)


class _Path(Channel, PvpropertyChar[Any]):
    """A CHAR waveform with a text; an empty one is read as one NUL, as from ADCore."""

    async def _read(self, data_type: Any) -> tuple[Any, Sequence[Any]]:
        metadata, values = await super()._read(data_type)
        if native_type(data_type) == ChannelType.CHAR and len(values) == 0:
            values = b"\0"
        return metadata, values


class PathSetPoint(SetPoint, _Path):
    """A CHAR waveform with a text, a path for example, that clients may write."""

    def accept(self, sent: Any) -> str:
        """Text that the waveform can hold.

        Parameters
        ----------
        sent
            A text; a lone number is the code of one character, 0 of none.
        """
        if isinstance(sent, int):
            sent = bytes([sent % 256]).split(b"\0", 1)[0].decode("latin-1")
        return _short_enough(str(sent), (self.max_length or 1) - 1)


def _short_enough(text: str, most: int) -> str:
    if not text.isascii():
        msg = f"got {text!r}, expected ASCII: clients disagree about other characters"
        raise RefusedPutError(msg)
    if len(text) > most:
        msg = f"got {len(text)} characters, limit {most}"
        raise RefusedPutError(msg)
    return text


class Readback(Channel):
    """A channel that clients may read only."""

    def check_access(self, hostname: str, username: str) -> AccessRights:
        """Rights of any client.

        Parameters
        ----------
        hostname, username
            What the client says of itself.
        """
        return AccessRights.READ


class NumberReadback(Readback, PvpropertyDouble[Any]):
    """A DOUBLE, or a waveform of them, that only the instrument writes."""


class IntegerReadback(Readback, PvpropertyInteger[Any]):
    """A LONG, or a waveform of them, that only the instrument writes."""


class ChoiceReadback(Readback, PvpropertyEnum[Any]):
    """An ENUM that only the instrument writes."""


class LongTextReadback(Readback, PvpropertyChar[Any]):
    """A text of any length as a CHAR waveform."""


class PathReadback(Readback, _Path):
    """A CHAR waveform with a text that only the instrument writes."""


class TextReadback(Readback, PvpropertyString[Any]):
    """A STRING; what does not fit is read from the PV name with ``$`` behind it."""

    async def _read(self, data_type: Any) -> tuple[Any, Sequence[Any]]:
        metadata, values = await super()._read(data_type)
        if isinstance(values, DbrStringArray):
            values = DbrStringArray(text[:SHORT_TEXT] for text in values)
        return metadata, values
