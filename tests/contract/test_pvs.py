"""What the devices ask for and what the simulated bench serves are the same thing."""

import re
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest
from caproto import ChannelType
from ophyd import Device, EpicsSignal, Kind
from ophyd.areadetector.base import EpicsSignalWithRBV
from ophyd.areadetector.cam import AndorDetectorCam
from ophyd.areadetector.paths import EpicsPathSignal
from ophyd.areadetector.plugins import (
    HDF5Plugin,
    HDF5Plugin_V34,
    ImagePlugin,
    ImagePlugin_V34,
)
from ophyd.signal import EpicsSignalBase

from ioc_sim.clock import ManualClock
from ioc_sim.sample import load_sample
from ioc_sim.server import GROUPS, Bench
from ioc_sim.world import World
from triplet_bluesky import devices
from triplet_bluesky.devices.connection import expected_types
from triplet_bluesky.devices.optional import OptionalSignal, OptionalSignalRO
from triplet_bluesky.devices.settable import Axis, Choice

INSTRUMENTS = {
    "laser": "LASER:",
    "tunable_filter": "FILTER:",
    "power_control": "POWER:",
    "cryostat": "CRYO:",
    "objective": "OBJ:",
    "analyser": "ANALYSER:",
    "spectrometer": "SPEC:",
    "ccd": "CCD:",
    "ccd_images": "CCD:",
    "tcspc": "TCSPC:",
    "ioc": "IOC:",
}

MOTOR_FIELDS = (
    ".MOVN .SPMG .LVIO .ACCL .PREC .DIR .FOFF .SET .HLS .LLS .TDIR .HOMR .DVAL .DRBV "
    ".RLV .TWV .TWF .TWR .MSTA"
)

SPARE = {
    "fields of the motor record that ophyd's EpicsMotor and motor screens connect to": (
        "ANALYSER:HWP",
        MOTOR_FIELDS,
    ),
    "the same fields of the polarizer's slide": ("ANALYSER:POL", MOTOR_FIELDS),
    "the same fields of the piezo along x, which has no home": (
        "OBJ:X",
        f"{MOTOR_FIELDS} .HOMF .ATHM",
    ),
    "the same fields of the piezo along y": ("OBJ:Y", f"{MOTOR_FIELDS} .HOMF .ATHM"),
    "the same fields of the piezo along z": ("OBJ:Z", f"{MOTOR_FIELDS} .HOMF .ATHM"),
    "what ophyd's class of the camera leaves out, and the camera's data sheet": (
        "CCD:cam1:",
        "ADCoreVersion_RBV DriverVersion_RBV EpicsTSNsec_RBV EpicsTSSec_RBV "
        "TimeStamp_RBV UniqueId_RBV FramePeriod_RBV FullWell_RBV "
        "ReadOutTime_RBV SaturatedPixels_RBV",
    ),
    "what ophyd's class of the file writer leaves out": (
        "CCD:HDF1:",
        "FlushNow FreeCapture",
    ),
    "records of the Shamrock driver that an operator's screen shows": (
        "SPEC:",
        "GratingExists1 GratingExists2 GratingExists3 MinWavelength1 MaxWavelength1 "
        "MinWavelength2 MaxWavelength2 MinWavelength3 MaxWavelength3 SlitExists1 "
        "SlitExists2 SlitExists3 SlitExists4 FlipperMirrorExists1 FlipperMirrorExists2",
    ),
    "records of the temperature controller that its operator, not a plan, decides": (
        "CRYO:",
        "P_S1 I_S1 D_S1 MOUT_S1 MOUT1 RDGST0 TLIMIT_S0 TLIMIT0 HTRST1",
    ),
    "a record of KIT's support that its screens show": ("TCSPC:", "FLUX_FAST"),
    "how long the process runs, for screens": ("IOC:", "UpTime_RBV"),
} | {
    f"what a health table shows of {name}": (
        f"{at}IOC:",
        "BootId_RBV Heartbeat_RBV Version_RBV StartTime_RBV UpTime_RBV Simulated_RBV",
    )
    for name, at in INSTRUMENTS.items()
    if name != "ioc"
}
"""PVs that our devices do not use: why they are served, and their names."""

