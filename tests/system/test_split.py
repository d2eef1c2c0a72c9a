"""Groups of the bench in processes of their own, which come and go."""

import os
import re
import signal
import socket
import threading
import time
from datetime import UTC, datetime
from math import isnan

import pytest

pytestmark = [pytest.mark.ioc, pytest.mark.timeout(240)]

DEADLINE = 40.0
"""Seconds to wait; libca looks again for a lost PV after ten."""

HOST = "127.0.0.1"
SLOW = 5.0
"""Delay of a slow IOC, s: longer than a process of the bench takes to notice."""
GROUPS = {
    "light": "laser,tunable_filter",
    "power": "power_control",
    "rest": "analyser,objective,cryostat,spectrometer,ccd,ioc,sim",
}


def free_ports(count):
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_until(condition, what):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"waited {DEADLINE} s for {what}"
        time.sleep(0.05)


class Split:
    """A bench in three processes, each on a port of its own, and a client of all."""

    prefix = f"SPLIT{os.getpid()}:"

    def __init__(self, start_ioc, start_client):
        *ports, repeater = free_ports(len(GROUPS) + 1)
        self.ports = dict(zip(GROUPS, ports, strict=True))
        self.env = {
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "EPICS_CA_ADDR_LIST": " ".join(f"{HOST}:{port}" for port in ports),
            "EPICS_CA_REPEATER_PORT": str(repeater),
        }
        self.epoch = datetime.now(UTC).isoformat()
        self.start_ioc = start_ioc
        self.processes = {}
        for name in GROUPS:
            self.processes[name] = self.launch(name)
        for each in self.processes.values():
            each.wait_until_ready()
        self.start_client = start_client
        self.client = start_client(self.prefix, self.env)

    def launch(self, name, *options, port=None):
        env = self.env | {"EPICS_CAS_SERVER_PORT": str(port or self.ports[name])}
        common = ("--time-factor", "10", "--epoch", self.epoch, "--seed", "5")
        serve = ("--serve", GROUPS[name], "--truth")
        return self.start_ioc(*serve, *common, *options, prefix=self.prefix, env=env)

    def start(self, name):
        self.processes[name] = self.launch(name)
        self.processes[name].wait_until_ready()

    def kill(self, name):
        self.processes[name].process.send_signal(signal.SIGKILL)
        self.processes[name].process.wait(DEADLINE)

    def set(self, **values):
        for name, value in values.items():
            pv = name.replace("__", ":")
            wait_until(lambda pv=pv, value=value: self.client.put(pv, value), pv)

    def switch_on(self):
        self.set(
            LASER__Level=100.0,
            LASER__Emission="On",
            FILTER__Wavelength=526.0,
            POWER__OD=0.0,
            POWER__Shutter="Open",
        )

    def light(self):
        """Counts of one frame above its dark level."""
        assert self.client.put("CCD:cam1:Acquire", 1)
        frame = self.client.get("CCD:image1:ArrayData")
        return sum(frame) - len(frame) * sorted(frame)[len(frame) // 20]


@pytest.fixture(scope="module")
def all_three(start_module_ioc, start_client):
    return Split(start_module_ioc, start_client)


@pytest.fixture
def split(all_three):
    all_three.set(
        POWER__Shutter="Closed",
        CCD__cam1__ImageMode="Single",
        CCD__cam1__AcquireTime=0.2,
    )
    return all_three


BRIGHT, DARK = 30_000, 10_000
"""Counts of a frame that has light for sure, and of one that has none."""


def test_light_goes_through_all_processes(split):
    wait_until(lambda: split.light() < DARK, "darkness")

    split.switch_on()
    bright = split.light()
    assert bright > BRIGHT

    split.set(POWER__OD=1.0)
    assert 0 < split.light() < bright / 2


def test_the_pick_off_meter_sees_the_laser_of_another_process(split):
    split.switch_on()
    split.set(POWER__Meter__Measure="Measure")

    assert split.client.get("POWER:Meter:Power_RBV") > 0.1


def test_killing_the_power_control_closes_the_shutter_and_the_rest_serve_on(split):
    split.switch_on()
    assert split.light() > BRIGHT

    split.kill("power")

    wait_until(lambda: split.light() < DARK, "the closed shutter")
    assert split.client.text("LASER:Emission_RBV") == "On"
    assert split.client.get("CRYO:KRDG1") == pytest.approx(4.0, abs=0.5)

    split.start("power")
    wait_until(lambda: split.client.text("POWER:Shutter_RBV") == "Closed", "it")
    assert split.light() < DARK
    split.switch_on()
    wait_until(lambda: split.light() > BRIGHT, "light")


def test_killing_the_laser_switches_it_off(split):
    split.switch_on()
    assert split.light() > BRIGHT

    split.kill("light")

    wait_until(lambda: split.light() < DARK, "darkness")
    assert split.client.text("POWER:Shutter_RBV") == "Open"

    split.start("light")
    split.switch_on()
    wait_until(lambda: split.light() > BRIGHT, "light")


def test_a_camera_that_starts_anew_finds_the_bench_as_it_is(split):
    split.switch_on()
    first = split.client.get("SIM:SimTime_RBV")

    split.kill("rest")
    assert split.client.text("LASER:Emission_RBV") == "On"
    split.start("rest")

    split.set(CCD__cam1__ImageMode="Single", CCD__cam1__AcquireTime=0.2)
    wait_until(lambda: split.light() > BRIGHT, "light")
    # Ten simulated seconds in a real one, from the same epoch on.
    passed = split.client.get("SIM:SimTime_RBV") - first
    assert 0 < passed < 10 * 2 * DEADLINE


def test_a_fault_that_no_read_back_shows_reaches_the_other_processes(split):
    split.switch_on()
    before = split.light()

    split.set(SIM__Fault__LaserModeHop=-0.8)

    wait_until(lambda: split.light() < before / 2, "less light")
    split.set(SIM__Fault__LaserModeHop=0.0)
    wait_until(lambda: split.light() > before / 2, "light as before")


@pytest.fixture
def colours(split):
    """Light at two pump wavelengths, which differs; the filter is at the second."""
    split.switch_on()
    light = {}
    for nm in (500.0, 526.0):
        split.set(FILTER__Wavelength=nm)
        before, light[nm] = None, split.light()
        while before is None or light[nm] != pytest.approx(before, rel=0.05):
            before, light[nm] = light[nm], split.light()
    assert not 0.5 < light[500.0] / light[526.0] < 2
    return light


@pytest.mark.parametrize("fault", ["StalePv", "NanReading"])
def test_what_a_broken_pv_hides_from_clients_is_in_the_light(split, colours, fault):
    pv = "FILTER:Wavelength_RBV"
    split.set(**{f"SIM__Fault__{fault}": pv})
    wait_until(lambda: fault == "StalePv" or isnan(split.client.get(pv)), "the fault")

    try:
        split.set(FILTER__Wavelength=500.0)
        expected = pytest.approx(colours[500.0], rel=0.1)
        wait_until(lambda: split.light() == expected, "the light at 500 nm")
        assert split.client.get(pv) != 500.0
    finally:
        split.set(**{f"SIM__Fault__{fault}": ""})


def test_what_a_slow_ioc_tells_its_clients_late_it_tells_the_bench_at_once(split):
    def power():
        split.set(POWER__Meter__Measure="Measure")
        return split.client.get("POWER:Meter:Power_RBV")

    split.switch_on()
    wait_until(lambda: power() > 0.1, "light")
    before, ended = power(), threading.Event()
    second = split.start_client(split.prefix, split.env)
    assert second.get("SIM:Fault:LaserModeHop") == 0.0

    def hop():
        second.put("SIM:Fault:LaserModeHop", -0.8)
        ended.set()

    split.set(SIM__Fault__SlowIoc=SLOW)
    try:
        threading.Thread(target=hop).start()
        wait_until(lambda: power() < before / 2, "less light")
        assert not ended.is_set()
        assert ended.wait(DEADLINE)
    finally:
        split.set(SIM__Fault__SlowIoc=0.0, SIM__Fault__LaserModeHop=0.0)


def test_what_an_instrument_mends_is_mended_everywhere(split):

    split.set(SIM__Fault__FilterSlip=0.3)
    split.set(FILTER__Wavelength=526.0)  # the slip has crossed over by then

    split.set(FILTER__Home="Home")

    wait_until(lambda: split.client.get("SIM:Fault:FilterSlip") == 0, "no slip")


def test_a_group_is_served_once(split):
    (port,) = free_ports(1)

    second = split.launch("power", port=port)

    assert second.process.wait(DEADLINE) == 1
    second.stop()
    named = re.search(
        r"ioc_sim: \S+POWER:\S+ is served at (\S+) already", second.output
    )
    assert named
    assert named[1] == f"{HOST}:{split.ports['power']}"
    assert "Traceback" not in second.output


def test_each_group_says_which_process_serves_it(split):
    boots = {
        name: split.client.text(f"{name}:IOC:BootId_RBV")
        for name in ("LASER", "FILTER", "POWER", "CCD")
    }

    assert boots["LASER"] == boots["FILTER"]
    assert len(set(boots.values())) == 3
    assert split.client.text("POWER:IOC:Simulated_RBV") == "Yes"
