"""The spectrograph, by the names of the areaDetector Shamrock driver."""

from typing import Any

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignalRO

from triplet_bluesky.devices.settable import Axis, Choice

__all__ = ["CAMERA", "PHOTOMULTIPLIER", "PixelWavelengths", "Spectrometer"]

CAMERA = "Direct"
"""Position of the exit mirror at which the light goes to the CCD."""

PHOTOMULTIPLIER = "Side"
"""Position of the exit mirror at which the light goes through the exit slit."""


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


class Polynomial(EpicsSignalRO):
    """Coefficients of the wavelength axis in the number of the pixel, from 0."""

    def describe(self) -> dict[str, Any]:
        """Describe the coefficients with their dimension, unit and number type."""
        description = super().describe()
        description[self.name] |= {
            "dims": ["power"],
            "units": "nm",
            "dtype_numpy": "<f8",
        }
        return description


class Spectrometer(Device):
    """Grating spectrograph with two exits: the CCD, and a slit with a photomultiplier.

    ``exit_port`` is `CAMERA` or `PHOTOMULTIPLIER`. A grating turns for seconds; its
    axis is in ``wavelength`` when its move is done. The axis is the driver's: how far
    it is off shows in the lines of the ``lamp``, whose move is done when it is warm.

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
    exit_port = Cpt(Choice, "FlipperMirror2", kind="config")
    exit_slit = Cpt(Axis, "SlitSize3", tolerance=0.5, kind="config")
    lamp = Cpt(Choice, "Lamp", kind="config")
    lamp_output = Cpt(EpicsSignalRO, "LampOutput_RBV", kind="omitted")
    resolution = Cpt(EpicsSignalRO, "Resolution_RBV", kind="config")
    coefficients = Cpt(Polynomial, "Coefficients_RBV", kind="config")
    calibrated = Cpt(EpicsSignalRO, "CalibrationTime_RBV", string=True, kind="config")
    shortest = Cpt(EpicsSignalRO, "MinWavelength", kind="omitted")
    longest = Cpt(EpicsSignalRO, "MaxWavelength", kind="omitted")
    last_error = Cpt(EpicsSignalRO, "LastError_RBV.VAL$", string=True, kind="omitted")
