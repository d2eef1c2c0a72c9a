"""The two thermometers of the cryostat, and their limits, with Lake Shore's names."""

import math
from typing import Any

from caproto import AlarmSeverity, AlarmStatus

from ioc_sim.alarms import NO_ALARM, Alarm
from ioc_sim.cryostat_part import CryostatPart
from ioc_sim.cryostat_state import CryostatReading
from ioc_sim.declare import choice_rbv, number, number_rbv

__all__ = ["SHOWN", "Thermometers"]

SHOWN = (0.0, 320.0)
"""Range to show temperatures in, K."""

LIMIT = (0.0, 2999.0)
"""Range of the temperature limits, K, from the controller's manual."""

SENSOR_STATES = (
    "Valid",
    "Invalid",
    "Temp Under",
    "Temp Over",
    "Sensor Zero",
    "Sensor Over",
)

DRIVER = "lakeshore336"

UNREAD = Alarm(AlarmStatus.READ, AlarmSeverity.INVALID_ALARM)
TOO_WARM = Alarm(AlarmStatus.HIHI, AlarmSeverity.MAJOR_ALARM)
FAILED = Alarm(AlarmStatus.STATE, AlarmSeverity.MAJOR_ALARM)


class Thermometers(CryostatPart):
    """The finger on input A (index 0), the sample on input B (1)."""

    finger = number_rbv(
        "KRDG0",
        4,
        SHOWN,
        "K",
        precision=4,
        doc="Cold finger; the loop controls by it",
        mirrors=f"{DRIVER} KRDG0",
    )
    sample = number_rbv(
        "KRDG1",
        4,
        SHOWN,
        "K",
        precision=4,
        doc="Sample; NaN with INVALID alarm when its thermometer has failed",
        mirrors=f"{DRIVER} KRDG1",
    )
    finger_status = choice_rbv(
        "RDGST0",
        SENSOR_STATES,
        "Valid",
        doc="State of the finger's thermometer",
        mirrors=f"{DRIVER} RDGST0",
    )
    sample_status = choice_rbv(
        "RDGST1",
        SENSOR_STATES,
        "Valid",
        doc="State of the sample's thermometer",
        mirrors=f"{DRIVER} RDGST1",
    )
    finger_limit = number(
        "TLIMIT_S0",
        320,
        LIMIT,
        "K",
        precision=1,
        doc="Finger temperature above which the heater is switched off; 0 for none",
        mirrors=f"{DRIVER} TLIMIT_S0",
    )
    finger_limit_rbv = number_rbv(
        "TLIMIT0",
        320,
        LIMIT,
        "K",
        precision=1,
        doc="Limit of the finger now",
        mirrors=f"{DRIVER} TLIMIT0",
    )
    sample_limit = number(
        "TLIMIT_S1",
        320,
        LIMIT,
        "K",
        precision=1,
        doc="Sample temperature above which the heater is switched off; 0 for none",
        mirrors=f"{DRIVER} TLIMIT_S1",
    )
    sample_limit_rbv = number_rbv(
        "TLIMIT1",
        320,
        LIMIT,
        "K",
        precision=1,
        doc="Limit of the sample now",
        mirrors=f"{DRIVER} TLIMIT1",
    )

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        super().__init__(prefix, **kwargs)
        self._world.faults.watch("thermometer_open", self._open_thermometer)

    async def start(self) -> None:
        """Show the limits that are set."""
        limits_k = self._world.cryostat.control.limits_k
        for channel, kelvin in zip(
            (self.finger_limit, self.sample_limit), limits_k, strict=True
        ):
            await channel.post(_limit(kelvin))

    async def show(self, reading: CryostatReading) -> None:
        """Show the temperatures with the alarms of their limits."""
        limits_k = self._world.cryostat.control.limits_k
        for kelvin, limit_k, channel, state, limit in zip(
            (reading.finger_k, reading.sample_k),
            limits_k,
            (self.finger, self.sample),
            (self.finger_status, self.sample_status),
            (self.finger_limit_rbv, self.sample_limit_rbv),
            strict=True,
        ):
            valid = not math.isnan(kelvin)
            warm = TOO_WARM if kelvin > limit_k else NO_ALARM
            await channel.raise_alarm(*(warm if valid else UNREAD))
            await channel.post(kelvin)
            await state.post(SENSOR_STATES[0 if valid else -1])
            await state.raise_alarm(*(NO_ALARM if valid else FAILED))
            await limit.post(_limit(limit_k))

    @finger_limit.putter
    async def _put_finger_limit(self, instance: Any, value: float) -> None:
        """Change the temperature limit of the finger."""
        await self._keep_below(value, self.sample_limit.value)

    @sample_limit.putter
    async def _put_sample_limit(self, instance: Any, value: float) -> None:
        """Change the temperature limit of the sample."""
        await self._keep_below(self.finger_limit.value, value)

    async def _open_thermometer(self, share: Any) -> None:
        now = self._world.now()
        self._world.cryostat.open_thermometer(now, is_open=float(share) > 0)
        await self._refresh()

    async def _keep_below(self, *limits_k: float) -> None:
        now, known = self._world.now(), tuple(limit or math.inf for limit in limits_k)
        self._world.cryostat.change(now, limits_k=known)
        await self._refresh()


def _limit(kelvin: float) -> float:
    """Give a temperature limit as the controller shows it: 0 for none."""
    return kelvin if math.isfinite(kelvin) else 0.0
