"""States of an instrument, and what the doctor says, without a socket."""

import io
import json
from dataclasses import replace
from functools import partial

import pytest
from rich.console import Console

from triplet_bluesky import doctor
from triplet_bluesky.devices.connection import Connection, expected_types
from triplet_bluesky.devices.settable import Axis, Choice
from triplet_bluesky.health import Health, Latency, looked_at_twice
from triplet_bluesky.settings import Settings

WHOLE = Connection(instrument="CCD", prefix="T:CCD:", total=3)
FAST = Latency(median_ms=1.0, worst_ms=4.0, reads=20)
WELL = Health(
    instrument="CCD",
    connection=WHOLE,
    heartbeat_age_s=0.5,
    version="simulated ccd 1.0",
    simulated=True,
    latency=FAST,
)
PVS = ("T:CCD:A", "T:CCD:B", "T:CCD:C")


def ill(**parts):
    connection = replace(WHOLE, **parts)
    complaints = tuple(connection.faults())
    return replace(WELL, connection=connection, complaints=complaints)


@pytest.mark.parametrize(
    ("one", "state", "well"),
    [
        (WELL, "ok", True),
        (replace(WELL, alarm="MINOR", alarm_pv="T:CCD:A"), "ok", True),
        (replace(WELL, alarm="MAJOR", alarm_pv="T:CCD:A"), "alarm", True),
        (replace(WELL, alarm="INVALID", complaints=("x",)), "alarm", False),
        (ill(missing=PVS), "no answer", False),
        (ill(missing=PVS[:1]), "incomplete", False),
        (ill(silent=PVS[:1]), "incomplete", False),
        (ill(read_only=PVS[:1]), "not as expected", False),
        (ill(wrong_type=PVS[:1]), "not as expected", False),
        (replace(WELL, heartbeat_age_s=9.0, complaints=("x",)), "hangs", False),
        (
            replace(WELL, latency=replace(FAST, median_ms=500.0), complaints=("slow",)),
            "slow",
            False,
        ),
        (replace(WELL, heartbeat_age_s=None, simulated=None), "ok", True),
    ],
)
def test_each_finding_has_its_state(one, state, well):
    assert (one.state, one.well) == (state, well)


SLOW = replace(WELL, latency=replace(FAST, median_ms=500.0))
SILENT = replace(WELL, latency=None)
AWAY = replace(ill(missing=PVS), latency=None)
OVER = 0.0
"""A deadline that has passed: nothing is waited for."""


def looks(*instruments):
    """Look at instruments, each given by what is found at one look after the other."""
    left = [list(findings) for findings in instruments]
    found = looked_at_twice([partial(each.pop, 0) for each in left], OVER)
    return found, left


@pytest.mark.parametrize("first", [SLOW, SILENT], ids=["slow", "silent"])
def test_one_that_hesitates_is_looked_at_again_before_it_is_told(first):
    found, left = looks((WELL,), (first, WELL))

    assert [one.state for one in found] == ["ok", "ok"]
    assert left == [[], []]


def test_one_that_stays_slow_is_slow():
    found, _ = looks((SLOW, SLOW), (WELL,))

    assert [one.state for one in found] == ["slow", "ok"]


@pytest.mark.parametrize("one", [WELL, AWAY, replace(WELL, alarm="MAJOR")])
def test_what_does_not_hesitate_is_looked_at_once(one):
    found, left = looks((one, None))

    assert found == [one]
    assert left == [[None]]


def test_pvs_beyond_the_first_are_counted():
    many = tuple(f"T:CCD:{number}" for number in range(20))
    (said,) = Connection(
        instrument="CCD", prefix="T:CCD:", total=99, missing=many
    ).faults()

    assert said.startswith("20 of 99 PVs missing: T:CCD:0, T:CCD:1, ")
    assert said.endswith("T:CCD:7 and 12 more")


@pytest.mark.parametrize(
    ("owner", "text", "accepted", "refused"),
    [
        (Choice, True, "enum", "string"),
        (Axis, False, "double", "enum"),
        (object, False, "enum", "string"),
        (object, True, "string", "double"),
        (object, True, "char", "long"),
    ],
)
def test_a_signal_works_with_some_types_only(owner, text, accepted, refused):
    types = expected_types(owner, text=text)

    assert accepted in types
    assert refused not in types


@pytest.fixture
def told(monkeypatch, tmp_path):
    """Run the doctor on findings of choice; gives its verdict and what it printed."""

    def run(*found, as_json=False, width=120):
        monkeypatch.setattr(doctor, "examine", lambda *_: list(found))
        screen = io.StringIO()
        healthy = doctor.run_doctor(
            Settings(data_dir=tmp_path, tiled_port=1025),
            Console(file=screen, width=width, highlight=False),
            timeout=1.0,
            as_json=as_json,
            command="triplet",
        )
        return healthy, screen.getvalue()

    return run


def test_a_bench_that_is_well_is_a_table_without_complaints(told):
    healthy, text = told(WELL, replace(WELL, instrument="LASER"))

    assert healthy
    assert " 1.0 " in text
    assert "1.0/4.0" in text
    assert "0.5 s" in text
    assert "missing" not in text
    assert "No IOC" not in text


def test_the_widest_table_fits_a_terminal_with_one_line_for_each(told):
    widest = replace(
        ill(wrong_type=("x",)),
        instrument="ANALYSER",
        connection=replace(WHOLE, total=125, wrong_type=("x",)),
        heartbeat_age_s=12345.6,
        alarm="INVALID",
        alarm_pv="T:CCD:HDF1:SwmrCbCounter_RBV",
        version="ADAndor 2.8 with Andor SDK 2.104.30064.0",
        simulated=False,
        latency=Latency(median_ms=1234.5, worst_ms=2345.6, reads=20),
    )
    _, text = told(widest, WELL, width=80)

    table = text.split("ANALYSER:")[0].splitlines()
    row = next(line for line in table if "ANALYSER" in line)
    assert max(len(line) for line in table) <= 80
    assert len([line for line in table if line.strip()]) == 4
    for whole in ("not as expected", "125/125", "INVALID", "no", "1234/2346"):
        assert whole in row
    assert "ADAn" in row


def test_what_is_wrong_stands_below_the_table(told):
    healthy, text = told(
        WELL,
        ill(missing=PVS[:1]),
        replace(
            WELL,
            alarm="MAJOR",
            alarm_pv="T:CCD:B",
            alarm_value="17",
            last_error="Level: got 9",
        ),
        replace(ill(missing=PVS), instrument="LASER", latency=None),
    )

    assert not healthy
    assert "CCD: 1 of 3 PVs missing: T:CCD:A" in text
    assert "CCD: T:CCD:B reads 17 with MAJOR alarm" in text
    assert "CCD: last refused put: Level: got 9" in text
    assert "No IOC answers for LASER: start it" in text


def test_a_bench_that_is_not_there_is_told_how_to_start(told):
    healthy, text = told(replace(ill(missing=PVS), latency=None))

    assert not healthy
    assert "Nothing answers with the prefix TRIPLET:" in text
    assert "triplet up starts the simulated bench" in text


def test_programs_get_every_name(told):
    healthy, text = told(ill(missing=PVS[:2]), as_json=True)

    told_json = json.loads(text)
    assert (healthy, told_json["healthy"]) == (False, False)
    assert told_json["instruments"][0]["missing"] == list(PVS[:2])
    assert told_json["instruments"][0]["latency_worst_ms"] == 4.0
    assert {one["service"] for one in told_json["services"]} >= {"tiled", "ioc"}
