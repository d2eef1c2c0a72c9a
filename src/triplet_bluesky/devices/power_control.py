"""The dose: attenuator, pick-off meter, shutter, and the light at the sample."""

import math
import threading
from typing import Any, cast

import numpy as np
from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal, EpicsSignalRO
from ophyd.signal import EpicsSignalBase
from ophyd.status import DeviceStatus

from triplet_bluesky import units
from triplet_bluesky.devices.derived import Derived, View
from triplet_bluesky.devices.operation import (
    Halt,
    label,
    put_and_complete,
    read_fresh,
    run_operation,
)
from triplet_bluesky.devices.settable import Axis, Parameter
from triplet_bluesky.devices.shutter import Shutter
from triplet_bluesky.errors import AcquireError, MoveError

__all__ = ["DoseView", "PowerControl", "PowerMeter"]

REGULATION_TIME_S = 0.2
"""Averaging time of the meter while the attenuator is being regulated; long against the
0.4 % pulse-to-pulse jitter, short against the minutes of the drift."""

MAX_CORRECTIONS = 6
"""Corrections of the attenuator before a dose counts as not reachable; each one removes
all but the calibration error of the attenuator, so two or three are normal."""


class PowerMeter(Device):
    """Meter on the pick-off, before the shutter: it sees the pump at all times."""

    measure = Cpt(EpicsSignal, "Measure", kind="omitted")
    counter = Cpt(EpicsSignalRO, "Counter_RBV", kind="omitted")
    power = Cpt(EpicsSignalRO, "Power_RBV", kind="normal")
    power_sigma = Cpt(EpicsSignalRO, "PowerSigma_RBV", kind="normal")
    overrange = Cpt(EpicsSignalRO, "Overrange_RBV", string=True, kind="normal")
    wavelength = Cpt(Parameter, "Wavelength", tolerance=0.01, kind="normal")
    averaging_time = Cpt(Parameter, "AveragingTime", tolerance=1e-6, kind="normal")

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        super().__init__(prefix, **kwargs)
        self._free = threading.Lock()

    def average(self) -> tuple[float, float]:
        """Average the pick-off power over the averaging time; blocks.

        Returns
        -------
        :
            Mean pick-off power and its standard error, in uW.

        Raises
        ------
        AcquireError
            If the meter does not finish, refuses, or is over its range.
        """
        timeout = float(read_fresh(self.averaging_time.readback)) + 10.0
        with self._free:
            before = int(read_fresh(self.counter))
            put_and_complete(self.measure, 1, timeout)
            new = int(read_fresh(self.counter)) != before
        if not new:
            msg = f"{label(self)}: the meter took no new reading; the old one is void"
            raise AcquireError(msg)
        if read_fresh(self.overrange) != "No":
            msg = f"{label(self)}: over range; attenuate more or change its range"
            raise AcquireError(msg)
        return float(read_fresh(self.power)), float(read_fresh(self.power_sigma))


class DoseView(View):
    """One way to state the dose: as power, as photons per pulse, or as fluence.

    Its sigma is the statistical one, from point to point; the calibration of the
    pick-off is common to all points and recorded as ``calibration_sigma``.

    Parameters
    ----------
    egu
        Unit of this view.
    """

    readback = Cpt(Derived, units="", kind="hinted")
    sigma = Cpt(Derived, units="", kind="normal")

    def __init__(self, prefix: str = "", *, egu: str, **kwargs: Any) -> None:
        super().__init__(prefix, **kwargs)
        self.egu = egu
        self._halt = Halt()
        self.readback.name = self.name
        self.readback.units = self.sigma.units = egu

    @property
    def control(self) -> "PowerControl":
        """The power control that this is a view of."""
        return cast("PowerControl", self.parent)

    @property
    def limits(self) -> tuple[float, float]:
        """Anything above zero; the ceiling depends on the wavelength."""
        return (0.0, math.inf)

    @property
    def position(self) -> float:
        """The dose at the last measurement."""
        return float(self.readback.get())

    def set(self, value: float) -> DeviceStatus:
        """Bring the dose to a value by attenuating.

        Parameters
        ----------
        value
            The wanted dose at the sample, in the unit of this view.

        Returns
        -------
        :
            Finished when the meter confirms the dose.

        Raises
        ------
        MoveError
            If the value is not a positive number; nothing has moved then.
        """
        if not (math.isfinite(value) and value > 0):
            msg = f"{label(self)}: got {value} {self.egu}, expected a positive number"
            raise MoveError(msg)
        self._halt = halt = Halt()
        return run_operation(self, lambda: self.control.reach(self, value, halt), halt)

    def stop(self, *, success: bool = False) -> None:
        """Stop the regulation, and the attenuator where it is."""
        self._halt.stop(success=success)
        self.control.attenuator.stop(success=success)

    def record(self, power_uw: float, sigma_uw: float) -> None:
        """Take in a measured power.

        Parameters
        ----------
        power_uw, sigma_uw
            Power at the sample and its statistical standard error, in uW.
        """
        scale = self.control.per_microwatt(self)
        self.readback.put(power_uw * scale)
        self.sigma.put(sigma_uw * scale)


