"""The command says what it does and refuses what it cannot."""

import logging
import os
import sys
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from ioc_sim.__main__ import _start_anew, app
from ioc_sim.channels import RefusedPutError
from ioc_sim.clock import Clock
from ioc_sim.log import _Brief
from ioc_sim.server import ServerSettings

OPTIONS = (
    "--prefix --seed --time-factor --sample --interfaces --truth --serve --epoch "
    "--faults --list-faults --list-truth --list-pvs --log-level"
)


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    return lambda *arguments: CliRunner().invoke(app, arguments)


def record(message, error=None):
    info = (type(error), error, None) if error else None
    return logging.LogRecord("caproto", logging.ERROR, "", 1, message, (), info)


def names(result):
    """Names of the PVs in a list."""
    return {line.split("`")[1] for line in result.stdout.splitlines() if "| `" in line}


@pytest.mark.parametrize("option", OPTIONS.split())
def test_help_names_every_option(run, option):
    assert option in run("--help").stdout


def test_the_pvs_are_listed_under_the_prefix(run):
    result = run("--list-pvs", "--prefix", "X:", "--truth")

    assert result.exit_code == 0
    assert "| `X:POWER:Shutter` | ENUM | " in result.stdout
    assert "| `X:SIM:Truth_RBV` | CHAR[65536] | " in result.stdout


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[absorption]\nexcitonn = 2352.0\n", "excitonn"),
        ("[absorption]\nexciton = 'warm'\n", "exciton"),
        ("[absorption\n", "sample.toml"),
    ],
)
def test_a_bad_sample_file_is_refused_in_words(run, tmp_path, text, reason):
    path = tmp_path / "sample.toml"
    path.write_text(text, encoding="utf-8")

    result = run("--list-pvs", "--sample", str(path))

    assert result.exit_code == 1
    assert result.stderr.startswith("ioc_sim: ")
    assert reason in result.stderr
    assert "Traceback" not in result.output


def test_a_sample_file_that_is_not_there_is_named(run, tmp_path):
    result = run("--list-pvs", "--sample", str(tmp_path / "none.toml"))

    assert result.exit_code == 1
    assert "none.toml" in result.stderr


def test_the_faults_are_listed(run):
    result = run("--list-faults")

    assert result.exit_code == 0
    assert "| `filter_slip` | `SIM:Fault:FilterSlip` | -5 .. 5 | nm |" in result.stdout


def test_the_truths_are_listed(run):
    result = run("--list-truth")

    assert result.exit_code == 0
    assert "| `line_low` | `2335.0` | meV | from 2200 to 2450 | " in result.stdout


def test_only_some_groups_can_be_served(run):
    result = run("--list-pvs", "--prefix", "X:", "--serve", "laser, power_control")

    served = {
        line.split("`")[1] for line in result.stdout.splitlines() if "| `" in line
    }
    assert {name.split(":")[1] for name in served} == {"LASER", "POWER"}
    assert {"X:LASER:IOC:BootId_RBV", "X:POWER:IOC:BootId_RBV"} <= served


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        ("lasr", "got the groups 'lasr'; did you mean laser? choices laser, tunable_f"),
        ("laser,sim", "got the group sim, which is served with --truth only"),
        (",", "got the groups none; choices laser"),
    ],
)
def test_a_group_that_there_is_not_is_refused_with_the_choices(run, groups, reason):
    result = run("--list-pvs", "--serve", groups)

    assert result.exit_code == 1
    assert reason in result.stderr


def test_the_truth_is_a_group_of_its_own(run):
    result = run("--list-pvs", "--truth", "--serve", "sim")

    assert {name.split(":")[1] for name in names(result)} == {"SIM"}


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ("filterslip", "did you mean filter_slip?"),
        ("filter_slip=9", "filter_slip: got '9', limits -5..5 nm"),
        ("shutter_stuck=Ajar", "choices None, Closed, Open"),
    ],
)
def test_a_fault_that_there_is_not_is_refused(run, faults, reason):
    result = run("--faults", faults)

    assert result.exit_code == 1
    assert reason in result.stderr


