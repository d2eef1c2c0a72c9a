"""Which client a put came from, and what is done when that client goes away."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar

__all__ = ["FOLLOWER", "WRITER", "Client"]

FOLLOWER = "ioc_sim follower"
"""What a process of the bench calls itself to the others. Who calls itself so sees the
same read-backs as all others, without the faults of the wire."""

Farewell = Callable[[], Awaitable[None]]


class Client:
    """A connected client, for as long as its Channel Access circuit is there."""

    def __init__(self) -> None:
        self.connected = True
        self._farewells: dict[object, Farewell] = {}

    def when_gone(self, owner: object, farewell: Farewell) -> None:
        """Ask for something to be done when the client goes, killed or not.

        Parameters
        ----------
        owner
            Who asks; has one such wish at a time.
        farewell
            Awaited then.
        """
        self._farewells[owner] = farewell

    def forget(self, owner: object) -> None:
        """Take a wish back.

        Parameters
        ----------
        owner
            Who had asked, if at all.
        """
        self._farewells.pop(owner, None)

    async def leave(self) -> None:
        """Do all that was asked for; the circuit is gone."""
        self.connected = False
        while self._farewells:
            _, farewell = self._farewells.popitem()
            await farewell()


WRITER: ContextVar[Client | None] = ContextVar("WRITER", default=None)
"""Client whose put is being worked on; None for what the bench does by itself."""
