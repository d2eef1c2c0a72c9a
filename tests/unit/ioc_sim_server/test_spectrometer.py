"""The spectrometer: turret, slits, exits, lamp, and the light that gets through."""

import asyncio

import numpy as np
import pytest
from caproto import AlarmSeverity, CaprotoValueError

from ioc_sim.clock import Clock, ManualClock
from ioc_sim.sample import load_sample
from ioc_sim.server import Bench
from ioc_sim.world import World


@pytest.fixture
def value(pvs):
    """Read a PV of the spectrometer; of an enum its text."""

    def read(name):
        found = pvs[f"T:SPEC:{name}"].value
        return found[0] if isinstance(found, list) else found

    return read


@pytest.fixture
def set_spec(pvs, put):
    """Put to a PV of the spectrometer: ``set_spec("Grating", "Grating 2")``."""

    def run(*pairs):
        async def all_of_them():
            for name, target in pairs:
                await put(pvs[f"T:SPEC:{name}"], target)

        asyncio.run(all_of_them())

    return run


def test_three_gratings_are_there_with_their_ranges(value):
    assert [value(f"GratingExists{place}") for place in (1, 2, 3)] == ["Yes"] * 3
    assert [
        (value(f"MinWavelength{place}"), value(f"MaxWavelength{place}"))
        for place in (1, 2, 3)
    ] == [(400, 800), (400, 800), (400, 680)]


def test_the_first_grating_is_mounted_at_the_start(value):
    axis = value("Calibration")

    assert value("Grating_RBV") == "Grating 1"
    assert np.diff(axis) == pytest.approx(0.0415)
    assert axis.mean() == pytest.approx(531.0)


@pytest.mark.parametrize(
    ("grating", "per_pixel", "resolution"),
    [("Grating 2", 0.0864, 0.331), ("Grating 3", 0.0262, 0.100)],
)
def test_another_grating_has_its_dispersion_and_resolution(
    set_spec, value, grating, per_pixel, resolution
):
    set_spec(("Grating", grating))

    assert value("Grating_RBV") == grating
    assert np.diff(value("Calibration")) == pytest.approx(per_pixel)
    assert value("Calibration").mean() == pytest.approx(531.0)
    assert value("Resolution_RBV") == resolution


def test_the_turret_takes_five_seconds_from_place_to_place(bench, set_spec):
    before = bench.world.now()

    set_spec(("Grating", "Grating 3"))

    assert bench.world.now() - before >= 10.0


def test_the_ends_of_the_camera_are_shown_as_the_driver_does(set_spec, value):
    set_spec(("Wavelength", 540))

    axis = value("Calibration")
    assert value("MinWavelength") == axis[0]
    assert value("MaxWavelength") == axis[-1]


def test_the_coefficients_give_the_wavelength_axis(set_spec, value):
    set_spec(("Grating", "Grating 2"), ("Wavelength", 600))

    polynomial = np.polynomial.Polynomial(value("Coefficients_RBV"))
    assert polynomial(np.arange(1024)) == pytest.approx(value("Calibration"))


def test_grating_and_centre_may_come_in_either_order(set_spec, value, bench):
    set_spec(("Grating", "Grating 3"), ("Wavelength", 600))
    first = value("Calibration").copy(), bench.world.state_at(bench.world.now())
    set_spec(("Wavelength", 531), ("Grating", "Grating 1"))
    set_spec(("Wavelength", 600), ("Grating", "Grating 3"))

    assert value("Calibration") == pytest.approx(first[0])
    assert bench.world.state_at(bench.world.now()).grating == first[1].grating == 3


def test_a_centre_beyond_the_mounted_grating_is_refused(pvs, put, set_spec, value):
    set_spec(("Grating", "Grating 3"))

    with pytest.raises(
        CaprotoValueError, match=r"Grating 3 has 400\.\.680 nm, got 700"
    ):
        asyncio.run(put(pvs["T:SPEC:Wavelength"], 700.0))

    assert value("Wavelength_RBV") == 531
    assert "Grating 3" in value("LastError_RBV")


