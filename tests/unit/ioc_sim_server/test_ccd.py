"""The CCD does what its settings say, by the simulated clock."""

import asyncio
import itertools

import numpy as np
import pytest
from caproto import AlarmSeverity

from ioc_sim.channels import RefusedPutError
from ioc_sim.random_streams import stream


def shape(ccd):
    return ccd.value("cam1:ArraySizeY_RBV"), ccd.value("cam1:ArraySizeX_RBV")


def all_of(queue):
    return [queue.get_nowait() for _ in range(queue.qsize())]


def light(ccd, power_od=1.0):
    """Switch the light on, as it stays."""
    world = ccd.world
    now = world.now()
    for history, value in (
        (world.emission, 1),
        (world.level, 100),
        (world.od, power_od),
        (world.shutter, 1),
    ):
        history.record(now, value)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (1, 1024)),
        ({"BinX": 4}, (1, 256)),
        ({"SizeX": 100, "MinX": 900, "BinX": 3}, (1, 33)),
        ({"SizeY": 10, "BinY": 5}, (1, 1024)),
        ({"AndorReadOutMode": "Image"}, (256, 1024)),
        ({"AndorReadOutMode": "Image", "BinX": 2, "BinY": 8}, (32, 512)),
        ({"AndorReadOutMode": "Image", "SizeY": 30, "MinY": 113}, (30, 1024)),
    ],
)
def test_a_frame_has_the_size_of_its_region(ccd, settings, expected):
    async def take():
        await ccd.set("cam1", AcquireTime=0, **settings)
        promised = shape(ccd)
        return promised, await ccd.take()

    promised, frame = asyncio.run(take())
    assert promised == frame.shape == expected
    assert ccd.value("image1:NDimensions_RBV") == 2
    assert list(ccd.value("image1:Dimensions_RBV"))[:3] == [*expected[::-1], 0]
    assert len(ccd.value("image1:ArrayData")) == frame.size
    assert ccd.value("cam1:ArraySize_RBV") == 2 * frame.size


@pytest.mark.parametrize(
    ("settings", "holds"),
    [
        ({"MinX": 1}, {"MinX": 1, "SizeX": 1023}),
        ({"SizeY": 100, "MinY": 157}, {"MinY": 157, "SizeY": 99}),
        ({"SizeX": 10, "BinX": 11}, {"SizeX": 10, "BinX": 10}),
        ({"MinY": 250, "BinY": 16}, {"MinY": 250, "SizeY": 6, "BinY": 6}),
        ({"MinX": 1023, "SizeX": 7, "BinX": 3}, {"MinX": 1023, "SizeX": 1, "BinX": 1}),
        ({"MinX": 512, "SizeX": 512}, {"MinX": 512, "SizeX": 512, "BinX": 1}),
    ],
)
def test_a_region_is_cut_at_the_edge_of_the_chip_in_every_order(
    make_ccd, settings, holds
):
    ends = []
    for order in itertools.permutations(settings.items()):
        ccd = make_ccd()
        asyncio.run(ccd.set("cam1", **dict(order)))
        ends.append({name: ccd.value(f"cam1:{name}_RBV") for name in holds})
        assert {name: ccd.value(f"cam1:{name}") for name in settings} == settings

    assert ends == [holds] * len(ends)


def test_what_was_cut_comes_back_with_the_space_for_it(ccd):
    asyncio.run(ccd.set("cam1", MinX=1000, SizeX=200, BinX=50))
    cut = shape(ccd)
    asyncio.run(ccd.set("cam1", MinX=0))

    assert cut == (1, 1)
    assert shape(ccd) == (1, 4)


