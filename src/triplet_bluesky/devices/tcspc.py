"""Photon counting, by the record names of the public EPICS support of the PicoHarp."""

import math
import threading
import time
from typing import Any, cast

import numpy as np
from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal, EpicsSignalRO
from ophyd.status import DeviceStatus

from triplet_bluesky.devices.derived import Derived
from triplet_bluesky.devices.detector import Detector
from triplet_bluesky.devices.operation import (
    Halt,
    await_completion,
    label,
    put_and_complete,
    read_fresh,
    run_operation,
)
from triplet_bluesky.devices.optional import OptionalSignal, OptionalSignalRO
from triplet_bluesky.devices.settable import (
    Axis,
    OptionalChoice,
    OptionalParameter,
    Parameter,
)
from triplet_bluesky.errors import AcquireError, DeviceError, MoveError

__all__ = ["TCSPC", "Photomultiplier"]

BINS = 65536
"""Bins of the histogram; PicoQuant PHLib, HISTCHAN."""

FULL_BIN = 65535
"""Most counts of a bin; PicoQuant PHLib, phdefin.h."""

FLAG_OVERFLOW = 0x0040
"""Bit of a full bin; PicoQuant PHLib, phdefin.h."""

MS_PER_S = 1e3
HZ_PER_MHZ = 1e6

ALLOWANCE_S = 15.0
"""Longest time that an acquisition may take beyond its own until it is written."""

SYNC_DEADLINE_S = 2.0
"""Longest wait for a trigger: the rate meter's gate is 0.1 s."""

POLL_S = 0.05
"""Seconds between looks at the rate meter."""

SYNC_TOLERANCE = 0.01
"""Relative deviation of a trigger rate from what it should be that is an error: missed
triggers make it half or less."""

RESET_TIMEOUT_S = 10.0
"""Longest time that forgetting a trip may take."""


class Photomultiplier(Device):
    """The ``PMT:`` records: the high voltage and its protection."""

    voltage = Cpt(Axis, "HV", tolerance=1.0, timeout=30.0, kind="normal")
    overrange = Cpt(
        OptionalSignalRO, "Overrange_RBV", string=True, default="No", kind="normal"
    )
    reset = Cpt(OptionalSignal, "Reset", kind="omitted")

    @property
    def last_error(self) -> OptionalSignalRO:
        """What the instrument says of its last refusal."""
        return cast("TCSPC", self.parent).last_error

    def clear(self) -> DeviceStatus:
        """Forget a trip; the high voltage stays off until it is set.

        Returns
        -------
        :
            Finished when the trip is forgotten.
        """
        return run_operation(self, self._clear, Halt())

    def _clear(self) -> None:
        if not self.reset.served:
            msg = f"{label(self)}: the IOC does not serve {self.reset.pvname}"
            raise DeviceError(msg)
        put_and_complete(self.reset, 1, RESET_TIMEOUT_S)
        if read_fresh(self.overrange) != "No":
            msg = (
                f"{label(self)}: still tripped after {self.reset.setpoint_pvname}; is "
                "there still too much light?"
            )
            raise DeviceError(msg)

    def check(self) -> None:
        """Refuse to count without a high voltage.

        Raises
        ------
        AcquireError
            If it has tripped, or is off.
        """
        if read_fresh(self.overrange) != "No":
            msg = (
                f"{label(self)}: {self.overrange.pvname} says that too much light has "
                "tripped the high voltage; attenuate, clear the trip, set the voltage"
            )
            raise AcquireError(msg)
        if self.voltage.position <= self.voltage.tolerance:
            msg = (
                f"{label(self)}: {self.voltage.readback.pvname} is at "
                f"{self.voltage.position:g} V; set the high voltage first"
            )
            raise AcquireError(msg)


class CounterNumber(Parameter):
    """A number of the electronics, which keep it in range; its record has no limits."""

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        super().__init__(prefix, limits_required=False, **kwargs)


