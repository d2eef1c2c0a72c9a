"""What all tests share: Channel Access stays on this computer, on ports of its own.

Channel Access reads its environment once, when a client is first imported, so it is set
here, before pytest imports any test module.
"""

import os
import signal
import socket


def _free_port() -> int:
    """Find a port that is free for TCP and UDP."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


# A shell's background job ignores it, and so would all that the tests start:
signal.signal(signal.SIGINT, signal.default_int_handler)

SECOND_PORT = "SECOND_CA_SERVER_PORT"
"""Names the port on which clients of this process find a second IOC."""

os.environ[SECOND_PORT] = str(_free_port())
os.environ.update(
    {
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_ADDR_LIST": f"127.0.0.1 127.0.0.1:{os.environ[SECOND_PORT]}",
        "EPICS_CA_SERVER_PORT": str(_free_port()),
        "EPICS_CA_REPEATER_PORT": str(_free_port()),
    }
)
os.environ.pop("EPICS_CAS_SERVER_PORT", None)
