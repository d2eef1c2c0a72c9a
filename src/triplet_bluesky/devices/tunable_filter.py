"""The tunable filter: which band of the supercontinuum reaches the sample."""

from typing import Any, cast

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal, EpicsSignalRO
from ophyd.status import DeviceStatus

from triplet_bluesky import units
from triplet_bluesky.devices.derived import PositionView, View
from triplet_bluesky.devices.operation import (
    Halt,
    label,
    put_and_complete,
    read_fresh,
    run_operation,
)
from triplet_bluesky.devices.optional import OptionalSignalRO
from triplet_bluesky.devices.settable import Axis, Choice, Parameter
from triplet_bluesky.errors import MoveError

__all__ = ["EnergyView", "TunableFilter"]


class EnergyView(View):
    """The pump photon energy, as another view of the filter's wavelength axis.

    The filter works in vacuum wavelengths, so the energy needs no refractive index.
    """

    readback = Cpt(PositionView, units="eV", precision=5, kind="normal")

    def __init__(self, prefix: str = "", **kwargs: Any) -> None:
        super().__init__(prefix, **kwargs)
        self.readback.name = self.name

    @property
    def wavelength(self) -> Axis:
        """The axis that this is a view of."""
        return cast("TunableFilter", self.parent).wavelength

    @property
    def position(self) -> float:
        """The present pump photon energy, in eV."""
        return float(units.energy_ev(self.wavelength.position))

    @property
    def egu(self) -> str:
        """The engineering unit."""
        return "eV"

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest photon energy of the filter, in eV."""
        shortest, longest = self.wavelength.limits
        return (
            float(units.energy_ev(longest)),
            float(units.energy_ev(shortest)),
        )

    def set(self, energy_ev: float) -> DeviceStatus:
        """Go to a pump photon energy.

        Parameters
        ----------
        energy_ev
            Photon energy, in eV.

        Returns
        -------
        :
            Status of the wavelength axis.

        Raises
        ------
        MoveError
            If the filter cannot give that energy; nothing has moved then.
        """
        low, high = self.limits
        if not low <= energy_ev <= high:
            msg = (
                f"{label(self)}: got {energy_ev} eV, possible is {low:.4f} to "
                f"{high:.4f} eV"
            )
            raise MoveError(msg)
        return self.wavelength.set(float(units.wavelength_nm(energy_ev)))

    def stop(self, *, success: bool = False) -> None:
        """Stop the filter where it is."""
        self.wavelength.stop(success=success)


class TunableFilter(Device):
    """Pair of gratings with an output slit, between the laser and the attenuator.

    Parameters
    ----------
    prefix
        PV prefix with its trailing colon, for example ``"TRIPLET:FILTER:"``.
    name
        Name of the device in plans and data.
    """

    wavelength = Cpt(
        Axis, "Wavelength", tolerance=0.01, kind="hinted", labels=("motors",)
    )
    bandwidth = Cpt(
        Axis, "Bandwidth", tolerance=0.01, kind="normal", labels=("motors",)
    )
    energy = Cpt(EnergyView, "", kind="normal", labels=("motors",))
    velocity = Cpt(EpicsSignal, "Velocity", kind="config")
    backlash = Cpt(Parameter, "Backlash", tolerance=1e-6, kind="config")
    """How far a move downwards goes too far, to end against the play of the gear."""
    bandwidth_energy = Cpt(EpicsSignalRO, "BandwidthMeV_RBV", kind="normal")
    throughput = Cpt(EpicsSignalRO, "Throughput_RBV", kind="normal")
    shutter = Cpt(Choice, "Shutter", kind="config")
    """Darkens everything behind the filter, also the power meter; normally open."""
    moving = Cpt(EpicsSignalRO, "Moving_RBV", string=True, kind="omitted")
    medium = Cpt(EpicsSignalRO, "Medium_RBV", string=True, kind="config")
    stop_motion = Cpt(EpicsSignal, "Stop", kind="omitted")
    start_homing = Cpt(EpicsSignal, "Home", kind="omitted")
    last_error = Cpt(
        OptionalSignalRO,
        "LastError_RBV.VAL$",
        string=True,
        default="",
        kind="omitted",
    )

    def home(self) -> DeviceStatus:
        """Take the wavelength from the index mark anew; the filter ends there.

        Returns
        -------
        :
            Finished when the drive rests at the mark, its lowest wavelength.
        """
        return run_operation(self, self._home, Halt())

    def _home(self) -> None:
        axis = self.wavelength
        put_and_complete(self.start_homing, 1, axis.timeout)
        mark, _ = axis.limits
        position = float(read_fresh(axis.readback))
        if not axis.agrees(mark, position):
            said = read_fresh(self.last_error)
            msg = (
                f"{label(axis)}: homed to {position} nm, its mark is at {mark:g} nm; "
                f"the IOC says: {said}"
            )
            raise MoveError(msg)
