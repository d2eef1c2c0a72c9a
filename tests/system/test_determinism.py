"""Over Channel Access too, who looks on changes no count."""

import json
import socket
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.ioc, pytest.mark.timeout(180)]

STEADY = """\
[source]
drift = 0.0
jitter = 0.0
[objective]
drift = 0.0
drift_axial = 0.0
"""
"""A sample file without what drifts with the time of day."""

CLIENT = """\
import json, sys, threading
import epics

polled = sys.argv[1] == "polled"
stop = threading.Event()

def put(name, value):
    if epics.caput("SAME:" + name, value, wait=True, timeout=20) != 1:
        raise SystemExit(f"{name} did not take {value!r}")

def poll():
    epics.ca.use_initial_context()
    names = "CRYO:KRDG1 POWER:Meter:Power_RBV CCD:image1:ArrayData TCSPC:SAMPLES_FAST"
    pvs = [epics.PV("SAME:" + name, auto_monitor=False) for name in names.split()]
    while not stop.wait(0.02):
        for pv in pvs:
            pv.get(use_monitor=False, timeout=5)

watcher = threading.Thread(target=poll)
if polled:
    watcher.start()
for name, value in (
    ("LASER:Emission", "On"), ("LASER:Level", 100), ("POWER:OD", 0.5),
    ("CCD:cam1:AcquireTime", 0.2), ("TCSPC:TIME", 200),
    ("POWER:Shutter", "Open"),
):
    put(name, value)
epics.PV("SAME:LASER:Ready_RBV").wait_for_connection(5)
while epics.caget("SAME:LASER:Ready_RBV", as_string=True) != "Yes":
    stop.wait(0.05)
counts = []
for wavelength in (522.0, 526.0):
    put("FILTER:Wavelength", wavelength)
    put("CCD:cam1:Acquire", 1)
    counts.append(epics.caget("SAME:CCD:image1:ArrayData").tolist())
put("SPEC:FlipperMirror2", "Side")
put("TCSPC:PMT:HV", 800)
put("TCSPC:Acquire", 1)
counts.append(epics.caget("SAME:TCSPC:SAMPLES_FAST").tolist())
stop.set()
if polled:
    watcher.join()
print(json.dumps(counts))
"""


@pytest.fixture
def counts(start_ioc, tmp_path):
    """What a client gets from a fresh IOC: two frames and a histogram."""
    sample = tmp_path / "steady.toml"
    sample.write_text(STEADY)

    def counts(how):
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            other.bind(("127.0.0.1", 0))
            port, repeater = one.getsockname()[1], other.getsockname()[1]
        env = {
            "EPICS_CA_SERVER_PORT": str(port),
            "EPICS_CA_REPEATER_PORT": str(repeater),
            "EPICS_CA_ADDR_LIST": "127.0.0.1",
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "EPICS_CA_MAX_ARRAY_BYTES": "4000000",
        }
        options = ("--seed", "11", "--time-factor", "10", "--sample", str(sample))
        served = start_ioc(*options, prefix="SAME:", env=env)
        served.wait_until_ready()
        client = subprocess.run(
            [sys.executable, "-c", CLIENT, how],
            env=env,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        served.stop()
        assert client.returncode == 0, client.stdout + client.stderr + served.output
        return json.loads(client.stdout.splitlines()[-1])

    return counts


def test_a_client_that_polls_at_50_hz_changes_no_count(counts):
    alone, polled = counts("alone"), counts("polled")

    assert max(alone[0]) > 1000
    assert sum(alone[2]) > 1000
    assert alone == polled
