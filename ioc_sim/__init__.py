"""The bench simulated over Channel Access: one physical twin behind its PVs."""
