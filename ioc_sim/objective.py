"""The objective on its piezo stage: three motor records with servos and sensors."""

import asyncio
from collections.abc import Mapping
from typing import Any

from caproto import SkipWrite

from ioc_sim.base import TICK, Instrument, pass_time
from ioc_sim.channels import RefusedPutError
from ioc_sim.declare import choice, choice_rbv, number_rbv
from ioc_sim.history import History
from ioc_sim.motor_record import MotorRecord, MotorSettings
from ioc_sim.vocabulary import OFF_ON
from ioc_sim.world import World

__all__ = ["Objective", "Piezo"]


PERIOD = 1.0
"""Real seconds between read-backs of a stage at rest."""

SETTLING = 10.0
"""Simulated seconds in which a piezo without servo starts to wander; chosen."""

GCS = "motorPI PI_GCS2"
"""Driver of a PI piezo controller with the General Command Set."""


class Piezo(MotorRecord):
    """One axis of the stage: a motor record, a servo and a capacitive sensor.

    Without its servo the piezo holds its voltage, drifts and takes no moves; the sensor
    reads on. The servo takes over where it finds the piezo.

    Parameters
    ----------
    prefix
        Name of the record.
    parent
        The stage.
    axis
        ``"x"``, ``"y"`` or ``"z"``.
    history
        The position that the servo keeps.
    servo
        Share of the servo's control.
    """

    servo = choice(
        ":Servo",
        OFF_ON,
        "On",
        doc="Keep the position by the sensor; Off: it drifts and takes no moves",
        mirrors=f"{GCS}: SVO, the motor record's CNEN",
    )
    servo_rbv = choice_rbv(
        ":Servo_RBV",
        OFF_ON,
        "On",
        doc="Whether the servo keeps the position",
        mirrors=f"{GCS}: SVO?, bit EA_POSITION of MSTA",
    )
    range_rbv = number_rbv(
        ":Range_RBV",
        0,
        (0, 1000),
        "um",
        precision=3,
        doc="Travel of the piezo, from 0",
        mirrors=f"{GCS}: TMX?, less TMN?",
    )

    def __init__(
        self,
        prefix: str,
        *,
        parent: "Objective",
        axis: str,
        history: History,
        servo: History,
    ) -> None:
        stage = parent.world.sample.objective
        settings = MotorSettings(
            low=0.0, high=stage.travel, speed=stage.speed, units="um", home=None
        )
        super().__init__(prefix, parent=parent, history=history, settings=settings)
        self._stage = parent
        self._axis = axis
        self._servo = servo

    async def start(self) -> None:
        """Take over settings, position, servo and range."""
        state = OFF_ON[self._servo.at(self._world.now()) == 1]
        await self.servo.post(state)
        await self.servo_rbv.post(state)
        await super().start()
        await self.range_rbv.post(self._settings.high)

    def read_encoder(self) -> float:
        """Give what the sensor reads now."""
        return self._world.stage.reading_um(self._axis, self._world.now())

    def refuse_if_unable(self, value: str) -> None:
        """Refuse a move while there is no servo."""
        if self.servo.value == "Off":
            msg = f"got {value} while the servo is off; put On to {self.servo.pvname}"
            raise RefusedPutError(msg)

    @servo.putter
    async def _put_servo(self, instance: Any, value: str) -> None:
        """Let go of the position, or take it over where it is."""
        if value == "On":
            self._stage.refuse_without_power(value)
        await self.switch(value)
        raise SkipWrite

    async def switch(self, state: str) -> None:
        """Switch the servo; a move that is under way stops.

        Parameters
        ----------
        state
            ``"Off"`` or ``"On"``.
        """
        if state == self.servo_rbv.value:
            await self.servo.post(state)
            return
        await self._stop()
        now = self._world.now()
        if state == "On":
            here = self._world.stage.piezo_um(self._axis, now, now)
            low, high = self._settings.low, self._settings.high
            self._history.record(now, min(max(here, low), high))
            self._servo.record(now, 1)
        else:
            self._servo.ramp(now, now + SETTLING, 0)
        await self.servo.post(state)
        await self.servo_rbv.post(state)
        await self._show_target(self._drive.position)
        await self._report()

    async def relax(self) -> None:
        """Lose the voltage: the piezo contracts to its rest length, without servo."""
        await self.switch("Off")
        end = self._history.move(self._world.now(), 0.0, self._settings.speed)
        while await pass_time(self._world, end, asyncio.Event(), TICK):
            await self._report()
        await self._show_target(0.0)
        await self._report()


class Objective(Instrument):
    """Focuses pump and detection on the sample; x and y across it, z along the light.

    The stage keeps its position while the IOC starts anew; without power it goes to 0
    on all axes, and the servos stay off until they are switched on.
    """

    power = choice(
        "Power",
        OFF_ON,
        "On",
        doc="Amplifier of the piezos; Off: all axes go to 0, servos off",
        mirrors="none: a switch at the controller's front",
    )
    power_rbv = choice_rbv(
        "Power_RBV",
        OFF_ON,
        "On",
        doc="Whether the piezos have voltage",
        mirrors="none: the controller does not answer without",
    )

    def __init__(self, prefix: str, *, world: World, **kwargs: Any) -> None:
        super().__init__(prefix, world=world, **kwargs)
        self.axes = [
            Piezo(
                f"{prefix}{axis.upper()}",
                parent=self,
                axis=axis,
                history=history,
                servo=servo,
            )
            for axis, history, servo in (
                ("x", world.objective_x, world.servo_x),
                ("y", world.objective_y, world.servo_y),
                ("z", world.objective_z, world.servo_z),
            )
        ]
        for axis in self.axes:
            self.pvdb.update(axis.pvdb)

    async def start(self) -> None:
        """Start the motor records."""
        for axis in self.axes:
            await axis.start()

    def keep(self) -> Mapping[str, Any]:
        """Give whether the piezos have voltage, ready for JSON."""
        return {"power": self.power_rbv.value}

    async def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on with an amplifier that was kept.

        Parameters
        ----------
        kept
            What `keep` gave.
        """
        for channel in (self.power, self.power_rbv):
            await channel.post(kept["power"])

    async def run(self) -> None:
        """Show what the sensors read."""
        while True:
            for axis in self.axes:
                await axis.refresh()
            await asyncio.sleep(PERIOD)

    @power.putter
    async def _put_power(self, instance: Any, value: str) -> None:
        """Switch the amplifier; completes when the piezos rest."""
        await instance.post(value)
        if value != self.power_rbv.value:
            await self.power_rbv.post(value)
            if value == "Off":
                async with asyncio.TaskGroup() as tasks:
                    for axis in self.axes:
                        tasks.create_task(axis.relax())
        raise SkipWrite

    def refuse_without_power(self, value: str) -> None:
        """Refuse a command while the amplifier is off.

        Parameters
        ----------
        value
            What was put.

        Raises
        ------
        RefusedPutError
            If there is no power.
        """
        if self.power_rbv.value == "Off":
            msg = f"got {value} without power; put On to {self.power.pvname}"
            raise RefusedPutError(msg)
