"""The analyser: a rotating half-wave plate in front of a polarizer that slides in."""

from typing import Any

from caproto import SkipWrite

from ioc_sim import motion
from ioc_sim.base import Axis, Instrument
from ioc_sim.declare import choice, choice_rbv, number_rbv
from ioc_sim.motor_record import MotorRecord, MotorSettings
from ioc_sim.world import World

__all__ = ["Analyser"]

OUT_IN = ("Out", "In")

HALF_WAVE_PLATE = MotorSettings(
    low=-360.0, high=360.0, speed=motion.HWP_SPEED, units="deg"
)


class Analyser(Instrument):
    """Passes light polarized at twice the plate's angle, modulo 180 deg."""

    inserted = choice("In", OUT_IN, "In", doc="Slide the polarizer into the beam")
    inserted_rbv = choice_rbv(
        "In_RBV", OUT_IN, "In", doc="In when it covers the whole beam"
    )
    polarizer_angle_rbv = number_rbv(
        "PolarizerAngle_RBV",
        0,
        (0, 180),
        "deg",
        precision=3,
        doc="Axis of the polarizer; 0 is the grating's favoured axis",
    )

    def __init__(self, prefix: str, *, world: World, **kwargs: Any) -> None:
        super().__init__(prefix, world=world, **kwargs)
        self.hwp = MotorRecord(
            f"{prefix}HWP",
            parent=self,
            history=world.hwp_deg,
            settings=HALF_WAVE_PLATE,
        )
        self.pvdb.update(self.hwp.pvdb)
        self._slide = Axis(
            world, world.analyser_in, motion.ANALYSER_SPEED, self._report_slide
        )

    async def start(self) -> None:
        """Start the motor record."""
        await self.hwp.start()

    @inserted.putter
    async def _put_inserted(self, instance: Any, value: str) -> None:
        """Slide the polarizer; completes when it rests."""
        await instance.post(value)
        await self._slide.move(float(value == "In"))
        raise SkipWrite

    async def _report_slide(self, covered: float) -> None:
        await self.inserted_rbv.post(OUT_IN[covered >= 1])