@pytest.mark.parametrize(("name", "value"), [("BinX", 0), ("SizeX", 1025)])
def test_a_region_that_no_chip_has_is_refused(ccd, name, value):
    with pytest.raises(RefusedPutError, match=r"limits 1\.\.1024"):
        asyncio.run(ccd.set("cam1", **{name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [("DataType", "UInt32"), ("ColorMode", "RGB1"), ("TriggerMode", 1)],
)
def test_what_the_camera_has_not_is_refused(ccd, name, value):
    with pytest.raises(RefusedPutError, match=r"only .* is possible"):
        asyncio.run(ccd.set("cam1", **{name: value}))


def test_the_order_of_settings_does_not_matter(make_ccd):
    settings = {
        "AndorReadOutMode": "Image",
        "SizeX": 512,
        "SizeY": 64,
        "BinX": 2,
        "BinY": 4,
        "AndorPreAmpGain": "2.0x",
        "AcquireTime": 0.1,
    }
    frames = []
    for order in (settings, dict(reversed(settings.items()))):
        ccd = make_ccd()
        asyncio.run(ccd.set("cam1", **order))
        frames.append(asyncio.run(ccd.take()))

    assert np.array_equal(*frames)


def test_the_wells_and_the_gain_decide_when_a_pixel_is_saturated(ccd):
    level, well = "cam1:SaturationLevel_RBV", "cam1:FullWell_RBV"
    seen = []

    async def set_up():
        for settings in (
            {"AndorReadOutMode": "FVB"},
            {"AndorReadOutMode": "Image"},
            {"AndorPreAmpGain": "2.0x"},
            {"AndorPreAmpGain": "1.0x", "BinY": 2},
        ):
            await ccd.set("cam1", **settings)
            seen.append((ccd.value(well), ccd.value(level)))

    asyncio.run(set_up())

    assert seen == [
        (655000, 65535),
        (500000, 50297),
        (500000, 65535),
        (655000, 65535),
    ]


def test_saturated_pixels_are_counted(ccd):
    light(ccd, power_od=0.0)

    async def take(exposure):
        await ccd.set("cam1", AcquireTime=exposure)
        await ccd.take()
        return ccd.value("cam1:SaturatedPixels_RBV")

    assert asyncio.run(take(0.01)) == 0
    assert asyncio.run(take(60.0)) > 10


def test_frames_follow_each_other_by_the_simulated_clock(ccd):
    async def take(**settings):
        times = ccd.heard("cam1:TimeStamp_RBV")
        await ccd.set("cam1", **settings)
        await ccd.take(4)
        return np.diff(all_of(times)), ccd.value("cam1:FramePeriod_RBV")

    async def take_twice():
        return await take(AcquireTime=0.5), await take(AcquirePeriod=2.0)

    (gaps, period), (slow_gaps, slow_period) = asyncio.run(take_twice())

    assert period == pytest.approx(0.5 + 256 * 8e-6 + 1024e-6)
    assert gaps == pytest.approx([period] * 3)
    assert slow_period == 2.0
    assert slow_gaps == pytest.approx([2.0] * 3)


def test_settings_that_change_during_an_acquisition_are_for_the_next_one(ccd):
    """As a stock detector's unstaging, which waits for the read-backs, needs it."""
    changes = {
        "AcquireTime": 0.1,
        "AcquirePeriod": 0.2,
        "NumExposures": 2,
        "NumImages": 1,
        "ImageMode": "Single",
        "AndorReadOutMode": "Image",
        "AndorPreAmpGain": "4.0x",
        "AndorADCSpeed": "3.00 MHz",
        "MinX": 512,
        "BinX": 8,
        "ReverseX": "Yes",
    }

    async def take_and_change():
        times, shapes = ccd.heard("cam1:TimeStamp_RBV"), set()
        saturated = ccd.value("cam1:SaturationLevel_RBV")
        await ccd.set("cam1", AcquireTime=20.0, NumImages=5, ImageMode="Multiple")
        period = ccd.value("cam1:FramePeriod_RBV")
        acquisition = asyncio.create_task(ccd.set("cam1", Acquire=1))
        await ccd.until("cam1:DetectorState_RBV", "Acquire")
        await ccd.set("cam1", **changes)
        shown = {name: ccd.value(f"cam1:{name}_RBV") for name in changes}
        during = ccd.value("cam1:Acquire_RBV"), times.qsize()
        await acquisition
        shapes.add(ccd.value("image1:ArraySizeX_RBV"))
        told = ccd.group.image.last.attributes
        frames = all_of(times)
        await ccd.set("cam1", Acquire=1)
        return shown, during, period, frames, shapes, told, saturated, all_of(times)

    shown, during, period, frames, shapes, told, saturated, after = asyncio.run(
        take_and_change()
    )

    assert shown == changes
    assert during == ("Acquiring", 0)
    assert np.diff(frames) == pytest.approx([period] * 4)
    assert shapes == {1024}
    assert (told["AcquireTime"], told["MinX"], told["SizeX"]) == (20.0, 0, 1024)
    assert (told["AndorPreAmpGain"], told["SaturationLevel"]) == ("1.0x", saturated)
    assert len(after) == 1
    assert ccd.value("image1:ArraySizeX_RBV") == 512 // 8
    assert ccd.group.image.last.attributes["AndorPreAmpGain"] == "4.0x"


COST_S = 0.05
"""Real seconds of work for a frame, on a slow computer."""


@pytest.fixture
def take_late(make_ccd, jumping_loop):
    """Take frames of 10 ms that cost more than that, until a client has had 20 turns.

    Gives the CCD, the start of each frame, and how late it was done.
    """

    def take_late(mode):
        with asyncio.Runner(loop_factory=jumping_loop) as runner:
            loop = runner.get_loop()
            ccd = make_ccd(factor=1.0, source=loop.time)
            stamp, starts, late = ccd["cam1:TimeStamp_RBV"], [], []
            post = stamp.post

            async def work(start_s):
                loop.work(COST_S)
                await post(start_s)
                starts.append(start_s)
                late.append(ccd.world.now() - start_s)

            async def take():
                stamp.post = work
                await ccd.set("cam1", AcquireTime=0.007, ImageMode=mode, NumImages=40)
                acquisition = asyncio.create_task(ccd.set("cam1", Acquire=1))
                await ccd.until("cam1:NumImagesCounter_RBV", 20)
                before = len(starts)
                for _ in range(20):
                    await asyncio.sleep(0)
                turns = len(starts) - before
                await ccd.set("cam1", Acquire=0)
                await acquisition
                return turns

            return ccd, starts, late, runner.run(take())

    return take_late


@pytest.mark.parametrize("mode", ["Continuous", "Multiple"])
def test_clients_get_their_turns_while_frames_are_late(take_late, mode):
    _, starts, _, frames = take_late(mode)

    assert len(starts) >= 20
    assert frames <= 1


def test_frames_until_aborted_keep_to_the_present_and_skipped_ones_are_counted(
    take_late,
):
    ccd, starts, late, _ = take_late("Continuous")

    period = ccd.value("cam1:FramePeriod_RBV")
    steps = np.diff(starts) / period
    assert steps == pytest.approx(np.round(steps))
    assert max(late) < 2 * COST_S
    skipped = np.round(steps).sum() - len(steps)
    assert skipped >= len(steps)
    assert ccd.value("image1:DroppedArrays_RBV") - skipped in range(10)
    assert ccd.value("cam1:ArrayCounter_RBV") == len(starts)
    assert ccd.value("image1:UniqueId_RBV") == len(starts)


def test_a_number_of_frames_is_taken_without_a_gap_however_late(take_late):
    ccd, starts, late, _ = take_late("Multiple")

    assert np.diff(starts) == pytest.approx(ccd.value("cam1:FramePeriod_RBV"))
    assert late[-1] > 10 * COST_S
    assert ccd.value("image1:DroppedArrays_RBV") == 0


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 256 * 8e-6 + 1024 / 1e6),
        ({"AndorADCSpeed": "0.05 MHz"}, 256 * 8e-6 + 1024 / 5e4),
        ({"AndorReadOutMode": "Image"}, 256 * 8e-6 + 256 * 1024 / 1e6),
        ({"AndorReadOutMode": "Image", "BinY": 4}, 256 * 8e-6 + 64 * 1024 / 1e6),
    ],
)
def test_read_out_takes_its_time(ccd, settings, expected):
    async def take():
        await ccd.set("cam1", AcquireTime=0, **settings)
        begin = ccd.world.now()
        await ccd.take()
        return ccd.world.now() - begin

    assert asyncio.run(take()) >= expected
    assert ccd.value("cam1:ReadOutTime_RBV") == pytest.approx(expected)


