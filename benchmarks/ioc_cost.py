"""What the simulated bench costs a client, beside the stock caproto server.

Two processes serve the same bench with a clock so fast that nothing takes time by
itself: ours, and caproto's own server without `ioc_sim.latency`. One pyepics client
asks both in turn. The physics is timed in this process, against the noise of one frame.
"""

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from ioc_sim.clock import Clock, ManualClock
from ioc_sim.sample import load_sample
from ioc_sim.server import LOOPBACK, Bench
from ioc_sim.world import World

ROUNDS = 5
CALLS = 20
PAUSE = 0.02
"""Seconds between calls, so that none of them profits from the one before."""

TIME_FACTOR = 1e3
READY = "ready"
SERVERS = ("ours", "stock")


def main() -> None:
    if sys.argv[1:] == ["stock"]:
        asyncio.run(serve_stock())
        return
    *serve_on, repeater = free_ports(3)
    ports: dict[str, int] = dict(zip(SERVERS, serve_on, strict=True))
    os.environ.update(
        EPICS_CA_AUTO_ADDR_LIST="NO",
        EPICS_CA_ADDR_LIST=" ".join(f"{LOOPBACK}:{port}" for port in serve_on),
        EPICS_CA_REPEATER_PORT=str(repeater),
        EPICS_CAS_AUTO_BEACON_ADDR_LIST="NO",
        EPICS_CAS_BEACON_ADDR_LIST=LOOPBACK,
    )
    with serving(ports):
        report(compare(), "stock")
    report(physics(), "noise")


async def serve_stock() -> None:
    """Serve the bench as caproto does by itself."""
    from caproto.asyncio.server import Context  # noqa: PLC0415 - the child alone

    world = World(load_sample(None), seed=0, clock=Clock(TIME_FACTOR))
    bench = Bench("STOCK:", world)
    await bench.start()

    async def started(_: object) -> None:
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()

    await asyncio.gather(
        Context(bench.pvdb, [LOOPBACK]).run(startup_hook=started), bench.run()
    )


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextmanager
def serving(ports: dict[str, int]) -> Generator[None]:
    """Start both servers; stop them at the end."""
    ours = ["-m", "ioc_sim", "--prefix", "OURS:", "--time-factor", str(TIME_FACTOR)]
    options = {"ours": ours, "stock": [__file__, "stock"]}
    started = []
    try:
        for name, port in ports.items():
            started.append(
                subprocess.Popen(
                    [sys.executable, *options[name]],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    env=os.environ | {"EPICS_CA_SERVER_PORT": str(port)},
                )
            )
            line = started[-1].stdout.readline()
            if READY not in line:
                msg = f"the server {name!r} said {line!r}, expected {READY!r}"
                raise RuntimeError(msg)
        yield
    finally:
        for process in started:
            process.terminate()
            process.wait()


def compare() -> dict[str, dict[str, list[float]]]:
    """Time what a client does, on both servers in turn."""
    actions = {name: client_actions(f"{name.upper()}:") for name in SERVERS}
    return {
        what: rounds({name: actions[name][what] for name in SERVERS}, PAUSE)
        for what in actions["ours"]
    }


def client_actions(prefix: str) -> dict[str, Callable[[int], object]]:
    import epics  # noqa: PLC0415 - after the EPICS environment

    def pv(name: str, *, monitored: bool) -> epics.PV:
        return epics.PV(prefix + name, auto_monitor=monitored)

    density = pv("POWER:OD_RBV", monitored=False)
    frames = pv("CCD:cam1:NumImages", monitored=True)
    acquire = pv("CCD:cam1:Acquire", monitored=True)
    image = pv("CCD:image1:ArrayData", monitored=False)
    exposure = pv("CCD:cam1:AcquireTime", monitored=False)
    for each in (density, frames, acquire, image, exposure):
        if not each.wait_for_connection(10):
            msg = f"{each.pvname} did not connect within 10 s"
            raise RuntimeError(msg)
    exposure.put(0.0, wait=True)
    return {
        "get": lambda _: density.get(use_monitor=False),
        "put, monitored": lambda turn: frames.put(turn % 90 + 1, wait=True),
        "acquisition of 0 s": lambda _: acquire.put(1, wait=True),
        "get of the frame": lambda _: image.get(use_monitor=False),
    }


def physics() -> dict[str, dict[str, list[float]]]:
    """Time the world, against the noise of one frame."""
    clock = ManualClock()
    world = World(load_sample(None), seed=0, clock=clock)
    for history, value in (
        (world.emission, 1.0),
        (world.level, 100.0),
        (world.od, 0.0),
        (world.shutter, 1.0),
    ):
        history.record(0.0, value)
    state, generator = world.state_at(1.0), np.random.default_rng(0)
    expected = np.full(1024, 1e3)

    def noise(_: int) -> object:
        return generator.poisson(expected)

    actions: dict[str, Callable[[int], object]] = {
        "expected rate, new state": lambda turn: world.expected_rate(
            replace(state, power_uw=20 + turn / 10)
        ),
        "expected rate, again": lambda _: world.expected_rate(state),
        "frame of 0 s": lambda turn: world.sensor.frame(1.0, 0.0, turn + 1),
        "frame of 1 s": lambda turn: world.sensor.frame(1.0, 1.0, turn + 1),
    }
    return {
        what: rounds({"ours": action, "noise": noise})
        for what, action in actions.items()
    }


def rounds(
    actions: dict[str, Callable[[int], object]], pause: float = 0.0
) -> dict[str, list[float]]:
    """Median time of each action in each round, ms; the first round does not count."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    quiet = threading.Event()
    for turn in range(ROUNDS + 1):
        for name, action in actions.items():
            spent = []
            for call in range(CALLS):
                quiet.wait(pause)
                began = time.perf_counter()
                action(turn * CALLS + call)
                spent.append(1e3 * (time.perf_counter() - began))
            if turn:
                times[name].append(statistics.median(spent))
    return times


def report(measured: dict[str, dict[str, list[float]]], baseline: str) -> None:
    print(f"{'ms':<26}{'ours':>9}{baseline:>9}{'ratio':>8}{'from':>8}{'to':>8}")
    for what, times in measured.items():
        ours, theirs = times["ours"], times[baseline]
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        print(
            f"{what:<26}{statistics.median(ours):>9.3f}{statistics.median(theirs):>9.3f}"
            f"{statistics.median(ratios):>8.2f}{min(ratios):>8.2f}{max(ratios):>8.2f}"
        )


if __name__ == "__main__":
    main()
