"""The shutter between the power meter and the sample."""

from triplet_bluesky.devices.operation import label
from triplet_bluesky.devices.settable import Choice

__all__ = ["CLOSED", "OPEN", "Shutter"]

OPEN = "Open"
CLOSED = "Closed"


class Shutter(Choice):
    """Lets the light through only while it is asked to.

    To the RunEngine, stopping a device means leaving it safe: here, closed. That also
    holds when a scan pauses; it opens again when the interrupted point is repeated.
    """

    def stop(self, *, success: bool = False) -> None:
        """Close at once, without waiting.

        Parameters
        ----------
        success
            Whether an opening that is cut short counts as finished.
        """
        self._halt.stop(success=success)
        if self.setpoint.connected:
            self.setpoint.put(CLOSED)
            self.log.debug("%s: closed by stop", label(self))
