"""The state of the light path at each time, out of the histories of the bench."""

from ioc_sim.axes import Axes
from ioc_sim.beam import Beam
from ioc_sim.faults import Faults
from ioc_sim.history import History
from ioc_sim.light_path import BenchState
from ioc_sim.stage import Stage
from ioc_sim.timeline import MOST_PARTS, Part, cut

__all__ = ["BenchStates"]

WARMED = 0.02
"""Relative change of the temperature whose curvature hardly shows in the light."""

LEAST_WARMED_K = 0.25
"""The same near 4 K, in K."""

WARM_K = 0.5
"""Change of the temperature that hardly changes the light, K."""


class BenchStates:
    """What the light path is in each part of the past.

    Parameters
    ----------
    axes
        What the instruments do.
    beam
        The pump.
    stage
        Where the objective looks.
    faults
        What is wrong with the bench.
    temperature_k
        Temperature of the sample, K.
    """

    def __init__(
        self,
        axes: Axes,
        *,
        beam: Beam,
        stage: Stage,
        faults: Faults,
        temperature_k: History,
    ) -> None:
        self._axes = axes
        self._beam = beam
        self._stage = stage
        self._temperature_k = temperature_k
        self._hwp_slip = faults.history("hwp_slip")
        self._stray_light = faults.history("stray_light")
        self._steps: dict[History, float] = {
            **beam.steps,
            **beam.shutter_steps,
            axes.hwp_deg: 2.0,
            self._hwp_slip: 2.0,
            axes.analyser_in: 0.2,
            axes.spec_nm: 0.04,
            axes.slit_um: 2.0,
            axes.grating: 0.1,
            axes.exit_port: 0.1,
            axes.exit_slit_um: 20.0,
            axes.lamp: 0.1,
            self._stray_light: 1.0,
            axes.objective_x: 0.1,
            axes.objective_y: 0.1,
            axes.objective_z: 0.2,
            axes.servo_x: 0.1,
            axes.servo_y: 0.1,
            axes.servo_z: 0.1,
            faults.history("focus_loss"): 0.2,
            faults.history("stage_creep"): 1e3,
            axes.ccd_temperature_c: 0.5,
        }

    @property
    def histories(self) -> tuple[History, ...]:
        """All that decides about the light."""
        return (*self._steps, self._temperature_k)

    def parts(
        self,
        start_s: float,
        end_s: float,
        steps: dict[History, float] | None = None,
        *,
        most: int = MOST_PARTS,
    ) -> list[Part]:
        """Cut an interval into parts in each of which one state is good enough.

        Parameters
        ----------
        start_s, end_s
            The interval, in simulated seconds; it has passed.
        steps
            Further axes, each with a change that hardly shows.
        most
            As of `cut`.
        """
        coldest = min(self._temperature_k.at(time_s) for time_s in (start_s, end_s))
        drifts = {self._temperature_k: max(LEAST_WARMED_K, WARMED * coldest)}
        every = {**self._steps, **steps} if steps else self._steps
        return cut(start_s, end_s, every, drifts, most=most)

    def still(self, start_s: float, end_s: float) -> bool:
        """Tell whether nothing in the light path moved or warmed up in an interval.

        Parameters
        ----------
        start_s, end_s
            The interval, in simulated seconds; it has passed.
        """
        moved = any(axis.span(start_s, end_s) for axis in self._steps)
        return not moved and self._temperature_k.span(start_s, end_s) < WARM_K

    def mean(self, start_s: float, end_s: float) -> BenchState:
        """Give the state in a part of the past, with crystals that never fade.

        Parameters
        ----------
        start_s, end_s
            The part, in simulated seconds; a time if it is empty.
        """
        axes, middle = self._axes, (start_s + end_s) / 2
        return BenchState(
            pump_nm=self._beam.centre_nm(middle),
            bandwidth_nm=axes.bandwidth_nm.at(middle),
            power_uw=self._beam.power(start_s, end_s),
            hwp_deg=axes.hwp_deg.at(middle) + self._hwp_slip.at(middle),
            analyser_in=axes.analyser_in.at(middle),
            spec_nm=axes.spec_nm.at(middle),
            slit_um=axes.slit_um.at(middle),
            temperature_k=self._temperature_k.at(middle),
            position_um=self._stage.focus_um(start_s, end_s),
            grating=self._grating(middle),
            exit_port=axes.exit_port.at(middle),
            exit_slit_um=axes.exit_slit_um.at(middle),
            lamp=axes.lamp.at(middle),
            stray_light=self._stray_light.at(middle),
        )

    def _grating(self, time_s: float) -> int:
        """Give the place of the turret, from 1; 0 while it turns."""
        grating = self._axes.grating
        return 0 if grating.moving(time_s) else round(grating.at(time_s))
