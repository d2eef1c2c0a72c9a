"""Channels that several users share, and the defects upstream that are mended for them.

A canary that fails is good news: what ``devices/channels.py`` mends there can go.
"""

import signal
import subprocess
import sys
import threading

import epics
import pytest
from ophyd import EpicsSignalRO, get_cl
from ophyd._pyepics_shim import PyepicsShimPV

from triplet_bluesky.devices import IocStatus
from triplet_bluesky.devices.channels import ChannelPV, announce_again

pytestmark = pytest.mark.ioc

TIMEOUT = 20.0

UNCONNECTED = -1
"""Type that libca gives of a channel before it is connected."""

SHARED = """
import gc, sys, epics
if sys.argv[2] == "mended":
    import triplet_bluesky.devices
from ophyd import EpicsSignalRO
names = [sys.argv[1] + name for name in ("CRYO:SETP_S1", "OBJ:X.RBV", "FILTER:Stop")]
for _ in range(5):
    signals = [EpicsSignalRO(name, name="one") for name in names]
    for signal in signals:
        signal.wait_for_connection(20)
    for name in names:
        assert epics.PV(name).get(timeout=20) is not None
    for signal in signals:
        signal.destroy()
    gc.collect()
"""
"""Other PV objects of the same names outlive ophyd's and are then collected."""

AGAIN = """
import gc, sys, epics
from triplet_bluesky.devices import Bench
for connects in (True, False, True):
    bench = Bench.from_prefix(sys.argv[1])
    if connects:
        bench.connect(60)
    reading = epics.PV(sys.argv[1] + "CCD:cam1:Acquire_RBV")
    assert reading.get(timeout=20) is not None
    bench.disconnect()
    gc.collect()
    assert reading.get(timeout=20, use_monitor=False) is not None
"""
"""A bench is given up and made again, also while it connects."""


def run(script, *arguments):
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_giving_a_signal_up_leaves_the_other_pvs_of_its_channel_alone(ioc):
    done = run(SHARED, ioc.prefix, "mended")

    assert (done.returncode, done.stderr) == (0, "")


def test_ophyd_frees_a_channel_that_other_pvs_use(ioc):
    """Else drop ``_release_pvs``."""
    assert run(SHARED, ioc.prefix, "as it is").returncode == -signal.SIGSEGV


def test_a_bench_is_given_up_and_made_again_without_a_word(ioc):
    done = run(AGAIN, ioc.prefix)

    assert "Exception" not in done.stderr
    assert "Error" not in done.stderr
    assert done.returncode == 0


@pytest.fixture
def connects_midway(monkeypatch):
    """Let PVs connect while their ``__init__`` finds out their type."""
    connected = threading.Event()
    field_type = epics.ca.field_type

    def slow(chid):
        asked_for = threading.current_thread() is threading.main_thread()
        if asked_for and not connected.is_set():
            assert connected.wait(TIMEOUT)
            return UNCONNECTED
        return field_type(chid)

    monkeypatch.setattr(epics.ca, "field_type", slow)
    return connected


def type_of(kind, name, connected):
    pv = kind(name, connection_callback=lambda **_: connected.set())
    try:
        return pv.type
    finally:
        pv._reference_count = 1
        get_cl().release_pvs(pv)


def test_a_pv_that_connects_at_once_knows_its_type(ioc, connects_midway):
    name = f"{ioc.prefix}CRYO:HeLevel_RBV"

    assert type_of(ChannelPV, name, connects_midway) == "time_double"


def test_pyepics_forgets_the_type_of_a_pv_that_connects_at_once(ioc, connects_midway):
    """Else drop ``ChannelPV.__init__``."""
    name = f"{ioc.prefix}CRYO:HeLevel_RBV"

    assert type_of(PyepicsShimPV, name, connects_midway) == "unknown"


def test_pyepics_does_not_tell_who_asks_while_a_pv_connects(ioc, monkeypatch):
    """Else drop ``announce_again``."""
    name = f"{ioc.prefix}CRYO:Vacuum_RBV"
    late = []
    read_rights = PyepicsShimPV.force_read_access_rights

    def ask_meanwhile(pv):
        if pv.pvname == name and not late:
            late.append(EpicsSignalRO(name, name="late"))
        read_rights(pv)

    monkeypatch.setattr(PyepicsShimPV, "force_read_access_rights", ask_meanwhile)
    first = EpicsSignalRO(name, name="first")
    first.wait_for_connection(TIMEOUT)

    with pytest.raises(TimeoutError):
        late[0].wait_for_connection(1.0)
    announce_again(first._read_pv)
    late[0].wait_for_connection(TIMEOUT)

    for one in (first, *late):
        one.destroy()


def test_units_limits_and_time_of_a_new_pv_come_by_themselves(ioc):
    ioc_status = IocStatus(f"{ioc.prefix}IOC:", name="ioc")
    ioc_status.wait_for_connection(timeout=TIMEOUT)

    assert ioc_status.version.timestamp
    assert ioc_status.simulated.enum_strs == ("No", "Yes")
    ioc_status.destroy()
