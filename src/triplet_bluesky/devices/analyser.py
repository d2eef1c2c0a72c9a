"""The analyser: a half-wave plate in front of a polarizer aligned with the grating."""

from typing import Any, cast

from ophyd import Component as Cpt
from ophyd import Device
from ophyd.status import DeviceStatus

from triplet_bluesky.devices.derived import PositionView, View
from triplet_bluesky.devices.motor import Motor
from triplet_bluesky.devices.operation import label
from triplet_bluesky.devices.optional import OptionalSignalRO
from triplet_bluesky.devices.settable import Choice
from triplet_bluesky.errors import MoveError

__all__ = ["Analyser", "AnalyserAngle"]

PERIOD_DEG = 180.0
"""A direction of linear polarization repeats after half a turn."""


class AnalyserAngle(View):
    """The analysed polarization: twice the angle of the half-wave plate."""

    readback = Cpt(PositionView, units="deg", precision=3, kind="hinted")

    def __init__(self, prefix: str = "", **kwargs: Any) -> None:
        super().__init__(prefix, **kwargs)
        self.readback.name = self.name

    @property
    def plate(self) -> Motor:
        """The axis that this is a view of."""
        return cast("Analyser", self.parent).half_wave_plate

    @property
    def egu(self) -> str:
        """The engineering unit."""
        return "deg"

    @property
    def limits(self) -> tuple[float, float]:
        """Every angle is possible; they repeat after half a turn."""
        return (0.0, PERIOD_DEG)

    @property
    def position(self) -> float:
        """The present analysed angle, in degrees modulo 180."""
        return 2.0 * float(self.plate.position) % PERIOD_DEG

    def set(self, angle_deg: float) -> DeviceStatus:
        """Turn the half-wave plate so that it passes a direction of polarization.

        Parameters
        ----------
        angle_deg
            Analysed angle, in degrees; any finite number, taken modulo 180.

        Returns
        -------
        :
            Status of the half-wave plate.

        Raises
        ------
        MoveError
            If the angle is not a finite number.
        """
        if not abs(angle_deg) < float("inf"):
            msg = f"{label(self)}: got {angle_deg} deg, expected a finite angle"
            raise MoveError(msg)
        return self.plate.set(angle_deg % PERIOD_DEG / 2.0)

    def stop(self, *, success: bool = False) -> None:
        """Stop the half-wave plate where it is."""
        self.plate.stop(success=success)


class Analyser(Device):
    """Half-wave plate and polarizer in the detection path.

    ``inserted`` is the name that plans use for the two ends of the slide ``polarizer``.

    Parameters
    ----------
    prefix
        PV prefix with its trailing colon, for example ``"TRIPLET:ANALYSER:"``.
    name
        Name of the device in plans and data.
    """

    angle = Cpt(AnalyserAngle, "", kind="hinted", labels=("motors",))
    half_wave_plate = Cpt(Motor, "HWP", tolerance=0.02, kind="normal")
    polarizer = Cpt(Motor, "POL", tolerance=0.02, kind="config")
    inserted = Cpt(Choice, "In", kind="normal")
    polarizer_angle = Cpt(OptionalSignalRO, "PolarizerAngle_RBV", kind="config")
    last_error = Cpt(
        OptionalSignalRO,
        "LastError_RBV.VAL$",
        string=True,
        default="",
        kind="omitted",
    )
