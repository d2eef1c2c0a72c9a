"""Reduction of raw frames against a camera simulated here."""

import numpy as np
import pytest

from triplet_bluesky.analysis.frames import reduce_frames
from triplet_bluesky.errors import FitError

NPIX = 1024
GAIN = 10.0  # e-/ADU
READ = 6.0  # e-
BIAS = 300.0  # ADU
ROUNDING = GAIN / np.sqrt(12)  # e-
SHAPE = 20 + 900 * np.exp(-(((np.arange(NPIX) - 500) / 60) ** 2))


def camera(rng, mean_e, frames=1, bias=BIAS):
    electrons = rng.poisson(np.broadcast_to(mean_e, (frames, NPIX))).astype(float)
    electrons += READ * rng.normal(size=electrons.shape)
    return np.clip(np.round(electrons / GAIN + bias), 0, 65535).astype(np.uint16)


def reduce(frames, dark, **options):
    options = {"gain_e_per_adu": GAIN, "exposure_s": 2.0, **options}
    return reduce_frames(frames, dark, **options)


@pytest.mark.parametrize("dark_frames", [1, 2, 3, 10])
@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_counts_and_their_variance_are_right(frames, dark_frames):
    rng = np.random.default_rng(10 * frames + dark_frames)

    spectrum = reduce(camera(rng, SHAPE, frames), camera(rng, 0.0, dark_frames))

    pulls = (spectrum.counts - frames * SHAPE * spectrum.weight) / np.sqrt(
        frames * SHAPE * spectrum.weight + spectrum.variance
    )
    assert spectrum.exposure_s == 2.0 * frames
    assert spectrum.read_noise_e == pytest.approx(np.hypot(READ, ROUNDING), rel=0.1)
    assert np.mean(pulls) == pytest.approx(0, abs=0.15)
    assert np.std(pulls) == pytest.approx(1, abs=0.08)
    assert spectrum.cosmic_hits <= 1
    assert spectrum.mask.all()


def test_a_flat_dark_level_costs_no_noise_and_a_pattern_is_subtracted():
    rng = np.random.default_rng(5)
    pattern = BIAS + 3.0 * rng.normal(size=NPIX)

    flat = reduce(camera(rng, SHAPE, 3), camera(rng, 0.0, 3))
    patterned = reduce(camera(rng, SHAPE, 3, pattern), camera(rng, 0.0, 3, pattern))

    once = 3 * flat.read_noise_e**2
    assert np.median(flat.variance) < 1.15 * once
    assert np.median(patterned.variance) == pytest.approx(2 * once, rel=0.1)
    pulls = (patterned.counts - 3 * SHAPE) / np.sqrt(3 * SHAPE + patterned.variance)
    assert np.std(pulls) == pytest.approx(1, abs=0.08)


def test_a_hot_pixel_keeps_its_own_dark_level():
    rng = np.random.default_rng(6)
    bias = np.full(NPIX, BIAS)
    bias[77] += 40

    spectrum = reduce(camera(rng, 0.0, 3, bias), camera(rng, 0.0, 3, bias))

    assert abs(spectrum.counts[77]) < 5 * np.sqrt(spectrum.variance[77])


@pytest.mark.parametrize("frames", [2, 3, 6])
@pytest.mark.parametrize("brightness", [1.0, 100.0])
def test_cosmic_rays_go_and_the_rate_stays(frames, brightness):
    rng = np.random.default_rng(frames)
    mean = brightness * SHAPE
    raw = camera(rng, mean, frames)
    where = rng.choice(NPIX, 30, replace=False)
    raw[rng.integers(frames, size=30), where] += 4000

    spectrum = reduce(raw, camera(rng, 0.0, 5))

    assert spectrum.cosmic_hits == 30
    assert spectrum.weight[where] == pytest.approx(1 - 1 / frames, rel=0.02)
    pulls = (spectrum.rate[where] - mean[where] / 2) / spectrum.rate_sigma[where]
    assert np.abs(np.mean(pulls)) < 4 / np.sqrt(30)
    assert np.std(pulls) == pytest.approx(1, abs=0.4)


