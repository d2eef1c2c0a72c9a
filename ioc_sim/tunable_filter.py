"""The tunable filter: centre wavelength and bandwidth of the pump light."""

from collections.abc import Mapping, Sequence
from typing import Any

from caproto import AlarmSeverity, AlarmStatus, SkipWrite

from ioc_sim import motion
from ioc_sim.alarms import NO_ALARM
from ioc_sim.base import TICK, Axis, Instrument, Moves, pass_time
from ioc_sim.declare import choice, choice_rbv, number, number_rbv, text_rbv
from ioc_sim.gear import Gear
from ioc_sim.source import bandwidth_mev, filter_efficiency
from ioc_sim.vocabulary import CLOSED_OPEN
from ioc_sim.world import World

__all__ = ["TunableFilter"]

WAVELENGTH = (480.0, 700.0)
"""Range of the grating, nm (vacuum)."""

BANDWIDTH = (0.5, 5.0)
"""Range of the output slit, nm."""

BACKLASH = 0.2
"""Overshoot of a move downwards at the start, nm: four times the play of the gear."""

HOME = WAVELENGTH[0]
"""Where the drive's index mark is, nm."""

STUCK = "FILTER:Wavelength"
"""What the fault of a stuck motor calls the wavelength drive."""

PERCENT = 100.0
VARIA = "NKT SuperK VARIA register"
"""Registers of the filter, type 0x68, in NKT's register files."""

STANDS_STILL = (AlarmStatus.STATE, AlarmSeverity.MAJOR_ALARM)


