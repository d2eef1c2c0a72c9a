"""Bluesky orchestration of a triplet-exciton laser spectroscopy bench."""
