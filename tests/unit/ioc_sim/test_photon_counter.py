"""The photon counter over the bench: light, detector, slices and stops."""

import asyncio
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ioc_sim.histogramming import FULL_BIN, Histogramming, Plan
from ioc_sim.photon_counter import GATE_S, PhotonCounter, Settings
from ioc_sim.pmt import noise_rate, photoelectrons, pulse_share, sensitivity
from ioc_sim.turns import do_at_once

SETTINGS = Settings()


@pytest.fixture
def lit(bench):
    """A bench with the photomultiplier looking: ``lit(power_uw=50.0)``."""

    def make(sample=None, *, slit_um=2000.0, spec_nm=531.0, **kwargs):
        world = bench(sample, **kwargs) if sample else bench(**kwargs)
        world.exit_port.record(0.0, 1)
        world.exit_slit_um.record(0.0, slit_um)
        world.spec_nm.record(0.0, spec_nm)
        return world

    return make


def arrivals(world, start_s=1.0, end_s=2.0):
    parts = world.arrivals(start_s, end_s, {})
    return [light for _, _, light in parts]


def run(world, number=1, time_s=1.0, start_s=1.0, settings=SETTINGS, **stops):
    plan = Plan(settings=settings, time_s=time_s, **stops)
    histogram = Histogramming(PhotonCounter(world), plan, number, start_s)
    histogram.advance(start_s + time_s)
    assert histogram.done
    return histogram


def test_the_papers_light_is_below_a_million_a_second(lit):
    light = arrivals(lit(power_uw=50.0))[0]

    assert 3e5 < light.total < 1e6
    times = [lifetime for lifetime, _ in light.decays]
    assert times == pytest.approx([49.0, 49.0, 268.0])
    stimulated = sum(rate for lifetime, rate in light.decays if lifetime == 49.0)
    assert stimulated / light.total > 0.8


def test_the_photomultiplier_sees_what_the_camera_sees_in_the_passband(quiet, lit):
    world = lit(quiet, power_uw=50.0, slit_um=1000.0)
    state = world.state_at(1.0)
    camera = world.expected_rate(replace(state, exit_port=0.0))
    nm = world.pixel_wavelengths(531.0)
    inside = np.abs(nm - 531.0) < 0.5 * 1000 / 26 * 0.0415

    counted = photoelectrons(world._path, state, quiet).total

    assert counted == pytest.approx(
        quiet.tcspc.efficiency * camera[inside].sum(), rel=0.03
    )


def test_the_camera_port_leaves_the_photomultiplier_dark(lit):
    world = lit(power_uw=50.0)
    world.exit_port.record(0.5, 0)

    assert arrivals(world)[0].total == 0
    assert 100 < run(world, time_s=10.0).total / 10 < 200


def test_stray_light_follows_no_laser(lit):
    world = lit(power_uw=50.0)
    world.exit_port.record(0.0, 0)
    asyncio.run(world.faults.set("stray_light", 1e5))

    (light,) = arrivals(world)

    assert (light.steady, light.total) == (1e5, 1e5)


def test_scattered_laser_light_is_prompt_and_enough_for_a_response(lit):
    world = lit(power_uw=70.0, wavelength_nm=505.0, spec_nm=505.0)

    light = arrivals(world)[0]

    assert light.prompt > 1e4
    assert sum(rate for _, rate in light.decays) < 1e-4 * light.prompt


def test_the_lamp_reaches_the_photomultiplier(lit):
    world = lit(spec_nm=540.06)
    world.shutter.record(0.0, 0)
    world.lamp.record(0.0, 1)

    (light, *_) = arrivals(world)

    assert light.steady > 1e3
    assert light.total == light.steady


def test_the_level_decides_between_noise_and_loss(sample):
    tcspc = sample.tcspc
    shares = [pulse_share(level, 900.0, tcspc) for level in (0, 50, 100, 400, 800)]

    assert shares[0] == 1
    assert sorted(shares, reverse=True) == shares
    assert sensitivity(100, 900.0, tcspc) == 1
    mean = stats.gamma(4, scale=250 / 4).sf(100)
    assert shares[2] == pytest.approx(mean)
    assert noise_rate(10, tcspc) > 1e7
    assert noise_rate(40, tcspc) < 1e4
    assert noise_rate(100, tcspc) < 1e-20


