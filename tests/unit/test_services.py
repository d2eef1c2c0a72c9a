"""What the services are told, how they are probed, and how a process is known again."""

import os
import sys
from dataclasses import replace

import psutil
import pytest

from triplet_bluesky.errors import ServiceError
from triplet_bluesky.services import (
    AllOf,
    HttpOk,
    LogLine,
    Service,
    bench_services,
    epics_environment,
    ioc_service,
    status,
    tiled_service,
)
from triplet_bluesky.services.process import (
    Record,
    end,
    find,
    forget,
    launch,
    recall,
    remember,
)
from triplet_bluesky.settings import Settings


@pytest.fixture
def record():
    """A record of this very process."""
    process = psutil.Process()
    return Record(
        name="x",
        pid=process.pid,
        create_time=process.create_time(),
        token="t",
        argv=("python",),
        log="x.log",
        log_offset=0,
        grace_s=1.0,
    )


def test_channel_access_stays_on_this_machine():
    variables = epics_environment(Settings(ca_port=6000, ca_repeater_port=6001))

    assert variables["EPICS_CA_AUTO_ADDR_LIST"] == "NO"
    assert variables["EPICS_CA_ADDR_LIST"] == "127.0.0.1"
    assert variables["EPICS_CAS_INTF_ADDR_LIST"] == "127.0.0.1"
    assert variables["EPICS_CAS_BEACON_ADDR_LIST"] == "127.0.0.1"
    assert variables["EPICS_CA_SERVER_PORT"] == "6000"
    assert variables["EPICS_CAS_SERVER_PORT"] == "6000"
    assert variables["EPICS_CA_REPEATER_PORT"] == "6001"
    assert variables["EPICS_CAS_BEACON_PORT"] == "6001"


def test_ioc_is_told_the_settings(tmp_path):
    sample = tmp_path / "sample.toml"
    sample.touch()
    settings = Settings(prefix="LAB:", seed=4, time_factor=20, sample=sample)

    argv = ioc_service(settings).argv

    options = dict(zip(argv[4::2], argv[5::2], strict=True))
    assert options == {
        "--prefix": "LAB:",
        "--seed": "4",
        "--time-factor": "20.0",
        "--interfaces": "127.0.0.1",
        "--sample": str(sample),
    }


def test_ioc_is_told_its_faults_and_whether_to_serve_the_truth():
    plain = ioc_service(Settings()).argv

    broken = ioc_service(Settings(), truth=True, faults="filter_slip=0.3").argv

    assert broken == (*plain, "--faults", "filter_slip=0.3", "--truth")


def test_no_command_line_holds_the_key(tmp_path):
    settings = Settings(data_dir=tmp_path)

    service = tiled_service(settings)

    assert str(settings.api_key_file) in service.argv
    assert service.environment == {}


def test_services_of_the_bench_have_names_and_logs_of_their_own(tmp_path):
    services = bench_services(Settings(data_dir=tmp_path))

    assert len({s.name for s in services}) == len({s.log for s in services}) == 2


@pytest.mark.parametrize(
    ("text", "ready"),
    [
        ("ioc_sim: ready, serving\n", True),
        ("first\nioc_sim: ready\nlast", True),
        ("ioc_sim: rea", False),
        ("ioc_sim: ready", False),
        ("not ioc_sim: ready\n", False),
        ("", False),
    ],
)
def test_log_line_is_ready_when_the_line_is_whole(tmp_path, text, ready):
    log = tmp_path / "x.log"
    log.write_text("ioc_sim: ready, long ago\n" + text)

    assert LogLine("ioc_sim: ready")(log, 25) is ready


def test_log_that_is_not_there_yet_is_not_ready(tmp_path):
    assert not LogLine("ready")(tmp_path / "x.log", 0)


def test_all_probes_must_agree(tmp_path):
    log = tmp_path / "x.log"
    log.write_text("one\n")

    assert AllOf((LogLine("one"),))(log, 0)
    assert not AllOf((LogLine("one"), LogLine("two")))(log, 0)
    assert AllOf((LogLine("two"), HttpOk(1)))(log, 0) is False


def test_token_finds_the_process_whatever_the_clock_says(record, monkeypatch):
    monkeypatch.setattr("psutil.Process.environ", lambda _: {"TRIPLET_SERVICE_ID": "t"})

    assert find(replace(record, create_time=record.create_time - 5)).pid == os.getpid()


def test_reused_pid_is_no_longer_ours(record):
    assert find(record) is None


@pytest.mark.parametrize(("age", "found"), [(0.0, True), (5.0, False)])
@pytest.mark.parametrize("refuses", [True, False])
def test_creation_time_decides_where_no_environment_can_be_read(
    record, monkeypatch, age, found, refuses
):
    def environ(process):
        if refuses:
            raise psutil.AccessDenied(process.pid)
        return {}  # as the kernel says while a process is in its exec

    monkeypatch.setattr("psutil.Process.environ", environ)

    process = find(replace(record, create_time=record.create_time - age))

    assert (process is not None) is found


def test_pid_of_nobody_is_not_found(record):
    assert find(replace(record, pid=2**22 + 1)) is None


def test_end_leaves_a_reused_pid_alone(record):
    assert end([record]) == []


def test_record_is_written_whole_and_read_back(record, tmp_path):
    remember(record, tmp_path)

    assert recall("x", tmp_path) == record
    assert [f.name for f in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"name": "x"}'])
def test_broken_record_is_none(tmp_path, text):
    (tmp_path / "x.json").write_text(text)

    assert recall("x", tmp_path) is None


def test_later_record_is_not_forgotten_for_an_earlier_one(record, tmp_path):
    remember(record, tmp_path)

    forget([replace(record, pid=1)], tmp_path)

    assert recall("x", tmp_path) == record


def test_program_that_is_not_there_is_named(tmp_path):
    service = Service(
        name="x",
        argv=(str(tmp_path / "no-such-program"),),
        log=tmp_path / "x.log",
        ready=LogLine("ready"),
    )

    with pytest.raises(ServiceError, match=r"no process for x.*no-such-program"):
        launch(service)


def test_status_before_any_start_is_stopped(tmp_path):
    service = Service(
        name="x", argv=(sys.executable,), log=tmp_path / "x", ready=LogLine("ready")
    )

    (report,) = status([service], tmp_path / "state")

    assert (report.state, report.pid) == ("stopped", None)
    assert not (tmp_path / "state").exists()
