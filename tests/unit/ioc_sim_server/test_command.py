"""The command says what it does and refuses what it cannot."""

import logging
import sys

import pytest
from typer.testing import CliRunner

from ioc_sim.__main__ import app
from ioc_sim.channels import RefusedPutError
from ioc_sim.log import _Brief
from ioc_sim.server import ServerSettings

OPTIONS = (
    "--prefix --seed --time-factor --sample --interfaces --truth --list-pvs --log-level"
)


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    return lambda *arguments: CliRunner().invoke(app, arguments)


def record(message, error=None):
    info = (type(error), error, None) if error else None
    return logging.LogRecord("caproto", logging.ERROR, "", 1, message, (), info)


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