def test_slow_conversion_is_quiet(ccd):
    async def noise(speed):
        await ccd.set("cam1", AcquireTime=0, AndorADCSpeed=speed, AndorPreAmpGain=2)
        return (await ccd.take()).std()

    slow, fast = asyncio.run(noise("0.05 MHz")), asyncio.run(noise("3.00 MHz"))
    assert slow < 0.5 * fast


def test_exposures_of_a_frame_are_added(ccd):
    async def take(exposures):
        await ccd.set("cam1", AcquireTime=0, NumExposures=exposures)
        return (await ccd.take()).astype(float)

    single, many = asyncio.run(take(1)), asyncio.run(take(25))
    assert many.mean() / single.mean() == pytest.approx(25, rel=1e-3)
    assert many.std() / single.std() == pytest.approx(5, rel=0.15)
    assert ccd.value("cam1:NumExposuresCounter_RBV") == 25


def test_exposures_of_a_frame_keep_their_period(ccd):
    asyncio.run(
        ccd.set("cam1", AcquireTime=0.1, NumExposures=3, AndorAccumulatePeriod=0.5)
    )

    read_out = ccd.value("cam1:ReadOutTime_RBV")
    assert ccd.value("cam1:FramePeriod_RBV") == pytest.approx(1.1 + read_out)


