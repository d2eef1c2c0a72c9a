"""The devices on drivers as they are published: few limits, nothing additional."""

import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import bluesky.plans as bp
import pytest
from bluesky import RunEngine

from triplet_bluesky.devices import Bench
from triplet_bluesky.devices.connection import epics_signals
from triplet_bluesky.devices.optional import OptionalSignal, OptionalSignalRO
from triplet_bluesky.errors import MoveError

pytestmark = pytest.mark.ioc

SCRIPT = Path(__file__).with_name("stock_bench.py")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def prefix():
    return f"STOCK{os.getpid()}:"


@pytest.fixture(scope="module")
def bench(prefix):
    bench = Bench.from_prefix(prefix)
    optional = {
        signal.pvname.removesuffix("$").removesuffix(".VAL").removeprefix(prefix)
        for device in bench.devices()
        for signal in epics_signals(device)
        if isinstance(signal, OptionalSignal | OptionalSignalRO)
    }
    process = subprocess.Popen(
        [sys.executable, SCRIPT, prefix, *sorted(optional)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "EPICS_CA_SERVER_PORT": os.environ["SECOND_CA_SERVER_PORT"],
        },
    )
    with process:
        assert process.stdout.readline() == "ioc_sim: ready\n"
        bench.connect(30.0)
        yield bench
        bench.disconnect()
        process.terminate()


@pytest.fixture
def engine():
    """A RunEngine and the documents of its last run, by their names."""
    documents = {}
    run = RunEngine({}, context_managers=[])
    run.subscribe(lambda name, document: documents.update({name: document}))
    return SimpleNamespace(run=run, documents=documents)


def test_a_bench_that_serves_nothing_additional_connects_and_tells_what_is_off(bench):
    found = {one.instrument: one for one in bench.survey(5.0)}

    assert all(one.sound for one in found.values())
    assert found["CCD"].off.startswith("not served, so what they are for is off: ")
    assert found["CCD"].prefix + "LastError_RBV.VAL$" in found["CCD"].unserved


def test_the_camera_takes_settings_that_state_no_limits(bench):
    assert bench.ccd.cam.acquire_time.limits == (0, 0)

    bench.ccd.cam.acquire_time.set(0.5).wait(10)
    bench.ccd_images.cam.num_images.set(3).wait(10)
    bench.ccd_images.cam.size_x.set(512).wait(10)
    bench.ccd_images.cam.size_x.set(1024).wait(10)

    assert bench.ccd.cam.acquire_time.position == 0.5
    assert bench.ccd_images.cam.num_images.position == 3


def test_no_number_is_still_refused(bench):
    with pytest.raises(MoveError, match=r"got nan.*any finite number"):
        bench.ccd.cam.acquire_time.set(math.nan)


def test_what_the_driver_makes_of_a_value_without_limits_is_an_error(bench):
    with pytest.raises(MoveError, match=r"asked for 0.*BinX_RBV is still at 1"):
        bench.ccd_images.cam.bin_x.set(0).wait(10)


def test_the_counter_takes_settings_that_state_no_limits(bench):
    bench.tcspc.acquisition_time.set(200).wait(10)

    assert bench.tcspc.acquisition_time.position == 200


def test_the_grating_keeps_to_the_limits_that_the_driver_reports(bench):
    low, high = bench.spectrometer.centre.limits

    assert low < high
    with pytest.raises(MoveError, match="possible is"):
        bench.spectrometer.centre.set(high + 1)


def test_motion_without_limits_is_refused_with_what_to_do(bench):
    axis = bench.tunable_filter.wavelength
    limits = {key: axis.setpoint.metadata[key] for key in LIMITS}
    axis.setpoint._metadata.update(dict.fromkeys(LIMITS, 0.0))

    with pytest.raises(MoveError, match=r"FILTER:Wavelength states no control limits"):
        axis.set(526.0)

    axis.setpoint._metadata.update(limits)


LIMITS = ("lower_ctrl_limit", "upper_ctrl_limit")


def test_a_spectrum_is_taken_though_adcore_starts_without_the_plugin(bench, engine):
    bench.ccd.cam.acquire_time.set(0.05).wait(10)

    engine.run(bp.count([bench.ccd]))

    data = engine.documents["event"]["data"]
    assert data["ccd_counts"].shape == (3, 1024)
    assert bench.ccd.cam.wait_for_plugins.position == "No"
    assert bench.ccd.image.enable.position == "Disable"


def test_what_is_not_served_is_left_out_or_recorded_as_a_default(bench, engine):
    bench.ccd.cam.sensitivity.default = 1.5

    engine.run(bp.count([bench.ccd, bench.cryostat, bench.spectrometer]))

    configuration = engine.documents["descriptor"]["configuration"]
    camera = configuration["ccd"]
    assert camera["data"]["ccd_cam_saturation_level"] == 65535
    assert camera["data"]["ccd_cam_sensitivity"] == 1.5
    described = camera["data_keys"]["ccd_cam_sensitivity"]
    assert described["units"] == "e-/ADU"
    assert described["source"] == f"default:{bench.ccd.cam.sensitivity.pvname}"
    assert "cryostat_vacuum" not in configuration["cryostat"]["data"]
    assert configuration["spectrometer"]["data"]["spectrometer_lamp"] == "Off"


def test_a_set_point_that_is_not_served_is_refused(bench):
    with pytest.raises(MoveError, match=r"does not serve .*SPEC:Lamp"):
        bench.spectrometer.lamp.set("On")
