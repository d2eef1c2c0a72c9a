"""Runs go from a RunEngine through a Tiled server to readers in other processes."""

import http.client
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
import psutil
import pytest
from bluesky import RunEngine
from bluesky_tiled_plugins import subscribe_to_streams

from triplet_bluesky.errors import ServiceError, StorageError
from triplet_bluesky.services import (
    LogLine,
    down,
    free_port,
    running,
    status,
    tiled_service,
    up,
)
from triplet_bluesky.storage.client import broker, catalog
from triplet_bluesky.storage.key import read_key
from triplet_bluesky.storage.reading import documents, read_run
from triplet_bluesky.storage.writer import RunWriter

pytestmark = pytest.mark.tiled

PIXELS = 1024
AXIS = np.linspace(509.8, 552.2, PIXELS)


class Bench:
    """A soft readable that gives spectra; no ophyd, no Channel Access."""

    name = "bench"
    parent = None

    def __init__(self, seed=20261122):
        self.rng = np.random.default_rng(seed)
        self.taken = []

    def describe(self):
        array = {"source": "SIM:bench", "dtype": "array"}
        return {
            "ccd_frame": array
            | {
                "dtype_numpy": "<i4",
                "shape": [3, PIXELS],
                "dims": ["subexposure", "pixel"],
                "units": "ADU",
            },
            "spectrometer_wavelength": array
            | {
                "dtype_numpy": "<f8",
                "shape": [PIXELS],
                "dims": ["pixel"],
                "units": "nm",
            },
            "power": {
                "source": "SIM:bench",
                "dtype": "number",
                "shape": [],
                "units": "uW",
            },
            "valid": {"source": "SIM:bench", "dtype": "boolean", "shape": []},
        }

    def read(self):
        values = {
            "ccd_frame": self.rng.integers(0, 65536, (3, PIXELS), dtype=np.int32),
            "spectrometer_wavelength": AXIS,
            "power": self.rng.normal(),
            "valid": bool(self.rng.integers(2)),
        }
        self.taken.append(values)
        return {k: {"value": v, "timestamp": 12.5} for k, v in values.items()}

    def read_configuration(self):
        return {"gain": {"value": 4.0, "timestamp": 1.0}}

    def describe_configuration(self):
        return {"gain": {"source": "SIM", "dtype": "number", "shape": []}}


def measure(bench, points, *, between=lambda _: None):
    @bpp.run_decorator(md={"plan_name": "ple", "sample": "S2"})
    def plan():
        for point in range(points):
            between(point)
            yield from bps.trigger_and_read([bench])

    return plan()


@pytest.fixture
def RE():
    engine = RunEngine({}, context_managers=[])
    yield engine
    if engine.state != "idle":
        engine.halt()


