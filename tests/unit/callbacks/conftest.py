"""Documents of an excitation scan whose truth is known, without a bench."""

import numpy as np
import pytest
from event_model import compose_run

HC = 1239841.984  # meV nm
WAVELENGTH = 510.0 + 0.0415 * np.arange(1024)
ENERGY = HC / WAVELENGTH
PEAK_MEV = 2353.0
GAIN, READ_NOISE, BIAS = 10.0, 6.0, 300.0


def band(center, fwhm, area):
    """A Gaussian over the pixels, by its area in electrons a second."""
    sigma = fwhm / 2.3548
    width = np.abs(np.gradient(ENERGY))
    shape = np.exp(-((ENERGY - center) ** 2) / (2 * sigma**2))
    return area * width * shape / (sigma * np.sqrt(2 * np.pi))


def rate(pump_nm):
    """Electrons a second on each pixel: a band, two lines and scattered pump."""
    energy = HC / pump_nm
    strength = np.exp(-((energy - PEAK_MEV) ** 2) / (2 * 10.7**2))
    strength += 0.15 / (1 + np.exp(-(energy - 2372.0) / 6.0))
    lines = band(2335.0, 1.1, 6e6 * strength) + band(2337.0, 1.1, 4e6 * strength)
    pump = band(energy, HC * 1.8 / pump_nm**2, 2e5)
    return band(2338.5, 16.0, 4e6) + lines + pump


def frames(generator, rates, exposure, number=3):
    electrons = generator.poisson(rates * exposure, (number, rates.size))
    noise = generator.normal(0.0, READ_NOISE, electrons.shape)
    return np.rint((electrons + noise) / GAIN + BIAS).astype(np.int32)


def number(unit=""):
    return {"source": "test", "dtype": "number", "shape": [], "units": unit}


def array(shape):
    return {"source": "test", "dtype": "array", "shape": list(shape), "units": ""}


CONFIGURATION = {
    "ccd": {
        "data": {"ccd_cam_sensitivity": GAIN, "ccd_cam_saturation_level": 65535},
        "timestamps": {"ccd_cam_sensitivity": 0.0, "ccd_cam_saturation_level": 0.0},
        "data_keys": {
            "ccd_cam_sensitivity": number(),
            "ccd_cam_saturation_level": number(),
        },
    },
    "spectrometer": {
        "data": {"spectrometer_resolution": 0.159},
        "timestamps": {"spectrometer_resolution": 0.0},
        "data_keys": {"spectrometer_resolution": number("nm")},
    },
}

CCD_KEYS = {"ccd_counts": array((3, 1024)), "ccd_cam_acquire_time": number("s")}
POINT_KEYS = CCD_KEYS | {
    "spectrometer_wavelength": array((1024,)),
    "tunable_filter_wavelength": number("nm"),
    "tunable_filter_bandwidth": number("nm"),
    "power_control_photons": number(),
    "power_control_photons_sigma": number(),
    "power_control_power": number("uW"),
    "power_control_in_tolerance": number(),
}


def stamped(data):
    return {"data": data, "timestamps": dict.fromkeys(data, 0.0)}


@pytest.fixture
def make_scan():
    """Give the documents of a scan; ``spoil`` may change the data of an event."""

    def make(pumps, *, darks=True, spoil=lambda _, data: data):
        generator = np.random.default_rng(20260101)
        run = compose_run(metadata={"plan_name": "ple", "num_points": len(pumps)})
        documents = [("start", run.start_doc)]
        dark = run.compose_descriptor("dark", CCD_KEYS, configuration=CONFIGURATION)
        point = run.compose_descriptor(
            "primary", POINT_KEYS, configuration=CONFIGURATION
        )
        if darks:
            data = {
                "ccd_counts": frames(generator, np.zeros(1024), 0.1),
                "ccd_cam_acquire_time": 0.1,
            }
            documents += [
                ("descriptor", dark.descriptor_doc),
                ("event", dark.compose_event(**stamped(data))),
            ]
        documents.append(("descriptor", point.descriptor_doc))
        for index, pump in enumerate(pumps):
            data = {
                "ccd_counts": frames(generator, rate(pump), 0.1),
                "ccd_cam_acquire_time": 0.1,
                "spectrometer_wavelength": WAVELENGTH,
                "tunable_filter_wavelength": pump,
                "tunable_filter_bandwidth": 1.8,
                "power_control_photons": 1.6e6,
                "power_control_photons_sigma": 1.6e4,
                "power_control_power": 47.0,
                "power_control_in_tolerance": 1,
            }
            event = point.compose_event(**stamped(spoil(index, data)))
            documents.append(("event", event))
        documents.append(("stop", run.compose_stop()))
        return documents

    return make


@pytest.fixture
def count():
    """The documents of a run that measures something else: two histograms."""
    keys = {"tcspc_counts": array((16,)), "tcspc_total": number()}
    run = compose_run(metadata={"plan_name": "count", "num_points": 2})
    documents = [("start", run.start_doc)]
    for stream in ("dark", "primary"):
        point = run.compose_descriptor(stream, keys)
        documents.append(("descriptor", point.descriptor_doc))
        for _ in range(2):
            data = {"tcspc_counts": np.ones(16, dtype=int), "tcspc_total": 16}
            documents.append(("event", point.compose_event(**stamped(data))))
    return [*documents, ("stop", run.compose_stop())]


@pytest.fixture
def scan(make_scan):
    """A scan across the resonance."""
    return make_scan(np.arange(510.0, 531.0, 1.5).tolist())
