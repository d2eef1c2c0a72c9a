"""A bench without hardware or sockets: it remembers what was done to it."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from bluesky import RunEngine
from ophyd.status import Status


class FakeSetting:
    """A setting that obeys at once and writes down what it was told."""

    parent = None

    def __init__(self, name, value, log, limits=(-np.inf, np.inf), units=""):
        self.name = name
        self.position = value
        self.limits = limits
        self.egu = units
        self.log = log
        self.fails = None

    @property
    def hints(self):
        return {"fields": [self.name]}

    def set(self, value):
        status = Status()
        if self.fails is not None:
            status.set_exception(self.fails)
        else:
            self.log.append((self.name, value))
            self.position = value
            status.set_finished()
        return status

    def get(self):
        return self.position

    def stop(self, *, success=False):  # noqa: ARG002 - the signature of ophyd
        self.log.append((self.name, "stop"))

    def read(self):
        return {self.name: {"value": self.position, "timestamp": 0.0}}

    def describe(self):
        value = np.asarray(self.position)
        dtype = "string" if value.dtype.kind == "U" else "number"
        if value.ndim:
            dtype = "array"
        key = {"source": "fake", "dtype": dtype, "shape": list(value.shape)}
        return {self.name: key}


class FakeDevice:
    """A device made of settings, read together."""

    parent = None

    def __init__(self, name, config=(), **parts):
        self.name = name
        self.parts = parts
        self.config = config
        self.hints = {"fields": []}
        for attribute, part in parts.items():
            setattr(self, attribute, part)

    def _of(self, method, chosen):
        return {
            key: value
            for attribute, part in self.parts.items()
            if isinstance(part, FakeSetting) and (attribute in self.config) == chosen
            for key, value in getattr(part, method)().items()
        }

    def read(self):
        return self._of("read", chosen=False)

    def describe(self):
        return self._of("describe", chosen=False)

    def read_configuration(self):
        return self._of("read", chosen=True)

    def describe_configuration(self):
        return self._of("describe", chosen=True)


class FakeControl(FakeDevice):
    """Power control whose meter is always ready."""

    def trigger(self):
        self.log.append(("power_control", "measure"))
        status = Status()
        status.set_finished()
        return status


class FakeCCD(FakeDevice):
    """Camera that sees ``self.rate`` ADU per second in its middle in the light."""

    saturation = 65535

    staged = False

    def stage(self):
        self.staged = True
        return [self]

    def unstage(self):
        self.staged = False
        return [self]

    def stop(self, *, success=False):  # noqa: ARG002 - the signature of ophyd
        self.log.append(("ccd", "stop"))

    def trigger(self):
        exposure = self.cam.acquire_time.position
        shutter = self.bench.power_control.shutter.position
        self.log.append(("ccd", f"expose {exposure:g} {shutter}"))
        self.staged_for.append(self.staged)
        frames = np.full((int(self.subexposures.position), 64), 300.0)
        if shutter == "Open":
            frames[:, 32] += self.rate * exposure
        self.counts.position = np.minimum(frames, self.saturation).astype(np.int32)
        self.peak.position = int(self.counts.position.max())
        status = Status()
        if self.fails is not None and next(self.attempts) == self.fails_at:
            status.set_exception(self.fails)
        else:
            status.set_finished()
        return status


@pytest.fixture
def bench():
    """A bench whose ``log`` lists what was set and exposed, in order."""
    log = []

    def setting(name, value, **more):
        return FakeSetting(name, value, log, **more)

    cam = SimpleNamespace(
        acquire_time=setting("ccd_cam_acquire_time", 1.0, limits=(0.0, 3600.0)),
        read_out_mode=setting("ccd_cam_read_out_mode", "FVB"),
        saturation_level=setting("ccd_cam_saturation_level", 65535),
    )
    ccd = FakeCCD(
        "ccd",
        config=("sensitivity", "saturation_level"),
        counts=setting("ccd_counts", np.zeros((3, 64), dtype=np.int32)),
        peak=setting("ccd_peak", 0),
        subexposures=setting("ccd_subexposures", 1),
        exposure=cam.acquire_time,
        sensitivity=setting("ccd_cam_sensitivity", 10.0),
        saturation_level=cam.saturation_level,
    )
    ccd.cam, ccd.log, ccd.staged_for, ccd.rate = cam, log, [], 1e5
    ccd.fails, ccd.fails_at, ccd.attempts = None, 0, itertools.count()
    control = FakeControl(
        "power_control",
        power=setting("power_control_power", 0.0),
        photons=setting("power_control_photons", 0.0),
        fluence=setting("power_control_fluence", 0.0),
        attenuator=setting("power_control_attenuator", 4.0, limits=(0.0, 4.0)),
        shutter=setting("power_control_shutter", "Closed"),
        repetition_rate=setting("power_control_repetition_rate", np.nan),
    )
    control.log = log
    control.meter = SimpleNamespace(
        wavelength=setting("power_control_meter_wavelength", 526.0),
        averaging_time=setting("power_control_meter_averaging_time", 0.1),
    )
    stage = {axis: setting(f"objective_{axis}", 20.0, units="um") for axis in "xyz"}
    for axis, piezo in stage.items():
        piezo.servo = setting(f"objective_{axis}_servo", "On")
    bench = SimpleNamespace(
        laser=FakeDevice(
            "laser",
            emission=setting("laser_emission", "On"),
            ready=setting("laser_ready", "Yes"),
            level=setting("laser_level", 100.0),
            repetition_rate=setting("laser_repetition_rate", 78.0),
        ),
        tunable_filter=FakeDevice(
            "tunable_filter",
            wavelength=setting(
                "tunable_filter_wavelength", 526.0, limits=(480.0, 700.0)
            ),
            config=("shutter",),
            bandwidth=setting("tunable_filter_bandwidth", 1.8),
            shutter=setting("tunable_filter_shutter", "Open"),
        ),
        power_control=control,
        cryostat=FakeDevice(
            "cryostat", temperature=setting("cryostat_temperature", 4.0)
        ),
        objective=FakeDevice(
            "objective",
            config=("power",),
            power=setting("objective_power", "On"),
            **stage,
        ),
        analyser=FakeDevice(
            "analyser",
            angle=setting("analyser_angle", 0.0),
            inserted=setting("analyser_inserted", "In"),
            half_wave_plate=setting("analyser_half_wave_plate", 65.0),
        ),
        spectrometer=FakeDevice(
            "spectrometer",
            config=("resolution", "exit_port", "lamp"),
            wavelength=setting("spectrometer_wavelength", np.linspace(510, 552, 64)),
            resolution=setting("spectrometer_resolution", 0.159),
            exit_port=setting("spectrometer_exit_port", "Direct"),
            lamp=setting("spectrometer_lamp", "Off"),
        ),
        ccd=ccd,
        ioc=FakeDevice("ioc", boot_id=setting("ioc_boot_id", "fake")),
        log=log,
    )
    ccd.bench = bench
    return bench


@pytest.fixture
def RE():
    """A RunEngine that no test leaves running."""
    engine = RunEngine({}, context_managers=[])
    yield engine
    if engine.state != "idle":
        engine.halt()


@pytest.fixture
def documents(RE):
    """The documents of the runs so far, as pairs of name and document."""
    collected = []
    RE.subscribe(lambda name, doc: collected.append((name, doc)))
    return collected
