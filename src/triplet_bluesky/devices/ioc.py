"""What every IOC of the bench says about itself."""

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignalRO

__all__ = ["IocStatus"]


class IocStatus(Device):
    """Identity and life sign of an IOC, or of the part that serves one instrument.

    Parameters
    ----------
    prefix
        PV prefix with its trailing colon, for example ``"TRIPLET:IOC:"``, or
        ``"TRIPLET:CCD:IOC:"`` for what serves the CCD.
    name
        Name of the device in plans and data.
    """

    boot_id = Cpt(EpicsSignalRO, "BootId_RBV", string=True, kind="config")
    version = Cpt(EpicsSignalRO, "Version_RBV", string=True, kind="config")
    start_time = Cpt(EpicsSignalRO, "StartTime_RBV", string=True, kind="config")
    simulated = Cpt(EpicsSignalRO, "Simulated_RBV", string=True, kind="config")
    heartbeat = Cpt(EpicsSignalRO, "Heartbeat_RBV", kind="omitted")
