"""The equations of the bench's model against independent calculations and limits."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq, curve_fit

from ioc_sim.carriers import Carriers, Pump, clamped_decay, lase
from ioc_sim.detection import pixel_wavelengths
from ioc_sim.emission import Crystal
from ioc_sim.light_path import BenchState, LightPath

HC = 1239841.984
"""meV nm."""

BOLTZMANN = 0.08617333
"""meV/K."""

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

WAVELENGTHS = [485.0, 495.0, 510.0, 520.0, 526.0, 527.0, 530.0, 535.0, 600.0, 690.0]


def pump(nm, power_uw, bandwidth_nm=1.8):
    return Pump(wavelength_nm=nm, bandwidth_nm=bandwidth_nm, power_uw=power_uw)


def photons(nm, power_uw):
    """Photons a pulse, from Planck's constant and 78 MHz."""
    return power_uw * 1e-6 / 78e6 * nm * 1e-9 / (6.62607015e-34 * 299792458.0)


# (1) absorption


@pytest.mark.parametrize("nm", WAVELENGTHS)
@pytest.mark.parametrize("kelvin", [4.0, 77.0, 295.0])
def test_no_more_is_absorbed_than_comes_in(sample, nm, kelvin):
    feed = Carriers(sample).feed(pump(nm, 50.0), kelvin)

    absorbed = feed.cold + feed.hot
    assert 0 <= absorbed <= 0.2 * photons(nm, 50.0)
    assert 0 <= feed.cooled <= feed.hot


@pytest.mark.parametrize("mev", [2325.0, 2352.0, 2357.1, 2380.0, 2505.0])
@pytest.mark.parametrize("sigma", [0.5, 3.43, 9.0])
def test_absorption_is_that_of_a_sharp_pump_averaged_over_the_pump_line(
    sample, mev, sigma
):
    """The exciton's share; the continuum's edge is broad against the pump."""
    carriers = Carriers(sample)

    def weighted(energy):
        line = math.exp(-(((energy - mev) / sigma) ** 2) / 2)
        line /= sigma * math.sqrt(2 * math.pi)
        return line * carriers.absorption(energy, 1e-6, 4.0)[0]

    span = 8 * sigma
    mean = quad(weighted, mev - span, mev + span, points=[mev])[0]

    assert carriers.absorption(mev, sigma, 4.0)[0] == pytest.approx(
        mean, rel=1e-6, abs=1e-12
    )


def test_weak_light_is_absorbed_in_proportion(sample):
    carriers = Carriers(sample)

    feeds = [carriers.feed(pump(495.0, power), 4.0) for power in (1e-3, 1e-2)]

    assert feeds[1].cooled / feeds[0].cooled == pytest.approx(10.0)


# (2) feed: what saturates, and what does not


@pytest.mark.parametrize("nm", [495.0, 505.0, 515.0])
def test_cooled_carriers_never_carry_more_heat_than_the_phonons_take(sample, nm):
    carriers = Carriers(sample)
    excess = HC / nm - 2352.0

    for power in np.geomspace(1, 1e4, 20):
        feed = carriers.feed(pump(nm, power), 4.0)
        kept = 0.911 ** (excess / 19.0)
        assert feed.cooled / kept * excess <= carriers.phonon_limit * (1 + 1e-9)


def test_the_knee_moves_with_the_excess_energy_and_vanishes_on_resonance(sample):
    """The power of the knee is where hot carriers times excess reach the limit."""
    carriers = Carriers(sample)

    def knee(nm):
        feed = carriers.feed(pump(nm, 1.0), 4.0)
        return carriers.phonon_limit / (feed.hot * feed.excess_mev)

    assert knee(495.0) == pytest.approx(45.5)
    assert knee(510.0) > 1.2 * knee(495.0)
    assert knee(526.0) > 20 * knee(495.0)


# (3) lasing


def test_emitted_light_is_what_was_fed_at_every_power(sample):
    dark_rim = sample.model_copy(
        update={"background": sample.background.model_copy(update={"share": 0.0})}
    )
    crystal = Crystal(dark_rim)

    for nm in (495.0, 526.0):
        for power in (0.1, 3.0, 15.0, 50.0, 100.0):
            emission = crystal.emit(pump(nm, power), 4.0)
            total = emission.stimulated_rate + emission.spontaneous.rate
            assert total == pytest.approx(emission.overdrive)


