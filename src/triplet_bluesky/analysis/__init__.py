"""Numerical analysis of the bench's counts: arrays in, frozen results out."""

from triplet_bluesky.analysis.frames import Spectrum, reduce_frames
from triplet_bluesky.analysis.lineshape import (
    gaussian_pixels,
    pixel_edges_ev,
    pixel_edges_nm,
)
from triplet_bluesky.analysis.ple import (
    PEAK_DEFINITION,
    PLEAssessment,
    PLECurve,
    PLEFit,
    fit_ple,
)
from triplet_bluesky.analysis.pump_offset import PumpOffset, pump_offset
from triplet_bluesky.analysis.scoring import (
    Score,
    expected_deviance,
    goodness_of_fit,
    score,
)
from triplet_bluesky.analysis.spectrum import PumpLine, SpectrumOptions, fit_spectrum
from triplet_bluesky.analysis.spectrum_result import (
    Line,
    SEEstimate,
    SpectrumAssessment,
    SpectrumFit,
)

__all__ = [
    "PEAK_DEFINITION",
    "Line",
    "PLEAssessment",
    "PLECurve",
    "PLEFit",
    "PumpLine",
    "PumpOffset",
    "SEEstimate",
    "Score",
    "Spectrum",
    "SpectrumAssessment",
    "SpectrumFit",
    "SpectrumOptions",
    "expected_deviance",
    "fit_ple",
    "fit_spectrum",
    "gaussian_pixels",
    "goodness_of_fit",
    "pixel_edges_ev",
    "pixel_edges_nm",
    "pump_offset",
    "reduce_frames",
    "score",
]
