"""The parts of the bench that other processes serve, followed over Channel Access.

The light path needs every axis of the bench. A process that does not serve an
instrument subscribes to its read-backs and writes them into its own histories, at the
times that the values carry, with straight lines between two that follow each other.
What an instrument falls back to when its IOC dies holds here too: no shutter is a
closed one.
"""

import asyncio
import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from caproto import CaprotoError, ChannelType

from ioc_sim import analyser, cryostat, laser, motion, thermal
from ioc_sim.base import TICK
from ioc_sim.faults import FAULTS, FaultValue, Watcher
from ioc_sim.history import History
from ioc_sim.sample import Sample
from ioc_sim.subscriber import Address, Receive, Subscriber, Wanted
from ioc_sim.wire_faults import SERVER_FAULTS, START_ONLY
from ioc_sim.world import World

__all__ = ["Followed", "Follower", "followed_axes"]

logger = logging.getLogger(__name__)

NUMBER, TEXT = ChannelType.TIME_DOUBLE, ChannelType.TIME_STRING

RETRY = 0.3
"""Real seconds between two attempts to reach a server."""

PATIENCE = 5.0
"""Real seconds after which an instrument that nobody serves is reported."""

HEARTBEAT = "IOC:Heartbeat_RBV"
"""Life sign of the process that serves an instrument, within the instrument."""

PERCENT = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A read-back that an axis of the world follows."""

    pv: str
    """Name within the instrument."""
    axis: str
    """Name of the history in the world."""
    scale: float = 1.0
    """Change of the axis with the read-back."""
    offset: float = 0.0
    """Value of the axis where the read-back is nought."""
    step: bool = False
    """Whether the axis steps; else it went straight since the read-back before."""
    period: float = TICK
    """Real seconds between two read-backs, at most, while the axis moves."""
    speed: float | None = None
    """Units a second of an actuator whose read-back is only its state."""
    lost: float | None = None
    """Value that the axis falls to when the instrument's IOC dies; else it stays."""
    play: bool = False
    """Whether the axis follows with the play of the filter's gear, upwards from it."""
    while_on: str | None = None
    """Name of a history; where it is not one, the read-back says something else."""
    instead_of: str | None = None
    """Read-back that the axis follows unless that is no number."""


def followed_axes(sample: Sample) -> dict[str, tuple[Followed, ...]]:
    """Give what the light path needs of each instrument, by the names of the groups.

    Parameters
    ----------
    sample
        Parameters of the bench.
    """
    loss = sample.laser.cold_loss
    return {
        "laser": (
            Followed(pv="Emission_RBV", axis="emission", step=True, lost=0.0),
            Followed(pv="Level_RBV", axis="level"),
            Followed(
                pv="WarmUp_RBV",
                axis="laser_output",
                scale=loss / PERCENT,
                offset=1 - loss,
                period=laser.PERIOD,
            ),
        ),
        "tunable_filter": (
            Followed(pv="Wavelength_RBV", axis="filter_drive_nm"),
            Followed(pv="Wavelength_RBV", axis="filter_nm", play=True),
            Followed(pv="Bandwidth_RBV", axis="bandwidth_nm"),
            Followed(pv="Shutter_RBV", axis="filter_open", speed=motion.SHUTTER_SPEED),
        ),
        "power_control": (
            Followed(pv="OD_RBV", axis="od"),
            Followed(
                pv="Shutter_RBV", axis="shutter", speed=motion.SHUTTER_SPEED, lost=0.0
            ),
        ),
        "cryostat": (
            Followed(pv="KRDG1", axis="temperature_k", period=cryostat.PERIOD),
            Followed(
                pv="KRDG0",
                axis="temperature_k",
                period=cryostat.PERIOD,
                instead_of="KRDG1",
            ),
        ),
        "analyser": (
            Followed(pv="HWP.DRBV", axis="hwp_deg"),
            Followed(pv="POL.DRBV", axis="analyser_in", scale=1 / analyser.SLIDE_MM),
        ),
        "objective": tuple(
            each
            for axis in "xyz"
            for each in (
                Followed(
                    pv=f"{axis.upper()}:Servo_RBV", axis=f"servo_{axis}", step=True
                ),
                Followed(
                    pv=f"{axis.upper()}.DRBV",
                    axis=f"objective_{axis}",
                    while_on=f"servo_{axis}",
                ),
            )
        ),
        "spectrometer": (
            Followed(pv="Wavelength_RBV", axis="spec_nm"),
            Followed(pv="Grating_RBV", axis="grating", step=True, offset=1.0),
            Followed(pv="SlitSize1_RBV", axis="slit_um"),
            Followed(pv="SlitSize3_RBV", axis="exit_slit_um"),
            Followed(pv="FlipperMirror2_RBV", axis="exit_port", step=True),
            Followed(pv="LampOutput_RBV", axis="lamp", scale=1 / PERCENT),
        ),
    }


