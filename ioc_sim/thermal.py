"""The helium-flow cryostat: cold finger, heater, controller, and the sample on it."""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

from ioc_sim import sample as truth
from ioc_sim.history import History
from ioc_sim.random_streams import hash_noise

__all__ = ["Cryostat", "CryostatReading", "heat_capacity", "heat_flow"]

STEP = 0.25
"""Step of the integration, s: short against the fastest time constant, 1.5 s."""

REST = 1e-7
"""Change of the temperatures per second below which the model is at rest, K/s."""

NOISE_CELL = 0.1
"""Time for which a thermometer's noise stays the same, s."""

SECONDS_PER_MINUTE = 60.0
SECONDS_PER_HOUR = 3600.0
PERCENT = 100.0

COLD_VACUUM = 5e-7
"""Pressure of the cold vacuum, mbar; typical of a cryopumped shroud."""

WARM_VACUUM = 2e-5
"""Pressure at 295 K, mbar; typical."""

STABLE_BAND = 0.05
"""Half width of the band that counts as stable at the start, K."""

STABLE_TIME = 10.0
"""How long the sample stays in the band before it counts as stable at the start, s."""


class CryostatReading(NamedTuple):
    """What the temperature controller and its gauges show."""

    finger_k: float
    sample_k: float
    set_point_k: float
    """Where the temperature is to go, in K."""
    working_k: float
    """Where the controller holds it now, in K: follows the ramp."""
    heater_percent: float
    ramping: bool
    flow_percent: float
    helium_percent: float
    vacuum_mbar: float
    stable: bool


def heat_capacity(temperature_k: float, cryostat: truth.Cryostat) -> float:
    r"""Heat capacity of the finger, :math:`C = 110\,T^3/(T^3+45^3) + 0.6`, in J/K.

    Parameters
    ----------
    temperature_k
        Temperature of the finger.
    cryostat
        Parameters of the cryostat.
    """
    cube, knee = temperature_k**3, cryostat.capacity_knee**3
    return cryostat.capacity * cube / (cube + knee) + cryostat.addenda


def heat_flow(temperature_k: float, flow: float, cryostat: truth.Cryostat) -> float:
    r"""Heat into the finger without the heater, in W.

    :math:`-k_f F (T - T_\mathsf{He}) + k_l (300 - T)`

    Parameters
    ----------
    temperature_k
        Temperature of the finger.
    flow
        Helium flow :math:`F`, from nought to one.
    cryostat
        Parameters of the cryostat.
    """
    cooling = cryostat.conductance * flow * (temperature_k - cryostat.helium)
    return cryostat.heat_leak * (cryostat.room - temperature_k) - cooling


def _gain(temperature_k: float, cryostat: truth.Cryostat) -> float:
    return heat_capacity(temperature_k, cryostat) / cryostat.proportional_time


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    """State of the model at one time."""

    time_s: float
    finger_k: float
    sample_k: float
    working_k: float
    integral_k: float
    heater_w: float
    in_band_since: float | None


