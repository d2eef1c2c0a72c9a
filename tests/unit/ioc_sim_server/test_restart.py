"""An IOC that starts anew finds its hardware as it was."""

import asyncio
import json
import math

import pytest

from ioc_sim.axes import Axes
from ioc_sim.clock import Clock
from ioc_sim.faults import FAULTS
from ioc_sim.hardware import hand_over, take_over
from ioc_sim.history import History
from ioc_sim.sample import load_sample
from ioc_sim.server import Bench
from ioc_sim.wire_faults import PV_FAULTS, SERVER_FAULTS
from ioc_sim.world import World

FACTOR = 100.0
"""Simulated seconds in a second of the event loop."""

PUTS = {
    "LASER:Level": 80.0,
    "LASER:Emission": "On",
    "FILTER:Wavelength": 521.0,
    "FILTER:Bandwidth": 2.5,
    "FILTER:Shutter": "Closed",
    "POWER:OD": 1.5,
    "POWER:PowerCap": 500.0,
    "POWER:Shutter": "Open",
    "ANALYSER:HWP": 45.0,
    "ANALYSER:In": "Out",
    "OBJ:X": 30.0,
    "OBJ:Y:Servo": "Off",
    "SPEC:Wavelength": 540.0,
    "SPEC:Grating": "Grating 2",
    "SPEC:SlitSize1": 50.0,
    "SPEC:SlitSize3": 400.0,
    "SPEC:FlipperMirror2": "Side",
    "SPEC:Lamp": "On",
    "CCD:cam1:Temperature": -60.0,
    "TCSPC:PMT:HV": 900.0,
    "CRYO:RAMP_S1": 20.0,
    "CRYO:SETP_S1": 14.0,
    "CRYO:Flow": 80.0,
    "CRYO:FlowMode": "Automatic",
    "CRYO:TLIMIT_S1": 0.0,
    "CRYO:StableTime": 5.0,
}
"""What an operator did before."""

SAFE = {"LASER:Emission": "Off", "POWER:Shutter": "Closed", "TCSPC:PMT:HV": 0.0}
"""What is not kept."""

READ_BACKS = {
    "LASER:Level_RBV": 80.0,
    "LASER:Emission_RBV": "Off",
    "FILTER:Wavelength_RBV": 521.0,
    "FILTER:Bandwidth_RBV": 2.5,
    "FILTER:Shutter_RBV": "Closed",
    "POWER:OD_RBV": 1.5,
    "POWER:Shutter_RBV": "Closed",
    "ANALYSER:HWP.RBV": 45.0,
    "ANALYSER:In_RBV": "Out",
    "ANALYSER:POL.RBV": 0.0,
    "OBJ:X.RBV": pytest.approx(30.0, abs=0.1),
    "OBJ:Y:Servo_RBV": "Off",
    "SPEC:Wavelength_RBV": 540.0,
    "SPEC:Grating_RBV": "Grating 2",
    "SPEC:SlitSize1_RBV": 50.0,
    "SPEC:SlitSize3_RBV": 400.0,
    "SPEC:FlipperMirror2_RBV": "Side",
    "SPEC:LampOutput_RBV": 100.0,
    "CCD:cam1:Temperature_RBV": -60.0,
    "CCD:cam1:TemperatureActual": -60.0,
    "TCSPC:PMT:HV_RBV": 0.0,
    "CRYO:KRDG1": pytest.approx(14.0, abs=0.1),
    "CRYO:RAMP1": 20.0,
    "CRYO:FlowMode_RBV": "Automatic",
    "CRYO:TLIMIT1": 0.0,
    "CRYO:Stable_RBV": "Yes",
}


async def pass_s(simulated_s):
    await asyncio.sleep(simulated_s / FACTOR)


@pytest.fixture
def restart(jumping_loop, put):
    """Do something at a bench, and look at the one that the process starts anew with.

    ``restart(before, after)``: both get the bench and a put; gives what ``after`` does.
    """

    async def live(before, after):
        clock = Clock(FACTOR, source=asyncio.get_running_loop().time)
        kept, given = None, None
        for scenario in (before, after):
            bench = Bench("", World(load_sample(None), seed=4, clock=clock), truth=True)
            await bench.start({"stray_light": 7.0, "wrong_type": "SPEC:Lamp_RBV"}, kept)
            task = asyncio.create_task(bench.run())

            async def command(name, value, pvdb=bench.pvdb):
                await put(pvdb[name], value)

            given = await scenario(bench, command)
            await bench.make_safe()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            kept = json.loads(json.dumps(bench.keep()))
            await pass_s(1.0)
        return given

    def restart(before, after):
        with asyncio.Runner(loop_factory=jumping_loop) as runner:
            return runner.run(live(before, after))

    return restart


async def operate(_, command):
    for name, value in PUTS.items():
        await command(name, value)
    await pass_s(600.0)


def test_what_was_set_and_where_it_is_are_kept_and_the_light_is_off(restart):
    async def look(bench, _):
        set_points = {name: bench.pvdb[name].value for name in PUTS}
        await pass_s(30.0)
        return set_points, {name: bench.pvdb[name].value for name in READ_BACKS}

    set_points, read_backs = restart(operate, look)

    assert set_points == {**PUTS, **SAFE, "OBJ:X": 30.0}
    assert read_backs == READ_BACKS


