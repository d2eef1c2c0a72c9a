"""What the plans need of an axis, a detector and a bench, beyond Bluesky's protocols.

The devices of `triplet_bluesky.devices` fit these, and so does anything that a test or
another laboratory puts in their place.
"""

from typing import Any, Protocol, runtime_checkable

from bluesky.protocols import Reading, Status

__all__ = ["Axis", "Detector", "DoseControl", "MicroPLBench", "Setting"]


@runtime_checkable
class Setting(Protocol):
    """Something with a name that can be set and read back."""

    name: str
    parent: Any

    @property
    def position(self) -> Any:
        """The present value."""
        ...

    def set(self, value: Any) -> Status:
        """Go to a value; finished when the read-back agrees."""
        ...

    def stop(self, success: bool = True) -> None:
        """Stop where it is, or leave it safe."""
        ...

    def read(self) -> dict[str, Reading[Any]]:
        """Read the value for recording."""
        ...

    def describe(self) -> dict[str, Any]:
        """Describe what `read` gives."""
        ...


@runtime_checkable
class Axis(Setting, Protocol):
    """A setting that is a number within limits."""

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest value that is possible."""
        ...

    @property
    def egu(self) -> str:
        """The engineering unit."""
        ...


class Camera(Protocol):
    """What a plan sets on the camera."""

    acquire_time: Axis
    """Exposure of one frame, in s."""
    image_mode: Setting
    """``"Single"`` while the plans take frames."""
    saturation_level: Any
    """Raw count at which a pixel is saturated."""


class Detector(Protocol):
    """A camera that gives a stack of sub-exposures for each trigger."""

    name: str
    cam: Camera
    counts: Any
    """Raw counts of the last trigger; shape ``(subexposures, pixels)``."""
    peak: Any
    """Largest raw count of the last trigger."""
    subexposures: Any
    """Number of frames for each trigger."""

    def trigger(self) -> Status:
        """Take the sub-exposures."""
        ...

    def read(self) -> dict[str, Reading[Any]]:
        """Read the last stack."""
        ...

    def describe(self) -> dict[str, Any]:
        """Describe what `read` gives."""
        ...


class Meter(Protocol):
    """What a plan sets on the power meter."""

    wavelength: Axis
    """Wavelength that its responsivity is corrected for, in nm."""
    averaging_time: Axis
    """Averaging time, in s."""


class DoseControl(Protocol):
    """Attenuator, meter and shutter."""

    name: str
    power: Axis
    photons: Axis
    fluence: Axis
    attenuator: Axis
    shutter: Setting
    meter: Meter
    repetition_rate: Any

    def trigger(self) -> Status:
        """Measure the dose during an exposure."""
        ...

    def read(self) -> dict[str, Reading[Any]]:
        """Read the dose columns."""
        ...

    def describe(self) -> dict[str, Any]:
        """Describe what `read` gives."""
        ...


class MicroPLBench(Protocol):
    """A micro-photoluminescence bench with a tunable pump and an analyser."""

    @property
    def laser(self) -> Any:
        """The pump laser, with ``emission``, ``ready`` and ``repetition_rate``."""
        ...

    @property
    def tunable_filter(self) -> Any:
        """The pump filter, with ``wavelength`` (nm, vacuum) and ``bandwidth``."""
        ...

    @property
    def power_control(self) -> Any:
        """The `DoseControl` of the bench."""
        ...

    @property
    def cryostat(self) -> Any:
        """The cryostat, with ``temperature`` in K."""
        ...

    @property
    def analyser(self) -> Any:
        """The analyser, with ``angle`` in degrees and ``inserted``."""
        ...

    @property
    def spectrometer(self) -> Any:
        """The spectrometer, with ``wavelength``: the wavelength of each pixel."""
        ...

    @property
    def ccd(self) -> Any:
        """The `Detector` of the bench."""
        ...

    @property
    def ioc(self) -> Any:
        """What identifies the IOC."""
        ...
