"""What everything settable has in common: put, complete, read back, compare."""

import math
from abc import abstractmethod
from typing import Any

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal, EpicsSignalRO, Kind, Signal
from ophyd.device import OrderedDictType
from ophyd.status import DeviceStatus
from ophyd.utils.epics_pvs import AlarmSeverity

from triplet_bluesky.devices.derived import no_offset
from triplet_bluesky.devices.operation import (
    Halt,
    await_completion,
    label,
    read_fresh,
    run_operation,
)
from triplet_bluesky.errors import MoveError

__all__ = ["Axis", "Choice", "Parameter", "Settable"]


class Settable(Device):
    """A set point and its read-back; ``set`` ends when the read-back agrees.

    Parameters
    ----------
    prefix
        PV name of the set point.
    timeout
        Longest time that the IOC may take to complete a put, in seconds.
    """

    setpoint = Cpt(EpicsSignal, "", kind="omitted")
    readback = Cpt(EpicsSignalRO, "_RBV", kind="normal")

    def __init__(self, prefix: str, *, timeout: float = 120.0, **kwargs: Any) -> None:
        super().__init__(prefix, **kwargs)
        self.timeout = timeout
        self._halt = Halt()
        self.readback.name = self.name

    @property
    def hints(self) -> dict[str, list[str]]:
        """The read-back is what one would plot."""
        return {"fields": [self.readback.name]}

    @property
    def position(self) -> Any:
        """The present read-back, freshly read."""
        return read_fresh(self.readback)

    @abstractmethod
    def check_value(self, value: Any, **kwargs: Any) -> None:
        """Refuse a value that the IOC would refuse.

        Parameters
        ----------
        value
            What is to be set.

        Raises
        ------
        MoveError
            With what was got and what is possible.
        """

    @abstractmethod
    def agrees(self, value: Any, readback: Any) -> bool:
        """Tell whether a read-back means that the set point was reached."""

    def set(self, value: Any) -> DeviceStatus:
        """Go to a value.

        Parameters
        ----------
        value
            The target, in the unit of the set point.

        Returns
        -------
        :
            Finished when the IOC has completed and the read-back agrees.

        Raises
        ------
        MoveError
            If the value is not possible; nothing has moved then.
        """
        self.check_value(value)
        self._halt = halt = Halt()
        return run_operation(self, lambda: self.go(value, halt), halt)

    def go(self, value: Any, halt: Halt) -> None:
        """Put, wait for completion and verify; blocks (see `set` for the status).

        Parameters
        ----------
        value
            The target, in the unit of the set point.
        halt
            The stop of the operation that this is a part of.

        Raises
        ------
        MoveError
            If the read-back does not agree after completion, with the IOC's reason.
        """
        self.command(value, halt)
        readback = read_fresh(self.readback)
        if not self.agrees(value, readback):
            msg = (
                f"{label(self)}: asked for {value}, still at {readback} after "
                f"{self.setpoint.setpoint_pvname} completed{self._reason()}"
            )
            raise MoveError(msg)
        severity = self.readback.alarm_severity
        if severity == AlarmSeverity.INVALID:
            msg = (
                f"{label(self)}: {self.readback.pvname} is in INVALID alarm at "
                f"{readback}{self._reason()}"
            )
            raise MoveError(msg)

    def command(self, value: Any, halt: Halt) -> None:
        """Put the set point and wait for completion, unless stopped before; blocks.

        Parameters
        ----------
        value
            The target, in the unit of the set point.
        halt
            The stop of the operation that this is a part of.

        Raises
        ------
        MoveError
            If the stop came first, or the IOC does not complete in time.
        """
        done = halt.issue(self.setpoint, value)
        await_completion(self.setpoint, done, value, self.timeout)

    def read_configuration(self) -> OrderedDictType:
        """Read what is recorded once; the value itself if it is configuration."""
        reading = super().read_configuration()
        if self.kind == Kind.config:
            reading.update(self.read())
        return reading

    def describe_configuration(self) -> OrderedDictType:
        """Describe what `read_configuration` gives."""
        description = super().describe_configuration()
        if self.kind == Kind.config:
            description.update(self.describe())
        return description

    def stop(self, *, success: bool = False) -> None:
        """Stop the motion where it is; the IOC then completes, away from the target.

        Parameters
        ----------
        success
            Whether a move that is cut short counts as finished.
        """
        super().stop(success=success)
        self._halt.stop(success=success)
        stop_motion = getattr(self.parent, "stop_motion", None)
        if stop_motion is not None and stop_motion.connected:
            stop_motion.put(1)

    def _reason(self) -> str:
        """Give what the instrument says of its last refusal, where it says so."""
        last_error = getattr(self.parent, "last_error", None)
        said = read_fresh(last_error) if last_error is not None else ""
        return f"; the IOC says: {said}" if said else ""


