"""What temperature does."""

import math

import numpy as np
import pytest

from ioc_sim.phonons import broadening, gap_shift, occupation, quantum_yield


def test_occupation_is_classical_when_hot_and_frozen_when_cold():
    assert occupation(1.0, 1000.0) == pytest.approx(86.17 - 0.5, abs=0.01)
    assert occupation(19.0, 4.0) < 1e-20
    assert occupation(1e6, 1.0) == pytest.approx(0.0, abs=1e-300)


def test_gap_rises_by_59_mev_from_4_to_295_k(sample):
    rise = gap_shift(295.0, sample.temperature) - gap_shift(4.0, sample.temperature)

    assert rise == pytest.approx(59.2, abs=0.3)


def test_slope_of_the_gap_at_280_k(sample):
    slope = np.diff(
        [gap_shift(kelvin, sample.temperature) for kelvin in (279.5, 280.5)]
    )

    assert slope == pytest.approx(0.237, abs=0.002)


def test_broadening_is_none_at_4_k_and_linear_in_the_occupation(sample):
    boltzmann = 0.0861733
    occupied = 1 / (math.exp(19.0 / (boltzmann * 200)) - 1)

    assert broadening(4.0, sample) == pytest.approx(0.0, abs=1e-9)
    assert broadening(200.0, sample) == pytest.approx(0.008 * 196 + 60 * occupied)


@pytest.mark.parametrize(
    ("kelvin", "value"), [(4.0, 1.0), (100.0, 0.917), (295.0, 0.192)]
)
def test_emission_is_quenched_when_warm(sample, kelvin, value):
    assert quantum_yield(kelvin, sample.temperature) == pytest.approx(value, abs=0.002)
