"""Counting statistics against independent calculations, event by event where it can."""

import math

import numpy as np
import pytest
from scipy import stats

from ioc_sim.counting import (
    Arrivals,
    Binning,
    alive,
    arrival_rate,
    detected,
    expected_counts,
    mean_arrivals,
)

LASER_HZ = 78e6
PERIOD_PS = 1e12 / LASER_HZ
DEAD_S = 95e-9
FINE = Binning(bins=65536, width_ps=4.0)


def decay(rate, share=0.84, steady=150.0):
    """Light of the paper's two lifetimes."""
    decays = ((49.0, share * rate), (268.0, (1 - share) * rate))
    return Arrivals(decays=decays, steady=steady)


def response_delays(rng, number, tcspc):
    """Draw delays of the instrument response, straight from its description."""
    sigma = tcspc.irf_fwhm / math.sqrt(8 * math.log(2))
    delays = tcspc.zero_delay * 1e3 + rng.normal(0.0, sigma, number)
    kind = rng.random(number)
    tail = kind < tcspc.irf_tail_share
    delays[tail] += rng.exponential(tcspc.irf_tail_time, tail.sum())
    bump = kind > 1 - tcspc.irf_bump_share
    delays[bump] += tcspc.irf_bump_delay * 1e3
    return delays


def event_stream(rng, arrivals, seconds, tcspc):
    """Times of all pulses in ps, sorted: each photon belongs to one laser pulse."""
    pulses = round(seconds * LASER_HZ)
    times = []
    for lifetime, rate in (*arrivals.decays, (0.0, arrivals.prompt)):
        number = rng.poisson(rate * seconds)
        start = rng.integers(pulses, size=number) * PERIOD_PS
        delay = rng.exponential(lifetime, number) if lifetime else 0.0
        times.append(start + delay + response_delays(rng, number, tcspc))
    number = rng.poisson(arrivals.steady * seconds)
    times.append(rng.random(number) * pulses * PERIOD_PS)
    return np.sort(np.concatenate(times))


def surviving(times, dead_ps):
    """Pulses that a non-paralysable dead time lets through, one after the other."""
    kept, free = [], -math.inf
    for time in times.tolist():
        if time >= free:
            kept.append(time)
            free = time + dead_ps
    return np.array(kept)


def grouped(counts, expected, least=25.0):
    """Join neighbours until each group expects enough."""
    sums, means, total, mean = [], [], 0, 0.0
    for observed, value in zip(counts, expected, strict=True):
        total, mean = total + observed, mean + value
        if mean >= least:
            sums.append(total)
            means.append(mean)
            total, mean = 0, 0.0
    return np.array(sums), np.array(means)


def histogram(times, binning=FINE):
    """Fold exactly and bin; the last bin ends with the period."""
    span = PERIOD_PS * binning.periods
    folded = np.mod(times, span) - binning.offset_ps
    bins = math.ceil((span - binning.offset_ps) / binning.width_ps)
    index = np.floor(folded[folded >= 0] / binning.width_ps).astype(int)
    return np.bincount(index, minlength=bins)[: binning.bins]


def expected(arrivals, sample, binning=FINE):
    rate = detected(arrivals, PERIOD_PS, sample.tcspc)
    return expected_counts(rate, PERIOD_PS, binning)


@pytest.mark.parametrize(
    ("rate", "seconds"), [(2e4, 20.0), (1e6, 0.8), (4e6, 0.3), (8e6, 0.25)]
)
def test_the_histogram_is_that_of_a_stream_of_events(sample, rate, seconds):
    rng = np.random.default_rng(20)
    light = decay(rate, share=0.6, steady=0.05 * rate)

    times = event_stream(rng, light, seconds, sample.tcspc)
    counts = histogram(surviving(times, 1e12 * DEAD_S))

    sums, means = grouped(counts, expected(light, sample) * seconds)
    chi2 = ((sums - means) ** 2 / means).sum()
    assert 1e-3 < stats.chi2.sf(chi2, means.size) < 1 - 1e-3
    spread = math.sqrt(counts.sum()) / (1 + rate * DEAD_S)
    assert abs(counts.sum() - means.sum()) < 4 * spread + 25


