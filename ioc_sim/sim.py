"""The truth behind the bench, for tests and training; served with ``--truth`` only."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from caproto import SkipWrite
from caproto.server import pvproperty

from ioc_sim.base import Instrument, Part
from ioc_sim.channels import LongTextReadback, RefusedPutError
from ioc_sim.declare import choice, integer_rbv, number, number_rbv, text
from ioc_sim.faults import FAULTS, Fault, FaultError
from ioc_sim.world import World

__all__ = ["Simulation"]

PERIOD = 0.2
"""Real seconds between two times shown."""

TRUTH_LENGTH = 65536
"""Characters that the truth may have."""

NOT_REAL = "none: exists in a simulation only"
PRECISION = 6


def _switch(fault: Fault) -> Any:
    """Declare the PV of a fault; a put completes when the bench has taken it over."""

    async def put(switches: Any, _: Any, value: Any) -> None:
        try:
            await switches.faults.set(fault.name, value)
        except FaultError as error:
            raise RefusedPutError(str(error)) from error
        raise SkipWrite  # written by its watcher; some faults are over by now

    more = {"doc": f"Fault: {fault.doc}", "mirrors": NOT_REAL, "put": put}
    if fault.choices:
        return choice(fault.pv, fault.choices, fault.choices[0], **more)
    if fault.limits is None:
        return text(fault.pv, "", **more)
    return number(fault.pv, 0, fault.limits, fault.units, precision=PRECISION, **more)


class _Switches(Part):
    """A PV for each fault."""

    def __init__(self, prefix: str, *, parent: Instrument) -> None:
        super().__init__(prefix, parent=parent)
        self.faults = parent.world.faults
        for name in FAULTS:
            self.faults.watch(name, self._poster(name))

    async def start(self) -> None:
        """Show what is broken."""
        for name in FAULTS:
            await self._poster(name)(self.faults.value(name))

    def _poster(self, name: str) -> Callable[[Any], Awaitable[None]]:
        return getattr(self, name).post


_SWITCHES = {name: _switch(fault) for name, fault in FAULTS.items()}
_FaultSwitches = type("_FaultSwitches", (_Switches,), _SWITCHES)


class Simulation(Instrument):
    """What no real bench can tell, and what can be broken in it."""

    seed = integer_rbv(
        "Seed",
        0,
        (0, 2**31 - 1),
        "1",
        doc="Seed of all random numbers",
        mirrors=NOT_REAL,
    )
    time_factor = number_rbv(
        "TimeFactor",
        1,
        (0, 1e6),
        "s/s",
        precision=3,
        doc="Simulated seconds in a real second",
        mirrors=NOT_REAL,
    )
    time_rbv = number_rbv(
        "SimTime_RBV",
        0,
        (0, 1e9),
        "s",
        precision=3,
        doc="Simulated time since the epoch",
        mirrors=NOT_REAL,
    )
    truth_rbv = pvproperty(
        dtype=LongTextReadback,
        name="Truth_RBV",
        value="{}",
        max_length=TRUTH_LENGTH,
        max_subscription_backlog=1,
        read_only=True,
        doc="Every physical parameter of the sample and the bench, and every fault, "
        "as JSON",
        mirrors=NOT_REAL,
    )

    def __init__(self, prefix: str, *, world: World, **kwargs: Any) -> None:
        super().__init__(prefix, world=world, **kwargs)
        self.switches = _FaultSwitches(prefix, parent=self)
        self.pvdb.update(self.switches.pvdb)
        for name in FAULTS:
            world.faults.watch(name, self._show_truth)

    async def start(self) -> None:
        """Show what does not change."""
        await self.seed.post(self.world.seed)
        await self.time_factor.post(self.world.clock.factor)
        await self.switches.start()
        await self._show_truth()

    async def run(self) -> None:
        """Show the simulated time."""
        while True:
            await self.time_rbv.post(self.world.now())
            await asyncio.sleep(PERIOD)

    async def _show_truth(self, _: object = None) -> None:
        faults = {name: self.world.faults.value(name) for name in FAULTS}
        truth = {**self.world.truth(), "faults": faults}
        await self.truth_rbv.post(json.dumps(truth))
