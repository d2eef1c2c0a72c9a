"""A Channel Access client in the simulator: subscribes to what one server has."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from caproto import (
    CLIENT,
    DEFAULT_PROTOCOL_VERSION,
    DISCONNECTED,
    ChannelType,
    ClientChannel,
    ClientNameRequest,
    CreateChanResponse,
    EventAddResponse,
    HostNameRequest,
    VersionRequest,
    VirtualCircuit,
)

from ioc_sim.client import FOLLOWER
from ioc_sim.clock import Clock

__all__ = ["Address", "Receive", "Subscriber", "Wanted"]

Address = tuple[str, int]
"""Host and port of a server."""

Receive = Callable[[Any, float], Awaitable[None]]
"""Takes a value and the simulated time at which it was true."""

SILENCE = 5.0
"""Real seconds without a life sign after which a server counts as dead."""

RECEIVED = 65536
"""Bytes to read at once."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A PV to subscribe to."""

    group: str
    """Name of the group that it belongs to."""
    kind: ChannelType
    """How to ask for it."""
    receive: Receive


class Subscriber:
    """One server's connection, from its start to its end.

    A server of this bench answers on TCP at the port that it is searched at, so
    channels are asked for without a search; what the server does not have it declines.
    Among what is wanted is something that changes every second: a server that is
    silent for longer counts as dead.

    Parameters
    ----------
    address
        Host and port of the server.
    wanted
        What to subscribe to, by the names of the PVs.
    found
        Called with the group of each PV that the server has, and its address.
    clock
        Simulated time.
    """

    def __init__(
        self,
        address: Address,
        wanted: Mapping[str, Wanted],
        found: Callable[[str, Address], None],
        clock: Clock,
    ) -> None:
        self._address = address
        self._wanted = wanted
        self._found = found
        self._clock = clock
        self._circuit = VirtualCircuit(CLIENT, address, priority=0)
        self._channels: dict[int, ClientChannel] = {}
        self._subscribed: dict[int, Wanted] = {}
        self._connected: dict[str, ClientChannel] = {}

    async def run(self) -> None:
        """Follow until the server is gone, or silent."""
        reader, self._writer = await asyncio.wait_for(
            asyncio.open_connection(*self._address), SILENCE
        )
        try:
            self._greet()
            while True:
                silence = SILENCE if self._subscribed else None
                data = await asyncio.wait_for(reader.read(RECEIVED), silence)
                for command in self._circuit.recv(data)[0]:
                    self._circuit.process_command(command)
                    if command is DISCONNECTED:
                        return
                    await self._take(command)
        finally:
            self._writer.close()

    def put(self, name: str, value: float | str) -> None:
        """Write to a PV that the server has, without waiting for it.

        Parameters
        ----------
        name
            Name of the PV.
        value
            A number, or a text or choice.
        """
        if channel := self._connected.get(name):
            text = isinstance(value, str)
            data = [value.encode("latin-1")] if text else [value]
            kind = ChannelType.STRING if text else ChannelType.DOUBLE
            self._send(channel.write(data, data_type=kind, notify=False))

    def _greet(self) -> None:
        self._send(
            VersionRequest(priority=0, version=DEFAULT_PROTOCOL_VERSION),
            HostNameRequest(socket.gethostname()),
            ClientNameRequest(FOLLOWER),
        )
        for name in self._wanted:
            cid = self._circuit.new_channel_id()
            self._channels[cid] = ClientChannel(name, self._circuit, cid=cid)
            self._send(self._channels[cid].create())

    def _send(self, *commands: Any) -> None:
        for buffer in self._circuit.send(*commands):
            self._writer.write(bytes(buffer))

    async def _take(self, command: Any) -> None:
        if isinstance(command, CreateChanResponse):
            channel = self._channels[command.cid]
            wanted = self._wanted[channel.name]
            self._connected[channel.name] = channel
            request = channel.subscribe(data_type=wanted.kind, data_count=1)
            self._subscribed[request.subscriptionid] = wanted
            self._send(request)
            self._found(wanted.group, self._address)
        elif isinstance(command, EventAddResponse):
            wanted = self._subscribed[command.subscriptionid]
            value = command.data[0]
            if isinstance(value, bytes):
                value = value.decode("latin-1")
            now = time.time()
            ago = max(now - getattr(command.metadata, "timestamp", now), 0.0)
            await wanted.receive(value, self._clock.before(ago))