def test_two_cosmic_rays_on_one_pixel_both_go():
    rng = np.random.default_rng(1)
    raw = camera(rng, SHAPE, 4)
    raw[[0, 2], 300] += np.array([500, 90], dtype=np.uint16)

    spectrum = reduce(raw, camera(rng, 0.0, 3))

    assert spectrum.cosmic_hits == 2
    assert spectrum.weight[300] == pytest.approx(0.5, rel=0.02)


def test_a_laser_that_drifts_makes_no_cosmic_rays():
    rng = np.random.default_rng(2)
    drift = np.array([1.0, 0.9, 1.2])
    raw = np.vstack([camera(rng, 500 * SHAPE * d) for d in drift])
    raw[1, 500] += 4000

    spectrum = reduce(raw, camera(rng, 0.0, 3))

    assert spectrum.cosmic_hits == 1
    np.testing.assert_allclose(spectrum.scales, drift / drift.mean(), rtol=1e-3)
    assert spectrum.weight[500] == pytest.approx(2.2 / 3.1, rel=1e-3)


def test_false_alarms_are_rare():
    rng = np.random.default_rng(3)

    hits = sum(
        reduce(camera(rng, level * SHAPE, 3), camera(rng, 0.0, 3)).cosmic_hits
        for level in np.geomspace(0.01, 100, 40)
    )

    assert hits <= 2


def test_cosmic_rays_in_the_dark_frames_do_no_harm():
    rng = np.random.default_rng(4)
    for number in (2, 3):
        dark = camera(rng, 0.0, number)
        dark[0, ::40] += 300

        spectrum = reduce(camera(rng, SHAPE, 3), dark)

        pulls = (spectrum.counts - 3 * SHAPE) / np.sqrt(3 * SHAPE + spectrum.variance)
        assert np.std(pulls) == pytest.approx(1, abs=0.1)


def test_saturation_is_counted_and_masked_unless_it_is_a_cosmic_ray():
    rng = np.random.default_rng(7)
    raw = camera(rng, SHAPE, 3)
    raw[:, 500:503] = 65535
    raw[1, 900] = 65535

    spectrum = reduce(raw, camera(rng, 0.0, 3))

    assert spectrum.saturated_pixels == 3
    assert not spectrum.mask[500:503].any()
    assert spectrum.mask[900]
    assert np.isnan(spectrum.rate[500])
    assert spectrum.cosmic_hits == 1


def test_pixels_that_are_not_finite_are_masked():
    rng = np.random.default_rng(8)
    raw = camera(rng, SHAPE, 3).astype(float)
    dark = camera(rng, 0.0, 3).astype(float)
    raw[0, 10] = np.nan
    dark[1, 20] = np.nan
    raw[2, 30] = -np.inf

    spectrum = reduce(raw, dark)

    assert np.flatnonzero(~spectrum.mask).tolist() == [10, 20, 30]
    assert np.isfinite(spectrum.counts).all()
    assert np.isfinite(spectrum.variance).all()


def test_nothing_finite_is_all_masked():
    nothing = np.full((2, 16), np.nan)

    spectrum = reduce(nothing, nothing)

    assert not spectrum.mask.any()


def test_a_camera_without_noise_has_that_of_rounding():
    spectrum = reduce(np.full((3, 16), 310.0), np.full((3, 16), 300.0))

    assert spectrum.read_noise_e == pytest.approx(ROUNDING)
    assert spectrum.counts.tolist() == [300.0] * 16


@pytest.mark.parametrize(
    ("frames", "dark"), [((3, 5), (3, 6)), ((2, 3, 5), (3, 5)), ((0, 5), (3, 5))]
)
def test_frames_that_do_not_belong_together_are_refused(frames, dark):
    with pytest.raises(FitError, match="of the same camera"):
        reduce(np.ones(frames), np.ones(dark))


@pytest.mark.parametrize("wrong", [{"gain_e_per_adu": 0.0}, {"exposure_s": np.nan}])
def test_a_gain_and_an_exposure_are_needed(wrong):
    with pytest.raises(FitError, match="above zero"):
        reduce(np.ones((3, 5)), np.ones((3, 5)), **wrong)


def test_a_dark_frame_is_needed():
    with pytest.raises(FitError, match="needs a dark frame"):
        reduce(np.ones((3, 5)), np.ones((0, 5)))
