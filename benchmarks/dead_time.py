"""Dead time per point of an excitation scan at zero exposure, and what it consists of.

The simulated bench runs in its own process with the clock so fast that motions and
averaging take no time; what is left is the cost of asking. Three loops over the same
number of points are timed in turn, several times:

* ``ple``: the plan, RunEngine, devices that verify what they set, no callbacks;
* ``pyepics``: a bare loop that puts and gets the same PVs in the same order, without
  documents, checks or safety;
* ``ophyd.sim``: RunEngine with soft devices and as many fields, without any IOC.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from triplet_bluesky import services
from triplet_bluesky.settings import Settings

POINTS = 40
ROUNDS = 5
TIME_FACTOR = 1e3


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            data_dir=Path(folder),
            ca_port=services.free_port(),
            ca_repeater_port=services.free_port(),
            time_factor=TIME_FACTOR,
        )
        os.environ.update(services.epics_environment(settings))
        ioc = services.ioc_service(settings)
        with services.running([ioc], settings.state_dir):
            measure(settings.prefix)


def measure(prefix: str) -> None:
    from bluesky import RunEngine  # noqa: PLC0415 - after the EPICS environment

    from triplet_bluesky.devices import Bench  # noqa: PLC0415
    from triplet_bluesky.plans import switch_on  # noqa: PLC0415

    bench = Bench.from_prefix(prefix)
    bench.connect()
    engine = RunEngine({})
    engine(switch_on(bench, 4.0))
    wavelengths = [510.0 + 0.5 * index for index in range(POINTS)]
    loops: dict[str, Callable[[], None]] = {
        "ple": lambda: scan(engine, bench, wavelengths),
        "pyepics": lambda: bare_loop(bench, wavelengths),
        "ophyd.sim": lambda: soft_scan(engine, bench, wavelengths),
    }
    times: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(ROUNDS + 1):
        for name, loop in loops.items():
            began = time.perf_counter()
            loop()
            if turn:
                elapsed = time.perf_counter() - began
                times[name].append(elapsed / POINTS * 1e3)
    report(times)
    bench.disconnect()


def report(times: dict[str, list[float]]) -> None:
    print(f"{POINTS} points, {ROUNDS} rounds, zero exposure, no callbacks")
    print(f"{'loop':<12}{'ms/point':>10}{'min':>8}{'max':>8}{'ple / it':>10}")
    ours = times["ple"]
    for name, values in times.items():
        ratio = statistics.median(a / b for a, b in zip(ours, values, strict=True))
        print(
            f"{name:<12}{statistics.median(values):>10.2f}{min(values):>8.2f}"
            f"{max(values):>8.2f}{ratio:>10.2f}"
        )


def scan(engine, bench, wavelengths) -> None:  # noqa: ANN001
    from triplet_bluesky.plans import ple  # noqa: PLC0415

    engine(ple(bench, wavelengths, exposure=0.0, subexposures=1, darks=False))


def bare_loop(bench, wavelengths) -> None:  # noqa: ANN001
    """Put and get what a point of the scan puts and gets, and nothing else."""
    import math  # noqa: PLC0415

    import epics  # noqa: PLC0415
    from ophyd.signal import EpicsSignalBase  # noqa: PLC0415

    def pv(signal) -> epics.PV:  # noqa: ANN001
        return epics.get_pv(signal.pvname, auto_monitor=False, connect=True)

    control, camera = bench.power_control, bench.ccd.cam
    recorded = [
        pv(walk.item)
        for device in (
            bench.tunable_filter,
            control,
            bench.ccd,
            bench.spectrometer,
            bench.analyser,
            bench.cryostat,
        )
        for walk in device.walk_signals()
        if isinstance(walk.item, EpicsSignalBase) and walk.item.name in device.read()
    ]
    ratio = float(control.calibration_ratio.get()[0])
    density, acquire = pv(control.attenuator.setpoint), pv(camera.acquire)
    image, measure_pv = pv(bench.ccd.image.array_data), pv(control.meter.measure)
    shutter = pv(control.shutter.setpoint)
    for wavelength in wavelengths:
        pv(bench.tunable_filter.wavelength.setpoint).put(wavelength, wait=True)
        pv(control.meter.wavelength.setpoint).put(wavelength, wait=True)
        for _ in range(2):
            measure_pv.put(1, wait=True)
            power = pv(control.meter.power).get() * ratio
            density.put(
                min(4.0, max(0.0, density.get() + math.log10(max(power, 1e-9) / 48.0))),
                wait=True,
            )
        pv(camera.acquire_time.setpoint).put(0.0, wait=True)
        pv(control.meter.averaging_time.setpoint).put(0.05, wait=True)
        shutter.put(1, wait=True)
        acquire.put(1, wait=True)
        measure_pv.put(1, wait=True)
        image.get()
        shutter.put(0, wait=True)
        for each in recorded:
            each.get()


def soft_scan(engine, bench, wavelengths) -> None:  # noqa: ANN001
    """Scan soft devices: as many as the bench reads, with as many fields each."""
    from bluesky import plans as bp  # noqa: PLC0415
    from ophyd import Component, Device, Signal  # noqa: PLC0415
    from ophyd.sim import SynAxis  # noqa: PLC0415

    def soft(device) -> Device:  # noqa: ANN001
        fields = {
            f"field_{index}": Component(Signal, value=1.0)
            for index in range(len(device.describe()))
        }
        return type("Soft", (Device,), fields)(name=f"soft_{device.name}")

    detectors = [
        soft(device)
        for device in (
            bench.tunable_filter,
            bench.power_control,
            bench.ccd,
            bench.spectrometer,
            bench.analyser,
            bench.cryostat,
        )
    ]
    engine(bp.list_scan(detectors, SynAxis(name="axis"), wavelengths))


if __name__ == "__main__":
    main()
