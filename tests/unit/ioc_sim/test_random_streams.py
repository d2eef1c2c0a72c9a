"""Noise that does not depend on who asks, or how often."""

import numpy as np
import pytest
from scipy import stats

from ioc_sim.random_streams import (
    RedNoise,
    WhiteNoise,
    hash_noise,
    hash_normal,
    stream,
)


def test_a_stream_is_its_seed_device_and_counter():
    def draw(*key):
        return stream(*key).integers(2**62)

    values = {draw(1, "ccd", 1), draw(2, "ccd", 1), draw(1, "x", 1), draw(1, "ccd", 2)}

    assert draw(1, "ccd", 1) == draw(1, "ccd", 1)
    assert len(values) == 4


def test_streams_are_the_same_on_every_machine():
    words = stream(7, "ccd", 3).bit_generator.random_raw(2)

    assert words.tolist() == [16444629493850094868, 5134611324584515983]


def test_hashed_numbers_are_standard_normal_and_independent():
    normal = hash_normal(123, np.arange(20000))

    assert stats.kstest(normal, "norm").pvalue > 0.01
    assert abs(np.corrcoef(normal[1:], normal[:-1])[0, 1]) < 0.03


def test_hash_noise_holds_within_its_cell_and_changes_beyond():
    first, same, other = (
        hash_noise(1, "x", time, grid_s=0.5) for time in (1.0, 1.4, 1.6)
    )

    assert first == same
    assert first != other


def test_white_noise_has_its_rms_in_one_cell_and_no_memory():
    noise = WhiteNoise(3, "jitter", rms=0.004, cell_s=0.01)

    cells = np.array([noise.mean(i * 0.01, (i + 1) * 0.01) for i in range(3000)])

    assert cells.std() == pytest.approx(0.004, rel=0.05)
    assert abs(np.corrcoef(cells[1:], cells[:-1])[0, 1]) < 0.06


def test_white_noise_averages_as_one_over_the_root_of_time():
    noise = WhiteNoise(4, "jitter", rms=1.0, cell_s=0.01)

    means = np.array([noise.mean(float(i), float(i + 1)) for i in range(1000)])

    assert means.std() == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("kind", [WhiteNoise, RedNoise])
def test_the_mean_over_an_interval_is_that_of_its_parts(kind):
    scale = {"cell_s": 0.01} if kind is WhiteNoise else {"time_s": 600.0}
    noise = kind(5, "power", rms=1.0, **scale)

    whole = noise.mean(2.0, 3607.0)
    parts = (5 * noise.mean(2.0, 7.0) + 3600 * noise.mean(7.0, 3607.0)) / 3605

    assert whole == pytest.approx(parts, abs=1e-12)


@pytest.mark.parametrize("kind", [WhiteNoise, RedNoise])
def test_the_mean_of_a_point_is_the_limit_of_short_intervals(kind):
    scale = {"cell_s": 0.01} if kind is WhiteNoise else {"time_s": 600.0}
    noise = kind(5, "power", rms=1.0, **scale)

    assert noise.mean(50.001, 50.001) == pytest.approx(
        noise.mean(50.001, 50.0011), abs=1e-4
    )


def test_red_noise_keeps_its_variance_and_forgets_in_its_time():
    noise = RedNoise(6, "drift", rms=0.01, time_s=60.0)

    values = np.array([noise.mean(t, t) for t in np.arange(0, 60 * 2000, 60.0)])

    assert values.std() == pytest.approx(0.01, rel=0.1)
    assert np.corrcoef(values[1:], values[:-1])[0, 1] == pytest.approx(
        np.exp(-1), abs=0.08
    )


def test_red_noise_does_not_depend_on_what_was_asked_before():
    asked, fresh = (RedNoise(6, "drift", rms=1.0, time_s=60.0) for _ in range(2))
    for time in (10.0, 5000.0, 70.0):
        asked.mean(time, time + 1)

    assert asked.mean(9000.0, 9001.0) == fresh.mean(9000.0, 9001.0)
