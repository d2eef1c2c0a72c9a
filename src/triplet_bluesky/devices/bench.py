"""The whole bench, gathered from one PV prefix."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

from epics.ca import ChannelAccessException
from ophyd import Device

from triplet_bluesky.devices.analyser import Analyser
from triplet_bluesky.devices.ccd import CCD
from triplet_bluesky.devices.ccd_images import CCDImages
from triplet_bluesky.devices.channels import release
from triplet_bluesky.devices.connection import Connection, survey
from triplet_bluesky.devices.cryostat import Cryostat
from triplet_bluesky.devices.hdf5 import FramesFolder
from triplet_bluesky.devices.ioc import IocStatus
from triplet_bluesky.devices.laser import Laser
from triplet_bluesky.devices.objective import Objective
from triplet_bluesky.devices.power_control import PowerControl
from triplet_bluesky.devices.spectrometer import Spectrometer
from triplet_bluesky.devices.tcspc import TCSPC
from triplet_bluesky.devices.tunable_filter import TunableFilter
from triplet_bluesky.errors import ConnectError

__all__ = ["Bench"]

PVS_NAMED = 3
"""PVs that an error message names when none answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The instruments of the bench, in the order in which light passes them."""

    laser: Laser
    """Supercontinuum laser."""
    tunable_filter: TunableFilter
    """Gratings and slit that select the pump band."""
    power_control: PowerControl
    """Attenuator, pick-off meter and shutter."""
    cryostat: Cryostat
    """Helium cryostat with the sample."""
    objective: Objective
    """Objective on its piezo stage, over the sample."""
    analyser: Analyser
    """Half-wave plate and polarizer."""
    spectrometer: Spectrometer
    """Grating spectrograph."""
    ccd: CCD
    """Cooled CCD behind the spectrograph: spectra."""
    ccd_images: CCDImages
    """The same CCD: images and kinetic series, in files."""
    tcspc: TCSPC
    """Photon counting behind the spectrograph's side exit."""
    ioc: IocStatus
    """Identity of the IOC."""

    @classmethod
    def from_prefix(cls, prefix: str, *, frames: FramesFolder | None = None) -> "Bench":
        """Make the devices of a bench; does not wait for them.

        Parameters
        ----------
        prefix
            PV prefix of the bench with its trailing colon, ``"TRIPLET:"`` for the
            simulated one.
        frames
            Where the CCD's images go; without it none can be taken.

        Returns
        -------
        :
            The bench, not yet connected.

        Raises
        ------
        ConnectError
            If Channel Access itself fails.
        """
        try:
            return cls._of(prefix, frames)
        except ChannelAccessException as error:
            message = (
                f"Channel Access failed while the PVs of {prefix} were asked for "
                f"({error}); begin again, in a new process if it stays so"
            )
            raise ConnectError(message) from error

    @classmethod
    def _of(cls, prefix: str, frames: FramesFolder | None) -> "Bench":
        """Make the devices."""
        return cls(
            laser=Laser(f"{prefix}LASER:", name="laser"),
            tunable_filter=TunableFilter(f"{prefix}FILTER:", name="tunable_filter"),
            power_control=PowerControl(f"{prefix}POWER:", name="power_control"),
            cryostat=Cryostat(f"{prefix}CRYO:", name="cryostat"),
            objective=Objective(f"{prefix}OBJ:", name="objective"),
            analyser=Analyser(f"{prefix}ANALYSER:", name="analyser"),
            spectrometer=Spectrometer(f"{prefix}SPEC:", name="spectrometer"),
            ccd=CCD(f"{prefix}CCD:", name="ccd", labels={"detectors"}),
            ccd_images=CCDImages(
                f"{prefix}CCD:", name="ccd_images", folder=frames, labels={"detectors"}
            ),
            tcspc=TCSPC(f"{prefix}TCSPC:", name="tcspc", labels={"detectors"}),
            ioc=IocStatus(f"{prefix}IOC:", name="ioc"),
        )

    def devices(self) -> Iterator[Device]:
        """Iterate over the instruments.

        Yields
        ------
        :
            Each device of the bench.
        """
        for field in fields(self):
            yield getattr(self, field.name)

    def connect(self, timeout: float = 10.0) -> None:
        """Wait until every PV answers, then take over what one device needs of another.

        Parameters
        ----------
        timeout
            Longest time for all of them together, in seconds.

        Raises
        ------
        ConnectError
            With the PVs of each instrument that do not answer, cannot be written
            although the device writes them, or are of another type than it expects.
        """
        connections = self.survey(timeout)
        if not all(one.sound for one in connections):
            raise ConnectError(_explain(connections, timeout))
        self.power_control.follow(self.tunable_filter.wavelength.readback)
        rate_mhz = float(self.laser.repetition_rate.get())
        self.power_control.repetition_rate.put(rate_mhz)
        self.tcspc.repetition_rate.put(rate_mhz)

    def disconnect(self) -> None:
        """Give all PVs up, so that their IOC can go without an alarm here."""
        release(self.devices())

    def survey(self, timeout: float) -> list[Connection]:
        """Wait until every PV answers or the time is up; see `connect`.

        Parameters
        ----------
        timeout
            Longest time for all of them together, in seconds.

        Returns
        -------
        :
            How each instrument answers, in the order of the light.
        """
        return survey(self.devices(), timeout)


def _explain(connections: list[Connection], timeout: float) -> str:
    """Say what is wrong with which instrument."""
    if all(one.absent for one in connections):
        missing = [name for one in connections for name in one.missing]
        return (
            f"no answer within {timeout:g} s from any of {len(missing)} PVs: "
            f"{', '.join(missing[:PVS_NAMED])} and more; is the IOC running, with this "
            "prefix and on this Channel Access port?"
        )
    faults = "; ".join(
        f"{one.instrument}: {fault}" for one in connections for fault in one.faults()
    )
    return (
        f"within {timeout:g} s not all PVs were as the devices need them: {faults}; "
        "triplet doctor names all"
    )
