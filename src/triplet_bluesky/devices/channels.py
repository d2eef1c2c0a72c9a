"""Channels of the bench, without the faults that ophyd and pyepics have with them.

pyepics has one channel for each PV name, which all its PV objects of that name share;
ophyd makes PV objects in one thread while another tells them that they are connected.
Both go wrong now and then, and more often on a busy computer. What is mended here, and
the tests that tell when it is no longer needed, is in decision 24.
"""

import threading
import time
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import epics
from epics import ca
from epics.ca import ChannelAccessException, ChannelAccessGetFailure
from ophyd import Device, get_cl
from ophyd._pyepics_shim import PyepicsShimPV, release_pvs
from ophyd.signal import EpicsSignalBase

__all__ = ["ChannelPV", "announce_again", "mend_control_layer", "release"]

LOOK_S = 0.01
"""Seconds between two looks for an answer."""

REST_S = 1.0
"""Longest wait for ophyd's threads to leave the PVs that are given up, in seconds."""

FORMS = ("time", "ctrl")
"""The reads that ophyd makes of each PV first."""

GIVEN_UP = (RuntimeError, ChannelAccessException, ChannelAccessGetFailure)
"""What a read of a PV ends with when it is given up meanwhile."""


class ChannelPV(PyepicsShimPV):
    """A PV that knows its type from the start, and can be given up at any time.

    What ophyd reads of each PV first is asked for as soon as the PV is connected, and
    not one after the other: the answers are there when ophyd's few threads come for
    them.

    Parameters
    ----------
    pvname
        Name of the PV.
    """

    def __init__(self, pvname: str, *args: Any, **kwargs: Any) -> None:
        self.given_up = False
        self.users = 0
        self._changing_hands = threading.Lock()
        super().__init__(pvname, *args, **kwargs)
        # pyepics sets the type here and when the channel connects; if that happens
        # between its two steps here, it overwrites the right type with "unknown"
        if ca.isConnected(self.chid):
            self.ftype = self._type(self.form)
            known: Any = self._args
            known["type"] = str(epics.dbr.Name(self.ftype)).lower()

    def get_all_metadata_callback(self, callback: Any, *, timeout: float) -> None:
        """Ask for units, limits and time; one of ophyd's threads then calls back.

        Parameters
        ----------
        callback
            Called with the name and what was read.
        timeout
            Longest time for each of the reads, in seconds.
        """
        with self._in_use() as open_channel:
            if not open_channel:
                return
            for form in FORMS:
                kind = self._type(form)
                ca.get_with_metadata(self.chid, ftype=kind, count=1, wait=False)
        super().get_all_metadata_callback(callback, timeout=timeout)

    def get_all_metadata_blocking(self, timeout: float) -> Any:
        """Read units, limits and time.

        Parameters
        ----------
        timeout
            Longest time for each of the reads, in seconds.

        Returns
        -------
        :
            All that is known of the PV but its value; nothing if it was given up.

        Raises
        ------
        TimeoutError
            If there is no answer in time.
        """
        known: Any = self._args
        with self._in_use() as open_channel:
            if open_channel:
                for form in FORMS:
                    known.update(self._answer(self._type(form), timeout))
                self.force_read_access_rights()
        return {key: value for key, value in known.items() if key != "value"}

    def add_callback(self, *args: Any, **kwargs: Any) -> Any:
        """Call back with each change from now on; not at all if it was given up."""
        with self._in_use() as open_channel:
            return super().add_callback(*args, **kwargs) if open_channel else None

    def give_up(self) -> bool:
        """Use the channel for nothing new any more.

        Returns
        -------
        :
            Whether nothing in another thread still uses it.
        """
        with self._changing_hands:
            self.given_up = True
            return not self.users

    @contextmanager
    def _in_use(self) -> Generator[bool]:
        """Keep the channel open meanwhile; tells whether it still is."""
        with self._changing_hands:
            open_channel = not self.given_up
            self.users += 1
        try:
            yield open_channel
        except GIVEN_UP:
            if not self.given_up:
                raise
        finally:
            with self._changing_hands:
                self.users -= 1

    def _answer(self, kind: int, timeout: float) -> dict[str, Any]:
        """Give the answer to what was asked, or ask now."""
        entry = ca.get_cache(self.pvname)
        if self.given_up or entry is None:
            return {}
        (asked,) = entry.get_results[kind]
        if asked is None or isinstance(asked, Exception):
            ca.get_with_metadata(self.chid, ftype=kind, count=1, wait=False)
        ca.flush_io()
        deadline, pause = time.monotonic() + timeout, threading.Event()
        # the wait of pyepics keeps the interpreter busy, and so the answer away
        while entry.get_results[kind][0] is ca.GET_PENDING and not self.given_up:
            if time.monotonic() > deadline:
                message = f"{self.pvname} has not answered within {timeout:g} s"
                raise TimeoutError(message)
            pause.wait(LOOK_S)
        if self.given_up:
            return {}
        answer = ca.get_complete_with_metadata(
            self.chid, ftype=kind, count=1, timeout=timeout
        )
        return {key: one for key, one in (answer or {}).items() if key != "value"}

    def _type(self, form: str) -> int:
        """Give the type of a read: ``"time"`` for the time, ``"ctrl"`` for limits."""
        return ca.promote_type(
            self.chid, use_ctrl=form == "ctrl", use_time=form == "time"
        )


