"""What one spectrum and one histogram cost the IOC, beside the noise in them alone.

A spectrum is 1024 pixels of 1 s at 526 nm and 50 uW, and has to stay below 1 ms; a
histogram is one of 1e6 photons at the same light, and has to stay below 20 ms. Both go
from the histories of the bench to counts. The baseline draws Poisson numbers of the
same means, without any physics. The state of the bench is another one in each turn, so
nothing is remembered.
"""

import math
from collections.abc import Callable

import numpy as np
from ioc_cost import report, rounds

from ioc_sim.clock import ManualClock
from ioc_sim.histogramming import Histogramming, Plan
from ioc_sim.photon_counter import PhotonCounter, Settings
from ioc_sim.sample import load_sample
from ioc_sim.world import World

PUMP_UW = 50.0
PHOTONS = 1_000_000
LONGEST_S = 60.0
SETTLED_S = 10.0


def main() -> None:
    report(measure(), "noise")
    print("to stay below: 1 ms for a spectrum, 20 ms for a histogram")


def lit(exit_port: float) -> World:
    """Make a bench with light on the camera (0) or the photomultiplier (1)."""
    world = World(load_sample(None), seed=0, clock=ManualClock())
    for history, value in (
        (world.emission, 1.0),
        (world.level, 100.0),
        (world.od, math.log10(world.beam.maximum_power(526.0, 1.8) / PUMP_UW)),
        (world.shutter, 1.0),
        (world.hwp_deg, 17.5),
        (world.exit_port, exit_port),
        (world.exit_slit_um, 2000.0),
    ):
        history.record(0.0, value)
    return world


def measure() -> dict[str, dict[str, list[float]]]:
    camera, counter = lit(0.0), PhotonCounter(lit(1.0))
    generator = np.random.default_rng(0)

    def spectrum(turn: int) -> object:
        return camera.sensor.frame(SETTLED_S + turn, 1.0, turn + 1)

    def histogram(turn: int, **plan: float) -> Histogramming:
        settings = Plan(settings=Settings(), **{"time_s": LONGEST_S, **plan})
        start_s = SETTLED_S + turn
        counted = Histogramming(counter, settings, turn + 1, start_s)
        counted.advance(start_s + LONGEST_S)
        return counted

    by_counts = histogram(0, stop_total=PHOTONS)
    pixels = np.maximum(camera.sensor.expected_charge(SETTLED_S, 1.0), 0.0)
    bins = by_counts.counts[:3206].astype(float)
    actions: dict[str, tuple[Callable[[int], object], Callable[[int], object]]] = {
        "spectrum of 1 s": (spectrum, lambda _: generator.poisson(pixels)),
        "1e6 photons, by time": (
            lambda turn: histogram(turn, time_s=by_counts.elapsed_s),
            lambda _: generator.poisson(bins),
        ),
        "1e6 photons, by counts": (
            lambda turn: histogram(turn, stop_total=PHOTONS),
            lambda _: generator.poisson(bins),
        ),
    }
    return {
        what: rounds({"ours": ours, "noise": noise})
        for what, (ours, noise) in actions.items()
    }


if __name__ == "__main__":
    main()