class PowerControl(Device):
    """Attenuator, pick-off meter and shutter: the dose axis of the bench.

    The meter stands before the shutter, so a dose is set and confirmed in the dark.
    ``meter.wavelength`` must follow the pump; every view uses it.

    Parameters
    ----------
    prefix
        PV prefix with its trailing colon, for example ``"TRIPLET:POWER:"``.
    name
        Name of the device in plans and data.
    """

    power = Cpt(DoseView, "", egu="uW", kind="normal", labels=("motors",))
    photons = Cpt(DoseView, "", egu="photons/pulse", kind="normal", labels=("motors",))
    fluence = Cpt(DoseView, "", egu="uJ/cm2", kind="normal", labels=("motors",))
    wanted = Cpt(Derived, units="uW", kind="normal")
    """Power at the sample that was asked for last, by any of the views."""
    in_tolerance = Cpt(Derived, units="", value=1, kind="normal")
    """0 if the dose during the exposure was not within `tolerance` of the wanted one;
    1 otherwise, and as long as none was asked for."""

    moving = Cpt(EpicsSignalRO, "Moving_RBV", string=True, kind="omitted")
    attenuator = Cpt(Axis, "OD", tolerance=0.002, kind="normal", labels=("motors",))
    stop_motion = Cpt(EpicsSignal, "Stop", kind="omitted")
    shutter = Cpt(Shutter, "Shutter", kind="normal")
    meter = Cpt(PowerMeter, "Meter:", kind="normal")
    calibration_wavelength = Cpt(
        EpicsSignalRO, "Calibration:Wavelength_RBV", kind="omitted"
    )
    calibration_ratio = Cpt(EpicsSignalRO, "Calibration:Ratio_RBV", kind="omitted")
    calibration_sigma = Cpt(EpicsSignalRO, "Calibration:RatioSigma_RBV", kind="config")
    last_error = Cpt(EpicsSignalRO, "LastError_RBV", string=True, kind="omitted")

    repetition_rate = Cpt(Derived, units="MHz", kind="config")
    spot_diameter = Cpt(Derived, units="um", value=1.2, kind="config")
    spot_definition = Cpt(
        Derived, units="", value=units.SpotDefinition.FLAT_TOP.value, kind="config"
    )
    tolerance = Cpt(Derived, units="", value=0.02, kind="config")
    """Relative deviation from the wanted dose at which it counts as reached."""

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        super().__init__(prefix, **kwargs)
        self._pump: EpicsSignalBase | None = None

    def follow(self, pump: EpicsSignalBase) -> None:
        """Let the meter correct for whatever wavelength the pump has.

        Parameters
        ----------
        pump
            Read-back of the pump wavelength, in nm.
        """
        self._pump = pump

    def per_microwatt(self, view: DoseView) -> float:
        """Give the value of a view for 1 uW at the sample.

        Parameters
        ----------
        view
            One of the views of this power control.

        Returns
        -------
        :
            Its value, in its unit per uW, at the wavelength that the meter is set to.
        """
        if view is self.power:
            return 1.0
        rate_mhz = float(self.repetition_rate.get())
        if view is self.photons:
            wavelength_nm = float(self.meter.wavelength.position)
            return float(units.photons_per_pulse(1.0, wavelength_nm, rate_mhz))
        return float(
            units.fluence_uj_cm2(
                1.0,
                rate_mhz,
                float(self.spot_diameter.get()),
                units.SpotDefinition(self.spot_definition.get()),
            )
        )

    def measure(self, halt: Halt) -> tuple[float, float]:
        """Measure the power that the shutter lets through when open; blocks.

        Parameters
        ----------
        halt
            The stop of the operation that this is a part of.

        Returns
        -------
        :
            Power at the sample and its statistical standard error, in uW.
        """
        if self._pump is not None:
            pump_nm = float(read_fresh(self._pump))
            if not self.meter.wavelength.agrees(
                pump_nm, self.meter.wavelength.position
            ):
                self.meter.wavelength.go(pump_nm, halt)
        picked_off, sigma = self.meter.average()
        ratio = float(
            np.interp(
                float(self.meter.wavelength.position),
                np.asarray(read_fresh(self.calibration_wavelength)),
                np.asarray(read_fresh(self.calibration_ratio)),
            )
        )
        return picked_off * ratio, sigma * ratio

    def reach(self, view: DoseView, value: float, halt: Halt) -> None:
        """Regulate the attenuator until the meter confirms a dose; blocks.

        Parameters
        ----------
        view
            The view that the value is stated in.
        value
            The wanted dose, in the unit of the view.
        halt
            The stop of the operation that this is a part of.

        Raises
        ------
        MoveError
            If there is no light, the dose is out of reach, or it does not settle.
        """
        tolerance = float(self.tolerance.get()) / 2
        self.meter.averaging_time.go(REGULATION_TIME_S, halt)
        lowest, highest = self.attenuator.limits
        power_uw = math.nan
        for _ in range(MAX_CORRECTIONS):
            power_uw, sigma_uw = self.measure(halt)
            wanted_uw = value / self.per_microwatt(view)
            density = float(self.attenuator.position)
            if power_uw <= 3 * sigma_uw and density <= lowest:
                msg = (
                    f"{label(self)}: no light on the pick-off meter; "
                    "is the laser's emission on and its level above zero?"
                )
                raise MoveError(msg)
            if abs(power_uw / wanted_uw - 1) <= tolerance:
                self.wanted.put(wanted_uw)
                self._record(power_uw, sigma_uw)
                return
            wanted_density = lowest
            if power_uw > 3 * sigma_uw:
                wanted_density = density + math.log10(power_uw / wanted_uw)
            if wanted_density < lowest and density <= lowest:
                ceiling = power_uw * self.per_microwatt(view)
                msg = (
                    f"{label(view)}: asked for {value:.4g} {view.egu}, the most at "
                    f"{self.meter.wavelength.position:.2f} nm is {ceiling:.4g} "
                    f"{view.egu} (attenuator open)"
                )
                raise MoveError(msg)
            self.attenuator.go(min(max(wanted_density, lowest), highest), halt)
        msg = (
            f"{label(view)}: asked for {value:.4g} {view.egu}, reached "
            f"{power_uw * self.per_microwatt(view):.4g} after {MAX_CORRECTIONS} "
            "corrections; is the laser stable?"
        )
        raise MoveError(msg)

    def trigger(self) -> DeviceStatus:
        """Measure the dose while the detector exposes.

        Returns
        -------
        :
            Finished when the meter has averaged over its averaging time.
        """
        halt = Halt()
        return run_operation(self, lambda: self._record(*self.measure(halt)), halt)

    def _record(self, power_uw: float, sigma_uw: float) -> None:
        for view in (self.power, self.photons, self.fluence):
            view.record(power_uw, sigma_uw)
        deviation = abs(power_uw / float(self.wanted.get()) - 1)
        self.in_tolerance.put(int(not deviation > float(self.tolerance.get())))