@pytest.mark.parametrize("nm", WAVELENGTHS)
@pytest.mark.parametrize("kelvin", [4.0, 150.0])
def test_fewer_photons_go_out_than_come_in(sample, nm, kelvin):
    crystal = Crystal(sample)

    for power in (0.01, 10.0, 300.0):
        emission = crystal.emit(pump(nm, power), kelvin)
        pairs = crystal.carriers.threshold(kelvin)
        out = pairs * sum(line.rate for line in emission.lines)
        heat_free = pairs * sum(line.rate * line.energy_mev for line in emission.lines)
        assert out <= photons(nm, power)
        assert heat_free <= photons(nm, power) * HC / nm


def test_the_threshold_is_a_kink_of_two_straight_lines_for_small_beta():
    decay = clamped_decay(49.0, 268.0)

    for x in (0.5, 0.9):
        assert lase(x, 1e-9, decay)[0] == pytest.approx(0.0, abs=1e-7)
    for x in (1.1, 1.5):
        late = decay * math.log(x)
        assert lase(x, 1e-9, decay)[0] == pytest.approx(x - 1 - late, abs=1e-6)


@pytest.mark.parametrize(("x", "light", "band"), [(23.0, 21.61, 1.391)])
def test_it_agrees_with_the_rate_equations_as_far_as_it_is_meant_to(x, light, band):
    stimulated, spontaneous = lase(x, 1e-3, clamped_decay(49.0, 268.0))

    assert stimulated == pytest.approx(light, rel=0.003)
    assert spontaneous == pytest.approx(band, rel=0.003)


@pytest.mark.parametrize("x", [0.3, 1.3, 2.0, 8.0, 40.0])
def test_in_time_no_carrier_is_lost_and_few_are_left_for_the_next_shot(x):
    """Rate equations of reservoir, carriers and photons over one laser period."""
    feed, late, photon, beta = 49.0, 268.0, 2.0, 1e-3
    threshold = clamped_decay(feed, late) * late / feed

    def rates(_, y):
        reservoir, carriers, light = y[:3]
        gain = (carriers / threshold - 0.6) / 0.4
        return [
            -reservoir / feed,
            reservoir / feed - carriers / late - gain * light / photon,
            (gain - 1) * light / photon + beta * carriers / late,
            light / photon,
            (1 - beta) * carriers / late,
        ]

    solved = solve_ivp(
        rates, (0, 12820), [x, 0, 0, 0, 0], method="LSODA", rtol=1e-8, atol=1e-10
    ).y[:, -1]
    stimulated, spontaneous = lase(x, beta, clamped_decay(feed, late))

    assert solved.sum() == pytest.approx(x, rel=1e-6)
    assert solved[:3].sum() < 1e-12 + 1e-6 * x
    if x >= 2:
        assert stimulated == pytest.approx(solved[3], rel=0.025)
        assert spontaneous == pytest.approx(solved[4], rel=0.045)
    else:  # rounding of the S-curve only
        assert stimulated == pytest.approx(solved[3], abs=0.07)


@pytest.mark.parametrize(("kelvin", "ratio"), [(10, 1.065), (20, 1.183), (40, 1.46)])
def test_the_threshold_rises_with_temperature(sample, kelvin, ratio):
    crystal = Crystal(sample)

    def threshold(temperature):
        return brentq(
            lambda power: crystal.emit(pump(495.0, power), temperature).overdrive - 1,
            1,
            200,
        )

    assert threshold(kelvin) / threshold(4.0) == pytest.approx(ratio, rel=0.02)


# (5) energies


def test_filling_shifts_by_the_power_two_thirds_of_the_density(sample):
    crystal = Crystal(sample)

    def energy(power):
        return crystal.emit(pump(526.0, power), 4.0).low.energy_mev

    empty = energy(0.0)
    assert energy(40.0) - empty == pytest.approx(4 * (energy(5.0) - empty), rel=1e-6)
    assert energy(50.0) - empty == pytest.approx(1.6)


