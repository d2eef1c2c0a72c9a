"""The spectrograph, by the names of the areaDetector Shamrock driver."""

from typing import Any

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignalRO

from triplet_bluesky.devices.settable import Axis, Choice

__all__ = ["PixelWavelengths", "Spectrometer"]


class PixelWavelengths(EpicsSignalRO):
    """The wavelength at the centre of each pixel column."""

    def describe(self) -> dict[str, Any]:
        """Describe the axis with its dimension, unit and number type."""
        description = super().describe()
        description[self.name] |= {
            "dims": ["pixel"],
            "units": "nm",
            "dtype_numpy": "<f8",
        }
        return description


class Spectrometer(Device):
    """Grating spectrograph in front of the CCD.

    Parameters
    ----------
    prefix
        PV prefix with its trailing colon, for example ``"TRIPLET:SPEC:"``.
    name
        Name of the device in plans and data.
    """

    centre = Cpt(Axis, "Wavelength", tolerance=0.01, kind="config", labels=("motors",))
    wavelength = Cpt(PixelWavelengths, "Calibration", kind="normal")
    medium = Cpt(EpicsSignalRO, "Medium_RBV", string=True, kind="config")
    grating = Cpt(Choice, "Grating", kind="config")
    slit = Cpt(Axis, "SlitSize1", tolerance=0.5, kind="config")
    resolution = Cpt(EpicsSignalRO, "Resolution_RBV", kind="config")
    shortest = Cpt(EpicsSignalRO, "MinWavelength", kind="omitted")
    longest = Cpt(EpicsSignalRO, "MaxWavelength", kind="omitted")
    last_error = Cpt(EpicsSignalRO, "LastError_RBV", string=True, kind="omitted")
