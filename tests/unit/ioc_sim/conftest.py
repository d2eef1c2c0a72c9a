"""The bench of the paper, without instruments and without real time."""

import math

import pytest

from ioc_sim.carriers import Pump
from ioc_sim.clock import ManualClock
from ioc_sim.emission import Crystal
from ioc_sim.sample import Sample, load_sample
from ioc_sim.world import World


@pytest.fixture(scope="session")
def sample():
    return load_sample()


@pytest.fixture
def variant(sample):
    """Give a sample with changed values: ``variant(absorption__exciton=2345.0)``."""

    def make(**changes):
        tree = sample.model_dump()
        for path, value in changes.items():
            table, key = path.split("__")
            tree[table][key] = value
        return Sample.model_validate(tree)

    return make


@pytest.fixture
def quiet(variant):
    """A sample whose laser neither drifts nor jitters, on mounts that stay."""
    return variant(
        source__drift=0.0,
        source__jitter=0.0,
        objective__drift=0.0,
        objective__drift_axial=0.0,
    )


@pytest.fixture
def emit(sample):
    """Emission under a pump: ``emit(526.0, 50.0)``."""
    crystal = Crystal(sample)

    def run(wavelength_nm, power_uw, temperature_k=4.0, *, crystal=crystal):
        pump = Pump(wavelength_nm=wavelength_nm, bandwidth_nm=1.8, power_uw=power_uw)
        return crystal.emit(pump, temperature_k)

    return run


@pytest.fixture
def bench(sample):
    """A world with the light on: ``bench(power_uw=20.0)``, at time zero."""

    def make(sample=sample, *, wavelength_nm=526.0, power_uw=20.0, seed=1):
        world = World(sample, seed=seed, clock=ManualClock())
        most = world.beam.maximum_power(wavelength_nm, sample.source.bandwidth)
        world.emission.record(0.0, 1)
        world.level.record(0.0, 100)
        world.filter_nm.record(0.0, wavelength_nm)
        world.od.record(0.0, math.log10(most / power_uw))
        world.shutter.record(0.0, 1)
        world.hwp_deg.record(0.0, 17.5)
        return world

    return make
