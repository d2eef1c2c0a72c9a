"""How the work of a device ends."""

import pytest
from ophyd import Device

from triplet_bluesky.devices.operation import Halt, run_operation
from triplet_bluesky.errors import MoveError

DEADLINE = 10.0


class Stage(Device):
    """Counts its stops; refuses them if it is told to."""

    def __init__(self, *, obstinate=False):
        super().__init__("", name="stage")
        self.stops, self.obstinate = 0, obstinate

    def stop(self, **_):
        self.stops += 1
        if self.obstinate:
            msg = "no"
            raise RuntimeError(msg)


def fail():
    msg = "the drive is stuck"
    raise MoveError(msg)


def test_work_that_fails_has_stopped_its_device_when_that_is_known():
    stage = Stage()
    status = run_operation(stage, fail, Halt())

    with pytest.raises(MoveError, match="stuck"):
        status.wait(DEADLINE)

    assert stage.stops == 1


def test_a_device_that_cannot_be_stopped_hides_no_failure():
    status = run_operation(Stage(obstinate=True), fail, Halt())

    with pytest.raises(MoveError, match="stuck"):
        status.wait(DEADLINE)


@pytest.mark.parametrize("first", [True, False])
def test_the_first_stop_decides_whether_the_work_is_excused(first):
    halt = Halt()
    halt.stop(success=first)
    halt.stop(success=not first)

    status = run_operation(Stage(), fail, halt)

    assert isinstance(status.exception(DEADLINE), MoveError) != first


def test_work_that_ends_well_stops_nothing():
    stage = Stage()

    run_operation(stage, lambda: None, Halt()).wait(DEADLINE)

    assert stage.stops == 0
