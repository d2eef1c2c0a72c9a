"""From the charge on the chip to counts."""

import math

import numpy as np
import pytest
from scipy import stats

from ioc_sim.camera import (
    FULL_LINE,
    ROWS,
    SATURATION_ADU,
    ReadOut,
    cosmic_rays,
    dark_rate,
    expose_chip,
    expose_line,
    read_out,
    row_shares,
    saturation_level,
)
from ioc_sim.detection import PIXELS
from ioc_sim.random_streams import stream


def test_dark_current_doubles_every_8_kelvin(sample):
    assert dark_rate(-70.0, sample.ccd) == 0.5
    assert dark_rate(-62.0, sample.ccd) == 1.0
    assert dark_rate(-20.0, sample.ccd) / 0.5 == pytest.approx(76, abs=0.2)


@pytest.fixture
def read(sample):
    def run(electrons, counter=1, exposure=0.0, gain=1.0, **changes):
        ccd = sample.ccd.model_copy(update=changes)
        rng = stream(1, "ccd", counter)
        expected = np.full(PIXELS, float(electrons))
        charge = expose_line(expected, exposure, rng, ccd)
        return read_out(charge, rng, setting=ReadOut(preamp_gain=gain), ccd=ccd)[0]

    return run


def test_an_empty_frame_is_bias_and_read_noise(read):
    frame = read(0.0)

    assert frame.dtype == np.uint16
    assert frame.mean() == pytest.approx(300.0, abs=0.1)
    assert frame.std() == pytest.approx(math.hypot(0.6, 1 / math.sqrt(12)), rel=0.1)


@pytest.mark.parametrize("electrons", [30.0, 2000.0, 1e5])
def test_photons_are_poissonian(read, electrons):
    counts = np.concatenate(
        [
            read(electrons, i, read_noise=0.0, gain=10.0, full_well=1e9)
            for i in range(20)
        ]
    ).astype(float)
    counts = counts[counts < SATURATION_ADU] - 300

    if electrons < 6e4:
        assert counts.mean() == pytest.approx(electrons, rel=0.01)
        assert counts.var() / counts.mean() == pytest.approx(1.0, abs=0.04)
    else:
        assert counts.size == 0


def test_a_small_rate_has_the_whole_poisson_distribution(read):
    counts = np.concatenate(
        [read(3.0, i, read_noise=0.0, gain=10.0) for i in range(10)]
    ).astype(int)

    observed = np.bincount(counts - 300, minlength=11)[:11]
    expected = stats.poisson(3.0).pmf(np.arange(11)) * counts.size
    chi2 = np.sum((observed - expected) ** 2 / expected)
    assert chi2 < 30


def test_counts_end_at_the_converter_s_range(read):
    assert set(read(1e6)) == {SATURATION_ADU}
    assert read(0.0, bias=0.0).min() == 0


def test_a_column_holds_its_full_well(read):
    frame = read(1e6, full_well=1e5, read_noise=0.0)

    assert set(frame) == {10300}


def test_preamplifier_divides_the_electrons_per_count(read):
    single, quadruple = (read(5000.0, gain=gain).mean() - 300 for gain in (1.0, 4.0))

    assert quadruple / single == pytest.approx(4.0, rel=0.02)


def test_cosmic_rays_come_at_their_rate_and_on_few_columns(sample):
    frames = [cosmic_rays(60.0, stream(1, "cosmic", i), sample.ccd) for i in range(500)]
    charge = np.array(frames)

    columns = (charge > 0).sum(axis=1)
    assert columns.mean() == pytest.approx(1.2 * 2, rel=0.15)
    assert charge.sum() / 500 == pytest.approx(1.2 * 4000, rel=0.2)
    assert cosmic_rays(0.0, stream(1, "cosmic", 0), sample.ccd).sum() == 0


def test_a_line_is_the_formula_of_its_docstring_to_the_last_bit(sample):
    ccd, expected = sample.ccd, np.geomspace(0.5, 2e6, PIXELS)
    rng, plain = stream(1, "ccd", 9), stream(1, "ccd", 9)
    line = expose_line(expected, 120.0, rng, ccd)
    frame = read_out(line, rng, setting=FULL_LINE, ccd=ccd)

    charge = plain.poisson(expected) + cosmic_rays(120.0, plain, ccd)
    charge = np.minimum(charge, ccd.full_well) + plain.normal(0.0, 6.0, PIXELS)
    counts = np.clip(np.rint(charge / 10.0 + 300.0), 0, 65535)

    assert np.array_equal(frame, [counts])


