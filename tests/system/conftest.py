"""A real IOC process on a private port, its output when a test fails, and a store."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from triplet_bluesky.services import down, free_port, running, tiled_service
from triplet_bluesky.settings import Settings
from triplet_bluesky.storage.key import read_key

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


@contextmanager
def starting() -> Iterator[Starter]:
    started = []

    def start(*options, **kwargs):
        started.append(launch(*options, **kwargs))
        return started[-1]

    yield start
    for served in started:
        served.stop()


@pytest.fixture
def start_ioc() -> Iterator[Starter]:
    """Start further IOCs; they are reaped after the test."""
    with starting() as start:
        yield start


@pytest.fixture(scope="module")
def start_module_ioc() -> Iterator[Starter]:
    """Start IOCs for all tests of a module."""
    with starting() as start:
        yield start


@pytest.fixture
def make_settings(tmp_path_factory):
    """Make settings of a bench; what a test has left running there ends with it."""
    with contextlib.ExitStack() as stack:

        def make():
            directory = tmp_path_factory.mktemp("bench")
            settings = Settings(data_dir=directory, tiled_port=free_port())
            stack.callback(down, settings.state_dir)
            return settings

        yield make


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A running Tiled server; gives its settings."""
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("bench"), tiled_port=free_port()
    )
    with running([tiled_service(settings)], settings.state_dir):
        yield settings


@pytest.fixture
def connect():
    """Connect to the store of some settings, and disconnect at the end of the test."""
    with contextlib.ExitStack() as stack:

        def connect(settings):
            from triplet_bluesky.storage.client import catalog

            client = catalog(settings.tiled_uri, read_key(settings.api_key_file))
            stack.callback(client.context.close)
            return client

        yield connect


@pytest.fixture
def store(server, connect):
    return connect(server)


CLIENT = """
import json, sys, epics
epics.ca.PREEMPTIVE_CALLBACK = True
pvs = {}
def ask(pv, what, value, timeout):
    if not pv.wait_for_connection(timeout):
        return None
    if what == "put":
        return pv.put(value, wait=True, timeout=timeout)
    if what == "get":
        return pv.get(use_monitor=False, timeout=timeout, as_string=value)
    if what == "type":
        return pv.type
    fresh = pv.get_timevars(timeout=timeout, warn=False)
    return fresh and fresh["severity"]
for line in sys.stdin:
    what, name, value, timeout = json.loads(line)
    if what == "end":
        break
    if name not in pvs:
        pvs[name] = epics.PV(name, auto_monitor=False)
    answer = None
    try:
        answer = ask(pvs[name], what, value, timeout)
    except epics.ca.ChannelAccessGetFailure:
        pass  # the server went away
    if hasattr(answer, "tolist"):
        answer = answer.tolist()
    print(json.dumps(answer), flush=True)
"""


class Client:
    """A pyepics client in a process of its own, with an environment of its own."""

    def __init__(self, prefix, env):
        self.prefix = prefix
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLIENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | env,
        )

    def _ask(self, what, name, value=None, timeout=20.0):
        request = json.dumps([what, self.prefix + name, value, timeout])
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def put(self, name, value, timeout=20.0):
        """Put and wait; whether it completed in time."""
        return self._ask("put", name, value, timeout) == 1

    def get(self, name, timeout=20.0):
        """Read from the server; None without an answer in time."""
        return self._ask("get", name, timeout=timeout)

    def text(self, name):
        return self._ask("get", name, value=True)

    def type(self, name):
        return self._ask("type", name)

    def severity(self, name):
        return self._ask("severity", name)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def start_client():
    """Start pyepics clients with an environment; they are ended after the module."""
    started = []

    def start(prefix, env):
        started.append(Client(prefix, env))
        return started[-1]

    yield start
    for client in started:
        client.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Show what the IOC said beside a failure."""
    report = yield
    if report.failed:
        served = item.funcargs.get("ioc") if hasattr(item, "funcargs") else None
        if isinstance(served, IocProcess):
            report.sections.append(("IOC output", served.output))
    return report
