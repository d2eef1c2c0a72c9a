"""The photon counter by its PVs, in simulated time."""

import asyncio

import numpy as np
import pytest
from caproto import AlarmSeverity, ChannelType

from ioc_sim.channels import RefusedPutError

T = "T:TCSPC:"


@pytest.fixture
def light(bench):
    """Send light to the photomultiplier: ``light(od=0.2)``."""

    def send(od=0.2, *, pump_nm=526.0, spec_nm=531.0, slit_um=2000.0, target=bench):
        world = target.world
        now = world.now()
        for history, value in (
            (world.emission, 1),
            (world.level, 100),
            (world.filter_nm, pump_nm),
            (world.od, od),
            (world.shutter, 1),
            (world.hwp_deg, 17.5),
            (world.spec_nm, spec_nm),
            (world.exit_port, 1),
            (world.exit_slit_um, slit_um),
        ):
            history.record(now, value)

    return send


@pytest.fixture
def tcspc(bench):
    return next(group for group in bench.groups if type(group).__name__ == "Tcspc")


async def until(condition, deadline_s=10.0):
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110 - a PV has no event to wait for
            await asyncio.sleep(0.005)


def test_an_acquisition_is_a_histogram_with_all_that_belongs_to_it(pvs, put, light):
    light()

    async def count():
        await put(pvs[T + "TIME"], 2000)
        await put(pvs[T + "Acquire"], "Acquire")

    asyncio.run(count())

    samples = pvs[T + "SAMPLES_FAST"].value
    total = pvs[T + "TOTAL_COUNT_FAST"].value
    assert samples.size == 65536
    assert samples[3206:].sum() == 0
    assert samples.sum() == total > 5e5
    assert pvs[T + "MAX_BIN"].value == samples.max()
    assert pvs[T + "TURNS_FAST"].value == pytest.approx(156e6, rel=1e-9)
    assert pvs[T + "FLUX_FAST"].value == pytest.approx(total / 156e6)
    assert pvs[T + "Elapsed_RBV"].value == pytest.approx(2000)
    assert pvs[T + "Flags_RBV"].value == 0
    assert pvs[T + "RESOLUTION"].value == 4.0
    assert pvs[T + "DeadTime_RBV"].value == 95.0
    assert pvs[T + "COUNT_RATE_0"].value == 78e6
    assert 1e5 < pvs[T + "COUNT_RATE_1"].value < 1e6
    assert pvs[T + "ERROR"].value == "OK"
    assert pvs[T + "Acquire"].value == "Done"
    assert pvs[T + "Counter_RBV"].value == 1


def test_wide_bins_need_fewer_of_them(pvs, put, light):
    light()

    async def count():
        await put(pvs[T + "RANGE"], 3)
        await put(pvs[T + "OFFSET"], 1601)
        await put(pvs[T + "Acquire"], "Acquire")

    asyncio.run(count())

    samples = pvs[T + "SAMPLES_FAST"].value
    assert pvs[T + "RESOLUTION"].value == 32.0
    assert pvs[T + "OFFSET"].value == 1600
    assert np.flatnonzero(samples)[-1] <= (1e6 / 78 - 1600) / 32
    assert abs(32 * samples.argmax() + 1600 - 2530) < 80
    assert pvs[T + "Warnings_RBV"].value == 0x0800


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TIME", 0, "limits 1"),
        ("TIME", 3.7e8, "limits 1"),
        ("SYNCDIV", 3, "possible is 1, 2, 4, 8"),
        ("SYNCDIV", 16, "limits 1..8"),
        ("RANGE", 8, "limits 0..7"),
        ("CFDLEVEL1", 801, "limits 0..800 mV"),
        ("CFDZEROX0", 21, "limits 0..20 mV"),
        ("OFFSET", -1, "limits 0"),
        ("StopCount", 65536, "limits 1..65535"),
        ("PMT:HV", 1300, "limits 0..1200 V"),
    ],
)
def test_what_it_cannot_do_is_refused(pvs, put, name, value, said):
    before = pvs[T + name].value

    with pytest.raises(RefusedPutError, match=said):
        asyncio.run(put(pvs[T + name], value))

    assert pvs[T + name].value == before
    assert name in pvs[T + "LastError_RBV"].value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Acquire", "Acquire"),
        ("TIME", 5),
        ("RANGE", 1),
        ("OFFSET", 4),
        ("SYNCDIV", 4),
        ("StopOverflow", "Yes"),
        ("StopCount", 10),
        ("StopTotal", 10),
        ("CFDLEVEL0", 10),
        ("CFDLEVEL1", 10),
        ("CFDZEROX0", 1),
        ("CFDZEROX1", 1),
    ],
)
def test_nothing_is_changed_while_it_counts(pvs, put, name, value):
    async def count_and_put():
        await put(pvs[T + "TIME"], 3_600_000)
        counting = asyncio.create_task(put(pvs[T + "Acquire"], "Acquire"))
        await asyncio.sleep(0)
        with pytest.raises(RefusedPutError, match="during an acquisition"):
            await put(pvs[T + name], value)
        await put(pvs[T + "Acquire"], "Done")
        await counting

    asyncio.run(count_and_put())


