"""The supercontinuum laser: emission, power level, repetition rate, interlock."""

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignalRO

from triplet_bluesky.devices.settable import Axis, Choice

__all__ = ["Laser"]


class Laser(Device):
    """Pulsed supercontinuum laser.

    Parameters
    ----------
    prefix
        PV prefix with its trailing colon, for example ``"TRIPLET:LASER:"``.
    name
        Name of the device in plans and data.
    """

    emission = Cpt(Choice, "Emission", kind="config")
    level = Cpt(Axis, "Level", tolerance=0.05, kind="config")
    repetition_rate = Cpt(EpicsSignalRO, "RepRate_RBV", kind="config")
    pulse_width = Cpt(EpicsSignalRO, "PulseWidth_RBV", kind="config")
    interlock = Cpt(EpicsSignalRO, "Interlock_RBV", string=True, kind="config")
    ready = Cpt(EpicsSignalRO, "Ready_RBV", string=True, kind="omitted")
    last_error = Cpt(EpicsSignalRO, "LastError_RBV", string=True, kind="omitted")
