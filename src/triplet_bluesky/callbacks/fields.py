"""The data keys that the callbacks read: names of fields, never of devices."""

from dataclasses import dataclass

from event_model import EventDescriptor

__all__ = ["DARK", "PRIMARY", "SpectrumFields"]

PRIMARY = "primary"
"""Stream of the measured points."""

DARK = "dark"
"""Stream of the frames taken with the shutter closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumFields:
    """Where a spectrum and its conditions stand in an event and its descriptor."""

    counts: str = "ccd_counts"
    """Raw counts in ADU; shape ``(subexposures, pixels)``."""
    exposure: str = "ccd_cam_acquire_time"
    """Exposure of one sub-exposure, in s."""
    wavelength: str = "spectrometer_wavelength"
    """Wavelength of each pixel, in nm (vacuum)."""
    pump: str = "tunable_filter_wavelength"
    """Pump wavelength, in nm (vacuum)."""
    bandwidth: str = "tunable_filter_bandwidth"
    """Full width at half maximum of the pump band, in nm."""
    photons: str = "power_control_photons"
    """Photons per pulse at the sample."""
    photons_sigma: str = "power_control_photons_sigma"
    """Its statistical standard error."""
    power: str = "power_control_power"
    """Power at the sample, in uW."""
    in_tolerance: str = "power_control_in_tolerance"
    """1 if the dose was reached."""
    sensitivity: str = "ccd_cam_sensitivity"
    """Configuration: electrons per ADU."""
    saturation: str = "ccd_cam_saturation_level"
    """Configuration: raw count at which a pixel is saturated."""
    resolution: str = "spectrometer_resolution"
    """Configuration: full width of the line spread function, in nm."""

    @property
    def needed(self) -> frozenset[str]:
        """Fields without which an event holds no spectrum."""
        return frozenset((self.counts, self.exposure, self.wavelength, self.pump))

    def has_darks(self, descriptor: EventDescriptor) -> bool:
        """Say whether the events of a stream are dark frames that can be subtracted.

        Parameters
        ----------
        descriptor
            Of the stream.

        Returns
        -------
        :
            Whether it is the stream `DARK`, with the frames and their exposure.
        """
        keys = descriptor["data_keys"].keys()
        return descriptor.get("name") == DARK and {self.counts, self.exposure} <= keys

    def has_spectra(self, descriptor: EventDescriptor) -> bool:
        """Say whether the events of a stream are spectra that can be decomposed.

        Parameters
        ----------
        descriptor
            Of the stream.

        Returns
        -------
        :
            Whether it is the stream `PRIMARY`, with all that a spectrum needs. Runs
            that measure something else have none such.
        """
        keys = descriptor["data_keys"].keys()
        configured = {
            key
            for device in descriptor.get("configuration", {}).values()
            for key in device.get("data", {})
        }
        return (
            descriptor.get("name") == PRIMARY
            and self.needed <= keys
            and {self.sensitivity, self.saturation, self.resolution} <= configured
        )
