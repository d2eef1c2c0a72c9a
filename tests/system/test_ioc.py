"""Stock EPICS clients read and drive the simulated bench over Channel Access."""

import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import epics
import numpy as np
import psutil
import pytest
from ophyd import EpicsMotor, EpicsSignal, EpicsSignalRO

pytestmark = pytest.mark.ioc

TIMEOUT = 10.0


@pytest.fixture
def pv(ioc):
    """Connect a PV by its name without the prefix; disconnects after the test."""
    made = []

    def connect(name, **kwargs):
        made.append(epics.PV(ioc.prefix + name, **kwargs))
        assert made[-1].wait_for_connection(TIMEOUT), f"{name} did not connect"
        return made[-1]

    yield connect
    for channel in made:
        channel.disconnect()


@pytest.fixture
def motor(ioc):
    motor = EpicsMotor(f"{ioc.prefix}ANALYSER:HWP", name="hwp")
    motor.wait_for_connection(timeout=TIMEOUT)
    motor.velocity.set(50.0).wait(TIMEOUT)
    yield motor
    motor.destroy()


def fresh(channel, **kwargs):
    return channel.get(use_monitor=False, timeout=TIMEOUT, **kwargs)


def wait_until(condition, what):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"waited {TIMEOUT} s for {what}"
        time.sleep(0.01)


def fastest_ms(action, count=20):
    """The fastest of many: what the server makes everyone wait for is in each."""
    times = []
    for index in range(count):
        begin = time.perf_counter()
        action(index)
        times.append(1e3 * (time.perf_counter() - begin))
    return min(times)


def test_caget_reads_value_unit_limits_and_precision(ioc):
    name = f"{ioc.prefix}CRYO:SETP_S1"

    assert 3.5 <= epics.caget(name, timeout=TIMEOUT) <= 310
    said = epics.PV(name).get_ctrlvars(timeout=TIMEOUT)
    assert (said["units"], said["precision"]) == ("K", 3)
    assert (said["lower_ctrl_limit"], said["upper_ctrl_limit"]) == (3.5, 310.0)
    assert (said["lower_disp_limit"], said["upper_disp_limit"]) == (3.5, 310.0)


def test_caput_completes_when_the_filter_is_there(ioc):
    name = f"{ioc.prefix}FILTER:Wavelength"
    start = epics.caget(f"{name}_RBV")
    target = 510.0 if start > 525 else 540.0

    begin = time.monotonic()
    assert epics.caput(name, target, wait=True, timeout=TIMEOUT) == 1

    # 10 nm/s at a time factor of 10.
    assert time.monotonic() - begin >= abs(target - start) / 100 - 0.01
    assert epics.caget(f"{name}_RBV", use_monitor=False) == target


def test_camonitor_sees_the_filter_move_and_its_last_value(ioc):
    name = f"{ioc.prefix}FILTER:Wavelength"
    seen = []
    first = epics.caget(f"{name}_RBV", use_monitor=False)
    target = 500.0 if first > 540 else 580.0
    epics.camonitor(f"{name}_RBV", callback=lambda value=None, **_: seen.append(value))
    try:
        epics.caput(name, target, wait=True, timeout=TIMEOUT)
        wait_until(lambda: seen[-1:] == [target], "the last value")
    finally:
        epics.camonitor_clear(f"{name}_RBV")

    low, high = sorted((first, target))
    between = [value for value in seen if low < value < high]
    assert len(between) >= 3


def test_a_refused_put_leaves_the_value_an_alarm_and_a_text(pv):
    density = pv("POWER:OD", form="time", auto_monitor=False)
    before = fresh(density)

    density.put(9.5, wait=True, timeout=TIMEOUT)

    assert fresh(density) == before
    assert density.get_timevars(timeout=TIMEOUT)["severity"] == epics.INVALID_ALARM
    said = pv("POWER:LastError_RBV.VAL$").get(as_string=True)
    assert said == "OD: got 9.5, limits 0..4 OD"

    density.put(before, wait=True, timeout=TIMEOUT)
    assert density.get_timevars(timeout=TIMEOUT)["severity"] == epics.NO_ALARM
    assert fresh(pv("POWER:LastError_RBV")) == ""


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.001, 4.001])
def test_no_bad_number_gets_through(pv, value):
    density = pv("POWER:OD")
    before = fresh(density)

    density.put(value, wait=True, timeout=TIMEOUT)

    assert fresh(density) == before


