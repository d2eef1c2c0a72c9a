"""The analyser: plate and polarizer as motor records, the polarizer by two names."""

import asyncio

import pytest
from caproto import AlarmSeverity

from ioc_sim.channels import RefusedPutError


def test_the_choice_drives_the_slide_and_the_world(bench, pvs, put):
    asyncio.run(put(pvs["T:ANALYSER:In"], "Out"))

    assert pvs["T:ANALYSER:POL.RBV"].value == 0.0
    assert pvs["T:ANALYSER:POL"].value == 0.0
    assert bench.world.analyser_in.at(bench.world.now()) == 0.0

    asyncio.run(put(pvs["T:ANALYSER:In"], "In"))

    assert pvs["T:ANALYSER:POL.RBV"].value == 25.0
    assert pvs["T:ANALYSER:In_RBV"].value == "In"
    assert bench.world.analyser_in.at(bench.world.now()) == 1.0


@pytest.mark.parametrize(("position", "state"), [(0.0, "Out"), (12.0, "Out")])
def test_the_slide_moved_by_hand_changes_the_choice(pvs, put, position, state):
    asyncio.run(put(pvs["T:ANALYSER:POL"], position))

    assert pvs["T:ANALYSER:In_RBV"].value == state
    assert pvs["T:ANALYSER:In"].value == state

    asyncio.run(put(pvs["T:ANALYSER:POL"], 25.0))

    assert pvs["T:ANALYSER:In_RBV"].value == "In"
    assert pvs["T:ANALYSER:In"].value == "In"


def test_the_choice_shows_what_was_asked_while_the_slide_moves(pvs, put):
    async def look():
        await put(pvs["T:ANALYSER:In"], "Out")
        move = asyncio.create_task(put(pvs["T:ANALYSER:In"], "In"))
        await asyncio.sleep(0)
        during = pvs["T:ANALYSER:In"].value
        await move
        return during

    assert asyncio.run(look()) == "In"


def test_a_stuck_slide_leaves_the_polarizer_where_it_is(bench, pvs, put):
    async def stick():
        await bench.world.faults.set("stuck_motor", "ANALYSER:POL")
        await put(pvs["T:ANALYSER:In"], "Out")

    asyncio.run(stick())

    assert pvs["T:ANALYSER:In_RBV"].value == "In"
    assert pvs["T:ANALYSER:POL.MISS"].value == 1
    severity = pvs["T:ANALYSER:POL.RBV"].alarm.severity
    assert severity == AlarmSeverity.MAJOR_ALARM
    assert bench.world.analyser_in.at(bench.world.now()) == 1.0


def test_a_held_slide_refuses_the_choice(pvs, put):
    async def hold():
        await put(pvs["T:ANALYSER:POL.SPMG"], "Stop")
        with pytest.raises(RefusedPutError, match="SPMG is Stop"):
            await put(pvs["T:ANALYSER:In"], "Out")

    asyncio.run(hold())

    assert pvs["T:ANALYSER:In"].value == "In"
    assert pvs["T:ANALYSER:LastError_RBV"].value.startswith("In: got Out while SPMG")


def test_the_slide_has_its_own_unit_and_range(pvs):
    assert pvs["T:ANALYSER:POL.EGU"].value == "mm"
    assert pvs["T:ANALYSER:POL"].units == "mm"
    assert pvs["T:ANALYSER:POL"].upper_ctrl_limit == 25.0


def test_homing_cures_a_slipped_plate(bench, pvs, put):
    async def slip_and_home():
        await put(pvs["T:ANALYSER:HWP"], 20.0)
        await bench.world.faults.set("hwp_slip", 5.0)
        turned = bench.world.state_at(bench.world.now()).hwp_deg
        await put(pvs["T:ANALYSER:HWP.HOMF"], 1)
        return turned

    assert asyncio.run(slip_and_home()) == pytest.approx(25.0)

    assert pvs["T:ANALYSER:HWP.RBV"].value == 0.0
    assert pvs["T:ANALYSER:HWP.ATHM"].value == 1
    assert bench.world.state_at(bench.world.now()).hwp_deg == 0.0