class TCSPC(Detector):
    """PicoHarp 300 with a photomultiplier at the spectrometer's side exit.

    Bin ``k`` of the histogram holds the counts between ``offset + k * bin_width`` and
    ``offset + (k + 1) * bin_width`` after the laser's trigger; the histogram is one
    laser period long, which need not be a whole number of bins. The counts are as
    recorded: neither dead time nor background is corrected.

    An acquisition fails if the photomultiplier trips, if the laser's trigger is lost
    for some of the time, or if a bin is full without being asked for.

    Parameters
    ----------
    prefix
        PV prefix with its trailing colon, for example ``"TRIPLET:TCSPC:"``.
    name
        Name of the device in plans and data.
    """

    acquire = Cpt(EpicsSignal, "Acquire", kind="omitted")
    acquisition_time = Cpt(CounterNumber, "TIME", tolerance=0, kind="normal")
    stop_overflow = Cpt(OptionalChoice, "StopOverflow", default="No", kind="config")
    stop_count = Cpt(
        OptionalParameter,
        "StopCount",
        tolerance=0,
        limits_required=False,
        default=FULL_BIN,
        default_units="counts",
        kind="config",
    )
    stop_total = Cpt(
        OptionalParameter,
        "StopTotal",
        tolerance=0,
        limits_required=False,
        default=0,
        default_units="counts",
        kind="config",
    )
    binning = Cpt(CounterNumber, "RANGE", tolerance=0, kind="config")
    offset = Cpt(CounterNumber, "OFFSET", tolerance=2, kind="config")
    divider = Cpt(CounterNumber, "SYNCDIV", tolerance=0, kind="config")
    sync_level = Cpt(CounterNumber, "CFDLEVEL0", tolerance=0, kind="config")
    input_level = Cpt(CounterNumber, "CFDLEVEL1", tolerance=0, kind="config")
    sync_zero_cross = Cpt(CounterNumber, "CFDZEROX0", tolerance=0, kind="config")
    input_zero_cross = Cpt(CounterNumber, "CFDZEROX1", tolerance=0, kind="config")
    dead_time = Cpt(OptionalSignalRO, "DeadTime_RBV", kind="config")
    sync_rate = Cpt(EpicsSignalRO, "COUNT_RATE_0", kind="normal")
    input_rate = Cpt(EpicsSignalRO, "COUNT_RATE_1", kind="normal")
    pmt = Cpt(Photomultiplier, "PMT:", kind="normal")

    resolution = Cpt(EpicsSignalRO, "RESOLUTION", kind="omitted")
    samples = Cpt(EpicsSignalRO, "SAMPLES_FAST", kind="omitted")
    total_count = Cpt(EpicsSignalRO, "TOTAL_COUNT_FAST", kind="omitted")
    turns = Cpt(EpicsSignalRO, "TURNS_FAST", kind="omitted")
    max_bin = Cpt(EpicsSignalRO, "MAX_BIN", kind="omitted")
    elapsed_time = Cpt(EpicsSignalRO, "Elapsed_RBV", kind="omitted")
    status_flags = Cpt(OptionalSignalRO, "Flags_RBV", default=0, kind="omitted")
    counter = Cpt(EpicsSignalRO, "Counter_RBV", kind="omitted")
    warnings = Cpt(OptionalSignalRO, "Warnings_RBV", kind="normal")
    pile_up_warning = Cpt(
        OptionalSignalRO, "PileUp_RBV", string=True, default="", kind="omitted"
    )
    error = Cpt(EpicsSignalRO, "ERROR.VAL$", string=True, kind="omitted")
    last_error = Cpt(
        OptionalSignalRO,
        "LastError_RBV.VAL$",
        string=True,
        default="",
        kind="omitted",
    )

    repetition_rate = Cpt(Derived, units="MHz", kind="config")
    """Rate of the laser, which the trigger has to have; NaN if it is not known."""
    counts = Cpt(
        Derived,
        units="counts",
        dims=("time_bin",),
        value=np.zeros(BINS, dtype=np.int32),
        kind="normal",
    )
    """Histogram of the last acquisition."""
    total = Cpt(Derived, units="counts", value=0, kind="hinted")
    """Counts of the whole histogram."""
    peak = Cpt(Derived, units="counts", value=0, kind="normal")
    """Counts of the fullest bin."""
    bin_width = Cpt(Derived, units="ps", precision=1, kind="normal")
    """Width of a bin."""
    syncs = Cpt(Derived, units="pulses", value=0.0, precision=1, kind="normal")
    """Laser pulses of the acquisition."""
    elapsed = Cpt(Derived, units="ms", precision=3, kind="normal")
    """Time that was counted."""
    flags = Cpt(Derived, units="bits", value=0, kind="normal")
    """Flags of the electronics; 64 for a bin that is full or has reached its stop."""
    pile_up = Cpt(Derived, units="1/pulse", precision=6, kind="normal")
    """Counts per laser pulse: above 0.05 the histogram is visibly distorted."""

    def bin_times(self) -> np.ndarray:
        """Give the middle of each bin of the last histogram, in ps after the trigger.

        Returns
        -------
        :
            Times; shape ``(65536,)``. Those beyond the laser period have no counts.
        """
        offset = float(self.offset.position)
        return offset + float(self.bin_width.get()) * (np.arange(BINS) + 0.5)

    def _abandon(self) -> None:
        if self.acquire.connected:
            self.acquire.put(0)

    def _take(self, halt: Halt) -> None:
        asked_ms = float(self.acquisition_time.position)
        self.pmt.check()
        self._await_sync(halt)
        number = int(read_fresh(self.counter)) + 1
        try:
            done = halt.issue(self.acquire, 1)
            longest = asked_ms / MS_PER_S + ALLOWANCE_S
            await_completion(self.acquire, done, 1, longest)
        except MoveError as error:
            msg = (
                f"{label(self)}: no histogram from an acquisition of {asked_ms:g} ms "
                f"({error}); the IOC says {read_fresh(self.error)}"
            )
            raise AcquireError(msg) from error
        self._check_number(number)
        self.pmt.check()
        elapsed_ms = float(read_fresh(self.elapsed_time))
        self._check_sync(elapsed_ms)
        self._check_end(asked_ms, elapsed_ms)
        self._record(elapsed_ms)

    def _await_sync(self, halt: Halt) -> None:
        """Wait until the rate meter sees the trigger."""
        deadline = time.monotonic() + SYNC_DEADLINE_S
        pause = threading.Event()
        while float(read_fresh(self.sync_rate)) <= 0:
            halt.check(self.acquire, 1)
            if time.monotonic() > deadline:
                msg = (
                    f"{label(self)}: {self.sync_rate.pvname} reads no trigger; is the "
                    "laser on, and its cable in place?"
                )
                raise AcquireError(msg)
            pause.wait(POLL_S)

    def _check_number(self, number: int) -> None:
        counted = int(read_fresh(self.counter))
        if counted != number:
            msg = (
                f"{label(self)}: expected acquisition {number}, the IOC has {counted}; "
                "does another client drive it, or was the put refused "
                f"({read_fresh(self.last_error) or 'no'})?"
            )
            raise AcquireError(msg)

    def _check_sync(self, elapsed_ms: float) -> None:
        """Refuse a histogram whose triggers are not those of the laser."""
        rate = float(read_fresh(self.sync_rate))
        laser = float(self.repetition_rate.get()) * HZ_PER_MHZ
        if rate > 0 and abs(rate / laser - 1) > SYNC_TOLERANCE:
            msg = (
                f"{label(self)}: {self.sync_rate.pvname} reads {rate:.6g} Hz, the "
                f"laser has {laser:.6g} Hz; the divider is {self.divider.position:g} "
                "and has to leave at most 10 MHz"
            )
            raise AcquireError(msg)
        expected = (rate if math.isnan(laser) else laser) * elapsed_ms / MS_PER_S
        seen = float(read_fresh(self.turns))
        if rate <= 0 or seen < (1 - SYNC_TOLERANCE) * expected - 1:
            msg = (
                f"{label(self)}: {self.turns.pvname} has {seen:.6g} triggers in "
                f"{elapsed_ms:g} ms and {self.sync_rate.pvname} reads {rate:.6g} Hz; "
                "the trigger was lost for some of the time"
            )
            raise AcquireError(msg)

    def _check_end(self, asked_ms: float, elapsed_ms: float) -> None:
        """Refuse a histogram that is clipped, or was cut short by somebody."""
        fullest = int(read_fresh(self.max_bin))
        flags = int(read_fresh(self.status_flags))
        overflow = bool(flags & FLAG_OVERFLOW) or fullest >= FULL_BIN
        stops = self.stop_overflow.position == "Yes"
        if overflow and not stops:
            msg = (
                f"{label(self)}: a bin is full at {fullest} counts after "
                f"{elapsed_ms:g} ms of {asked_ms:g} ms; count for a shorter time, or "
                "let it stop on overflow"
            )
            raise AcquireError(msg)
        enough = int(self.stop_total.position)
        full = bool(enough) and int(read_fresh(self.total_count)) >= enough
        if elapsed_ms < asked_ms * (1 - 1e-6) and not (overflow or full):
            msg = (
                f"{label(self)}: aborted after {elapsed_ms:g} ms of {asked_ms:g} ms; "
                "by whom?"
            )
            raise AcquireError(msg)

    def _record(self, elapsed_ms: float) -> None:
        stamp = time.time()
        counts = self._whole_counts()
        syncs = float(read_fresh(self.turns))
        total = int(counts.sum())
        counted = int(read_fresh(self.total_count))
        if total != counted:
            age_s = stamp - self.samples.timestamp
            msg = (
                f"{label(self)}: {self.samples.pvname} holds {total} counts, "
                f"{self.total_count.pvname} is {counted}; the histogram is not that of "
                f"this acquisition, it was last written {age_s:.1f} s ago"
            )
            raise AcquireError(msg)
        self.counts.put(counts, timestamp=stamp)
        self.total.put(total, timestamp=stamp)
        self.peak.put(int(counts.max()), timestamp=stamp)
        self.bin_width.put(float(read_fresh(self.resolution)), timestamp=stamp)
        self.syncs.put(syncs, timestamp=stamp)
        self.elapsed.put(elapsed_ms, timestamp=stamp)
        self.flags.put(int(read_fresh(self.status_flags)), timestamp=stamp)
        self.pile_up.put(total / syncs if syncs else math.nan, timestamp=stamp)

    def _whole_counts(self) -> np.ndarray:
        """Read the histogram, which is of whole counts and not of counts per pulse."""
        samples = np.asarray(read_fresh(self.samples), dtype=np.float64)
        if not np.array_equal(samples, np.rint(samples)):
            msg = (
                f"{label(self)}: {self.samples.pvname} holds other than whole counts; "
                "does the IOC divide them by the laser's pulses?"
            )
            raise AcquireError(msg)
        return samples.astype(np.int32)
