"""What detectors share: one exposure at a time, settings for a run, and a stop."""

import threading
from abc import abstractmethod
from typing import Any

from ophyd import Device
from ophyd.status import DeviceStatus

from triplet_bluesky.devices.operation import Halt, label, run_operation
from triplet_bluesky.devices.staging import Staged, answering
from triplet_bluesky.errors import AcquireError

__all__ = ["Detector"]

FREE_S = 15.0
"""Longest time that an exposure which was stopped may take to end, in seconds."""


class Detector(Device):
    """Device that exposes when it is triggered.

    Parameters
    ----------
    prefix
        PV prefix with its trailing colon.
    name
        Name of the device in plans and data.
    """

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        super().__init__(prefix, **kwargs)
        self._halt = Halt()
        self._free = threading.Lock()
        self._settings = Staged(self)

    def stage(self) -> list[object]:
        """Set up what a run needs.

        Returns
        -------
        :
            This device and its parts.

        Raises
        ------
        AcquireError
            If the IOC cannot do what the run needs.
        ConnectError
            If the IOC does not answer.
        MoveError
            If a setting is not taken.
        """
        devices = super().stage()
        try:
            with answering(self):
                self._set_up()
        except BaseException:
            self.unstage()
            raise
        return devices

    def unstage(self) -> list[object]:
        """Put back what was set before; what cannot be put back is logged.

        Returns
        -------
        :
            This device and its parts.
        """
        try:
            self._settings.put_back()
        finally:
            devices = super().unstage()
        return devices

    def trigger(self) -> DeviceStatus:
        """Take one exposure, as the class says.

        Returns
        -------
        :
            Finished when its data are there; fails if they are late, of another
            exposure or void.
        """
        self._halt = halt = Halt()
        return run_operation(self, lambda: self._expose(halt), halt)

    def stop(self, *, success: bool = False) -> None:
        """Abort the exposure that runs; no further one begins.

        Parameters
        ----------
        success
            Whether it is excused, as in a pause.
        """
        super().stop(success=success)
        self._halt.stop(success=success)
        self._abandon()

    def pause(self) -> None:
        """Abort the exposure when the scan pauses; it is repeated on resume."""
        super().pause()
        self.stop(success=True)

    def _expose(self, halt: Halt) -> None:
        if not self._free.acquire(timeout=FREE_S):
            msg = f"{label(self)}: the exposure before has not ended; is it stuck?"
            raise AcquireError(msg)
        try:
            self._take(halt)
        finally:
            self._free.release()

    def _set_up(self) -> None:
        """Set what holds until unstaging, by ``_settings``; nothing by default."""

    @abstractmethod
    def _take(self, halt: Halt) -> None:
        """Expose and take the data in; blocks."""

    @abstractmethod
    def _abandon(self) -> None:
        """Tell the IOC to end what runs, without waiting."""