STOCK = {
    "CCD:cam1:": (AndorDetectorCam,),
    "CCD:image1:": (ImagePlugin, ImagePlugin_V34),
    "CCD:HDF1:": (HDF5Plugin, HDF5Plugin_V34),
}
"""Classes of ophyd that the simulated camera serves every PV of."""

NUMBERS = {ChannelType.DOUBLE, ChannelType.LONG}
TEXTS = {ChannelType.ENUM, ChannelType.STRING, ChannelType.CHAR}
DIGITS = range(1, 10)
"""Precisions that somebody has chosen; 0 is caproto's default."""

WHOLE = re.compile(r"TCSPC:(TIME|OFFSET|CFD\w+|SYNCDIV|RANGE|\w+_FAST|MAX_BIN)")
"""Whole numbers that the driver's records, and so ours, have in a DOUBLE."""


def signals(cls, prefix):
    """Suffix, component and owner of every PV of a device class, without a socket."""
    for name in cls.component_names:
        component = getattr(cls, name)
        suffix = prefix + (component.suffix or "")
        if issubclass(component.cls, Device):
            yield from signals(component.cls, suffix)
        elif issubclass(component.cls, EpicsSignalBase):
            yield suffix, component, cls


def asked():
    hints = get_type_hints(devices.Bench)
    for field in fields(devices.Bench):
        yield from signals(hints[field.name], INSTRUMENTS[field.name])


@pytest.fixture(scope="module")
def served():
    world = World(load_sample(None), seed=0, clock=ManualClock())
    return Bench("", world).pvdb


def plain(name):
    """The name under which a record serves its value."""
    return name.removesuffix("$").removesuffix(".VAL")


def channel(served, name):
    return served[plain(name)]


def stock():
    """Every PV that ophyd's own areaDetector classes ask for."""
    for at, classes in STOCK.items():
        for cls in classes:
            for name, component, _ in signals(cls, at):
                yield name
                if issubclass(component.cls, EpicsSignalWithRBV | EpicsPathSignal):
                    yield f"{name}_RBV"


def spare():
    return set(stock()) | {
        at + name for at, names in SPARE.values() for name in names.split()
    }


def recorded():
    """All that gets into documents, without the words: suffix and component."""
    for name, component, _ in asked():
        kept = component.kind & (Kind.normal | Kind.config)
        if kept and not component.kwargs.get("string"):
            yield name, component


def numbers(served):
    """Every number that a device uses: name and channel."""
    for name, *_ in asked():
        if channel(served, name).data_type in NUMBERS:
            yield name, channel(served, name)


def pairs(served):
    """Every numeric axis with a read-back of its own: name and two channels."""
    for name, component, owner in asked():
        if not issubclass(owner, Axis) or component is not owner.setpoint:
            continue
        if owner.readback.suffix in ("_RBV", ".RBV"):
            readback = plain(name) + owner.readback.suffix
            yield name, channel(served, name), channel(served, readback)


def test_every_instrument_has_a_device():
    assert set(INSTRUMENTS.values()) == set(GROUPS)


def test_every_pv_that_a_device_asks_for_is_served(served):
    missing = [name for name, *_ in asked() if plain(name) not in served]

    assert missing == []


def test_what_a_device_writes_can_be_written(served):
    refused = [
        name
        for name, component, _ in asked()
        if issubclass(component.cls, EpicsSignal)
        and not channel(served, name).check_access("", "") & 2
    ]

    assert refused == []


def test_what_a_device_reads_as_text_is_text(served):
    wrong = [
        name
        for name, component, _ in asked()
        if component.kwargs.get("string")
        and channel(served, name).data_type not in TEXTS
    ]

    assert wrong == []