def test_an_abort_leaves_what_was_counted(pvs, put, light):
    light()

    async def count_and_abort():
        await put(pvs[T + "TIME"], 36_000_000)
        counting = asyncio.create_task(put(pvs[T + "Acquire"], "Acquire"))
        await until(lambda: pvs[T + "Elapsed_RBV"].value > 1000)
        await put(pvs[T + "Acquire"], "Done")
        await counting

    asyncio.run(count_and_abort())

    elapsed = pvs[T + "Elapsed_RBV"].value
    assert 1000 < elapsed < 36_000_000
    assert pvs[T + "TURNS_FAST"].value == pytest.approx(78e3 * elapsed, rel=1e-6)
    assert pvs[T + "TOTAL_COUNT_FAST"].value > 0
    assert pvs[T + "Acquire"].value == "Done"


def test_the_histogram_grows_while_it_counts(pvs, put, light, monkeypatch):
    monkeypatch.setattr("ioc_sim.tcspc.SHOW_PERIOD", 0.0)
    light(od=3.0)
    totals = []

    async def count():
        await put(pvs[T + "TIME"], 1_000_000)
        counting = asyncio.create_task(put(pvs[T + "Acquire"], "Acquire"))
        while not counting.done():
            totals.append(pvs[T + "SAMPLES_FAST"].value.sum())
            await asyncio.sleep(0.002)
        await counting

    asyncio.run(count())

    assert totals == sorted(totals)
    assert any(0 < total < pvs[T + "TOTAL_COUNT_FAST"].value for total in totals)


def test_it_stops_when_it_has_enough(pvs, put, light):
    light()

    async def count():
        await put(pvs[T + "TIME"], 3_600_000)
        await put(pvs[T + "StopTotal"], 200_000)
        await put(pvs[T + "Acquire"], "Acquire")

    asyncio.run(count())

    assert pvs[T + "TOTAL_COUNT_FAST"].value == 200_000
    assert pvs[T + "Elapsed_RBV"].value < 2000
    assert pvs[T + "Flags_RBV"].value == 0


def test_it_stops_when_a_bin_is_full_enough(pvs, put, light):
    light()

    async def count():
        await put(pvs[T + "TIME"], 3_600_000)
        await put(pvs[T + "StopOverflow"], "Yes")
        await put(pvs[T + "StopCount"], 1000)
        await put(pvs[T + "Acquire"], "Acquire")

    asyncio.run(count())

    assert pvs[T + "StopOverflow_RBV"].value == "Yes"
    assert pvs[T + "MAX_BIN"].value == 1000
    assert pvs[T + "Flags_RBV"].value == 0x0040


def test_a_full_bin_is_flagged_and_alarmed(pvs, put, light):
    light()

    async def count():
        await put(pvs[T + "TIME"], 60_000)
        await put(pvs[T + "Acquire"], "Acquire")

    asyncio.run(count())

    assert pvs[T + "MAX_BIN"].value == 65535
    assert pvs[T + "MAX_BIN"].alarm.severity == AlarmSeverity.MAJOR_ALARM
    assert pvs[T + "Flags_RBV"].value == 0x0040


