"""The measurements of the bench as Bluesky plans."""
