"""Serve the simulated bench as stock drivers would: nothing additional, few limits.

``python stock_bench.py PREFIX WITHOUT...`` leaves out the PVs named after the prefix,
and states no control limits where the records of areaDetector, the Shamrock driver and
KIT's support for the PicoHarp state none.
"""

import asyncio
import sys

from ioc_sim.clock import Clock
from ioc_sim.sample import load_sample
from ioc_sim.server import Bench, ServerSettings, serve
from ioc_sim.world import World

WITHOUT_LIMITS = ("CCD:cam1:", "CCD:image1:", "CCD:HDF1:", "SPEC:", "TCSPC:")
HIGH_VOLTAGE = "TCSPC:PMT:"

BOOT = {"CCD:cam1:WaitForPlugins": "No", "CCD:image1:EnableCallbacks": "Disable"}
"""How ADCore starts."""


def stock(prefix, without):
    """The simulated bench less what only it has."""
    bench = Bench(prefix, World(load_sample(None), seed=7, clock=Clock(10.0)))
    for name in without:
        del bench.pvdb[prefix + name]
    for name, channel in bench.pvdb.items():
        at = name.removeprefix(prefix)
        limited = not at.startswith(WITHOUT_LIMITS) or at.startswith(HIGH_VOLTAGE)
        if not limited and hasattr(channel, "lower_ctrl_limit"):
            hide_limits(channel)
    return bench


def hide_limits(channel):
    """Let clients see limits of 0 and 0, which the driver still keeps to."""

    async def read(data_type):
        metadata, values = await type(channel).read(channel, data_type)
        for limit in ("lower_ctrl_limit", "upper_ctrl_limit"):
            if hasattr(metadata, limit):
                setattr(metadata, limit, 0)
        return metadata, values

    channel.read = read


async def run(prefix, without):
    """Serve until the process is ended."""
    bench = stock(prefix, without)

    async def boot():
        for name, value in BOOT.items():
            await bench.pvdb[prefix + name].write(value)
        sys.stdout.write("ioc_sim: ready\n")
        sys.stdout.flush()

    tasks = set()

    def ready():
        tasks.add(asyncio.create_task(boot()))

    await serve(bench, ServerSettings(), ready)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2:]))