@pytest.mark.parametrize("value", [-1, 65535, 2, 0.5, "Ajar"])
def test_the_shutter_stays_readable_whatever_is_put(ioc, value):
    signal = EpicsSignal(f"{ioc.prefix}POWER:Shutter", name="shutter", string=True)
    signal.wait_for_connection(timeout=TIMEOUT)
    # pyepics itself refuses some of these; a raw put does not.
    channel = epics.ca.create_channel(f"{ioc.prefix}POWER:Shutter", connect=True)
    kind = epics.dbr.STRING if isinstance(value, str) else epics.dbr.DOUBLE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(epics.ca, "field_type", lambda _: kind)
        epics.ca.put(channel, value, wait=True, timeout=TIMEOUT)

    assert signal.get(use_monitor=False) == "Closed"
    said = EpicsSignalRO(f"{ioc.prefix}POWER:LastError_RBV", name="said")
    said.wait_for_connection(timeout=TIMEOUT)
    assert said.get().startswith("Shutter: got ")
    signal.put("Closed")


def test_reads_and_other_puts_pass_a_pending_put(pv):
    velocity = pv("FILTER:Velocity")
    wavelength = pv("FILTER:Wavelength")
    averaging = pv("POWER:Meter:AveragingTime")
    velocity.put(1.0, wait=True)
    start = fresh(wavelength)
    done = threading.Event()
    wavelength.put(
        start + 60 if start < 600 else start - 60, callback=lambda **_: done.set()
    )

    get = fastest_ms(lambda _: fresh(averaging))
    put = fastest_ms(lambda i: averaging.put(0.1 + i / 100, wait=True))

    assert not done.is_set()
    assert get < 15
    assert put < 15
    pv("FILTER:Stop").put("Stop", wait=True)
    assert done.wait(TIMEOUT)
    velocity.put(10.0, wait=True)


def test_completion_of_a_put_to_a_monitored_pv_does_not_wait_for_an_ack(pv):
    frames = pv("CCD:cam1:NumImages", auto_monitor=True)
    frames.get()

    # A delayed acknowledgement would cost 40 ms.
    assert fastest_ms(lambda i: frames.put(i + 1, wait=True)) < 15


def test_what_was_posted_before_the_completion_arrives_before_it(pv):
    events = []
    readback = pv("CCD:cam1:NumImages_RBV", auto_monitor=True)
    readback.get()
    readback.add_callback(lambda value=None, **_: events.append(value))
    frames = pv("CCD:cam1:NumImages")

    stale = []
    for value in range(100, 200):
        frames.put(value, wait=True, timeout=TIMEOUT)
        if events[-1:] != [value]:
            stale.append(value)

    assert stale == []
    assert events[-100:] == list(range(100, 200))  # after the value at the start


def test_an_exposure_sees_the_light_that_the_shutter_lets_pass(pv):
    for name, value in {
        "LASER:Level": 100.0,
        "LASER:Emission": "On",
        "FILTER:Wavelength": 526.0,
        "POWER:OD": 0.0,
        "CCD:cam1:AcquireTime": 1.0,
        "CCD:cam1:ImageMode": "Single",
    }.items():
        pv(name).put(value, wait=True, timeout=TIMEOUT)
    totals = {}
    acquire, image = pv("CCD:cam1:Acquire"), pv("CCD:image1:ArrayData")

    for state in ("Closed", "Open", "Closed"):
        pv("POWER:Shutter").put(state, wait=True, timeout=TIMEOUT)
        begin = time.monotonic()
        acquire.put(1, wait=True, timeout=TIMEOUT)
        assert time.monotonic() - begin >= 0.1
        totals[state] = float(np.sum(fresh(image)))

    assert totals["Open"] > totals["Closed"] + 1000
    assert fresh(pv("POWER:Shutter_RBV"), as_string=True) == "Closed"


def test_the_shutter_closes_behind_a_client_that_is_killed(ioc, pv):
    opener = f"""
import epics, time
assert epics.caput('{ioc.prefix}POWER:Shutter', 'Open', wait=True, timeout={TIMEOUT})
print('open', flush=True)
time.sleep(60)
"""
    shutter, readback = pv("POWER:Shutter"), pv("POWER:Shutter_RBV")
    with subprocess.Popen(
        [sys.executable, "-c", opener], stdout=subprocess.PIPE, text=True
    ) as client:
        assert client.stdout.readline() == "open\n"
        assert fresh(readback, as_string=True) == "Open"

        client.send_signal(signal.SIGKILL)
        begin = time.monotonic()
        wait_until(lambda: fresh(readback) == 0, "the closed shutter")

    assert time.monotonic() - begin < 1
    assert fresh(shutter, as_string=True) == "Closed"