def test_the_background_is_back_when_the_dead_time_of_the_flash_ends(sample):
    """The dead time ends 0.41 periods after a flash; the textbook formula of one
    photon a period, which keeps it down to the end, is refused by the same stream.
    """
    rng = np.random.default_rng(21)
    light = Arrivals(prompt=4e6, steady=4e6)
    times = event_stream(rng, light, 0.3, sample.tcspc)
    counts = histogram(surviving(times, 1e12 * DEAD_S))
    mean = expected(light, sample) * 0.3

    back = int((2500 + 95e3 - 7 * PERIOD_PS) / 4.0)
    before, after = slice(back - 400, back - 100), slice(back + 200, back + 500)
    step = mean[after].mean() / mean[before].mean() - 1
    seen = counts[after].sum() / counts[before].sum() - 1
    assert step == pytest.approx(4e6 / LASER_HZ, rel=0.05)
    assert abs(seen - step) < 4 * math.sqrt(2 / counts[before].sum())

    rate = arrival_rate(light, PERIOD_PS, sample.tcspc)
    per_bin = expected_counts(rate, PERIOD_PS, FINE) / LASER_HZ
    first = per_bin * np.exp(-(np.cumsum(per_bin) - per_bin / 2))
    first *= counts.sum() / first.sum()
    for model, good in ((mean, True), (first, False)):
        sums, means = grouped(counts, model, least=500.0)
        chi2 = ((sums - means) ** 2 / means).sum()
        assert bool(stats.chi2.sf(chi2, means.size) > 1e-3) is good


@pytest.mark.parametrize("rate", [1e2, 1e5, 1e6, 8e6])
def test_the_mean_rate_is_near_that_of_a_dead_time_under_steady_light(sample, rate):
    steady = Arrivals(steady=rate)
    pulsed = decay(rate, steady=0.0)

    for light, tolerance in ((steady, 1e-12), (pulsed, 6e-3)):
        through = detected(light, PERIOD_PS, sample.tcspc).mean()
        assert through == pytest.approx(rate / (1 + rate * DEAD_S), rel=tolerance)


def test_whole_periods_of_dead_time_see_only_the_mean(variant):
    """Seven periods after a detection the phase is the same: no distortion at all."""
    tcspc = variant(tcspc__dead_time=7 * PERIOD_PS / 1e3).tcspc
    rate = arrival_rate(decay(8e6), PERIOD_PS, tcspc)

    live = alive(rate, PERIOD_PS, 7 * PERIOD_PS)

    assert live == pytest.approx(1 / (1 + rate.mean() * 7 * PERIOD_PS * 1e-12))


def test_the_live_share_obeys_its_equation(sample):
    """The integral over the last dead time, worked out on a finer grid."""
    rate = arrival_rate(decay(6e6), PERIOD_PS, sample.tcspc)
    live = alive(rate, PERIOD_PS, 95e3)
    points = rate.size
    through = np.tile(rate * live, 9)
    area = np.concatenate([[0.0], np.cumsum(through)]) * PERIOD_PS / points * 1e-12
    edges = (np.arange(area.size) - 0.5) * PERIOD_PS / points

    now = np.arange(8 * points, 9 * points) * PERIOD_PS / points
    dead = np.interp(now, edges, area) - np.interp(now - 95e3, edges, area)

    assert live == pytest.approx(1 - dead, abs=2e-5)


def test_a_weak_light_is_counted_as_it_arrives(sample):
    light = decay(100.0, steady=0.0)

    weak = expected(light, sample)

    undisturbed = arrival_rate(light, PERIOD_PS, sample.tcspc)
    assert weak == pytest.approx(
        expected_counts(undisturbed, PERIOD_PS, FINE), rel=2e-5
    )
    assert weak.sum() == pytest.approx(100.0, rel=2e-5)


def test_pile_up_moves_counts_to_early_times(sample):
    """With half a period left of the dead time, an early photon hides later ones."""
    weak, strong = (expected(decay(rate, steady=0.0), sample) for rate in (1e3, 8e6))
    times = 4.0 * np.arange(weak.size)

    def mean_time(counts):
        return (times * counts).sum() / counts.sum()

    assert mean_time(strong) < mean_time(weak) - 1.0
    first, last = np.searchsorted(times, [2450.0, 3500.0])
    assert strong[last] / weak[last] < strong[first] / weak[first]


def test_the_histogram_ends_with_the_laser_period(sample):
    steady = expected(Arrivals(steady=1000.0), sample)

    assert steady.size == 3206
    assert steady[:3205] == pytest.approx(steady[0])
    whole = PERIOD_PS / 4.0
    assert steady[3205] / steady[0] == pytest.approx(whole - 3205, rel=1e-6)
    assert whole == pytest.approx(3205.128, abs=1e-3)


def test_light_wraps_around_the_period(variant):
    """A slow decay that starts late comes out at the beginning of the next period."""
    sample = variant(tcspc__zero_delay=12.0)
    light = Arrivals(decays=((5000.0, 1e3),))

    counts = expected(light, sample)

    times = 4.0 * (np.arange(3205) + 0.5)
    late = np.mod(times - 12e3, PERIOD_PS)
    exact = np.exp(-late / 5000.0) / (1 - math.exp(-PERIOD_PS / 5000.0))
    far = (late > 1500) & (late < PERIOD_PS - 500)
    shape = counts[:3205][far] / exact[far]
    assert shape == pytest.approx(shape.mean(), rel=2e-3)


