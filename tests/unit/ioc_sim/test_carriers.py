"""Carriers of one shot."""

import math

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq

from ioc_sim.carriers import (
    REFERENCE_PUMP,
    Carriers,
    Pump,
    clamped_decay,
    hot_phonon_limit,
    lase,
)
from ioc_sim.source import FWHM_PER_SIGMA, bandwidth_sigma_mev, photon_energy_mev

DECAY = clamped_decay(49.0, 268.0)


def pump(nm, power_uw, bandwidth_nm=1.8):
    return Pump(wavelength_nm=nm, bandwidth_nm=bandwidth_nm, power_uw=power_uw)


def overdrive(carriers, nm, power_uw, kelvin=4.0):
    feed = carriers.feed(pump(nm, power_uw), kelvin)
    return (feed.cold + feed.cooled) / carriers.threshold(kelvin)


@pytest.mark.parametrize("x", [0.0, 1e-6, 0.3, 0.999, 1.0, 1.3, 5.0, 100.0])
@pytest.mark.parametrize("beta", [1e-6, 1e-3, 0.3])
def test_every_carrier_is_emitted_once(x, beta):
    stimulated, spontaneous = lase(x, beta, DECAY)

    assert stimulated + spontaneous == pytest.approx(x)
    assert stimulated >= 0


def test_far_below_threshold_only_the_share_beta_is_stimulated():
    stimulated, _ = lase(1e-3, 1e-3, DECAY)

    assert stimulated == pytest.approx(1e-3 * 1e-3, rel=0.01)


def test_carriers_clamp_at_threshold():
    clamped = [
        spontaneous / (1 + DECAY * math.log(x))
        for x in (5.0, 20.0, 80.0)
        for spontaneous in [lase(x, 1e-6, DECAY)[1]]
    ]

    assert clamped == pytest.approx([1, 1, 1], abs=1e-4)


def test_threshold_is_where_stimulated_emission_sets_in():
    slope = np.gradient([lase(x, 1e-6, DECAY)[0] for x in (0.8, 0.9, 1.1, 1.2)], 0.1)

    assert slope[0] < 1e-4
    assert slope[-1] > 0.8


@pytest.mark.parametrize("x", [2.0, 5.0, 23.0])
def test_the_closed_form_agrees_with_the_rate_equations_in_time(x):
    feed, spontaneous, photon, beta, transparency = 49.0, 268.0, 2.0, 1e-3, 0.6
    threshold = DECAY * spontaneous / feed

    def rates(_, y):
        reservoir, carriers, light = y[:3]
        gain = (carriers / threshold - transparency) / (1 - transparency)
        emitted = light / photon
        fed, lost = reservoir / feed, carriers / spontaneous
        return [
            -fed,
            fed - lost - gain * emitted,
            (gain - 1) * emitted + beta * lost,
            emitted,
            (1 - beta) * lost,
        ]

    solved = solve_ivp(
        rates, (0, 8000), [x, 0, 0, 0, 0], method="LSODA", rtol=1e-7, atol=1e-9
    )
    stimulated, carriers = lase(x, beta, DECAY)

    assert stimulated == pytest.approx(solved.y[3, -1], rel=0.03)
    assert carriers == pytest.approx(solved.y[4, -1], rel=0.05)


@pytest.mark.parametrize(("first", "second"), [(49.0, 268.0), (300.0, 268.0)])
def test_clamped_carriers_decay_from_the_most_that_the_feed_fills(first, second):
    time = np.linspace(0, 3000, 300001)
    filled = (np.exp(-time / second) - np.exp(-time / first)) / (second - first)
    fullest = filled.max() * second

    assert clamped_decay(first, second) == pytest.approx(fullest * first / second)


def test_the_decay_for_equal_times_is_the_limit():
    assert clamped_decay(100.0, 100.0) == pytest.approx(math.exp(-1))
    assert clamped_decay(100.0, 100.1) == pytest.approx(math.exp(-1), rel=1e-3)


@pytest.mark.parametrize(("load", "share"), [(0.0, 1.0), (1.0, 2 ** (-1 / 6))])
def test_the_hot_phonon_limit_is_soft(load, share):
    assert hot_phonon_limit(load, 6.0) == pytest.approx(share)


def test_the_hot_phonon_limit_caps_the_carriers():
    assert 50.0 * hot_phonon_limit(50.0, 6.0) == pytest.approx(1.0)


