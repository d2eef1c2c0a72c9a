"""The photon counter over Channel Access: histograms it vouches for, and refusals."""

import contextlib
import math
import time

import epics
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky import plans as bp

from triplet_bluesky.devices import Laser, PowerControl, Spectrometer, TunableFilter
from triplet_bluesky.devices.tcspc import BINS, TCSPC
from triplet_bluesky.errors import AcquireError, MoveError

pytestmark = pytest.mark.ioc

TIMEOUT = 30.0
SETTINGS = {
    "acquisition_time": 500,
    "stop_overflow": "No",
    "stop_total": 0,
    "binning": 0,
    "offset": 0,
    "divider": 8,
}


PATH = (
    ("laser", "emission", "On"),
    ("laser", "level", 100.0),
    ("tunable_filter", "wavelength", 526.0),
    ("power_control", "attenuator", 0.45),
    ("spectrometer", "centre", 531.0),
    ("spectrometer", "exit_slit", 2000.0),
    ("spectrometer", "exit_port", "Side"),
    ("power_control", "shutter", "Open"),
)
"""Some 30 uW at 526 nm on the sample, and its light on the photomultiplier."""


@pytest.fixture(scope="module")
def lit(ioc):
    """The instruments before the photon counter, with their light on it."""
    path = {
        "laser": Laser(f"{ioc.prefix}LASER:", name="laser"),
        "tunable_filter": TunableFilter(f"{ioc.prefix}FILTER:", name="tunable_filter"),
        "power_control": PowerControl(f"{ioc.prefix}POWER:", name="power_control"),
        "spectrometer": Spectrometer(f"{ioc.prefix}SPEC:", name="spectrometer"),
    }
    for device in path.values():
        device.wait_for_connection(timeout=TIMEOUT)
    for device, axis, value in PATH:
        getattr(path[device], axis).set(value).wait(TIMEOUT)
    yield path
    path["power_control"].shutter.set("Closed").wait(TIMEOUT)
    path["spectrometer"].exit_port.set("Direct").wait(TIMEOUT)
    for device in path.values():
        device.destroy()


@pytest.fixture
def tcspc(ioc, lit):
    device = TCSPC(f"{ioc.prefix}TCSPC:", name="tcspc")
    device.wait_for_connection(timeout=TIMEOUT)
    device.repetition_rate.put(float(lit["laser"].repetition_rate.get()))
    lit["power_control"].shutter.set("Open").wait(TIMEOUT)
    yield device
    for name, value in SETTINGS.items():
        getattr(device, name).set(value).wait(TIMEOUT)
    device.pmt.clear().wait(TIMEOUT)
    device.pmt.voltage.set(900.0).wait(TIMEOUT)
    device.destroy()


@pytest.fixture
def fault(ioc):
    """Switch faults on by their PV; they are off again after the test, or earlier."""
    with contextlib.ExitStack() as stack:

        def switch(name, value):
            pv = epics.PV(f"{ioc.prefix}SIM:Fault:{name}")
            assert pv.wait_for_connection(TIMEOUT)
            stack.callback(pv.put, type(value)(), wait=True, timeout=TIMEOUT)
            assert pv.put(value, wait=True, timeout=TIMEOUT)

        yield switch


def acquire(tcspc, **settings):
    for name, value in settings.items():
        getattr(tcspc, name).set(value).wait(TIMEOUT)
    tcspc.trigger().wait(TIMEOUT)
    return np.asarray(tcspc.counts.get())


def test_a_run_records_the_histogram_with_its_axis_and_all_that_explains_it(tcspc):
    documents = []
    engine = RunEngine({}, context_managers=[])
    tcspc.acquisition_time.set(1000).wait(TIMEOUT)

    engine(bp.count([tcspc], num=2), lambda name, doc: documents.append((name, doc)))

    (descriptor,) = (doc for name, doc in documents if name == "descriptor")
    key = descriptor["data_keys"]["tcspc_counts"]
    assert (key["shape"], key["dims"], key["units"]) == ([BINS], ["time_bin"], "counts")
    assert key["dtype_numpy"] == "<i4"
    assert descriptor["data_keys"]["tcspc_bin_width"]["units"] == "ps"
    assert "tcspc_total" in descriptor["hints"]["tcspc"]["fields"]
    settings = descriptor["configuration"]["tcspc"]["data"]
    assert settings["tcspc_divider"] == 8
    assert settings["tcspc_dead_time"] == 95.0
    assert settings["tcspc_repetition_rate"] == 78.0
    first, second = (doc["data"] for name, doc in documents if name == "event")
    assert first["tcspc_total"] == np.sum(first["tcspc_counts"]) > 1e5
    assert first["tcspc_syncs"] == pytest.approx(78e6)
    assert first["tcspc_sync_rate"] == 78e6
    assert first["tcspc_elapsed"] == pytest.approx(1000)
    assert first["tcspc_pile_up"] == pytest.approx(first["tcspc_total"] / 78e6)
    assert first["tcspc_flags"] == 0
    assert first["tcspc_bin_width"] == 4.0
    assert first["tcspc_pmt_voltage"] == 900.0
    assert not np.array_equal(first["tcspc_counts"], second["tcspc_counts"])


def test_the_bins_have_times(tcspc):
    counts = acquire(tcspc, binning=2, offset=1000)

    times = tcspc.bin_times()
    assert times[:2] == pytest.approx([1008.0, 1024.0])
    assert times[counts.argmax()] == pytest.approx(2540, abs=40)
    assert times[np.flatnonzero(counts)[-1]] < 1e6 / 78