@pytest.mark.parametrize(("name", "axis"), [("ReverseX", 1), ("ReverseY", 0)])
def test_frames_can_be_mirrored(make_ccd, name, axis):
    async def take(ccd, **settings):
        await ccd.set("cam1", AndorReadOutMode="Image", SizeY=64, MinY=100, **settings)
        return await ccd.take()

    plain, mirrored = make_ccd(), make_ccd()
    for ccd in (plain, mirrored):
        asyncio.run(ccd.set("cam1", AcquireTime=0))
    straight = asyncio.run(take(plain))

    assert np.array_equal(
        np.flip(asyncio.run(take(mirrored, **{name: "Yes"})), axis), straight
    )


def test_an_image_of_the_fibre_is_a_narrow_band_of_rows(ccd):
    light(ccd)

    async def take():
        await ccd.set("cam1", AndorReadOutMode="Image", AcquireTime=2.0)
        return (await ccd.take()).astype(float) - 300

    rows = asyncio.run(take()).sum(axis=1)
    lit = rows[112:144].sum() / rows.sum()
    assert lit > 0.95
    assert np.average(np.arange(256), weights=np.clip(rows, 0, None)) == pytest.approx(
        127.5, abs=1.0
    )


def test_stray_light_falls_on_all_rows(ccd):
    async def take():
        await ccd.world.faults.set("stray_light", 1e7)
        await ccd.set("cam1", AndorReadOutMode="Image", AcquireTime=10.0)
        return (await ccd.take()).astype(float) - 300

    rows = asyncio.run(take()).mean(axis=1)
    assert rows == pytest.approx(1e8 / 1024 / 256 / 10, rel=0.2)


def test_the_counters_go_on_while_frames_are_dropped(ccd):
    async def take():
        await ccd.world.faults.set("ccd_dropped_frames", 0.5)
        await ccd.set("cam1", AcquireTime=0)
        arrived = ccd.heard("image1:UniqueId_RBV")
        await ccd.take(20)
        return all_of(arrived)

    arrived = asyncio.run(take())

    expected = [n for n in range(1, 21) if stream(3, "ccd-dropped", n).random() >= 0.5]
    assert arrived == expected
    assert 0 < len(arrived) < 20
    assert ccd.value("cam1:ArrayCounter_RBV") == 20
    assert ccd.value("cam1:UniqueId_RBV") == 20
    for plugin in ("image1", "HDF1"):
        assert ccd.value(f"{plugin}:DroppedArrays_RBV") == 20 - len(arrived)


def test_frames_are_passed_on_only_if_they_shall_be(ccd):
    async def take():
        await ccd.set("cam1", AcquireTime=0, ArrayCallbacks="Disable")
        await ccd.set("cam1", Acquire=1)

    asyncio.run(take())

    assert ccd.value("cam1:ArrayCounter_RBV") == 1
    assert ccd.value("image1:UniqueId_RBV") == 0


def test_the_state_goes_through_exposure_and_read_out(ccd):
    async def take():
        states = ccd.heard("cam1:DetectorState_RBV")
        busy = ccd.heard("cam1:Acquire_RBV")
        await ccd.set("cam1", AcquireTime=0.1)
        await ccd.set("cam1", Acquire=1)
        return [all_of(states), all_of(busy)]

    assert asyncio.run(take()) == [
        ["Acquire", "Readout", "Idle"],
        ["Acquiring", "Done"],
    ]
    assert ccd.value("cam1:StatusMessage_RBV") == "Idle"
    assert ccd.value("cam1:TimeRemaining_RBV") == 0


