"""Faults that stay until they are reset, and can be reset only when they are gone."""

from ioc_sim.channels import RefusedPutError

__all__ = ["Latch"]


class Latch:
    """What went wrong, and whether it still does."""

    def __init__(self) -> None:
        self._present: dict[str, bool] = {}

    @property
    def tripped(self) -> tuple[str, ...]:
        """What went wrong since the last reset, the first one first."""
        return tuple(self._present)

    @property
    def present(self) -> tuple[str, ...]:
        """What is still wrong."""
        return tuple(cause for cause, present in self._present.items() if present)

    def trip(self, cause: str) -> None:
        """Take a cause in.

        Parameters
        ----------
        cause
            What goes wrong, in words.
        """
        self._present[cause] = True

    def clear(self, cause: str) -> None:
        """Note that a cause is gone; it stays until the reset.

        Parameters
        ----------
        cause
            What went wrong.
        """
        if cause in self._present:
            self._present[cause] = False

    def reset(self) -> None:
        """Forget what went wrong.

        Raises
        ------
        RefusedPutError
            If some of it still is; nothing is forgotten then.
        """
        if self.present:
            msg = f"got Reset while there is still: {', '.join(self.present)}"
            raise RefusedPutError(msg)
        self._present.clear()