@pytest.mark.parametrize("step", [1, 3, 7])
def test_wider_bins_are_sums_of_narrow_ones(sample, step):
    light = decay(1e6)
    narrow = expected(light, sample)
    wide = expected(light, sample, Binning(bins=65536, width_ps=4.0 * 2**step))

    joined = np.add.reduceat(narrow, np.arange(0, narrow.size, 2**step))
    assert wide == pytest.approx(joined, rel=1e-5, abs=1e-6)


def test_an_offset_takes_the_first_bins_away(sample):
    light = decay(1e6)
    whole = expected(light, sample)

    cut = expected(light, sample, Binning(bins=65536, width_ps=4.0, offset_ps=2400.0))

    assert cut == pytest.approx(whole[600:], rel=1e-9)
    beyond = Binning(bins=65536, width_ps=4.0, offset_ps=2e4)
    assert expected(light, sample, beyond).size == 0


def test_a_short_memory_holds_the_first_bins(sample):
    light = decay(1e6)

    short = expected(light, sample, Binning(bins=1000, width_ps=4.0))

    assert short == pytest.approx(expected(light, sample)[:1000])


def test_missed_triggers_show_the_decay_several_times(sample):
    rng = np.random.default_rng(22)
    light = decay(1e5, steady=0.0)
    binning = Binning(bins=65536, width_ps=64.0, periods=2)

    times = event_stream(rng, light, 3.0, sample.tcspc)
    counts = histogram(surviving(times, 1e12 * DEAD_S), binning)

    sums, means = grouped(counts, expected(light, sample, binning) * 3.0)
    chi2 = ((sums - means) ** 2 / means).sum()
    assert stats.chi2.sf(chi2, means.size) > 1e-3


def test_a_prompt_flash_shows_the_instrument_response(sample):
    tcspc = sample.tcspc
    rate = arrival_rate(Arrivals(prompt=1e3), PERIOD_PS, tcspc)

    times = np.arange(rate.size) * PERIOD_PS / rate.size
    peak = times[rate.argmax()]
    above = times[rate > rate.max() / 2]
    assert peak == pytest.approx(2500.0, abs=6.0)
    assert above[-1] - above[0] == pytest.approx(tcspc.irf_fwhm, abs=8.0)
    bump = (times > peak + 1000) & (times < peak + 1400)
    tail = tcspc.irf_tail_share * (math.exp(-1000 / 180) - math.exp(-1400 / 180))
    share = rate[bump].sum() / rate.sum()
    assert share == pytest.approx(tcspc.irf_bump_share + tail, rel=0.05)
    assert rate.mean() == pytest.approx(1e3)


def test_no_light_and_no_dead_time_are_cases_like_others(sample, variant):
    assert expected(Arrivals(), sample).sum() == 0
    instant = variant(tcspc__dead_time=0.0)

    assert expected(decay(8e6), instant).sum() == pytest.approx(8e6 + 150)


@pytest.mark.parametrize("rate", [1e8, 1e9])
def test_a_flood_of_noise_leaves_one_count_per_dead_time(sample, rate):
    through = detected(Arrivals(steady=rate, prompt=1e6), PERIOD_PS, sample.tcspc)

    assert through.mean() == pytest.approx(1 / DEAD_S, rel=0.15)
    assert through.min() >= 0


def test_the_mean_of_like_lights_is_counted_as_both(sample):
    first, second = decay(8e6), decay(8.08e6)
    assert second.resembles(first, DEAD_S)

    joined = mean_arrivals([(3.0, first), (1.0, second)])

    apart = (3 * expected(first, sample) + expected(second, sample)) / 4
    assert expected(joined, sample) == pytest.approx(apart, rel=2e-4, abs=1e-3)


@pytest.mark.parametrize(
    "other",
    [
        decay(1.1e6),
        Arrivals(decays=((49.0, 1e6),)),
        Arrivals(decays=((50.0, 8.4e5), (268.0, 1.6e5)), steady=150.0),
    ],
)
def test_other_lights_are_not_alike(other):
    assert not other.resembles(decay(1e6), DEAD_S)


def test_a_rate_without_a_steady_state_says_so(sample, monkeypatch):
    monkeypatch.setattr("ioc_sim.counting.MOST_ITERATIONS", 1)

    with pytest.raises(ArithmeticError, match=r"8e\+06 pulses a second; attenuate"):
        expected(decay(8e6, steady=0.0), sample)
