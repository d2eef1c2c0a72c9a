"""Faults of the IOC as a stock client meets them."""

import os
import socket
import threading
import time

import pytest

pytestmark = [pytest.mark.ioc, pytest.mark.timeout(240)]

DEADLINE = 40.0
"""Seconds to wait; libca looks again for a lost PV after ten."""

HOST = "127.0.0.1"
SOON = 0.5
"""Seconds in which an answer that will not come would have come."""


def wait_until(condition, what):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"waited {DEADLINE} s for {what}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def env():
    with socket.create_server((HOST, 0)) as one, socket.create_server((HOST, 0)) as two:
        port, repeater = one.getsockname()[1], two.getsockname()[1]
    return {
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_ADDR_LIST": f"{HOST}:{port}",
        "EPICS_CA_SERVER_PORT": str(port),
        "EPICS_CA_REPEATER_PORT": str(repeater),
    }


@pytest.fixture(scope="module")
def broken_ioc(start_module_ioc, env):
    served = start_module_ioc(
        "--truth",
        "--time-factor",
        "10",
        "--faults",
        "wrong_type=FILTER:Velocity,stray_light=1000",
        prefix=f"FAULT{os.getpid()}:",
        env=env,
    )
    served.wait_until_ready()
    return served


@pytest.fixture(scope="module")
def connected(broken_ioc, start_client, env):
    return start_client(broken_ioc.prefix, env)


@pytest.fixture
def client(connected):
    """A client of an IOC in which nothing is broken, and will not be afterwards."""
    yield connected
    for fault in ("StalePv", "HungPut", "NanReading"):
        assert connected.put(f"SIM:Fault:{fault}", "")
    assert connected.put("SIM:Fault:SlowIoc", 0.0)


@pytest.fixture
def second(broken_ioc, start_client, env):
    return start_client(broken_ioc.prefix, env)


def test_faults_from_the_start_are_shown(client):
    assert client.get("SIM:Fault:StrayLight") == 1000.0
    assert client.get("SIM:Fault:WrongType") == "FILTER:Velocity"


def test_a_number_can_be_a_text(client):
    assert client.type("FILTER:Velocity").endswith("string")
    assert float(client.get("FILTER:Velocity")) > 0


def test_a_fault_that_cannot_be_is_refused(client):
    client.put("SIM:Fault:StalePv", "CRYO:KRDG7")

    assert client.get("SIM:Fault:StalePv") == ""
    said = client.get("SIM:LastError_RBV")
    assert said.startswith("Fault:StalePv: stale_pv: got the PV")


def test_a_stale_pv_stands_still_beside_a_live_one(client):
    client.put("SIM:Fault:StalePv", "IOC:Heartbeat_RBV")
    first, live = client.get("IOC:Heartbeat_RBV"), client.get("LASER:IOC:Heartbeat_RBV")

    wait_until(lambda: client.get("LASER:IOC:Heartbeat_RBV") > live + 1, "two beats")

    assert client.get("IOC:Heartbeat_RBV") == first
    client.put("SIM:Fault:StalePv", "")
    assert client.get("IOC:Heartbeat_RBV") > first


def test_a_bad_reading_is_nan_and_invalid(client):
    client.put("SIM:Fault:NanReading", "CRYO:KRDG1")

    assert client.get("CRYO:KRDG1") != client.get("CRYO:KRDG1")
    assert client.severity("CRYO:KRDG1") == 3
    assert client.severity("CRYO:KRDG0") == 0


def test_a_put_hangs_alone_and_has_no_effect_when_it_ends(client, second):
    before = second.get("POWER:OD")
    client.put("SIM:Fault:HungPut", "POWER:OD")
    ended = threading.Event()

    def put():
        second.put("POWER:OD", 3.0, timeout=DEADLINE)
        ended.set()

    thread = threading.Thread(target=put)
    thread.start()
    assert client.put("FILTER:Wavelength", 530.0)
    assert not ended.wait(SOON)

    client.put("SIM:Fault:HungPut", "")
    assert ended.wait(DEADLINE)
    thread.join()
    assert client.get("POWER:OD") == before
    assert client.put("POWER:OD", 3.5)


def test_a_slow_ioc_answers_late_and_in_order(client):
    client.put("SIM:Fault:SlowIoc", 0.3)

    begin = time.monotonic()
    assert client.put("POWER:OD", 3.0)
    assert client.get("POWER:OD") == 3.0
    assert time.monotonic() - begin >= 0.6


def test_lost_circuits_come_back(client, second):
    boot = second.get("IOC:BootId_RBV")

    client.put("SIM:Fault:LostCircuits", 1, timeout=5)

    wait_until(lambda: second.get("IOC:BootId_RBV") == boot, "the second client")
    wait_until(lambda: client.get("SIM:Fault:LostCircuits") == 0, "the first client")


def test_an_ioc_that_starts_anew_finds_its_hardware_as_it_was_and_the_light_off(
    client, broken_ioc
):
    moved = {"LASER:Level": 80.0, "OBJ:X": 30.0, "ANALYSER:HWP": 45.0}
    for name, value in moved.items():
        assert client.put(name, value)
    client.put("CCD:cam1:AcquireTime", 0.7)
    client.put("CRYO:RAMP_S1", 30.0)
    client.put("CRYO:SETP_S1", 14.0)
    client.put("LASER:Emission", "On")
    client.put("POWER:Shutter", "Open")
    client.put("SIM:Fault:FilterSlip", 0.3)
    client.put("SIM:Fault:StalePv", "IOC:Heartbeat_RBV")
    wait_until(lambda: client.get("CRYO:KRDG1") > 13.5, "14 K")
    boot, then = client.get("IOC:BootId_RBV"), client.get("SIM:SimTime_RBV")

    client.put("SIM:Fault:IocRestart", 1, timeout=5)

    def anew():
        now = client.get("IOC:BootId_RBV")
        return now is not None and now != boot

    wait_until(anew, "another boot id")
    assert client.text("POWER:Shutter_RBV") == "Closed"
    assert client.text("LASER:Emission_RBV") == "Off"
    assert {name: client.get(name) for name in moved} == moved
    assert client.get("OBJ:X.RBV") == pytest.approx(30.0, abs=0.2)
    assert client.get("ANALYSER:HWP.RBV") == 45.0
    assert client.get("CRYO:KRDG1") == pytest.approx(14.0, abs=0.5)
    assert client.get("CRYO:SETP_S1") == 14.0
    assert client.get("CCD:cam1:AcquireTime") != 0.7
    assert client.get("SIM:Fault:FilterSlip") == 0.3
    assert client.get("SIM:Fault:StalePv") == ""
    assert client.get("SIM:Fault:StrayLight") == 1000.0
    assert client.get("SIM:Fault:WrongType") == "FILTER:Velocity"
    assert client.get("SIM:SimTime_RBV") > then
    assert broken_ioc.process.poll() is None
    assert broken_ioc.output.count("ioc_sim: ready") == 2