def test_the_light_path_is_as_it_was_but_for_emission_and_shutter(restart):
    states = []

    async def look(bench, command):
        await command("LASER:Emission", "On")
        await command("POWER:Shutter", "Open")
        states.append(bench.world.state_at(bench.world.now()))

    async def before(bench, command):
        for name in ("FILTER:Wavelength", "SPEC:Wavelength", "OBJ:Z"):
            await command(name, 0.97 * bench.pvdb[name].value)
        await command("FILTER:Wavelength", 500.0)
        await command("LASER:Level", 100.0)
        await look(bench, command)

    restart(before, look)

    first, second = (vars_of(state) for state in states)
    assert second == {
        name: pytest.approx(value, rel=0.02, abs=0.1) for name, value in first.items()
    }


def vars_of(state):
    return {name: getattr(state, name) for name in state.__dataclass_fields__}


def test_a_ramp_of_the_temperature_goes_on_meanwhile(restart):
    async def ramp(bench, command):
        await command("CRYO:RAMP_S1", 6.0)
        await command("CRYO:SETP_S1", 20.0)
        await pass_s(60.0)
        return bench.pvdb["CRYO:SETP1"].value

    async def look(bench, _):
        first = bench.pvdb["CRYO:SETP1"].value
        await pass_s(60.0)
        return first, bench.pvdb["CRYO:SETP1"].value

    first, second = restart(ramp, look)

    assert first == pytest.approx(10.1, abs=0.1)
    assert second == pytest.approx(16.1, abs=0.1)


def test_a_chip_that_cools_goes_on(restart):
    async def warm(bench, command):
        await command("CCD:cam1:Temperature", 0.0)
        await pass_s(10.0)
        before.append(bench.pvdb["CCD:cam1:TemperatureActual"].value)

    async def look(bench, _):
        first = bench.pvdb["CCD:cam1:TemperatureActual"].value
        await pass_s(3600.0)
        return first, bench.pvdb["CCD:cam1:TemperatureActual"].value

    before = []
    first, second = restart(warm, look)

    assert -70.0 < before[0] < 0.0
    assert first == pytest.approx(before[0], abs=2.0)
    assert second == 0.0


def test_the_laser_is_as_warm_as_it_was_and_has_its_hours(restart):
    async def warm_up(_, command):
        await command("LASER:Level", 100.0)
        await command("LASER:Emission", "On")
        await pass_s(3600.0)

    async def look(bench, _):
        return {
            name: bench.pvdb[f"LASER:{name}"].value
            for name in ("WarmUp_RBV", "BaseTemperature_RBV", "Hours_RBV")
        }

    laser = load_sample(None).laser
    found = restart(warm_up, look)

    assert 0.0 < found["WarmUp_RBV"] < 100.0  # it cools within two seconds
    assert found["BaseTemperature_RBV"] > laser.ambient + laser.base_rise / 2
    assert found["Hours_RBV"] == pytest.approx(laser.hours + 1, abs=0.1)


def test_what_the_laser_has_latched_stays_until_it_is_reset(restart):
    async def trip(bench, _):
        for value in (1.0, 0.0):
            await bench.world.faults.set("interlock_open", value)

    async def look(bench, command):
        first = bench.pvdb["LASER:Interlock_RBV"].value
        await command("LASER:InterlockReset", "Reset")
        return first, bench.pvdb["LASER:Interlock_RBV"].value

    assert restart(trip, look) == ("Reset needed", "OK")


def test_what_is_broken_stays_broken_and_what_was_mended_stays_mended(restart):
    async def before(bench, _):
        for name, value in (
            ("filter_slip", 0.3),
            ("shutter_stuck", "Open"),
            ("stray_light", 0.0),
            ("stale_pv", "CRYO:KRDG1"),
            ("stage_creep", 100.0),
        ):
            await bench.world.faults.set(name, value)
        await pass_s(3600.0)

    async def look(bench, _):
        crept = bench.world.faults.history("stage_creep")
        total = crept.integral(0.0, bench.world.now()) / 3600
        return {name: bench.world.faults.value(name) for name in FAULTS}, total

    faults, crept_um = restart(before, look)

    wrong = {name: value for name, value in faults.items() if value != FAULTS[name].off}
    assert wrong == {
        "filter_slip": 0.3,
        "shutter_stuck": "Open",
        "stage_creep": 100.0,
        "wrong_type": "SPEC:Lamp_RBV",
    }
    assert crept_um == pytest.approx(100.0, rel=0.01)


def test_crystals_that_have_faded_stay_so(restart):
    left = []

    async def look(bench, _):
        left.append(dict(bench.world.fading.left(bench.world.now())))

    async def fade(bench, command):
        await command("LASER:Level", 100.0)
        await command("LASER:Emission", "On")
        await command("POWER:OD", 0.0)
        await command("POWER:Shutter", "Open")
        await bench.world.faults.set("photodegradation", 1000.0)
        await pass_s(60.0)
        await command("POWER:Shutter", "Closed")
        await look(bench, command)

    restart(fade, look)

    first, second = left
    assert 0.0 < min(first.values()) < 0.95
    assert second == pytest.approx(first)


def test_every_axis_is_kept_by_somebody():
    world = World(load_sample(None), clock=Clock())
    axes = {n for n, each in vars(Axes(world.sample)).items() if type(each) is History}

    kept = Bench("", world).keep()

    assert set(kept["world"]["axes"]) == axes - {"laser_output"}
    assert set(kept["faults"]) == set(FAULTS) - set(PV_FAULTS) - set(SERVER_FAULTS)


def test_it_is_handed_over_once(monkeypatch):
    monkeypatch.setattr("os.environ", {})
    hand_over({"limit": math.inf})

    assert take_over() == {"limit": math.inf}
    assert take_over() is None
