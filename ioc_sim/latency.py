"""A caproto server whose answers leave at once, in order, from one known port.

caproto's asyncio server is mended in five places, all of them here:

* Its listening socket is made with protocol number 0, for which asyncio does not switch
  Nagle's algorithm off; a put response after a monitor then waits for the client's
  delayed acknowledgement, 40 ms on Linux.
* A second monitor within 10 ms waits for up to 10 ms, in case there is a third one.
* A put response overtakes the monitors that were posted before it, so a client that
  waits for completion looks at the old values. A record of EPICS base sends them first.
* A server whose TCP port is taken picks a random one; two copies of an IOC then share
  its PVs between them, unnoticed.
* A put does not know whose it is; here its task has the `ioc_sim.client.WRITER`, who is
  told when the circuit is gone.

The faults of a connection are here too: answers that come late, and a cut. They spare
the other processes of the bench, as do those of channels: what is wrong on the wire
changes nothing in the light.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from caproto import (
    CaprotoNetworkError,
    CaprotoRuntimeError,
    EventAddRequest,
    WriteNotifyResponse,
)
from caproto.asyncio.server import AsyncioEvent, Context, VirtualCircuit

from ioc_sim.client import FOLLOWER, WRITER, Client

__all__ = ["PortTakenError", "PromptCircuit", "PromptContext"]

MONITOR_GRACE = 0.05
"""Seconds that a put response waits, at most, for a client that reads slowly."""

WRITE_GRACE = 3
"""Turns of the event loop that a read gives to a write before it."""


class PortTakenError(CaprotoRuntimeError):
    """The port to serve on belongs to another process."""

    def __init__(self, interface: str, port: int) -> None:
        super().__init__(
            f"port {port} on {interface} is taken, perhaps by another IOC of this "
            "bench: stop that one, or set EPICS_CA_SERVER_PORT to a free port here "
            "and in the clients"
        )


class _WriteEvent(AsyncioEvent):
    """Set while no write is pending; a pending one holds reads for no real time."""

    async def wait(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109  (caproto's signature)
        for _ in range(WRITE_GRACE):
            if self.is_set():
                break
            await asyncio.sleep(0)
        return self.is_set()


class PromptCircuit(VirtualCircuit):
    """One client's connection: monitors leave at once, put responses after them."""

    context: Context

    def __init__(self, circuit: Any, client: Any, context: "PromptContext") -> None:
        super().__init__(circuit, client, context)
        self._server = context
        self.write_event = _WriteEvent()
        self.writer = Client()
        self._monitors_sent = asyncio.Event()
        self._late: asyncio.Queue[tuple[float, bytes] | None] | None = None

    @property
    def following(self) -> bool:
        """Whether the client is another process of the bench."""
        return self.client_username == FOLLOWER

    async def get_from_sub_queue(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109  (caproto's signature)
        """Next monitor; None if a batch is open and there is none right now.

        Parameters
        ----------
        timeout
            None to wait for as long as it takes; any number not to wait.
        """
        queue = self.subscription_queue
        if timeout is not None:
            return None if queue.empty() else queue.get_nowait()
        if queue.empty():
            self._monitors_sent.set()
        monitor = await queue.get()
        self._monitors_sent.clear()
        return monitor

    async def send(self, *commands: Any) -> None:
        """Send responses; what was posted before a put response leaves before it.

        Parameters
        ----------
        commands
            caproto commands.
        """
        if any(isinstance(command, WriteNotifyResponse) for command in commands):
            await self._send_monitors()
        await super().send(*commands)

    async def _send_buffers(self, *buffers: Any) -> None:
        # A client says its name before it asks for anything but the version.
        late = self.client_username is not None and not self.following
        if self._late is None and self._server.delay > 0 and late:
            self._late = asyncio.Queue()
            self.tasks.create(self._send_late(self._late))
        if self._late is None:
            await super()._send_buffers(*buffers)
            return
        # Once late, through the queue for ever: what was sent first comes first.
        due = asyncio.get_running_loop().time() + self._server.delay
        self._late.put_nowait((due, b"".join(buffers)))

    async def _send_late(self, late: asyncio.Queue[tuple[float, bytes] | None]) -> None:
        loop = asyncio.get_running_loop()
        while (message := await late.get()) is not None:
            due, data = message
            await asyncio.sleep(due - loop.time())
            with suppress(CaprotoNetworkError):  # the reader notices that it is gone
                await self.client.send(data)

    def _get_db_entry_from_command(self, command: Any) -> tuple[Any, Any]:
        channel, entry = super()._get_db_entry_from_command(command)
        if self.following and isinstance(command, EventAddRequest):
            entry = entry.sound
        return channel, entry

    async def _start_write_task(self, handle_write: Callable[[], Any]) -> None:
        # The task keeps the context that it is made in.
        token = WRITER.set(self.writer)
        await super()._start_write_task(handle_write)
        WRITER.reset(token)

    async def _on_disconnect(self) -> None:
        if self.connected:
            # Not awaited here: the caller may be a task that ends with the circuit.
            self.context.server_tasks.create(self.writer.leave())
            if self._late is not None:
                self._late.put_nowait(None)
        await super()._on_disconnect()

    async def _send_monitors(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + MONITOR_GRACE
        while self.connected and loop.time() < deadline:
            # Idle when nobody has fetched a monitor that is not sent yet.
            queued = self.context.subscription_queue.qsize()
            queued += self.subscription_queue.qsize()
            if not queued and self._monitors_sent.is_set():
                return
            await asyncio.sleep(0)


class PromptContext(Context):
    """A server on its own port or not at all, without Nagle's algorithm.

    Parameters
    ----------
    pvdb
        Channels by PV name.
    interfaces
        Addresses to listen on.
    port
        TCP port for channels and UDP port for searches.
    """

    CircuitClass = PromptCircuit

    def __init__(self, pvdb: dict[str, Any], interfaces: list[str], port: int) -> None:
        super().__init__(pvdb, interfaces)
        self.ca_server_port = port
        self.delay = 0.0
        """Seconds that each answer takes longer."""

    def cut(self) -> None:
        """Close all connections of clients that are no part of the bench."""
        for circuit in list(self.circuits):
            if not circuit.following:
                circuit.client.close()

    async def _create_broadcaster_transport(self, interface: str) -> None:
        try:
            await super()._create_broadcaster_transport(interface)
        except OSError as error:
            raise PortTakenError(interface, self.ca_server_port) from error

    async def _bind_tcp_sockets_with_consistent_port_number(
        self, make_socket: Callable[[str, int], Awaitable[socket.socket]]
    ) -> tuple[int, dict[str, socket.socket]]:
        bound: dict[str, socket.socket] = {}
        for interface in self.interfaces:
            try:
                listener = await make_socket(interface, self.ca_server_port)
            except OSError as error:
                for other in bound.values():
                    other.close()
                raise PortTakenError(interface, self.ca_server_port) from error
            # Linux: accepted sockets inherit the option.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            bound[interface] = listener
        return self.ca_server_port, bound
