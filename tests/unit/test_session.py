import os
import signal
import threading
import time

import pytest
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.utils import FailedStatus

from triplet_bluesky.callbacks import LivePLE
from triplet_bluesky.errors import AcquireError, BenchError, MoveError, PlanError
from triplet_bluesky.session import Session
from triplet_bluesky.settings import Settings


@pytest.fixture
def session(RE):
    return Session(settings=Settings(), RE=RE, bench=None, cat=None, ple=LivePLE())


def interrupted_after(seconds):
    """Ctrl-C, as a terminal sends it, a little later."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    return timer


@bpp.run_decorator(md={})
def wait_long(*, checkpoint):
    if checkpoint:
        yield from bps.checkpoint()
    yield from bps.sleep(60)


@pytest.mark.parametrize("checkpoint", [True, False])
def test_one_ctrl_c_ends_a_plan_with_or_without_a_checkpoint(
    session, documents, checkpoint
):
    began = time.monotonic()
    interrupted_after(0.5)

    with pytest.raises(PlanError, match="interrupted: the run is closed"):
        session.run(wait_long(checkpoint=checkpoint))

    assert time.monotonic() - began < 30
    assert documents[-1][0] == "stop"
    assert documents[-1][1]["exit_status"] != "success"
    assert session.RE.state == "idle"


def test_ctrl_c_means_what_it_meant_before_when_the_plan_is_over(session):
    before = signal.getsignal(signal.SIGINT)

    session.run(bps.null())

    assert signal.getsignal(signal.SIGINT) is before
    assert session.RE.context_managers == []


def test_what_an_instrument_said_is_the_error_of_the_session(session, bench):
    bench.ccd.fails, bench.ccd.fails_at = (
        AcquireError("the camera is in state Error"),
        0,
    )

    def scan():
        yield from bps.trigger(bench.ccd, wait=True)

    with pytest.raises(AcquireError, match="the camera is in state Error"):
        session.run(scan())


def test_a_failure_without_a_reason_is_still_an_error_of_the_bench(session):
    def scan():
        yield from bps.null()
        raise FailedStatus

    with pytest.raises(BenchError):
        session.run(scan())


def test_the_uids_of_the_runs_are_returned(session, documents):
    (uid,) = session.run(bpp.run_wrapper(bps.null()))

    assert uid == documents[0][1]["uid"]


def test_a_watching_callback_that_raises_does_not_end_the_run(session, documents):
    def broken(*_):
        raise MoveError

    session.watch(broken)

    session.run(bpp.run_wrapper(bps.null()))

    assert documents[-1][1]["exit_status"] == "success"
