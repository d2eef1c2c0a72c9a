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
