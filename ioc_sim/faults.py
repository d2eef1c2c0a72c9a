"""Faults of the bench that can be switched on: what operators know, for training.

A fault has a magnitude or a text; at nought, ``None`` or an empty text the bench is
sound. Instruments watch the faults that are their own; the light path looks up the ones
that no read-back shows.
"""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from difflib import get_close_matches

from ioc_sim.clock import Clock
from ioc_sim.history import History

__all__ = [
    "FAULTS",
    "Fault",
    "FaultError",
    "FaultValue",
    "Faults",
    "Watcher",
    "describe_faults",
    "find_fault",
    "parse_faults",
]

FaultValue = float | str
Watcher = Callable[[FaultValue], Awaitable[None]]
Guard = Callable[[FaultValue], None]

NONE = "None"
"""State of a fault with choices that is off."""


class FaultError(ValueError):
    """There is no such fault, or it cannot have this value; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that can go wrong."""

    name: str
    """Name in commands and in the simulator, for example ``filter_slip``."""
    doc: str
    """What an operator sees."""
    limits: tuple[float, float] | None = None
    """Range of the magnitude; None if the fault is a text."""
    units: str = ""
    """Unit of the magnitude."""
    typical: FaultValue = 1.0
    """Value for an exercise."""
    choices: tuple[str, ...] = ()
    """States of a fault that is one of several, the first of them off."""

    @property
    def pv(self) -> str:
        """Name of its PV, for example ``Fault:FilterSlip``."""
        return "Fault:" + "".join(part.capitalize() for part in self.name.split("_"))

    @property
    def off(self) -> FaultValue:
        """Value at which nothing is wrong."""
        if self.choices:
            return self.choices[0]
        return 0.0 if self.limits else ""

    def check(self, value: FaultValue) -> FaultValue:
        """Give a value in the fault's own type.

        Parameters
        ----------
        value
            A number, a choice or a text; a number may be given as its text.

        Raises
        ------
        FaultError
            If the fault cannot have this value.
        """
        if self.choices:
            if value not in self.choices:
                msg = f"{self.name}: got {value!r}, choices {', '.join(self.choices)}"
                raise FaultError(msg)
            return value
        if self.limits is None:
            return str(value)
        low, high = self.limits
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            msg = f"{self.name}: got {value!r}, limits {low:g}..{high:g} {self.units}"
            raise FaultError(msg)
        return number


SWITCH = (0.0, 1.0)
"""Limits of a fault that is there or not."""

