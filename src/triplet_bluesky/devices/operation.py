"""One operation of a device: sequential work in its own thread, with a status.

Channel Access completion tells that a put was processed, not that it was obeyed, and no
client layer reports a refusal. So what a device does is written as ordinary code that
puts, waits, reads back afresh and compares; it runs in a thread of its own and its end,
good or bad, is the end of the status that the RunEngine waits for.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from epics.ca import ChannelAccessException, ChannelAccessGetFailure
from ophyd import Device, EpicsSignal, get_cl
from ophyd.ophydobj import OphydObject
from ophyd.signal import EpicsSignalBase
from ophyd.status import DeviceStatus
from ophyd.utils import DisconnectedError

from triplet_bluesky.errors import BenchError, ConnectError, DeviceError, MoveError

__all__ = [
    "CONNECTION_ERRORS",
    "Halt",
    "await_completion",
    "issue",
    "label",
    "put_and_complete",
    "read_fresh",
    "run_operation",
]

CONNECTION_ERRORS = (
    DisconnectedError,
    TimeoutError,
    ChannelAccessException,
    ChannelAccessGetFailure,
)
"""What ophyd and pyepics raise when an IOC is gone or does not answer."""

CONNECTION_CHECK_S = 0.05
"""Seconds between looks at the connection while a completion is awaited."""


def label(obj: OphydObject) -> str:
    """Name a device or signal in words of the session: ``tunable_filter.wavelength``.

    Parameters
    ----------
    obj
        Device or signal.

    Returns
    -------
    :
        The name of the root device and the dotted path below it.
    """
    return ".".join(part for part in (obj.root.name, obj.dotted_name) if part)


class Halt:
    """The stop of one operation, which neither gets lost nor outlives it.

    A stop may overtake the move that it is meant for: then the move must not begin.

    Attributes
    ----------
    excused
        Whether the operation counts as finished although it did not get there: it will
        be repeated, because the RunEngine has paused.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = False
        self.excused = False

    def stop(self, *, success: bool) -> None:
        """Let the operation put nothing any more; the first stop decides how it ends.

        A plan that is aborted while it pauses stops its devices once more.

        Parameters
        ----------
        success
            Whether it is excused; Bluesky stops devices with True when it pauses.
        """
        with self._lock:
            self.excused = self.excused or (success and not self._stopped)
            self._stopped = True

    def issue(self, signal: EpicsSignal, value: float | str) -> threading.Event:
        """Put a value without waiting, unless stopped before.

        Parameters
        ----------
        signal
            Where to put.
        value
            What to put, in the unit of the PV.

        Returns
        -------
        :
            Set when the IOC has processed the put.

        Raises
        ------
        MoveError
            If the stop came first.
        """
        with self._lock:
            self.check(signal, value)
            return issue(signal, value)

    def check(self, signal: EpicsSignal, value: float | str) -> None:
        """Raise if the operation was stopped.

        Parameters
        ----------
        signal, value
            What it was about to do, for the message.

        Raises
        ------
        MoveError
            If the stop came.
        """
        if self._stopped:
            msg = f"{label(signal)}: stopped before it was put to {value}"
            raise MoveError(msg)


def run_operation(device: Device, work: Callable[[], None], halt: Halt) -> DeviceStatus:
    """Start sequential work of a device and return the status of its end.

    Parameters
    ----------
    device
        The device that works; the status belongs to it.
    work
        What to do. It may block; whatever it raises becomes the status' exception.
    halt
        How it is stopped.

    Returns
    -------
    :
        Finished when ``work`` has returned. Every wait inside ``work`` has a time limit
        of its own that says what it waited for, so the status has none. If it fails,
        the device was stopped before; a stop that came later would hit what is done
        next.
    """
    status = DeviceStatus(device, call_stop_on_failure=False)

    def fail(error: Exception) -> None:
        try:
            device.stop()
        except Exception:
            device.log.exception("%s: cannot be stopped after a failure", label(device))
        status.set_exception(error)

    def run() -> None:
        try:
            work()
        except BenchError as error:
            if halt.excused:
                status.set_finished()
            else:
                fail(error)
        except CONNECTION_ERRORS as error:
            msg = f"{label(device)}: the IOC does not answer ({error})"
            failure = ConnectError(msg)
            failure.__cause__ = error
            fail(failure)
        except Exception as error:  # noqa: BLE001 - every failure must reach the status
            msg = f"{label(device)}: {type(error).__name__}: {error}"
            failure = DeviceError(msg)
            failure.__cause__ = error
            fail(failure)
        else:
            status.set_finished()

    get_cl().thread_class(
        target=run, name=f"operation of {label(device)}", daemon=True
    ).start()
    return status


def issue(signal: EpicsSignal, value: float | str) -> threading.Event:
    """Put a value without waiting.

    Parameters
    ----------
    signal
        Where to put.
    value
        What to put, in the unit of the PV.

    Returns
    -------
    :
        Set when the IOC has processed the put.
    """
    done = threading.Event()
    signal.put(value, use_complete=True, callback=lambda **_: done.set())
    return done


def await_completion(
    signal: EpicsSignal, done: threading.Event, value: float | str, timeout: float
) -> None:
    """Wait until the IOC has processed a put.

    Parameters
    ----------
    signal
        Where it was put.
    done
        What `issue` gave.
    value
        What was put, for the message of an error.
    timeout
        Longest time to wait, in seconds.

    Raises
    ------
    ConnectError
        If the IOC goes away while it works.
    MoveError
        If the IOC does not report completion in time.
    """
    deadline = time.monotonic() + timeout
    while not done.wait(CONNECTION_CHECK_S):
        if not signal.connected:
            msg = (
                f"{label(signal)}: lost the connection to {signal.setpoint_pvname} "
                f"while it was going to {value}; is the IOC running?"
            )
            raise ConnectError(msg)
        if time.monotonic() > deadline:
            msg = (
                f"{label(signal)}: {signal.setpoint_pvname} did not complete the put "
                f"of {value} within {timeout:g} s"
            )
            raise MoveError(msg)


def put_and_complete(signal: EpicsSignal, value: float | str, timeout: float) -> None:
    """Put a value and wait until the IOC has processed it.

    Parameters
    ----------
    signal
        Where to put.
    value
        What to put, in the unit of the PV.
    timeout
        Longest time to wait, in seconds.

    Raises
    ------
    ConnectError
        If the IOC goes away while it works.
    MoveError
        If the IOC does not report completion in time.
    """
    await_completion(signal, issue(signal, value), value, timeout)


def read_fresh(signal: EpicsSignalBase) -> Any:
    """Read a PV by a Channel Access get, never from a monitor that may lag behind.

    Parameters
    ----------
    signal
        What to read.

    Returns
    -------
    :
        The present value.
    """
    return signal.get(use_monitor=False)
