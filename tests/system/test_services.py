"""Background services live and die as told, with real processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from triplet_bluesky.errors import ServiceError
from triplet_bluesky.services import (
    HttpOk,
    LogLine,
    Service,
    down,
    free_port,
    running,
    status,
    up,
)
from triplet_bluesky.services.process import recall, remember

FAITHFUL = "print('ready', flush=True); import time; time.sleep(300)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + FAITHFUL
PARENT = (
    "import subprocess, sys; "
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)']); "
    + FAITHFUL
)


@pytest.fixture
def state(tmp_path):
    """A state directory; whatever a test has left running ends with it."""
    directory = tmp_path / "state"
    yield directory
    directory.mkdir(exist_ok=True)
    down(directory)


@pytest.fixture
def make_service(tmp_path):
    def make(name, code=FAITHFUL, **options):
        return Service(
            name=name,
            argv=(sys.executable, "-u", "-c", code),
            log=tmp_path / "log" / f"{name}.log",
            **{"ready": LogLine("ready"), "grace_s": 0.5, **options},
        )

    return make


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition, timeout=10.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def test_services_come_up_and_go_down(state, make_service):
    services = [make_service("one"), make_service("two")]
    told = []

    reports = up(services, state, progress=told.append)

    assert sorted(told) == ["one", "two"]
    assert [(r.state, r.started) for r in reports] == [("running", True)] * 2
    assert sorted(down(state)) == ["one", "two"]
    assert all(gone(r.pid) for r in reports)
    assert [r.state for r in status(services, state)] == ["stopped", "stopped"]


def test_second_up_says_what_runs_and_starts_the_rest(state, make_service):
    (first,) = up([make_service("one")], state)

    again, fresh = up([make_service("one"), make_service("two")], state)

    assert (again.pid, again.started) == (first.pid, False)
    assert fresh.started


def test_second_down_has_nothing_to_do(state, make_service):
    up([make_service("one")], state)

    assert down(state) == ["one"]
    assert down(state) == []


def test_service_is_in_a_session_of_its_own(state, make_service):
    (report,) = up([make_service("one")], state)

    assert os.getsid(report.pid) == report.pid


def test_service_that_ends_at_once_is_quoted_and_others_are_stopped(
    state, make_service
):
    failing = make_service("bad", "print('port 8020 is taken'); raise SystemExit(3)")
    good = make_service("good")

    with pytest.raises(ServiceError, match=r"(?s)status 3.*bad\.log.*8020 is taken"):
        up([good, failing], state)

    assert [r.state for r in status([good, failing], state)] == ["stopped"] * 2


def test_failure_leaves_what_ran_before(state, make_service):
    (before,) = up([make_service("good")], state)

    with pytest.raises(ServiceError, match="bad"):
        up([make_service("good"), make_service("bad", "raise SystemExit")], state)

    assert not gone(before.pid)


def test_service_that_says_nothing_is_stopped_at_its_deadline(state, make_service):
    code = "print('warming up', flush=True); import time; time.sleep(300)"
    slow = make_service("slow", code, deadline_s=0.5)

    with pytest.raises(ServiceError, match=r"(?s)within 0\.5 s.*warming up"):
        up([slow], state)

    assert status([slow], state)[0].state == "stopped"


def test_error_quotes_only_this_start(state, make_service):
    failing = make_service("bad", "import sys; print(sys.argv); raise SystemExit(1)")
    failing.log.parent.mkdir()
    failing.log.write_text("an old story\n")

    with pytest.raises(ServiceError) as caught:
        up([failing], state)

    assert "an old story" not in str(caught.value)
    assert "an old story" in failing.log.read_text()


def test_stubborn_service_is_killed_with_its_children(state, make_service):
    reports = up([make_service("one", STUBBORN), make_service("two", PARENT)], state)
    (child,) = psutil.Process(reports[1].pid).children()

    down(state)

    assert all(gone(pid) for pid in (reports[0].pid, reports[1].pid, child.pid))


def test_service_that_died_is_reported_and_started_anew(state, make_service):
    service = make_service("one")
    (report,) = up([service], state)
    os.kill(report.pid, signal.SIGKILL)
    wait_until(lambda: gone(report.pid))

    assert status([service], state)[0].state == "died"
    (again,) = up([service], state)
    assert again.started
    assert again.pid != report.pid


def test_reused_pid_is_not_touched(state, make_service):
    service = make_service("one")
    up([service], state)
    record = recall("one", state)
    down(state)
    with subprocess.Popen([sys.executable, "-c", FAITHFUL]) as stranger:
        remember(replace(record, pid=stranger.pid), state)

        reported = status([service], state)[0].state
        ended = down(state)
        lives = stranger.poll() is None
        stranger.kill()

    assert (reported, ended, lives) == ("died", [], True)


def test_block_stops_what_it_started_and_leaves_what_ran(state, make_service):
    (before,) = up([make_service("one")], state)

    with running([make_service("one"), make_service("two")], state) as reports:
        assert [r.started for r in reports] == [False, True]

    assert not gone(before.pid)
    assert gone(reports[1].pid)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_block_that_raises_stops_its_services(state, make_service, error):
    def fail():
        with running([make_service("one")], state) as reports:
            pids.append(reports[0].pid)
            raise error

    pids = []
    with pytest.raises(error):
        fail()

    assert gone(pids[0])


DEMO = """
import sys
from pathlib import Path
from triplet_bluesky.services import LogLine, Service, running

directory = Path(sys.argv[1])
service = Service(
    name="one",
    argv=(sys.executable, "-u", "-c", sys.argv[2]),
    log=directory / "one.log",
    ready=LogLine("ready"),
    grace_s=0.5,
)
with running([service], directory / "state") as reports:
    print(reports[0].pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]
)
def test_no_service_outlives_its_demo(tmp_path, number):
    with subprocess.Popen(
        [sys.executable, "-c", DEMO, str(tmp_path), FAITHFUL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as demo:
        pid = int(demo.stdout.readline())

        demo.send_signal(number)
        demo.wait(timeout=20)

        wait_until(lambda: gone(pid))
        wait_until(lambda: not list((tmp_path / "state").glob("*.json")))


def test_interrupted_start_leaves_nothing(tmp_path):
    never_ready = "print('started', flush=True); import time; time.sleep(300)"
    with subprocess.Popen(
        [sys.executable, "-c", DEMO, str(tmp_path), never_ready],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as demo:
        wait_until(lambda: recall("one", tmp_path / "state") is not None)
        pid = recall("one", tmp_path / "state").pid

        demo.send_signal(signal.SIGINT)
        demo.wait(timeout=20)

        wait_until(lambda: gone(pid))


def test_health_page_answers_or_not():
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    port = free_port()
    assert not HttpOk(port)(None, 0)
    with HTTPServer(("127.0.0.1", port), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        assert HttpOk(port)(None, 0)
        assert not HttpOk(port, "/other")(None, 0)
        server.shutdown()
        thread.join()


def test_free_port_can_be_bound():
    port = free_port()

    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(type=kind) as sock:
            sock.bind(("127.0.0.1", port))
