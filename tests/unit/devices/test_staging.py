"""What a device sets for a run and puts back after it, also if its IOC goes."""

import pytest
from ophyd import Device
from ophyd.status import DeviceStatus

from triplet_bluesky.devices.staging import Staged
from triplet_bluesky.errors import ConnectError, MoveError


class Setting(Device):
    """A setting that keeps its value, until its IOC is gone."""

    def __init__(self, name, value):
        super().__init__("", name=name)
        self.value, self.gone, self.stuck, self.asked = value, False, False, 0

    @property
    def position(self):
        self.asked += 1
        if self.gone:
            msg = "Failed to connect to A:B within 1.00 sec"
            raise TimeoutError(msg)
        return self.value

    def agrees(self, value, readback):
        return value == readback

    def set(self, value):
        if self.stuck:
            msg = "it is stuck"
            raise MoveError(msg)
        self.value = value
        status = DeviceStatus(self)
        status.set_finished()
        return status


@pytest.fixture
def settings():
    return [Setting("first", 1), Setting("second", 2), Setting("third", 3)]


@pytest.fixture
def staged(settings):
    staged = Staged(Device("", name="camera"))
    for setting in settings:
        staged.set(setting, 10 * setting.value)
    return staged


@pytest.fixture
def said(caplog):
    """What was logged as an error."""
    return lambda: [
        record.getMessage() for record in caplog.records if record.levelname == "ERROR"
    ]


def test_everything_is_put_back(staged, settings):
    assert [setting.value for setting in settings] == [10, 20, 30]

    staged.put_back()

    assert [setting.value for setting in settings] == [1, 2, 3]


def test_what_cannot_be_put_back_is_logged_and_keeps_nothing_else_up(
    staged, settings, said
):
    settings[1].stuck = True

    staged.put_back()

    assert [setting.value for setting in settings] == [1, 20, 3]
    assert said() == ["camera: second is not put back to 2: it is stuck"]


def test_an_ioc_that_is_gone_is_asked_once_and_hides_no_failure(staged, settings, said):
    for setting in settings:
        setting.gone, setting.asked = True, 0

    staged.put_back()

    assert sum(setting.asked for setting in settings) == 1
    assert said() == [
        "camera: third is not put back to 3: third: the IOC does not answer "
        "(Failed to connect to A:B within 1.00 sec)",
        "camera: not put back: first to 1, second to 2",
    ]


def test_an_ioc_that_is_gone_while_it_is_set_up_is_named():
    setting = Setting("first", 1)
    setting.gone = True

    with pytest.raises(ConnectError, match="first: the IOC does not answer"):
        Staged(Device("", name="camera")).set(setting, 2)