def test_exciton_absorbs_with_its_width_the_pump_s_and_the_phonons_s(sample):
    carriers = Carriers(sample)
    energies = np.linspace(2280, 2420, 2001)

    exciton = np.array([carriers.absorption(e, 3.43, 4.0)[0] for e in energies])

    mean = np.average(energies, weights=exciton)
    width = math.sqrt(np.average((energies - mean) ** 2, weights=exciton))
    assert mean == pytest.approx(2352.0, abs=0.01)
    assert width == pytest.approx(math.hypot(10.2, 3.43), abs=0.01)


def test_a_broad_pump_sees_the_same_exciton_area(sample):
    carriers = Carriers(sample)

    def area(sigma):
        return quad(
            lambda e: carriers.absorption(e, sigma, 4.0)[0], 2200, 2500, points=[2352]
        )[0]

    expected = 0.05 * 2.1 * 10.2 * math.sqrt(2 * math.pi)
    assert area(0.1) == pytest.approx(expected)
    assert area(9.0) == pytest.approx(expected)


def test_the_continuum_is_half_at_its_onset_and_flat_far_above(sample):
    carriers = Carriers(sample)

    edge, far, below = (
        carriers.absorption(e, 3.0, 4.0)[1] for e in (2368.0, 2505.0, 2280.0)
    )

    assert (edge, far) == (pytest.approx(0.025), pytest.approx(0.05))
    assert below < 1e-8


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"lasing__threshold_495": 20.0},
        {"absorption__exciton": 2345.0},
        {"source__rate": 40.0, "absorption__absorbed": 0.1},
    ],
)
def test_threshold_at_495_nm_is_the_parameter(variant, changes):
    sample = variant(**changes)
    carriers = Carriers(sample)

    threshold = brentq(lambda p: overdrive(carriers, 495.0, p) - 1, 1, 99)

    assert threshold == pytest.approx(sample.lasing.threshold_495)


def test_threshold_on_resonance_is_a_quarter_of_that_at_495_nm(sample):
    carriers = Carriers(sample)

    threshold = brentq(lambda p: overdrive(carriers, 526.0, p) - 1, 0.1, 50)

    assert threshold == pytest.approx(3.46, abs=0.02)


def test_threshold_grows_by_e_over_its_temperature(sample):
    carriers = Carriers(sample)

    assert carriers.threshold(99.0) / carriers.threshold(4.0) == pytest.approx(math.e)


def test_carriers_at_threshold_fit_in_the_crystal(sample):
    assert Carriers(sample).cold_threshold == pytest.approx(1.1e4, rel=0.1)


def test_feed_saturates_off_resonance_and_not_on_it(sample):
    carriers = Carriers(sample)

    def gain(nm):
        a, b, c, d = (overdrive(carriers, nm, p) for p in (20.0, 35.0, 65.0, 80.0))
        return (d - c) / (b - a)

    assert gain(495.0) < 0.1
    assert gain(526.0) == pytest.approx(1.0, abs=0.02)


def test_the_limit_sets_in_at_the_power_of_the_parameter(variant):
    sample = variant(lasing__saturation_495=30.0)
    carriers = Carriers(sample)

    feed = carriers.feed(pump(495.0, 30.0), 4.0)

    assert feed.hot * feed.excess_mev == pytest.approx(carriers.phonon_limit)


def test_hot_carriers_are_lost_phonon_by_phonon(sample):
    feed = Carriers(sample).feed(pump(495.0, 1.0), 4.0)
    phonons = (photon_energy_mev(495.0) - 2352.0) / 19.0

    assert feed.cooled / feed.hot == pytest.approx(0.911**phonons)
    assert phonons == pytest.approx(8.0, abs=0.05)


def test_below_the_exciton_nothing_is_hot(sample):
    feed = Carriers(sample).feed(pump(531.0, 10.0), 4.0)

    assert feed.excess_mev == 0
    assert feed.cooled == pytest.approx(feed.hot)
    assert feed.detuning < 0


def test_the_spot_beside_the_crystal_feeds_it_less(sample):
    carriers = Carriers(sample)

    on, off = (carriers.feed(pump(526.0, 10.0), 4.0, overlap=g) for g in (1.0, 0.5))

    assert off.cold / on.cold == pytest.approx(0.5)


def test_the_reference_is_the_condition_of_the_paper_s_figure_3(sample):
    reference = Carriers(sample).reference

    sigma = math.hypot(10.2, bandwidth_sigma_mev(526.0, 1.8))
    assert (REFERENCE_PUMP.wavelength_nm, REFERENCE_PUMP.power_uw) == (526.0, 50.0)
    assert reference.detuning == pytest.approx((2357.11 - 2352.0) / sigma, abs=1e-3)
    assert pytest.approx(2.3548, abs=1e-4) == FWHM_PER_SIGMA
