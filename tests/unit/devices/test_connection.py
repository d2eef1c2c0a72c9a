"""First reads of PVs by many threads, without a socket."""

import threading
import time
from types import SimpleNamespace

import pytest

from triplet_bluesky.devices.connection import FirstReads

DEADLINE_S = 10.0


class FakeSignal:
    """A PV whose first reads fail a number of times."""

    pvname = "T:CCD:A"

    def __init__(self, *, fails=0, served=True):
        self.fails = fails
        self.reads = 0
        self.announced = []
        self.pv = SimpleNamespace(
            pvname=self.pvname,
            connected=served,
            read_access=True,
            write_access=False,
            connection_callbacks=[lambda **said: self.announced.append(said["conn"])],
            access_callbacks=[lambda *rights, **_: self.announced.append(rights)],
        )
        self.cl = SimpleNamespace(get_pv=lambda _: self.pv)
        self.answered = threading.Event()

    def wait_for_connection(self, timeout):
        assert 0 < timeout <= DEADLINE_S
        self.reads += 1
        if self.reads <= self.fails:
            raise TimeoutError
        self.answered.set()


@pytest.fixture
def readers():
    return FirstReads(time.monotonic() + DEADLINE_S)


def look_until_answered(readers, signal):
    """Look again and again, as one who waits for PVs does."""
    deadline = time.monotonic() + DEADLINE_S
    while not signal.answered.wait(0.001) and time.monotonic() < deadline:
        readers.take([signal])


def test_what_does_not_answer_is_read_again(readers):
    signal = FakeSignal(fails=2)

    look_until_answered(readers, signal)

    assert signal.answered.is_set()
    assert signal.reads == 3


def test_what_does_not_answer_is_told_again_that_it_is_connected(readers):
    signal = FakeSignal(fails=1)

    look_until_answered(readers, signal)

    assert signal.announced == [True, (True, False)]


def test_what_is_served_later_is_read_when_it_is(readers):
    signal = FakeSignal(served=False)
    readers.take([signal])
    assert signal.reads == 0

    signal.pv.connected = True
    look_until_answered(readers, signal)

    assert signal.answered.is_set()


def test_what_is_being_read_is_not_read_twice(readers):
    signals = [FakeSignal() for _ in range(100)]
    for _ in range(3):
        readers.take(signals)

    assert all(signal.answered.wait(DEADLINE_S) for signal in signals)
    assert {signal.reads for signal in signals} == {1}


def test_nothing_is_read_after_the_deadline():
    late = FirstReads(time.monotonic())
    signal = FakeSignal()
    late.take([signal])

    assert not signal.answered.is_set()
    assert signal.reads == 0
