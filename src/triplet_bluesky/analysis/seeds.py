"""First guesses for the decomposition of a spectrum, from the data alone."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter, uniform_filter1d

from triplet_bluesky.analysis.frames import BoolArray
from triplet_bluesky.analysis.lineshape import FWHM_PER_SIGMA
from triplet_bluesky.units import FloatArray

__all__ = [
    "Band",
    "band_seed",
    "best_pair",
    "fill",
    "line_candidates",
    "linear_amplitudes",
]

BLOCK_RESOLUTIONS = 2.0
"""Width of the blocks in which the band is sought, in instrument widths."""
MEDIAN_BLOCKS = 9
"""Blocks of the running median: a doublet fills four of them, and vanishes."""
SMOOTH_BLOCKS = 5
"""Blocks of the running mean that follows."""
MIN_BLOCKS = 16
"""Blocks that a window has at least, also when it is short."""
BACKGROUND_QUANTILE = 0.15
"""Quantile of the smoothed blocks that is taken for the background."""
KERNEL_RESOLUTIONS = (1.1, 1.8, 3.5)
"""Widths of the lines that the matched filter looks for, in instrument widths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A first guess of the broad band."""

    background: float
    """Background in each pixel, in e-."""
    centre_mev: float
    """Centre, in meV."""
    fwhm_mev: float
    """Full width at half maximum, in meV."""
    area: float
    """Photo-electrons in the band."""


def fill(values: FloatArray, good: BoolArray) -> FloatArray:
    """Bridge pixels without data by straight lines.

    Parameters
    ----------
    values
        Values of the pixels; shape (n,).
    good
        Which pixels have data, at least one; shape (n,), bool.

    Returns
    -------
    :
        The values with the others interpolated; shape (n,).

    Examples
    --------
    >>> fill(np.array([1.0, 9.0, 3.0]), np.array([True, False, True])).tolist()
    [1.0, 2.0, 3.0]
    """
    if np.all(good):
        return values
    pixels = np.arange(values.size)
    return np.interp(pixels, pixels[good], values[good])


def band_seed(
    counts: FloatArray, centres_mev: FloatArray, resolution_px: float
) -> Band:
    """Find the broad band under narrow lines, by a running median.

    Parameters
    ----------
    counts
        Photo-electrons in each pixel; shape (n,).
    centres_mev
        Photon energy at the centre of the pixels, in meV; shape (n,).
    resolution_px
        Instrument's full width at half maximum, in pixels.

    Returns
    -------
    :
        The first guess.
    """
    block = int(BLOCK_RESOLUTIONS * resolution_px)
    block = max(min(block, counts.size // MIN_BLOCKS), 1)
    number = counts.size // block
    blocks = counts[: number * block].reshape(number, block).mean(axis=1)
    energy = centres_mev[: number * block].reshape(number, block).mean(axis=1)
    smooth = uniform_filter1d(median_filter(blocks, MEDIAN_BLOCKS), SMOOTH_BLOCKS)
    background = float(np.quantile(smooth, BACKGROUND_QUANTILE))
    above = smooth - background
    top = int(np.argmax(above))
    inside = above > above[top] / 2
    first = (
        top - int(np.argmin(inside[top::-1])) + 1 if not inside[: top + 1].all() else 0
    )
    last = top + int(np.argmin(inside[top:])) if not inside[top:].all() else number
    hill = slice(first, max(last, first + 1))
    weight = np.maximum(above[hill], 0) + 1e-12
    step = abs(energy[0] - energy[-1]) / max(number - 1, 1)
    fwhm = max(hill.stop - hill.start, 1) * step
    height = max(float(above[top]), 1e-3)
    per_pixel = step / block
    return Band(
        background=background,
        centre_mev=float(np.average(energy[hill], weights=weight)),
        fwhm_mev=float(fwhm),
        area=height * fwhm / per_pixel * np.sqrt(2 * np.pi) / FWHM_PER_SIGMA,
    )


def line_candidates(
    residual: FloatArray, variance: FloatArray, resolution_px: float, number: int
) -> list[tuple[int, float]]:
    """Find where narrow lines stand out of a residual, by matched filters.

    Parameters
    ----------
    residual
        Counts minus model, in e-; zero for pixels without data; shape (n,).
    variance
        Variance of the residual, in e-^2; shape (n,).
    resolution_px
        Instrument's full width at half maximum, in pixels.
    number
        Candidates wanted.

    Returns
    -------
    :
        Pixel and full width at half maximum in pixels of each, best first.
    """
    best = np.full(residual.size, -np.inf)
    width = np.zeros(residual.size)
    signal, information = residual / variance, 1 / variance
    for factor in KERNEL_RESOLUTIONS:
        fwhm = factor * resolution_px
        reach = min(int(np.ceil(fwhm)) + 1, (residual.size - 1) // 2)
        u = np.arange(-reach, reach + 1) * FWHM_PER_SIGMA / fwhm
        kernel = np.exp(-(u**2) / 2)
        matched = np.convolve(signal, kernel, mode="same")
        sigma = np.sqrt(np.convolve(information, kernel**2, mode="same"))
        better = matched / sigma > best
        best = np.where(better, matched / sigma, best)
        width = np.where(better, fwhm, width)
    found = []
    for _ in range(number):
        top = int(np.argmax(best))
        found.append((top, float(width[top])))
        reach = int(np.ceil(width[top]))
        best[max(top - reach, 0) : top + reach + 1] = -np.inf
    return found


def best_pair(
    residual: FloatArray, variance: FloatArray, fwhm_px: float, step_px: float
) -> tuple[float, float] | None:
    """Find the two equally wide lines that explain a residual best, on a grid.

    Every pair of places is solved for its two amplitudes in closed form: two lines that
    a single fitted line has swallowed leave no residual that would show either.

    Parameters
    ----------
    residual
        Counts without the broad parts of the model, in e-; shape (n,).
    variance
        Variance of the residual, in e-^2; shape (n,).
    fwhm_px
        Full width at half maximum of the lines, in pixels.
    step_px
        Distance of the places, in pixels.

    Returns
    -------
    :
        The two places, in pixels from the first; None if no pair is positive.

    Examples
    --------
    >>> def line(at):
    ...     return np.exp(-((np.arange(40) - at) ** 2) / 8)
    >>> best_pair(3 * line(15) + line(22), np.ones(40), 2 * 2.3548, 1.0)
    (15.0, 22.0)
    """
    pixels = np.arange(residual.size)
    places = np.arange(0.0, residual.size, step_px)
    u = (pixels - places[:, None]) * FWHM_PER_SIGMA / fwhm_px
    shapes = np.exp(-(u**2) / 2)
    weighted = shapes / variance
    gram, matched = weighted @ shapes.T, weighted @ residual
    first, second = np.triu_indices(places.size, k=1)
    a, b, c = gram[first, first], gram[second, second], gram[first, second]
    determinant = a * b - c**2
    left = b * matched[first] - c * matched[second]
    right = a * matched[second] - c * matched[first]
    possible = (left > 0) & (right > 0) & (determinant > 1e-6 * a * b)
    if not np.any(possible):
        return None
    explained = left * matched[first] + right * matched[second]
    gain = np.where(possible, explained / np.where(possible, determinant, 1.0), -np.inf)
    best = int(np.argmax(gain))
    return float(places[first[best]]), float(places[second[best]])


def linear_amplitudes(
    columns: FloatArray, counts: FloatArray, variance: FloatArray
) -> tuple[FloatArray, float]:
    """Solve for the amplitudes of fixed shapes by weighted least squares.

    Parameters
    ----------
    columns
        The shapes; shape (k, n).
    counts
        Photo-electrons in each pixel; shape (n,).
    variance
        Variance of the counts, in e-^2; shape (n,).

    Returns
    -------
    :
        The amplitudes, and the sum of the squared residuals in their variance.
    """
    weighted = columns / variance
    fisher = weighted @ columns.T
    norm = np.sqrt(np.maximum(np.diag(fisher), 1e-300))
    fisher = fisher / np.outer(norm, norm)
    fisher[np.diag_indices_from(fisher)] += 1e-9
    amplitudes = np.linalg.solve(fisher, weighted @ counts / norm) / norm
    residual = counts - amplitudes @ columns
    return amplitudes, float(residual @ (residual / variance))
