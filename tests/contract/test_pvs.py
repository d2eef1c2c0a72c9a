"""What the devices ask for and what the simulated bench serves are the same thing."""

from dataclasses import fields
from typing import get_type_hints

import pytest
from caproto import ChannelType
from ophyd import Device, EpicsSignal
from ophyd.signal import EpicsSignalBase

from ioc_sim.clock import ManualClock
from ioc_sim.sample import load_sample
from ioc_sim.server import GROUPS, Bench
from ioc_sim.world import World
from triplet_bluesky import devices
from triplet_bluesky.devices.settable import Axis, Choice

INSTRUMENTS = {
    "laser": "LASER:",
    "tunable_filter": "FILTER:",
    "power_control": "POWER:",
    "cryostat": "CRYO:",
    "analyser": "ANALYSER:",
    "spectrometer": "SPEC:",
    "ccd": "CCD:",
    "ioc": "IOC:",
}

SPARE = {
    # areaDetector and Shamrock records that a real IOC has and an operator's screen
    # shows, served for clients other than ours.
    "CCD:",
    "SPEC:",
    "CRYO:",
    "ANALYSER:HWP",
}


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
    return name.removesuffix(".VAL")


def channel(served, name):
    return served[plain(name)]


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
        and channel(served, name).data_type
        not in (ChannelType.ENUM, ChannelType.STRING)
    ]

    assert wrong == []


def test_axes_have_units_and_limits(served):
    for name, component, owner in asked():
        if issubclass(owner, Axis) and component is owner.setpoint:
            pv = channel(served, name)
            assert pv.lower_ctrl_limit < pv.upper_ctrl_limit, name
            assert pv.units, name


def test_a_read_back_has_the_unit_of_its_set_point(served):
    for name, component, owner in asked():
        if not issubclass(owner, Axis) or component is not owner.setpoint:
            continue
        if owner.readback.suffix in ("_RBV", ".RBV"):
            stem = name.removesuffix(".VAL")
            readback = channel(served, stem + owner.readback.suffix)
            assert readback.units == channel(served, name).units, name


def test_choices_are_enums_with_the_same_states_on_both_sides(served):
    for name, component, owner in asked():
        if issubclass(owner, Choice) and component is owner.setpoint:
            states = channel(served, name).enum_strings
            assert states == channel(served, name + "_RBV").enum_strings, name


def test_nothing_is_served_that_nobody_uses(served):
    used = {plain(name) for name, *_ in asked()}

    unused = [
        name
        for name in served
        if name not in used and not any(name.startswith(spare) for spare in SPARE)
    ]

    assert unused == []