def test_the_whole_red_shift_has_its_three_parts(variant):
    """Filling, hot carriers and site selection, each alone, make up the sum."""
    parts = {"filling_shift": 1.6, "hot_shift": 0.008, "site_shift": 0.15}

    def shift(kept):
        changes = {f"emission__{name}": 0.0 for name in parts if name not in kept}
        crystal = Crystal(variant(**changes))
        near, far = (crystal.emit(pump(nm, 50.0), 4.0) for nm in (530.0, 495.0))
        return far.low.energy_mev - near.low.energy_mev

    alone = [shift({name}) for name in parts]

    assert shift(parts) == pytest.approx(sum(alone))
    assert shift({"hot_shift"}) == pytest.approx(0.008 * (HC / 495 - 2352))


# (6) temperature


@pytest.mark.parametrize("kelvin", [4.0, 50.0, 100.0, 200.0, 295.0])
def test_lines_follow_bose_and_einstein(sample, kelvin):
    emission = Crystal(sample).emit(pump(495.0, 10.0), kelvin)
    cold = Crystal(sample).emit(pump(495.0, 10.0), 4.0)

    def occupied(mev, temperature):
        return 1 / math.expm1(mev / (BOLTZMANN * temperature))

    gap = 24.0 * (1 / math.expm1(100.0 / kelvin) - 1 / math.expm1(100.0 / 4.0))
    width = 0.008 * (kelvin - 4.0) + 60.0 * occupied(19.0, kelvin)
    hot = sample.emission.hot_shift * gap  # the pump has less excess energy
    moved = emission.spontaneous.energy_mev - cold.spontaneous.energy_mev
    assert moved == pytest.approx(gap - hot / 2, abs=0.3)
    assert emission.spontaneous.fwhm_mev == pytest.approx(16.0 + width, rel=1e-6)
    assert emission.low.fwhm_mev == pytest.approx(0.85 + width, rel=1e-6)


def test_it_lases_on_the_tracked_resonance_up_to_250_k(sample):
    crystal = Crystal(sample)

    def overdrive(kelvin):
        resonance = 2353.0 + 24.0 / math.expm1(100.0 / kelvin)
        return crystal.emit(pump(HC / resonance, 80.0), kelvin).overdrive

    assert brentq(lambda kelvin: overdrive(kelvin) - 1, 100, 290) == pytest.approx(
        256.0, abs=12.0
    )


# (7) polarization


def mueller(hwp_deg, *, across):
    """Stokes vector's intensity behind plate, polarizer and grating: first row."""
    double = math.radians(2 * hwp_deg)
    cosine, sine = math.cos(double), math.sin(double)
    delta = math.radians(183.0)
    plate = np.eye(4)
    plate[1:, 1:] = [
        [
            cosine**2 + sine**2 * math.cos(delta),
            cosine * sine * (1 - math.cos(delta)),
            -sine * math.sin(delta),
        ],
        [
            cosine * sine * (1 - math.cos(delta)),
            sine**2 + cosine**2 * math.cos(delta),
            cosine * math.sin(delta),
        ],
        [sine * math.sin(delta), -cosine * math.sin(delta), math.cos(delta)],
    ]
    diattenuator = np.zeros((4, 4))
    diattenuator[:2, :2] = [[1 + across, 1 - across], [1 - across, 1 + across]]
    return (diattenuator / 2 @ plate)[0]


PLATES = np.arange(0.0, 180.0, 10.0)


