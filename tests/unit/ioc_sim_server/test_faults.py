"""Faults are checked, break what they say, and leave the rest alone."""

import asyncio
import json
import math

import numpy as np
import pytest
from caproto import (
    SERVER,
    AlarmSeverity,
    AlarmStatus,
    CAStatus,
    ChannelFilter,
    ChannelType,
    SubscriptionType,
    VersionResponse,
    VirtualCircuit,
)
from caproto.server.common import SubscriptionSpec

from ioc_sim.client import FOLLOWER
from ioc_sim.clock import Clock, ManualClock
from ioc_sim.faults import FAULTS, FaultError, Faults, describe_faults, parse_faults
from ioc_sim.latency import PromptCircuit, PromptContext
from ioc_sim.sample import load_sample
from ioc_sim.server import Bench
from ioc_sim.wire_faults import MOMENTARY, PV_FAULTS
from ioc_sim.world import World


class Connections:
    """A server that only counts."""

    delay = 0.0
    cuts = 0

    def cut(self):
        self.cuts += 1


class Transport:
    """A client at the other end of a connection."""

    address = ("127.0.0.1", 50000)

    def __init__(self):
        self.sent = []
        self.closed = False

    def getsockname(self):
        return ("127.0.0.1", 5064)

    async def send(self, data):
        self.sent.append(data)

    def close(self):
        self.closed = True


@pytest.fixture
def faults():
    return Faults(ManualClock())


def as_client(channel, data_type=ChannelType.TIME_DOUBLE):
    """Value, severity and time that a client gets."""
    metadata, values = asyncio.run(channel.auth_read("", "", data_type))
    return values[0], metadata.severity, metadata.timestamp


async def write(channel, value):
    """Put as a client does; gives the status that it gets."""
    data = np.atleast_1d(value)
    return await channel.auth_write("", "", data, ChannelType.DOUBLE, None)


async def subscribe(channel, data_type=ChannelType.TIME_DOUBLE):
    """Subscribe as a server does for a client; gives the queue of the updates."""
    spec = SubscriptionSpec(
        db_entry=channel,
        data_type_name=data_type.name,
        mask=SubscriptionType.DBE_VALUE | SubscriptionType.DBE_ALARM,
        channel_filter=ChannelFilter(ts=False, dbnd=None, arr=None, sync=None),
    )
    updates = asyncio.Queue()
    await channel.subscribe(updates, spec, None)
    return updates


def received(updates):
    """Value and severity of each update until now."""
    waiting = [updates.get_nowait() for _ in range(updates.qsize())]
    return [(each.values[0], each.metadata.severity) for each in waiting]


def connect(name):
    """The circuit of a client that calls itself so, at a server of its own."""
    context = PromptContext({}, ["127.0.0.1"], 0)
    client = Transport()
    wire = VirtualCircuit(SERVER, client.address, None)
    circuit = PromptCircuit(wire, client, context)
    circuit.client_username = name
    context.circuits.add(circuit)
    return circuit


