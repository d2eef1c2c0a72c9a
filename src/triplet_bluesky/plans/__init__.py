"""The measurements of the bench as Bluesky plans."""

from triplet_bluesky.plans.count_light import count_light
from triplet_bluesky.plans.ple import ple
from triplet_bluesky.plans.switch_on import switch_on

__all__ = ["count_light", "ple", "switch_on"]