@pytest.mark.parametrize(("covered", "across"), [(1.0, 0.55 * 5e-5), (0.0, 0.55)])
def test_each_line_passes_as_mueller_calculus_has_it(sample, covered, across):
    path = LightPath(sample)

    for plate in PLATES:
        state = replace(STATE, hwp_deg=plate, analyser_in=covered)
        for line, passed in path.lines(state):
            axis = math.radians(2 * line.axis_deg)
            stokes = [
                1.0,
                line.dolp * math.cos(axis),
                line.dolp * math.sin(axis),
                0.0,
            ]
            expected = mueller(plate, across=across) @ stokes
            assert passed == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("nm", "low", "high"), [(526.0, 0.900, 0.992), (495.0, 0.801, 0.882)]
)
def test_stokes_parameters_of_the_doublet_from_a_turn_of_the_plate(
    sample, nm, low, high
):
    """Frozen shapes on each spectrum, then the Stokes vector that fits all angles."""
    path = LightPath(sample)
    state = replace(STATE, pump_nm=nm)
    shapes = [
        path_shape(sample, line)
        for line in path.map.crystal(0).emit(pump(nm, 50.0), 4.0).lines
    ]
    window = np.abs(pixel_wavelengths(531.0, sample.spectrometer) - 530.7) < 1.5
    spectra = np.array(
        [
            path.rate(replace(state, hwp_deg=plate))
            - path.scattered(replace(state, hwp_deg=plate), edges(sample))
            for plate in PLATES
        ]
    )
    heights = np.linalg.lstsq(
        np.array(shapes).T[window], spectra[:, window].T, rcond=None
    )[0]
    design = np.array([mueller(plate, across=0.55 * 5e-5)[:3] for plate in PLATES])
    stokes = np.linalg.lstsq(design, heights.T, rcond=None)[0]
    degree = np.hypot(stokes[1], stokes[2]) / stokes[0]
    axis = np.degrees(np.arctan2(stokes[2], stokes[1])) / 2 % 180

    assert degree[:2] == pytest.approx([low, high], abs=0.002)
    assert degree[2] < 0.3
    assert axis[0] == pytest.approx(35.0, abs=0.1)
    assert abs(axis[1] - axis[0]) == pytest.approx(90.0, abs=0.1)


def edges(sample):
    centre = pixel_wavelengths(531.0, sample.spectrometer)
    return np.append(centre - 0.0415 / 2, centre[-1] + 0.0415 / 2)


def path_shape(sample, line):
    """Shape of a line on the camera: its own width and 0.159 nm, in wavelength."""
    nm = HC / line.energy_mev
    own = line.fwhm_mev * nm**2 / HC
    sigma = math.hypot(own, 0.159) / 2.3548
    at = pixel_wavelengths(531.0, sample.spectrometer)
    shape = np.exp(-(((HC / at - line.energy_mev) * nm**2 / HC / sigma) ** 2) / 2)
    return shape / shape.sum()


# the paper's numbers on the camera


def test_the_lines_are_visible_from_16_microwatts(sample):
    """On the camera the sharp peak has a fifth of the band's height."""
    path = LightPath(sample)

    def height(power):
        state = replace(STATE, pump_nm=495.0, power_uw=power)
        low, high, band = (
            line.rate * share * path_shape(sample, line)
            for line, share in path.lines(state)
        )
        return (low + high).max() / band.max()

    assert brentq(lambda power: height(power) - 0.2, 10, 25) == pytest.approx(
        16.0, abs=1.0
    )
    assert height(10.0) < 0.03


def test_peaks_are_where_the_paper_has_them(sample):
    emission = Crystal(sample).emit(pump(495.0, 50.0), 4.0)

    assert HC / emission.low.energy_mev == pytest.approx(530.67, abs=0.1)
    assert HC / emission.spontaneous.energy_mev == pytest.approx(530.11, abs=0.1)


def test_the_band_is_narrower_than_4_nm_on_the_camera(sample):
    path = LightPath(sample)
    at = pixel_wavelengths(531.0, sample.spectrometer)
    weak = replace(STATE, pump_nm=495.0, power_uw=2.0)

    def gauss(x, height, centre, width):
        return height * np.exp(-4 * math.log(2) * ((x - centre) / width) ** 2)

    fit = curve_fit(gauss, at, path.rate(weak), [1e3, 530.0, 3.0])[0]

    assert fit[2] == pytest.approx(3.63, abs=0.05)


@pytest.mark.parametrize(("kelvin", "maxima"), [(4, 2), (40, 2), (50, 1), (80, 1)])
def test_the_fine_structure_needs_the_cryostat(sample, kelvin, maxima):
    rate = LightPath(sample).rate(replace(STATE, hwp_deg=40.0, temperature_k=kelvin))

    middle = rate[1:-1]
    peaks = (middle > rate[:-2]) & (middle > rate[2:]) & (middle > 0.3 * rate.max())
    assert peaks.sum() == maxima


# (8) focus


def test_threshold_and_knee_move_by_a_tenth_for_a_tenth_less_overlap(sample):
    crystal = Crystal(sample)

    def output(power, overlap):
        return crystal.emit(pump(495.0, power), 4.0, overlap=overlap).stimulated_rate

    for power in (10.0, 16.0, 50.0, 80.0):
        assert output(power / 0.9, 0.9) == pytest.approx(output(power, 1.0))
