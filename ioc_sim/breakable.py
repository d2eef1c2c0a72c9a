"""Channels that can break on the wire while the instrument behind them is sound."""

import asyncio
import copy
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Self

from caproto import (
    AlarmSeverity,
    AlarmStatus,
    CAStatus,
    ChannelAlarm,
    ChannelType,
    SubscriptionType,
)
from caproto.server import PvpropertyData

__all__ = ["Breakable"]

UNREADABLE = ChannelAlarm(status=AlarmStatus.READ, severity=AlarmSeverity.INVALID_ALARM)
"""Alarm of a value that could not be read."""


class Breakable(PvpropertyData[Any]):
    """A channel whose clients can be shown something else than what it holds.

    The instrument goes on with the true value; only what leaves for the clients and
    what arrives from them is broken.
    """

    _frozen: tuple[dict[str, Any], ChannelAlarm] | None = None
    _unreadable = False
    _text = False
    _recovery: asyncio.Event | None = None
    _sound: Self | None = None

    @property
    def sound(self) -> Self:
        """The same channel for who must not notice: the other processes of a bench.

        It has the same value, time and alarm, and subscribers of its own.
        """
        if self._sound is None:
            self._sound = copy.copy(self)
            own = vars(self._sound)
            own.pop("data_type", None)  # of the class again, no text
            own.update(_frozen=None, _unreadable=False, _text=False)
            # As caproto makes them; a copy comes without subscribers.
            own["_queues"] = defaultdict(lambda: defaultdict(lambda: defaultdict(set)))
            own.update(_snapshots=defaultdict(dict), _content={})
        return self._sound

    async def freeze(self) -> None:
        """Stop the updates: clients get today's value, alarm and time from now on."""
        now: Any = self.alarm
        alarm = ChannelAlarm(status=now.status, severity=now.severity)
        self._frozen = (dict(self._data), alarm)

    async def thaw(self) -> None:
        """Update again, with the present value at once."""
        self._frozen = None
        await self._renew()

    async def spoil(self) -> None:
        """Show NaN with an INVALID alarm."""
        self._unreadable = True
        await self._renew()

    async def repair(self) -> None:
        """Show the value again."""
        self._unreadable = False
        await self._renew()

    def become_text(self) -> None:
        """Be a STRING from now on; to be called before a client is connected."""
        self._text = True
        self.data_type = ChannelType.STRING

    def hang(self) -> None:
        """Leave puts without an answer until `recover`."""
        self._recovery = asyncio.Event()

    def recover(self) -> None:
        """Answer the puts that hang, as failed, and the next ones as ever."""
        if self._recovery is not None:
            self._recovery.set()
            self._recovery = None

    async def auth_write(self, *args: Any, **kwargs: Any) -> Any:
        """Write what a client sent, unless puts hang.

        Parameters
        ----------
        *args, **kwargs
            As caproto hands them over.

        Returns
        -------
        :
            Status to answer with; none for success.
        """
        if self._recovery is not None:
            await self._recovery.wait()
            # The value is old by now: nobody expects the instrument to move.
            return CAStatus.ECA_PUTFAIL
        return await super().auth_write(*args, **kwargs)

    async def publish(self, flags: Any) -> None:
        """Send a new value to subscribers, unless updates have stopped.

        Parameters
        ----------
        flags
            What is new.
        """
        if self._frozen is None:
            await super().publish(flags)
        if self._sound is not None:
            await self._sound.publish(flags)

    async def _renew(self) -> None:
        await self.publish(SubscriptionType.DBE_VALUE | SubscriptionType.DBE_ALARM)

    async def _read(self, data_type: Any) -> tuple[Any, Sequence[Any]]:
        true = self._data, self._alarm
        # Nothing below gives way to another task, so nobody else sees the exchange.
        self._data, self._alarm = self._shown()
        try:
            return await super()._read(data_type)
        finally:
            self._data, self._alarm = true

    def _shown(self) -> tuple[dict[str, Any], Any]:
        data, alarm = self._frozen or (self._data, self._alarm)
        if self._unreadable:
            data, alarm = {**data, "value": _like(data["value"], math.nan)}, UNREADABLE
        if self._text:
            data = {**data, "value": _as_text(data["value"])}
        return data, alarm


def _like(value: Any, filler: float) -> Any:
    return filler if _scalar(value) else [filler] * len(value)


def _as_text(value: Any) -> Any:
    return str(value) if _scalar(value) else [str(each) for each in value]


def _scalar(value: Any) -> bool:
    return isinstance(value, str) or not hasattr(value, "__len__")
