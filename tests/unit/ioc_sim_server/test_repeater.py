"""The repeater confirms clients and forwards beacons."""

import socket
import struct

import pytest
from caproto import Beacon, RepeaterConfirmResponse, RepeaterRegisterRequest

from ioc_sim import repeater
from ioc_sim.repeater import Repeater

HERE = ("127.0.0.1", 40000)
THERE = ("127.0.0.1", 40001)
SERVER = ("127.0.0.1", 40002)


class Transport:
    def __init__(self):
        self.sent = []

    def sendto(self, data, address):
        self.sent.append((address, data))


@pytest.fixture
def served(monkeypatch):
    monkeypatch.setattr(repeater, "_alive", lambda _: True)
    served = Repeater()
    served.connection_made(Transport())
    return served


def sent(served):
    return served._transport.sent


@pytest.mark.parametrize("request_", [bytes(RepeaterRegisterRequest("0.0.0.0")), b""])
def test_a_client_that_registers_is_confirmed(served, request_):
    served.datagram_received(request_, HERE)

    assert sent(served) == [(HERE, bytes(RepeaterConfirmResponse("127.0.0.1")))]


def test_a_beacon_goes_to_all_clients_with_its_origin(served):
    for client in (HERE, THERE):
        served.datagram_received(b"", client)
    sent(served).clear()

    served.datagram_received(bytes(Beacon(13, 5064, 1, "0.0.0.0")), SERVER)

    assert {address for address, _ in sent(served)} == {HERE, THERE}
    origin = struct.unpack(">HHHHII", sent(served)[0][1])[-1]
    assert origin == struct.unpack(">I", socket.inet_aton("127.0.0.1"))[0]


def test_a_beacon_that_knows_its_origin_is_not_changed(served):
    served.datagram_received(b"", HERE)
    beacon = bytes(Beacon(13, 5064, 1, "10.0.0.9"))

    served.datagram_received(beacon, SERVER)

    assert sent(served)[-1] == (HERE, beacon)


@pytest.mark.parametrize("noise", [b"\0", b"\xff" * 16, b"\xff" * 500])
def test_noise_is_ignored(served, noise):
    served.datagram_received(noise, HERE)

    assert sent(served) == []


def test_clients_that_are_gone_are_forgotten(served, monkeypatch):
    served.datagram_received(b"", HERE)
    monkeypatch.setattr(repeater, "_alive", lambda client: client != HERE)

    served.datagram_received(b"", THERE)

    assert served.clients == {THERE}
