"""Live views and fits: documents in, results out."""

from triplet_bluesky.callbacks.ple import LivePLE
from triplet_bluesky.callbacks.progress import ScanProgress
from triplet_bluesky.callbacks.record import FitRecorder
from triplet_bluesky.callbacks.replay import isolated, replay
from triplet_bluesky.callbacks.spectra import LiveSpectra

__all__ = [
    "FitRecorder",
    "LivePLE",
    "LiveSpectra",
    "ScanProgress",
    "isolated",
    "replay",
]
