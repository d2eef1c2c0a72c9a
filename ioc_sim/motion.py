"""How fast each axis of the bench moves, in its unit per simulated second.

Every speed is chosen for a bench of this kind: a scan shows its motion and is not
ruled by it. The instruments' own limits belong to their PVs.
"""

__all__ = [
    "ANALYSER_SPEED",
    "BANDWIDTH_SPEED",
    "CCD_COOLING_SPEED",
    "EXIT_MIRROR_SPEED",
    "FILTER_SPEED",
    "HWP_SPEED",
    "LEVEL_SPEED",
    "OD_SPEED",
    "SHUTTER_SPEED",
    "SLIT_SPEED",
    "SPECTROMETER_SPEED",
    "TURRET_SPEED",
]

FILTER_SPEED = 10.0
"""Pump wavelength of the tunable filter, nm/s."""

BANDWIDTH_SPEED = 2.0
"""Output slit of the tunable filter, nm of bandwidth/s."""

OD_SPEED = 2.0
"""Optical density of the attenuator wheel, 1/s."""

SHUTTER_SPEED = 50.0
"""Open fraction of the shutter, 1/s: 20 ms from closed to open."""

HWP_SPEED = 50.0
"""Half-wave plate of the analyser, deg/s."""

ANALYSER_SPEED = 1.0
"""Fraction of the beam that the sliding polarizer covers, 1/s."""

SPECTROMETER_SPEED = 20.0
"""Centre wavelength of the spectrometer, nm/s."""

SLIT_SPEED = 500.0
"""Entrance and exit slit of the spectrometer, um/s."""

TURRET_SPEED = 0.2
"""Turret of the spectrometer, places/s: 5 s from one grating to the next."""

EXIT_MIRROR_SPEED = 1.0
"""Mirror between the exits of the spectrometer, share of the beam/s."""

LEVEL_SPEED = 100.0
"""Output level of the laser, %/s."""

CCD_COOLING_SPEED = 0.5
"""Chip of the CCD while its cooler works, K/s."""
