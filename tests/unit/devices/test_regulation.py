"""The dose: how it is regulated, and whether its sigma covers what the sample gets."""

import math

import numpy as np
import pytest

from ioc_sim.clock import ManualClock
from ioc_sim.sample import load_sample
from ioc_sim.world import World
from triplet_bluesky.devices.regulation import (
    LONGEST_S,
    NoLightError,
    OutOfReachError,
    Regulator,
    UnsettledError,
)

CEILING = 80.0


class Light:
    """A light whose attenuator misses by a share and whose meter has a noise floor."""

    def __init__(self, most_uw=CEILING, *, density=4.0, error=1.0, floor_uw=1e-7):
        self.most_uw, self.density = most_uw, density
        self.error, self.floor_uw = error, floor_uw
        self.brightest_uw, self.times_s = 0.0, []

    @property
    def power_uw(self):
        return self.most_uw * 10 ** (-self.density * self.error)

    def measure(self, average_s):
        self.times_s.append(average_s)
        return self.power_uw, self.floor_uw * math.sqrt(0.2 / average_s)

    def attenuate(self, density):
        self.density = density
        self.brightest_uw = max(self.brightest_uw, self.power_uw)
        return density

    def reach(self, wanted_uw):
        regulator = Regulator(
            measure=self.measure,
            attenuate=self.attenuate,
            densities=(0.0, 4.0),
            ceiling_uw=CEILING,
            tolerance=0.01,
        )
        return regulator.reach(wanted_uw, self.density)


@pytest.mark.parametrize("wanted_uw", [0.02, 1.0, 30.0, 79.9])
@pytest.mark.parametrize("error", [0.97, 1.0, 1.03])
def test_a_dose_is_reached_with_an_attenuator_that_is_off(wanted_uw, error):
    light = Light(error=error, density=2.0)

    power_uw, _ = light.reach(wanted_uw)

    assert power_uw == light.power_uw == pytest.approx(wanted_uw, rel=0.01)


def test_a_dose_that_is_there_is_left_as_it_is():
    light = Light(density=1.0)

    light.reach(8.04)

    assert light.density == 1.0


def test_a_dose_above_the_light_fails_with_the_most_there_is():
    with pytest.raises(OutOfReachError) as failure:
        Light(50.0).reach(60.0)

    assert failure.value.most
    assert failure.value.power_uw == pytest.approx(50.0)


def test_a_dose_below_the_attenuator_fails_with_the_least_there_is():
    with pytest.raises(OutOfReachError) as failure:
        Light(density=0.0).reach(1e-3)

    assert not failure.value.most
    assert failure.value.power_uw == pytest.approx(8e-3)


def test_without_light_nothing_more_is_opened_than_the_table_allows():
    light = Light(0.0)

    with pytest.raises(NoLightError):
        light.reach(10.0)

    assert light.density == pytest.approx(math.log10(CEILING / 10.0))


def test_a_light_too_weak_for_the_meter_is_found_by_the_table():
    light = Light(floor_uw=0.1)

    light.reach(20.0)

    assert light.brightest_uw == pytest.approx(20.0, rel=1e-6)


def test_a_dose_near_the_noise_is_averaged_longer():
    light = Light(floor_uw=2e-3)

    _, sigma_uw = light.reach(0.1)

    assert 0.2 < max(light.times_s) <= LONGEST_S
    assert sigma_uw <= 0.005 * 0.1 * 1.001


def test_a_light_that_flickers_does_not_settle():
    light = Light(density=1.0)
    flicker = iter([1.0, 1.5] * 10)
    light.measure = lambda _: (light.power_uw * next(flicker), 1e-3)

    with pytest.raises(UnsettledError):
        light.reach(20.0)


