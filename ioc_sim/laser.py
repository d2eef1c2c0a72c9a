"""The supercontinuum laser: emission behind an interlock, and its output level."""

from typing import Any

from caproto import SkipWrite

from ioc_sim import motion
from ioc_sim.base import Axis, Instrument
from ioc_sim.channels import RefusedPutError
from ioc_sim.declare import choice, choice_rbv, number, number_rbv
from ioc_sim.world import World

__all__ = ["Laser"]

OFF_ON = ("Off", "On")
NO_YES = ("No", "Yes")


class Laser(Instrument):
    """Pulsed white light; it starts dark, at level zero."""

    emission = choice(
        "Emission", OFF_ON, "Off", doc="Emit light; refused unless the interlock is OK"
    )
    emission_rbv = choice_rbv("Emission_RBV", OFF_ON, "Off", doc="Light is emitted")
    level = number("Level", 0, (0, 100), "%", precision=2, doc="Output level")
    level_rbv = number_rbv(
        "Level_RBV", 0, (0, 100), "%", precision=2, doc="Output level now"
    )
    rep_rate_rbv = number_rbv(
        "RepRate_RBV", 78, (0, 200), "MHz", precision=3, doc="Pulse repetition rate"
    )
    pulse_width_rbv = number_rbv(
        "PulseWidth_RBV", 10, (0, 1000), "ps", precision=2, doc="Pulse length (FWHM)"
    )
    interlock_rbv = choice_rbv(
        "Interlock_RBV", ("Tripped", "OK"), "OK", doc="State of the interlock chain"
    )
    ready_rbv = choice_rbv(
        "Ready_RBV", NO_YES, "No", doc="Light is emitted at the level asked"
    )

    def __init__(self, prefix: str, *, world: World, **kwargs: Any) -> None:
        super().__init__(prefix, world=world, **kwargs)
        self._level = Axis(world, world.level, motion.LEVEL_SPEED, self._report_level)

    async def start(self) -> None:
        """Show what the source of this sample file emits."""
        await self.rep_rate_rbv.post(self.world.sample.source.rate)
        await self.pulse_width_rbv.post(self.world.sample.source.pulse)

    async def make_safe(self) -> None:
        """Emit nothing any more."""
        await self._emit("Off")

    async def trip(self) -> None:
        """Open the interlock: the light goes off and stays off."""
        await self.interlock_rbv.post("Tripped")
        await self._emit("Off")

    @emission.putter
    async def _put_emission(self, instance: Any, value: str) -> None:
        """Switch the light; on only with the interlock closed."""
        if value == "On" and self.interlock_rbv.value != "OK":
            msg = "got On with the interlock tripped; close the interlock first"
            raise RefusedPutError(msg)
        await self._emit(value)
        raise SkipWrite

    @level.putter
    async def _put_level(self, instance: Any, value: float) -> None:
        """Bring the output to a level; completes when it is there."""
        await instance.post(value)
        await self._level.move(value)
        await self._show_ready()
        raise SkipWrite

    async def _emit(self, value: str) -> None:
        self.world.emission.record(self.world.now(), float(value == "On"))
        await self.emission.post(value)
        await self.emission_rbv.post(value)
        await self._show_ready()

    async def _report_level(self, percent: float) -> None:
        await self.level_rbv.post(percent)
        await self._show_ready()

    async def _show_ready(self) -> None:
        ready = self.emission_rbv.value == "On" and not self._level.moving
        await self.ready_rbv.post(NO_YES[ready])
