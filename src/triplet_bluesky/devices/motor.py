"""An axis behind an EPICS motor record, whatever it moves."""

import math

from ophyd import Component as Cpt
from ophyd import EpicsSignal, EpicsSignalRO
from ophyd.status import DeviceStatus

from triplet_bluesky.devices.operation import (
    Halt,
    await_completion,
    label,
    read_fresh,
    run_operation,
)
from triplet_bluesky.devices.settable import Axis
from triplet_bluesky.errors import MoveError

__all__ = ["Motor"]


class Motor(Axis):
    """An axis behind an EPICS motor record; unit and limits are the record's.

    Parameters
    ----------
    prefix
        Name of the record.
    tolerance
        Largest distance of the read-back from the set point that counts as arrived,
        in the unit of the record.
    """

    setpoint = Cpt(EpicsSignal, ".VAL", kind="normal")
    readback = Cpt(EpicsSignalRO, ".RBV", kind="hinted")
    unit = Cpt(EpicsSignalRO, ".EGU", string=True, kind="omitted")
    high_limit = Cpt(EpicsSignal, ".HLM", kind="omitted")
    low_limit = Cpt(EpicsSignal, ".LLM", kind="omitted")
    velocity = Cpt(EpicsSignal, ".VELO", kind="config")
    offset = Cpt(EpicsSignalRO, ".OFF", kind="config")
    done_moving = Cpt(EpicsSignalRO, ".DMOV", kind="omitted")
    missed = Cpt(EpicsSignalRO, ".MISS", kind="omitted")
    at_home = Cpt(EpicsSignalRO, ".ATHM", kind="omitted")
    home_record = Cpt(EpicsSignal, ".HOMF", kind="omitted")
    stop_record = Cpt(EpicsSignal, ".STOP", kind="omitted")

    @property
    def user_offset(self) -> EpicsSignalRO:
        """The offset between user and dial position of the motor record."""
        return self.offset

    @property
    def egu(self) -> str:
        """The engineering unit, from the record's EGU."""
        return str(self.unit.get() or "") if self.unit.connected else ""

    @property
    def limits(self) -> tuple[float, float]:
        """The record's soft limits now, in the unit of the axis."""
        if not (self.low_limit.connected and self.high_limit.connected):
            return (math.nan, math.nan)
        return (float(read_fresh(self.low_limit)), float(read_fresh(self.high_limit)))

    def home(self) -> DeviceStatus:
        """Go to the home mark and let the position refer to it anew.

        Returns
        -------
        :
            Finished when the motor rests at the mark; failed if it does not.
        """
        self._halt = halt = Halt()
        return run_operation(self, lambda: self._go_home(halt), halt)

    def _go_home(self, halt: Halt) -> None:
        done = halt.issue(self.home_record, 1)
        await_completion(self.home_record, done, 1, self.timeout)
        if read_fresh(self.missed) or not read_fresh(self.at_home):
            msg = (
                f"{label(self)}: homing by {self.home_record.setpoint_pvname} ended at "
                f"{read_fresh(self.readback)} {self.egu}, not at the home mark"
                f"{self._reason()}"
            )
            raise MoveError(msg)

    def _reason(self) -> str:
        """Give why the motor is not at its target, where record or IOC say so."""
        gave_up = "; the motor record gave up (MISS is 1): is the motor stuck?"
        return (gave_up if read_fresh(self.missed) else "") + super()._reason()

    def stop(self, *, success: bool = False) -> None:
        """Stop the motor where it is."""
        super().stop(success=success)
        if self.stop_record.connected:
            self.stop_record.put(1)
