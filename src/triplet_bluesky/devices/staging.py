"""Settings that a device makes for a run, and puts back after it."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from ophyd import Device

from triplet_bluesky.devices.operation import CONNECTION_ERRORS, label
from triplet_bluesky.devices.settable import Settable
from triplet_bluesky.errors import BenchError, ConnectError

__all__ = ["Staged", "answering"]

SETTLE_S = 10.0
"""Longest time for a setting to be taken."""


class Staged:
    """What a device has set since it was staged, and what was set before.

    Parameters
    ----------
    device
        Who sets it.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._before: list[tuple[Settable, Any]] = []

    def set(self, setting: Settable, value: Any) -> None:
        """Set until unstaging.

        Parameters
        ----------
        setting
            What to set.
        value
            What to, in the unit of the setting.

        Raises
        ------
        ConnectError
            If the IOC does not answer.
        MoveError
            If the value is not taken.
        """
        with answering(setting):
            self._before.append((setting, setting.position))
            _make(setting, value)

    def put_back(self) -> None:
        """Put back what was set before, the last one first.

        It is what is left to do after a run, good or bad: what fails is logged, so that
        it hides no reason of a failure. An IOC that is gone is asked once.
        """
        before, self._before = self._before, []
        while before:
            setting, value = before.pop()
            try:
                with answering(setting):
                    _make(setting, value)
            except BenchError as error:
                self._device.log.error(  # noqa: TRY400 - the reason is in the message
                    "%s: %s is not put back to %s: %s",
                    label(self._device),
                    label(setting),
                    value,
                    error,
                )
                if isinstance(error, ConnectError):
                    break
        if before:
            rest = ", ".join(f"{label(one)} to {value}" for one, value in before)
            self._device.log.error("%s: not put back: %s", label(self._device), rest)


@contextmanager
def answering(device: Device) -> Generator[None]:
    """Name the device in the error of an IOC that is gone or does not answer.

    Parameters
    ----------
    device
        What is read or set within.

    Raises
    ------
    ConnectError
        Instead of what ophyd and pyepics raise.
    """
    try:
        yield
    except CONNECTION_ERRORS as error:
        msg = f"{label(device)}: the IOC does not answer ({error})"
        raise ConnectError(msg) from error


def _make(setting: Settable, value: Any) -> None:
    """Bring a setting to a value, if it is not there already."""
    if not setting.agrees(value, setting.position):
        setting.set(value).wait(SETTLE_S)
