"""Whether a bench can take spectra of the light of the sample as it stands."""

from dataclasses import dataclass
from operator import attrgetter

from bluesky import plan_stubs as bps
from bluesky.utils import MsgGenerator

from triplet_bluesky.errors import PlanError
from triplet_bluesky.protocols import MicroPLBench

__all__ = ["check_ready"]


@dataclass(frozen=True, slots=True)
class Condition:
    """What one setting has to be."""

    setting: str
    """Its place on the bench, as it is typed in a session."""
    expected: str
    """What it has to read."""
    remedy: str
    """What to do if it does not."""


def _set(remedy: str, *settings: tuple[str, str]) -> str:
    """Say how to bring settings to their values, and what that does."""
    moves = ", ".join(f"{setting}, {value}" for setting, value in settings)
    return f"RE(bps.mv({moves})) {remedy}"


SERVOS_ON = _set(
    "keeps the focus",
    *((f"objective.{axis}.servo", "'On'") for axis in "xyz"),
)

CONDITIONS = (
    (
        Condition(
            "laser.emission",
            "On",
            _set("switches it on", ("laser.emission", "'On'"), ("laser.level", "100")),
        ),
        Condition(
            "laser.ready", "Yes", "wait until it is warm, or see laser.status_text"
        ),
    ),
    (
        Condition(
            "tunable_filter.shutter",
            "Open",
            _set("lets the light out", ("tunable_filter.shutter", "'Open'")),
        ),
    ),
    (
        Condition(
            "objective.power",
            "On",
            _set("gives the piezos voltage", ("objective.power", "'On'"))
            + f", then {SERVOS_ON}",
        ),
        *(Condition(f"objective.{axis}.servo", "On", SERVOS_ON) for axis in "xyz"),
    ),
    (
        Condition(
            "spectrometer.exit_port",
            "Direct",
            _set("leads to the camera", ("spectrometer.exit_port", "'Direct'")),
        ),
    ),
    (
        Condition(
            "spectrometer.lamp",
            "Off",
            _set("leaves the sample's light alone", ("spectrometer.lamp", "'Off'")),
        ),
    ),
    (
        Condition(
            "ccd.cam.read_out_mode",
            "FVB",
            _set("adds the columns up", ("ccd.cam.read_out_mode", "'FVB'")),
        ),
    ),
)
"""What has to hold, along the light. Of those in a group only the first that does not
is told: it may be the cause of the others."""


def check_ready(bench: MicroPLBench) -> MsgGenerator[None]:
    """Look whether the light of the sample can reach the camera; nothing is set.

    Parameters
    ----------
    bench
        The instruments.

    Raises
    ------
    PlanError
        If it cannot: what each setting in the way reads, what is expected of it, and
        what to do.
    """
    told: list[str] = []
    for group in CONDITIONS:
        for condition in group:
            setting = attrgetter(condition.setting)(bench)
            found = yield from bps.rd(setting, default_value=condition.expected)
            if found != condition.expected:
                told.append(
                    f"{condition.setting} is {found}, expected {condition.expected}: "
                    f"{condition.remedy}"
                )
                break
    if told:
        raise PlanError("; ".join(told))
