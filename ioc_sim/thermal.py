"""The helium-flow cryostat: cold finger, coolant, heater, and the sample on it."""

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from ioc_sim import sample as truth
from ioc_sim.cryostat_state import STEP, CryostatReading, Node
from ioc_sim.heat_balance import heat_capacity, heat_flow
from ioc_sim.heater_loop import HeaterLoop
from ioc_sim.helium import flow_share, helium_level, needed_flow
from ioc_sim.history import History
from ioc_sim.random_streams import hash_noise
from ioc_sim.stability import StabilityWindow
from ioc_sim.temperature_control import (
    RANGES,
    TRIPS,
    Control,
    follow_ramp,
    show_gains,
)

__all__ = ["Cryostat"]

REST = 1e-7
"""Change of the temperatures per second below which the model is at rest, K/s."""

NOISE_CELL = 0.1
"""Time for which a thermometer's noise stays the same, s."""

PERCENT = 100.0
ROOM_K = 295.0

COLD_VACUUM = 5e-7
"""Pressure of the cold vacuum, mbar; typical of a cryopumped shroud."""

WARM_VACUUM = 2e-5
"""Pressure at 295 K, mbar; typical."""

LEAK_TIME = 20.0
"""Time in which the pressure follows a leak, s; chosen."""

SETTLED = 1e-3
"""Share of a leak's pressure at which it has got there."""

STABLE_BAND = 0.05
"""Half width of the band that counts as stable at the start, K."""

STABLE_TIME = 10.0
"""How long the sample stays in the band before it counts as stable at the start, s."""

LOOP = ("mode", "heater_range", "p", "i", "d", "manual")
"""Settings that change what the heater does at the same temperatures."""

DRY_FLOW = 0.05
"""Share of the flow that a dewar gives which has just run dry; chosen."""


