"""From the charge that is expected on the chip to the counts of a frame."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from ioc_sim.detection import PIXELS
from ioc_sim.sample import Ccd
from ioc_sim.source import FWHM_PER_SIGMA

__all__ = [
    "FULL_LINE",
    "ROWS",
    "SATURATION_ADU",
    "ReadOut",
    "cosmic_rays",
    "dark_rate",
    "expose_chip",
    "expose_line",
    "read_out",
    "row_shares",
    "saturation_level",
]

FloatArray = npt.NDArray[np.float64]
ChipArray = npt.NDArray[np.float32]
Counts = npt.NDArray[np.uint16]

ROWS = 256
"""Rows of the chip; typical."""

SATURATION_ADU = 65535
"""Greatest count of the 16-bit converter, ADU; typical."""

COSMIC_COLUMNS = 3
"""Columns that a cosmic ray may spread over; typical of a slanted track."""

COSMIC_SLOPE = 3.0
"""Steepest track of a cosmic ray, rows per column; chosen."""

UNLIT = 4.5
"""Standard deviations from the middle of the fibre's image beyond which a row is dark:
less than 1e-5 of the light falls there."""

SPARSE = 0.05
"""Electrons per pixel below which dark charge is placed one by one, for speed."""

NOISE_MARGIN = 5.0
"""Standard deviations of read noise by which a full well may read too low."""

QUANTILES = ndtri((np.arange(2**16) + 0.5) / 2**16).astype(np.float32)
"""Equally probable values of a normal distribution: noise of an image costs a tenth of
what it does drawn one by one, and ends at 4.3 standard deviations."""

SECONDS_PER_MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOut:
    """Which pixels are read out, how many as one, and with what gain and noise."""

    image: bool = False
    """Row by row, or all rows of a column as one."""
    min_x: int = 0
    size_x: int = PIXELS
    bin_x: int = 1
    min_y: int = 0
    size_y: int = ROWS
    bin_y: int = 1
    preamp_gain: float = 1.0
    """Gain of the preamplifier; the electrons per ADU are divided by it."""
    noise: float = 1.0
    """Read noise relative to that at the reference speed of the converter."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the frame."""
        rows = self.size_y // self.bin_y if self.image else 1
        return rows, self.size_x // self.bin_x

    @property
    def binned(self) -> bool:
        """Whether the charge of several pixels is collected before it is read."""
        return not self.image or self.bin_x * self.bin_y > 1

    def well(self, ccd: Ccd) -> float:
        """Give the charge that a pixel of the frame holds, in e-.

        Parameters
        ----------
        ccd
            Parameters of the camera.
        """
        return ccd.full_well if self.binned else ccd.pixel_well


FULL_LINE = ReadOut()
"""All columns, each of them with all its rows as one."""


def saturation_level(setting: ReadOut, ccd: Ccd) -> int:
    """Give the count at which a pixel is saturated: by its well or the converter.

    Parameters
    ----------
    setting
        How the chip is read out.
    ccd
        Parameters of the camera.
    """
    margin = NOISE_MARGIN * ccd.read_noise * setting.noise
    full = (setting.well(ccd) - margin) * setting.preamp_gain / ccd.gain + ccd.bias
    return min(int(full), SATURATION_ADU)


def dark_rate(temperature_c: float, ccd: Ccd) -> float:
    r"""Dark current of a binned column, :math:`d_0\,2^{(T-T_0)/8\,K}`, in e-/s.

    Parameters
    ----------
    temperature_c
        Temperature of the chip.
    ccd
        Parameters of the camera.
    """
    warmth = temperature_c - ccd.dark_temperature
    return ccd.dark * 2 ** (warmth / ccd.dark_doubling)


@lru_cache(4)
def row_shares(ccd: Ccd) -> tuple[int, FloatArray]:
    """Give the image of the fibre along a column: a Gaussian, cut where it is dark.

    Parameters
    ----------
    ccd
        Parameters of the camera.

    Returns
    -------
    :
        The first row that is lit, and the share of the light on each row from there
        on, one in sum.
    """
    sigma = ccd.fibre_height / FWHM_PER_SIGMA
    first = max(int(ccd.fibre_center - UNLIT * sigma), 0)
    last = min(int(ccd.fibre_center + UNLIT * sigma) + 1, ROWS - 1)
    edges = np.arange(first, last + 2) - 0.5
    shares = np.diff(ndtr((edges - ccd.fibre_center) / sigma))
    shares /= shares.sum()
    shares.flags.writeable = False
    return first, shares


def cosmic_rays(exposure_s: float, rng: np.random.Generator, ccd: Ccd) -> FloatArray:
    """Draw the charge that cosmic rays leave in an exposure, in e- per column.

    Parameters
    ----------
    exposure_s
        Exposure, in simulated seconds.
    rng
        Generator of the frame.
    ccd
        Parameters of the camera.
    """
    charge = np.zeros(PIXELS)
    for first, columns, track in _tracks(exposure_s, rng, ccd):
        charge[first : first + columns] += track / columns
    return charge


def expose_line(
    expected_e: FloatArray, exposure_s: float, rng: np.random.Generator, ccd: Ccd
) -> FloatArray:
    """Draw the charge of every column, all its rows together.

    Parameters
    ----------
    expected_e
        Expected electrons, light and dark; shape ``(1024,)``.
    exposure_s
        Exposure, in simulated seconds: it collects cosmic rays.
    rng
        Generator of the frame.
    ccd
        Parameters of the camera.

    Returns
    -------
    :
        Electrons; shape ``(1, 1024)``.
    """
    charge = rng.poisson(expected_e) + cosmic_rays(exposure_s, rng, ccd)
    return charge[np.newaxis]


