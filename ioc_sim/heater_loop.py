"""The loop of the temperature controller, with the cryostat that it knows."""

from dataclasses import dataclass, replace

from ioc_sim.cryostat_state import STEP, Node
from ioc_sim.heat_balance import heat_capacity, heat_flow
from ioc_sim.sample import Cryostat
from ioc_sim.temperature_control import Control, Gains, ask_heater, find_gains

__all__ = ["HeaterLoop"]

PERCENT = 100.0


@dataclass(frozen=True, slots=True)
class HeaterLoop:
    """What the heater does, step by step.

    Parameters
    ----------
    parameters
        Parameters of the cryostat.
    control
        What is set on the controller.
    """

    parameters: Cryostat
    control: Control

    @property
    def full_w(self) -> float:
        """Most that the heater gives in its range, in W."""
        return self.control.power(self.parameters.heater)

    def gains(self, node: Node) -> Gains:
        """Give what the loop multiplies the error with.

        Parameters
        ----------
        node
            State of the cryostat.
        """
        parameters = self.parameters
        capacity = heat_capacity(node.finger_k, parameters)
        zone = Gains(
            capacity / parameters.proportional_time, parameters.integral_time, 0.0
        )
        return find_gains(self.control, zone, self.full_w)

    def heat(self, node: Node, working_k: float) -> tuple[float, float]:
        """Give the heater power of a step, in W, and the integral after it, in K.

        Parameters
        ----------
        node
            State at the beginning of the step.
        working_k
            Working set point at its end.
        """
        gains = self.gains(node)
        error = node.working_k - node.finger_k
        slope = (node.finger_k - node.sample_k) / self.parameters.sample_lag
        wish = ask_heater(
            self.control,
            gains,
            drive_k=error + node.integral_k - gains.derivative_s * slope,
            forward_w=self._foresee(node, working_k - node.working_k),
            full_w=self.full_w,
        )
        if not wish.may_integrate(error):  # a saturated controller does not wind up
            return wish.heater_w, node.integral_k
        integral = node.integral_k + error / gains.integral_s * STEP
        return wish.heater_w, self._bound(node, gains, integral)

    def take_over(self, node: Node) -> Node:
        """Let the integral of a changed loop hold the working set point from now on.

        Parameters
        ----------
        node
            State of the cryostat.
        """
        gains = self.gains(node)
        losses = -heat_flow(node.working_k, node.valve, self.parameters)
        rest = losses - self._know(node)
        slope = gains.proportional_w_per_k
        integral = self._bound(node, gains, rest / slope) if slope else 0.0
        return replace(node, integral_k=integral)

    def _foresee(self, node: Node, change_k: float) -> float:
        """Give the power for losses and ramp that the zone mode puts on ahead, in W."""
        losses = -heat_flow(node.working_k, node.valve, self.parameters)
        capacity = heat_capacity(node.finger_k, self.parameters)
        return self.parameters.feed_forward * (losses + capacity * change_k / STEP)

    def _bound(self, node: Node, gains: Gains, integral_k: float) -> float:
        """Keep the integral to what the heater can do at the set point.

        Beyond, it would take long to come back from a ramp or a change of the loop.
        """
        slope = gains.proportional_w_per_k
        if not slope:
            return 0.0
        known = self._know(node)
        low, high = -max(known, 0.0) / slope, max(self.full_w - known, 0.0) / slope
        return min(max(integral_k, low), high)

    def _know(self, node: Node) -> float:
        """Give the power that the loop puts on without an error or a ramp, in W."""
        control = self.control
        manual = control.manual / PERCENT * self.full_w
        return manual + (self._foresee(node, 0.0) if control.mode == "Zone" else 0.0)
