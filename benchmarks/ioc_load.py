"""What five clients at once cost the simulated bench, and what they miss.

The camera runs at 10 Hz, and axes move slowly, so that their read-backs come at 20 Hz.
Each client is a process of its own that monitors the frame and the scalars. Printed is
the processor time of the IOC's process, in percent of one core, for no client (the
baseline), one and five of them, and what each client got of what was sent.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import psutil

LOOPBACK = "127.0.0.1"
PREFIX = "LOAD:"
READY = "ready"
CLIENTS = (0, 1, 5)
DURATION = 15.0
"""Seconds of each measurement."""

FRAME_PERIOD = 0.1
"""Seconds between two frames."""

FRAME = "CCD:image1:ArrayData"
FRAME_NUMBER = "CCD:image1:UniqueId_RBV"

MOVES = {
    "ANALYSER:HWP": (350.0, ".RBV"),
    "OBJ:X": (40.0, ".RBV"),
    "OBJ:Y": (40.0, ".RBV"),
    "OBJ:Z": (40.0, ".RBV"),
    "FILTER:Wavelength": (690.0, "_RBV"),
}
"""Axes that move all the time: target, and the suffix of the read-back."""

SPEEDS = {
    "ANALYSER:HWP.VELO": 1.0,
    "OBJ:X.VELO": 0.2,
    "OBJ:Y.VELO": 0.2,
    "OBJ:Z.VELO": 0.2,
    "FILTER:Velocity": 0.3,
}
"""Speeds at which the moves outlast the measurement."""

SLOW = ("CRYO:KRDG0", "CRYO:KRDG1", "CRYO:HTR1", "CRYO:SETP1", "CRYO:HeLevel_RBV")
"""Scalars that come five times a second."""


def main() -> None:
    if sys.argv[1:2] == ["client"]:
        monitor()
        return
    port, repeater = free_ports(2)
    os.environ.update(
        EPICS_CA_AUTO_ADDR_LIST="NO",
        EPICS_CA_ADDR_LIST=LOOPBACK,
        EPICS_CA_SERVER_PORT=str(port),
        EPICS_CA_REPEATER_PORT=str(repeater),
    )
    with serving() as process:
        start_bench()
        print(f"{'clients':>8}{'IOC, %':>9}{'frames':>9}{'lost':>7}{'scalars':>10}")
        for number in CLIENTS:
            report(number, *measure(process, number))


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextmanager
def serving() -> Generator[psutil.Process]:
    """Serve the bench; stop it at the end."""
    command = [sys.executable, "-m", "ioc_sim", "--prefix", PREFIX]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            if READY not in line:
                msg = f"the IOC said {line!r}, expected {READY!r}"
                raise RuntimeError(msg)
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait()


def start_bench() -> None:
    """Let the light on, the camera run and the axes move."""
    import epics  # noqa: PLC0415 - after the EPICS environment

    def put(name: str, value: Any, **how: Any) -> None:
        if epics.caput(PREFIX + name, value, timeout=20, **how) != 1:
            msg = f"{PREFIX}{name} did not take {value!r}"
            raise RuntimeError(msg)

    put("LASER:Emission", "On", wait=True)
    put("LASER:Level", 100, wait=True)
    put("POWER:OD", 0.5, wait=True)
    put("POWER:Shutter", "Open", wait=True)
    put("CCD:cam1:AcquireTime", FRAME_PERIOD, wait=True)
    put("CCD:cam1:AcquirePeriod", FRAME_PERIOD, wait=True)
    put("CCD:cam1:ImageMode", "Continuous", wait=True)
    put("CCD:cam1:Acquire", 1)
    for name, speed in SPEEDS.items():
        put(name, speed, wait=True)
    for name, (target, _) in MOVES.items():
        put(name, target)
    put("CRYO:SETP_S1", 100)


def scalars() -> list[str]:
    return [name + suffix for name, (_, suffix) in MOVES.items()] + list(SLOW)


def monitor() -> None:
    """Count what arrives between two lines on standard input; print it as JSON."""
    import epics  # noqa: PLC0415 - after the EPICS environment

    counts: Counter[str] = Counter()
    numbers: list[int] = []
    running = threading.Event()

    def count(pvname: str = "", value: Any = None, **_: Any) -> None:
        if running.is_set():
            name = pvname.removeprefix(PREFIX)
            counts[name] += 1
            if name == FRAME_NUMBER:
                numbers.append(int(value))

    names = [FRAME, FRAME_NUMBER, *scalars()]
    pvs = [epics.PV(PREFIX + name, auto_monitor=True, callback=count) for name in names]
    for pv in pvs:
        if not pv.wait_for_connection(20):
            msg = f"{pv.pvname} did not connect within 20 s"
            raise RuntimeError(msg)
    print(READY, flush=True)
    sys.stdin.readline()
    running.set()
    sys.stdin.readline()
    running.clear()
    print(json.dumps({"counts": counts, "numbers": numbers}), flush=True)


def measure(
    process: psutil.Process, number: int
) -> tuple[float, float, list[dict[str, Any]]]:
    """Give processor time in percent, seconds, and what each client has counted."""
    command = [sys.executable, __file__, "client"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    clients = [subprocess.Popen(command, text=True, **pipes) for _ in range(number)]
    for client in clients:
        while (line := client.stdout.readline()) and READY not in line:
            pass
    began, spent = time.monotonic(), process.cpu_times()
    tell(clients)
    threading.Event().wait(DURATION)
    tell(clients)
    seconds, now = time.monotonic() - began, process.cpu_times()
    busy = now.user + now.system - spent.user - spent.system
    found = [json.loads(client.stdout.readline()) for client in clients]
    for client in clients:
        client.communicate()
    return 100 * busy / seconds, seconds, found


def tell(clients: list[subprocess.Popen[str]]) -> None:
    for client in clients:
        client.stdin.write("\n")
        client.stdin.flush()


def report(number: int, busy: float, seconds: float, found: list[Any]) -> None:
    """Print one line: the worst of the clients in each column."""
    line = f"{number:>8}{busy:>9.1f}"
    if found:
        frames = min(client["counts"][FRAME] for client in found)
        lost = max(
            max(client["numbers"]) - min(client["numbers"]) + 1 - len(client["numbers"])
            for client in found
        )
        fast = [name + suffix for name, (_, suffix) in MOVES.items()]
        rate = min(client["counts"][name] for client in found for name in fast)
        line += f"{frames:>9}{lost:>7}{rate / seconds:>7.1f} Hz"
    print(line)


if __name__ == "__main__":
    main()