def expose_chip(
    light_e: FloatArray,
    diffuse_e: float,
    exposure_s: float,
    rng: np.random.Generator,
    ccd: Ccd,
) -> ChipArray:
    """Draw the charge of every pixel.

    Parameters
    ----------
    light_e
        Expected electrons of each column through the fibre; shape ``(1024,)``.
    diffuse_e
        Expected electrons of a column, evenly over its rows: dark current, room light.
    exposure_s
        Exposure, in simulated seconds: it collects cosmic rays.
    rng
        Generator of the frame.
    ccd
        Parameters of the camera.

    Returns
    -------
    :
        Electrons, no more than a pixel holds; shape ``(256, 1024)``.
    """
    charge = np.zeros((ROWS, PIXELS), dtype=np.float32)
    first, shares = row_shares(ccd)
    last = first + shares.size
    diffuse = diffuse_e / ROWS
    charge[first:last] = rng.poisson(shares[:, np.newaxis] * light_e + diffuse)
    for dark in (charge[:first], charge[last:]):
        _fill_evenly(dark, diffuse, rng)
    for column, columns, track in _tracks(exposure_s, rng, ccd):
        _leave_track(charge, (column, columns), track, rng)
    return np.minimum(charge, np.float32(ccd.pixel_well), out=charge)


def read_out(
    charge: npt.NDArray[np.floating],
    rng: np.random.Generator,
    *,
    setting: ReadOut,
    ccd: Ccd,
) -> Counts:
    r"""Turn the charge on the chip into the counts of one frame.

    :math:`\mathrm{ADU} = \mathrm{clip}(\mathrm{round}((\min[q, \mathrm{full\ well}]
    + \mathcal N(0, 6))/g + 300), 0, 65535)` for the charge :math:`q` of all pixels that
    are read as one.

    Parameters
    ----------
    charge
        Electrons; shape ``(256, 1024)``, or ``(1, 1024)`` of whole columns.
    rng
        Generator of the frame.
    setting
        How the chip is read out.
    ccd
        Parameters of the camera.

    Returns
    -------
    :
        Counts, in the shape of the setting.
    """
    rows, columns = setting.shape
    bin_y = setting.bin_y if setting.image else 1
    top = setting.min_y if setting.image else 0
    used = charge[
        top : top + rows * bin_y,
        setting.min_x : setting.min_x + columns * setting.bin_x,
    ]
    if bin_y * setting.bin_x > 1:
        used = used.reshape(rows, bin_y, columns, setting.bin_x).sum(axis=(1, 3))
    collected = np.minimum(used, used.dtype.type(setting.well(ccd)))
    sigma = ccd.read_noise * setting.noise
    collected += _noise(rng, collected, sigma)
    collected *= used.dtype.type(setting.preamp_gain)
    collected /= used.dtype.type(ccd.gain)
    collected += used.dtype.type(ccd.bias)
    np.rint(collected, out=collected)
    return np.clip(collected, 0, SATURATION_ADU, out=collected).astype(np.uint16)


def _noise(
    rng: np.random.Generator, charge: npt.NDArray[np.floating], sigma: float
) -> npt.NDArray[np.floating]:
    if charge.dtype == np.float64:
        return rng.normal(0.0, sigma, charge.shape)
    drawn = rng.integers(QUANTILES.size, size=charge.shape, dtype=np.uint16)
    return (QUANTILES * np.float32(sigma)).take(drawn)


def _fill_evenly(part: ChipArray, mean_e: float, rng: np.random.Generator) -> None:
    """Draw the same charge for each pixel: one by one if there are only few of them."""
    if mean_e >= SPARSE:
        part += rng.poisson(mean_e, part.shape)
        return
    electrons = int(rng.poisson(mean_e * part.size))
    where = rng.integers(part.size, size=electrons) if part.size else []
    np.add.at(part.reshape(-1), where, 1)


def _tracks(
    exposure_s: float, rng: np.random.Generator, ccd: Ccd
) -> list[tuple[int, int, float]]:
    """Draw the first column, the number of columns and the charge of each hit."""
    hits = rng.poisson(ccd.cosmic_rate * exposure_s / SECONDS_PER_MINUTE)
    tracks: list[tuple[int, int, float]] = []
    for _ in range(int(hits)):
        first = int(rng.integers(PIXELS))
        columns = int(rng.integers(1, COSMIC_COLUMNS + 1))
        tracks.append((first, columns, rng.exponential(ccd.cosmic_charge)))
    return tracks


def _leave_track(
    charge: ChipArray,
    where: tuple[int, int],
    track_e: float,
    rng: np.random.Generator,
) -> None:
    """Leave the charge of one hit along a slanted line, evenly over its columns."""
    first, columns = where
    slope = rng.uniform(-COSMIC_SLOPE, COSMIC_SLOPE)
    row = rng.uniform(0, ROWS)
    for column in range(first, min(first + columns, PIXELS)):
        ends = np.clip(sorted((row, row + slope)), 0, ROWS - 1).astype(int)
        rows = slice(ends[0], ends[1] + 1)
        charge[rows, column] += track_e / columns / (ends[1] - ends[0] + 1)
        row += slope
