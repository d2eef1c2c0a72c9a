"""A motor record: what ophyd's EpicsMotor needs of EPICS motorRecord, and no more."""

from dataclasses import dataclass
from typing import Any

from caproto import SkipWrite

from ioc_sim.base import Axis, Instrument, Part
from ioc_sim.channels import Channel, RefusedPutError
from ioc_sim.declare import (
    choice,
    choice_rbv,
    integer,
    integer_rbv,
    number,
    number_rbv,
    text_rbv,
)
from ioc_sim.history import History

__all__ = ["MotorRecord", "MotorSettings"]

PRECISION = 4
ANY = (-360.0, 360.0)
"""Limits before the settings are known."""

FLAG = (0, 1)
DRIVER = "motorRecord"
STANDING = {"Stop", "Pause"}
"""States of SPMG in which nothing moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MotorSettings:
    """What makes one motor different from another."""

    low: float
    """Least position."""
    high: float
    """Greatest position."""
    speed: float
    """Position units a second."""
    units: str
    """Unit of the position."""


class MotorRecord(Part):
    """One axis by the fields of a motor record; a put to VAL completes at rest.

    Its user and dial coordinates are the same: offset and direction are fixed.

    Parameters
    ----------
    prefix
        Name of the record.
    parent
        The instrument that the motor is part of.
    history
        What the motor moves.
    settings
        Travel, speed, unit.
    """

    val = number("", 0, ANY, "deg", precision=PRECISION, doc="Position", mirrors=DRIVER)
    rbv = number_rbv(
        ".RBV", 0, ANY, "deg", precision=PRECISION, doc="Position now", mirrors=DRIVER
    )
    dmov = integer_rbv(".DMOV", 1, FLAG, "bool", doc="The move is done", mirrors=DRIVER)
    movn = integer_rbv(".MOVN", 0, FLAG, "bool", doc="It moves", mirrors=DRIVER)
    stop = integer(".STOP", 0, FLAG, "bool", doc="Put 1 to stop", mirrors=DRIVER)
    spmg = choice(
        ".SPMG",
        ("Stop", "Pause", "Move", "Go"),
        "Go",
        doc="Stop and Pause stop it and refuse moves until Move or Go",
        mirrors=DRIVER,
    )
    hlm = number(
        ".HLM", 360, ANY, "deg", precision=PRECISION, doc="High limit", mirrors=DRIVER
    )
    llm = number(
        ".LLM", -360, ANY, "deg", precision=PRECISION, doc="Low limit", mirrors=DRIVER
    )
    lvio = integer_rbv(
        ".LVIO", 0, FLAG, "bool", doc="The last put was beyond a limit", mirrors=DRIVER
    )
    velo = number(
        ".VELO", 50, (0.1, 200), "deg/s", precision=2, doc="Speed", mirrors=DRIVER
    )
    accl = number_rbv(
        ".ACCL",
        0,
        (0, 1),
        "s",
        precision=2,
        doc="Time to full speed: none",
        mirrors=DRIVER,
    )
    egu = text_rbv(".EGU", "deg", doc="Unit of the position", mirrors=DRIVER)
    prec = integer_rbv(
        ".PREC", PRECISION, (0, 15), "digits", doc="Decimals to show", mirrors=DRIVER
    )
    off = number_rbv(
        ".OFF",
        0,
        ANY,
        "deg",
        precision=PRECISION,
        doc="User minus dial position: fixed",
        mirrors=DRIVER,
    )
    dir = choice_rbv(
        ".DIR", ("Pos", "Neg"), "Pos", doc="User against dial: fixed", mirrors=DRIVER
    )
    foff = choice_rbv(
        ".FOFF", ("Variable", "Frozen"), "Frozen", doc="Offset", mirrors=DRIVER
    )
    set = choice_rbv(
        ".SET", ("Use", "Set"), "Use", doc="A put to VAL moves", mirrors=DRIVER
    )
    hls = integer_rbv(".HLS", 0, FLAG, "bool", doc="At the high switch", mirrors=DRIVER)
    lls = integer_rbv(".LLS", 0, FLAG, "bool", doc="At the low switch", mirrors=DRIVER)
    miss = integer_rbv(
        ".MISS", 0, FLAG, "bool", doc="The last move did not arrive", mirrors=DRIVER
    )
    tdir = integer_rbv(
        ".TDIR", 1, FLAG, "bool", doc="The last move went up", mirrors=DRIVER
    )
    homf = integer(".HOMF", 0, FLAG, "bool", doc="Put 1 to go to 0", mirrors=DRIVER)
    homr = integer(".HOMR", 0, FLAG, "bool", doc="Put 1 to go to 0", mirrors=DRIVER)

    def __init__(
        self,
        prefix: str,
        *,
        parent: Instrument,
        history: History,
        settings: MotorSettings,
    ) -> None:
        super().__init__(prefix, parent=parent)
        self._settings = settings
        self.val.reported_record_type = "motor"
        self._axis = Axis(parent.world, history, settings.speed, self.rbv.post)

    async def start(self) -> None:
        """Take over the settings."""
        settings = self._settings
        await self.egu.post(settings.units)
        await self.velo.post(settings.speed)
        await self.velo.write_metadata(units=f"{settings.units}/s")
        travel = {"lower_ctrl_limit": settings.low, "upper_ctrl_limit": settings.high}
        for limit in (self.llm, self.hlm):
            await limit.write_metadata(units=settings.units, **travel)
        await self._set_limits(settings.low, settings.high)

    async def report_error(self, channel: Channel, text: str) -> None:
        """Show why a put was refused, also as a limit violation."""
        if channel is self.val and "limits" in text:
            await self.lvio.post(1)
        await super().report_error(channel, text)

    async def forget_error(self, channel: Channel) -> None:
        """Take the text back, and the limit violation."""
        if channel is self.val:
            await self.lvio.post(0)
        await super().forget_error(channel)

    @val.putter
    async def _put_val(self, instance: Any, value: float) -> None:
        """Move; completes when the motor rests."""
        await self._move(value)
        raise SkipWrite

    @stop.putter
    async def _put_stop(self, instance: Any, value: int) -> None:
        """Stop where it is; the pending move completes."""
        if value:
            await self._stop()
        await instance.post(0)
        raise SkipWrite

    @spmg.putter
    async def _put_spmg(self, instance: Any, value: str) -> None:
        """Stop and hold, or allow moves again."""
        if value in STANDING:
            await self._stop()

    @homf.putter
    async def _put_homf(self, instance: Any, value: int) -> None:
        """Go to the home mark."""
        await self._home(instance, value)

    @homr.putter
    async def _put_homr(self, instance: Any, value: int) -> None:
        """Go to the home mark."""
        await self._home(instance, value)

    @hlm.putter
    async def _put_hlm(self, instance: Any, value: float) -> None:
        """Change the high limit of VAL."""
        if value <= self.llm.value:
            msg = f"got {value:g}, expected more than the low limit {self.llm.value:g}"
            raise RefusedPutError(msg)
        await self._set_limits(self.llm.value, value)

    @llm.putter
    async def _put_llm(self, instance: Any, value: float) -> None:
        """Change the low limit of VAL."""
        if value >= self.hlm.value:
            msg = f"got {value:g}, expected less than the high limit {self.hlm.value:g}"
            raise RefusedPutError(msg)
        await self._set_limits(value, self.hlm.value)

    async def _home(self, instance: Any, value: int) -> None:
        if value:
            await instance.post(1)
            await self._move(0.0)
        await instance.post(0)
        raise SkipWrite

    async def _move(self, target: float) -> None:
        if self.spmg.value in STANDING:
            msg = f"got {target:g} while SPMG is {self.spmg.value}; put Go to it first"
            raise RefusedPutError(msg)
        await self.tdir.post(int(target >= self.rbv.value))
        await self.dmov.post(0)
        await self.movn.post(1)
        await self.val.post(target)
        self._axis.speed = self.velo.value
        await self._axis.move(target)
        if not self._axis.moving:
            await self.movn.post(0)
            await self.dmov.post(1)

    async def _stop(self) -> None:
        if self._axis.moving:
            await self._axis.stop()
            await self.val.post(self.rbv.value)

    async def _set_limits(self, low: float, high: float) -> None:
        for channel in (self.val, self.rbv):
            # Not published: ophyd would take the monitor's old limits for new ones.
            await channel.write_metadata(
                publish=False,
                lower_ctrl_limit=low,
                upper_ctrl_limit=high,
                lower_disp_limit=low,
                upper_disp_limit=high,
                units=self._settings.units,
            )
        await self.llm.post(low)
        await self.hlm.post(high)
