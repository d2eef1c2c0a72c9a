"""What the parts of the cryostat's PVs have in common."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable

from ioc_sim.base import Instrument, Part
from ioc_sim.cryostat_state import CryostatReading

__all__ = ["CryostatPart"]


class CryostatPart(Part):
    """PVs of the cryostat that belong together.

    Parameters
    ----------
    prefix
        What its PV names begin with.
    parent
        The cryostat.
    refresh
        Shows what a command has changed, in all parts.
    """

    def __init__(
        self,
        prefix: str,
        *,
        parent: Instrument,
        refresh: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(prefix, parent=parent)
        self._world = parent.world
        self._refresh = refresh

    @abstractmethod
    async def start(self) -> None:
        """Show what is set."""

    @abstractmethod
    async def show(self, reading: CryostatReading) -> None:
        """Show what was read.

        Parameters
        ----------
        reading
            What controller and gauges show.
        """
