import numpy as np
import pytest

from triplet_bluesky.errors import PlanError
from triplet_bluesky.plans.pump_axis import pump_wavelengths

NO_SPAN = (None, None, None)


def test_a_span_includes_its_last_point_despite_rounding():
    assert pump_wavelengths(None, (520.0, 520.3, 0.1), "nm", "up") == pytest.approx(
        [520.0, 520.1, 520.2, 520.3]
    )


def test_energies_become_vacuum_wavelengths():
    (wavelength,) = pump_wavelengths([2.505], NO_SPAN, "eV", "up")

    assert wavelength == pytest.approx(1239.841984 / 2.505)


def test_an_energy_span_is_evenly_spaced_in_energy():
    wavelengths = pump_wavelengths(None, (2.34, 2.36, 0.005), "eV", "down")

    assert np.diff(1239.841984 / np.array(wavelengths)) == pytest.approx([0.005] * 4)


def test_down_is_up_reversed_whatever_the_order_of_the_ends():
    up = pump_wavelengths(None, (530.0, 520.0, 2.0), "nm", "up")

    assert pump_wavelengths(None, (520.0, 530.0, 2.0), "nm", "down") == up[::-1]


def test_interleaved_visits_every_point_once():
    points = pump_wavelengths(None, (520.0, 529.0, 1.0), "nm", "interleaved")

    assert sorted(points) == pump_wavelengths(None, (520.0, 529.0, 1.0), "nm", "up")
    assert points[:5] == [520.0, 522.0, 524.0, 526.0, 528.0]


@pytest.mark.parametrize(
    ("points", "span", "unit", "order", "says"),
    [
        (None, (520.0, None, 1.0), "nm", "up", "give all three"),
        ([520.0], (520.0, 521.0, 1.0), "nm", "up", "either points or start"),
        ([], NO_SPAN, "nm", "up", "at least one"),
        ("526", NO_SPAN, "nm", "up", "at least one"),
        (None, (520.0, 530.0, 0.0), "nm", "up", "positive step"),
        (None, (520.0, 530.0, float("nan")), "nm", "up", "positive step"),
        (None, (520.0, 530.0, 1e-5), "nm", "up", "too many"),
        ([520.0, 520.0], NO_SPAN, "nm", "up", "given twice"),
        ([-1.0], NO_SPAN, "nm", "up", "positive finite"),
        ([float("inf")], NO_SPAN, "eV", "up", "positive finite"),
        ([526.0], NO_SPAN, "um", "up", "'nm' or 'eV'"),
        ([526.0], NO_SPAN, "nm", "sideways", "'interleaved'"),
    ],
)
def test_what_makes_no_scan_is_refused_with_the_reason(points, span, unit, order, says):
    with pytest.raises(PlanError, match=says):
        pump_wavelengths(points, span, unit, order)
