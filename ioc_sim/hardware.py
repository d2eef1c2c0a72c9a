"""What the instruments behind the PVs keep while their IOC starts anew.

A program that starts anew hands it over to itself in the environment; nothing is
written to a file.
"""

import json
import math
import os
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from ioc_sim.axes import Axes
from ioc_sim.faults import FAULTS
from ioc_sim.history import History
from ioc_sim.wire_faults import PV_FAULTS, SERVER_FAULTS
from ioc_sim.world import World

__all__ = [
    "Hardware",
    "KeepsHardware",
    "broken_hardware",
    "hand_over",
    "keep_world",
    "resume_world",
    "take_over",
]

Hardware = Mapping[str, Any]
"""State of something, ready for JSON."""

VARIABLE = "IOC_SIM_HARDWARE"
"""Environment variable of a program that starts anew; it is no setting."""

GRADUAL = ("ccd_temperature_c",)
"""Axes that are on their way still; a motion has come to its end in that time."""

ADDING_UP = ("stage_creep",)
"""Faults whose effect stays and adds up."""


@runtime_checkable
class KeepsHardware(Protocol):
    """An instrument with more to keep than the axes that it moves."""

    def keep(self) -> Hardware:
        """Give what the hardware keeps, ready for JSON."""
        ...

    async def resume(self, kept: Hardware) -> None:
        """Go on with hardware that was kept; awaited before the start.

        Parameters
        ----------
        kept
            What `keep` gave.
        """
        ...


def keep_world(world: World) -> Hardware:
    """Give where all axes are, the cryostat, and what faults have done.

    Parameters
    ----------
    world
        The bench.
    """
    now = world.now()
    axes = {
        name: history.at(now if name in GRADUAL else math.inf)
        for name, history in _axes(world).items()
    }
    crept = {name: world.faults.history(name).integral(0, now) for name in ADDING_UP}
    return {
        "axes": axes,
        "cryostat": world.cryostat.keep(now),
        "faded": world.fading.keep(now),
        "crept": {name: total / now for name, total in crept.items() if total},
    }


def resume_world(world: World, kept: Hardware) -> None:
    """Put axes and cryostat where they were.

    Parameters
    ----------
    world
        The bench; nothing was moved in it.
    kept
        What `keep_world` gave.
    """
    axes = _axes(world)
    for name, value in kept["axes"].items():
        axes[name].hold(value)
    if kept["cryostat"]:
        world.cryostat.resume(kept["cryostat"])
    world.fading.resume(kept["faded"])
    for name, mean in kept["crept"].items():
        world.faults.history(name).record(0.0, mean)
        world.faults.history(name).record(world.now(), 0.0)


def broken_hardware(world: World) -> Hardware:
    """Give the faults that are no faults of the IOC, whether on or off.

    Parameters
    ----------
    world
        The bench.
    """
    of_the_ioc = PV_FAULTS + SERVER_FAULTS
    return {name: world.faults.value(name) for name in FAULTS if name not in of_the_ioc}


def hand_over(kept: Hardware) -> None:
    """Put what the hardware keeps where the program finds it that replaces this one.

    Parameters
    ----------
    kept
        State of the whole bench.
    """
    os.environ[VARIABLE] = json.dumps(kept)


def take_over() -> Hardware | None:
    """Give what the program before this one has handed over, once.

    Returns
    -------
    :
        State of the whole bench; None for a start with hardware as it is by default.
    """
    text = os.environ.pop(VARIABLE, None)
    return None if text is None else json.loads(text)


def _axes(world: World) -> dict[str, History]:
    """All axes by name, but the laser's output, which its head knows better."""
    names = set(vars(Axes(world.sample))) - {"laser_output"}
    return {name: getattr(world, name) for name in sorted(names)}