def test_why_a_put_was_refused_is_read_whole():
    """As a STRING it would end after 39 characters."""
    reasons = [name for name, *_ in asked() if "LastError_RBV" in name]

    assert len(reasons) >= len(set(INSTRUMENTS.values())) - 1  # all but the IOC
    assert [name for name in reasons if not name.endswith(".VAL$")] == []


def test_no_pv_is_of_a_type_that_connecting_would_refuse(served):
    wrong = {}
    for name, component, owner in asked():
        text = bool(component.kwargs.get("string"))
        kind = channel(served, name).data_type.name.lower()
        if kind not in expected_types(owner, text=text):
            wrong[name] = kind

    assert wrong == {}


def test_what_a_device_records_as_a_number_is_one(served):
    wrong = {
        name: channel(served, name).data_type.name
        for name, _ in recorded()
        if channel(served, name).data_type not in NUMBERS
    }

    assert wrong == {}


def test_axes_are_numbers(served):
    wrong = [
        name
        for name, component, owner in asked()
        if issubclass(owner, Axis)
        and component in (owner.setpoint, owner.readback)
        and channel(served, name).data_type not in NUMBERS
    ]

    assert wrong == []


def test_every_number_has_a_unit(served):
    assert [name for name, pv in numbers(served) if not pv.units] == []


def test_every_number_has_limits_of_both_kinds(served):
    without = [
        name
        for name, pv in numbers(served)
        if not pv.lower_ctrl_limit < pv.upper_ctrl_limit
        or not pv.lower_disp_limit < pv.upper_disp_limit
    ]

    assert without == []


def test_every_floating_point_number_has_a_precision(served):
    without = {
        name: pv.precision
        for name, pv in numbers(served)
        if pv.data_type == ChannelType.DOUBLE
        and pv.precision not in DIGITS
        and not WHOLE.fullmatch(name)
    }

    assert without == {}


def test_a_read_back_has_type_unit_and_precision_of_its_set_point(served):
    def described(pv):
        return pv.data_type, pv.units, getattr(pv, "precision", None)

    different = [
        name
        for name, setpoint, readback in pairs(served)
        if described(setpoint) != described(readback)
    ]

    assert different == []


def test_choices_are_enums_with_the_same_states_on_both_sides(served):
    for name, component, owner in asked():
        if issubclass(owner, Choice) and component is owner.setpoint:
            states = channel(served, name).enum_strings
            readback = name.removesuffix(component.suffix) + owner.readback.suffix
            assert states == channel(served, readback).enum_strings, name


def test_nothing_is_served_that_nobody_uses(served):
    used = {plain(name) for name, *_ in asked()}

    assert set(served) - used - spare() == set()


def test_what_is_spare_is_served(served):
    assert spare() - set(served) == set()


HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
EXTRAS = HOW_TO / "bench-extras.db"
NO_DRIVER = ("LASER:", "FILTER:", "POWER:")
"""Instruments whose IOC serves all names itself, for there is no public one."""
NO_RECORD = {"TCSPC:Acquire", "TCSPC:Counter_RBV", "TCSPC:Elapsed_RBV"}
"""What takes a program, not a record."""


def test_what_no_driver_serves_is_optional_or_in_the_database_of_the_how_to(served):
    needed = {
        plain(name)
        for name, component, _ in asked()
        if not issubclass(component.cls, OptionalSignal | OptionalSignalRO)
        and channel(served, name).mirrors.startswith("none")
        and not name.startswith(NO_DRIVER)
    }
    records = set(
        re.findall(r'^record\(\w+, "\$\(P\)(.*?)"\)', EXTRAS.read_text(), re.MULTILINE)
    )

    assert needed - records == NO_RECORD


def test_the_how_to_names_every_pv_that_nobody_has_to_serve():
    page = (HOW_TO / "real-hardware.md").read_text()
    optional = {
        plain(name).rpartition(":")[2]
        for name, component, _ in asked()
        if issubclass(component.cls, OptionalSignal | OptionalSignalRO)
    }

    assert [
        name
        for name in sorted(optional)
        if name not in page and name.removesuffix("_RBV") not in page
    ] == []
