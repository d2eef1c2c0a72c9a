"""The spectrograph over Channel Access, calibrated with its lamp as a user would."""

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.special import ndtr

from triplet_bluesky.devices import CCD, Spectrometer
from triplet_bluesky.devices.spectrometer import CAMERA, PHOTOMULTIPLIER
from triplet_bluesky.errors import MoveError

pytestmark = pytest.mark.ioc

HC_MEV_NM = 1239841.984
SIGMA_PER_FWHM = 1 / (2 * np.sqrt(2 * np.log(2)))

NEON_NM = (514.6372, 533.2260, 540.2063)
"""Lines of Ne I in vacuum (NIST) that have no near neighbour."""


@pytest.fixture(scope="module")
def devices(ioc):
    spectrometer = Spectrometer(f"{ioc.prefix}SPEC:", name="spectrometer")
    ccd = CCD(f"{ioc.prefix}CCD:", name="ccd")
    for device in (spectrometer, ccd):
        device.wait_for_connection(timeout=20)
    yield spectrometer, ccd
    for device in (spectrometer, ccd):
        device.destroy()


@pytest.fixture
def spectrometer(devices):
    """The spectrograph; afterwards it is as other tests expect it."""
    spectrometer, _ = devices
    yield spectrometer
    for axis, value in (
        (spectrometer.lamp, "Off"),
        (spectrometer.exit_port, CAMERA),
        (spectrometer.slit, 100.0),
        (spectrometer.exit_slit, 1000.0),
        (spectrometer.centre, 531.0),
        (spectrometer.grating, "Grating 1"),
    ):
        axis.set(value).wait(60)


@pytest.fixture
def counts(devices):
    """Take a spectrum: mean of three frames in ADU, without the bias."""
    _, ccd = devices

    def take(exposure_s=0.2):
        for setting, value in (
            (ccd.cam.read_out_mode, ccd.cam.read_out_mode.choices[0]),
            (ccd.cam.image_mode, "Single"),
            (ccd.cam.acquire_time, exposure_s),
        ):
            setting.set(value).wait(10)
        ccd.trigger().wait(60)
        # the median: a cosmic ray hits one of the frames
        return np.median(ccd.counts.get(), axis=0) - 300.0

    return take


def fit(axis_nm, light, near_nm, half_nm=0.9):
    """Centre and FWHM of one line, with the width of the pixels taken out."""
    chosen = abs(axis_nm - near_nm) < half_nm
    step = np.gradient(axis_nm)[chosen]
    low, high = axis_nm[chosen] - step / 2, axis_nm[chosen] + step / 2

    def line(_, area, centre, fwhm, floor):
        sigma = fwhm * SIGMA_PER_FWHM
        return floor + area * (
            ndtr((high - centre) / sigma) - ndtr((low - centre) / sigma)
        )

    peak = axis_nm[chosen][light[chosen].argmax()]
    guess = (light[chosen].sum(), peak, 4 * step.mean(), 0.0)
    (_, centre, fwhm, _), _ = curve_fit(line, None, light[chosen], guess)
    return centre, abs(fwhm)


def test_the_lamp_confirms_calibration_and_resolution(spectrometer, counts):
    spectrometer.lamp.set("On").wait(60)

    light = counts()
    axis = spectrometer.wavelength.get()

    assert spectrometer.lamp_output.get() == 100
    for wavelength in NEON_NM:
        centre, fwhm = fit(axis, light, wavelength, 0.6)
        assert centre == pytest.approx(wavelength, abs=3e-3)
        assert fwhm == pytest.approx(spectrometer.resolution.get(), rel=0.03)
    _, fwhm = fit(axis, light, 533.226, 0.6)
    assert fwhm * HC_MEV_NM / 531.0**2 == pytest.approx(0.70, abs=0.03)


@pytest.mark.parametrize("grating", ["Grating 2", "Grating 3"])
def test_the_lamp_shows_that_another_grating_is_off(spectrometer, counts, grating):
    spectrometer.lamp.set("On").wait(60)
    spectrometer.grating.set(grating).wait(60)
    spectrometer.centre.set(540.2).wait(60)

    axis = spectrometer.wavelength.get()
    centre, fwhm = fit(axis, counts(), 540.2063)

    assert 0.02 < abs(centre - 540.2063) < 0.2
    assert fwhm == pytest.approx(spectrometer.resolution.get(), rel=0.05)


def test_the_axis_belongs_to_the_grating_when_the_move_is_done(spectrometer):
    steps = []
    for grating in ("Grating 1", "Grating 2", "Grating 3"):
        spectrometer.grating.set(grating).wait(60)
        steps.append(np.diff(spectrometer.wavelength.get()).mean())

    assert steps[1] > 1.5 * steps[0]
    assert steps[2] < 0.8 * steps[0]
    assert np.polynomial.Polynomial(spectrometer.coefficients.get())(
        np.arange(1024)
    ) == pytest.approx(spectrometer.wavelength.get())


def test_light_goes_to_one_exit_at_a_time(spectrometer, counts):
    spectrometer.lamp.set("On").wait(60)
    spectrometer.exit_port.set(PHOTOMULTIPLIER).wait(60)
    away = counts()
    spectrometer.exit_port.set(CAMERA).wait(60)
    here = counts()

    assert away.max() < 50
    assert here.max() > 500


def test_a_narrow_slit_resolves_more(spectrometer, counts):
    spectrometer.lamp.set("On").wait(60)
    spectrometer.slit.set(30.0).wait(60)

    _, fwhm = fit(spectrometer.wavelength.get(), counts(1.0), 540.2063)

    assert fwhm == pytest.approx(spectrometer.resolution.get(), rel=0.03)
    assert fwhm < 0.1


def test_a_centre_that_the_grating_does_not_reach_is_refused(spectrometer):
    spectrometer.grating.set("Grating 3").wait(60)

    with pytest.raises(
        MoveError,
        match=r"spectrometer\.centre: asked for 750.*Grating 3 has 400\.\.680 nm",
    ):
        spectrometer.centre.set(750.0).wait(60)

    spectrometer.centre.set(531.0).wait(60)


def test_every_setting_is_in_the_configuration(spectrometer):
    recorded = spectrometer.read_configuration()
    described = spectrometer.describe_configuration()

    assert recorded["spectrometer_grating"]["value"] == "Grating 1"
    assert recorded["spectrometer_exit_port"]["value"] == CAMERA
    assert recorded["spectrometer_lamp"]["value"] == "Off"
    assert recorded["spectrometer_exit_slit"]["value"] == 1000.0
    assert recorded["spectrometer_calibrated"]["value"].startswith("20")
    assert described["spectrometer_coefficients"]["shape"] == [4]
    assert described["spectrometer_coefficients"]["units"] == "nm"
    assert recorded.keys() == described.keys()
