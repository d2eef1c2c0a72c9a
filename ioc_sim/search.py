"""Who else serves a PV: a Channel Access search before the server starts."""

import asyncio
from collections.abc import Iterable
from typing import Any

from caproto import (
    CLIENT,
    DEFAULT_PROTOCOL_VERSION,
    Broadcaster,
    CaprotoError,
    SearchRequest,
    SearchResponse,
    VersionRequest,
)

from ioc_sim.subscriber import Address

__all__ = ["search"]

PATIENCE = 0.3
"""Real seconds to wait for an answer; on this host it takes a millisecond."""


class _Searcher(asyncio.DatagramProtocol):
    """Asks one server for some PVs.

    Parameters
    ----------
    names
        Names of the PVs.
    """

    def __init__(self, names: list[str]) -> None:
        self.found: set[str] = set()
        self.done = asyncio.Event()
        self._names = names
        self._broadcaster = Broadcaster(CLIENT)

    def connection_made(self, transport: Any) -> None:
        """Ask.

        Parameters
        ----------
        transport
            The UDP transport.
        """
        address = transport.get_extra_info("sockname")
        self._broadcaster.client_address = address
        requests = (
            SearchRequest(name, number, DEFAULT_PROTOCOL_VERSION)
            for number, name in enumerate(self._names)
        )
        version = VersionRequest(0, DEFAULT_PROTOCOL_VERSION)
        transport.sendto(self._broadcaster.send(version, *requests))

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Keep the names that are served.

        Parameters
        ----------
        data
            One datagram.
        addr
            Where it came from.
        """
        try:
            commands = self._broadcaster.recv(data, addr)
        except CaprotoError:
            return
        for command in commands:
            if isinstance(command, SearchResponse):
                self.found.add(self._names[command.cid])
        if self.found:
            self.done.set()

    def error_received(self, exc: Exception) -> None:
        """Stop waiting: nobody listens there.

        Parameters
        ----------
        exc
            What the operating system says.
        """
        self.done.set()


async def search(
    names: Iterable[str], addresses: Iterable[Address]
) -> list[tuple[str, Address]]:
    """Give the PVs that are served already, and where.

    Parameters
    ----------
    names
        Names of a few PVs: the search is one datagram to each server.
    addresses
        Host and port of each server that may have them.

    Returns
    -------
    :
        Name and address of what was found, sorted.
    """
    asked = list(names)
    answers = await asyncio.gather(*(_ask(asked, address) for address in addresses))
    return sorted(found for each in answers for found in each)


async def _ask(names: list[str], address: Address) -> list[tuple[str, Address]]:
    loop = asyncio.get_running_loop()
    try:
        transport, searcher = await loop.create_datagram_endpoint(
            lambda: _Searcher(names), remote_addr=address
        )
    except OSError:
        return []
    try:
        async with asyncio.timeout(PATIENCE):
            await searcher.done.wait()
    except TimeoutError:
        pass
    finally:
        transport.close()
    return [(name, address) for name in searcher.found]
