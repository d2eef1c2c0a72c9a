"""The command: what it says when something is wrong, without starting anything."""

import importlib.metadata
import logging
import os
import sys
import time

import pytest
from rich.console import Console
from typer.testing import CliRunner

from triplet_bluesky import demo, services
from triplet_bluesky.cli import app
from triplet_bluesky.errors import BenchError
from triplet_bluesky.settings import Settings


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the command with its data in a folder of this test."""
    for name in [n for n in os.environ if n.startswith("TRIPLET_") or n == "UV"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TRIPLET_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "120")
    root, ours = logging.getLogger(), logging.getLogger("triplet_bluesky")
    before, level = ([*root.handlers], [*ours.handlers]), root.level
    yield lambda *words: CliRunner().invoke(app, [str(word) for word in words])
    for logger, kept in zip((root, ours), before, strict=True):
        for handler in {*logger.handlers}.difference(kept):
            logger.removeHandler(handler)
            handler.close()
    root.setLevel(level)


@pytest.fixture
def failing(monkeypatch):
    """Let `triplet down` fail with an error of choice."""

    def fail_with(error):
        def down(_):
            raise error

        monkeypatch.setattr(services, "down", down)

    return fail_with


@pytest.fixture
def measured(monkeypatch):
    """Count how often the demo gets as far as starting services."""
    calls = []

    def no_services(*_):
        calls.append("started")
        msg = "started"
        raise BenchError(msg)

    monkeypatch.setattr(services, "running", no_services)
    monkeypatch.setattr(services, "up", no_services)
    return calls


def test_the_version_is_that_of_the_distribution(run):
    done = run("--version")

    version = importlib.metadata.version("triplet-bluesky")
    assert (done.exit_code, done.stdout) == (0, f"triplet {version}\n")


@pytest.mark.parametrize(
    "message", ["got [/x] and", "read [conf] in a.toml", "[bold red]no[/] markup"]
)
def test_an_error_is_printed_as_it_is_and_not_as_markup(run, failing, message):
    failing(BenchError(message))

    done = run("down")

    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr == f"BenchError: {message}\n"


def test_an_error_of_a_file_is_a_line_with_its_name(run, failing):
    failing(PermissionError(13, "Permission denied", "/there/state/lock"))

    done = run("down")

    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "'Permission denied' from /there/state/lock" in done.stderr


def test_an_error_of_the_system_without_a_file_is_a_line(run, failing):
    failing(OSError("no more sockets"))

    done = run("down")

    assert (done.exit_code, done.stderr) == (1, "OSError: no more sockets\n")


def test_ctrl_c_has_the_status_that_shells_know(run, failing):
    failing(KeyboardInterrupt())

    done = run("down")

    assert done.exit_code == 130
    assert "interrupted" in done.stderr


@pytest.mark.parametrize("command", ["demo", "shell", "up"])
def test_a_data_folder_that_cannot_be_is_refused_in_a_line(run, tmp_path, command):
    (tmp_path / "file").write_text("")

    done = run(command, "--data-dir", tmp_path / "file" / "[x]")

    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert f"{tmp_path}/file/[x]" in done.stderr
    assert "--data-dir names another" in done.stderr


@pytest.mark.parametrize(
    ("place", "says"),
    [("nowhere/out.json", "nowhere; expected one that exists"), ("", "got the folder")],
)
def test_results_that_could_not_be_written_are_refused_before_the_scan(
    run, measured, tmp_path, place, says
):
    done = run("demo", "--json", tmp_path / place)

    assert done.exit_code == 1
    assert done.stderr.startswith("BenchError: --json: ")
    assert says in done.stderr
    assert measured == []


def test_a_folder_of_somebody_else_is_refused_before_the_scan(
    run, measured, monkeypatch, tmp_path
):
    monkeypatch.setattr(os, "access", lambda *_, **__: False)  # also for root

    done = run("demo", "--json", tmp_path / "out.json")

    assert done.exit_code == 1
    assert "may not write" in done.stderr
    assert measured == []


@pytest.mark.parametrize("option", [[], ["--keep-running"]])
def test_the_demo_leaves_a_store_alone_that_is_open(
    run, measured, monkeypatch, tmp_path, option
):
    def status(wanted, _):
        return [
            services.Report(name=service.name, state="running", pid=1)
            for service in wanted
        ]

    monkeypatch.setattr(services, "status", status)

    done = run("demo", *option)

    assert done.exit_code == 1
    assert "tiled and ioc already running" in done.stderr
    assert str(tmp_path / "data") in done.stderr
    for way_out in ("triplet shell", "--data-dir", "triplet down"):
        assert way_out in done.stderr
    assert measured == []


def test_the_demo_starts_where_only_died_services_are_known(run, measured, monkeypatch):
    died = [services.Report(name="tiled", state="died")]
    monkeypatch.setattr(services, "status", lambda *_: died)

    assert run("demo").stderr == "BenchError: started\n"
    assert measured == ["started"]


def test_the_status_tells_logs_and_key_in_full(run, tmp_path):
    done = run("status")

    assert done.exit_code == 1
    data = tmp_path / "data"
    for place in (data / "log" / "tiled.log", data / "tiled" / "api-key"):
        assert str(place) in done.stdout
    assert "EPICS_CA_SERVER_PORT=5064" in done.stdout


def test_up_hands_truth_and_faults_on_to_the_bench(run, monkeypatch):
    asked = []
    monkeypatch.setattr(services, "up", lambda wanted, *_, **__: asked.append(wanted))

    run("up", "--truth", "--faults", "filter_slip=0.3,laser_trip")

    ((_, ioc),) = asked
    assert "--truth" in ioc.argv
    assert ioc.argv[ioc.argv.index("--faults") + 1] == "filter_slip=0.3,laser_trip"


def test_up_says_of_what_runs_that_it_keeps_its_options(run, monkeypatch):
    runs = services.Report(name="ioc", state="running", pid=12)
    monkeypatch.setattr(services, "up", lambda *_, **__: [runs])

    done = run("up", "--faults", "laser_trip")

    told = "ioc: already running (pid 12), with the options that it was started with"
    assert told in done.stdout


def test_hints_are_typed_as_the_command_was(run, monkeypatch, tmp_path):
    monkeypatch.setattr(services, "up", lambda *_, **__: [])

    here = run("up").stdout
    monkeypatch.setenv("UV", "/usr/bin/uv")
    there = run("up", "--data-dir", tmp_path / "a b").stdout

    assert "next: triplet shell; stop with triplet down\n" in here
    assert f"uv run triplet shell --data-dir '{tmp_path}/a b'" in there


@pytest.mark.parametrize("age", [None, 3600])
def test_a_demo_without_its_figure_has_failed(tmp_path, age):
    figure = tmp_path / "ple.png"
    if age is not None:
        figure.write_bytes(b"")
        os.utime(figure, (time.time() - age,) * 2)

    with pytest.raises(BenchError, match=r"ple\.png from this run"):
        demo._check_figures((figure,), time.time())


def test_a_demo_with_its_figure_has_not(tmp_path):
    began = time.time()
    figure = tmp_path / "ple.png"
    figure.write_bytes(b"")

    demo._check_figures((figure,), began)


@pytest.mark.parametrize("keep_running", [True, False])
def test_the_demo_ends_with_commands_that_can_be_typed(tmp_path, capsys, keep_running):
    settings = Settings(data_dir=tmp_path / "my [data]")
    options = demo.Options(
        settings=settings,
        json_file=None,
        keep_running=keep_running,
        command="uv run triplet",
    )
    outcome = {"run_uid": "0123456789", "seconds": 1.0, "figure": "ple.png"}

    demo._say_where(outcome, settings, options, Console(file=sys.stdout))

    said = capsys.readouterr().out
    option = f"--data-dir '{tmp_path}/my [data]'"
    assert (f"uv run triplet up {option}" in said) is not keep_running
    assert f"uv run triplet shell {option}" in said
    assert "cat['01234567']" in said
