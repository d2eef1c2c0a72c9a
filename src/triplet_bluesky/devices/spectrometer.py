"""The spectrograph, by the names of the areaDetector Shamrock driver."""

from typing import Any, cast

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignalRO

from triplet_bluesky.devices.operation import read_fresh
from triplet_bluesky.devices.optional import OptionalSignalRO
from triplet_bluesky.devices.settable import Axis, Choice, OptionalChoice

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


class Polynomial(OptionalSignalRO):
    """Coefficients of the wavelength axis in the number of the pixel, from 0."""

    def describe(self) -> dict[str, Any]:
        """Describe the coefficients with their dimension, unit and number type."""
        description = super().describe()
        if self.name in description:
            description[self.name] |= {
                "dims": ["power"],
                "units": "nm",
                "dtype_numpy": "<f8",
            }
        return description


class CentreWavelength(Axis):
    """Wavelength at the centre of the camera; its record need not state limits."""

    @property
    def limits(self) -> tuple[float, float]:
        """Limits of the record or, if it has none, those that the driver reports."""
        low, high = super().limits
        if low < high:
            return low, high
        spectrometer = cast("Spectrometer", self.parent)
        return (
            float(read_fresh(spectrometer.shortest)),
            float(read_fresh(spectrometer.longest)),
        )


class SlitWidth(Axis):
    """Width of a slit; the driver keeps it in range, and its record has no limits."""

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        super().__init__(prefix, limits_required=False, **kwargs)


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

    centre = Cpt(
        CentreWavelength,
        "Wavelength",
        tolerance=0.01,
        kind="config",
        labels=("motors",),
    )
    wavelength = Cpt(PixelWavelengths, "Calibration", kind="normal")
    medium = Cpt(OptionalSignalRO, "Medium_RBV", string=True, default="", kind="config")
    grating = Cpt(Choice, "Grating", kind="config")
    slit = Cpt(SlitWidth, "SlitSize1", tolerance=0.5, kind="config")
    exit_port = Cpt(Choice, "FlipperMirror2", kind="config")
    exit_slit = Cpt(SlitWidth, "SlitSize3", tolerance=0.5, kind="config")
    lamp = Cpt(OptionalChoice, "Lamp", default="Off", kind="config")
    lamp_output = Cpt(OptionalSignalRO, "LampOutput_RBV", kind="omitted")
    resolution = Cpt(
        OptionalSignalRO, "Resolution_RBV", default_units="nm", kind="config"
    )
    """Width of a sharp line; give ``default`` where the IOC does not serve it."""
    coefficients = Cpt(Polynomial, "Coefficients_RBV", kind="config")
    calibrated = Cpt(
        OptionalSignalRO, "CalibrationTime_RBV", string=True, default="", kind="config"
    )
    shortest = Cpt(EpicsSignalRO, "MinWavelength", kind="omitted")
    longest = Cpt(EpicsSignalRO, "MaxWavelength", kind="omitted")
    last_error = Cpt(
        OptionalSignalRO,
        "LastError_RBV.VAL$",
        string=True,
        default="",
        kind="omitted",
    )
