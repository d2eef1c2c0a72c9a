"""What Ying et al. report, read from the expected light of the simulated bench."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq, curve_fit, minimize_scalar
from scipy.special import erf

from ioc_sim.carriers import Pump
from ioc_sim.emission import Crystal

HC = 1239841.984
"""meV nm."""


def stimulated(emit, energy_mev, power_uw=50.0, **kwargs):
    return emit(HC / energy_mev, power_uw, **kwargs).stimulated_rate


def maximum(function):
    found = minimize_scalar(
        lambda energy: -function(energy), bounds=(2330, 2365), method="bounded"
    )
    return found.x


def ple_fit(function):
    """Fit an exciton and a continuum step to 19 wavelengths from 495 to 531 nm."""

    def model(energy, *parameters):
        height, centre, width, step, edge, blur = parameters
        line = height * np.exp(-((energy - centre) ** 2) / (2 * width**2))
        return line + step / 2 * (1 + erf((energy - edge) / (math.sqrt(2) * blur)))

    energy = HC / np.linspace(495.0, 531.0, 19)
    values = np.array([function(mev) for mev in energy])
    guess = [values.max(), energy[values.argmax()], 10, values[0], 2371, 8]
    return curve_fit(model, energy, values, guess, maxfev=20000)[0][1]


@pytest.mark.parametrize("dose", ["power", "photons"])
def test_the_ple_maximum_is_18_mev_above_the_emission(emit, dose):
    def excited(energy):
        scale = energy / 2357.1 if dose == "photons" else 1.0
        return stimulated(emit, energy, 50.0 * scale)

    peak = maximum(excited)

    assert peak == pytest.approx(2353.0, abs=0.2)
    assert peak - emit(526.0, 50.0).low.energy_mev == pytest.approx(18.0, abs=0.2)


def test_ple_maxima_of_both_emissions_agree(emit):
    band = maximum(lambda energy: emit(HC / energy, 50.0).spontaneous.rate)

    assert band == pytest.approx(2353.0, abs=0.2)


def test_a_fit_of_line_and_step_to_the_ple_is_pulled_by_half_a_mev_more(emit):
    centre = ple_fit(lambda energy: stimulated(emit, energy))

    assert centre == pytest.approx(2353.45, abs=0.05)


@pytest.mark.parametrize("find", [maximum, ple_fit])
def test_the_ple_maximum_follows_the_exciton_and_the_lines_stay(emit, variant, find):
    moved = Crystal(variant(absorption__exciton=2345.0))

    here = find(lambda energy: stimulated(emit, energy))
    there = find(lambda energy: stimulated(emit, energy, crystal=moved))

    assert there - here == pytest.approx(-7.0, abs=0.15)
    assert emit(526.0, 50.0, crystal=moved).low.energy_mev == pytest.approx(2335.0)


def test_stimulated_emission_is_eight_to_eleven_times_stronger_on_resonance(emit):
    def ratio(power_495):
        on, off = emit(526.0, power_495 * 495 / 526), emit(495.0, power_495)
        return on.stimulated_rate / off.stimulated_rate

    assert ratio(50.0) == pytest.approx(7.7, abs=0.2)
    assert ratio(80.0) == pytest.approx(11.2, abs=0.3)


@pytest.mark.parametrize("power_495", [50.0, 80.0])
def test_spontaneous_emission_is_30_percent_stronger_on_resonance(emit, power_495):
    on, off = emit(526.0, power_495 * 495 / 526), emit(495.0, power_495)

    ratio = on.spontaneous.rate / off.spontaneous.rate

    assert ratio == pytest.approx(1.29, abs=0.02)


def test_threshold_at_495_nm_is_15_microwatts(emit):
    half = brentq(lambda power: emit(495.0, power).overdrive - 1, 1, 60)

    assert half == pytest.approx(15.45, abs=0.01)
    assert emit(495.0, 5.0).stimulated_rate / emit(495.0, 5.0).spontaneous.rate < 0.01


def test_output_turns_over_at_50_microwatts_off_resonance(emit):
    power = np.arange(20.0, 80.0, 1.0)
    output = np.array([emit(495.0, p).stimulated_rate for p in power])

    early, late = (
        np.polyfit(power[:15], output[:15], 1),
        np.polyfit(power[-15:], output[-15:], 1),
    )
    knee = (late[1] - early[1]) / (early[0] - late[0])

    assert knee == pytest.approx(50.0, abs=5.0)
    assert late[0] / early[0] < 0.15


def test_output_is_linear_to_80_microwatts_on_resonance(emit):
    power = np.arange(10.0, 81.0, 5.0)
    output = np.array([emit(526.0, p).stimulated_rate for p in power])

    line = np.polyval(np.polyfit(power, output, 1), power)

    assert np.corrcoef(line, output)[0, 1] ** 2 > 0.999
    assert np.ptp(output - line) / output.max() < 0.01


def test_only_the_band_is_visible_below_12_microwatts(bench, quiet):
    def contrast(power_uw):
        world = bench(quiet, wavelength_nm=495.0, power_uw=power_uw)
        rate = world.expected_rate(world.state_at(0.0))
        nm = world.pixel_wavelengths(531.0)
        peak = rate[np.abs(nm - 530.7) < 0.5].max()
        return peak / rate[np.abs(nm - 529.5).argmin()]

    assert contrast(10.0) < 1.15
    assert contrast(18.0) > 1.3


def test_the_absolute_count_rates_span_four_decades(bench, quiet):
    weak = bench(quiet, wavelength_nm=495.0, power_uw=1.0)
    strong = bench(quiet, wavelength_nm=526.0, power_uw=80.0)

    peaks = [w.expected_rate(w.state_at(0.0)).max() for w in (weak, strong)]

    assert peaks[0] == pytest.approx(1.3e3, rel=0.2)
    assert peaks[1] == pytest.approx(3.8e6, rel=0.1)


def test_threshold_fluence_is_17_microjoules_per_square_centimetre(sample):
    pulse_uj = 15.0 / (sample.source.rate * 1e6)
    spot_cm2 = math.pi / 4 * (sample.spot.diameter * 1e-4) ** 2

    assert pulse_uj / spot_cm2 == pytest.approx(17.0, abs=0.05)


def test_a_pump_below_the_resonance_makes_no_light(sample):
    pump = Pump(wavelength_nm=650.0, bandwidth_nm=1.8, power_uw=200.0)

    emission = Crystal(sample).emit(pump, 4.0)

    assert sum(line.rate for line in emission.lines) < 1e-9