def test_a_nearly_full_bin_is_a_minor_alarm(pvs, put, light):
    light()

    async def count():
        await put(pvs[T + "StopOverflow"], "Yes")
        await put(pvs[T + "StopCount"], 60_000)
        await put(pvs[T + "TIME"], 60_000)
        await put(pvs[T + "Acquire"], "Acquire")

    asyncio.run(count())

    assert pvs[T + "MAX_BIN"].alarm.severity == AlarmSeverity.MINOR_ALARM


async def rates(pvs, tcspc):
    """Let one gate pass and read the meters."""
    await asyncio.sleep(0.001)
    await tcspc._show_rates()
    return pvs[T + "Warnings_RBV"].value


def test_a_dark_bench_has_no_trigger(pvs, tcspc):
    bits = asyncio.run(rates(pvs, tcspc))

    assert bits & 0x0001
    assert pvs[T + "COUNT_RATE_0"].value == 0
    assert "no trigger" in pvs[T + "ERROR"].value
    assert pvs[T + "ERROR"].alarm.severity == AlarmSeverity.MAJOR_ALARM


def test_a_lost_trigger_is_a_fault_that_goes(bench, pvs, tcspc, light):
    light()

    async def lose_and_find():
        await bench.world.faults.set("lost_sync", 1)
        lost = await rates(pvs, tcspc), pvs[T + "COUNT_RATE_0"].value
        await bench.world.faults.set("lost_sync", 0)
        await asyncio.sleep(0.001)
        return lost, await rates(pvs, tcspc), pvs[T + "COUNT_RATE_0"].value

    assert asyncio.run(lose_and_find()) == ((0x0001, 0.0), 0, 78e6)


def test_pile_up_is_a_warning(bench, pvs, tcspc, light):
    light()
    asyncio.run(bench.world.faults.set("stray_light", 5e6))

    bits = asyncio.run(rates(pvs, tcspc))

    assert bits == 0x0100
    assert pvs[T + "PileUp_RBV"].value == "Yes"
    assert pvs[T + "PileUp_RBV"].alarm.severity == AlarmSeverity.MINOR_ALARM
    assert "pile-up" in pvs[T + "ERROR"].value


@pytest.mark.parametrize(
    ("sync", "counts", "bits"),
    [
        (78e6, 1e6, 0),
        (78e6, 0.0, 0x0010),
        (78e6, 2e7, 0x0140),
        (1e4, 100.0, 0x0400),
        (500.0, 100.0, 0x0502),
        (0.0, 0.0, 0x0011),
    ],
)
def test_the_warnings_are_those_of_the_library(tcspc, sync, counts, bits):
    found = tcspc._warnings(sync, counts)

    assert sum(warning.bit for warning in found) == bits


def test_a_low_level_lets_the_noise_in(pvs, put, tcspc, light):
    light()
    asyncio.run(put(pvs[T + "CFDLEVEL1"], 10))

    bits = asyncio.run(rates(pvs, tcspc))

    assert bits == 0x0140
    assert pvs[T + "COUNT_RATE_1"].value > 1e7
    assert pvs[T + "PMT:Overrange_RBV"].value == "No"


def test_too_much_light_trips_until_it_is_reset(bench, pvs, put, light):
    light()

    async def trip_and_recover():
        await put(pvs[T + "TIME"], 100_000)
        counting = asyncio.create_task(put(pvs[T + "Acquire"], "Acquire"))
        await until(lambda: pvs[T + "Elapsed_RBV"].value > 1000)
        await bench.world.faults.set("stray_light", 5e7)
        await counting

        assert pvs[T + "PMT:Overrange_RBV"].value == "Yes"
        alarm = pvs[T + "PMT:Overrange_RBV"].alarm
        assert alarm.severity == AlarmSeverity.MAJOR_ALARM
        assert (pvs[T + "PMT:HV"].value, pvs[T + "PMT:HV_RBV"].value) == (0, 0)
        assert "tripped" in pvs[T + "ERROR"].value
        assert pvs[T + "Elapsed_RBV"].value == pytest.approx(100_000)
        with pytest.raises(RefusedPutError, match="after an over-range trip"):
            await put(pvs[T + "PMT:HV"], 900)
        await bench.world.faults.set("stray_light", 0)
        await put(pvs[T + "PMT:Reset"], "Reset")
        off = pvs[T + "PMT:HV_RBV"].value
        await put(pvs[T + "PMT:HV"], 900)
        await put(pvs[T + "TIME"], 1000)
        await put(pvs[T + "Acquire"], "Acquire")
        return off

    assert asyncio.run(trip_and_recover()) == 0
    assert pvs[T + "PMT:Overrange_RBV"].value == "No"
    assert pvs[T + "PMT:HV_RBV"].value == 900
    assert pvs[T + "PMT:Reset"].value == "Idle"
    assert pvs[T + "TOTAL_COUNT_FAST"].value > 1e5


