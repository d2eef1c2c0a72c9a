"""How well the focus meets a crystal, and what that does to its light."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq

from ioc_sim.carriers import Pump
from ioc_sim.emission import Crystal
from ioc_sim.focus import overlaps
from ioc_sim.light_path import BenchState, LightPath

WEAK = BenchState(
    pump_nm=495.0,
    bandwidth_nm=1.8,
    power_uw=0.1,
    hwp_deg=17.5,
    analyser_in=1.0,
    spec_nm=531.0,
    slit_um=100.0,
    temperature_k=4.0,
)
"""Far below threshold, where the emission is proportional to the pump."""


def test_pump_and_collection_are_full_on_the_crystal(sample):
    assert overlaps([0.0, 0.0, 0.0], sample.spot) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("offset", "pump", "collection"),
    [
        ((0.6, 0.0, 0.0), 0.5, 0.5 ** (4 * 0.36)),
        ((0.0, -0.5, 0.0), 0.5 ** ((1 / 1.2) ** 4), 0.5),
        ((0.3, 0.4, 0.0), 0.5 ** ((1 / 1.2) ** 4), 0.5),
        ((0.0, 0.0, -3.0), 0.5, 0.5),
    ],
)
def test_they_fall_to_half_at_half_their_width(sample, offset, pump, collection):
    shares = overlaps(offset, sample.spot)

    assert shares.pump == pytest.approx(pump)
    assert shares.collection == pytest.approx(collection)


def test_the_pump_spot_is_flatter_than_the_collected_one(sample):
    radius = np.linspace(0.01, 2.0, 200)[:, None] * [1.0, 0.0, 0.0]

    pump, collection = overlaps(radius, sample.spot)

    assert pump[radius[:, 0] < 0.3].min() > 0.95
    assert collection[radius[:, 0] < 0.3].min() < 0.8
    assert np.all(np.diff(pump) < 0)


def light(path, offset, state=WEAK):
    """Give the emission that a confocal scan shows at an offset from the crystal."""
    focus = tuple(np.add((20.0, 20.0, 20.0), offset).tolist())
    return sum(
        line.rate * share
        for line, share in path.lines(replace(state, position_um=focus))
    )


@pytest.mark.parametrize(
    ("direction", "width"),
    [((1, 0, 0), 0.85), ((0, 1, 0), 0.85), ((0, 0, 1), 3.9)],
)
def test_the_confocal_response_has_the_widths_of_the_bench(sample, direction, width):
    path = LightPath(sample)
    full = light(path, (0, 0, 0))

    def above_half(um):
        return light(path, np.multiply(um, direction)) - full / 2

    fwhm = brentq(above_half, 0.0, 2.5) - brentq(above_half, -2.5, 0.0)
    assert fwhm == pytest.approx(width, abs=0.05)


def test_the_lines_need_the_focus_more_than_the_band(sample):
    path, lasing = LightPath(sample), replace(WEAK, power_uw=18.0)
    blurred = replace(lasing, position_um=(20.0, 20.0, 22.0))

    shares = [
        weak.rate / strong.rate
        for (weak, _), (strong, _) in zip(
            path.lines(blurred), path.lines(lasing), strict=True
        )
    ]

    assert shares[0] == pytest.approx(shares[1])
    assert shares[0] < 0.1
    assert shares[2] > 0.6


@pytest.mark.parametrize(("nm", "threshold"), [(495.0, 15.45), (526.0, 3.451)])
@pytest.mark.parametrize("overlap", [0.95, 0.9, 0.5])
def test_the_threshold_goes_with_the_inverse_overlap(sample, nm, threshold, overlap):
    crystal = Crystal(sample)

    def excess(power):
        pump = Pump(wavelength_nm=nm, bandwidth_nm=1.8, power_uw=power)
        return crystal.emit(pump, 4.0, overlap=overlap).overdrive - 1

    assert brentq(excess, 0.1, 200) == pytest.approx(threshold / overlap, rel=2e-3)


def test_out_of_focus_the_light_is_that_of_less_power_collected_less(sample):
    path, state = LightPath(sample), replace(WEAK, power_uw=50.0)
    dz = 1.0
    share = 1 / (1 + (dz / 3.0) ** 2)

    blurred = light(path, (0.0, 0.0, dz), state)
    weaker = light(path, (0, 0, 0), replace(state, power_uw=50.0 * share))

    assert blurred == pytest.approx(weaker * share)


def test_the_scattered_pump_does_not_depend_on_the_focus(sample):
    path = LightPath(sample)
    edges = np.linspace(490.0, 500.0, 50)
    aside = replace(WEAK, position_um=(24.0, 20.0, 20.0))

    assert np.array_equal(path.scattered(WEAK, edges), path.scattered(aside, edges))