def test_less_voltage_means_smaller_pulses(sample):
    shares = [pulse_share(100, volts, sample.tcspc) for volts in (0, 500, 800, 900)]

    assert shares[0] == 0
    assert shares == sorted(shares)
    assert shares[1] < 0.01


def test_rate_meters_show_laser_and_light(lit):
    world = lit(power_uw=50.0)
    counter = PhotonCounter(world)
    light = arrivals(world, 5.0, 5.1)[0]

    rates = [counter.input_rate(50, SETTINGS), counter.sync_rate(50, SETTINGS)]

    mean = light.total * 1.005 + 150
    assert rates[0] == pytest.approx(mean, abs=5 * math.sqrt(mean / GATE_S))
    assert rates[1] == 78e6
    assert counter.input_rate(50, SETTINGS) == rates[0]


def test_a_small_divider_loses_triggers(lit):
    counter = PhotonCounter(lit())

    read = {
        divider: counter.sync_rate(50, Settings(divider=divider))
        for divider in (1, 2, 4, 8)
    }

    assert read == {1: 9.75e6, 2: 19.5e6, 4: 39e6, 8: 78e6}


@pytest.mark.parametrize("cause", ["laser", "fault", "level"])
def test_without_a_trigger_nothing_is_counted(lit, cause):
    world = lit(power_uw=50.0)
    settings = SETTINGS
    if cause == "laser":
        world.emission.record(0.5, 0)
    elif cause == "fault":
        asyncio.run(world.faults.set("lost_sync", 1))
    else:
        settings = Settings(sync_level_mv=700)

    histogram = run(world, settings=settings)

    assert (histogram.total, histogram.syncs) == (0, 0)
    assert PhotonCounter(world).sync_rate(50, settings) == 0


def test_a_trigger_lost_for_half_the_time_is_missing_in_the_pulses(lit):
    world = lit()
    fault = world.faults.history("lost_sync")
    fault.record(1.5, 1)

    histogram = run(world)

    assert histogram.syncs == pytest.approx(39e6)


def test_all_pulses_are_counted(lit):
    assert run(lit(), time_s=3.0).syncs == pytest.approx(234e6)


@pytest.mark.parametrize("looks", [1, 7, 1000])
def test_looking_does_not_change_the_histogram(lit, looks):
    plan = Plan(settings=SETTINGS, time_s=2.0)
    seen = Histogramming(PhotonCounter(lit(power_uw=50.0)), plan, 3, 1.0)

    for look in range(looks + 1):
        seen.advance(1.0 + 2.0 * look / looks)

    unseen = run(lit(power_uw=50.0), number=3, time_s=2.0)
    assert np.array_equal(seen.counts, unseen.counts)
    assert seen.elapsed_s == pytest.approx(2.0)


def test_each_acquisition_has_noise_of_its_own(lit):
    world = lit(power_uw=50.0)

    first, second = (run(world, number=number).counts for number in (1, 2))

    assert not np.array_equal(first, second)
    both = first + second
    chi2 = ((first - second) ** 2 / np.maximum(both, 1))[both > 20]
    assert stats.chi2.sf(chi2.sum(), chi2.size) > 1e-3


def test_a_shutter_that_opens_counts_from_then_on(quiet, lit):
    world = lit(quiet, power_uw=50.0)
    world.shutter.record(0.5, 0)
    world.shutter.record(1.75, 1)

    part = run(world).total

    assert part == pytest.approx(run(lit(quiet, power_uw=50.0)).total / 4, rel=0.02)


def test_it_stops_at_the_photon_that_fills_a_bin(lit):
    world = lit(power_uw=50.0)

    histogram = run(world, time_s=60.0, stop_count=5000)

    assert histogram.counts.max() == 5000
    assert np.count_nonzero(histogram.counts == 5000) == 1
    assert histogram.overflow
    assert histogram.elapsed_s < 2.0


