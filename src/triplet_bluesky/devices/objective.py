"""The objective on its piezo stage: focus and the place on the sample."""

from typing import Any, cast

from ophyd import Component as Cpt
from ophyd import Device

from triplet_bluesky.devices.motor import Motor
from triplet_bluesky.devices.operation import label, read_fresh
from triplet_bluesky.devices.optional import OptionalSignalRO
from triplet_bluesky.devices.settable import OptionalChoice
from triplet_bluesky.errors import MoveError

__all__ = ["Objective", "Piezo"]


class Piezo(Motor):
    """One axis of the piezo stage: it moves only under servo control."""

    servo = Cpt(OptionalChoice, ":Servo", default="On", kind="config")
    travel = Cpt(OptionalSignalRO, ":Range_RBV", kind="config")

    @property
    def last_error(self) -> OptionalSignalRO:
        """Why the stage refused the last put: for the servo, whose place is here."""
        return cast("Objective", self.parent).last_error

    def check_value(self, value: float, **kwargs: Any) -> None:
        """Refuse what is beyond the limits, and any move without the servo.

        Parameters
        ----------
        value
            The target, in um.

        Raises
        ------
        MoveError
            With the limits, or with what has to be switched on.
        """
        super().check_value(value, **kwargs)
        state = read_fresh(self.servo.readback)
        if state != "On":
            msg = (
                f"{label(self)}: got {value} um, but {self.servo.readback.pvname} is "
                f"{state}; set {label(self.servo)} to On first"
            )
            raise MoveError(msg)


class Objective(Device):
    """Focuses pump and detection on the sample.

    Parameters
    ----------
    prefix
        PV prefix with its trailing colon, for example ``"TRIPLET:OBJ:"``.
    name
        Name of the device in plans and data.
    """

    x = Cpt(Piezo, "X", tolerance=0.02, kind="hinted", labels=("motors",))
    y = Cpt(Piezo, "Y", tolerance=0.02, kind="hinted", labels=("motors",))
    z = Cpt(Piezo, "Z", tolerance=0.02, kind="hinted", labels=("motors",))
    power = Cpt(OptionalChoice, "Power", default="On", kind="config")
    last_error = Cpt(
        OptionalSignalRO,
        "LastError_RBV.VAL$",
        string=True,
        default="",
        kind="omitted",
    )
