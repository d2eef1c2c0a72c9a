"""A spectrometer and a camera simulated apart from the code under test.

Lines are drawn on a grid of a twentieth of a pixel in wavelength, smeared by a discrete
convolution and summed into pixels; nothing of the analysis package is used.
"""

from types import SimpleNamespace

import numpy as np
import pytest

HC_MEV_NM = 1239841.984
FINE = 20
WAVELENGTHS = 531.0 + 0.0415 * (np.arange(1024) - 511.5)
RESOLUTION_NM = 0.159
READ_E, GAIN, BIAS_ADU = 6.0, 10.0, 300.0

TRUTH = {
    "background": 20.0,
    "spe": (2338.5, 16.0, 2e4),  # centre meV, FWHM meV, e-
    "lines": ((2335.0, 0.85, 4e3), (2337.0, 0.85, 2e3)),  # without the instrument
    "pump": None,  # (nm, FWHM nm, e-)
}


def _bell(x, centre, fwhm):
    return np.exp(-4 * np.log(2) * ((x - centre) / fwhm) ** 2)


def _expected(truth):
    """Photo-electrons of each pixel."""
    step = 0.0415 / FINE
    margin = 40 * FINE
    fine = (np.arange(1024 * FINE + 2 * margin) - margin + 0.5) * step
    fine += WAVELENGTHS[0] - 0.0415 / 2
    density = np.zeros_like(fine)
    for centre, fwhm, area in (truth["spe"], *truth["lines"]):
        height = area * np.sqrt(4 * np.log(2) / np.pi) / fwhm
        energy = HC_MEV_NM / fine
        density += height * _bell(energy, centre, fwhm) * energy**2 / HC_MEV_NM
    if truth["pump"]:
        centre, fwhm, area = truth["pump"]
        height = area * np.sqrt(4 * np.log(2) / np.pi) / fwhm
        density += height * _bell(fine, centre, fwhm)
    reach = int(3 * RESOLUTION_NM / step)
    kernel = _bell(np.arange(-reach, reach + 1) * step, 0.0, RESOLUTION_NM)
    density = np.convolve(density, kernel / kernel.sum(), mode="same")
    pixels = density[margin:-margin].reshape(1024, FINE).sum(axis=1) * step
    return pixels + truth["background"]


def _camera(rng, mean_e, frames):
    electrons = rng.poisson(np.broadcast_to(mean_e, (frames, 1024))).astype(float)
    electrons += READ_E * rng.normal(size=electrons.shape)
    return np.clip(np.round(electrons / GAIN + BIAS_ADU), 0, 65535).astype(np.uint16)


@pytest.fixture(scope="session")
def bench():
    """Give the simulated spectrometer: its axis, its camera and its truth."""
    return SimpleNamespace(
        wavelengths_nm=WAVELENGTHS,
        truth=TRUTH,
        gain=GAIN,
        expected=lambda **changes: _expected(TRUTH | changes),
        camera=_camera,
    )
