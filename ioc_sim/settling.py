"""Whether the temperature is stable: judged over a time, in a band."""

from typing import Any

from ioc_sim.cryostat_part import CryostatPart
from ioc_sim.cryostat_state import CryostatReading
from ioc_sim.declare import choice_rbv, number, number_rbv
from ioc_sim.thermometers import SHOWN
from ioc_sim.vocabulary import NO_YES

__all__ = ["Settling"]

WINDOW = "none: judged by this IOC; lakeshore336 has IN_WINDOW1, without a time"


class Settling(CryostatPart):
    """Stable_RBV, and what it is judged by."""

    stable_rbv = choice_rbv(
        "Stable_RBV",
        NO_YES,
        "Yes",
        doc="The ramp was over and every reading of the sample within StableBand of "
        "SETP_S1 for StableTime",
        mirrors=WINDOW,
    )
    stable_band = number(
        "StableBand",
        0.05,
        (0.001, 10),
        "K",
        precision=3,
        doc="Half width of the band that counts as stable",
        mirrors=WINDOW,
    )
    stable_time = number(
        "StableTime",
        10,
        (0, 3600),
        "s",
        precision=1,
        doc="How long it has to stay in the band",
        mirrors=WINDOW,
    )
    stable_peak = number_rbv(
        "StablePeak_RBV",
        0,
        SHOWN,
        "K",
        precision=4,
        doc="Greatest distance of the sample from SETP_S1 within the last StableTime",
        mirrors=WINDOW,
    )
    stable_rms = number_rbv(
        "StableRms_RBV",
        0,
        SHOWN,
        "K",
        precision=4,
        doc="Root mean square of that distance",
        mirrors=WINDOW,
    )

    async def start(self) -> None:
        """Show what counts as stable."""
        band_k, hold_s = self._world.cryostat.stability
        await self.stable_band.post(band_k)
        await self.stable_time.post(hold_s)

    async def show(self, reading: CryostatReading) -> None:
        """Show whether the sample is stable, and how far it has been away."""
        await self.stable_peak.post(reading.peak_k)
        await self.stable_rms.post(reading.rms_k)
        await self.stable_rbv.post(NO_YES[bool(reading.stable)])

    @stable_band.putter
    async def _put_stable_band(self, instance: Any, value: float) -> None:
        """Judge by another band from now on."""
        await self._judge_by(value, self.stable_time.value)

    @stable_time.putter
    async def _put_stable_time(self, instance: Any, value: float) -> None:
        """Judge by another time from now on."""
        await self._judge_by(self.stable_band.value, value)

    async def _judge_by(self, band_k: float, hold_s: float) -> None:
        now = self._world.now()
        self._world.cryostat.set_stability(now, band_k=band_k, hold_s=hold_s)
        await self._refresh()