class Axis(Settable):
    """A number with limits: a motor, an attenuation, an exposure time.

    Parameters
    ----------
    prefix
        PV name of the set point.
    tolerance
        Largest distance of the read-back from the set point that counts as arrived,
        in the unit of the axis.
    """

    setpoint = Cpt(EpicsSignal, "", kind="normal")
    readback = Cpt(EpicsSignalRO, "_RBV", kind="hinted")

    def __init__(self, prefix: str, *, tolerance: float, **kwargs: Any) -> None:
        super().__init__(prefix, **kwargs)
        self.tolerance = tolerance

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest value that the IOC accepts, in the unit of the axis."""
        low, high = self.setpoint.limits
        return (math.nan if low is None else low, math.nan if high is None else high)

    @property
    def user_offset(self) -> Signal:
        """The offset that Bluesky's ``%wa`` shows; the axis has none."""
        return no_offset(self)

    @property
    def egu(self) -> str:
        """The engineering unit, as the IOC states it."""
        return str(self.setpoint.metadata.get("units") or "")

    def check_value(self, value: float, **_: Any) -> None:
        """Refuse what is not a finite number within the limits of the IOC.

        Parameters
        ----------
        value
            The target, in the unit of the axis.

        Raises
        ------
        MoveError
            With the limits; also if the IOC states none, for then nothing is known to
            be safe.
        """
        low, high = self.limits
        if not low < high:
            msg = (
                f"{label(self)}: {self.setpoint.setpoint_pvname} states no limits; "
                f"refusing to set {value} - is the IOC connected?"
            )
            raise MoveError(msg)
        if not math.isfinite(value) or not low <= value <= high:
            msg = (
                f"{label(self)}: got {value} {self.egu}, "
                f"possible is {low:g} to {high:g} {self.egu}"
            )
            raise MoveError(msg)

    def agrees(self, value: float, readback: float) -> bool:
        """Tell whether the read-back lies within the tolerance of the target."""
        return abs(readback - value) <= self.tolerance


class Parameter(Axis):
    """A number that the IOC keeps and serves under one PV name."""

    readback = Cpt(EpicsSignalRO, "", kind="normal")
    setpoint = Cpt(EpicsSignal, "", kind="omitted")


class Choice(Settable):
    """One of the states that an ENUM PV names."""

    setpoint = Cpt(EpicsSignal, "", string=True, kind="omitted")
    readback = Cpt(EpicsSignalRO, "_RBV", string=True, kind="normal")

    @property
    def choices(self) -> tuple[str, ...]:
        """The states that can be asked for."""
        states: Any = self.setpoint.metadata.get("enum_strs") or ()
        return tuple(states)

    def check_value(self, value: str, **_: Any) -> None:
        """Refuse a state that the PV does not name.

        Parameters
        ----------
        value
            The wanted state.

        Raises
        ------
        MoveError
            With the states that there are.
        """
        if value not in self.choices:
            msg = f"{label(self)}: got {value!r}, expected one of {self.choices}"
            raise MoveError(msg)

    def agrees(self, value: str, readback: str) -> bool:
        """Tell whether the read-back is the wanted state."""
        return value == readback
