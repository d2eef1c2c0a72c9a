"""What the plans need of a setting and of a bench, beyond Bluesky's protocols.

The devices of ophyd do not match the type hints of those protocols, so the instruments
of a bench are typed loosely and described in words. The devices of
`triplet_bluesky.devices` fit these, and so does anything that a test or another
laboratory puts in their place.
"""

from typing import Any, Protocol, runtime_checkable

from bluesky.protocols import Reading, Status

__all__ = ["MicroPLBench", "Setting"]


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


class MicroPLBench(Protocol):
    """A micro-photoluminescence bench with a tunable pump and an analyser.

    Attributes
    ----------
    laser
        The pump laser: settings ``emission`` and ``level``, readable ``ready`` and
        ``repetition_rate`` (MHz).
    tunable_filter
        The pump filter: axis ``wavelength`` (nm, vacuum) with ``limits``, setting
        ``shutter`` (``"Open"`` or ``"Closed"``).
    power_control
        The dose: axes ``power``, ``photons``, ``fluence`` and ``attenuator``, setting
        ``shutter``, ``meter`` with ``wavelength`` and ``averaging_time``, settable
        ``repetition_rate``; its ``trigger`` measures the dose of an exposure.
    cryostat
        The cryostat: axis ``temperature`` (K).
    objective
        The objective: setting ``power``, axes ``x``, ``y`` and ``z`` (um), each with a
        setting ``servo`` (all ``"On"`` or ``"Off"``).
    analyser
        The analyser: axes ``angle`` (deg) and ``half_wave_plate``, setting
        ``inserted`` (``"In"`` or ``"Out"``).
    spectrometer
        The spectrometer: readable ``wavelength``, that of each pixel, in nm; settings
        ``exit_port`` (``"Direct"`` to the camera) and ``lamp`` (``"On"`` or ``"Off"``).
    ccd
        The camera: ``cam`` with ``acquire_time`` (s, with ``limits``),
        ``read_out_mode`` (``"FVB"`` to add columns up) and ``saturation_level``,
        settable ``subexposures``, readable ``counts`` of shape
        ``(subexposures, pixels)``; it can be staged, triggered and stopped.
    ioc
        What identifies the IOC.
    """

    @property
    def laser(self) -> Any:
        """The pump laser."""
        ...

    @property
    def tunable_filter(self) -> Any:
        """The pump filter."""
        ...

    @property
    def power_control(self) -> Any:
        """The dose."""
        ...

    @property
    def cryostat(self) -> Any:
        """The cryostat."""
        ...

    @property
    def objective(self) -> Any:
        """The objective."""
        ...

    @property
    def analyser(self) -> Any:
        """The analyser."""
        ...

    @property
    def spectrometer(self) -> Any:
        """The spectrometer."""
        ...

    @property
    def ccd(self) -> Any:
        """The camera."""
        ...

    @property
    def ioc(self) -> Any:
        """What identifies the IOC."""
        ...
