"""Channel Access simulation of the bench: one physical twin behind the PVs of its instruments."""
