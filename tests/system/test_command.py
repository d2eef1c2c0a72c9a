"""The `triplet` command as a newcomer uses it, in processes of its own."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pexpect
import psutil
import pytest

pytestmark = [pytest.mark.ioc, pytest.mark.tiled, pytest.mark.timeout(300)]

TRIPLET = [sys.executable, "-m", "triplet_bluesky.cli"]
FAST = ["--time-factor", "100"]

READ_BACK = """
import json, sys
from tiled.client import from_uri
root = from_uri(sys.argv[1], api_key=open(sys.argv[2]).read().strip())
run = root[sys.argv[3]][sys.argv[4]] if sys.argv[3] else root[sys.argv[4]]
data = run["primary"].read()
print(json.dumps({
    "points": data.sizes["time"],
    "counts": list(data["ccd_counts"].shape),
    "stop": run.metadata["stop"]["exit_status"],
    "fit": float(run["fit"].read()["fit_ple_peak_mev"][0]),
}))
"""


def free_ports():
    """An environment in which `triplet` uses ports that nobody else does."""
    from triplet_bluesky.services import free_port

    ours = {name: str(free_port()) for name in ("CA_PORT", "CA_REPEATER_PORT")}
    ours["TILED_PORT"] = str(free_port())
    kept = {k: v for k, v in os.environ.items() if not k.startswith("EPICS_")}
    return kept | {f"TRIPLET_{k}": v for k, v in ours.items()} | {"COLUMNS": "120"}


def triplet(*arguments, env, check=True):
    done = subprocess.run(
        [*TRIPLET, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env=env,
        timeout=280,
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


def start(*arguments, env):
    return subprocess.Popen(
        [*TRIPLET, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=env,
    )


def left_over(folder):
    """Processes that still have to do with a folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "pid"]):
        command = " ".join(process.info["cmdline"] or ())
        if str(folder) in command and process.pid != os.getpid():
            found.append(command)
    return found


def wait_for(process, pattern):
    """Read what a process prints until a line matches; gives what was read."""
    said = ""
    for line in process.stdout:
        said += line
        if re.search(pattern, line):
            return said
    pytest.fail(f"no line matched {pattern!r} in:\n{said}")


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory):
    """The outcome of one demonstration."""
    folder = tmp_path_factory.mktemp("demo")
    done = triplet(
        *("demo", *FAST, "--seed", 3, "--data-dir", folder),
        *("--json", folder / "out.json"),
        env=free_ports(),
    )
    return folder, done.stdout, json.loads((folder / "out.json").read_text())


def test_the_demo_measures_the_resonance_of_the_paper(demonstrated):
    _, _, outcome = demonstrated

    peak = outcome["results"]["ple_peak"]
    assert peak["unit"] == "meV"
    assert peak["value"] == pytest.approx(2353.0, abs=0.5)
    assert 0.005 < peak["sigma"] < 0.3


def test_the_demo_says_what_it_did_and_where_everything_is(demonstrated):
    folder, said, outcome = demonstrated

    for text in ("PLE peak", "2.353 eV", "read back from Tiled", outcome["run_uid"]):
        assert text in said
    assert outcome["data_dir"] == str(folder)
    assert outcome["seconds"] > 0
    assert set(outcome["tiled"]) == {"uri", "container"}


