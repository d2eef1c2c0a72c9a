"""How the bench does: every instrument, what serves it, and how fast it answers.

Channel Access reads its environment when ophyd is first imported, so whoever imports
this module sets it before (`triplet_bluesky.services.epics_environment`).
"""

import statistics
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ophyd import Device
from ophyd.signal import EpicsSignalBase
from ophyd.utils.epics_pvs import AlarmSeverity

from triplet_bluesky.devices import Bench, IocStatus
from triplet_bluesky.devices.channels import release
from triplet_bluesky.devices.connection import Connection, epics_signals, survey
from triplet_bluesky.devices.operation import CONNECTION_ERRORS, read_fresh

__all__ = ["Health", "Latency", "examine", "looked_at_twice"]

GETS = 20
"""Reads of one PV for the latency."""

LATENCY_BUDGET_S = 0.5
"""Seconds after which no further read is begun: a slow IOC is slow at once."""

STALE_S = 5.0
"""Age of the last heartbeat above which an IOC counts as hung; it beats each second."""

SLOW_MS = 100.0
"""Median latency above which an IOC counts as overloaded; 1 ms is usual."""

SECOND_LOOK_S = 1.0
"""Seconds after which an IOC that was slow or silent is looked at again: a computer
that has just started the bench is busy for a moment."""

MS_PER_S = 1e3


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long reads of one PV took, from asking to having the value."""

    median_ms: float
    worst_ms: float
    reads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How one instrument does."""

    instrument: str
    """Its name in the PVs, for example ``CCD``."""
    connection: Connection
    """Which of its PVs answer."""
    heartbeat_age_s: float | None = None
    """Seconds since the last heartbeat; None if its IOC serves none."""
    alarm: str = AlarmSeverity.NO_ALARM.name
    """Worst severity of its PVs."""
    alarm_pv: str = ""
    """The PV that has it."""
    alarm_value: str = ""
    """What it reads."""
    version: str = ""
    """What serves it, and its version."""
    simulated: bool | None = None
    """Whether there is no hardware behind it; None if its IOC does not say."""
    latency: Latency | None = None
    """How fast it answers; None if it does not."""
    last_error: str = ""
    """What it said of the last put that it refused."""
    complaints: tuple[str, ...] = field(default=())
    """What is wrong with its IOC or its PVs, in words; nothing if all is well."""

    @property
    def well(self) -> bool:
        """Whether it answers and all that it says can be trusted.

        An alarm below INVALID is no fault: a laser that is off is one for the counter
        behind it.
        """
        return not self.complaints

    @property
    def hesitates(self) -> bool:
        """Whether it is there and reads of it take long, or get no answer."""
        if self.connection.connected == 0:
            return False
        return self.latency is None or self.latency.median_ms > SLOW_MS

    @property
    def state(self) -> str:
        """One or two words for it."""
        if self.connection.absent:
            return "no answer"
        if self.connection.missing or self.connection.silent:
            return "incomplete"
        if not self.connection.sound:
            return "not as expected"
        if self.heartbeat_age_s is not None and self.heartbeat_age_s > STALE_S:
            return "hangs"
        quiet = AlarmSeverity[self.alarm] < AlarmSeverity.MAJOR
        if self.latency is not None and self.hesitates:
            return "slow"
        return "ok" if self.well and quiet else "alarm"

    def as_dict(self) -> dict[str, Any]:
        """Give everything ready for JSON."""
        connection, latency = self.connection, self.latency
        return {
            "instrument": self.instrument,
            "state": self.state,
            "connected": connection.connected,
            "total": connection.total,
            "missing": list(connection.missing),
            "silent": list(connection.silent),
            "unserved": list(connection.unserved),
            "read_only": list(connection.read_only),
            "wrong_type": list(connection.wrong_type),
            "heartbeat_age_s": self.heartbeat_age_s,
            "alarm": self.alarm,
            "alarm_pv": self.alarm_pv,
            "alarm_value": self.alarm_value,
            "version": self.version,
            "simulated": self.simulated,
            "latency_median_ms": latency.median_ms if latency else None,
            "latency_worst_ms": latency.worst_ms if latency else None,
            "last_error": self.last_error,
            "complaints": list(self.complaints),
        }


def examine(prefix: str, timeout: float) -> list[Health]:
    """Look at every instrument of a bench; nothing is written.

    Parameters
    ----------
    prefix
        PV prefix of the bench with its trailing colon.
    timeout
        Longest time for all PVs together to connect, in seconds. What is left of it
        an IOC that answers slowly has to recover before it is looked at again.

    Returns
    -------
    :
        One for each instrument, in the order of the light.
    """
    deadline = time.monotonic() + timeout
    bench = Bench.from_prefix(prefix)
    devices: dict[str, list[Device]] = {}
    for device in bench.devices():
        devices.setdefault(device.prefix, []).append(device)
    identities = {
        at: IocStatus(f"{at}IOC:", name=f"{parts[0].name}_ioc")
        for at, parts in devices.items()
        if not isinstance(parts[0], IocStatus)
    }
    identities[bench.ioc.prefix] = bench.ioc
    every = [*bench.devices(), *identities.values()]
    connections = {one.prefix: one for one in survey(every, timeout)}
    found = looked_at_twice(
        [
            partial(_examine, connections[at], parts, identities[at])
            for at, parts in devices.items()
        ],
        deadline,
    )
    release(every)
    return found