_CATALOGUE = (
    Fault(
        name="laser_mode_hop",
        doc="The laser's power steps by this share",
        limits=(-0.9, 1.0),
        units="1",
        typical=-0.2,
    ),
    Fault(
        name="laser_trip",
        doc="The laser's supply fails: dark, latched, to be reset when it is back",
        limits=SWITCH,
        units="1",
    ),
    Fault(
        name="interlock_open",
        doc="The interlock loop is open: dark, latched, to be reset when it is closed",
        limits=SWITCH,
        units="1",
    ),
    Fault(
        name="lost_sync",
        doc="The laser's trigger does not reach the photon counter",
        limits=SWITCH,
        units="1",
    ),
    Fault(
        name="filter_slip",
        doc="The pump's centre is off its read-back by this",
        limits=(-5.0, 5.0),
        units="nm",
        typical=0.3,
    ),
    Fault(
        name="filter_play",
        doc="The filter's worn gear adds this play",
        limits=(0.0, 2.0),
        units="nm",
        typical=0.1,
    ),
    Fault(
        name="shutter_stuck",
        doc="The shutter's blade does not leave this end",
        choices=(NONE, "Closed", "Open"),
        typical="Closed",
    ),
    Fault(
        name="shutter_leak",
        doc="The closed shutter lets this share pass",
        limits=SWITCH,
        units="1",
        typical=1e-3,
    ),
    Fault(
        name="meter_range_stuck",
        doc="The meter's range does not change",
        limits=SWITCH,
        units="1",
    ),
    Fault(
        name="helium_low",
        doc="The dewar runs dry: the flow fades and the sample warms up",
        limits=SWITCH,
        units="1",
    ),
    Fault(
        name="vacuum_leak",
        doc="The insulating vacuum is this bad: heat reaches the cold finger",
        limits=(0.0, 1.0),
        units="mbar",
        typical=1e-2,
    ),
    Fault(
        name="thermometer_open",
        doc="The sample's thermometer has lost a wire: it reads NaN",
        limits=SWITCH,
        units="1",
    ),
    Fault(
        name="hwp_slip",
        doc="The half-wave plate is off its read-back by this, until it is homed",
        limits=(-90.0, 90.0),
        units="deg",
        typical=5.0,
    ),
    Fault(
        name="stuck_motor",
        doc="This motor does not move",
        choices=(
            *(NONE, "FILTER:Wavelength", "ANALYSER:HWP", "ANALYSER:POL"),
            *("OBJ:X", "OBJ:Y", "OBJ:Z"),
        ),
        typical="ANALYSER:HWP",
    ),
    Fault(
        name="focus_loss",
        doc="The objective is out of focus by this",
        limits=(-20.0, 20.0),
        units="um",
        typical=2.0,
    ),
    Fault(
        name="stage_creep",
        doc="The crystal creeps sideways out of the spot",
        limits=(0.0, 1000.0),
        units="um/h",
        typical=2.0,
    ),
    Fault(
        name="photodegradation",
        doc="The crystal fades by this at 50 uW, 495 nm",
        limits=(0.0, 1000.0),
        units="%/h",
        typical=0.2,
    ),
    Fault(
        name="ccd_overheat",
        doc="The camera's cooler fails: the chip warms to -20 degC",
        limits=SWITCH,
        units="1",
    ),
    Fault(
        name="ccd_dropped_frames",
        doc="This share of the frames does not reach the plugins",
        limits=SWITCH,
        units="1",
        typical=0.2,
    ),
    Fault(
        name="stray_light",
        doc="Room light behind the spectrometer: detected photons",
        limits=(0.0, 1e8),
        units="1/s",
        typical=1e5,
    ),
    Fault(
        name="disk_full",
        doc="The disk that the frames are written to is full",
        limits=SWITCH,
        units="1",
    ),
    Fault(
        name="stale_pv",
        doc="This PV is not updated any more; its name without the prefix",
        typical="CRYO:KRDG1",
    ),
    Fault(
        name="hung_put",
        doc="Puts to this PV are not answered; its name without the prefix",
        typical="FILTER:Wavelength",
    ),
    Fault(
        name="nan_reading",
        doc="This PV reads NaN with an INVALID alarm; its name without the prefix",
        typical="POWER:Meter:Power_RBV",
    ),
    Fault(
        name="wrong_type",
        doc="This PV is a text from the start on; its name without the prefix",
        typical="LASER:Level_RBV",
    ),
    Fault(
        name="slow_ioc",
        doc="Every answer takes this much longer",
        limits=(0.0, 10.0),
        units="s",
        typical=0.5,
    ),
    Fault(
        name="lost_circuits",
        doc="All clients are cut off once",
        limits=SWITCH,
        units="1",
    ),
    Fault(
        name="ioc_restart",
        doc="The IOC starts anew",
        limits=SWITCH,
        units="1",
    ),
)

FAULTS: dict[str, Fault] = {fault.name: fault for fault in _CATALOGUE}
"""All faults by name."""


def find_fault(name: str) -> Fault:
    """Give the fault of a name.

    Parameters
    ----------
    name
        Its name, for example ``filter_slip``.

    Raises
    ------
    FaultError
        If there is none; the message names the nearest one.
    """
    if name in FAULTS:
        return FAULTS[name]
    close = get_close_matches(name, FAULTS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(FAULTS)}"
    msg = f"got the fault {name!r}, which there is not; {hint}"
    raise FaultError(msg)