def test_it_stops_at_a_total(lit):
    histogram = run(lit(power_uw=50.0), time_s=60.0, stop_total=300_000)

    assert histogram.total == 300_000
    assert not histogram.overflow
    rate = histogram.total / histogram.elapsed_s
    assert histogram.syncs == pytest.approx(78e6 * histogram.elapsed_s)
    whole = run(lit(power_uw=50.0), time_s=1.0)
    assert rate == pytest.approx(whole.total, rel=0.02)


def test_the_time_of_a_stop_scatters_as_a_poisson_process_does(quiet, lit):
    world = lit(quiet, power_uw=50.0)

    times = [
        run(world, number=number, time_s=60.0, stop_total=400).elapsed_s
        for number in range(1, 61)
    ]

    rate = run(world, time_s=4.0).total / 4
    drawn = stats.gamma(400, scale=1 / rate)
    assert stats.kstest(times, drawn.cdf).pvalue > 1e-3


def test_a_full_bin_stays_full(lit):
    world = lit(power_uw=70.0)

    histogram = run(world, time_s=20.0)

    assert histogram.counts.max() == FULL_BIN
    assert histogram.overflow
    assert histogram.elapsed_s == pytest.approx(20.0)


def test_an_abort_keeps_what_was_counted(lit):
    plan = Plan(settings=SETTINGS, time_s=100.0)
    histogram = Histogramming(PhotonCounter(lit(power_uw=50.0)), plan, 1, 1.0)
    histogram.advance(1.6)

    do_at_once(histogram.stop(1.65))

    assert histogram.done
    assert histogram.elapsed_s == pytest.approx(0.65)
    assert histogram.syncs == pytest.approx(0.65 * 78e6)
    do_at_once(histogram.stop(9.0))
    assert histogram.elapsed_s == pytest.approx(0.65)


def test_too_much_light_trips_the_high_voltage(lit):
    world = lit(power_uw=50.0)
    counter = PhotonCounter(world)
    counter.advance(2.0)
    assert not counter.tripped

    world.faults.history("stray_light").record(2.05, 1.2e7)
    counter.advance(10.0)

    assert counter.tripped
    # half of the gate from 2.0 s on is dark: the next one is over range
    assert counter.high_voltage.at(2.19) == 900
    assert counter.high_voltage.at(2.2) == 0
    counted = do_at_once(counter.count(2.2, 3.0, SETTINGS, 1))
    assert counted.counts.sum() == 0
    assert counted.syncs > 0


def test_a_trip_does_not_depend_on_who_looks_when(lit):
    def tripped_at(looks):
        world = lit(power_uw=50.0)
        world.faults.history("stray_light").record(3.333, 0.9e7)
        world.faults.history("stray_light").record(4.79, 1.1e7)
        counter = PhotonCounter(world)
        for time in np.linspace(0.0, 9.0, looks):
            counter.advance(float(time))
        return counter.high_voltage.breakpoints(0.0, 9.0)

    assert tripped_at(2) == tripped_at(37) == tripped_at(900)
    assert tripped_at(2) == [pytest.approx(4.9)]


def test_walk_shifts_the_histogram(lit):
    world = lit(power_uw=50.0)
    early, late = (
        run(world, settings=Settings(input_zero_mv=zero), time_s=2.0).counts
        for zero in (0, 20)
    )

    times = 4.0 * np.arange(early.size)

    def mean(counts):
        near = slice(500, 800)
        return (times[near] * counts[near]).sum() / counts[near].sum()

    assert mean(late) - mean(early) == pytest.approx(30.0, abs=2.0)


def test_a_slow_drift_is_in_the_mean(lit):
    world = lit(power_uw=2.0)

    counted = run(world, time_s=120.0)

    parts = world.arrivals(1.0, 121.0, {})
    through = sum((light.total * 1.005 + 150) * (b - a) for a, b, light in parts)
    assert counted.total == pytest.approx(through, abs=4 * math.sqrt(through))
