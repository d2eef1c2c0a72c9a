"""A real IOC process on a private port, and its output when a test fails."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

READY = "ioc_sim: ready"
START_DEADLINE = 30.0
STOP_DEADLINE = 5.0

Starter = Callable[..., "IocProcess"]


@dataclass
class IocProcess:
    """An IOC that runs, all it has said so far, and the prefix of its PVs."""

    process: subprocess.Popen[str]
    prefix: str
    lines: list[str] = field(default_factory=list)
    ready: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self):
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith(READY):
                self.ready.set()
        self.ready.set()

    @property
    def output(self):
        return "".join(self.lines)

    def wait_until_ready(self):
        if not self.ready.wait(START_DEADLINE) or READY not in self.output:
            pytest.fail(f"the IOC was not ready in {START_DEADLINE} s:\n{self.output}")

    def stop(self):
        """End the process, by force if need be; gives its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.reader.join(STOP_DEADLINE)
        self.process.stdout.close()
        return status


def launch(*options, prefix, env=None):
    """Start an IOC without waiting for it."""
    command = [sys.executable, "-m", "ioc_sim", "--prefix", prefix, *options]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | (env or {}),
    )
    return IocProcess(process, prefix)


@pytest.fixture(scope="session")
def ioc() -> Iterator[IocProcess]:
    """Serve the bench on the port of this test run, ten times faster than real."""
    options = ("--seed", "7", "--time-factor", "10", "--truth")
    served = launch(*options, prefix=f"TEST{os.getpid()}:")
    try:
        served.wait_until_ready()
        yield served
    finally:
        status = served.stop()
    assert status == 0, served.output


@pytest.fixture
def start_ioc() -> Iterator[Starter]:
    """Start further IOCs; they are reaped after the test."""
    started = []

    def start(*options, **kwargs):
        started.append(launch(*options, **kwargs))
        return started[-1]

    yield start
    for served in started:
        served.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Show what the IOC said beside a failure."""
    report = yield
    if report.failed:
        served = item.funcargs.get("ioc") if hasattr(item, "funcargs") else None
        if isinstance(served, IocProcess):
            report.sections.append(("IOC output", served.output))
    return report
