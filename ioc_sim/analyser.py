"""The analyser: a rotating half-wave plate in front of a polarizer that slides in."""

from typing import Any

from caproto import SkipWrite

from ioc_sim import motion
from ioc_sim.base import Instrument
from ioc_sim.declare import choice, choice_rbv, number_rbv
from ioc_sim.motor_record import MotorRecord, MotorSettings
from ioc_sim.world import World

__all__ = ["Analyser"]

OUT_IN = ("Out", "In")

HALF_WAVE_PLATE = MotorSettings(
    low=-360.0,
    high=360.0,
    speed=motion.HWP_SPEED,
    units="deg",
    acceleration=0.1,
    slip="hwp_slip",
)

SLIDE_MM = 25.0
"""Travel of the polarizer from out (0) to in; its edge crosses the beam on the way;
typical of a slide for 1-inch optics."""

POLARIZER = MotorSettings(
    low=0.0,
    high=SLIDE_MM,
    speed=motion.ANALYSER_SPEED * SLIDE_MM,
    units="mm",
    switches=(-1.0, SLIDE_MM + 1.0),
    scale=1 / SLIDE_MM,
)

COVERED = 0.999
"""Share of the beam that the polarizer covers when it counts as in."""


class Analyser(Instrument):
    """Passes light polarized at twice the plate's angle, modulo 180 deg."""

    inserted = choice(
        "In",
        OUT_IN,
        "In",
        doc="Slide the polarizer into the beam or out of it: drives POL to an end",
        mirrors="none: another name of POL's two ends",
    )
    inserted_rbv = choice_rbv(
        "In_RBV",
        OUT_IN,
        "In",
        doc="In when it covers the whole beam, whoever moved it there",
        mirrors="none: another name of POL's two ends",
    )
    polarizer_angle_rbv = number_rbv(
        "PolarizerAngle_RBV",
        0,
        (0, 180),
        "deg",
        precision=3,
        doc="Axis of the polarizer; 0 is the grating's favoured axis",
        mirrors="none: how the polarizer is mounted",
    )

    def __init__(self, prefix: str, *, world: World, **kwargs: Any) -> None:
        super().__init__(prefix, world=world, **kwargs)
        self._asked = 0
        self.hwp = MotorRecord(
            f"{prefix}HWP",
            parent=self,
            history=world.hwp_deg,
            settings=HALF_WAVE_PLATE,
        )
        self.pol = MotorRecord(
            f"{prefix}POL",
            parent=self,
            history=world.analyser_in,
            settings=POLARIZER,
            moved=self._report_slide,
        )
        self.pvdb.update(self.hwp.pvdb)
        self.pvdb.update(self.pol.pvdb)

    async def start(self) -> None:
        """Start the motor records."""
        await self.hwp.start()
        await self.pol.start()

    @inserted.putter
    async def _put_inserted(self, instance: Any, value: str) -> None:
        """Slide the polarizer; completes when it rests."""
        self.pol.refuse_if_held(value)
        await instance.post(value)
        self._asked += 1
        try:
            await self.pol.move(SLIDE_MM if value == "In" else 0.0)
        finally:
            self._asked -= 1
        raise SkipWrite

    async def _report_slide(self, position_mm: float) -> None:
        state = OUT_IN[position_mm / SLIDE_MM >= COVERED]
        if state != self.inserted_rbv.value:
            await self.inserted_rbv.post(state)
            if not self._asked:  # POL was moved by its own name
                await self.inserted.post(state)
