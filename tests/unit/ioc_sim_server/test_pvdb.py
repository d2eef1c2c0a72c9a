"""Every PV says what it is; the list of PVs is the one that was agreed on."""

import asyncio
from pathlib import Path

from caproto import AccessRights, ChannelType

from ioc_sim.pv_table import describe_pvs
from ioc_sim.server import Bench

LONGEST_UNIT = 8
"""Bytes of a unit in Channel Access; with more, no client gets the limits."""

NUMERIC = {ChannelType.DOUBLE, ChannelType.LONG}
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "pvs.md"


def test_every_pv_is_described(pvs):
    assert [name for name, pv in pvs.items() if not pv.__doc__] == []


def test_every_pv_says_which_real_record_it_mirrors_or_why_there_is_none(pvs):
    assert [name for name, pv in pvs.items() if not pv.mirrors] == []


def test_every_numeric_pv_has_a_unit_and_limits(pvs):
    numeric = {name: pv for name, pv in pvs.items() if pv.data_type in NUMERIC}

    assert [name for name, pv in numeric.items() if not pv.units] == []
    assert [name for name, pv in numeric.items() if len(pv.units) > LONGEST_UNIT] == []
    for name, pv in numeric.items():
        control = (pv.lower_ctrl_limit, pv.upper_ctrl_limit)
        assert control == (pv.lower_disp_limit, pv.upper_disp_limit), name
        # ophyd takes equal limits for none; only a constant may have them.
        assert control[0] < control[1] or name.endswith("SizeY_RBV"), name


def test_every_floating_point_pv_has_a_precision_that_fits(pvs):
    floats = {n: pv for n, pv in pvs.items() if pv.data_type == ChannelType.DOUBLE}

    assert [name for name, pv in floats.items() if not 0 <= pv.precision <= 9] == []


def test_every_value_at_the_start_is_within_its_limits(pvs):
    scalars = {
        name: pv
        for name, pv in pvs.items()
        if pv.data_type in NUMERIC and pv.max_length == 1
    }

    outside = [
        name
        for name, pv in scalars.items()
        if not pv.lower_ctrl_limit <= pv.value <= pv.upper_ctrl_limit
    ]

    assert outside == []


def test_every_pv_has_an_alarm_of_its_own(pvs):
    assert len({id(pv.alarm) for pv in pvs.values()}) == len(pvs)


def test_no_read_back_can_be_written(pvs):
    writable = [
        name
        for name, pv in pvs.items()
        if name.endswith("_RBV") and AccessRights.WRITE in pv.check_access("h", "u")
    ]

    assert writable == []


def test_the_bench_starts_dark(pvs):
    assert pvs["T:LASER:Emission"].value == "Off"
    assert pvs["T:LASER:Level"].value == 0
    assert pvs["T:POWER:OD"].value == 4
    assert pvs["T:POWER:Shutter_RBV"].value == "Closed"


def test_the_truth_is_served_only_when_asked_for(bench):
    assert not [pv for pv in Bench("T:", bench.world).pvdb if pv.startswith("T:SIM:")]


def test_the_page_has_a_row_for_each_pv_below_its_instrument(bench):
    groups = Bench("T:", bench.world, truth=True).groups
    page = describe_pvs(groups)

    rows = [line for line in page.splitlines() if line.startswith("| `T:")]
    assert len(rows) == sum(len(group.pvdb) for group in groups)
    for group in groups:
        assert f"## `{group.prefix}`" in page
    assert page.index("## `T:POWER:`") < page.index("| `T:POWER:OD` | DOUBLE | OD |")


def test_the_page_of_all_pvs_is_up_to_date(bench):
    served = Bench("TRIPLET:", bench.world, truth=True)
    asyncio.run(served.start())
    page = describe_pvs(served.groups)

    assert page in PAGE.read_text(encoding="utf-8")
