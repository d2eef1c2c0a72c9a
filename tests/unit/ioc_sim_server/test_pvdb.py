"""Every PV says what it is; the list of PVs is the one that was agreed on."""

from pathlib import Path

import pytest
from caproto import AccessRights, ChannelType

from ioc_sim.pv_table import describe_pvs
from ioc_sim.server import Bench

NUMERIC = {ChannelType.DOUBLE, ChannelType.LONG}
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "pvs.md"

AGREED = {
    "LASER:": "Emission Emission_RBV Level Level_RBV RepRate_RBV PulseWidth_RBV "
    "Interlock_RBV Ready_RBV LastError_RBV",
    "FILTER:": "Wavelength Wavelength_RBV Bandwidth Bandwidth_RBV Moving_RBV Stop "
    "Velocity Medium_RBV LastError_RBV",
    "POWER:": "OD OD_RBV Moving_RBV Stop Shutter Shutter_RBV Meter:Measure "
    "Meter:AveragingTime Meter:Power_RBV Meter:PowerSigma_RBV Meter:Wavelength "
    "Meter:Overrange_RBV Meter:Counter_RBV Calibration:Wavelength_RBV "
    "Calibration:Ratio_RBV Calibration:RatioSigma_RBV LastError_RBV",
    "CRYO:": "KRDG0 KRDG1 SETP_S1 SETP1 RAMP_S1 RAMP1 RAMPST1 HTR1 Stable_RBV "
    "StableBand StableTime Flow Flow_RBV HeLevel_RBV Vacuum_RBV LastError_RBV",
    "ANALYSER:": "HWP HWP.RBV HWP.DMOV HWP.MOVN HWP.STOP HWP.SPMG HWP.HLM HWP.LLM "
    "HWP.LVIO HWP.VELO HWP.ACCL HWP.EGU HWP.PREC HWP.OFF HWP.DIR HWP.FOFF HWP.SET "
    "HWP.HLS HWP.LLS HWP.TDIR HWP.HOMF HWP.HOMR In In_RBV PolarizerAngle_RBV "
    "LastError_RBV",
    "SPEC:": "Wavelength Wavelength_RBV MinWavelength MaxWavelength Grating "
    "Grating_RBV SlitSize1 SlitSize1_RBV Calibration Medium_RBV Resolution_RBV "
    "LastError_RBV",
    "CCD:": "LastError_RBV",
    "CCD:cam1:": "Acquire AcquireTime AcquireTime_RBV AcquirePeriod AcquirePeriod_RBV "
    "NumImages NumImages_RBV NumImagesCounter_RBV ImageMode ImageMode_RBV TriggerMode "
    "TriggerMode_RBV ArrayCounter ArrayCounter_RBV DetectorState_RBV "
    "StatusMessage_RBV Temperature TemperatureActual AndorCooler AndorCooler_RBV "
    "AndorTempStatus_RBV AndorReadOutMode AndorReadOutMode_RBV AndorPreAmpGain "
    "AndorPreAmpGain_RBV SizeX_RBV SizeY_RBV MaxSizeX_RBV MaxSizeY_RBV "
    "ArraySizeX_RBV ArraySizeY_RBV DataType_RBV Manufacturer_RBV Model_RBV "
    "Sensitivity_RBV FullWell_RBV SaturatedPixels_RBV SaturationLevel_RBV",
    "CCD:image1:": "ArrayData ArrayCounter_RBV UniqueId_RBV ArraySize0_RBV "
    "EnableCallbacks EnableCallbacks_RBV PluginType_RBV",
    "IOC:": "BootId_RBV Heartbeat_RBV Version_RBV StartTime_RBV",
    "SIM:": "Seed TimeFactor SimTime_RBV Truth_RBV",
}


def test_the_pvs_are_the_agreed_ones(pvs):
    agreed = {f"T:{at}{n}" for at, names in AGREED.items() for n in names.split()}

    assert set(pvs) == agreed


def test_every_pv_is_described(pvs):
    assert [name for name, pv in pvs.items() if not pv.__doc__] == []


def test_every_numeric_pv_has_a_unit_and_limits(pvs):
    numeric = {name: pv for name, pv in pvs.items() if pv.data_type in NUMERIC}

    assert [name for name, pv in numeric.items() if not pv.units] == []
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


@pytest.mark.parametrize("row", ["T:POWER:OD", "T:CCD:image1:ArrayData"])
def test_the_table_has_a_row_for_each_pv(pvs, row):
    table = describe_pvs(pvs)

    assert f"| `{row}` |" in table
    assert len(table.splitlines()) == len(pvs) + 2


def test_the_page_of_all_pvs_is_up_to_date(bench):
    table = describe_pvs(Bench("TRIPLET:", bench.world, truth=True).pvdb)

    assert table in PAGE.read_text(encoding="utf-8")
