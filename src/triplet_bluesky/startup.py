"""What a person finds in the session: RunEngine, devices, plans, store, helpers."""

import functools
import inspect
import logging
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from triplet_bluesky.errors import BenchError
from triplet_bluesky.settings import Settings

__all__ = ["bound", "namespace", "start_shell"]

logger = logging.getLogger(__name__)

BANNER = """\
triplet_bluesky: the bench is connected.

  RE(switch_on(4.0))                                    laser on, sample to 4 K
  RE(ple(start=508, stop=532, step=1, analyser="out"))  an excitation scan
  analysis.result                                       what its live fit says
  RE(count_light([ccd, power_control]))                 a spectrum and its dose
  read_run(cat[-1])                                     the stored run, as xarray
  RE(bps.mv(tunable_filter.wavelength, 526))            move by hand
  %wa                                                   where everything is

  devices: {devices}
  plans:   {plans}      ?ple explains one
"""


def bound(plan: Callable[..., Any], bench: Any) -> Callable[..., Any]:
    """Give a plan its bench, keeping its name, signature and documentation.

    Parameters
    ----------
    plan
        A plan whose first parameter is the bench.
    bench
        The bench.

    Returns
    -------
    :
        The plan without that parameter.
    """

    @functools.wraps(plan)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return plan(bench, *args, **kwargs)

    signature = inspect.signature(plan)
    hidden, *parameters = signature.parameters.values()
    wrapped.__doc__ = _without_parameter(inspect.getdoc(plan) or "", hidden.name)
    wrapped.__signature__ = signature.replace(parameters=parameters)  # pyright: ignore[reportAttributeAccessIssue] - functions take attributes
    return wrapped


def _without_parameter(doc: str, name: str) -> str:
    """Leave the entry of one parameter out of a numpydoc docstring."""
    kept: list[str] = []
    left_out: list[str] = []
    for line in doc.splitlines():
        if line.split(" :")[0] == name:
            left_out = [line]
        elif left_out and (not line or line.startswith(" ")):
            left_out.append(line)
        else:
            if left_out and not left_out[-1]:
                kept.append("")
            left_out = []
            kept.append(line)
    return "\n".join(kept).replace("Parameters\n----------\n\n", "")


@contextmanager
def namespace(settings: Settings) -> Generator[dict[str, Any]]:
    """Assemble a session and give the names that a person types.

    Parameters
    ----------
    settings
        Of the session.

    Yields
    ------
    :
        Names and what they stand for.
    """
    from triplet_bluesky.services import epics_environment  # noqa: PLC0415 - light import

    for name, value in epics_environment(settings).items():
        os.environ.setdefault(name, value)

    # After the environment, which Channel Access reads when ophyd is imported:
    from bluesky import plan_stubs as bps  # noqa: PLC0415
    from bluesky import plans as bp  # noqa: PLC0415
    from bluesky import preprocessors as bpp  # noqa: PLC0415

    from triplet_bluesky import plans, units  # noqa: PLC0415
    from triplet_bluesky.callbacks import ScanProgress, replay  # noqa: PLC0415
    from triplet_bluesky.callbacks.plot import FigureFile  # noqa: PLC0415
    from triplet_bluesky.session import open_session  # noqa: PLC0415
    from triplet_bluesky.storage.reading import documents, read_run  # noqa: PLC0415

    with open_session(settings) as session:
        figure = FigureFile(session.ple, settings.data_dir / "figures")
        session.watch(ScanProgress(session.ple))
        session.watch(figure)
        yield {
            "session": session,
            "RE": session.RE,
            "bench": session.bench,
            "cat": session.cat,
            "analysis": session.ple,
            "figure": figure,
            **{device.name: device for device in session.bench.devices()},
            **{
                name: bound(getattr(plans, name), session.bench)
                for name in plans.__all__
            },
            "bps": bps,
            "bp": bp,
            "bpp": bpp,
            "units": units,
            "read_run": read_run,
            "documents": documents,
            "replay": replay,
        }


def _say_briefly(
    _shell: Any,
    _kind: type,
    error: BaseException,
    _trace: Any,
    tb_offset: Any = None,  # noqa: ARG001 - IPython hands it over by name
) -> None:
    """Show what an instrument or a plan said in one line; the log has the rest."""
    from triplet_bluesky.session import what_was_said  # noqa: PLC0415 - takes seconds

    said = what_was_said(error)
    logger.error("%s: %s", type(said).__name__, said)
    logger.debug("in full", exc_info=error)


def start_shell(settings: Settings) -> None:
    """Open IPython with a session in it.

    Parameters
    ----------
    settings
        Of the session.
    """
    from IPython.terminal.embed import InteractiveShellEmbed  # noqa: PLC0415

    with namespace(settings) as names:
        from bluesky.magics import BlueskyMagics  # noqa: PLC0415
        from bluesky.utils import FailedStatus  # noqa: PLC0415

        from triplet_bluesky import plans  # noqa: PLC0415
        from triplet_bluesky.devices.operation import (  # noqa: PLC0415
            CONNECTION_ERRORS,
        )

        devices = ", ".join(device.name for device in names["bench"].devices())
        banner = BANNER.format(devices=devices, plans=", ".join(plans.__all__))
        ipython = InteractiveShellEmbed(banner1=banner, user_ns=names, enable_tip=False)
        ipython.register_magics(BlueskyMagics)
        briefly = (BenchError, FailedStatus, *CONNECTION_ERRORS)
        ipython.set_custom_exc(briefly, _say_briefly)
        ipython()
