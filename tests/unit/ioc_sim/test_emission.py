"""The lines of the crystal."""

import numpy as np
import pytest
from scipy.stats import truncnorm

from ioc_sim.emission import Crystal, mills_ratio


def test_the_lower_line_is_at_its_parameter_at_the_reference(emit):
    emission = emit(526.0, 50.0)

    assert emission.low.energy_mev == pytest.approx(2335.0, abs=1e-6)
    assert emission.high.energy_mev == pytest.approx(2337.0, abs=1e-6)
    assert emission.spontaneous.energy_mev == pytest.approx(2338.5, abs=1e-6)


def test_widths_are_the_parameters_when_cold(emit):
    emission = emit(526.0, 50.0)

    assert [line.fwhm_mev for line in emission.lines] == pytest.approx([0.85, 0.85, 16])


def test_the_stimulated_light_is_shared_between_the_lines(emit):
    emission = emit(526.0, 50.0)

    assert emission.low.rate / emission.stimulated_rate == pytest.approx(0.62)


def test_emission_moves_to_the_blue_with_power(emit):
    off = emit(495.0, 80.0).low.energy_mev - emit(495.0, 16.0).low.energy_mev
    on = emit(526.0, 80.0).low.energy_mev - emit(526.0, 10.0).low.energy_mev

    assert off == pytest.approx(0.87, abs=0.05)
    assert on == pytest.approx(1.6, abs=0.1)


def test_emission_moves_to_the_red_towards_and_past_the_resonance(emit):
    nm = [1239841.984 / emit(pump, 50.0).low.energy_mev for pump in (495, 526, 530)]

    assert nm[2] - nm[0] == pytest.approx(0.842, abs=0.02)
    assert (nm[2] - nm[1]) / 4 > 2 * (nm[1] - nm[0]) / 31


def test_the_band_moves_half_as_far_as_the_lines(emit):
    near, far = emit(526.0, 50.0), emit(495.0, 50.0)

    line = far.low.energy_mev - near.low.energy_mev
    band = far.spontaneous.energy_mev - near.spontaneous.energy_mev
    assert band == pytest.approx(line / 2)


@pytest.mark.parametrize("detuning", [-2.0, 0.0, 1.5])
def test_mills_ratio_is_the_mean_depth_of_the_sites_below_the_pump(detuning):
    sites = truncnorm.mean(-np.inf, detuning)

    assert mills_ratio(detuning) == pytest.approx(-sites)


def test_mills_ratio_far_below_is_the_detuning_itself():
    assert mills_ratio(-40.0) == pytest.approx(40.0, rel=0.01)
    assert mills_ratio(-29.9) == pytest.approx(29.9, rel=0.01)


@pytest.mark.parametrize(
    ("nm", "low", "high"), [(526, 0.901, 0.992), (495, 0.801, 0.882)]
)
def test_polarization_is_weaker_off_resonance(emit, nm, low, high):
    emission = emit(nm, 50.0)

    assert emission.low.dolp == pytest.approx(low, abs=0.001)
    assert emission.high.dolp == pytest.approx(high, abs=0.001)
    assert emission.spontaneous.dolp < 0.3


def test_the_lines_are_polarized_at_right_angles(emit, variant):
    emission = emit(526.0, 50.0)
    turned = emit(526.0, 50.0, crystal=Crystal(variant(polarization__axis=170.0)))

    assert emission.low.axis_deg == 35.0
    assert emission.high.axis_deg == 125.0
    assert emission.spontaneous.axis_deg == 35.0
    assert turned.high.axis_deg == 80.0


def test_warm_lines_shift_blue_and_broaden_by_the_same(emit):
    cold, warm = emit(495.0, 30.0), emit(495.0, 30.0, 100.0)

    assert warm.low.fwhm_mev - 0.85 == pytest.approx(warm.spontaneous.fwhm_mev - 16.0)
    assert warm.low.fwhm_mev > 5
    assert warm.spontaneous.energy_mev > cold.spontaneous.energy_mev + 10


@pytest.mark.parametrize(
    ("kelvin", "lases"), [(100.0, True), (129.0, True), (140.0, False)]
)
def test_it_lases_off_resonance_up_to_130_k(emit, kelvin, lases):
    assert (emit(495.0, 104.0, kelvin).overdrive > 1) == lases


def test_spontaneous_decay_is_the_parameter_when_cold_and_slows_when_warm(sample):
    crystal = Crystal(sample)

    assert crystal.spontaneous_time(4.0) == pytest.approx(268.0)
    assert crystal.spontaneous_time(60.0) == pytest.approx(268 * 2 / 1.0172, rel=0.005)


def test_each_line_has_the_decay_time_of_its_kind(emit, sample):
    times = [line.lifetime_ps for line in emit(526.0, 50.0, 30.0).lines]

    assert times == [49.0, 49.0, Crystal(sample).spontaneous_time(30.0)]


def test_nothing_is_emitted_in_the_dark(emit):
    emission = emit(526.0, 0.0)

    assert [line.rate for line in emission.lines] == [0.0, 0.0, 0.0]


def test_the_rim_of_the_spot_does_not_clamp(variant, emit):
    without = Crystal(variant(background__share=0.0))

    rims = [
        emit(526.0, power).spontaneous.rate
        - emit(526.0, power, crystal=without).spontaneous.rate
        for power in (5.0, 50.0, 500.0)
    ]

    assert rims[0] == pytest.approx(0.18 * (x := 1.445) / (1 + x / 12), rel=0.03)
    assert rims[2] < 0.18 * 12