def test_the_demo_leaves_a_figure_and_logs_and_no_process(demonstrated):
    folder, _, outcome = demonstrated

    with pathlib.Path(outcome["figure"]).open("rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"
    assert (folder / "log" / "ioc.log").exists()
    assert left_over(folder) == []


def test_the_demo_follows_another_sample(demonstrated, tmp_path):
    sample = tmp_path / "other.toml"
    sample.write_text("[absorption]\nexciton = 2345.0\n")

    triplet(
        *("demo", *FAST, "--seed", 3, "--sample", sample),
        *("--data-dir", tmp_path / "data", "--json", tmp_path / "out.json"),
        env=free_ports(),
    )

    there = json.loads((tmp_path / "out.json").read_text())["results"]["ple_peak"]
    here = demonstrated[2]["results"]["ple_peak"]
    assert there["value"] - here["value"] == pytest.approx(-7.0, abs=0.3)


def test_another_process_reads_a_kept_demo_with_address_and_key_alone(tmp_path):
    env = free_ports()
    try:
        triplet(
            *("demo", *FAST, "--keep-running", "--data-dir", tmp_path),
            *("--json", tmp_path / "out.json"),
            env=env,
        )
        outcome = json.loads((tmp_path / "out.json").read_text())
        key = tmp_path / "tiled" / "api-key"
        tiled = outcome["tiled"]
        read = subprocess.run(
            [
                *(sys.executable, "-c", READ_BACK, tiled["uri"], str(key)),
                *(tiled["container"], outcome["run_uid"]),
            ],
            capture_output=True,
            text=True,
            check=True,
            env=env,
        )

        found = json.loads(read.stdout)
        assert found["counts"] == [found["points"], 3, 1024]
        assert found["stop"] == "success"
        assert found["fit"] == outcome["results"]["ple_peak"]["value"]
        assert "running" in triplet("status", "--data-dir", tmp_path, env=env).stdout
    finally:
        triplet("down", "--data-dir", tmp_path, env=env)
    assert left_over(tmp_path) == []


def stored_runs(folder):
    """How the runs in a folder ended, and with how many points."""
    from triplet_bluesky import services
    from triplet_bluesky.settings import Settings
    from triplet_bluesky.storage.client import catalog
    from triplet_bluesky.storage.key import read_key

    settings = Settings(data_dir=folder, tiled_port=services.free_port())
    with services.running([services.tiled_service(settings)], folder / "check"):
        cat = catalog(settings.tiled_uri, read_key(settings.api_key_file))
        try:
            return [
                (
                    run.metadata["stop"]["exit_status"],
                    run["primary"].read().sizes["time"],
                )
                for run in cat.values()
            ]
        finally:
            cat.context.close()


def test_ctrl_c_closes_the_run_and_stops_everything(tmp_path):
    env = free_ports()
    with start("demo", "--data-dir", tmp_path, env=env) as process:
        said = wait_for(process, r"point 3:")

        process.send_signal(signal.SIGINT)
        said += process.stdout.read()
        status = process.wait(60)

    assert status == 1, said
    assert "interrupted: the run is closed" in said
    assert "Traceback" not in said
    assert left_over(tmp_path) == []
    ((ended, points),) = stored_runs(tmp_path)
    assert ended == "abort"
    assert points >= 3


def test_a_killed_ioc_ends_the_run_with_a_clear_message(tmp_path):
    env = free_ports()
    with start("demo", "--data-dir", tmp_path, env=env) as process:
        said = wait_for(process, r"point 3:")

        killed = time.monotonic()
        for child in psutil.Process(process.pid).children(recursive=True):
            if "ioc_sim" in child.cmdline():
                child.kill()
        said += process.stdout.read()
        status = process.wait(60)

    assert status == 1, said
    assert time.monotonic() - killed < 30
    assert re.search(r"ConnectError: .*(lost the connection|does not answer)", said)
    assert "Traceback" not in said
    assert left_over(tmp_path) == []
    ((ended, points),) = stored_runs(tmp_path)
    assert ended == "fail"
    assert points >= 3


def test_bench_and_store_run_in_the_background_until_they_are_stopped(tmp_path):
    env = free_ports()
    try:
        first = triplet("up", *FAST, "--data-dir", tmp_path, env=env)
        second = triplet("up", *FAST, "--data-dir", tmp_path, env=env)

        assert "EPICS_CA_SERVER_PORT" in first.stdout
        assert second.stdout.count("already running") == 2
        for option in ([], ["--keep-running"]):
            refused = triplet(
                "demo", *option, "--data-dir", tmp_path, env=env, check=False
            )
            assert refused.returncode == 1
            assert "tiled and ioc already running" in refused.stderr
        the_shell_works(tmp_path, env)
    finally:
        triplet("down", "--data-dir", tmp_path, env=env)

    assert (
        triplet("status", "--data-dir", tmp_path, env=env, check=False).returncode == 1
    )
    assert (
        "nothing was running" in triplet("down", "--data-dir", tmp_path, env=env).stdout
    )
    assert left_over(tmp_path) == []


def the_shell_works(folder, env):
    """Type into the shell what a newcomer would."""
    command = [*TRIPLET[1:], "shell", "--data-dir", str(folder)]
    shell = pexpect.spawn(
        TRIPLET[0],
        command,
        env=env | {"TERM": "dumb", "NO_COLOR": "1"},
        timeout=60,
        encoding="utf-8",
        dimensions=(50, 160),
    )
    prompt = r"In \[\d+\]: "
    shell.expect("the bench is connected")
    shell.expect(prompt)
    for typed, answer in (
        ("RE(bps.mv(tunable_filter.wavelength, 520.0))", r"\(\)"),
        ("print(round(tunable_filter.energy.position, 4))", r"2\.3843"),
        ("ple?", "Record emission spectra while the pump wavelength is scanned"),
        ("len(RE(switch_on(4.0)))", "0"),
        ("len(RE(ple(start=520, stop=524, step=2, exposure=0.1)))", "1"),
        ("print(cat[-1].metadata['start']['plan_name'])", "ple"),
        ("dict(read_run(cat[-1]).sizes)", "'time': 3"),
        ("%wa motors", "tunable_filter_wavelength"),
    ):
        shell.sendline(typed)
        shell.expect(answer)
        shell.expect(prompt)
    shell.sendline("exit")
    shell.expect(pexpect.EOF)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["up", "--seed", "-1"], "seed"),
        (["up", "--faults", "filter_slop"], "did you mean filter_slip?"),
        (["up", "--faults", "filter_slip=99"], "limits -5..5 nm"),
        (["demo", "--sample", "nowhere.toml"], "nowhere.toml"),
        (["shell"], "triplet up"),
        (["sell"], "No such command"),
    ],
)
def test_a_command_that_cannot_work_says_why_in_a_line(tmp_path, arguments, says):
    if arguments[0] != "sell":
        arguments = [*arguments, "--data-dir", str(tmp_path)]

    done = triplet(*arguments, env=free_ports(), check=False)

    assert done.returncode != 0
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