class Follower:
    """Keeps the world up to date with the groups that other processes serve.

    Parameters
    ----------
    world
        The world of this process.
    prefix
        What all PV names of the bench begin with.
    absent
        Prefixes of the groups that are not served here, by their names.
    addresses
        Host and port of each server that may serve them.
    """

    def __init__(
        self,
        world: World,
        prefix: str,
        absent: Mapping[str, str],
        addresses: Iterable[Address],
    ) -> None:
        self._world = world
        self._prefix = prefix
        self._absent = dict(absent)
        self._addresses = list(addresses)
        self._axes = followed_axes(world.sample)
        self._found: dict[str, Address] = {}
        self._latest: dict[str, float] = {}
        self._void: set[str] = set()
        self._links: dict[Address, Subscriber] = {}
        self._received: dict[str, FaultValue] = {}
        if "sim" in absent:
            for name in _followed_faults():
                world.faults.watch(name, self._teller(name))
        if "cryostat" in absent:
            world.cryostat = _Thermometer(world.temperature_k)

    async def run(self) -> None:
        """Follow until cancelled; servers may come and go."""
        async with asyncio.TaskGroup() as tasks:
            for address in self._addresses:
                tasks.create_task(self._keep(address))
            tasks.create_task(self._report_missing())

    async def _keep(self, address: Address) -> None:
        """Follow one server, and look for it again when it is gone."""
        wanted = self._wanted()
        while True:
            link = Subscriber(address, wanted, self._find, self._world.clock)
            self._links[address] = link
            try:
                await link.run()
            except (OSError, TimeoutError, CaprotoError) as error:
                logger.debug("no connection to %s:%d: %r", *address, error)
            for name in [each for each, at in self._found.items() if at == address]:
                self._lose(name)
            await asyncio.sleep(RETRY)

    async def _report_missing(self) -> None:
        await asyncio.sleep(PATIENCE)
        needed = [name for name in self._absent if name in self._axes or name == "sim"]
        missing = [name for name in needed if name not in self._found]
        if missing:
            logger.warning(
                "nobody serves %s at %s: start it there, or name its server in "
                "EPICS_CA_ADDR_LIST",
                ", ".join(missing),
                " ".join(f"{host}:{port}" for host, port in self._addresses),
            )

    def _wanted(self) -> dict[str, Wanted]:
        """Say what to do with each PV, by its name."""
        wanted: dict[str, Wanted] = {}
        for name, at in self._absent.items():
            start = self._prefix + at
            for pv in {followed.pv for followed in self._axes.get(name, ())}:
                axes = [each for each in self._axes[name] if each.pv == pv]
                wanted[start + pv] = Wanted(name, NUMBER, self._mover(pv, axes))
            if name in self._axes:
                wanted[start + HEARTBEAT] = Wanted(name, NUMBER, _ignore)
            if name == "sim":
                wanted |= self._wanted_faults(start)
        return wanted

    def _wanted_faults(self, start: str) -> dict[str, Wanted]:
        wanted = {start + "SimTime_RBV": Wanted("sim", NUMBER, _ignore)}
        for name in _followed_faults():
            kind = NUMBER if FAULTS[name].limits else TEXT
            wanted[start + FAULTS[name].pv] = Wanted("sim", kind, self._switcher(name))
        return wanted

    def _mover(self, pv: str, axes: Iterable[Followed]) -> Receive:
        async def move(value: Any, time_s: float) -> None:
            self._void.discard(pv)
            if not math.isfinite(value):
                self._void.add(pv)
                return
            for followed in axes:
                gate, other = followed.while_on, followed.instead_of
                on = gate is None or getattr(self._world, gate).at(time_s) == 1
                if on and (other is None or other in self._void):
                    target = followed.offset + followed.scale * float(value)
                    self._move(followed, target, time_s)

        return move

    def _switcher(self, fault: str) -> Receive:
        async def switch(value: Any, _: float) -> None:
            self._received[fault] = value
            await self._world.faults.set(fault, value)

        return switch

    def _teller(self, fault: str) -> Watcher:
        """Tell the server of the faults what an instrument here has mended."""

        async def tell(value: FaultValue) -> None:
            if "sim" in self._found and value != self._received.get(fault):
                pv = self._prefix + self._absent["sim"] + FAULTS[fault].pv
                self._links[self._found["sim"]].put(pv, value)

        return tell

    def _move(self, followed: Followed, value: float, time_s: float) -> None:
        history: History = getattr(self._world, followed.axis)
        last = self._latest.get(followed.axis, -math.inf)
        time_s = max(time_s, last)
        if followed.play and math.isfinite(last):
            play = self._world.sample.filter.play
            play += self._world.faults.at("filter_play", time_s)
            value = min(max(history.at(time_s), value), value + play)
        if followed.speed is not None:
            history.move(time_s, value, followed.speed)
        elif followed.step:
            history.record(time_s, value)
        else:
            # It rested before the first read-back of a motion.
            since = time_s - followed.period * self._world.clock.factor
            history.ramp(max(last, since), time_s, value)
        self._latest[followed.axis] = time_s

    def _find(self, name: str, address: Address) -> None:
        if name not in self._found:
            logger.info("%s is served at %s:%d", name, *address)
        self._found[name] = address

    def _lose(self, name: str) -> None:
        del self._found[name]
        logger.warning("%s is not served any more", name)
        for followed in self._axes.get(name, ()):
            if followed.lost is not None:
                self._move(followed, followed.lost, self._world.now())


class _Thermometer(thermal.Cryostat):
    """The cryostat of another process: known by its thermometer alone.

    Parameters
    ----------
    sample_temperature
        Temperature of the sample, K.
    """

    def __init__(self, sample_temperature: History) -> None:
        self.sample_temperature = sample_temperature

    def keep(self, time_s: float) -> dict[str, Any]:
        """Keep nothing: the process that serves the cryostat does.

        Parameters
        ----------
        time_s
            Simulated seconds.
        """
        return {}

    def advance(self, time_s: float) -> None:
        """Do nothing: the temperature is what was received.

        Parameters
        ----------
        time_s
            Simulated seconds.
        """


def _followed_faults() -> list[str]:
    """Name the faults that belong to the bench, not to one process of it."""
    return [name for name in FAULTS if name not in SERVER_FAULTS + START_ONLY]


async def _ignore(value: Any, time_s: float) -> None:
    """Take a life sign."""
