"""What everything settable has in common: put, complete, read back, compare."""

import math
import time
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
from triplet_bluesky.devices.optional import OptionalSignal, OptionalSignalRO
from triplet_bluesky.errors import MoveError

__all__ = [
    "Axis",
    "Choice",
    "OptionalChoice",
    "OptionalParameter",
    "Parameter",
    "Settable",
]


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
        """The read-back, if it is something to plot."""
        plotted = Kind.hinted in self.readback.kind
        return {"fields": [self.readback.name] if plotted else []}

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
            If the value is not possible, or the IOC does not serve the set point;
            nothing has moved then.
        """
        if not getattr(self.setpoint, "served", True):
            msg = (
                f"{label(self)}: asked for {value}, but the IOC does not serve "
                f"{self.setpoint.setpoint_pvname}"
            )
            raise MoveError(msg)
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
        start = time.monotonic()
        self.command(value, halt)
        readback = read_fresh(self.readback)
        if not self.agrees(value, readback):
            age_s = time.time() - self.readback.timestamp
            unwritten = age_s > time.monotonic() - start
            stale = f" (last written {age_s:.1f} s ago)" if unwritten else ""
            msg = (
                f"{label(self)}: asked for {self._state(value)}; after "
                f"{self.setpoint.setpoint_pvname} completed, {self.readback.pvname} is "
                f"still at {self._state(readback)}{stale}{self._reason()}"
            )
            raise MoveError(msg)
        severity = self.readback.alarm_severity
        if severity == AlarmSeverity.INVALID:
            msg = (
                f"{label(self)}: asked for {self._state(value)}; "
                f"{self.readback.pvname} is in INVALID alarm at "
                f"{self._state(readback)}{self._reason()}"
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

    def _state(self, value: Any) -> str:
        """Give a value as messages have it."""
        return str(value)

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
    limits_required
        Whether to refuse any set point if the IOC states no control limits. False for
        what can do no harm: the read-back tells then what the IOC made of it.
    """

    setpoint = Cpt(EpicsSignal, "", kind="normal")
    readback = Cpt(EpicsSignalRO, "_RBV", kind="hinted")

    def __init__(
        self,
        prefix: str,
        *,
        tolerance: float,
        limits_required: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(prefix, **kwargs)
        self.tolerance = tolerance
        self.limits_required = limits_required

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
            With the limits; also if the IOC states none and they are required, for then
            nothing is known to be safe.
        """
        low, high = self.limits
        stated = low < high
        if self.limits_required and not stated:
            msg = (
                f"{label(self)}: asked for {self._state(value)}, but "
                f"{self.setpoint.setpoint_pvname} states no control limits, so nothing "
                "is known to be safe; set them in its record (DRVL and DRVH)"
            )
            raise MoveError(msg)
        if not math.isfinite(value) or (stated and not low <= value <= high):
            possible = f"{low:g} to {high:g}" if stated else "any finite number"
            msg = (
                f"{label(self)}: got {self._state(value)}, "
                f"possible is {possible} {self.egu}".rstrip()
            )
            raise MoveError(msg)

    def agrees(self, value: float, readback: float) -> bool:
        """Tell whether the read-back lies within the tolerance of the target."""
        return abs(readback - value) <= self.tolerance

    def _state(self, value: float) -> str:
        """Give a value with the unit of the axis."""
        return f"{value} {self.egu}".rstrip()


class Parameter(Axis):
    """A number that the IOC keeps and serves under one PV name."""

    readback = Cpt(EpicsSignalRO, "", kind="hinted")
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


class OptionalChoice(Choice):
    """A choice that the IOC need not offer; see `OptionalSignal`.

    Parameters
    ----------
    default
        The state that an instrument without this choice is in; none if not given,
        which is not recorded.
    """

    setpoint = Cpt(OptionalSignal, "", default="", string=True, kind="omitted")
    readback = Cpt(OptionalSignalRO, "_RBV", default="", string=True, kind="normal")

    def __init__(self, prefix: str, *, default: str = "", **kwargs: Any) -> None:
        super().__init__(prefix, **kwargs)
        self.setpoint.default = self.readback.default = default


class OptionalParameter(Parameter):
    """A number that the IOC need not keep; see `OptionalSignal`.

    Parameters
    ----------
    default
        What an instrument without this number does; NaN if nothing is known, which is
        not recorded.
    default_units
        Unit of the default.
    """

    readback = Cpt(OptionalSignalRO, "", kind="hinted")
    setpoint = Cpt(OptionalSignal, "", kind="omitted")

    def __init__(
        self,
        prefix: str,
        *,
        default: float = math.nan,
        default_units: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(prefix, **kwargs)
        for signal in (self.setpoint, self.readback):
            signal.default, signal.default_units = default, default_units
