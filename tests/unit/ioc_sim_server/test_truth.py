"""Without ``--truth`` the PVs tell no more than a data sheet or a certificate does."""

import asyncio
import json
import tomllib
from contextlib import suppress
from importlib.resources import files

import numpy as np
import pytest

from ioc_sim.clock import Clock, ManualClock
from ioc_sim.faults import FAULTS
from ioc_sim.sample import Sample
from ioc_sim.server import Bench
from ioc_sim.world import World

TABLES = tomllib.loads(files("ioc_sim").joinpath("sample.toml").read_text())

OPEN = {
    "data sheet of the laser": "source.rate source.pulse laser.hours",
    "what the thermometer of the laser shows": "laser.ambient",
    "certificate of the power at the sample": "source.power_526 source.bandwidth "
    "source.red_exponent source.blue_peak source.blue_center source.blue_width "
    "source.edge source.edge_width source.envelope_center source.envelope_width "
    "meter.ceiling_sigma",
    "data sheet of the filter": "filter.efficiency",
    "certificate of the pick-off": "meter.ratio meter.ratio_slope meter.ratio_ripple "
    "meter.ratio_period meter.ratio_sigma",
    "data sheet of the meter": "meter.full_scale meter.ranges",
    "where the stage is and what it can": "spot.objective objective.travel "
    "objective.speed objective.sensor_noise",
    "data sheet of the spectrometer": "spectrometer.dispersion spectrometer.resolution "
    "spectrometer.shortest spectrometer.longest spectrometer.slit spectrometer.pixel",
    "data sheet of the camera": "ccd.gain ccd.full_well ccd.pixel_well "
    "ccd.dark_temperature",
    "data sheet of the photon counter": "tcspc.bins tcspc.bin_width tcspc.dead_time "
    "tcspc.pmt_voltage tcspc.cfd_level",
    "what thermometer and controller show": "cryostat.temperature cryostat.room "
    "cryostat.helium cryostat.conductance cryostat.heat_leak cryostat.capacity "
    "cryostat.capacity_knee cryostat.addenda cryostat.heater cryostat.ramp "
    "cryostat.proportional_time cryostat.integral_time cryostat.thermometer_noise",
}
"""Keys that may show in a PV while it is dark: why, and which."""

SHOWN = {
    "LASER:": "RepRate_RBV PulseWidth_RBV Hours_RBV BaseTemperature_RBV",
    "FILTER:": "Throughput_RBV Bandwidth BandwidthMeV_RBV Bandwidth_RBV",
    "POWER:": "Calibration:MaxPower_RBV MaxPower_RBV Calibration:Bandwidth_RBV "
    "Calibration:Ratio_RBV Calibration:RatioSigma_RBV Meter:Range Meter:Range_RBV",
    "OBJ:": " ".join(
        f"{axis}{field}"
        for axis in "XYZ"
        for field in ("", ".DVAL", ".RBV", ".DRBV", ".HLM", ".VELO", ":Range_RBV")
    ),
    "SPEC:": "Calibration Coefficients_RBV MinWavelength MaxWavelength MinWavelength1 "
    "MinWavelength2 MinWavelength3 MaxWavelength1 MaxWavelength2 MaxWavelength3 "
    "Resolution_RBV SlitSize1 SlitSize1_RBV",
    "CCD:": "cam1:Sensitivity_RBV cam1:FullWell_RBV cam1:SaturationLevel_RBV "
    "cam1:TemperatureActual",
    "TCSPC:": "RESOLUTION DeadTime_RBV PMT:HV PMT:HV_RBV CFDLEVEL1",
    "CRYO:": "HTR1 HeaterPower_RBV KRDG0 KRDG1 P1 I1 SETP1 SETP_S1 RAMP1 RAMP_S1 "
    "Vacuum_RBV StablePeak_RBV StableRms_RBV",
}
"""PVs that show them, by their instrument."""

LIT = {
    "LASER:": "Monitor_RBV",
    "POWER:": "Meter:Power_RBV Meter:PowerSigma_RBV",
    "CCD:": "image1:ArrayData cam1:SaturatedPixels_RBV",
    "TCSPC:": "SAMPLES_FAST TOTAL_COUNT_FAST MAX_BIN FLUX_FAST COUNT_RATE_1",
}
"""PVs that measure light: they may show all that becomes of it, by their instrument."""

FELT = {
    "LASER:": "BaseTemperature_RBV",
    "CRYO:": "HeLevel_RBV KRDG0 KRDG1 P1 HTR1 HeaterPower_RBV Vacuum_RBV "
    "StablePeak_RBV StableRms_RBV",
}
"""PVs that measure heat, with or without light, by their instrument."""

NEW_EACH_START = "IOC:"

CLOCKS = ("EpicsTSSec_RBV", "EpicsTSNsec_RBV", "ExecutionTime_RBV", "Timestamp_RBV")
"""Ends of names of PVs that tell real time."""


def keys():
    return {f"{table}.{key}" for table, values in TABLES.items() for key in values}


def open_keys():
    return {key for names in OPEN.values() for key in names.split()}


def by_name(instruments):
    return {at + name for at, names in instruments.items() for name in names.split()}


def another(value):
    """A value close by, in every range."""
    if isinstance(value, list):
        return [another(each) for each in value]
    if isinstance(value, int):
        return value - 1
    return value * 0.97 if value else 0.01


def sample_with(changed):
    tables = {
        table: {
            key: another(value) if f"{table}.{key}" in changed else value
            for key, value in values.items()
        }
        for table, values in TABLES.items()
    }
    return Sample.model_validate(tables)


