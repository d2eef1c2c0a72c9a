"""The supply of the photomultiplier: a voltage that trips when there is much light."""

from collections.abc import Mapping
from typing import Any

from caproto import AlarmSeverity, AlarmStatus, SkipWrite

from ioc_sim.alarms import NO_ALARM
from ioc_sim.base import Axis, Instrument, Part
from ioc_sim.channels import RefusedPutError
from ioc_sim.declare import choice, choice_rbv, number, number_rbv
from ioc_sim.photon_counter import PhotonCounter
from ioc_sim.turns import do_in_turns
from ioc_sim.vocabulary import NO_YES

__all__ = ["HighVoltage"]

VOLTAGE = (0.0, 1200.0)
"""Range of the supply, V; typical."""

RAMP = 500.0
"""Speed of the supply, V/s; typical."""

OWN = "none: detector supplies with a trip have no public support"
TRIPPED = (AlarmStatus.STATE, AlarmSeverity.MAJOR_ALARM)


class HighVoltage(Part):
    """Feeds the photomultiplier, and protects it from light."""

    voltage = number(
        "HV",
        0,
        VOLTAGE,
        "V",
        precision=1,
        doc="High voltage, 0 for off; refused while a trip is latched",
        mirrors=OWN,
    )
    voltage_rbv = number_rbv(
        "HV_RBV", 0, VOLTAGE, "V", precision=1, doc="High voltage now", mirrors=OWN
    )
    overrange_rbv = choice_rbv(
        "Overrange_RBV",
        NO_YES,
        "No",
        doc="Too much light has tripped the high voltage; latched until Reset",
        mirrors=OWN,
    )
    reset = choice(
        "Reset",
        ("Idle", "Reset"),
        "Idle",
        doc="Forget the trip; the high voltage stays off until it is put again",
        mirrors=OWN,
    )

    def __init__(
        self, prefix: str, *, parent: Instrument, counter: PhotonCounter
    ) -> None:
        super().__init__(prefix, parent=parent)
        self._world = parent.world
        self._counter = counter
        self._supply = Axis(
            parent.world, counter.high_voltage, RAMP, self._report_voltage
        )

    async def start(self) -> None:
        """Show the voltage that the detector is at."""
        await self.voltage.post(self._counter.high_voltage.at(self._world.now()))
        await self.show()

    def keep(self) -> Mapping[str, Any]:
        """Give whether it has tripped, ready for JSON."""
        return {"tripped": self._counter.tripped}

    async def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on without voltage, with a trip that was kept.

        Parameters
        ----------
        kept
            What `keep` gave.
        """
        self._counter.high_voltage.hold(0.0)
        self._counter.tripped = kept["tripped"]

    async def show(self) -> None:
        """Show voltage and trip as they are now."""
        await do_in_turns(self._counter.protect(self._world.now()))
        if self._counter.tripped and self.overrange_rbv.value == "No":
            await self._supply.stop()
            await self.voltage.post(0.0)
            await self.overrange_rbv.post("Yes")
            await self.overrange_rbv.raise_alarm(*TRIPPED)
        await self._report_voltage(0.0)

    @voltage.putter
    async def _put_voltage(self, instance: Any, value: float) -> None:
        """Ramp; completes when the voltage is there, or has tripped on the way."""
        await self.show()
        if self._counter.tripped and value > 0:
            msg = (
                f"got {value:g} V after an over-range trip; take the light away, Reset"
            )
            raise RefusedPutError(msg)
        await instance.post(value)
        await self._supply.move(value)
        raise SkipWrite

    @reset.putter
    async def _put_reset(self, instance: Any, value: str) -> None:
        """Forget the trip."""
        if value == "Reset":
            await self.show()
            self._counter.tripped = False
            await self.overrange_rbv.post("No")
            await self.overrange_rbv.raise_alarm(*NO_ALARM)
        await instance.post("Idle")
        raise SkipWrite

    async def _report_voltage(self, _: float) -> None:
        """Show what the supply gives now, which a trip may have ended."""
        volts = self._counter.high_voltage.at(self._world.now())
        await self.voltage_rbv.post(volts)
