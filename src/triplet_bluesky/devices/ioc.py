"""What every IOC of the bench says about itself."""

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignalRO

__all__ = ["IocStatus"]


class IocStatus(Device):
    """Identity and life sign of the IOC process.

    Parameters
    ----------
    prefix
        PV prefix with its trailing colon, for example ``"TRIPLET:IOC:"``.
    name
        Name of the device in plans and data.
    """

    boot_id = Cpt(EpicsSignalRO, "BootId_RBV", string=True, kind="config")
    version = Cpt(EpicsSignalRO, "Version_RBV", string=True, kind="config")
    start_time = Cpt(EpicsSignalRO, "StartTime_RBV", string=True, kind="config")
    heartbeat = Cpt(EpicsSignalRO, "Heartbeat_RBV", kind="omitted")