class Cryostat:
    r"""Cryostat and controller, integrated on a grid that starts at each command.

    .. math::

        C(T) \dot T = -k_f F (T-T_\mathsf{He}) + k_l (300-T) + Q

    with a PI controller (:math:`k_p = C(T)/12\,s`) and feed-forward of the better part
    of the losses and of the ramp. The grid does not depend on when the model is asked,
    so neither does the answer; at rest the model costs nothing.

    Parameters
    ----------
    parameters
        Parameters of the cryostat.
    seed
        Seed of the thermometers' noise.
    """

    def __init__(self, parameters: truth.Cryostat, *, seed: int) -> None:
        self._parameters = parameters
        self._seed = seed
        self._set_point = parameters.temperature
        self._ramp = parameters.ramp / SECONDS_PER_MINUTE
        self._flow = 1.0
        self._band = STABLE_BAND
        self._hold = STABLE_TIME
        self._helium = (0.0, PERCENT)
        start = parameters.temperature
        losses = -heat_flow(start, self._flow, parameters)
        self._node = _Node(
            time_s=0.0,
            finger_k=start,
            sample_k=start,
            working_k=start,
            integral_k=(1 - parameters.feed_forward)
            * losses
            / _gain(start, parameters),
            heater_w=losses,
            in_band_since=-math.inf,
        )
        self._following = self._node
        self._resting = False
        self.sample_temperature = History(start)
        """Temperature of the sample in K, known up to the latest `advance`."""
        self._go_on()

    def set_point(self, time_s: float, kelvin: float) -> None:
        """Send the temperature to a set point, at the present ramp rate.

        Parameters
        ----------
        time_s
            When, in simulated seconds.
        kelvin
            The set point.
        """
        self._stop_at(time_s)
        self._set_point = kelvin
        self._go_on()

    def set_ramp_rate(self, time_s: float, kelvin_per_minute: float) -> None:
        """Set the rate at which the working set point moves.

        Parameters
        ----------
        time_s
            When, in simulated seconds.
        kelvin_per_minute
            The rate, above zero.
        """
        self._stop_at(time_s)
        self._ramp = kelvin_per_minute / SECONDS_PER_MINUTE
        self._go_on()

    def set_flow(self, time_s: float, percent: float) -> None:
        """Open the needle valve of the helium flow.

        Parameters
        ----------
        time_s
            When, in simulated seconds.
        percent
            Opening, 0 to 100.
        """
        self._stop_at(time_s)
        self._helium = (time_s, self._helium_at(time_s))
        self._flow = percent / PERCENT
        self._go_on()

    def set_stability(self, time_s: float, *, band_k: float, hold_s: float) -> None:
        """Say what counts as stable.

        Parameters
        ----------
        time_s
            When, in simulated seconds.
        band_k
            Half width of the band around the set point.
        hold_s
            How long the sample has to be in the band.
        """
        self._stop_at(time_s)
        self._band, self._hold = band_k, hold_s
        self._go_on()

    def advance(self, time_s: float) -> None:
        """Work the model out, so that `sample_temperature` is known to a time.

        Parameters
        ----------
        time_s
            Simulated seconds.
        """
        while self._node.time_s <= time_s - STEP and not self._skip(time_s):
            self._node = self._following
            self._go_on()

    def read(self, time_s: float) -> CryostatReading:
        """Read thermometers, controller and gauges.

        Parameters
        ----------
        time_s
            Simulated seconds, not before the latest command.
        """
        node = self._at(time_s)
        since = node.in_band_since
        warmth = node.finger_k / 295.0
        return CryostatReading(
            finger_k=node.finger_k + self._noise("finger", time_s),
            sample_k=node.sample_k + self._noise("sample", time_s),
            set_point_k=self._set_point,
            working_k=node.working_k,
            heater_percent=PERCENT * node.heater_w / self._parameters.heater,
            ramping=node.working_k != self._set_point,
            flow_percent=PERCENT * self._flow,
            helium_percent=self._helium_at(time_s),
            vacuum_mbar=COLD_VACUUM + (WARM_VACUUM - COLD_VACUUM) * warmth**2,
            stable=since is not None and time_s - since >= self._hold,
        )

    def _stop_at(self, time_s: float) -> None:
        """Let a new grid start where the model is at a time."""
        self._node = self._at(time_s)

    def _go_on(self) -> None:
        """Judge and remember the present node under the present commands."""
        self._judge()
        self._remember()

    def _at(self, time_s: float) -> _Node:
        self.advance(time_s)
        left, right = self._node, self._following
        share = (time_s - left.time_s) / STEP

        def between(first: float, last: float) -> float:
            return first + (last - first) * share

        return _Node(
            time_s=time_s,
            finger_k=between(left.finger_k, right.finger_k),
            sample_k=between(left.sample_k, right.sample_k),
            working_k=between(left.working_k, right.working_k),
            integral_k=between(left.integral_k, right.integral_k),
            heater_w=left.heater_w,
            in_band_since=left.in_band_since,
        )

    def _skip(self, time_s: float) -> bool:
        """Jump to a time while nothing changes; say whether it was possible."""
        steps = math.floor((time_s - self._node.time_s) / STEP)
        later = self._node.time_s + steps * STEP
        if not self._resting or self._fade(later) < 1:
            return False
        self._node = replace(self._node, time_s=later)
        self._following = replace(self._node, time_s=later + STEP)
        return True

    def _step(self) -> _Node:
        node, parameters = self._node, self._parameters
        distance = self._set_point - node.working_k
        change = math.copysign(min(abs(distance), self._ramp * STEP), distance)
        arrived = abs(distance) <= self._ramp * STEP
        working = self._set_point if arrived else node.working_k + change
        capacity = heat_capacity(node.finger_k, parameters)
        gain = _gain(node.finger_k, parameters)
        error = node.working_k - node.finger_k
        losses = -heat_flow(node.working_k, self._flow, parameters)
        forward = parameters.feed_forward * (losses + capacity * change / STEP)
        wanted = forward + gain * (error + node.integral_k)
        heater = min(max(wanted, 0.0), parameters.heater)
        integral = node.integral_k
        if heater == wanted:  # a saturated controller does not wind up
            integral += error / parameters.integral_time * STEP
        flow = self._flow * self._fade(node.time_s)
        power = heat_flow(node.finger_k, flow, parameters) + heater
        lag = -math.expm1(-STEP / parameters.sample_lag)
        return _Node(
            time_s=node.time_s + STEP,
            finger_k=node.finger_k + power / capacity * STEP,
            sample_k=node.sample_k + (node.finger_k - node.sample_k) * lag,
            working_k=working,
            integral_k=integral,
            heater_w=heater,
            in_band_since=node.in_band_since,
        )

    def _judge(self) -> None:
        """Note since when the sample is in the band around the set point."""
        node = self._node
        inside = (
            node.working_k == self._set_point
            and abs(node.sample_k - self._set_point) <= self._band
        )
        since = node.in_band_since if node.in_band_since is not None else node.time_s
        self._node = replace(node, in_band_since=since if inside else None)

    def _remember(self) -> None:
        """Record the sample's next step, and note whether all is at rest."""
        node, following = self._node, self._step()
        self._following = following
        slowest = max(
            abs(following.finger_k - node.finger_k),
            abs(following.sample_k - node.sample_k),
            abs(following.working_k - node.working_k),
        )
        self._resting = slowest < REST * STEP
        end_s = node.time_s + STEP
        if self._resting:
            self._following = replace(node, time_s=end_s)
            self.sample_temperature.record(node.time_s, node.sample_k)
        else:
            self.sample_temperature.ramp(node.time_s, end_s, following.sample_k)

    def _fade(self, time_s: float) -> float:
        return min(self._helium_at(time_s) / self._parameters.helium_low, 1.0)

    def _helium_at(self, time_s: float) -> float:
        since, level = self._helium
        hours = (time_s - since) / SECONDS_PER_HOUR
        return max(level - self._parameters.helium_use * self._flow * hours, 0.0)

    def _noise(self, name: str, time_s: float) -> float:
        normal = hash_noise(self._seed, name, time_s, grid_s=NOISE_CELL)
        return self._parameters.thermometer_noise * normal
