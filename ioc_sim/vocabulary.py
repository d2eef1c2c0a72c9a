"""Words of two-state enums and ranges that the PVs of several instruments share."""

__all__ = ["CLOSED_OPEN", "COUNTER", "NO_YES", "OFF_ON"]

NO_YES = ("No", "Yes")
"""Words of an answer."""

OFF_ON = ("Off", "On")
"""Words of a switch."""

CLOSED_OPEN = ("Closed", "Open")
"""Words of a shutter."""

COUNTER = (0, 2**31 - 1)
"""Range of what is counted in a LONG."""
