"""The helium cryostat, by the names of the public EPICS support of its controller."""

import threading
import time
from typing import Any

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal, EpicsSignalRO

from triplet_bluesky.devices.operation import Halt, label, read_fresh
from triplet_bluesky.devices.settable import Axis, Parameter
from triplet_bluesky.errors import MoveError

__all__ = ["Cryostat", "SampleTemperature"]

POLL_S = 0.2
"""Seconds between looks at the stability flag of the controller."""


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
            If it is not stable in time, or stable somewhere else.
        """
        self.command(value, halt)
        if not self.agrees(value, read_fresh(self.setpoint)):
            msg = f"{label(self)}: asked for {value} K, refused{self._reason()}"
            raise MoveError(msg)
        deadline = time.monotonic() + self.timeout
        pause = threading.Event()
        while read_fresh(self.stable) != "Yes":
            halt.check(self.setpoint, value)
            if time.monotonic() > deadline:
                msg = (
                    f"{label(self)}: asked for {value} K, at "
                    f"{read_fresh(self.readback):.3f} K and not stable after "
                    f"{self.timeout:g} s"
                )
                raise MoveError(msg)
            pause.wait(POLL_S)
        readback = read_fresh(self.readback)
        if not self.agrees(value, readback):
            msg = f"{label(self)}: asked for {value} K, stable at {readback:.3f} K"
            raise MoveError(msg)


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
    ramp_rate = Cpt(EpicsSignal, "RAMP_S1", kind="config")
    ramping = Cpt(EpicsSignalRO, "RAMPST1", string=True, kind="omitted")
    flow = Cpt(Axis, "Flow", tolerance=0.1, kind="config")
    stable_band = Cpt(Parameter, "StableBand", tolerance=1e-6, kind="config")
    stable_time = Cpt(Parameter, "StableTime", tolerance=1e-6, kind="config")
    helium_level = Cpt(EpicsSignalRO, "HeLevel_RBV", kind="config")
    vacuum = Cpt(EpicsSignalRO, "Vacuum_RBV", kind="config")
    last_error = Cpt(EpicsSignalRO, "LastError_RBV", string=True, kind="omitted")
