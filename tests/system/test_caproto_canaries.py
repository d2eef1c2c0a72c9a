"""What the simulator mends in caproto is still broken there.

A failure here is good news: the release notes of caproto say what was mended, and the
workaround that the test names can go.
"""

import asyncio
import socket

import pytest
from caproto import ChannelType
from caproto.asyncio.server import Context
from caproto.asyncio.utils import _create_bound_tcp_socket
from caproto.server import PVGroup, common, pvproperty

LOOPBACK = "127.0.0.1"
TAKEN = 5064

pytestmark = pytest.mark.ioc


class Group(PVGroup):
    """A stock group with what the bench needs."""

    one = pvproperty(value=1.0, name="One", doc="A number")
    other = pvproperty(value=2.0, name="Other", doc="Another number")
    shutter = pvproperty(
        value="Closed",
        name="Shutter",
        dtype=ChannelType.ENUM,
        enum_strings=["Closed", "Open"],
        doc="A choice",
    )


@pytest.fixture
def group():
    return Group("CANARY:")


def test_caproto_leaves_nagles_algorithm_on():
    """Else drop the socket option in ``PromptContext``."""

    async def accepted_option():
        listener = await _create_bound_tcp_socket(LOOPBACK, 0)
        accepted = asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(
            lambda _, writer: accepted.set_result(writer), sock=listener
        )
        _, client = await asyncio.open_connection(*listener.getsockname())
        writer = await accepted
        wire = writer.get_extra_info("socket")
        option = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        for end in (client, writer):
            end.close()
            await end.wait_closed()
        server.close()
        return option

    assert asyncio.run(accepted_option()) == 0


def test_caproto_waits_before_it_sends_a_second_monitor():
    """Else drop ``PromptCircuit.get_from_sub_queue``."""
    assert common.HIGH_LOAD_TIMEOUT == 0.01


def test_caproto_takes_another_port_when_its_own_is_taken(group):
    """Else drop ``PromptContext._bind_tcp_sockets_with_consistent_port_number``."""

    async def make_socket(_, port):
        if port == TAKEN:
            raise OSError

    async def bound_port():
        context = Context(group.pvdb, [LOOPBACK])
        context.ca_server_port = TAKEN
        bind = context._bind_tcp_sockets_with_consistent_port_number
        port, _ = await bind(make_socket)
        return port

    assert asyncio.run(bound_port()) != TAKEN


def test_caproto_takes_minus_one_for_the_last_choice(group):
    """Else the check in ``ChoiceSetPoint`` is a second one."""

    async def put():
        await group.shutter.write(-1)
        return group.shutter.value

    assert asyncio.run(put()) == "Open"


def test_caproto_gives_one_alarm_to_all_channels_of_a_group(group):
    """Else drop the alarm that ``Channel`` makes."""
    assert group.one.alarm is group.other.alarm
