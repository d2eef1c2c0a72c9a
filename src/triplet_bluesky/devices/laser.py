"""The supercontinuum laser: emission, level, interlock, faults and its health."""

from typing import Any, cast

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal, EpicsSignalRO
from ophyd.status import DeviceStatus

from triplet_bluesky.devices.operation import (
    Halt,
    label,
    put_and_complete,
    read_fresh,
    run_operation,
)
from triplet_bluesky.devices.optional import OptionalSignalRO
from triplet_bluesky.devices.settable import Axis, Choice, Parameter
from triplet_bluesky.errors import DeviceError

__all__ = ["Emission", "Laser"]

WARM_UP_TIMEOUT_S = 7200.0
"""Longest time from emission on until the laser is ready; a real one needs half an
hour, and longer from a cold room."""

RESET_TIMEOUT_S = 10.0
"""Longest time that a reset may take."""


class Emission(Choice):
    """The emission; it is on when the amplifier is warm and its power steady.

    Parameters
    ----------
    prefix
        PV name of the set point.
    timeout
        Longest time until the laser is ready, in seconds.
    """

    def __init__(
        self, prefix: str, *, timeout: float = WARM_UP_TIMEOUT_S, **kwargs: Any
    ) -> None:
        super().__init__(prefix, timeout=timeout, **kwargs)

    def _reason(self) -> str:
        """Give what the laser says of its last refusal and of its faults."""
        fault = cast("Laser", self.parent).fault_message
        said = read_fresh(fault)
        return super()._reason() + (f"; the laser's fault: {said}" if said else "")


class Laser(Device):
    """Pulsed supercontinuum laser.

    Parameters
    ----------
    prefix
        PV prefix with its trailing colon, for example ``"TRIPLET:LASER:"``.
    name
        Name of the device in plans and data.
    """

    emission = Cpt(Emission, "Emission", kind="config")
    level = Cpt(Axis, "Level", tolerance=0.05, kind="config")
    repetition_rate = Cpt(EpicsSignalRO, "RepRate_RBV", kind="config")
    pulse_width = Cpt(EpicsSignalRO, "PulseWidth_RBV", kind="config")
    interlock = Cpt(EpicsSignalRO, "Interlock_RBV", string=True, kind="config")
    ready = Cpt(EpicsSignalRO, "Ready_RBV", string=True, kind="omitted")
    status = Cpt(EpicsSignalRO, "Status_RBV", kind="config")
    status_text = Cpt(EpicsSignalRO, "StatusText_RBV.VAL$", string=True, kind="omitted")
    fault_message = Cpt(
        EpicsSignalRO, "FaultMessage_RBV.VAL$", string=True, kind="omitted"
    )
    monitor = Cpt(EpicsSignalRO, "Monitor_RBV", kind="normal")
    """Output before the filter, in % of the full one."""
    base_temperature = Cpt(EpicsSignalRO, "BaseTemperature_RBV", kind="normal")
    warm_up = Cpt(EpicsSignalRO, "WarmUp_RBV", kind="omitted")
    hours = Cpt(EpicsSignalRO, "Hours_RBV", kind="config")
    watchdog_time = Cpt(Parameter, "WatchdogTime", tolerance=0.05, kind="config")
    """Time without a put after which the laser switches itself off; 0 for never."""
    keepalive = Cpt(EpicsSignal, "Keepalive", kind="omitted")
    reset_interlock = Cpt(EpicsSignal, "InterlockReset", kind="omitted")
    reset_faults = Cpt(EpicsSignal, "Reset", kind="omitted")
    last_error = Cpt(
        OptionalSignalRO,
        "LastError_RBV.VAL$",
        string=True,
        default="",
        kind="omitted",
    )

    def reset(self) -> DeviceStatus:
        """Reset interlock and faults; the emission stays off.

        Returns
        -------
        :
            Finished when nothing is tripped any more. It fails, with what the laser
            says, while the interlock's loop is open or a fault is still there.
        """
        return run_operation(self, self._reset, Halt())

    def _reset(self) -> None:
        for signal in (self.reset_interlock, self.reset_faults):
            put_and_complete(signal, 1, RESET_TIMEOUT_S)
        interlock, fault = read_fresh(self.interlock), read_fresh(self.fault_message)
        if interlock != "OK" or fault:
            said = read_fresh(self.last_error)
            msg = (
                f"{label(self)}: reset, but the interlock is {interlock!r} and the "
                f"fault {fault!r}; the IOC says: {said}"
            )
            raise DeviceError(msg)
