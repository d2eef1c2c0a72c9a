"""Which PVs of the bench answer in time, and whether they are what devices expect."""

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ophyd import Device, EpicsSignal, get_cl
from ophyd.signal import EpicsSignalBase

from triplet_bluesky.devices.channels import announce_again
from triplet_bluesky.devices.operation import CONNECTION_ERRORS
from triplet_bluesky.devices.settable import Axis, Choice

__all__ = [
    "Connection",
    "FirstReads",
    "epics_signals",
    "expected_types",
    "instrument_name",
    "survey",
]

LOOK_S = 0.01
"""Seconds between two looks at the signals that are not connected yet."""

PATIENCE_S = 1.5
"""Seconds in which an IOC of usual speed has answered for several hundred PVs."""

READERS = 64
"""Threads that read at once when it has not."""

READ_S = 2.0
"""Longest time for a first read before it is tried again, in seconds."""

STILL_S = 1.0
"""Seconds without a further PV after which those that need not be served are not."""

PVS_NAMED = 8
"""PVs of an instrument that a message names before it only counts."""

NUMBERS = frozenset({"double", "float", "long", "int", "short", "char"})
TEXTS = frozenset({"string", "char"})
ENUM = frozenset({"enum"})

CALLED = {
    NUMBERS: "a number",
    NUMBERS | ENUM: "a number or an enum",
    TEXTS | ENUM: "a text or an enum",
    ENUM: "an enum",
}
"""What a device expects of a PV, by the Channel Access types that do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How the PVs of one instrument answer."""

    instrument: str
    """Its name in the PVs, for example ``CCD``."""
    prefix: str
    """What its PV names begin with, for example ``TRIPLET:CCD:``."""
    total: int
    """PVs that its devices ask for."""
    missing: tuple[str, ...] = ()
    """PVs that nobody serves."""
    silent: tuple[str, ...] = ()
    """PVs that are served, and have not answered the first read in time."""
    unserved: tuple[str, ...] = ()
    """PVs that nobody serves and the devices can do without."""
    read_only: tuple[str, ...] = ()
    """PVs that the devices write and this client may not."""
    wrong_type: tuple[str, ...] = ()
    """PVs of another type than the devices expect, with both types."""

    @property
    def connected(self) -> int:
        """PVs that have answered."""
        return self.total - sum(map(len, (self.missing, self.silent, self.unserved)))

    @property
    def absent(self) -> bool:
        """Whether none of the PVs is served."""
        return len(self.missing) + len(self.unserved) == self.total

    @property
    def sound(self) -> bool:
        """Whether all PVs answer and are what the devices expect."""
        return not (self.missing or self.silent or self.read_only or self.wrong_type)

    @property
    def off(self) -> str:
        """Say what is off because nobody serves it; nothing if all is there.

        Examples
        --------
        >>> Connection(
        ...     instrument="SPEC", prefix="A:SPEC:", total=3, unserved=("A:SPEC:Lamp",)
        ... ).off
        'not served, so what it is for is off: A:SPEC:Lamp'
        """
        if not self.unserved or self.absent:
            return ""
        they = "they are" if self.unserved[1:] else "it is"
        return f"not served, so what {they} for is off: {_named(self.unserved)}"

    def faults(self) -> list[str]:
        """Say what is wrong, one clause for each kind; nothing if all is well.

        Examples
        --------
        >>> Connection(
        ...     instrument="CCD",
        ...     prefix="A:CCD:",
        ...     total=3,
        ...     missing=("A:CCD:X", "A:CCD:Y"),
        ...     read_only=("A:CCD:Z",),
        ... ).faults()
        ['2 of 3 PVs missing: A:CCD:X, A:CCD:Y', '1 PV cannot be written: A:CCD:Z']
        """
        if self.absent:
            return [f"all {self.total} PVs missing, its IOC does not answer"]
        told: list[str] = []
        if self.missing:
            share = f"{len(self.missing)} of {self.total} PVs missing"
            told.append(f"{share}: {_named(self.missing)}")
        for pvs, what in (
            (self.silent, "served, but did not answer a read"),
            (self.read_only, "cannot be written"),
            (self.wrong_type, "of the wrong type"),
        ):
            if pvs:
                count = f"{len(pvs)} PV{'s' if pvs[1:] else ''}"
                told.append(f"{count} {what}: {_named(pvs)}")
        return told


def survey(devices: Iterable[Device], timeout: float) -> list[Connection]:
    """Wait until all PVs answer or the time is up, and say how each instrument does.

    Parameters
    ----------
    devices
        Devices, in the order to report in; those of one PV prefix are one instrument.
    timeout
        Longest time for all PVs together, in seconds.

    Returns
    -------
    :
        One for each instrument.
    """
    instruments: dict[str, list[EpicsSignalBase]] = {}
    for device in devices:
        instruments.setdefault(device.prefix, []).extend(epics_signals(device))
    _wait([s for signals in instruments.values() for s in signals], timeout)
    return [_examine(prefix, signals) for prefix, signals in instruments.items()]