def looked_at_twice(
    examinations: Sequence[Callable[[], Health]], deadline: float
) -> list[Health]:
    """Examine instruments; again, once, those that answer slowly or not at all.

    Parameters
    ----------
    examinations
        What examines each instrument.
    deadline
        Until when the second look may wait, in seconds of `time.monotonic`.

    Returns
    -------
    :
        One for each, by the second look where there was one.
    """
    found = [examine_one() for examine_one in examinations]
    if any(one.hesitates for one in found):
        left = max(deadline - time.monotonic(), 0.0)
        threading.Event().wait(min(SECOND_LOOK_S, left))
        found = [
            examine_one() if one.hesitates else one
            for one, examine_one in zip(found, examinations, strict=True)
        ]
    return found


def _examine(
    connection: Connection, devices: list[Device], identity: IocStatus
) -> Health:
    """Look at one instrument."""
    signals = [s for device in devices for s in epics_signals(device) if _answers(s)]
    severity, alarming = _worst_alarm(signals)
    age = _heartbeat_age(identity.heartbeat)
    sources = [s for s in (identity.heartbeat, *signals[:1]) if _answers(s)]
    latency = _latency(sources[0]) if sources else None
    complaints = connection.faults()
    if latency is not None and latency.median_ms > SLOW_MS:
        complaints.append(f"its IOC is slow: {latency.median_ms:.0f} ms for a read")
    if age is not None and age > STALE_S:
        complaints.append(f"no heartbeat for {age:.0f} s, its IOC hangs")
    if sources and latency is None:
        complaints.append(f"{sources[0].pvname} does not answer a read")
    if alarming is not None and severity == AlarmSeverity.INVALID:
        complaints.append(f"{alarming.pvname} is in INVALID alarm")
    said = _text(identity.simulated)
    return Health(
        instrument=connection.instrument,
        connection=connection,
        heartbeat_age_s=age,
        alarm=severity.name,
        alarm_pv=alarming.pvname if alarming else "",
        alarm_value=_text(alarming) if alarming else "",
        version=_text(identity.version),
        simulated=said == "Yes" if said else None,
        latency=latency,
        last_error=_last_error(devices),
        complaints=tuple(complaints),
    )


def _answers(signal: EpicsSignalBase) -> bool:
    """Tell whether there is a PV behind a signal; some need none to be connected."""
    return bool(signal.connected and getattr(signal, "served", True))


def _worst_alarm(
    signals: Iterable[EpicsSignalBase],
) -> tuple[AlarmSeverity, EpicsSignalBase | None]:
    """Give the worst severity and the first signal that has it."""
    worst, found = AlarmSeverity.NO_ALARM, None
    for signal in signals:
        severity = AlarmSeverity(signal.alarm_severity or AlarmSeverity.NO_ALARM)
        if severity > worst:
            worst, found = severity, signal
    return worst, found


def _heartbeat_age(heartbeat: EpicsSignalBase) -> float | None:
    """Give the seconds since the last beat by the time stamp of the IOC."""
    if not heartbeat.connected:
        return None
    try:
        read_fresh(heartbeat)
    except CONNECTION_ERRORS:
        return None
    return max(time.time() - float(heartbeat.timestamp), 0.0)


def _latency(signal: EpicsSignalBase) -> Latency | None:
    """Read a PV again and again, and time it."""
    taken: list[float] = []
    start = time.perf_counter()
    while len(taken) < GETS and time.perf_counter() - start < LATENCY_BUDGET_S:
        asked = time.perf_counter()
        try:
            read_fresh(signal)
        except CONNECTION_ERRORS:
            return None
        taken.append(MS_PER_S * (time.perf_counter() - asked))
    return Latency(
        median_ms=statistics.median(taken), worst_ms=max(taken), reads=len(taken)
    )


def _last_error(devices: list[Device]) -> str:
    """Give what an instrument said of its last refusal, where it says so."""
    for device in devices:
        signal = getattr(device, "last_error", None)
        if signal is not None and (said := _text(signal)):
            return said
    return ""


def _text(signal: EpicsSignalBase) -> str:
    """Read a text; nothing if it is not served or does not answer."""
    if not signal.connected:
        return ""
    try:
        return str(read_fresh(signal))
    except CONNECTION_ERRORS:
        return ""
