"""What connecting and `triplet doctor` say of a bench that is there, or is not."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from ophyd import Component as Cpt
from ophyd import EpicsSignal, EpicsSignalRO

from triplet_bluesky.devices import CCD, Bench, Spectrometer
from triplet_bluesky.devices.connection import survey
from triplet_bluesky.devices.settable import Choice
from triplet_bluesky.errors import ConnectError

pytestmark = pytest.mark.ioc

INSTRUMENTS = {
    "LASER",
    "FILTER",
    "POWER",
    "CRYO",
    "OBJ",
    "ANALYSER",
    "SPEC",
    "CCD",
    "TCSPC",
    "IOC",
}
FIELDS = {
    "instrument",
    "state",
    "connected",
    "total",
    "missing",
    "silent",
    "unserved",
    "read_only",
    "wrong_type",
    "heartbeat_age_s",
    "alarm",
    "alarm_pv",
    "alarm_value",
    "version",
    "simulated",
    "latency_median_ms",
    "latency_worst_ms",
    "last_error",
    "complaints",
}


@pytest.fixture
def environment(tmp_path):
    """Ports and folders of this test alone."""
    from triplet_bluesky.services import free_port

    ours = {
        "EPICS_CA_SERVER_PORT": str(free_port()),
        "EPICS_CA_REPEATER_PORT": str(free_port()),
        "TRIPLET_TILED_PORT": str(free_port()),
        "TRIPLET_DATA_DIR": str(tmp_path),
        "COLUMNS": "80",
    }
    return os.environ | ours


@pytest.fixture
def doctor(environment):
    def run(*options, env=environment):
        return subprocess.run(
            [sys.executable, "-m", "triplet_bluesky.cli", "doctor", *options],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=env,
        )

    return run


@pytest.fixture
def bench(ioc):
    """Make benches of the running IOC with something else in them."""
    made = []

    def make(**parts):
        made.append(replace(Bench.from_prefix(ioc.prefix), **parts))
        return made[-1]

    yield make
    for one in made:
        one.disconnect()


class Demanding(Spectrometer):
    """Asks for what the IOC does not have."""

    nothing = Cpt(EpicsSignalRO, "Nothing_RBV")
    neither = Cpt(EpicsSignalRO, "NorThis_RBV")
    words = Cpt(EpicsSignalRO, "Medium_RBV")
    ruler = Cpt(EpicsSignal, "Resolution_RBV")
    number = Cpt(Choice, "SlitSize1")


def test_a_bench_that_is_all_there_is_well(start_ioc, environment, doctor):
    served = start_ioc(prefix="WELL:", env=environment)
    served.wait_until_ready()

    done = doctor("--prefix", "WELL:", "--json")

    told = json.loads(done.stdout)
    found = {one["instrument"]: one for one in told["instruments"]}
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert (told["prefix"], told["healthy"]) == ("WELL:", True)
    assert set(found) == INSTRUMENTS
    for one in found.values():
        assert set(one) == FIELDS
        assert one["state"] in {"ok", "alarm"}
        assert one["alarm"] != "INVALID"
        assert one["connected"] == one["total"] > 4
        assert one["heartbeat_age_s"] < 5
        assert one["simulated"] is True
        assert 0 < one["latency_median_ms"] <= one["latency_worst_ms"]
        assert one["complaints"] == []
    assert found["CCD"]["version"].startswith("simulated ccd ")
    assert found["SPEC"]["state"] == "ok"
    assert found["TCSPC"]["alarm_value"] == "no trigger"


def test_the_table_shows_which_instruments_are_missing(start_ioc, environment, doctor):
    groups = "laser,tunable_filter,power_control,cryostat,analyser,spectrometer,ioc"
    served = start_ioc("--serve", groups, prefix="PART:", env=environment)
    served.wait_until_ready()

    done = doctor("--prefix", "PART:", "--timeout", "3")

    rows = {row.split()[0]: row for row in done.stdout.splitlines() if row.split()}
    assert done.returncode == 1
    assert "ok" in rows["LASER"]
    assert re.search(r" \d+\.\d+\.\d+ +yes +\d+\.\d", rows["LASER"])
    assert max(len(rows[instrument]) for instrument in INSTRUMENTS) <= 80
    assert "no answer" in rows["CCD"]
    assert " 0/" in rows["CCD"]
    assert "No IOC answers for" in done.stdout
    assert "start it, or look into its log" in done.stdout


def test_without_any_ioc_it_says_what_to_do(doctor):
    done = doctor("--prefix", "NONE:", "--timeout", "0.5")

    assert done.returncode == 1
    assert done.stderr == ""
    assert "Nothing answers with the prefix NONE:" in done.stdout
    assert "triplet up starts the simulated bench" in done.stdout
    assert "The store does not answer" in done.stdout


def test_an_ioc_that_hangs_is_not_waited_for_longer(start_ioc, environment, doctor):
    served = start_ioc(prefix="HANGS:", env=environment)
    served.wait_until_ready()
    served.process.send_signal(19)
    try:
        done = doctor("--prefix", "HANGS:", "--timeout", "1", "--json")
    finally:
        served.process.send_signal(18)

    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert {one["state"] for one in told["instruments"]} == {"no answer"}


def test_faults_of_single_pvs_are_told(start_ioc, environment, doctor):
    faults = "wrong_type=LASER:Level_RBV,nan_reading=POWER:Meter:Power_RBV"
    served = start_ioc("--faults", faults, prefix="ILL:", env=environment)
    served.wait_until_ready()

    done = doctor("--prefix", "ILL:", "--json")

    told = {one["instrument"]: one for one in json.loads(done.stdout)["instruments"]}
    assert done.returncode == 1
    assert told["LASER"]["state"] == "not as expected"
    assert told["LASER"]["wrong_type"] == [
        "ILL:LASER:Level_RBV is string, expected a number"
    ]
    assert told["POWER"]["state"] == "alarm"
    assert told["POWER"]["alarm_pv"] == "ILL:POWER:Meter:Power_RBV"
    assert told["POWER"]["alarm_value"] == "nan"
    assert told["SPEC"]["complaints"] == []


def test_an_ioc_that_takes_its_time_is_slow_and_not_lost(
    start_ioc, environment, doctor
):
    options = ("--faults", "slow_ioc=0.15", "--serve", "laser,ioc")
    served = start_ioc(*options, prefix="SLOW:", env=environment)
    served.wait_until_ready()

    done = doctor("--prefix", "SLOW:", "--json", "--timeout", "8")

    told = {one["instrument"]: one for one in json.loads(done.stdout)["instruments"]}
    assert (done.returncode, done.stderr) == (1, "")
    assert told["LASER"]["state"] == "slow"
    assert told["LASER"]["missing"] == told["LASER"]["silent"] == []
    assert told["LASER"]["latency_median_ms"] > 100


def test_a_refused_put_shows_as_an_alarm_with_its_reason(ioc, doctor, bench):
    laser = bench().laser
    laser.wait_for_connection(timeout=10)
    laser.level.set(0.0).wait(10)
    laser.level.setpoint.put(900.0, wait=True)
    try:
        done = doctor("--prefix", ioc.prefix, "--json", env=os.environ)
    finally:
        laser.level.set(0.0).wait(10)

    told = {one["instrument"]: one for one in json.loads(done.stdout)["instruments"]}
    assert done.returncode == 1
    assert told["LASER"]["state"] == "alarm"
    assert told["LASER"]["alarm"] == "INVALID"
    assert told["LASER"]["alarm_pv"] == f"{ioc.prefix}LASER:Level"
    assert told["LASER"]["alarm_value"] == "0.0"
    assert "Level: got 900" in told["LASER"]["last_error"]


def test_an_instrument_that_is_missing_is_named_as_such(bench):
    whole = bench(ccd=CCD("NOBODY:CCD:", name="ccd"))

    with pytest.raises(
        ConnectError, match=r"CCD: all \d+ PVs missing, its IOC does not answer;"
    ) as caught:
        whole.connect(5)

    assert "LASER" not in str(caught.value)


def test_each_kind_of_fault_is_told_with_its_pvs(ioc, bench):
    at = f"{ioc.prefix}SPEC:"
    whole = bench(spectrometer=Demanding(at, name="spectrometer"))

    with pytest.raises(ConnectError) as caught:
        whole.connect(3)

    said = str(caught.value)
    assert f"SPEC: 2 of 23 PVs missing: {at}Nothing_RBV, {at}NorThis_RBV;" in said
    assert f"1 PV cannot be written: {at}Resolution_RBV" in said
    assert f"{at}Medium_RBV is string, expected a number or an enum" in said
    assert f"{at}SlitSize1 is double, expected an enum" in said
    assert "LASER" not in said


def test_all_of_several_hundred_pvs_are_told():
    benches = [Bench.from_prefix(f"NOBODY{number}:") for number in range(5)]
    try:
        found = survey([d for one in benches for d in one.devices()], 0.5)
    finally:
        for one in benches:
            one.disconnect()

    missing = [name for one in found for name in one.missing + one.unserved]
    assert len(missing) == sum(one.total for one in found) > 600
    assert all(one.absent for one in found)


def test_a_bench_that_is_not_there_is_one_sentence():
    nobody = Bench.from_prefix("NOBODY:")
    try:
        with pytest.raises(ConnectError, match=r"no answer within 0\.3 s from any of"):
            nobody.connect(0.3)
    finally:
        nobody.disconnect()