def parse_faults(text: str) -> dict[str, FaultValue]:
    """Read faults from a text such as ``filter_slip=0.3,shutter_stuck=Closed``.

    Parameters
    ----------
    text
        Names and values, with commas between them; a name without a value gets the
        typical one.

    Returns
    -------
    :
        Checked values by name.

    Raises
    ------
    FaultError
        If there is no such fault, or it cannot have this value.

    Examples
    --------
    >>> parse_faults("filter_slip=0.3,shutter_stuck")
    {'filter_slip': 0.3, 'shutter_stuck': 'Closed'}
    """
    found: dict[str, FaultValue] = {}
    for part in text.split(","):
        name, given, value = (word.strip() for word in part.partition("="))
        if not name and not given:
            continue
        fault = find_fault(name)
        if name in found:
            msg = f"{name}: got it twice, expected one value"
            raise FaultError(msg)
        found[name] = fault.check(value if given else fault.typical)
    return found


def describe_faults() -> str:
    """Describe every fault in one row of a table in Markdown, with its header."""
    rows = ["| Fault | PV | Values | Unit | For an exercise | What is wrong |"]
    rows += ["|---|---|---|---|---|---|"]
    for fault in _CATALOGUE:
        values = ", ".join(fault.choices) or "name of a PV"
        if fault.limits:
            values = "{:g} .. {:g}".format(*fault.limits)
        example = fault.typical
        if not isinstance(example, str):
            example = f"{example:g}"
        cells = (
            f"`{fault.name}`",
            f"`SIM:{fault.pv}`",
            values,
            fault.units,
            f"`{example}`",
            fault.doc,
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


class Faults:
    """What is wrong with the bench, now and at every time before.

    Parameters
    ----------
    clock
        Simulated time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._values = {name: fault.off for name, fault in FAULTS.items()}
        self._histories = {
            name: History(0) for name, fault in FAULTS.items() if fault.limits
        }
        self._watchers: dict[str, list[Watcher]] = {name: [] for name in FAULTS}
        self._guards: dict[str, list[Guard]] = {name: [] for name in FAULTS}

    def value(self, name: str) -> FaultValue:
        """Give what a fault is now.

        Parameters
        ----------
        name
            Its name.
        """
        return self._values[name]

    def active(self, name: str) -> bool:
        """Tell whether a fault is on now.

        Parameters
        ----------
        name
            Its name.
        """
        return self._values[name] != FAULTS[name].off

    def history(self, name: str) -> History:
        """Give the magnitude of a fault through time.

        Parameters
        ----------
        name
            Name of a fault that has a magnitude.
        """
        return self._histories[name]

    def at(self, name: str, time_s: float) -> float:
        """Give the magnitude of a fault at a time.

        Parameters
        ----------
        name
            Name of a fault that has a magnitude.
        time_s
            Simulated seconds.
        """
        return self._histories[name].at(time_s)

    def watch(self, name: str, watcher: Watcher) -> None:
        """Have something done after each change of a fault.

        Parameters
        ----------
        name
            Name of the fault.
        watcher
            Awaited with the new value.
        """
        self._watchers[name].append(watcher)

    def guard(self, name: str, guard: Guard) -> None:
        """Have each value of a fault looked at before it is taken over.

        Parameters
        ----------
        name
            Name of the fault.
        guard
            Called with a value within the limits; raises `FaultError` to refuse it.
        """
        self._guards[name].append(guard)

    async def set(self, name: str, value: FaultValue) -> None:
        """Change a fault, and wait until the bench has taken it over.

        Parameters
        ----------
        name
            Name of the fault.
        value
            Its magnitude, choice or text.

        Raises
        ------
        FaultError
            If there is no such fault, or it cannot have this value.
        """
        value = find_fault(name).check(value)
        if value == self._values[name]:
            return
        for guard in self._guards[name]:
            guard(value)
        self._values[name] = value
        if name in self._histories:
            self._histories[name].record(self._clock.now(), float(value))
        for watcher in list(self._watchers[name]):
            await watcher(value)
