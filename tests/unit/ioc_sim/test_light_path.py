"""One state of the bench and its light on the pixels."""

from dataclasses import replace

import numpy as np
import pytest

from ioc_sim.detection import pixel_edges, pixel_wavelengths
from ioc_sim.light_path import BenchState, LightPath
from ioc_sim.sample import load_sample

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


@pytest.fixture
def path(sample):
    return LightPath(sample)


@pytest.fixture
def energy(sample):
    return 1239841.984 / pixel_wavelengths(531.0, sample.spectrometer)


def test_all_light_is_emission_and_scattered_pump(variant, emit):
    path = LightPath(
        variant(polarization__low=0.0, polarization__high=0.0, polarization__spe=0.0)
    )

    total = path.rate(STATE).sum()

    emitted = sum(line.rate for line in emit(526.0, 50.0).lines)
    assert total == pytest.approx(1e6 * emitted + 5000 * 50, rel=1e-3)


def test_no_light_without_power(path):
    assert path.rate(replace(STATE, power_uw=0.0)).sum() == 0.0


@pytest.mark.parametrize(("hwp_deg", "mev"), [(17.5, 2335.0), (62.5, 2337.0)])
def test_the_analyser_selects_one_line(path, energy, hwp_deg, mev):
    rate = path.rate(replace(STATE, hwp_deg=hwp_deg))

    assert energy[rate.argmax()] == pytest.approx(mev, abs=0.15)


def test_the_doublet_is_resolved_without_the_polarizer_when_cold(path, energy):
    rate = path.rate(replace(STATE, analyser_in=0.0))

    low, dip, high = (rate[np.abs(energy - mev).argmin()] for mev in (2335, 2336, 2337))
    assert dip < 0.6 * min(low, high)


@pytest.mark.parametrize(("kelvin", "maxima"), [(30.0, 2), (60.0, 1)])
def test_the_doublet_blurs_when_warm(path, kelvin, maxima):
    rate = path.rate(replace(STATE, hwp_deg=40.0, temperature_k=kelvin))

    middle = rate[1:-1]
    peaks = (middle > rate[:-2]) & (middle > rate[2:]) & (middle > 0.3 * rate.max())
    assert peaks.sum() == maxima


def test_the_pump_line_is_where_the_filter_is(path, sample):
    nm = pixel_wavelengths(531.0, sample.spectrometer)
    near = np.abs(nm - 515.0) < 3

    rate = path.rate(replace(STATE, pump_nm=515.0))[near]

    above = nm[near][rate > (rate.max() + rate.min()) / 2]
    assert nm[near][rate.argmax()] == pytest.approx(515.0, abs=0.1)
    assert np.ptp(above) == pytest.approx(1.8, abs=0.15)


def test_continuum_leaks_past_the_filter(path, sample):
    rate = path.rate(replace(STATE, spec_nm=650.0))

    scattered_uw = rate / (2 * 5000) / 0.5
    per_nm = scattered_uw / sample.spectrometer.dispersion[0]
    pump_per_nm = 50.0 / 1.8
    assert per_nm.mean() / pump_per_nm == pytest.approx(1e-5 * 216 / 80, rel=0.05)


def test_light_is_proportional_to_the_slit_up_to_the_fibre_s_image(path):
    half, full, wide = (
        path.rate(replace(STATE, slit_um=width)).sum() for width in (50.0, 100.0, 400.0)
    )

    assert half / full == pytest.approx(0.5, rel=1e-3)
    assert wide == full


def test_collection_falls_beside_the_crystal(path):
    blurred = replace(STATE, position_um=(20.0, 20.0, 23.0))
    weak = replace(STATE, power_uw=25.0)

    def emitted(state):
        edges = pixel_edges(531.0, load_sample().spectrometer)
        return (path.rate(state) - path.scattered(state, edges)).sum()

    assert emitted(blurred) / emitted(weak) == pytest.approx(0.5)


def test_a_rate_cannot_be_written_to(path):
    with pytest.raises(ValueError, match="read-only"):
        path.rate(STATE)[0] = 1.0


def test_the_same_state_is_worked_out_once(path):
    assert path.rate(STATE) is path.rate(replace(STATE))