def test_without_voltage_it_is_dark(pvs, put, light):
    light()

    async def count():
        await put(pvs[T + "PMT:HV"], 0)
        await put(pvs[T + "Acquire"], "Acquire")

    asyncio.run(count())

    assert pvs[T + "TOTAL_COUNT_FAST"].value == 0
    assert pvs[T + "TURNS_FAST"].value == pytest.approx(78e6)


class BrokenError(Exception):
    """Something that nobody has foreseen."""


def test_a_failed_acquisition_is_no_acquisition_and_the_next_one_works(
    pvs, put, tcspc, light, monkeypatch
):
    light()

    def broken(*_):
        raise BrokenError

    async def fail_and_count():
        with monkeypatch.context() as patch:
            patch.setattr(tcspc.counter, "count", broken)
            with pytest.raises(BrokenError):
                await put(pvs[T + "Acquire"], "Acquire")
        assert pvs[T + "Acquire"].value == "Done"
        assert pvs[T + "Counter_RBV"].value == 0
        await put(pvs[T + "Acquire"], "Acquire")

    asyncio.run(fail_and_count())

    assert pvs[T + "Counter_RBV"].value == 1


def test_a_fit_of_two_decays_recovers_the_papers_lifetimes(pvs, put, light, fit_decays):
    """The response from scattered light, the decay at 526 nm: 49 and 268 ps."""

    async def count(total):
        await put(pvs[T + "TIME"], 600_000)
        await put(pvs[T + "StopTotal"], total)
        await put(pvs[T + "Acquire"], "Acquire")
        assert pvs[T + "TOTAL_COUNT_FAST"].value == total
        return pvs[T + "SAMPLES_FAST"].value.copy()

    async def count_both():
        light(od=0.0, pump_nm=505.0, spec_nm=505.0)
        response = await count(1_000_000)
        light(od=0.6)
        return await count(1_000_000), response

    fast, slow, chi2 = fit_decays(*asyncio.run(count_both()), 3205, 4.0)

    assert fast == pytest.approx(49.0, abs=1.0)
    assert slow == pytest.approx(268.0, abs=6.0)
    assert 0.9 < chi2 < 1.3  # the response has noise of its own


@pytest.mark.parametrize(
    "name", ["TIME", "OFFSET", "CFDZEROX0", "CFDLEVEL1", "SYNCDIV", "RANGE"]
)
def test_settings_are_whole_numbers_in_a_double_as_in_kits_support(pvs, put, name):
    channel = pvs[T + name]
    before = channel.value

    with pytest.raises(RefusedPutError, match="expected a whole number"):
        asyncio.run(put(channel, 4.5))

    assert (channel.data_type, channel.value) == (ChannelType.DOUBLE, before)


def test_counts_are_whole_numbers_in_doubles_as_in_kits_support(pvs, put, light):
    light()
    asyncio.run(put(pvs[T + "Acquire"], "Acquire"))

    for name in ("SAMPLES_FAST", "TOTAL_COUNT_FAST", "MAX_BIN"):
        assert pvs[T + name].data_type == ChannelType.DOUBLE
        assert np.all(np.mod(pvs[T + name].value, 1) == 0)
    samples = pvs[T + "SAMPLES_FAST"].value
    assert samples.sum() == pvs[T + "TOTAL_COUNT_FAST"].value > 0