def test_several_frames_of_one_acquisition_are_counted(pv):
    counter, unique = pv("CCD:cam1:ArrayCounter_RBV"), pv("CCD:image1:UniqueId_RBV")
    for name, value in {
        "CCD:cam1:AcquireTime": 0.0,
        "CCD:cam1:NumImages": 5,
        "CCD:cam1:ImageMode": "Multiple",
        "CCD:cam1:ArrayCounter": 0,
    }.items():
        pv(name).put(value, wait=True, timeout=TIMEOUT)
    before = fresh(unique)

    pv("CCD:cam1:Acquire").put(1, wait=True, timeout=TIMEOUT)

    assert fresh(counter) == 5
    assert fresh(unique) - before == 5
    assert fresh(pv("CCD:cam1:DetectorState_RBV"), as_string=True) == "Idle"


def test_a_frame_of_no_exposure_is_quick(pv):
    pv("CCD:cam1:AcquireTime").put(0.0, wait=True)
    pv("CCD:cam1:ImageMode").put("Single", wait=True)
    acquire = pv("CCD:cam1:Acquire")

    assert fastest_ms(lambda _: acquire.put(1, wait=True)) < 25


def test_an_endless_acquisition_ends_when_it_is_aborted(pv):
    pv("CCD:cam1:AcquireTime").put(0.1, wait=True)
    pv("CCD:cam1:ImageMode").put("Continuous", wait=True)
    counter, state = pv("CCD:cam1:ArrayCounter_RBV"), pv("CCD:cam1:DetectorState_RBV")
    acquire = pv("CCD:cam1:Acquire")
    before, done = fresh(counter), threading.Event()

    acquire.put(1, callback=lambda **_: done.set())
    wait_until(lambda: fresh(counter) > before + 2, "three frames")
    assert not done.is_set()
    acquire.put(0, wait=True, timeout=TIMEOUT)

    assert done.wait(TIMEOUT)
    assert fresh(state, as_string=True) == "Aborted"
    assert fresh(acquire) == 0
    pv("CCD:cam1:ImageMode").put("Single", wait=True)


def test_the_meter_measures_the_power_with_the_shutter_closed(pv):
    for name, value in {
        "LASER:Level": 100.0,
        "LASER:Emission": "On",
        "POWER:OD": 1.0,
        "POWER:Shutter": "Closed",
        "POWER:Meter:AveragingTime": 1.0,
        "POWER:Meter:Measure": "Measure",
    }.items():
        pv(name).put(value, wait=True, timeout=TIMEOUT)

    power = fresh(pv("POWER:Meter:Power_RBV"))
    sigma = fresh(pv("POWER:Meter:PowerSigma_RBV"))
    assert 0 < sigma < 0.05 * power


def test_the_cryostat_drops_stable_before_the_put_completes(pv):
    stable, target = pv("CRYO:Stable_RBV"), pv("CRYO:SETP_S1")
    wait_until(lambda: fresh(stable) == 1, "a stable temperature")

    target.put(6.0, wait=True, timeout=TIMEOUT)

    assert fresh(stable) == 0
    target.put(4.0, wait=True, timeout=TIMEOUT)


def test_the_cryostat_shows_its_temperature_as_it_goes(pv):
    seen = []
    pv("CRYO:KRDG1", callback=lambda value=None, **_: seen.append(value))

    wait_until(lambda: len(seen) >= 5, "five temperatures")

    assert all(3 < value < 310 for value in seen)


def test_the_heart_beats(pv):
    beats = []
    pv("IOC:Heartbeat_RBV", callback=lambda value=None, **_: beats.append(value))

    wait_until(lambda: len(beats) >= 3, "three beats")

    assert np.diff(beats).tolist() == [1] * (len(beats) - 1)


def test_the_truth_is_one_long_text(pv):
    truth = json.loads(pv("SIM:Truth_RBV").get(as_string=True, timeout=TIMEOUT))

    assert isinstance(truth, dict)
    assert fresh(pv("SIM:Seed")) == 7


