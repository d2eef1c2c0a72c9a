"""Alarms as channels take them: what is wrong first, then how bad it is."""

from typing import NamedTuple

from caproto import AlarmSeverity, AlarmStatus

__all__ = ["NO_ALARM", "Alarm"]


class Alarm(NamedTuple):
    """An alarm, in the order of `Channel.raise_alarm`."""

    status: AlarmStatus
    """What is wrong."""
    severity: AlarmSeverity
    """How bad it is."""


NO_ALARM = Alarm(AlarmStatus.NO_ALARM, AlarmSeverity.NO_ALARM)
"""Nothing is wrong."""
