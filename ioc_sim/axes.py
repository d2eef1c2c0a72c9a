"""All that can move or be switched in the light path: one history each."""

from ioc_sim.history import History
from ioc_sim.sample import Sample
from ioc_sim.source import REFERENCE_NM

__all__ = ["Axes"]

EXIT_SLIT = 1000.0
"""Slit before the photomultiplier at the start, um."""


class Axes:
    """The axes of the bench; instruments write them, the light path reads them.

    Parameters
    ----------
    sample
        Parameters of the bench: where the axes are at the start.
    """

    def __init__(self, sample: Sample) -> None:
        self.emission = History(0)
        """Laser emission, 0 or 1."""
        self.level = History(0)
        """Output level of the laser, %."""
        self.laser_output = History(1)
        """Output of the laser relative to its level, 1 when it is warm."""
        self.filter_nm = History(REFERENCE_NM)
        """Centre of the pump line, as the play of the filter's gear leaves it, nm."""
        self.filter_drive_nm = History(REFERENCE_NM)
        """The same as the encoder of the filter's drive reads it, nm."""
        self.filter_open = History(1)
        """Open share of the filter's own shutter, before the attenuator, 0 to 1."""
        self.bandwidth_nm = History(sample.source.bandwidth)
        """FWHM of the pump line, nm."""
        self.od = History(4)
        """Optical density of the attenuator."""
        self.shutter = History(0)
        """Open share of the shutter, 0 to 1."""
        self.hwp_deg = History(0)
        """Angle of the half-wave plate, deg."""
        self.analyser_in = History(1)
        """Share of the beam that the polarizer covers, 0 to 1."""
        self.spec_nm = History(531)
        """Centre of the spectrometer, nm."""
        self.slit_um = History(sample.spectrometer.slit)
        """Entrance slit of the spectrometer, um."""
        self.grating = History(1)
        """Place of the spectrometer's turret, from 1; in between while it turns."""
        self.exit_port = History(0)
        """Share of the light that the mirror sends to the photomultiplier, 0 to 1."""
        self.exit_slit_um = History(EXIT_SLIT)
        """Slit between spectrometer and photomultiplier, um."""
        self.lamp = History(0)
        """Output of the calibration lamp, 0 to 1."""
        x_um, y_um, z_um = sample.spot.objective
        self.objective_x = History(x_um)
        """Position of the objective, um."""
        self.objective_y = History(y_um)
        """Position of the objective, um."""
        self.objective_z = History(z_um)
        """Focus of the objective, um."""
        self.servo_x = History(1)
        """Share of the piezo's servo control, 0 to 1; without it the piezo drifts."""
        self.servo_y = History(1)
        """The same of y."""
        self.servo_z = History(1)
        """The same of z."""
        self.ccd_temperature_c = History(sample.ccd.dark_temperature)
        """Temperature of the chip, degC."""
