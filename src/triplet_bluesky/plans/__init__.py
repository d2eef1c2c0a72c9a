"""The measurements of the bench as Bluesky plans."""

from triplet_bluesky.plans.ple import ple
from triplet_bluesky.plans.switch_on import switch_on

__all__ = ["ple", "switch_on"]