@pytest.fixture
def chip(sample):
    """Read an image of even light: electrons of a column, and of its darkness."""

    def run(light, dark=0.0, counter=1, exposure=0.0, **changes):
        settings = {"image": True} | changes.pop("setting", {})
        ccd = sample.ccd.model_copy(update=changes)
        rng = stream(1, "ccd", counter)
        charge = expose_chip(np.full(PIXELS, light), dark, exposure, rng, ccd)
        return read_out(charge, rng, setting=ReadOut(**settings), ccd=ccd)

    return run


def transfer(take, light, pairs):
    """Mean of the counts and their variance in time, over the pixels of each row."""
    frames = [take(light, number).astype(float) - 300 for number in range(2 * pairs)]
    first, second = np.array(frames[::2]), np.array(frames[1::2])
    mean, variance = (first + second) / 2, (first - second) ** 2 / 2
    return mean.mean(axis=(0, -1)), variance.mean(axis=(0, -1))


@pytest.mark.parametrize("gain", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("image", [True, False])
def test_photon_transfer_gives_gain_and_read_noise(sample, read, chip, gain, image):
    def line(light, counter):
        return read(light, counter, gain=gain, read_noise=30.0)

    def picture(light, counter):
        setting = {"preamp_gain": gain, "bin_y": 64}
        return chip(light, counter=counter, read_noise=30.0, setting=setting)

    # The variance rises with the mean by one over the gain, from the read noise on.
    take, pairs = (picture, 2) if image else (line, 20)
    points = [transfer(take, light, pairs) for light in np.geomspace(1e3, 1e5, 12)]
    mean = np.hstack([mean for mean, _ in points])
    variance = np.hstack([variance for _, variance in points])
    weight = 1 / (mean * gain / 10 + (3.0 * gain) ** 2)
    slope, offset = np.polyfit(mean, variance, 1, w=weight)

    assert 1 / slope == pytest.approx(sample.ccd.gain / gain, rel=0.02)
    noise = math.sqrt(offset - 1 / 12) / slope
    assert noise == pytest.approx(30.0, rel=0.06)


def test_the_rows_of_the_fibre_hold_all_its_light(sample):
    first, shares = row_shares(sample.ccd)

    rows = first + np.arange(shares.size)
    assert shares.sum() == pytest.approx(1.0)
    assert np.average(rows, weights=shares) == pytest.approx(127.5, abs=1e-6)
    width = math.sqrt(np.average((rows - 127.5) ** 2, weights=shares))
    assert width == pytest.approx(math.hypot(8.0 / 2.3548, 1 / math.sqrt(12)), rel=1e-3)
    assert shares[0] + shares[-1] < 1e-4


@pytest.mark.parametrize(("center", "height"), [(0.0, 20.0), (255.0, 8.0), (100, 256)])
def test_a_fibre_at_the_rim_of_the_chip_loses_nothing(sample, center, height):
    ccd = sample.ccd.model_copy(update={"fibre_center": center, "fibre_height": height})

    first, shares = row_shares(ccd)

    assert first >= 0
    assert first + shares.size <= ROWS
    assert shares.sum() == pytest.approx(1.0)


def test_a_line_is_the_sum_of_the_image_with_one_read_noise(read, chip):
    light, dark = 20_000.0, 500.0
    image = chip(light, dark).astype(float) - 300
    line = read(light + dark).astype(float) - 300

    total = image.sum(axis=0)
    shot = (light + dark) / 100
    assert total.mean() == pytest.approx(line.mean(), rel=2e-3)
    assert line.var() == pytest.approx(shot + 0.36, rel=0.15)
    # Each row that is read adds read noise and the step of the converter.
    assert total.var() == pytest.approx(shot + ROWS * (0.36 + 1 / 12), rel=0.15)


@pytest.mark.parametrize(("bin_x", "bin_y"), [(2, 1), (1, 4), (8, 16), (3, 5)])
def test_binned_pixels_are_sums_with_one_read_noise(chip, bin_x, bin_y):
    binning = {"bin_x": bin_x, "bin_y": bin_y}
    whole = chip(5000.0, 900.0, read_noise=0.0, gain=1.0).astype(float) - 300
    binned = chip(5000.0, 900.0, read_noise=0.0, gain=1.0, setting=binning) - 300.0
    dark = chip(0.0, setting=binning)

    rows, columns = binned.shape
    cut = whole[: rows * bin_y, : columns * bin_x]
    sums = cut.reshape(rows, bin_y, columns, bin_x).sum(axis=(1, 3))
    assert np.array_equal(binned, sums)
    assert dark.std() == pytest.approx(math.hypot(0.6, 1 / math.sqrt(12)), rel=0.1)


def test_a_region_is_cut_out_of_the_chip(chip):
    region = {"min_x": 100, "size_x": 30, "min_y": 120, "size_y": 12}
    whole = chip(5000.0, read_noise=0.0)

    part = chip(5000.0, read_noise=0.0, setting=region)

    assert np.array_equal(part, whole[120:132, 100:130])


def test_a_pixel_holds_less_than_the_register(sample, chip):
    bright = {"read_noise": 0.0}
    pixel = chip(1e8, **bright)
    binned = chip(1e8, **bright, setting={"bin_y": 2})

    assert pixel.max() == 50300
    assert binned.max() == SATURATION_ADU
    assert saturation_level(ReadOut(image=True), sample.ccd) == 50297
    assert saturation_level(ReadOut(image=True, bin_y=2), sample.ccd) == SATURATION_ADU


def test_a_full_pixel_always_counts_as_saturated(sample, chip):
    frame = chip(1e8)
    level = saturation_level(ReadOut(image=True), sample.ccd)

    assert (frame[124:132] >= level).all()
    assert (frame[:100] < level).all()


@pytest.mark.parametrize("dark", [1.0, 10.0, 256.0, 5120.0])
def test_dark_charge_is_poissonian_on_every_row(chip, dark):
    frames = np.array([chip(0.0, dark, i, read_noise=0.0, gain=1.0) for i in range(4)])
    counts = frames.astype(float) - 300

    for rows in (counts[:, :100], counts[:, 110:146], counts[:, 160:]):
        assert rows.mean() == pytest.approx(dark / ROWS, rel=0.08)
        assert rows.var() == pytest.approx(dark / ROWS, rel=0.08)


def test_cosmic_rays_of_an_image_are_those_of_a_line(sample, chip):
    quiet = {"read_noise": 0.0, "gain": 1.0, "bias": 0.0, "cosmic_rate": 600.0}
    ccd = sample.ccd.model_copy(update=quiet)
    tracks = chip(0.0, exposure=60.0, **quiet).astype(float)
    rng = stream(1, "ccd", 1)
    expose_chip(np.zeros(PIXELS), 0.0, 0.0, rng, ccd)

    hit = tracks > 0
    # A track is one to three columns wide and up to four rows high on each.
    assert hit.sum() == pytest.approx(600 * 2 * 2.5, rel=0.15)
    assert tracks.sum() == pytest.approx(600 * 4000, rel=0.15)
    line = cosmic_rays(60.0, stream(1, "cosmic", 1), ccd)
    columns = hit.any(axis=0).mean()
    assert columns == pytest.approx((line > 0).mean(), rel=0.1)


def test_image_noise_is_normal(sample):
    rng = stream(1, "ccd", 1)
    ccd = sample.ccd.model_copy(update={"gain": 1.0, "read_noise": 100.0, "bias": 3e4})
    empty = np.zeros((ROWS, PIXELS), dtype=np.float32)

    noise = read_out(empty, rng, setting=ReadOut(image=True), ccd=ccd) - 3e4

    assert noise.mean() == pytest.approx(0.0, abs=1.0)
    assert noise.std() == pytest.approx(100.0, rel=5e-3)
    assert stats.kurtosis(noise, axis=None) == pytest.approx(0.0, abs=0.03)
    assert np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1] < 0.01
