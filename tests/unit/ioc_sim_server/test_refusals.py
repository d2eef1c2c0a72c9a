"""A put that an instrument cannot do changes nothing, and says why."""

import asyncio

import numpy as np
import pytest
from caproto import DBR_TYPES, AlarmSeverity, ChannelType

from ioc_sim.channels import RefusedPutError

NUMBERS = ["T:POWER:OD", "T:FILTER:Wavelength", "T:ANALYSER:HWP", "T:CRYO:SETP_S1"]
CHOICES = ["T:POWER:Shutter", "T:LASER:Emission", "T:CCD:cam1:Acquire"]


def instrument_of(name):
    return ":".join(name.split(":")[:2])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308, -1e308, "five", ""])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_is_none_or_too_far_is_refused(pvs, put, name, value):
    before = pvs[name].value

    with pytest.raises(RefusedPutError, match=name):
        asyncio.run(put(pvs[name], value))

    assert pvs[name].value == before
    assert pvs[name].alarm.severity == AlarmSeverity.INVALID_ALARM
    text = pvs[f"{instrument_of(name)}:LastError_RBV"].value
    assert text.startswith(f"{name.split(':')[-1]}: got ")


@pytest.mark.parametrize("value", [-1, 2, 65535, 0.5, np.nan, "Ajar", ""])
@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_that_does_not_exist_is_refused(pvs, put, name, value):
    before = pvs[name].value

    with pytest.raises(RefusedPutError, match="choices"):
        asyncio.run(put(pvs[name], value))

    assert pvs[name].value == before
    assert pvs[name].alarm.severity == AlarmSeverity.INVALID_ALARM


@pytest.mark.parametrize("value", [3.7, 0, 2**31, 2**40, np.nan])
def test_a_number_of_frames_that_is_none_is_refused(pvs, put, value):
    channel = pvs["T:CCD:cam1:NumImages"]

    with pytest.raises(RefusedPutError):
        asyncio.run(put(channel, value))

    assert channel.value == 1


def test_the_refusal_names_value_limits_and_unit(pvs, put):
    with pytest.raises(RefusedPutError) as refusal:
        asyncio.run(put(pvs["T:CRYO:SETP_S1"], 400))

    assert str(refusal.value) == "T:CRYO:SETP_S1: got 400, limits 3.5..310 K"
    assert pvs["T:CRYO:LastError_RBV"].value == "SETP_S1: got 400, limits 3.5..310 K"


def test_an_array_for_a_number_is_refused(pvs, put):
    with pytest.raises(RefusedPutError, match="got 3 values, expected one"):
        asyncio.run(put(pvs["T:POWER:OD"], np.array([1.0, 2.0, 3.0])))


def test_limits_that_a_client_sends_along_are_ignored(pvs, put):
    metadata = DBR_TYPES[ChannelType.CTRL_DOUBLE](upper_ctrl_limit=99.0)

    asyncio.run(put(pvs["T:POWER:OD"], 3.99, ChannelType.CTRL_DOUBLE, metadata))

    assert pvs["T:POWER:OD"].upper_ctrl_limit == 4.0


def test_the_next_good_put_takes_alarm_and_text_back(pvs, put):
    async def bad_then_good():
        with pytest.raises(RefusedPutError):
            await put(pvs["T:POWER:OD"], 5)
        await put(pvs["T:POWER:OD"], 3.99)

    asyncio.run(bad_then_good())

    assert pvs["T:POWER:OD"].alarm.severity == AlarmSeverity.NO_ALARM
    assert pvs["T:POWER:LastError_RBV"].value == ""


def test_a_good_put_elsewhere_leaves_alarm_and_text(pvs, put):
    async def bad_then_good_elsewhere():
        with pytest.raises(RefusedPutError):
            await put(pvs["T:POWER:OD"], 5)
        await put(pvs["T:POWER:Meter:AveragingTime"], 1)

    asyncio.run(bad_then_good_elsewhere())

    assert pvs["T:POWER:OD"].alarm.severity == AlarmSeverity.INVALID_ALARM
    assert pvs["T:POWER:LastError_RBV"].value == "OD: got 5, limits 0..4 OD"


@pytest.mark.parametrize("sent", [1, "1", "Open"])
def test_a_choice_is_taken_by_index_or_text(pvs, put, sent):
    asyncio.run(put(pvs["T:POWER:Shutter"], sent))

    assert pvs["T:POWER:Shutter_RBV"].value == "Open"


def test_a_number_is_taken_from_its_text(pvs, put):
    asyncio.run(put(pvs["T:POWER:Meter:AveragingTime"], "2.5"))

    assert pvs["T:POWER:Meter:AveragingTime"].value == 2.5


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("T:CCD:cam1:TriggerMode", "External", "only Internal is possible"),
        ("T:ANALYSER:HWP.HLM", -360, "expected more than the low limit"),
        ("T:ANALYSER:HWP.LLM", 360, "expected less than the high limit"),
    ],
)
def test_what_the_hardware_does_not_have_is_refused(pvs, put, name, value, reason):
    before = pvs[name].value

    with pytest.raises(RefusedPutError, match=reason):
        asyncio.run(put(pvs[name], value))

    assert pvs[name].value == before
    assert pvs[name].alarm.severity == AlarmSeverity.INVALID_ALARM