def epics_signals(device: Device) -> Iterator[EpicsSignalBase]:
    """Iterate over all signals of a device that stand for PVs.

    Parameters
    ----------
    device
        The device.

    Yields
    ------
    :
        Each signal; a lazy one is made.
    """
    for walk in device.walk_signals(include_lazy=True):
        if isinstance(walk.item, EpicsSignalBase):
            yield walk.item


def expected_types(owner: type, *, text: bool) -> frozenset[str]:
    """Give the Channel Access types that a signal can work with.

    Parameters
    ----------
    owner
        Class of the device that the signal is part of.
    text
        Whether the signal is declared as a text.

    Returns
    -------
    :
        Native types, for example ``{"enum"}`` for a choice.
    """
    if issubclass(owner, Choice):
        return ENUM
    if text:
        return TEXTS | ENUM
    return NUMBERS if issubclass(owner, Axis) else NUMBERS | ENUM


def instrument_name(prefix: str) -> str:
    """Name an instrument by its PV prefix.

    Examples
    --------
    >>> instrument_name("LAB1:CCD:")
    'CCD'
    """
    return prefix.rstrip(":").rpartition(":")[2]


def _wait(signals: list[EpicsSignalBase], timeout: float) -> None:
    """Wait until all signals are connected, or the time is up.

    Optional PVs count as not served when no further one of them has come for a while.
    """
    start = time.monotonic()
    pause = threading.Event()
    readers = FirstReads(start + timeout)
    left_out, changed = 0, 0.0
    while True:
        passed = time.monotonic() - start
        waiting = [signal for signal in signals if not signal.connected]
        absent = sum(map(_unserved, signals))
        if absent != left_out:
            left_out, changed = absent, passed
        if passed >= timeout:
            return
        if not waiting and (not absent or passed - changed >= STILL_S):
            return
        if passed >= PATIENCE_S:
            readers.take(waiting)
        pause.wait(LOOK_S)


class FirstReads:
    """Many threads that make the first reads of what is served; ophyd has few for it.

    With them an IOC that takes half a second for an answer is slow and not lost. What
    does not answer is read again as long as there is time, and so is what is served
    only now: on a computer that is busy that is no fault.

    Parameters
    ----------
    deadline
        When to give up, in seconds of `time.monotonic`.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._queue: queue.SimpleQueue[EpicsSignalBase] = queue.SimpleQueue()
        self._in_hand: set[EpicsSignalBase] = set()
        self._threads: list[threading.Thread] = []

    def take(self, signals: Iterable[EpicsSignalBase]) -> None:
        """Read those that are served and that nobody reads at the moment.

        Parameters
        ----------
        signals
            What has not answered yet.
        """
        for signal in signals:
            if signal not in self._in_hand and _pv(signal).connected:
                self._in_hand.add(signal)
                self._queue.put(signal)
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        for _ in range(min(self._queue.qsize(), READERS - len(self._threads))):
            thread = get_cl().thread_class(target=self._read, daemon=True)
            thread.start()
            self._threads.append(thread)

    def _read(self) -> None:
        while (left := self._deadline - time.monotonic()) > 0:
            try:
                signal = self._queue.get_nowait()
            except queue.Empty:
                return
            try:
                signal.wait_for_connection(timeout=min(left, READ_S))
            except CONNECTION_ERRORS:
                announce_again(_pv(signal))
                self._in_hand.discard(signal)


def _examine(prefix: str, signals: list[EpicsSignalBase]) -> Connection:
    """Sort the PVs of an instrument by what is wrong with them.

    Two signals may use one PV in different ways; it counts once.
    """
    missing: dict[str, None] = {}
    silent: dict[str, None] = {}
    unserved: dict[str, None] = {}
    read_only: dict[str, None] = {}
    wrong_type: dict[str, None] = {}
    for signal in signals:
        name, pv = signal.pvname, _pv(signal)
        if not pv.connected:
            (unserved if _unserved(signal) else missing)[name] = None
            continue
        served = _served_type(pv)
        expected = expected_types(type(signal.parent), text=signal.as_string)
        if served not in expected:
            wrong_type[f"{name} is {served}, expected {CALLED[expected]}"] = None
        elif isinstance(signal, EpicsSignal) and not pv.write_access:
            read_only[name] = None
        if not signal.connected:
            silent[name] = None
    return Connection(
        instrument=instrument_name(prefix),
        prefix=prefix,
        total=len({signal.pvname for signal in signals}),
        missing=tuple(missing),
        silent=tuple(silent),
        unserved=tuple(unserved),
        read_only=tuple(read_only),
        wrong_type=tuple(wrong_type),
    )


def _unserved(signal: EpicsSignalBase) -> bool:
    """Tell whether a PV is not there and need not be."""
    return bool(getattr(signal, "optional", False)) and not _pv(signal).connected


def _pv(signal: EpicsSignalBase) -> Any:
    """Give the channel of a signal; the control layer keeps one for each name."""
    return signal.cl.get_pv(signal.pvname)


def _served_type(pv: Any) -> str:
    """Give the native type of a channel: ``double`` for ``time_double``."""
    return str(pv.type).rpartition("_")[2]


def _named(pvs: tuple[str, ...]) -> str:
    more = f" and {len(pvs) - PVS_NAMED} more" if pvs[PVS_NAMED:] else ""
    return ", ".join(pvs[:PVS_NAMED]) + more
