"""From raw frames to one spectrum of photo-electrons with its noise.

Dark frames give the level and the noise of the camera; several sub-exposures give the
means to tell a cosmic ray, which hits one of them, from a line, which is in all.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triplet_bluesky.errors import FitError
from triplet_bluesky.units import FloatArray

__all__ = ["BoolArray", "Spectrum", "reduce_frames"]

BoolArray = npt.NDArray[np.bool_]

SATURATION_ADU = 65535
"""Highest number of a 16-bit camera, in ADU."""
COSMIC_SIGMAS = 5.0
"""Excess over the other sub-exposures that makes a sample a cosmic ray.

One false alarm in a thousand spectra of three times 1024 samples.
"""
SIGNAL_JITTER = 0.005
"""Relative difference between sub-exposures that is not called a cosmic ray.

The line shape follows the power of the laser, which is steady to 0.4 %.
"""
SCALE_SIGNAL_TO_NOISE = 20.0
"""Signal to noise from which the brightness of each sub-exposure is measured."""
PASSES = 2
"""Searches for cosmic rays: the second knows the brightness without the first's."""
QUANTISATION_ADU = 1 / np.sqrt(12)
"""Standard deviation of rounding, in ADU: the least noise a camera has."""
ONE_SIGMA = 0.6827
"""Share of a normal distribution within one standard deviation."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spectrum:
    """Photo-electrons in each pixel, with all that the likelihood needs."""

    counts: FloatArray
    """Sum over the samples kept, dark level subtracted, in e-; shape (npix,)."""
    variance: FloatArray
    """Variance beside the counting noise: read-out, rounding, dark level; in e-^2."""
    weight: FloatArray
    """Share of the exposure that the samples kept stand for, 0 to 1."""
    mask: BoolArray
    """Pixels to use: finite, not saturated, with a sample left."""
    exposure_s: float
    """Total exposure of all sub-exposures, in s."""
    subexposures: int
    """Number of sub-exposures."""
    cosmic_hits: int
    """Samples left out as cosmic rays."""
    saturated_pixels: int
    """Pixels with a sample at or above saturation that is no cosmic ray."""
    read_noise_e: float
    """Noise of one sample of the dark frames, rounding included, in e-."""
    dark_level_adu: float
    """Median level of the dark frames, in ADU."""
    scales: FloatArray
    """Brightness of each sub-exposure relative to their mean."""

    @property
    def rate(self) -> FloatArray:
        """Rate of each pixel, in e-/s; nan where the mask is False."""
        return self._per_second(self.counts)

    @property
    def rate_sigma(self) -> FloatArray:
        """Standard deviation of `rate`, in e-/s, from the counts themselves."""
        return self._per_second(np.sqrt(np.maximum(self.counts, 0) + self.variance))

    def _per_second(self, electrons: FloatArray) -> FloatArray:
        exposure = np.where(self.mask, self.weight, np.nan) * self.exposure_s
        return electrons / exposure


def reduce_frames(
    frames: npt.ArrayLike,
    dark_frames: npt.ArrayLike,
    *,
    gain_e_per_adu: float,
    exposure_s: float,
    saturation_adu: float = SATURATION_ADU,
) -> Spectrum:
    """Sum sub-exposures into a spectrum, without their dark level and cosmic rays.

    A sample struck by a cosmic ray is left out and the pixel keeps a smaller share of
    the exposure, so that its counts stay Poisson. One frame alone cannot be searched.

    Parameters
    ----------
    frames
        Raw sub-exposures, in ADU; shape (n, npix), or (npix,) for one.
    dark_frames
        Raw frames of the same exposure with the shutter closed, in ADU; (m, npix).
    gain_e_per_adu
        Photo-electrons per ADU.
    exposure_s
        Exposure of one sub-exposure, in s.
    saturation_adu
        Level from which a sample is saturated, in ADU.

    Returns
    -------
    :
        The spectrum; what is wrong with the data is in its mask and its numbers.

    Raises
    ------
    FitError
        If the frames and dark frames are empty or not of the same number of pixels,
        or the gain or exposure is not positive.

    Examples
    --------
    >>> frames = np.array([[310, 400, 310], [310, 400, 990], [310, 400, 310]])
    >>> dark = np.full((3, 3), 300)
    >>> spectrum = reduce_frames(frames, dark, gain_e_per_adu=10.0, exposure_s=1.0)
    >>> spectrum.rate.tolist(), spectrum.cosmic_hits
    ([100.0, 1000.0, 100.0], 1)
    """
    raw = np.atleast_2d(np.asarray(frames, dtype=float))
    dark_raw = np.atleast_2d(np.asarray(dark_frames, dtype=float))
    _check(raw, dark_raw, gain_e_per_adu, exposure_s)
    dark = _dark(dark_raw)
    samples = (raw - dark.level) * gain_e_per_adu
    read_variance = (dark.noise * gain_e_per_adu) ** 2
    finite = np.all(np.isfinite(samples), axis=0)
    samples[:, ~finite] = 0.0
    keep, scales = np.ones(samples.shape, dtype=bool), np.ones(len(samples))
    for _ in range(PASSES):
        scales = _scales(samples, read_variance, np.all(keep, axis=0))
        keep = _without_cosmics(samples, scales, read_variance)
    kept = np.sum(keep, axis=0)
    saturated = np.any(keep & (raw >= saturation_adu), axis=0)
    return Spectrum(
        counts=np.sum(samples, axis=0, where=keep),
        variance=kept * read_variance
        + np.where(finite, kept * gain_e_per_adu * dark.level_sigma, 0.0) ** 2,
        weight=scales @ keep / np.sum(scales),
        mask=finite & ~saturated,
        exposure_s=exposure_s * len(raw),
        subexposures=len(raw),
        cosmic_hits=int(np.sum(~keep)),
        saturated_pixels=int(np.sum(saturated)),
        read_noise_e=dark.noise * gain_e_per_adu,
        dark_level_adu=dark.median,
        scales=scales,
    )


def _check(
    raw: FloatArray, dark: FloatArray, gain_e_per_adu: float, exposure_s: float
) -> None:
    """Refuse arrays that do not belong together."""
    if raw.ndim != dark.ndim or raw.shape[1] != dark.shape[1] or 0 in raw.shape:
        msg = (
            f"reduce_frames got frames of shape {raw.shape} and dark frames of shape "
            f"{dark.shape}: give (n, npix) and (m, npix) of the same camera"
        )
        raise FitError(msg)
    if not (dark.size and gain_e_per_adu > 0 and exposure_s > 0):
        msg = (
            f"reduce_frames got {len(dark)} dark frames, {gain_e_per_adu} e-/ADU and "
            f"{exposure_s} s: it needs a dark frame, a gain and an exposure above zero"
        )
        raise FitError(msg)


@dataclass(frozen=True, slots=True)
class _Dark:
    level: FloatArray
    level_sigma: FloatArray
    noise: float
    median: float


def _dark(raw: FloatArray) -> _Dark:
    """Level of each pixel with its error, and the noise of one sample, in ADU."""
    along = 0 if len(raw) > 1 else 1
    noise = _robust_noise(np.diff(raw, axis=along) / np.sqrt(2))
    centre = np.median(raw, axis=0) if len(raw) > 2 else np.min(raw, axis=0)  # noqa: PLR2004 - two samples have no middle
    keep = raw - centre <= COSMIC_SIGMAS * np.sqrt(2) * noise
    number = np.maximum(np.sum(keep, axis=0), 1)
    level = np.sum(raw, axis=0, where=keep) / number
    level[~np.isfinite(centre)] = np.nan
    median = float(np.nanmedian(level)) if np.any(np.isfinite(level)) else np.nan
    level_sigma = noise / np.sqrt(number)
    pattern = _pattern_share((level - median) / level_sigma)
    return _Dark(
        median + pattern * (level - median),
        np.sqrt(pattern) * level_sigma,
        noise,
        median,
    )


def _pattern_share(pulls: FloatArray) -> FloatArray:
    """Share of a pixel's deviation from the common level that is pattern, not noise.

    The positive-part estimator of James and Stein: a camera with a flat dark level is
    not given the noise of its few dark frames. Hot pixels keep their own level.
    """
    hot = ~(np.abs(pulls) < COSMIC_SIGMAS)
    others = pulls[~hot]
    excess = 1 - max(others.size - 2, 0) / max(float(np.sum(others**2)), 1e-9)
    return np.where(hot, 1.0, max(excess, 0.0))


def _robust_noise(differences: FloatArray) -> float:
    """Estimate a standard deviation, cosmic rays and hot pixels clipped away."""
    size = np.abs(differences[np.isfinite(differences)])
    if size.size == 0:
        return float(QUANTISATION_ADU)
    noise = max(float(np.quantile(size, ONE_SIGMA)), QUANTISATION_ADU)
    for _ in range(3):
        kept = size[size <= COSMIC_SIGMAS * noise]
        noise = max(float(np.sqrt(np.mean(kept**2))), QUANTISATION_ADU)
    return float(noise)


def _scales(samples: FloatArray, read_variance: float, clean: BoolArray) -> FloatArray:
    """Brightness of each sub-exposure relative to their mean, cosmic rays aside."""
    ones = np.ones(len(samples))
    if len(samples) == 1:
        return ones
    several = len(samples) > 2  # noqa: PLR2004 - two samples have no middle
    image = np.median(samples, axis=0) if several else np.min(samples, axis=0)
    image = np.where(clean, np.maximum(image, 0), 0)
    noise2 = image + read_variance
    if np.sum(image**2 / noise2) < SCALE_SIGNAL_TO_NOISE**2:
        return ones
    allowed = COSMIC_SIGMAS * np.sqrt(2 * noise2) + 0.5 * image
    clipped = np.minimum(samples, image + allowed)
    sums = np.maximum(clipped @ (image / noise2), 0)
    return sums / np.mean(sums)


def _without_cosmics(
    samples: FloatArray, scales: FloatArray, read_variance: float
) -> BoolArray:
    """Say which samples to keep: while the brightest stands out, it goes."""
    keep = np.ones(samples.shape, dtype=bool)
    scale = scales[:, np.newaxis]
    for _ in range(len(samples) - 1):
        others = np.sum(scale * keep, axis=0) - scale
        alone = others <= 0
        others = np.where(alone, 1.0, others)
        ratio = scale / others
        mean = (np.sum(samples, axis=0, where=keep) - samples) * ratio
        photon = np.maximum(mean, 0.0)
        number = np.sum(keep, axis=0) - 1
        variance = photon * (1 + ratio) + read_variance * (1 + number * ratio**2)
        variance += (SIGNAL_JITTER * photon) ** 2
        excess = np.where(keep & ~alone, (samples - mean) / np.sqrt(variance), 0.0)
        worst = np.argmax(excess, axis=0)
        columns = np.flatnonzero(np.max(excess, axis=0) > COSMIC_SIGMAS)
        if columns.size == 0:
            break
        keep[worst[columns], columns] = False
    return keep
