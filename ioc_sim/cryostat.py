"""The cryostat behind a temperature controller, with Lake Shore's names."""

import asyncio
from typing import Any

from ioc_sim.base import Instrument
from ioc_sim.declare import choice_rbv, number, number_rbv

__all__ = ["Cryostat"]

PERIOD = 0.2
"""Real seconds between two read-backs."""

TEMPERATURE = (3.5, 310.0)
"""Range of the set point, K."""

SHOWN = (0.0, 320.0)
"""Range to show temperatures in, K."""

RATE = (0.1, 30.0)
"""Range of the ramp rate, K/min."""

PERCENT = (0.0, 100.0)
NO_YES = ("No", "Yes")
OFF_ON = ("Off", "On")
DRIVER = "Lake Shore 336"


class Cryostat(Instrument):
    """Cools the sample; a client waits for Stable_RBV, not for the put."""

    finger = number_rbv(
        "KRDG0", 4, SHOWN, "K", precision=4, doc="Cold finger", mirrors=DRIVER
    )
    sample = number_rbv(
        "KRDG1", 4, SHOWN, "K", precision=4, doc="Sample", mirrors=DRIVER
    )
    setpoint = number(
        "SETP_S1",
        4,
        TEMPERATURE,
        "K",
        precision=3,
        doc="Where the sample's temperature is to go",
        mirrors=DRIVER,
    )
    working = number_rbv(
        "SETP1",
        4,
        SHOWN,
        "K",
        precision=3,
        doc="Working set point: follows the ramp",
        mirrors=DRIVER,
    )
    ramp_rate = number(
        "RAMP_S1",
        10,
        RATE,
        "K/min",
        precision=2,
        doc="Rate at which the working set point moves",
        mirrors=DRIVER,
    )
    ramp_rate_rbv = number_rbv(
        "RAMP1", 10, RATE, "K/min", precision=2, doc="Ramp rate now", mirrors=DRIVER
    )
    ramping = choice_rbv(
        "RAMPST1", OFF_ON, "Off", doc="The working set point moves", mirrors=DRIVER
    )
    heater = number_rbv(
        "HTR1", 0, PERCENT, "%", precision=2, doc="Heater output", mirrors=DRIVER
    )
    stable_rbv = choice_rbv(
        "Stable_RBV",
        NO_YES,
        "Yes",
        doc="The sample was within StableBand of the set point for StableTime",
    )
    stable_band = number(
        "StableBand",
        0.05,
        (0.001, 10),
        "K",
        precision=3,
        doc="Half width of the band that counts as stable",
    )
    stable_time = number(
        "StableTime",
        10,
        (0, 3600),
        "s",
        precision=1,
        doc="How long it has to stay in the band",
    )
    flow = number(
        "Flow", 100, PERCENT, "%", precision=1, doc="Needle valve of the helium flow"
    )
    flow_rbv = number_rbv(
        "Flow_RBV", 100, PERCENT, "%", precision=1, doc="Needle valve now"
    )
    helium_rbv = number_rbv(
        "HeLevel_RBV", 100, PERCENT, "%", precision=1, doc="Helium left in the dewar"
    )
    vacuum_rbv = number_rbv(
        "Vacuum_RBV", 1e-6, (0, 1100), "mbar", precision=9, doc="Insulating vacuum"
    )

    async def start(self) -> None:
        """Take over the stability criterion and show the first temperatures."""
        await self._set_stability(self.stable_band.value, self.stable_time.value)

    async def run(self) -> None:
        """Show the temperatures, five times a second."""
        while True:
            await self._report()
            await asyncio.sleep(PERIOD)

    @setpoint.putter
    async def _put_setpoint(self, instance: Any, value: float) -> None:
        """Start towards a temperature; Stable_RBV has dropped when it completes."""
        self.world.cryostat.set_point(self.world.now(), value)
        await self._report()

    @ramp_rate.putter
    async def _put_ramp_rate(self, instance: Any, value: float) -> None:
        """Change the rate of this ramp and the next ones."""
        self.world.cryostat.set_ramp_rate(self.world.now(), value)
        await self.ramp_rate_rbv.post(value)

    @flow.putter
    async def _put_flow(self, instance: Any, value: float) -> None:
        """Turn the needle valve."""
        self.world.cryostat.set_flow(self.world.now(), value)
        await self._report()

    @stable_band.putter
    async def _put_stable_band(self, instance: Any, value: float) -> None:
        """Judge by another band from now on."""
        await self._set_stability(value, self.stable_time.value)

    @stable_time.putter
    async def _put_stable_time(self, instance: Any, value: float) -> None:
        """Judge by another time from now on."""
        await self._set_stability(self.stable_band.value, value)

    async def _set_stability(self, band_k: float, hold_s: float) -> None:
        now = self.world.now()
        self.world.cryostat.set_stability(now, band_k=band_k, hold_s=hold_s)
        await self._report()

    async def _report(self) -> None:
        reading = self.world.cryostat.read(self.world.now())
        await self.finger.post(reading.finger_k)
        await self.sample.post(reading.sample_k)
        await self.working.post(reading.working_k)
        await self.ramping.post(OFF_ON[bool(reading.ramping)])
        await self.heater.post(reading.heater_percent)
        await self.flow_rbv.post(reading.flow_percent)
        await self.helium_rbv.post(reading.helium_percent)
        await self.vacuum_rbv.post(reading.vacuum_mbar)
        await self.stable_rbv.post(NO_YES[bool(reading.stable)])