def mend_control_layer() -> None:
    """Let ophyd use all this, for every device that is made or given up from now on."""
    epics.pv.default_pv_class = ChannelPV
    get_cl().release_pvs = _release_pvs


def announce_again(pv: Any) -> None:
    """Tell the signals of a connected PV once more that it is connected.

    A second signal of a PV that is asked for while the PV connects is not told by
    pyepics, and would wait for ever. Who knows already takes no harm.

    Parameters
    ----------
    pv
        The channel of the signals.
    """
    if not pv.connected:
        return
    for callback in list(pv.connection_callbacks):
        callback(pvname=pv.pvname, conn=True, pv=pv)
    for callback in list(pv.access_callbacks):
        callback(pv.read_access, pv.write_access, pv=pv)


def release(devices: Iterable[Device]) -> None:
    """Give up all PVs of some devices, after the last read of them has ended.

    Parameters
    ----------
    devices
        The devices, connected or not; they cannot be used any more.
    """
    every = list(devices)
    ours = Counter(pv for device in every for pv in map(_Same, _pvs(device)))
    for same, count in ours.items():
        if same.pv._reference_count == count:  # noqa: SLF001 - no public name
            _give_up(same.pv)
    at_rest = threading.Event()
    dispatcher: Any = get_cl().get_dispatcher()
    dispatcher.schedule_utility_task(at_rest.set)
    at_rest.wait(REST_S)
    for device in every:
        device.destroy()


class _Same:
    """A PV as an item to count; pyepics takes two PVs of one channel for equal."""

    def __init__(self, pv: Any) -> None:
        self.pv = pv

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.pv is other.pv

    def __hash__(self) -> int:
        return id(self.pv)


def _pvs(device: Device) -> Iterable[Any]:
    """Give the PVs of all signals of a device, as often as they are used."""
    for walk in device.walk_signals(include_lazy=False):
        if isinstance(walk.item, EpicsSignalBase):
            for use in ("_read_pv", "_write_pv"):
                if (pv := getattr(walk.item, use, None)) is not None:
                    yield pv


def _release_pvs(*pvs: Any) -> None:
    """Do as ophyd does, but close no channel that somebody else still uses."""
    for pv in pvs:
        last = pv._reference_count == 1  # noqa: SLF001 - no public name
        if last and pv.chid is not None and not (_give_up(pv) and _alone(pv)):
            _detach(pv)
        release_pvs(pv)


def _give_up(pv: Any) -> bool:
    """Give a PV up, and tell whether nothing uses it, as far as it knows."""
    return pv.give_up() if isinstance(pv, ChannelPV) else True


def _alone(pv: Any) -> bool:
    """Tell whether no other PV uses the channel of a PV.

    libca frees the subscriptions with the channel, so another one would crash the
    process when it ends its own.
    """
    entry = _channel(pv)
    return entry is None or all(_owner(one) is pv for one in entry.callbacks)


def _detach(pv: Any) -> None:
    """Let a PV go, and its channel stay open."""
    entry = _channel(pv)
    if entry is not None:
        for called in (entry.callbacks, entry.access_event_callback):
            called[:] = [one for one in called if _owner(one) is not pv]
    pv._clear_auto_monitor_subscription()  # noqa: SLF001 - no public name
    pv.chid = None


def _channel(pv: Any) -> Any:
    """Give what pyepics knows of the channel of a PV."""
    if ca.current_context() is None:
        ca.use_initial_context()
    return ca.get_cache(pv.pvname)


def _owner(callback: Any) -> Any:
    """Give the object that a callback is a method of."""
    return getattr(callback, "__self__", None)