def test_it_counts_until_it_has_enough(tcspc):
    counts = acquire(tcspc, acquisition_time=600_000, stop_total=50_000)
    assert counts.sum() == tcspc.total.get() == 50_000

    counts = acquire(tcspc, stop_total=0, stop_overflow="Yes", stop_count=500)
    assert counts.max() == tcspc.peak.get() == 500
    assert tcspc.flags.get() == 64
    tcspc.stop_count.set(65535).wait(TIMEOUT)


def test_a_full_bin_is_an_error_that_says_what_to_do(tcspc):
    with pytest.raises(AcquireError, match=r"bin is full at 65535 .*60000 ms.*shorter"):
        acquire(tcspc, acquisition_time=60_000)


def test_too_much_light_is_an_error_until_the_trip_is_cleared(tcspc, fault):
    fault("StrayLight", 5e7)

    with pytest.raises(AcquireError, match=r"tcspc\.pmt.*Overrange_RBV.*tripped"):
        acquire(tcspc, acquisition_time=5_000)
    with pytest.raises(MoveError, match=r"900.*the IOC says.*over-range trip"):
        tcspc.pmt.voltage.set(900.0).wait(TIMEOUT)
    with pytest.raises(AcquireError, match="tripped"):
        acquire(tcspc)

    fault("StrayLight", 0.0)
    tcspc.pmt.clear().wait(TIMEOUT)
    with pytest.raises(AcquireError, match=r"HV_RBV is at 0 V; set the high voltage"):
        acquire(tcspc)
    tcspc.pmt.voltage.set(900.0).wait(TIMEOUT)
    assert acquire(tcspc, acquisition_time=500).sum() > 1e4


def test_a_lost_trigger_is_an_error(tcspc, fault):
    tcspc.acquisition_time.set(20_000).wait(TIMEOUT)
    status = tcspc.trigger()
    while float(tcspc.elapsed_time.get(use_monitor=False)) < 2000:
        assert not status.done
    fault("LostSync", 1.0)

    with pytest.raises(AcquireError, match=r"TURNS_FAST has .* the trigger was lost"):
        status.wait(TIMEOUT)
    with pytest.raises(AcquireError, match=r"COUNT_RATE_0 reads no trigger; .*laser"):
        acquire(tcspc)

    fault("LostSync", 0.0)
    assert acquire(tcspc, acquisition_time=500).sum() > 1e4


def test_a_divider_that_leaves_too_much_is_an_error(tcspc):
    with pytest.raises(AcquireError, match=r"reads 3\.9e\+07 Hz.*7\.8e\+07 Hz.*is 4 "):
        acquire(tcspc, divider=4)


def test_without_the_lasers_rate_the_decay_shows_twice(tcspc):
    tcspc.repetition_rate.put(math.nan)

    counts = acquire(tcspc, divider=4, acquisition_time=2000)

    once, twice = counts[:3205].sum(), counts[3205:6410].sum()
    assert twice == pytest.approx(once, rel=0.05)
    assert counts[6412:].sum() == 0


def test_a_stop_ends_it_and_counts_as_failed(tcspc):
    tcspc.acquisition_time.set(3_600_000).wait(TIMEOUT)
    status = tcspc.trigger()
    while tcspc.acquire.get(use_monitor=False) != 1:
        assert not status.done

    began = time.monotonic()
    tcspc.stop()

    with pytest.raises(AcquireError, match=r"aborted after .* of 3\.6e\+06 ms"):
        status.wait(TIMEOUT)
    assert time.monotonic() - began < TIMEOUT
    assert acquire(tcspc, acquisition_time=500).sum() > 1e4


def test_a_pause_excuses_it(tcspc):
    tcspc.acquisition_time.set(3_600_000).wait(TIMEOUT)
    status = tcspc.trigger()
    while tcspc.acquire.get(use_monitor=False) != 1:
        assert not status.done

    tcspc.pause()

    status.wait(TIMEOUT)
    assert status.success


def test_another_clients_abort_is_noticed(ioc, tcspc):
    tcspc.acquisition_time.set(3_600_000).wait(TIMEOUT)
    status = tcspc.trigger()
    while tcspc.acquire.get(use_monitor=False) != 1:
        assert not status.done

    epics.caput(f"{ioc.prefix}TCSPC:Acquire", "Done", wait=True, timeout=TIMEOUT)

    with pytest.raises(AcquireError, match=r"aborted after .*by whom"):
        status.wait(TIMEOUT)


def test_a_value_it_cannot_have_is_refused(tcspc):
    with pytest.raises(MoveError, match=r"tcspc\.acquisition_time.*1 to 3\.6e\+08 ms"):
        tcspc.acquisition_time.set(0)
    with pytest.raises(MoveError, match=r"asked for 3.*possible is 1, 2, 4, 8"):
        tcspc.divider.set(3).wait(TIMEOUT)


def test_a_histogram_of_an_earlier_acquisition_is_an_error(tcspc, fault):
    tcspc.trigger().wait(TIMEOUT)
    fault("StalePv", "TCSPC:SAMPLES_FAST")

    with pytest.raises(AcquireError, match=r"SAMPLES_FAST holds .*TOTAL_COUNT_FAST is"):
        tcspc.trigger().wait(TIMEOUT)