class Cryostat:
    r"""Cryostat and controller, integrated on a grid that starts at each command.

    .. math::

        C(T) \dot T = -k_f F (T-T_\mathsf{He}) + k_l (300-T) + Q

    with a PI controller that by itself chooses :math:`k_p = C(T)/12\,s` and foresees
    the better part of the losses and of the ramp. The grid does not depend on when the
    model is asked, so neither does the answer; at rest the model costs nothing.

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
        start = parameters.temperature
        self._control = Control(set_point_k=start, ramp_k_per_min=parameters.ramp)
        self._valve = 1.0
        self._automatic = False
        self._leak_mbar = 0.0
        self._open = History(0)
        self._band = STABLE_BAND
        self._hold = STABLE_TIME
        losses = -heat_flow(start, self._valve, parameters)
        self._node = Node(
            time_s=0.0,
            finger_k=start,
            sample_k=start,
            working_k=start,
            integral_k=0.0,
            heater_w=losses,
            valve=self._valve,
            leak_mbar=0.0,
            helium=(0.0, PERCENT),
            arrived_s=-math.inf,
            trip=TRIPS[0],
        )
        self._node = self._loop.take_over(self._node)
        self._following = self._node
        self._resting = False
        self._window = StabilityWindow(self._read_sample)
        self.sample_temperature = History(start)
        """Temperature of the sample in K, known up to the latest `advance`."""
        self._go_on()

    @property
    def control(self) -> Control:
        """What is set on the controller."""
        return self._control

    @property
    def _loop(self) -> HeaterLoop:
        return HeaterLoop(self._parameters, self._control)

    @property
    def valve_percent(self) -> float:
        """Where the needle valve was sent by hand, %."""
        return PERCENT * self._valve

    @property
    def automatic_flow(self) -> bool:
        """Whether the needle valve follows what the temperature needs."""
        return self._automatic

    @property
    def stability(self) -> tuple[float, float]:
        """What counts as stable: half width of the band in K, and time in s."""
        return self._band, self._hold

    def keep(self, time_s: float) -> Mapping[str, Any]:
        """Give the state at a time, ready for JSON.

        Parameters
        ----------
        time_s
            Simulated seconds, not before the latest command.
        """
        return {
            "node": asdict(self._at(time_s)),
            "control": asdict(self._control),
            "valve": self._valve,
            "automatic": self._automatic,
            "leak_mbar": self._leak_mbar,
            "stability": self.stability,
        }

    def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on from a state, of a time that has passed since.

        Parameters
        ----------
        kept
            What `keep` gave, of a cryostat with the same parameters.
        """
        node, control = kept["node"], kept["control"]
        self._control = Control(**{**control, "limits_k": tuple(control["limits_k"])})
        self._valve, self._automatic = kept["valve"], kept["automatic"]
        self._leak_mbar = kept["leak_mbar"]
        self._band, self._hold = kept["stability"]
        self._node = Node(**{**node, "helium": tuple(node["helium"])})
        self.sample_temperature.hold(self._node.sample_k)
        self._go_on()

    def change(self, time_s: float, **settings: Any) -> None:
        """Change what is set on the controller; at rest the heater does not jump.

        Parameters
        ----------
        time_s
            When, in simulated seconds.
        **settings
            Fields of `Control` and their new values.
        """
        self._stop_at(time_s)
        before, self._control = self._control, replace(self._control, **settings)
        if any(getattr(before, name) != getattr(self._control, name) for name in LOOP):
            self._node = self._loop.take_over(self._node)
        self._go_on()

    def reset_trip(self, time_s: float) -> bool:
        """Forget why the heater was switched off; its range stays off.

        Parameters
        ----------
        time_s
            When, in simulated seconds.

        Returns
        -------
        :
            Whether the reason is gone: else nothing is forgotten.
        """
        self._stop_at(time_s)
        self._node = replace(self._node, trip=TRIPS[0])
        self._go_on()
        return self._node.trip == TRIPS[0]

    def set_flow(self, time_s: float, percent: float) -> float:
        """Open the needle valve of the helium flow by hand.

        Parameters
        ----------
        time_s
            When, in simulated seconds.
        percent
            Opening, 0 to 100.

        Returns
        -------
        :
            When the valve's motor will have got there, in simulated seconds.
        """
        self._stop_at(time_s)
        self._valve = percent / PERCENT
        distance = abs(self._valve - self._node.valve)
        self._go_on()
        return time_s + distance / self._valve_speed

    def set_automatic_flow(self, time_s: float, *, automatic: bool) -> None:
        """Let the needle valve follow what the temperature needs, or leave it.

        Parameters
        ----------
        time_s
            When, in simulated seconds.
        automatic
            Whether it follows; else it goes where `set_flow` sent it.
        """
        self._stop_at(time_s)
        self._automatic = automatic
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

    def run_dry(self, time_s: float, share: float) -> None:
        """Let the dewar run dry, or put on a full one.

        Parameters
        ----------
        time_s
            When, in simulated seconds.
        share
            How dry, from nought (a full dewar) to one.
        """
        self._stop_at(time_s)
        low = self._parameters.helium_low
        level = helium_level(self._node, time_s, self._parameters)
        level = min(level, low * (1 - share * (1 - DRY_FLOW))) if share else PERCENT
        self._node = replace(self._node, helium=(time_s, level))
        self._go_on()

    def spoil_vacuum(self, time_s: float, pressure_mbar: float) -> None:
        """Let gas into the insulating vacuum, or pump it out.

        Parameters
        ----------
        time_s
            When, in simulated seconds.
        pressure_mbar
            Pressure that it will come to.
        """
        self._stop_at(time_s)
        self._leak_mbar = pressure_mbar
        self._go_on()

    def open_thermometer(self, time_s: float, *, is_open: bool) -> None:
        """Break or mend a wire of the sample's thermometer.

        Parameters
        ----------
        time_s
            When, in simulated seconds.
        is_open
            Whether it is broken.
        """
        self._stop_at(time_s)
        self._open.record(time_s, float(is_open))
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
        node, control = self._at(time_s), self._control
        loop = self._loop
        full_w = loop.full_w
        p, i, d = show_gains(loop.gains(node), full_w)
        deviation = self._window.judge(
            time_s, target=control.set_point_k, duration_s=self._hold
        )
        arrived = node.arrived_s is not None and time_s - node.arrived_s >= self._hold
        warmth = node.finger_k / ROOM_K
        base_mbar = COLD_VACUUM + (WARM_VACUUM - COLD_VACUUM) * warmth**2
        return CryostatReading(
            finger_k=node.finger_k + self._noise("finger", time_s),
            sample_k=self._read_sample(time_s),
            set_point_k=control.set_point_k,
            working_k=node.working_k,
            heater_percent=PERCENT * node.heater_w / full_w if full_w else 0.0,
            heater_w=node.heater_w,
            heater_range=control.heater_range,
            trip=node.trip,
            p=p,
            i=i,
            d=d,
            ramping=node.working_k != control.set_point_k,
            flow_percent=PERCENT * node.valve,
            helium_percent=helium_level(node, time_s, self._parameters),
            vacuum_mbar=base_mbar + node.leak_mbar,
            stable=arrived and deviation.peak <= self._band,
            peak_k=deviation.peak,
            rms_k=deviation.rms,
        )

    def _read_sample(self, time_s: float) -> float:
        """Read the sample's thermometer at a time that has been worked out."""
        if self._open.at(time_s):
            return math.nan
        return self.sample_temperature.at(time_s) + self._noise("sample", time_s)

    def _stop_at(self, time_s: float) -> None:
        """Let a new grid start where the model is at a time."""
        self._node = self._at(time_s)

    def _go_on(self) -> None:
        """Judge and remember the present node under the present commands."""
        self._judge()
        self._remember()

    def _at(self, time_s: float) -> Node:
        self.advance(time_s)
        left, right = self._node, self._following
        share = (time_s - left.time_s) / STEP

        def between(first: float, last: float) -> float:
            return first + (last - first) * share

        return replace(
            left,
            time_s=time_s,
            finger_k=between(left.finger_k, right.finger_k),
            sample_k=between(left.sample_k, right.sample_k),
            working_k=between(left.working_k, right.working_k),
            integral_k=between(left.integral_k, right.integral_k),
            valve=between(left.valve, right.valve),
            leak_mbar=between(left.leak_mbar, right.leak_mbar),
        )

    def _skip(self, time_s: float) -> bool:
        """Jump to a time while nothing changes; say whether it was possible."""
        steps = math.floor((time_s - self._node.time_s) / STEP)
        later = self._node.time_s + steps * STEP
        if not self._resting or flow_share(self._node, later, self._parameters) < 1:
            return False
        self._node = replace(self._node, time_s=later)
        self._following = replace(self._node, time_s=later + STEP)
        return True

    def _step(self) -> Node:
        node, parameters = self._node, self._parameters
        control = self._control
        working = follow_ramp(control, node.working_k, STEP)
        heater, integral = self._loop.heat(node, working)
        flow = node.valve * flow_share(node, node.time_s, parameters)

        def warming(temperature_k: float) -> float:
            power = heater + heat_flow(
                temperature_k, flow, parameters, pressure_mbar=node.leak_mbar
            )
            return power / heat_capacity(temperature_k, parameters)

        middle = node.finger_k + warming(node.finger_k) * STEP / 2
        end_s = node.time_s + STEP
        lag = -math.expm1(-STEP / parameters.sample_lag)
        return replace(
            node,
            time_s=end_s,
            finger_k=node.finger_k + warming(middle) * STEP,
            sample_k=node.sample_k + (node.finger_k - node.sample_k) * lag,
            working_k=working,
            integral_k=integral,
            heater_w=heater,
            valve=self._turn_valve(node),
            leak_mbar=self._follow_leak(node),
            helium=(end_s, helium_level(node, end_s, parameters)),
        )

    def _turn_valve(self, node: Node) -> float:
        """Give the opening of the needle valve one step later."""
        wanted = self._valve
        if self._automatic:
            wanted = needed_flow(node, self._control.set_point_k, self._parameters)
        most = self._valve_speed * STEP
        return node.valve + min(max(wanted - node.valve, -most), most)

    @property
    def _valve_speed(self) -> float:
        """Opening per second."""
        return self._parameters.valve_speed / PERCENT

    def _follow_leak(self, node: Node) -> float:
        """Give the pressure of the gas in the vacuum one step later."""
        distance = self._leak_mbar - node.leak_mbar
        if abs(distance) <= SETTLED * max(self._leak_mbar, COLD_VACUUM):
            return self._leak_mbar
        return node.leak_mbar - distance * math.expm1(-STEP / LEAK_TIME)

    def _judge(self) -> None:
        """Note since when the ramp is over, and switch the heater off if need be."""
        node, control = self._node, self._control
        arrived = node.arrived_s if node.arrived_s is not None else node.time_s
        there = node.working_k == control.set_point_k
        trip = node.trip
        if trip == TRIPS[0]:
            trip = self._find_trip(node)
        if trip != TRIPS[0] and control.heater_range != RANGES[0]:
            self._control = replace(control, heater_range=RANGES[0])
        self._node = replace(node, arrived_s=arrived if there else None, trip=trip)

    def _find_trip(self, node: Node) -> str:
        """Give the reason to switch the heater off now, if there is one."""
        if self._open.at(node.time_s):
            return TRIPS[2]
        finger_limit, sample_limit = self._control.limits_k
        too_warm = node.finger_k > finger_limit or node.sample_k > sample_limit
        return TRIPS[1] if too_warm else TRIPS[0]

    def _remember(self) -> None:
        """Record the sample's next step, and note whether all is at rest."""
        node, following = self._node, self._step()
        self._following = following
        slowest = max(
            abs(following.finger_k - node.finger_k),
            abs(following.sample_k - node.sample_k),
            abs(following.working_k - node.working_k),
            abs(following.integral_k - node.integral_k),
            abs(following.valve - node.valve),
        )
        self._resting = slowest < REST * STEP and following.leak_mbar == node.leak_mbar
        end_s = node.time_s + STEP
        if self._resting:
            self._following = replace(node, time_s=end_s)
            self.sample_temperature.record(node.time_s, node.sample_k)
        else:
            self.sample_temperature.ramp(node.time_s, end_s, following.sample_k)

    def _noise(self, name: str, time_s: float) -> float:
        normal = hash_noise(self._seed, name, time_s, grid_s=NOISE_CELL)
        return self._parameters.thermometer_noise * normal
