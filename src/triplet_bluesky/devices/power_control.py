"""The dose: attenuator, pick-off meter, shutter, and the light at the sample."""

import math
import threading
import time
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
from triplet_bluesky.devices.optional import OptionalSignalRO
from triplet_bluesky.devices.regulation import (
    MAX_CORRECTIONS,
    NoLightError,
    OutOfReachError,
    Regulator,
    UnsettledError,
)
from triplet_bluesky.devices.settable import Axis, Choice, Parameter
from triplet_bluesky.devices.shutter import Shutter
from triplet_bluesky.errors import AcquireError, MoveError

__all__ = ["DoseView", "MeterRange", "PowerControl", "PowerMeter"]

TABLE_MARGIN = 0.05
"""Share by which a dose may be above the stored ceiling and is still tried: the laser
drifts by a percent, and the table has an error of its own."""


class MeterRange(Axis):
    """Full scale of the meter; the IOC takes the least one that is large enough."""

    def agrees(self, value: float, readback: float) -> bool:
        """Tell whether the range takes the power that was asked for."""
        return value <= readback


class PowerMeter(Device):
    """Meter on the pick-off, before the shutter: it sees the pump at all times."""

    measure = Cpt(EpicsSignal, "Measure", kind="omitted")
    counter = Cpt(EpicsSignalRO, "Counter_RBV", kind="omitted")
    power = Cpt(EpicsSignalRO, "Power_RBV", kind="normal")
    power_sigma = Cpt(EpicsSignalRO, "PowerSigma_RBV", kind="normal")
    overrange = Cpt(EpicsSignalRO, "Overrange_RBV", string=True, kind="normal")
    timestamp = Cpt(EpicsSignalRO, "Timestamp_RBV", kind="normal")
    """Middle of the last reading, in seconds since 1970."""
    range = Cpt(MeterRange, "Range", tolerance=0.0, kind="normal")
    auto_range = Cpt(Choice, "AutoRange", kind="config")
    wavelength = Cpt(Parameter, "Wavelength", tolerance=0.01, kind="normal")
    averaging_time = Cpt(Parameter, "AveragingTime", tolerance=1e-6, kind="normal")

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        super().__init__(prefix, **kwargs)
        self._free = threading.Lock()

    @property
    def last_error(self) -> EpicsSignalRO:
        """What the power control said of its last refusal."""
        return cast("PowerControl", self.parent).last_error

    def average(self, ranging: Halt | None = None) -> tuple[float, float]:
        """Average the pick-off power over the averaging time; blocks.

        Parameters
        ----------
        ranging
            The stop of an operation that may read again in a higher range; without it
            a reading beyond the range is an error, for it was of its own time.

        Returns
        -------
        :
            Mean pick-off power and its standard error, in uW.

        Raises
        ------
        AcquireError
            If the meter does not finish, refuses, is over its range or reads no number.
        MoveError
            If the meter does not take a higher range.
        """
        self._read()
        while read_fresh(self.overrange) != "No":
            full_uw, (_, highest_uw) = float(self.range.position), self.range.limits
            if ranging is None or full_uw >= highest_uw:
                msg = (
                    f"{label(self)}: {self.overrange.pvname} says over range at "
                    f"{full_uw:g} uW; attenuate more or set a higher range"
                )
                raise AcquireError(msg)
            self.range.go(min(2 * full_uw, highest_uw), ranging)
            self._read()
        power_uw = float(read_fresh(self.power))
        sigma_uw = float(read_fresh(self.power_sigma))
        if not (math.isfinite(power_uw) and math.isfinite(sigma_uw)):
            msg = (
                f"{label(self)}: {self.power.pvname} reads {power_uw} +- {sigma_uw} uW"
            )
            raise AcquireError(msg)
        return power_uw, sigma_uw

    def _read(self) -> None:
        timeout = float(read_fresh(self.averaging_time.readback)) + 10.0
        with self._free:
            before = int(read_fresh(self.counter))
            put_and_complete(self.measure, 1, timeout)
            new = int(read_fresh(self.counter)) != before
        if not new:
            msg = (
                f"{label(self)}: {self.counter.pvname} is still {before} after "
                f"{self.measure.setpoint_pvname} completed; the meter took no new "
                "reading, and the old one is void"
            )
            raise AcquireError(msg)


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
    calibration_max_power = Cpt(
        EpicsSignalRO, "Calibration:MaxPower_RBV", kind="omitted"
    )
    calibration_bandwidth = Cpt(
        EpicsSignalRO, "Calibration:Bandwidth_RBV", kind="config"
    )
    max_power = Cpt(EpicsSignalRO, "MaxPower_RBV", kind="normal")
    """Most power at the sample at this wavelength, by the stored table, in uW."""
    expected_power = Cpt(EpicsSignalRO, "ExpectedPower_RBV", kind="omitted")
    power_cap = Cpt(Parameter, "PowerCap", tolerance=1e-6, kind="config")
    """Power at the sample that the operator allows at most; the IOC enforces it."""
    last_error = Cpt(
        OptionalSignalRO,
        "LastError_RBV.VAL$",
        string=True,
        default="",
        kind="omitted",
    )

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

    def measure(self, halt: Halt, *, ranging: bool = False) -> tuple[float, float]:
        """Measure the power that the shutter lets through when open; blocks.

        Parameters
        ----------
        halt
            The stop of the operation that this is a part of.
        ranging
            Whether to read again in a higher range where one is too low.

        Returns
        -------
        :
            Power at the sample and its statistical standard error, in uW.
        """
        self._follow_pump(halt)
        picked_off, sigma = self.meter.average(halt if ranging else None)
        ratio = float(
            np.interp(
                float(self.meter.wavelength.position),
                np.asarray(read_fresh(self.calibration_wavelength)),
                np.asarray(read_fresh(self.calibration_ratio)),
            )
        )
        return picked_off * ratio, sigma * ratio

    def ceiling(self) -> tuple[float, str]:
        """Give the most power at the sample at the present wavelength; blocks.

        Returns
        -------
        :
            The power, in uW, and what makes it the most.
        """
        stored_uw = float(read_fresh(self.max_power))
        cap_uw = float(read_fresh(self.power_cap.readback))
        if cap_uw < stored_uw:
            return cap_uw, "the operator's cap"
        return stored_uw, "by the stored table"

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
            If the dose is above the ceiling (nothing has moved then), there is no
            light, the dose is out of reach, or it does not settle.
        """
        self._follow_pump(halt)
        scale = self.per_microwatt(view)
        wanted_uw = float(value / scale)
        asked = f"{label(view)}: asked for {value:.4g} {view.egu}"
        at = f"at {self.meter.wavelength.position:.2f} nm"
        ceiling_uw, why = self.ceiling()
        capped = ceiling_uw < float(read_fresh(self.max_power))
        if wanted_uw > ceiling_uw * (1 if capped else 1 + TABLE_MARGIN):
            msg = (
                f"{asked}, the most {at} is {ceiling_uw * scale:.4g} {view.egu} ({why})"
            )
            raise MoveError(msg)
        regulator = Regulator(
            measure=lambda average_s: self._average_over(average_s, halt),
            attenuate=lambda density: self._attenuate(density, halt),
            densities=self.attenuator.limits,
            ceiling_uw=float(read_fresh(self.max_power)),
            tolerance=float(self.tolerance.get()) / 2,
        )
        try:
            achieved = regulator.reach(wanted_uw, float(self.attenuator.position))
        except NoLightError as error:
            meter = self.meter.power
            reading_uw = float(read_fresh(meter))
            age_s = time.time() - meter.timestamp
            msg = (
                f"{asked}, but there is no light on the pick-off meter: {meter.pvname} "
                f"reads {reading_uw:.3g} uW, written {age_s:.1f} s ago; is the laser's "
                "emission on, its level above zero, the filter's shutter open?"
            )
            raise MoveError(msg) from error
        except AcquireError as error:
            msg = f"{asked} {at}, but the dose cannot be measured: {error}"
            raise AcquireError(msg) from error
        except OutOfReachError as error:
            end = "most" if error.most else "least"
            state = "open" if error.most else "closed"
            msg = (
                f"{asked}, the {end} {at} is {error.power_uw * scale:.4g} {view.egu} "
                f"(attenuator {state})"
            )
            raise MoveError(msg) from error
        except UnsettledError as error:
            msg = (
                f"{asked}, reached {error.power_uw * scale:.4g} after "
                f"{MAX_CORRECTIONS} corrections; is the laser stable?"
            )
            raise MoveError(msg) from error
        self.wanted.put(wanted_uw)
        self._record(*achieved)

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

    def _follow_pump(self, halt: Halt) -> None:
        """Set the meter to the wavelength that the pump has."""
        if self._pump is None:
            return
        pump_nm, axis = float(read_fresh(self._pump)), self.meter.wavelength
        if not axis.agrees(pump_nm, axis.position):
            axis.go(pump_nm, halt)

    def _average_over(self, average_s: float, halt: Halt) -> tuple[float, float]:
        """Measure over a time of its own."""
        axis = self.meter.averaging_time
        if not axis.agrees(average_s, axis.position):
            axis.go(average_s, halt)
        return self.measure(halt, ranging=True)

    def _attenuate(self, density: float, halt: Halt) -> float:
        """Go to an optical density and give where the attenuator is."""
        self.attenuator.go(density, halt)
        return float(self.attenuator.position)