@pytest.mark.parametrize("settings", [{"AcquireTime": 3600}, {"AcquirePeriod": 3600}])
def test_an_abort_ends_an_exposure_or_the_wait_for_one(ccd, settings):
    async def take_and_abort():
        await ccd.set("cam1", AcquireTime=0, ImageMode="Continuous")
        await ccd.set("cam1", **settings)
        acquisition = asyncio.create_task(ccd.set("cam1", Acquire=1))
        await ccd.until("cam1:Acquire_RBV", "Acquiring")
        await ccd.set("cam1", Acquire=0)
        await acquisition

    asyncio.run(take_and_abort())

    assert ccd.value("cam1:DetectorState_RBV") == "Aborted"
    assert ccd.value("cam1:Acquire_RBV") == "Done"


def test_the_chip_overheats_and_recovers(ccd):
    world, status = ccd.world, "cam1:AndorTempStatus_RBV"
    chip = ccd["cam1:TemperatureActual"]

    async def overheat():
        running = asyncio.create_task(ccd.group.run())
        await world.faults.set("ccd_overheat", 1)
        drifting = ccd.value(status)
        await ccd.until("cam1:TemperatureActual", -20)
        hot = ccd.value(status), chip.alarm.severity, world.now()
        await world.faults.set("ccd_overheat", 0)
        await ccd.until(status, "Stabilized at set point")
        running.cancel()
        return drifting, hot

    drifting, (stayed, severity, hot_s) = asyncio.run(overheat())

    assert drifting == stayed == "Stabilized but drifted"
    assert severity == AlarmSeverity.MAJOR_ALARM
    assert world.ccd_temperature_c.at(hot_s) == -20
    assert (chip.value, chip.alarm.severity) == (-70, AlarmSeverity.NO_ALARM)


def test_the_cooler_can_be_switched_off(ccd):
    async def warm_up():
        running = asyncio.create_task(ccd.group.run())
        await ccd.set("cam1", AndorCooler="Off")
        await ccd.until("cam1:TemperatureActual", 20)
        running.cancel()

    asyncio.run(warm_up())

    assert ccd.value("cam1:AndorTempStatus_RBV") == "Cooler is OFF"


def test_stamps_are_those_of_the_camera_and_of_the_computer(ccd):
    async def take():
        begin = ccd.world.now()
        await ccd.set("cam1", AcquireTime=1.0)
        await ccd.take()
        return begin

    begin = asyncio.run(take())

    for part in ("cam1", "image1"):
        assert begin <= ccd.value(f"{part}:TimeStamp_RBV") < begin + 10
        assert ccd.value(f"{part}:EpicsTSSec_RBV") > 1e9
        assert ccd.value(f"{part}:UniqueId_RBV") == 1


def test_the_rate_of_frames_is_shown(ccd, monkeypatch):
    monkeypatch.setattr("ioc_sim.ccd.RATE_PERIOD", 0.01)

    async def take():
        running = asyncio.create_task(ccd.group.run())
        rates = ccd.heard("cam1:ArrayRate_RBV")
        await ccd.set("cam1", AcquireTime=0)
        await ccd.take(3)
        async with asyncio.timeout(10):
            seen = [await rates.get()]
            while seen[-1] != 0:
                seen.append(await rates.get())
        running.cancel()
        return seen

    *some, none = asyncio.run(take())
    assert all(rate > 0 for rate in some)
    assert none == 0


@pytest.mark.parametrize("mode", ["FVB", "Image"])
def test_polling_changes_nothing(make_ccd, mode):
    async def take(ccd, *, polled):
        light(ccd)
        await ccd.set("cam1", AndorReadOutMode=mode, SizeY=64, MinY=96)
        await ccd.set("cam1", AcquireTime=0, NumExposures=2)
        reading = asyncio.create_task(poll(ccd)) if polled else None
        frames = [await ccd.take() for _ in range(3)]
        if reading is not None:
            reading.cancel()
        return frames

    async def poll(ccd):
        for _ in itertools.count():
            for channel in ccd.group.pvdb.values():
                await channel.read(channel.data_type)
            await asyncio.sleep(0)

    alone = asyncio.run(take(make_ccd(), polled=False))
    polled = asyncio.run(take(make_ccd(), polled=True))

    assert np.array_equal(alone, polled)