@pytest.mark.parametrize(
    ("epoch", "reason"),
    [
        ("soon", "got the epoch 'soon', expected a time such as"),
        ("2999-01-01", "expected 0 to 2592000 s"),
        ("2001-01-01T00:00:00Z", "expected 0 to 2592000 s"),
    ],
)
def test_an_epoch_that_cannot_be_is_refused(run, epoch, reason):
    result = run("--list-pvs", "--epoch", epoch)

    assert result.exit_code == 1
    assert reason in result.stderr


def test_an_ioc_that_starts_anew_keeps_its_arguments_and_its_time(monkeypatch):
    started = []
    monkeypatch.setattr(os, "execv", lambda path, words: started.append((path, words)))
    clock = Clock(epoch=datetime.now(UTC) - timedelta(hours=1))

    for given in ([], ["--epoch", "T"], ["--epoch=T"]):
        monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "ioc_sim", *given])
        _start_anew(clock)

    expected = ["--epoch", clock.epoch.isoformat()]
    start = [sys.executable, "-m", "ioc_sim"]
    assert started == [
        (sys.executable, start + expected),
        (sys.executable, [*start, "--epoch", "T"]),
        (sys.executable, [*start, "--epoch=T"]),
    ]


@pytest.mark.parametrize("factor", ["0", "-1", "nan", "inf"])
def test_a_time_factor_that_is_none_is_refused(run, factor):
    result = run("--list-pvs", "--time-factor", factor)

    assert result.exit_code == 1
    assert "time factor" in result.stderr


def test_a_port_that_is_none_is_named(run, monkeypatch):
    monkeypatch.setenv("EPICS_CA_SERVER_PORT", "many")

    result = run("--list-pvs")

    assert result.exit_code == 1
    assert "EPICS_CA_SERVER_PORT is 'many'" in result.stderr


def test_the_server_port_is_the_servers_own_before_the_clients(monkeypatch):
    monkeypatch.setenv("EPICS_CA_SERVER_PORT", "6000")
    monkeypatch.setenv("EPICS_CAS_SERVER_PORT", "6001")

    assert ServerSettings().port == 6001


def test_the_ports_of_channel_access_are_the_default(monkeypatch):
    for name in ("CA_SERVER", "CAS_SERVER", "CA_REPEATER"):
        monkeypatch.delenv(f"EPICS_{name}_PORT", raising=False)

    assert (ServerSettings().port, ServerSettings().repeater_port) == (5064, 5065)


def test_the_other_processes_of_a_bench_are_where_clients_look(monkeypatch):
    monkeypatch.setenv("EPICS_CA_SERVER_PORT", "5070")
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", "127.0.0.1 10.0.0.7:5080,127.0.0.1:5066")

    settings = ServerSettings(port=5066)

    assert settings.others == [("127.0.0.1", 5070), ("10.0.0.7", 5080)]


def test_without_an_address_list_clients_look_on_this_computer(monkeypatch):
    monkeypatch.delenv("EPICS_CA_ADDR_LIST")
    monkeypatch.setenv("EPICS_CA_SERVER_PORT", "5070")

    assert ServerSettings().addresses == (("127.0.0.1", 5070),)


@pytest.mark.parametrize("entry", ["127.0.0.1:many", "127.0.0.1:0", "::1"])
def test_an_address_that_is_none_is_named(monkeypatch, entry):
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", entry)

    with pytest.raises(ValueError, match="EPICS_CA_ADDR_LIST has '" + entry):
        ServerSettings()


def test_serving_beyond_this_computer_is_not_the_default():
    assert ServerSettings().loopback
    assert not ServerSettings(interfaces=("127.0.0.1", "0.0.0.0")).loopback


def test_a_refused_put_leaves_no_traceback():
    assert not _Brief().filter(record("Invalid write request", RefusedPutError("no")))


def test_another_error_of_a_put_is_kept():
    assert _Brief().filter(record("Invalid write request", RuntimeError("bug")))


def test_a_beacon_that_nobody_hears_is_not_an_error():
    unheard = record("Failed to send beacon", ConnectionRefusedError())

    assert not _Brief().filter(unheard)


def test_the_command_is_the_module(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["triplet-sim", "--help"])

    with pytest.raises(SystemExit) as end:
        __import__("ioc_sim.__main__").__main__.main()

    assert end.value.code == 0
    assert "triplet-sim" in capsys.readouterr().out
