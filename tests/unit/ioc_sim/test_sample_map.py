"""The crystals of the sample: drawn from the seed, each with its own light."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ioc_sim.carriers import Pump
from ioc_sim.detection import pixel_edges
from ioc_sim.light_path import BenchState, LightPath
from ioc_sim.sample_map import SampleMap, draw_crystals

STATE = BenchState(
    pump_nm=526.0,
    bandwidth_nm=1.8,
    power_uw=50.0,
    hwp_deg=17.5,
    analyser_in=1.0,
    spec_nm=531.0,
    slit_um=100.0,
    temperature_k=4.0,
)

PUMP = Pump(wavelength_nm=526.0, bandwidth_nm=1.8, power_uw=50.0)


@pytest.fixture(scope="module")
def many(sample):
    """The neighbours of a hundred maps."""
    return [place for seed in range(100) for place in draw_crystals(sample, seed)[1:]]


def test_the_first_crystal_is_the_paper_s(sample):
    first = draw_crystals(sample, 7)[0]

    assert first.position_um == sample.spot.crystal == (20.0, 20.0, 20.0)
    assert (first.brightness, first.threshold, first.energy_mev) == (1.0, 1.0, 0.0)
    assert (first.axis_deg, first.splitting_mev) == (35.0, 2.0)
    assert first.apply(sample) == sample


def test_a_seed_is_a_map(sample):
    assert draw_crystals(sample, 1) == draw_crystals(sample, 1)
    assert draw_crystals(sample, 1)[1] != draw_crystals(sample, 2)[1]


def test_sixty_crystals_fill_the_field_and_leave_the_first_one_alone(many):
    x, y, z = np.array([place.position_um for place in many]).T

    assert len(many) == 100 * 59
    assert min(x.min(), y.min()) >= 0
    assert max(x.max(), y.max()) <= 40
    assert np.all(z == 20.0)
    assert np.hypot(x - 20, y - 20).min() >= 3.0
    assert stats.kstest(y[np.abs(x - 20) > 3] / 40, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    ("values", "mean", "sigma"),
    [
        (lambda place: np.log(place.brightness), 0.0, 0.5),
        (lambda place: np.log(place.threshold), 0.0, 0.2),
        (lambda place: place.energy_mev, 0.0, 1.5),
        (lambda place: place.splitting_mev, 2.0, 0.2),
    ],
)
def test_crystals_differ_as_the_truth_says(many, values, mean, sigma):
    drawn = [values(place) for place in many]

    assert stats.kstest(drawn, stats.norm(mean, sigma).cdf).pvalue > 1e-3


def test_axes_point_anywhere(many):
    drawn = [place.axis_deg for place in many]

    assert stats.kstest(drawn, stats.uniform(0, 180).cdf).pvalue > 1e-3


def test_without_spread_all_crystals_are_alike(variant):
    alike = variant(
        map__brightness=0.0, map__threshold=0.0, map__energy=0.0, map__splitting=0.0
    )

    for place in draw_crystals(alike, 3)[1:]:
        same = replace(place, axis_deg=35.0).apply(alike)
        assert (same, place.brightness) == (alike, 1.0)


@pytest.mark.parametrize("number", [1, 17, 59])
def test_a_crystal_emits_by_its_own_parameters(sample, number):
    crystals = SampleMap(sample, 3)
    place = crystals.places[number]

    paper, own = (crystals.crystal(n).emit(PUMP, 4.0) for n in (0, number))

    assert own.low.energy_mev == pytest.approx(2335.0 + place.energy_mev)
    assert own.high.energy_mev - own.low.energy_mev == pytest.approx(
        place.splitting_mev
    )
    assert own.spontaneous.energy_mev == pytest.approx(2338.5 + place.energy_mev)
    assert own.low.axis_deg == place.axis_deg
    assert (own.high.axis_deg - own.low.axis_deg) % 180 == pytest.approx(90.0)
    clamped = own.spontaneous.rate / paper.spontaneous.rate
    assert clamped == pytest.approx(place.brightness, rel=0.25)


def test_the_exciton_moves_with_the_lines(sample):
    crystals = SampleMap(sample, 3)
    number = max(range(60), key=lambda n: crystals.places[n].energy_mev)
    shift = crystals.places[number].energy_mev

    paper, own = (crystals.crystal(n).carriers for n in (0, number))

    assert own.absorption(2340.0 + shift, 3.4, 4.0) == pytest.approx(
        paper.absorption(2340.0, 3.4, 4.0)
    )


def test_the_threshold_at_495_nm_is_the_crystal_s_own(sample):
    crystals = SampleMap(sample, 3)

    for number in range(5):
        crystal, place = crystals.crystal(number), crystals.places[number]
        pump = Pump(
            wavelength_nm=495.0, bandwidth_nm=1.8, power_uw=15.45 * place.threshold
        )
        assert crystal.emit(pump, 4.0).overdrive == pytest.approx(1.0)


def test_under_the_focus_is_the_crystal_that_is_there(sample):
    crystals = SampleMap(sample, 3)

    seen = crystals.under(crystals.places[5].position_um)

    best = max(seen, key=lambda one: one.collection)
    assert (best.number, best.pump, best.collection) == (5, 1.0, 1.0)
    assert best.crystal is crystals.crystal(5)


def test_only_the_paper_s_crystal_is_at_the_start(sample):
    for seed in range(20):
        seen = SampleMap(sample, seed).under((20.0, 20.0, 20.0))

        assert [(one.number, one.pump, one.collection) for one in seen] == [(0, 1, 1)]


def test_between_the_crystals_there_is_only_scattered_light(sample):
    path = LightPath(sample, seed=3)
    aside = replace(STATE, position_um=(20.0, 21.8, 20.0))

    edges = pixel_edges(531.0, sample.spectrometer)
    assert path.lines(aside) == []
    assert path.rate(aside) == pytest.approx(path.scattered(aside, edges))


def test_light_is_the_sum_over_the_crystals_under_the_spot(variant):
    crowded = variant(map__number=200, map__width=25.0)
    path = LightPath(crowded, seed=3)
    sights = [
        (place.position_um, path.map.under(place.position_um))
        for place in path.map.places
    ]
    focus, seen = max(sights, key=lambda sight: len(sight[1]))

    total = sum(line.rate for line, _ in path.lines(replace(STATE, position_um=focus)))

    alone = sum(
        line.rate
        for one in seen
        for line in one.crystal.emit(PUMP, 4.0, overlap=one.pump).lines
    )
    assert len(seen) >= 3
    assert total == pytest.approx(alone)


def test_crystals_that_are_left_out_are_below_the_noise(sample):
    path = LightPath(sample, seed=3)
    edge = next(
        um
        for um in np.arange(1.0, 3.0, 0.01)
        if not path.lines(replace(STATE, position_um=(20.0, 20.0 + um, 20.0)))
    )
    full = sum(line.rate * share for line, share in path.lines(STATE))

    last = path.lines(replace(STATE, position_um=(20.0, 19.99 + edge, 20.0)))

    assert sum(line.rate * share for line, share in last) / full < 1e-5


def test_a_faded_crystal_has_the_share_left(sample):
    path = LightPath(sample, seed=3)

    faded = path.lines(replace(STATE, faded=((0, 0.8), (5, 0.1))))

    for (line, share), (fresh, whole) in zip(faded, path.lines(STATE), strict=True):
        assert line == fresh
        assert share == pytest.approx(0.8 * whole)