class TunableFilter(Instrument):
    """A grating and a slit, each with a drive of its own, and a shutter behind them."""

    wavelength = number(
        "Wavelength",
        526,
        WAVELENGTH,
        "nm",
        precision=3,
        doc="Pump wavelength, vacuum",
        mirrors=f"{VARIA} 0x33 SWP and 0x34 LWP: their mean",
    )
    wavelength_rbv = number_rbv(
        "Wavelength_RBV",
        526,
        WAVELENGTH,
        "nm",
        precision=3,
        doc="Pump wavelength now, vacuum, as the drive's encoder has it",
        mirrors=f"{VARIA} 0x33 SWP and 0x34 LWP: their mean",
    )
    bandwidth = number(
        "Bandwidth",
        1.8,
        BANDWIDTH,
        "nm",
        precision=3,
        doc="Pump bandwidth (FWHM)",
        mirrors=f"{VARIA} 0x33 SWP and 0x34 LWP: their difference",
    )
    bandwidth_rbv = number_rbv(
        "Bandwidth_RBV",
        1.8,
        BANDWIDTH,
        "nm",
        precision=3,
        doc="Pump bandwidth now (FWHM)",
        mirrors=f"{VARIA} 0x33 SWP and 0x34 LWP: their difference",
    )
    bandwidth_mev_rbv = number_rbv(
        "BandwidthMeV_RBV",
        8.07,
        (0, 50),
        "meV",
        precision=3,
        doc="Pump bandwidth now (FWHM) as photon energy",
        mirrors="none: calculated from wavelength and bandwidth",
    )
    throughput_rbv = number_rbv(
        "Throughput_RBV",
        0,
        (0, 100),
        "%",
        precision=2,
        doc="Share of the band that the gratings pass at this wavelength; the most "
        "power contains it",
        mirrors="none: the transmission curve of the data sheet",
    )
    moving_rbv = choice_rbv(
        "Moving_RBV",
        ("No", "Yes"),
        "No",
        doc="A drive moves",
        mirrors=f"{VARIA} 0x66 Status, bits 12 to 14",
    )
    stop = choice(
        "Stop",
        ("Idle", "Stop"),
        "Idle",
        doc="Stop both drives",
        mirrors="EPICS motorRecord .STOP",
    )
    velocity = number(
        "Velocity",
        motion.FILTER_SPEED,
        (0.1, 100),
        "nm/s",
        precision=2,
        doc="Speed of the wavelength drive, from its next move on",
        mirrors="EPICS motorRecord .VELO",
    )
    backlash = number(
        "Backlash",
        BACKLASH,
        (0, 5),
        "nm",
        precision=3,
        doc="A move downwards goes this much too far and ends upwards, against the "
        "play of the gear; 0 for straight moves",
        mirrors="EPICS motorRecord .BDST",
    )
    home = choice(
        "Home",
        ("Idle", "Home"),
        "Idle",
        doc="Go to the index mark at 480 nm and take the position from it",
        mirrors="EPICS motorRecord .HOMR",
    )
    shutter = choice(
        "Shutter",
        CLOSED_OPEN,
        "Open",
        doc="Let light leave the filter; closed, also the power meter is dark",
        mirrors=f"{VARIA} 0x32 ND filter at 0 %",
    )
    shutter_rbv = choice_rbv(
        "Shutter_RBV",
        CLOSED_OPEN,
        "Open",
        doc="Closed when it is fully closed",
        mirrors=f"{VARIA} 0x66 Status, bits 8 and 9 shutter sensors",
    )
    medium_rbv = text_rbv(
        "Medium_RBV",
        "vacuum",
        doc="Medium of the wavelengths",
        mirrors="none: a statement about these wavelengths",
    )

    def __init__(self, prefix: str, *, world: World, **kwargs: Any) -> None:
        super().__init__(prefix, world=world, **kwargs)
        self._gear = Gear(world.filter_drive_nm, world.filter_nm, self._play)
        self._turns = Moves()
        self._slit = Axis(
            world, world.bandwidth_nm, motion.BANDWIDTH_SPEED, self._report_bandwidth
        )
        self._blade = Axis(
            world, world.filter_open, motion.SHUTTER_SPEED, self._report_shutter
        )

    async def start(self) -> None:
        """Show where the drives are, and what follows from it."""
        now = self.world.now()
        await self.bandwidth.post(self.world.bandwidth_nm.at(now))
        await self.bandwidth_rbv.post(self.bandwidth.value)
        await self.wavelength.post(self._gear.motor.at(now))
        await self._report_wavelength(self.wavelength.value)
        await self._report_shutter(self.world.filter_open.at(now))
        await self.shutter.post(self.shutter_rbv.value)

    def keep(self) -> Mapping[str, Any]:
        """Give what the gear's teeth do, ready for JSON."""
        return {"engaged": self._gear.engaged}

    async def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on with a gear that was kept.

        Parameters
        ----------
        kept
            What `keep` gave.
        """
        self._gear.engaged = kept["engaged"]

    @wavelength.putter
    async def _put_wavelength(self, instance: Any, value: float) -> None:
        """Turn the grating; completes when it rests."""
        await instance.post(value)
        await self._turn([*self._beyond(value), value])
        raise SkipWrite

    @bandwidth.putter
    async def _put_bandwidth(self, instance: Any, value: float) -> None:
        """Move the slit; completes when it rests."""
        await instance.post(value)
        await self.moving_rbv.post("Yes")
        await self._slit.move(value)
        await self._show_moving()
        raise SkipWrite

    @stop.putter
    async def _put_stop(self, instance: Any, value: str) -> None:
        """Stop where it is; pending moves complete."""
        if value == "Stop":
            if self._turns.under_way:
                here = self._gear.stop(self.world.now())
                await self._turns.end(self._report_wavelength(here))
            await self._slit.stop()
            await self._show_moving()
        await instance.post("Idle")
        raise SkipWrite

    @home.putter
    async def _put_home(self, instance: Any, value: str) -> None:
        """Go below the index mark and up to it; what had slipped is right again."""
        if value == "Home":
            await instance.post("Home")
            await self.wavelength.post(HOME)
            if await self._turn([HOME - self.backlash.value, HOME]):
                await self.world.faults.set("filter_slip", 0.0)
        await instance.post("Idle")
        raise SkipWrite

    @shutter.putter
    async def _put_shutter(self, instance: Any, value: str) -> None:
        """Move the blade; completes when it is fully there."""
        await instance.post(value)
        await self._blade.move(float(value == "Open"))
        raise SkipWrite

    def _beyond(self, target: float) -> list[float]:
        """Give where to go first, so that the motion to a target takes up the play."""
        motor, backlash = self._gear.motor.at(self.world.now()), self.backlash.value
        loose = not self._gear.engaged and target - motor < backlash
        return [target - backlash] if target < motor or loose else []

    def _play(self, time_s: float) -> float:
        worn = self.world.faults.at("filter_play", time_s)
        return self.world.sample.filter.play + worn

    async def _turn(self, targets: Sequence[float]) -> bool:
        """Turn the grating by way of some targets; tells whether it got there."""
        turn = self._turns.begin()
        await self.moving_rbv.post("Yes")
        stuck = self.world.faults.value("stuck_motor") == STUCK
        now, motor = self.world.now(), self._gear.motor
        if stuck:
            self._gear.stop(now)
        else:
            end = self._gear.move(now, targets, self.velocity.value)
            while await pass_time(self.world, end, turn.interrupt, TICK):
                await self._report_wavelength(motor.at(self.world.now()))
        arrived = not turn.interrupt.is_set()
        if arrived:
            stuck = stuck and motor.at(self.world.now()) != targets[-1]
            await self._turns.end(self._show_arrival(stuck=stuck))
        await turn.rest.wait()
        await self._show_moving()
        return arrived and not stuck

    async def _show_arrival(self, *, stuck: bool) -> None:
        """Show where the drive came to rest, and whether it did move."""
        await self._report_wavelength(self._gear.motor.at(self.world.now()))
        await self._show_stuck(stuck=stuck)

    async def _show_stuck(self, *, stuck: bool) -> None:
        """Say that the drive stands still, or that it does not any more."""
        alarm = STANDS_STILL if stuck else NO_ALARM
        await self.wavelength_rbv.raise_alarm(*alarm)
        if stuck:
            text = f"{self.wavelength.label}: the drive does not follow its steps"
            await self.report_error(self.wavelength, text)

    async def _report_wavelength(self, nm: float) -> None:
        await self.wavelength_rbv.post(nm)
        laser, most = self.world.sample.source, self.world.sample.filter.efficiency
        passed = most * float(filter_efficiency(nm, laser))
        await self.throughput_rbv.post(PERCENT * passed)
        await self.bandwidth_mev_rbv.post(bandwidth_mev(nm, self.bandwidth_rbv.value))

    async def _report_bandwidth(self, nm: float) -> None:
        await self.bandwidth_rbv.post(nm)
        await self.bandwidth_mev_rbv.post(bandwidth_mev(self.wavelength_rbv.value, nm))

    async def _report_shutter(self, opened: float) -> None:
        await self.shutter_rbv.post(CLOSED_OPEN[opened > 0])

    async def _show_moving(self) -> None:
        moving = self._turns.under_way or self._slit.moving
        await self.moving_rbv.post("Yes" if moving else "No")