def values_in_the_dark(sample):
    """What all PVs show after the start."""
    bench = Bench("", World(sample, seed=3, clock=ManualClock()))

    async def start():
        await bench.start()
        running = asyncio.create_task(bench.run())
        for _ in range(20):
            await asyncio.sleep(0)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    asyncio.run(start())
    return values(bench)


def values(bench):
    return {
        name: np.array(channel.value).tolist()
        for name, channel in bench.pvdb.items()
        if NEW_EACH_START not in name and not name.endswith(CLOCKS)
    }


COMMANDS = {
    1: [("LASER:Emission", "On"), ("LASER:Level", 100)],
    10: [("FILTER:Wavelength", 522.0), ("FILTER:Bandwidth", 2.5), ("POWER:OD", 0.0)],
    11: [("ANALYSER:HWP", 30.0), ("OBJ:X", 20.1), ("OBJ:Z", 20.1)],
    12: [("SPEC:Wavelength", 531.0), ("SPEC:SlitSize1", 150.0), ("CRYO:SETP_S1", 5.5)],
    20: [("POWER:Shutter", "Open"), ("CCD:cam1:AcquireTime", 4.0)],
    22: [("POWER:Meter:Measure", "Measure")],
    25: [("CCD:cam1:Acquire", "Acquire"), ("TCSPC:PMT:HV", 800)],
    30: [("SPEC:FlipperMirror2", "Side")],
    35: [("TCSPC:Acquire", 1)],
    40: [],
}
"""What is put at which time, in simulated seconds."""


@pytest.fixture(scope="module")
def values_in_the_light(put, jumping_loop):
    """What all PVs show after light, motions and a reading of each detector."""

    async def operate(sample):
        loop = asyncio.get_running_loop()
        bench = Bench("", World(sample, seed=3, clock=Clock(source=loop.time)))
        await bench.start()
        running = asyncio.create_task(bench.run())
        for time_s, commands in COMMANDS.items():
            await asyncio.sleep(time_s - loop.time())
            for name, value in commands:
                await put(bench.pvdb[name], value)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return values(bench)

    def values_in_the_light(sample):
        with asyncio.Runner(loop_factory=jumping_loop) as runner:
            return runner.run(operate(sample))

    return values_in_the_light


def different(one, other):
    return {name for name in one if repr(one[name]) != repr(other[name])}


@pytest.fixture(scope="module")
def usual():
    return values_in_the_dark(sample_with(set()))


def test_the_open_keys_exist():
    assert open_keys() - keys() == set()


def test_no_pv_tells_what_the_sample_and_the_bench_hide(usual):
    hidden = keys() - open_keys()
    assert {"emission.line_low", "lasing.threshold_495", "lifetime.stimulated"} < hidden

    assert different(usual, values_in_the_dark(sample_with(hidden))) == set()


def test_only_data_sheets_and_certificates_show_in_the_dark(usual):
    found = different(usual, values_in_the_dark(sample_with(open_keys())))

    assert found - by_name(SHOWN) == set()
    assert len(found) > 20


def test_the_pvs_that_may_show_something_exist(usual):
    assert (by_name(SHOWN) | by_name(LIT) | by_name(FELT)) - set(usual) == set()


def test_only_what_measures_light_tells_in_the_light(values_in_the_light):
    """Not one of the read-backs, on the way or at rest, nor what an instrument says."""
    hidden = keys() - open_keys()

    found = different(
        values_in_the_light(sample_with(set())),
        values_in_the_light(sample_with(hidden)),
    )

    assert found == by_name(LIT) | by_name(FELT)


def test_the_same_commands_tell_the_same_again(values_in_the_light):
    one, again = (values_in_the_light(sample_with(set())) for _ in range(2))

    assert different(one, again) == set()


def test_set_points_start_where_the_truth_file_puts_the_bench():
    shown = values_in_the_dark(sample_with(keys()))

    pairs = {
        "FILTER:Bandwidth": "FILTER:Bandwidth_RBV",
        "FILTER:Wavelength": "FILTER:Wavelength_RBV",
        "SPEC:SlitSize1": "SPEC:SlitSize1_RBV",
        "SPEC:SlitSize3": "SPEC:SlitSize3_RBV",
        "CRYO:SETP_S1": "CRYO:SETP1",
        "CRYO:RAMP_S1": "CRYO:RAMP1",
        "TCSPC:PMT:HV": "TCSPC:PMT:HV_RBV",
    }
    assert {name: shown[name] for name in pairs} == {
        name: shown[read_back] for name, read_back in pairs.items()
    }
    assert shown["FILTER:Bandwidth"] == another(TABLES["source"]["bandwidth"])
    assert shown["CRYO:SETP_S1"] == another(TABLES["cryostat"]["temperature"])


def test_there_is_no_truth_without_being_asked_for(usual):
    assert not [name for name in usual if name.startswith("SIM:")]


def test_the_truth_has_every_key_every_fault_and_every_crystal(pvs):
    truth = json.loads(pvs["T:SIM:Truth_RBV"].value)

    told = {f"{table}.{key}" for table in TABLES for key in truth[table]}
    assert told == keys()
    assert set(truth["faults"]) == set(FAULTS)
    assert len(truth["derived"]["crystals"]) == TABLES["map"]["number"]


def test_the_truth_of_the_largest_map_fits_its_pv():
    sample = Sample.model_validate({**TABLES, "map": {**TABLES["map"], "number": 200}})
    bench = Bench("", World(sample, clock=ManualClock()), truth=True, serve=["sim"])

    asyncio.run(bench.start())

    truth = json.loads(bench.pvdb["SIM:Truth_RBV"].value)
    assert len(truth["derived"]["crystals"]) == 200