def switch(bench, name, value):
    asyncio.run(bench.world.faults.set(name, value))


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_every_fault_takes_its_typical_value_and_is_off_at_the_start(fault):
    assert fault.check(fault.typical) == fault.typical
    assert fault.typical != fault.off
    assert Faults(ManualClock()).value(fault.name) == fault.off


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("filterslip=1", "did you mean filter_slip"),
        ("xyz", "known: laser_mode_hop"),
        ("filter_slip=9", "got '9', limits -5..5 nm"),
        ("filter_slip=nan", "limits -5..5 nm"),
        ("filter_slip=far", "limits -5..5 nm"),
        ("shutter_stuck=Ajar", "choices None, Closed, Open"),
        ("laser_trip=1,laser_trip=0", "got it twice"),
        ("=3", "got the fault ''"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_what_can(text, reason):
    with pytest.raises(FaultError, match=reason):
        parse_faults(text)


def test_faults_are_read_from_one_text():
    read = parse_faults(" filter_slip=0.3, shutter_stuck = Closed,laser_trip,")

    assert read == {"filter_slip": 0.3, "shutter_stuck": "Closed", "laser_trip": 1.0}
    assert parse_faults("") == {}


def test_the_table_has_a_row_for_every_fault():
    rows = describe_faults().splitlines()[2:]

    assert [row.split("`")[1] for row in rows] == list(FAULTS)
    assert {row.count("|") for row in rows} == {7}


def test_a_magnitude_is_known_at_every_time_before():
    clock = ManualClock()
    faults = Faults(clock)
    clock.advance(1)
    asyncio.run(faults.set("filter_slip", 0.3))
    clock.advance(1)
    asyncio.run(faults.set("filter_slip", "-0.1"))

    at = [faults.at("filter_slip", time_s) for time_s in (0.5, 1.5, 2.5)]
    assert at == [0.0, 0.3, -0.1]


def test_a_watcher_is_told_once_for_each_change(faults):
    told = []

    async def watch(value):
        told.append(value)

    faults.watch("laser_trip", watch)
    for value in (1, 1, 0, 0, 1):
        asyncio.run(faults.set("laser_trip", value))

    assert told == [1.0, 0.0, 1.0]


def test_a_guard_refuses_and_the_fault_stays(faults):
    def guard(_):
        msg = "not now"
        raise FaultError(msg)

    faults.guard("laser_trip", guard)

    with pytest.raises(FaultError, match="not now"):
        asyncio.run(faults.set("laser_trip", 1))
    assert not faults.active("laser_trip")


def test_every_fault_has_a_pv_with_its_limits_or_choices(pvs):
    for fault in FAULTS.values():
        channel = pvs[f"T:SIM:{fault.pv}"]

        assert fault.doc in channel.__doc__
        if fault.choices:
            assert channel.enum_strings == fault.choices
        elif fault.limits:
            limits = channel.lower_ctrl_limit, channel.upper_ctrl_limit
            assert (limits, channel.units) == (fault.limits, fault.units)
        else:
            assert channel.data_type == ChannelType.STRING


def test_a_put_switches_the_fault_and_the_pv_shows_who_else_does(bench, pvs, put):
    channel = pvs["T:SIM:Fault:FilterSlip"]

    asyncio.run(put(channel, 0.3))
    assert bench.world.faults.value("filter_slip") == 0.3

    switch(bench, "filter_slip", 0.0)
    assert channel.value == 0.0


def test_the_truth_has_the_faults(bench, pvs):
    switch(bench, "shutter_stuck", "Open")

    truth = json.loads(pvs["T:SIM:Truth_RBV"].value)

    assert set(truth["faults"]) == set(FAULTS)
    assert truth["faults"]["shutter_stuck"] == "Open"


@pytest.mark.parametrize(
    ("name", "value", "opened"),
    [
        ("laser_mode_hop", -0.2, 1.0),
        ("filter_slip", 0.3, 1.0),
        ("shutter_leak", 0.1, 0.0),
        ("hwp_slip", 20.0, 1.0),
        ("focus_loss", 2.0, 1.0),
        ("stage_creep", 1000.0, 1.0),
        ("photodegradation", 1000.0, 1.0),
        ("stray_light", 1e5, 0.0),
    ],
)
def test_what_no_read_back_shows_is_in_the_light(name, value, opened):
    clock = ManualClock()
    world = World(load_sample(None), clock=clock)
    for axis, at in ((world.emission, 1), (world.level, 100), (world.od, 0)):
        axis.record(0.0, at)
    world.shutter.record(0.0, opened)
    clock.advance(100.0)
    before = world.sensor.expected_charge(99.0, 1.0).sum()

    asyncio.run(world.faults.set(name, value))
    clock.advance(100.0)

    assert abs(world.sensor.expected_charge(199.0, 1.0).sum() / before - 1) > 0.01


@pytest.mark.parametrize("name", PV_FAULTS[:3])
def test_a_pv_that_there_is_not_cannot_break(bench, pvs, put, name):
    with pytest.raises(FaultError, match="did you mean CRYO:SETP_S1"):
        switch(bench, name, "CRYO:SETP_S2")

    channel = pvs[f"T:SIM:{FAULTS[name].pv}"]
    with pytest.raises(Exception, match="the bench does not have"):
        asyncio.run(put(channel, "NOWHERE"))
    assert pvs["T:SIM:LastError_RBV"].value.startswith(FAULTS[name].pv)


@pytest.mark.parametrize("name", PV_FAULTS[:3])
def test_what_switches_faults_does_not_break(bench, name):
    with pytest.raises(FaultError, match="the bench does not have"):
        switch(bench, name, "SIM:Fault:StalePv")


def test_a_stale_pv_keeps_value_and_time_until_it_is_mended(bench, pvs):
    level = pvs["T:LASER:Level_RBV"]
    before = as_client(level)

    switch(bench, "stale_pv", "LASER:Level_RBV")
    asyncio.run(level.post(55.0))
    assert as_client(level) == before
    assert level.value == 55.0  # the instrument itself goes on

    switch(bench, "stale_pv", "")
    assert as_client(level)[0] == 55.0


def test_a_stale_pv_keeps_its_alarm(bench, pvs):
    channel = pvs["T:LASER:Level_RBV"]
    switch(bench, "stale_pv", "LASER:Level_RBV")

    asyncio.run(channel.raise_alarm(AlarmStatus.STATE, AlarmSeverity.MAJOR_ALARM))

    assert as_client(channel)[1] == AlarmSeverity.NO_ALARM


def test_only_one_pv_is_stale_at_a_time(bench, pvs):
    first, second = pvs["T:LASER:Level_RBV"], pvs["T:POWER:OD_RBV"]
    switch(bench, "stale_pv", "LASER:Level_RBV")
    asyncio.run(first.post(55.0))
    switch(bench, "stale_pv", "POWER:OD_RBV")
    asyncio.run(second.post(1.5))

    assert as_client(first)[0] == 55.0
    assert as_client(second)[0] != 1.5


def test_a_bad_reading_is_nan_with_an_invalid_alarm(bench, pvs):
    power = pvs["T:POWER:Meter:Power_RBV"]

    switch(bench, "nan_reading", "POWER:Meter:Power_RBV")
    asyncio.run(power.post(12.0))
    value, severity, _ = as_client(power)
    assert math.isnan(value)
    assert severity == AlarmSeverity.INVALID_ALARM

    switch(bench, "nan_reading", "")
    assert as_client(power)[:2] == (12.0, AlarmSeverity.NO_ALARM)


@pytest.mark.parametrize("fault", ["stale_pv", "nan_reading"])
def test_the_rest_of_the_bench_sees_what_a_broken_pv_holds(bench, pvs, fault):
    channel = pvs["T:FILTER:Wavelength_RBV"]

    async def scenario():
        client, rest = await subscribe(channel), await subscribe(channel.sound)
        await bench.world.faults.set(fault, "FILTER:Wavelength_RBV")
        await channel.post(500.0)
        await channel.raise_alarm(AlarmStatus.STATE, AlarmSeverity.MAJOR_ALARM)
        return received(client), received(rest), received(await subscribe(channel))

    client, rest, late_client = asyncio.run(scenario())

    assert (500.0, AlarmSeverity.NO_ALARM) in rest
    assert rest[-1] == (500.0, AlarmSeverity.MAJOR_ALARM)
    assert {value for value, _ in rest} == {526.0, 500.0}
    assert 500.0 not in {value for value, _ in client + late_client}


def test_the_rest_of_the_bench_sees_a_number_where_clients_see_a_text():
    bench = Bench("T:", World(load_sample(None), clock=Clock(1000)), truth=True)
    asyncio.run(bench.start({"wrong_type": "POWER:OD_RBV"}))
    channel = bench.pvdb["T:POWER:OD_RBV"]

    assert channel.sound.data_type == ChannelType.DOUBLE
    assert as_client(channel.sound)[0] == 4.0


def test_a_whole_waveform_can_be_nan(bench, pvs):
    switch(bench, "nan_reading", "SPEC:Calibration")

    channel = pvs["T:SPEC:Calibration"]
    _, values = asyncio.run(channel.auth_read("", "", ChannelType.DOUBLE))

    assert len(values) == 1024
    assert all(math.isnan(value) for value in values)


def test_what_is_no_number_cannot_be_nan(bench):
    with pytest.raises(FaultError, match="of type ENUM and cannot be NaN"):
        switch(bench, "nan_reading", "LASER:Emission_RBV")


def test_a_put_hangs_until_the_fault_is_over_and_has_no_effect(bench, pvs):
    channel, other = pvs["T:POWER:OD"], pvs["T:FILTER:Velocity"]

    before = channel.value

    async def scenario():
        await bench.world.faults.set("hung_put", "POWER:OD")
        hung = asyncio.create_task(write(channel, 1.0))
        await asyncio.sleep(0)
        await write(other, 2.0)
        assert not hung.done()
        await bench.world.faults.set("hung_put", "")
        return await hung

    assert asyncio.run(scenario()) == CAStatus.ECA_PUTFAIL
    assert channel.value == before
    assert other.value == 2.0


def test_a_read_back_takes_no_puts_that_could_hang(bench):
    with pytest.raises(FaultError, match="takes no puts"):
        switch(bench, "hung_put", "CRYO:KRDG1")


def test_a_wrong_type_is_a_text_from_the_start(put):
    bench = Bench("T:", World(load_sample(None), clock=Clock(1000)), truth=True)
    asyncio.run(bench.start({"wrong_type": "LASER:Level"}))
    channel = bench.pvdb["T:LASER:Level"]

    assert channel.data_type == ChannelType.STRING
    _, values = asyncio.run(channel.auth_read("", "", ChannelType.TIME_STRING))
    assert list(values) == [b"0.0"]
    asyncio.run(put(channel, "12.5"))
    assert channel.value == 12.5


def test_a_type_does_not_change_while_the_ioc_runs(bench):
    with pytest.raises(FaultError, match="possible from the start only"):
        switch(bench, "wrong_type", "LASER:Level")


@pytest.mark.parametrize("name", MOMENTARY)
def test_what_happens_at_a_moment_is_not_there_from_the_start(name):
    bench = Bench("T:", World(load_sample(None), clock=ManualClock()))

    with pytest.raises(FaultError, match="happens at a moment"):
        asyncio.run(bench.start({name: 1.0}))


def test_connections_are_slow_as_long_as_the_fault_is_on(bench):
    connections = Connections()
    switch(bench, "slow_ioc", 0.5)
    bench.wire.attach(connections)
    assert connections.delay == 0.5

    switch(bench, "slow_ioc", 0.0)
    assert connections.delay == 0.0


def test_connections_are_cut_once_for_each_put(bench, pvs, put):
    connections = Connections()
    bench.wire.attach(connections)
    channel = pvs["T:SIM:Fault:LostCircuits"]

    for count in (1, 2):
        asyncio.run(put(channel, 1.0))
        assert connections.cuts == count
        assert channel.value == 0


@pytest.mark.parametrize(("name", "cut"), [("operator", True), (FOLLOWER, False)])
def test_clients_are_cut_off_and_the_rest_of_the_bench_is_not(name, cut):
    async def lose():
        circuit = connect(name)
        circuit.context.cut()
        return circuit.client.closed

    assert asyncio.run(lose()) is cut


@pytest.mark.parametrize(("name", "sent"), [(None, 1), ("operator", 0), (FOLLOWER, 1)])
def test_clients_wait_for_a_slow_ioc_and_the_rest_of_the_bench_does_not(name, sent):
    async def answer():
        circuit = connect(name)
        circuit.context.delay = 10.0
        await circuit.send(VersionResponse(13))
        return len(circuit.client.sent)

    assert asyncio.run(answer()) == sent


def test_a_restart_is_asked_for_once(bench):
    assert not bench.wire.restart.is_set()

    switch(bench, "ioc_restart", 1.0)

    assert bench.wire.restart.is_set()
