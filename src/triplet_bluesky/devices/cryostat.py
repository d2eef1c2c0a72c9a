"""The helium cryostat, by the names of the public EPICS support of its controller."""

import math
import threading
import time
from typing import Any, cast

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal, EpicsSignalRO
from ophyd.status import DeviceStatus
from ophyd.utils.epics_pvs import AlarmSeverity

from triplet_bluesky.devices.operation import (
    Halt,
    label,
    put_and_complete,
    read_fresh,
    run_operation,
)
from triplet_bluesky.devices.optional import OptionalSignal, OptionalSignalRO
from triplet_bluesky.devices.settable import Axis, Choice, OptionalParameter
from triplet_bluesky.errors import MoveError

__all__ = [
    "Cryostat",
    "HeaterRange",
    "LoopMode",
    "Ramp",
    "RampRate",
    "SampleTemperature",
    "TemperatureLimit",
]

POLL_S = 0.2
"""Seconds between looks at the stability flag of the controller."""

NO_TRIP = "None"
"""What the controller says as long as it has not switched its heater off."""

RESET_TIMEOUT_S = 10.0
"""Longest time that the IOC may take to process a reset."""


class SampleTemperature(Axis):
    """The sample temperature; arrived when the controller calls it stable.

    Parameters
    ----------
    prefix
        PV prefix of the cryostat.
    timeout
        Longest time until the temperature is stable, in seconds.
    """

    setpoint = Cpt(EpicsSignal, "SETP_S1", kind="normal")
    readback = Cpt(EpicsSignalRO, "KRDG1", kind="hinted")
    working_setpoint = Cpt(EpicsSignalRO, "SETP1", kind="omitted")
    stable = Cpt(EpicsSignalRO, "Stable_RBV", string=True, kind="normal")
    peak = Cpt(OptionalSignalRO, "StablePeak_RBV", kind="normal")
    rms = Cpt(OptionalSignalRO, "StableRms_RBV", kind="normal")
    sensor = Cpt(EpicsSignalRO, "RDGST1", string=True, kind="omitted")
    trip = Cpt(
        OptionalSignalRO, "Trip_RBV", string=True, default=NO_TRIP, kind="omitted"
    )

    def __init__(self, prefix: str, *, timeout: float = 3600.0, **kwargs: Any) -> None:
        super().__init__(prefix, timeout=timeout, **kwargs)

    def go(self, value: float, halt: Halt) -> None:
        """Set the temperature and wait until it is stable; blocks.

        Parameters
        ----------
        value
            Temperature, in kelvin.
        halt
            The stop of the operation that this is a part of.

        Raises
        ------
        MoveError
            If the controller has switched its heater off, the thermometer gives no
            reading, or the temperature is not stable in time or stable somewhere else.
        """
        self.require_control(value)
        self.command(value, halt)
        if not self.agrees(value, read_fresh(self.setpoint)):
            msg = f"{label(self)}: asked for {value} K, refused{self._reason()}"
            raise MoveError(msg)
        deadline = time.monotonic() + self.timeout
        pause = threading.Event()
        while read_fresh(self.stable) != "Yes":
            halt.check(self.setpoint, value)
            self.require_control(value)
            if time.monotonic() > deadline:
                msg = (
                    f"{label(self)}: asked for {value} K, not stable after "
                    f"{self.timeout:g} s; {self._readings()}"
                )
                raise MoveError(msg)
            pause.wait(POLL_S)
        self.require_control(value)
        readback = read_fresh(self.readback)
        if not self.agrees(value, readback):
            msg = (
                f"{label(self)}: asked for {value} K, stable with "
                f"{self.readback.pvname} at {readback:.3f} K"
            )
            raise MoveError(msg)

    def require_control(self, value: float) -> None:
        """Make sure that the controller can hold a temperature.

        Parameters
        ----------
        value
            Where the temperature is to go, in kelvin, for the message.

        Raises
        ------
        MoveError
            If the thermometer gives no reading, or the heater was switched off.
        """
        readback = read_fresh(self.readback)
        invalid = self.readback.alarm_severity == AlarmSeverity.INVALID
        if invalid or not math.isfinite(readback):
            msg = (
                f"{label(self)}: asked for {value} K, but {self.readback.pvname} reads "
                f"{readback} K (sensor: {read_fresh(self.sensor)}); look at the "
                f"thermometer; {self._readings()}"
            )
            raise MoveError(msg)
        trip = read_fresh(self.trip)
        if trip != NO_TRIP:
            msg = (
                f"{label(self)}: asked for {value} K, but the controller has switched "
                f"its heater off ({self.trip.pvname} is {trip}); {self._readings()}; "
                "when the reason is gone, call reset_trip() of the cryostat and choose "
                "a heater range"
            )
            raise MoveError(msg)

    def _readings(self) -> str:
        """State what one looks at who wonders about the temperature."""
        cryostat = cast("Cryostat", self.parent)
        return (
            f"sample {read_fresh(self.readback):.3f} K, "
            f"finger {read_fresh(cryostat.finger):.3f} K, "
            f"working set point {read_fresh(self.working_setpoint):.3f} K, "
            f"greatest deviation {read_fresh(self.peak):.3f} K, "
            f"heater {read_fresh(cryostat.heater):.1f} % of "
            f"{read_fresh(cryostat.heater_range.readback)}, "
            f"flow {read_fresh(cryostat.flow.readback):.0f} %, "
            f"helium {read_fresh(cryostat.helium_level):.0f} %, "
            f"vacuum {read_fresh(cryostat.vacuum):.1e} mbar"
        )