def get(settings, path, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", settings.tiled_port)
    try:
        connection.request("GET", path, headers=headers or {})
        return connection.getresponse().status
    finally:
        connection.close()


def server_process(settings):
    (report,) = status([tiled_service(settings)], settings.state_dir)
    return psutil.Process(report.pid)


READER = """
import sys
import numpy as np
from pathlib import Path
from triplet_bluesky.storage.client import catalog
from triplet_bluesky.storage.key import read_key
from triplet_bluesky.storage.reading import read_run

uri, key_file, uid, target = sys.argv[1:]
data = read_run(catalog(uri, read_key(Path(key_file)))[uid])
np.savez(target, **{name: data[name].to_numpy() for name in data.variables})
print({name: (data[name].dims, data[name].attrs["units"]) for name in data.variables})
"""


def test_another_process_reads_what_was_recorded(server, store, RE, tmp_path):
    bench = Bench()
    RE.subscribe(RunWriter(store))
    (uid,) = RE(measure(bench, 4))
    target = tmp_path / "read.npz"

    arguments = [server.tiled_uri, str(server.api_key_file), uid, str(target)]
    said = subprocess.run(
        [sys.executable, "-c", READER, *arguments],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    read = np.load(target)
    for key in bench.describe():
        recorded = np.array([values[key] for values in bench.taken])
        np.testing.assert_array_equal(read[key], recorded)
        assert read[key].dtype == recorded.dtype
    np.testing.assert_array_equal(read["wavelength"], AXIS)
    assert "'ccd_frame': (('time', 'subexposure', 'pixel'), 'ADU')" in said
    assert "'wavelength': (('pixel',), 'nm')" in said


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_documents_are_those_that_the_run_engine_gave(store, RE, batch_size):
    given = []
    RE.subscribe(lambda name, doc: given.append((name, doc)))
    RE.subscribe(RunWriter(store, batch_size=batch_size))

    (uid,) = RE(measure(Bench(), 5))

    replayed = list(documents(store[uid]))
    assert [name for name, _ in replayed] == [name for name, _ in given]
    assert replayed[0] == given[0]
    assert replayed[-1] == given[-1]
    assert replayed[1][1]["configuration"]["bench"]["data"] == {"gain": 4.0}
    for (name, old), (_, new) in zip(given, replayed, strict=True):
        if name == "event":
            assert (new["seq_num"], new["time"]) == (old["seq_num"], old["time"])
            assert new["timestamps"] == old["timestamps"]
            for key, value in old["data"].items():
                assert type(new["data"][key]) is type(value)
                np.testing.assert_array_equal(new["data"][key], value)


def test_databroker_reads_the_same_run(server, store, RE):
    bench = Bench()
    RE.subscribe(RunWriter(store))
    (uid,) = RE(measure(bench, 3))

    db = broker(server.tiled_uri, read_key(server.api_key_file))

    header = db[uid]
    assert header.start["sample"] == "S2"
    recorded = [values["power"] for values in bench.taken]
    np.testing.assert_array_equal(header.table()["power"], recorded)
    assert read_run(store[uid]).sizes["time"] == 3
    db.v2.context.close()


@pytest.mark.filterwarnings("ignore:connect.. must be used:DeprecationWarning")
def test_a_run_can_be_followed_while_it_is_measured(store, RE):
    seen = []
    subscription = subscribe_to_streams(
        store, seen.append, streams={"primary": None}, max_size=20_000_000
    )
    RE.subscribe(RunWriter(store, batch_size=1))

    RE(measure(Bench(), 3))

    deadline = time.monotonic() + 10
    while len(seen) < 9 and time.monotonic() < deadline:
        time.sleep(0.05)
    subscription.disconnect()
    assert {k for update in seen for k in update.data_keys} >= {"ccd_frame", "power"}


def test_value_that_would_change_ends_the_run_and_closes_it(store, RE):
    bench = Bench()
    declared = bench.describe()
    declared["power"]["dtype"] = "integer"
    bench.describe = lambda: declared
    stops = []
    RE.subscribe(lambda _, doc: stops.append(doc), "stop")
    RE.subscribe(RunWriter(store))

    with pytest.raises(StorageError, match=r"power = .*; expected an integer"):
        RE(measure(bench, 3))

    assert stops[0]["exit_status"] == "fail"
    assert "expected an integer" in store[stops[0]["run_start"]].stop["reason"]


@pytest.mark.parametrize("key", [None, "wrong"])
def test_who_has_not_the_key_is_refused(server, key):
    headers = {"Authorization": f"Apikey {key}"} if key else {}

    assert get(server, "/api/v1/metadata/", headers) == 401
    assert get(server, "/api/v1/search/", headers) == 401


def test_wrong_key_is_named_as_the_cause(server):
    with pytest.raises(StorageError, match="refusal of the key"):
        catalog(server.tiled_uri, "wrong")


def test_server_that_is_not_there_is_named_at_once():
    began = time.monotonic()

    with pytest.raises(StorageError, match=r"no answer from .*triplet up"):
        catalog(f"http://127.0.0.1:{free_port()}/api/v1", "key")

    assert time.monotonic() - began < 5


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_nobody_reads_under_zarr(server, store, RE, version):
    RE.subscribe(RunWriter(store))
    (uid,) = RE(measure(Bench(), 1))
    key = {"Authorization": f"Apikey {read_key(server.api_key_file)}"}

    for path in ("", f"runs/{uid}/zarr.json", f"runs/{uid}/primary/ccd_frame/0.0.0"):
        for target in (f"/zarr/{version}/{path}", f"/%7Aarr/{version}/{path}"):
            assert get(server, target) == 404
            assert get(server, target, key) == 404


def test_files_of_the_server_are_not_handed_out(server, store, RE):
    RE.subscribe(RunWriter(store))
    (uid,) = RE(measure(Bench(), 1))
    key = {"Authorization": f"Apikey {read_key(server.api_key_file)}"}

    assert get(server, f"/api/v1/metadata/runs/{uid}/primary/ccd_frame", key) == 200
    assert (
        get(server, f"/api/v1/asset/bytes/runs/{uid}/primary/ccd_frame?id=1", key)
        == 403
    )


def test_server_listens_on_the_loopback_interface_alone(server):
    listening = [
        c.laddr
        for c in server_process(server).net_connections(kind="inet")
        if c.status == psutil.CONN_LISTEN or not c.raddr
    ]

    assert [(a.ip, a.port) for a in listening] == [("127.0.0.1", server.tiled_port)]


def test_key_is_in_no_log_no_command_line_and_no_environment(server, store, RE):
    RE.subscribe(RunWriter(store))
    RE(measure(Bench(), 1))
    key = read_key(server.api_key_file)
    process = server_process(server)

    assert key not in tiled_service(server).log.read_text()
    assert key not in " ".join(process.cmdline())
    assert key not in json.dumps(process.environ())


def test_files_are_their_owners_alone(server):
    for file in server.tiled_dir.rglob("*"):
        assert file.stat().st_mode & 0o077 == 0, file


def test_log_is_quiet(server, store, RE):
    RE.subscribe(RunWriter(store))
    RE(measure(Bench(), 2))

    lines = tiled_service(server).log.read_text().splitlines()

    assert lines[-1].startswith("tiled: ready, on http://127.0.0.1:")


def test_restarted_server_has_its_data_and_its_key(make_settings, connect, RE):
    settings, bench = make_settings(), Bench()
    service = tiled_service(settings)
    up([service], settings.state_dir)
    RE.subscribe(RunWriter(connect(settings)))
    (uid,) = RE(measure(bench, 2))

    began = time.monotonic()
    down(settings.state_dir)
    assert time.monotonic() - began < service.grace_s

    with running([service], settings.state_dir):
        data = read_run(connect(settings)[uid])
        recorded = [values["ccd_frame"] for values in bench.taken]
        np.testing.assert_array_equal(data["ccd_frame"], recorded)


def test_taken_port_is_named_at_once(server, make_settings):
    settings = make_settings().model_copy(update={"tiled_port": server.tiled_port})
    service = replace(tiled_service(settings), name="second")
    began = time.monotonic()

    with pytest.raises(
        ServiceError,
        match=rf"(?s)status 1.*port {server.tiled_port}.*cannot be used",
    ):
        up([service], settings.state_dir)

    assert time.monotonic() - began < 5


def test_variables_of_tiled_do_not_open_the_server(make_settings):
    settings = make_settings()
    service = tiled_service(settings)
    open_it = {
        "TILED_ALLOW_ANONYMOUS_ACCESS": "1",
        "TILED_AUTHNALLOW_ANONYMOUS_ACCESS": "1",
        "TILED_AUTHNSINGLE_USER_API_KEY": "guessed",
        "TILED_SINGLE_USER_API_KEY": "guessed",
    }

    with running([replace(service, environment=open_it)], settings.state_dir):
        assert get(settings, "/api/v1/metadata/") == 401
        guessed = {"Authorization": "Apikey guessed"}
        assert get(settings, "/api/v1/metadata/", guessed) == 401


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from bluesky import RunEngine
from test_storage import Bench, RunWriter, catalog, measure, read_key

uri, key_file = sys.argv[2:]

def between(point):
    print("ready", point, flush=True)
    if point == 2:
        sys.stdin.readline()

RE = RunEngine({}, context_managers=[])
RE.subscribe(lambda _, doc: print("uid", doc["uid"], flush=True), "start")
RE.subscribe(RunWriter(catalog(uri, read_key(Path(key_file))), batch_size=1))
try:
    RE(measure(Bench(), 5, between=between))
except Exception as error:
    print(type(error).__name__, error, flush=True)
"""


def test_killed_server_ends_the_run_with_a_message(
    make_settings, connect, monkeypatch, request
):
    settings = make_settings()
    service = tiled_service(settings)
    up([service], settings.state_dir)
    monkeypatch.setenv("TILED_RETRY_ATTEMPTS", "2")
    arguments = [str(request.path.parent), settings.tiled_uri]
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, *arguments, str(settings.api_key_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as writer:
        first = writer.stdout.readline().split()
        assert first[0] == "uid", writer.communicate("\n")
        uid = first[1]
        while writer.stdout.readline() != "ready 2\n":
            pass
        server_process(settings).send_signal(signal.SIGKILL)
        said, _ = writer.communicate("\n", timeout=60)

    assert "StorageError got no storage of a" in said
    with running([service], settings.state_dir):
        assert read_run(connect(settings)[uid]).sizes["time"] == 2


def test_ready_line_alone_is_not_enough(make_settings):
    settings = make_settings()
    service = replace(
        tiled_service(settings),
        argv=(sys.executable, "-uc", "print('tiled: ready'); input()"),
        deadline_s=0.5,
    )

    with pytest.raises(ServiceError, match="ended in its start"):
        up([service], settings.state_dir)
    assert LogLine("tiled: ready")(service.log, 0)