def test_a_grating_that_does_not_reach_the_centre_is_refused(pvs, put, set_spec):
    set_spec(("Wavelength", 700))

    with pytest.raises(CaprotoValueError, match=r"Grating 3 has 400\.\.680 nm"):
        asyncio.run(put(pvs["T:SPEC:Grating"], "Grating 3"))

    assert pvs["T:SPEC:Grating"].value == "Grating 1"


def test_a_newer_grating_ends_the_turn_before_it(pvs, put):
    async def change_mind():
        first = asyncio.create_task(put(pvs["T:SPEC:Grating"], "Grating 3"))
        await asyncio.sleep(0)
        await put(pvs["T:SPEC:Grating"], "Grating 2")
        await first

    asyncio.run(change_mind())

    assert pvs["T:SPEC:Grating_RBV"].value == "Grating 2"


def test_what_is_not_there_is_shown_with_a_minor_alarm(pvs):
    absent = [pvs[f"T:SPEC:{name}"] for name in ("SlitExists2", "FlipperMirrorExists1")]
    present = pvs["T:SPEC:SlitExists3"]

    assert [pv.value for pv in absent] == ["No", "No"]
    assert {pv.alarm.severity for pv in absent} == {AlarmSeverity.MINOR_ALARM}
    assert present.alarm.severity == AlarmSeverity.NO_ALARM


@pytest.mark.parametrize(
    ("name", "target", "history"),
    [
        ("SlitSize1", 40.0, "slit_um"),
        ("SlitSize3", 300.0, "exit_slit_um"),
        ("FlipperMirror2", "Side", "exit_port"),
        ("Lamp", "On", "lamp"),
    ],
)
def test_a_put_moves_what_the_light_path_reads(
    bench, set_spec, value, name, target, history
):
    set_spec((name, target))

    now = getattr(bench.world, history).at(bench.world.now())
    assert value(f"{name}_RBV") == target
    assert now == (target if isinstance(target, float) else 1.0)


def test_the_lamp_warms_up_and_goes_dark_at_once(bench, set_spec, value):
    before = bench.world.now()
    set_spec(("Lamp", "On"))

    assert bench.world.now() - before >= 15.0
    assert value("LampOutput_RBV") == 100

    set_spec(("Lamp", "Off"))

    assert value("LampOutput_RBV") == 0
    assert bench.world.lamp.at(bench.world.now()) == 0


def test_a_lamp_that_is_switched_off_while_it_warms_up_is_dark(pvs, put):
    async def change_mind():
        first = asyncio.create_task(put(pvs["T:SPEC:Lamp"], "On"))
        await asyncio.sleep(0)
        await put(pvs["T:SPEC:Lamp"], "Off")
        await first

    asyncio.run(change_mind())

    assert pvs["T:SPEC:Lamp_RBV"].value == "Off"
    assert pvs["T:SPEC:LampOutput_RBV"].value == 0


def test_the_lamp_shines_on_the_camera_while_its_port_is_open(bench, set_spec):
    def light():
        world = bench.world
        return world.expected_rate(world.state_at(world.now())).sum()

    assert light() == 0
    set_spec(("Lamp", "On"))
    direct = light()
    set_spec(("FlipperMirror2", "Side"))
    side = light()

    assert direct > 1e5
    assert side == 0


def test_no_light_gets_through_a_turret_that_turns():
    world = World(load_sample(None), clock=ManualClock())
    world.lamp.record(0.0, 1)
    world.grating.move(10.0, 3, 0.2)

    def state(time_s):
        return world._mean_state(time_s, time_s)

    assert [state(t).grating for t in (9.0, 12.0, 15.0, 21.0)] == [1, 0, 0, 3]
    assert world.expected_rate(state(15.0)).sum() == 0
    assert world.expected_rate(state(9.0)).sum() > 1e5
    assert world.expected_rate(state(21.0)).sum() > 1e4


def test_an_axis_of_a_wrong_calibration_is_the_stated_one():
    sample = load_sample(None)
    off = sample.spectrometer.model_copy(update={"calibration_offset": (0.5, 0.0, 0.0)})
    world = World(sample.model_copy(update={"spectrometer": off}), clock=Clock(1000.0))
    bench = Bench("T:", world)
    asyncio.run(bench.start())

    assert bench.pvdb["T:SPEC:Calibration"].value.mean() == pytest.approx(531.0)