class RampRate(Axis):
    """Rate at which the controller moves its working set point."""

    setpoint = Cpt(EpicsSignal, "RAMP_S1", kind="omitted")
    readback = Cpt(EpicsSignalRO, "RAMP1", kind="normal")


class Ramp(Choice):
    """Whether the controller ramps to a new set point: ``"Off"`` or ``"On"``."""

    setpoint = Cpt(EpicsSignal, "RAMPST_S1", string=True, kind="omitted")
    readback = Cpt(EpicsSignalRO, "RAMPST1", string=True, kind="normal")


class HeaterRange(Choice):
    """Range of the heater, or ``"Off"``."""

    setpoint = Cpt(EpicsSignal, "RANGE_S1", string=True, kind="omitted")
    readback = Cpt(EpicsSignalRO, "RANGE1", string=True, kind="normal")


class LoopMode(Choice):
    """How the controller works out the heater's output."""

    setpoint = Cpt(EpicsSignal, "OMM_S1", string=True, kind="omitted")
    readback = Cpt(EpicsSignalRO, "OMM1", string=True, kind="normal")


class TemperatureLimit(Axis):
    """Sample temperature above which the controller switches its heater off."""

    setpoint = Cpt(EpicsSignal, "TLIMIT_S1", kind="omitted")
    readback = Cpt(EpicsSignalRO, "TLIMIT1", kind="normal")


class Cryostat(Device):
    """Continuous-flow helium cryostat with its temperature controller.

    Parameters
    ----------
    prefix
        PV prefix with its trailing colon, for example ``"TRIPLET:CRYO:"``.
    name
        Name of the device in plans and data.
    """

    temperature = Cpt(
        SampleTemperature, "", tolerance=0.1, kind="hinted", labels=("motors",)
    )
    finger = Cpt(EpicsSignalRO, "KRDG0", kind="normal")
    heater = Cpt(EpicsSignalRO, "HTR1", kind="normal")
    heater_power = Cpt(OptionalSignalRO, "HeaterPower_RBV", kind="normal")
    heater_range = Cpt(HeaterRange, "", kind="config")
    loop_mode = Cpt(LoopMode, "", kind="config")
    temperature_limit = Cpt(TemperatureLimit, "", tolerance=0.05, kind="config")
    proportional = Cpt(EpicsSignalRO, "P1", kind="config")
    integral = Cpt(EpicsSignalRO, "I1", kind="config")
    derivative = Cpt(EpicsSignalRO, "D1", kind="config")
    ramp_rate = Cpt(RampRate, "", tolerance=1e-6, kind="config")
    ramp = Cpt(Ramp, "", kind="config")
    ramping = Cpt(
        OptionalSignalRO, "Ramping_RBV", string=True, default="", kind="omitted"
    )
    flow = Cpt(Axis, "Flow", tolerance=0.1, kind="config")
    flow_mode = Cpt(Choice, "FlowMode", kind="config")
    stable_band = Cpt(OptionalParameter, "StableBand", tolerance=1e-6, kind="config")
    stable_time = Cpt(OptionalParameter, "StableTime", tolerance=1e-6, kind="config")
    helium_level = Cpt(OptionalSignalRO, "HeLevel_RBV", kind="config")
    vacuum = Cpt(OptionalSignalRO, "Vacuum_RBV", kind="config")
    trip_reset = Cpt(
        OptionalSignal, "TripReset", string=True, default="", kind="omitted"
    )
    last_error = Cpt(
        OptionalSignalRO,
        "LastError_RBV.VAL$",
        string=True,
        default="",
        kind="omitted",
    )

    def reset_trip(self) -> DeviceStatus:
        """Forget why the heater was switched off, once the reason is gone.

        The heater stays off until ``heater_range`` is set.

        Returns
        -------
        :
            Status; failed if the reason is still there.
        """
        return run_operation(self, self._reset_trip, Halt())

    def _reset_trip(self) -> None:
        if not self.trip_reset.served:
            msg = (
                f"{label(self)}: the IOC does not serve {self.trip_reset.pvname}; "
                "reset the controller at its front, then choose a heater range"
            )
            raise MoveError(msg)
        put_and_complete(self.trip_reset, "Reset", RESET_TIMEOUT_S)
        trip = read_fresh(self.temperature.trip)
        if trip != NO_TRIP:
            msg = (
                f"{label(self)}: the trip cannot be reset, its reason is still there "
                f"({trip}): {read_fresh(self.last_error)}"
            )
            raise MoveError(msg)
