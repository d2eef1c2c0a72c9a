"""What the page of the events names is what the devices record."""

import re
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest
from ophyd import Device, Kind, Signal

from triplet_bluesky import devices
from triplet_bluesky.devices.derived import View
from triplet_bluesky.devices.settable import Settable

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "events.md"
BENCH = get_type_hints(devices.Bench)
DEVICES = tuple(field.name for field in fields(devices.Bench))


def recorded(cls, name, within=Kind.normal):
    """Every data key that a device may record: in its events, or as configuration.

    A read-back has the name of what it is the read-back of.
    """
    for attribute in cls.component_names:
        component = getattr(cls, attribute)
        if component.kind == Kind.omitted:
            continue
        own = issubclass(cls, Settable | View) and attribute == "readback"
        key = name if own else f"{name}_{attribute}"
        kind = within if component.kind & Kind.normal else Kind.config
        if issubclass(component.cls, Device):
            yield from recorded(component.cls, key, kind)
        elif issubclass(component.cls, Signal):
            yield key, kind


def named(line):
    """What a line of the page names: each as the set of keys that it may stand for.

    After ``device_a`` a ``_b`` is short for ``device_a_b`` or ``device_b``.
    """
    last = ""
    for word in re.findall(r"`(\w+)`", line):
        if word.startswith(DEVICES) and word not in DEVICES:
            last = word
            yield {word}
        elif word.startswith("_") and last:
            yield {f"{last}{word}", f"{last.rpartition('_')[0]}{word}"}


@pytest.fixture(scope="module")
def keys():
    return {key: kind for name in DEVICES for key, kind in recorded(BENCH[name], name)}


def test_every_data_key_on_the_page_is_one_of_a_device(keys):
    on_page = [each for line in PAGE.read_text().splitlines() for each in named(line)]

    assert len(on_page) > 40
    assert [each for each in on_page if not each & keys.keys()] == []


def test_what_the_tables_name_is_in_the_events_not_in_the_configuration(keys):
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    events = {key for key, kind in keys.items() if kind == Kind.normal}
    first_cells = [row.split("|")[1] for row in rows]

    assert [
        each for cell in first_cells for each in named(cell) if not each & events
    ] == []


def test_the_page_tells_where_exit_lamp_and_objective_are_recorded(keys):
    text = PAGE.read_text()

    for key in ("spectrometer_exit_port", "spectrometer_lamp", "objective_power"):
        assert keys[key] == Kind.config
        assert f"`{key}`" in text
    assert keys["objective_x"] == keys["objective_z"] == Kind.normal