def test_ophyds_own_motor_class_drives_the_half_wave_plate(motor):
    assert motor.limits == (-360.0, 360.0)
    assert (motor.egu, motor.precision) == ("deg", 4)
    target = 12.5 if motor.position < 0 else -12.5

    for position in (target, target, 0.0):
        status = motor.move(position, wait=False)
        status.wait(TIMEOUT)
        assert motor.user_readback.get(use_monitor=False) == position

    assert motor.motor_done_move.get(use_monitor=False) == 1
    assert not motor.moving


def test_ophyds_own_motor_class_stops_the_half_wave_plate(motor):
    motor.velocity.set(1.0).wait(TIMEOUT)
    status = motor.move(motor.position + 90, wait=False)
    wait_until(lambda: motor.moving, "the motor to move")

    motor.stop()

    wait_until(lambda: motor.motor_done_move.get(use_monitor=False) == 1, "its rest")
    # As success or as failure: ophyd lets its own two threads race for that.
    wait_until(lambda: status.done, "the end of the status")
    rested = motor.user_readback.get(use_monitor=False)
    assert motor.user_setpoint.get(use_monitor=False) == rested


def test_ophyds_own_motor_class_follows_a_changed_limit(motor):
    # ophyd ignores a change of a limit whose first value it has not seen yet.
    seen = []
    motor.high_limit_travel.subscribe(lambda value, **_: seen.append(value))
    wait_until(lambda: seen, "the first high limit")

    motor.high_limit_travel.set(90.0).wait(TIMEOUT)
    wait_until(lambda: motor.limits[1] == 90.0, "the new limit")

    with pytest.raises(ValueError, match="outside of range"):
        motor.move(91.0)

    motor.high_limit_travel.set(360.0).wait(TIMEOUT)


def test_nothing_listens_beyond_this_computer(ioc):
    process = psutil.Process(ioc.process.pid)

    addresses = [(c.laddr.ip, c.laddr.port) for c in process.net_connections("inet")]

    assert {address for address, _ in addresses} == {"127.0.0.1"}
    ports = {port for _, port in addresses}
    assert int(os.environ["EPICS_CA_SERVER_PORT"]) in ports
    assert int(os.environ["EPICS_CA_REPEATER_PORT"]) in ports


def test_a_client_finds_a_repeater_and_starts_none(ioc):
    client = f"import epics; print(epics.caget('{ioc.prefix}IOC:BootId_RBV'))"

    result = subprocess.run(
        [sys.executable, "-c", client],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert len(result.stdout.strip()) == 36
    assert result.stderr == ""


@pytest.mark.usefixtures("ioc")
def test_a_second_server_on_the_port_refuses_to_start(start_ioc):
    second = start_ioc(prefix="SECOND:")

    assert second.process.wait(30) == 1
    second.stop()
    port = os.environ["EPICS_CA_SERVER_PORT"]
    assert f"ioc_sim: port {port} on 127.0.0.1 is taken" in second.output
    assert "set EPICS_CA_SERVER_PORT to a free port" in second.output
    assert "Traceback" not in second.output


@pytest.fixture
def private_ports():
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        ports = one.getsockname()[1], other.getsockname()[1]
    names = ("EPICS_CA_SERVER_PORT", "EPICS_CA_REPEATER_PORT")
    return dict(zip(names, map(str, ports), strict=True))


@pytest.mark.parametrize("number", [2, 15])
def test_a_signal_ends_it_at_once_and_quietly(start_ioc, private_ports, number):
    served = start_ioc(prefix="SHORT:", env=private_ports)
    served.wait_until_ready()
    port = private_ports["EPICS_CA_SERVER_PORT"]
    expected = f"with prefix SHORT: on 127.0.0.1 port {port}\n"
    assert served.lines[-1].startswith("ioc_sim: ready, serving ")
    assert served.lines[-1].endswith(expected)

    begin = time.monotonic()
    served.process.send_signal(number)
    status = served.process.wait(TIMEOUT)

    assert (status, time.monotonic() - begin < 1.5) == (0, True)
    served.stop()
    assert len(served.lines) == 1, served.output


def test_a_port_in_the_way_of_searches_is_named(start_ioc, private_ports):
    port = private_ports["EPICS_CA_SERVER_PORT"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", int(port)))
        served = start_ioc(prefix="DEAF:", env=private_ports)

        assert served.process.wait(30) == 1

    served.stop()
    assert port in served.output
    assert "Traceback" not in served.output