class Bench:
    """The bench's own light and meter, on a clock that only the meter advances."""

    def __init__(self, seed, sample, wavelength_nm, density=2.0):
        self.world = World(sample, seed=seed, clock=ManualClock())
        self.counter, self.wavelength_nm = 0, wavelength_nm
        self.world.emission.record(0.0, 1)
        self.world.level.record(0.0, 100)
        self.world.filter_nm.record(0.0, wavelength_nm)
        self.attenuate(density)
        self.world.clock.advance(100.0 * seed)
        nm, ratio, self.ratio_sigma = self.world.meter.calibration()
        self.ratio = np.interp(wavelength_nm, nm, ratio)
        self.ceiling_uw = np.interp(wavelength_nm, nm, self.world.meter.ceiling())

    def attenuate(self, density):
        self.world.od.record(self.world.now(), density)
        return density

    def measure(self, average_s):
        start = self.world.now()
        self.world.clock.advance(average_s)
        self.counter += 1
        reading = self.world.meter.average(
            self.world.beam,
            start,
            self.world.now(),
            setting_nm=self.wavelength_nm,
            counter=self.counter,
        )
        return reading.power_uw * self.ratio, reading.sigma_uw * self.ratio

    def reach(self, wanted_uw):
        regulator = Regulator(
            measure=self.measure,
            attenuate=self.attenuate,
            densities=(0.0, 4.0),
            ceiling_uw=self.ceiling_uw,
            tolerance=0.01,
        )
        return regulator.reach(wanted_uw, self.world.od.at(self.world.now()))

    def truth(self, start_s, end_s):
        """Power that an open shutter lets through, averaged by many looks."""
        times = np.arange(start_s, end_s, 0.01) + 0.005
        return np.mean(
            [self.world.beam.power_before_shutter(time, time) for time in times]
        )


@pytest.fixture(scope="module")
def doses():
    """Many benches that were asked for one dose: achieved, sigma, truth, common."""
    sample = load_sample(None)
    rows = []
    for seed in range(150):
        wavelength_nm = (495.0, 526.0, 560.0)[seed % 3]
        wanted_uw = (0.02, 1.0, 50.0)[seed // 3 % 3]
        bench = Bench(seed, sample, wavelength_nm)
        bench.reach(wanted_uw)
        start = bench.world.now()
        achieved, sigma = bench.measure(0.5)
        truth = bench.truth(start, bench.world.now())
        rows.append((wanted_uw, achieved, sigma, truth, bench.ratio_sigma))
    return np.array(rows).T


def test_the_dose_of_the_sample_is_the_one_that_was_asked_for(doses):
    wanted, _, _, truth, _ = doses

    assert np.all(np.abs(truth / wanted - 1) < 0.03)
    assert np.mean(truth / wanted) == pytest.approx(1.0, abs=0.002)


def test_the_stated_sigma_covers_the_true_dose(doses):
    _, achieved, sigma, truth, ratio_sigma = doses

    pull = (achieved - truth) / np.hypot(sigma, ratio_sigma * achieved)

    # 150 pulls: their sd is known to 6 %, their mean to 8 % of a sigma
    assert np.std(pull) == pytest.approx(1.0, abs=0.2)
    assert np.mean(pull) == pytest.approx(0.0, abs=0.3)
    assert np.mean(np.abs(pull) < 2) > 0.9


@pytest.mark.parametrize(("later_s", "jitters"), [(0.0, 0), (0.5, 2)])
def test_the_statistical_sigma_is_the_scatter_of_repeated_readings(later_s, jitters):
    sample = load_sample(None)
    bench = Bench(3, sample, 526.0)
    bench.reach(20.0)
    readings, truths = [], []
    for _ in range(100):
        start = bench.world.now()
        readings.append(bench.measure(0.5))
        truths.append(bench.truth(start + later_s, start + later_s + 0.5))

    achieved, sigma = np.array(readings).T
    ratio = achieved / np.array(truths)
    pull = (ratio / ratio.mean() - 1) / (sigma / achieved)

    # sigma is noise and one jitter; the light of the reading's own time has the
    # reading's jitter in common, the light of another time has one of its own
    noise, jitter = 0.002**2 * 0.1 / 0.5, 0.004**2 * 0.01 / 0.5
    expected = math.sqrt((noise + jitters * jitter) / (noise + jitter))
    assert np.std(pull) == pytest.approx(expected, rel=0.2)


def test_the_same_seed_and_commands_give_the_same_dose_whoever_looks():
    sample = load_sample(None)
    alone, polled = (Bench(5, sample, 526.0) for _ in range(2))

    first = alone.reach(10.0)
    for second in np.linspace(0.0, polled.world.now(), 200):
        polled.world.beam.power_before_shutter(second, second)
        polled.world.beam.monitor_percent(int(second))
    second = polled.reach(10.0)

    assert first == second
