"""What is refused, what is said, and what is plotted, without an IOC."""

import math

import pytest
from ophyd.sim import make_fake_device

from triplet_bluesky.devices.operation import Halt
from triplet_bluesky.devices.settable import Axis, Choice
from triplet_bluesky.devices.shutter import Shutter
from triplet_bluesky.errors import MoveError


class Instant:
    """The put of an IOC that completes at once, and does something or nothing."""

    def command(self, value, halt):  # noqa: ARG002 - no IOC is asked
        self.readback.sim_put(519.0 if value == 520.0 else value)


def fake(cls, **kwargs):
    made = type("Instant", (Instant, make_fake_device(cls)), {})(
        "A:B", name="axis", **kwargs
    )
    made.setpoint.setpoint_pvname, made.readback.pvname = "A:B", "A:B_RBV"
    made.readback.alarm_severity = 0
    return made


@pytest.fixture
def axis():
    axis = fake(Axis, tolerance=0.01)
    axis.setpoint.sim_set_limits((480.0, 700.0))
    axis.setpoint._metadata["units"] = "nm"
    return axis


def test_without_limits_nothing_is_known_to_be_safe(axis):
    axis.setpoint.sim_set_limits((0.0, 0.0))

    with pytest.raises(MoveError, match=r"asked for 526\.0 nm, but A:B states no"):
        axis.check_value(526.0)


def test_what_can_do_no_harm_needs_no_limits(axis):
    axis.setpoint.sim_set_limits((0.0, 0.0))
    axis.limits_required = False

    axis.check_value(526.0)
    with pytest.raises(MoveError, match="got nan nm, possible is any finite number"):
        axis.check_value(math.nan)


def test_limits_are_kept_to_where_there_are_some(axis):
    axis.limits_required = False

    with pytest.raises(MoveError, match=r"got 800\.0 nm, possible is 480 to 700 nm"):
        axis.check_value(800.0)


def test_a_read_back_that_disagrees_is_named_with_its_unit(axis):
    axis.go(526.0, Halt())

    with pytest.raises(MoveError) as caught:
        axis.go(520.0, Halt())

    assert str(caught.value).startswith(
        "axis: asked for 520.0 nm; after A:B completed, A:B_RBV is still at 519.0 nm"
    )


def test_a_read_back_that_was_not_written_says_since_when(axis):
    axis.readback.sim_put(500.0, timestamp=1.0)
    axis.command = lambda *_: None

    with pytest.raises(MoveError, match=r"at 500\.0 nm \(last written \d+\.\d s ago\)"):
        axis.go(526.0, Halt())


def test_numbers_are_plotted_and_states_are_not(axis):
    assert axis.hints == {"fields": ["axis"]}
    assert fake(Choice).hints == fake(Shutter).hints == {"fields": []}
