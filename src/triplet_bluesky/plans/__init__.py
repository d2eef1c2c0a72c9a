"""The measurements of the bench as Bluesky plans."""

from triplet_bluesky.plans.ple import ple

__all__ = ["ple"]
