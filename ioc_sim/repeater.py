"""A Channel Access repeater inside the IOC, on loopback only.

A libca client that finds the repeater port of its host free starts a ``caRepeater``
program, or complains that it cannot. That program listens on every interface and
outlives its client. With this in its place nothing does either.
"""

import asyncio
import logging
import socket
import struct
from typing import Any

__all__ = ["Repeater", "open_repeater"]

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
"""Clients of this host register here; a repeater serves no others."""

HEADER = struct.Struct(">HHHHII")
"""Channel Access message header: command, size, type, count, two parameters."""

BEACON, CONFIRM, REGISTER = 13, 17, 24
"""Channel Access commands, from the protocol specification."""

ADDRESS = int.from_bytes(socket.inet_aton(HOST))
"""This host's address, as a number in a message."""


class Repeater(asyncio.DatagramProtocol):
    """Confirms clients that register, and forwards servers' beacons to them."""

    def __init__(self) -> None:
        self.clients: set[tuple[str, int]] = set()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        """Keep what to answer through.

        Parameters
        ----------
        transport
            The UDP transport.
        """
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer a registration, forward a beacon, ignore the rest.

        Parameters
        ----------
        data
            One datagram.
        addr
            Where it came from.
        """
        if self._transport is None:
            return
        command = HEADER.unpack_from(data)[0] if len(data) >= HEADER.size else None
        if not data or command == REGISTER:
            self.clients = {client for client in self.clients if _alive(client)}
            self.clients.add(addr)
            self._transport.sendto(HEADER.pack(CONFIRM, 0, 0, 0, 0, ADDRESS), addr)
        elif command == BEACON:
            for client in self.clients - {addr}:
                self._transport.sendto(_with_origin(data), client)


def _with_origin(beacon: bytes) -> bytes:
    """Beacon with its server's address, which the server leaves to the repeater."""
    *head, address = HEADER.unpack_from(beacon)
    return HEADER.pack(*head, address or ADDRESS) + beacon[HEADER.size :]


def _alive(client: tuple[str, int]) -> bool:
    """Whether a client still holds its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(client)
        except OSError:
            return True
    return False


async def open_repeater(port: int) -> asyncio.DatagramTransport | None:
    """Serve as this host's repeater, unless there is one.

    Parameters
    ----------
    port
        The repeater port, ``EPICS_CA_REPEATER_PORT``.

    Returns
    -------
    :
        The transport to close in the end; None if the port is taken.
    """
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_datagram_endpoint(
            Repeater, local_addr=(HOST, port)
        )
    except OSError:
        logger.debug("port %d is taken: this host has a repeater", port)
        return None
    return transport
