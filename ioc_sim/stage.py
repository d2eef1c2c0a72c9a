"""Where the objective looks: the piezos, and the sample's own travel under them."""

import math
from typing import NamedTuple

from ioc_sim.axes import Axes
from ioc_sim.faults import Faults
from ioc_sim.history import History
from ioc_sim.phonons import COLD_K
from ioc_sim.random_streams import RedNoise, hash_noise
from ioc_sim.sample import Objective

__all__ = ["Stage", "contraction"]

AXES = ("x", "y", "z")

SECONDS_PER_HOUR = 3600.0

WARM_K = 295.0
"""Temperature to which `Objective.contraction` counts from 4 K, K; chosen."""


def contraction(temperature_k: float, theta_k: float) -> float:
    r"""Travel of the cold finger's end since 4 K, in units of that at 295 K.

    Thermal strain goes with the energy of the lattice (Grueneisen), here of one
    Einstein mode: :math:`u(T)/u(295)` with :math:`u = 1/(e^{\theta/T}-1)`, flat to
    1e-5 below 20 K.

    Parameters
    ----------
    temperature_k
        Temperature of the finger.
    theta_k
        Einstein temperature of its metal, in K.

    Examples
    --------
    >>> round(contraction(77.0, 240.0), 3)
    0.058
    """
    cold, warm, here = (
        1 / math.expm1(theta_k / kelvin) for kelvin in (COLD_K, WARM_K, temperature_k)
    )
    return (here - cold) / (warm - cold)


class _Piezo(NamedTuple):
    position: History
    servo: History
    open: RedNoise
    """Drift without servo."""
    mount: RedNoise
    """Drift that no sensor sees."""
    contraction: float
    """Travel of the sample along this axis from 4 to 295 K, um."""
    creep: float
    """Share of a loose mount's creep along this axis."""


class Stage:
    """The piezo stage of the objective and the sample that travels under it.

    Parameters
    ----------
    seed
        Seed of the bench.
    objective
        Parameters of both.
    axes
        Where the piezos were sent, and their servos.
    faults
        Loss of focus and creep of the mount.
    temperature_k
        Temperature of the cold finger.
    """

    def __init__(
        self,
        seed: int,
        objective: Objective,
        *,
        axes: Axes,
        faults: Faults,
        temperature_k: History,
    ) -> None:
        self._seed = seed
        self._objective = objective
        self._temperature_k = temperature_k
        self._focus_loss = faults.history("focus_loss")
        self._creep = faults.history("stage_creep")
        finger = objective.contraction_direction
        scale = objective.contraction / math.hypot(*finger)
        angle = math.radians(objective.creep_angle)
        self._piezos = {
            axis: _Piezo(
                position,
                servo,
                open=RedNoise(
                    seed,
                    f"piezo {axis}",
                    rms=objective.open_drift,
                    time_s=objective.open_drift_time,
                ),
                mount=RedNoise(
                    seed, f"mount {axis}", rms=drift, time_s=objective.drift_time
                ),
                contraction=scale * along,
                creep=creep,
            )
            for axis, position, servo, drift, along, creep in zip(
                AXES,
                (axes.objective_x, axes.objective_y, axes.objective_z),
                (axes.servo_x, axes.servo_y, axes.servo_z),
                (objective.drift, objective.drift, objective.drift_axial),
                finger,
                (math.cos(angle), math.sin(angle), 0.0),
                strict=True,
            )
        }

    def piezo_um(self, axis: str, start_s: float, end_s: float) -> float:
        """Give where a piezo is in the mean over an interval, in um.

        Parameters
        ----------
        axis
            ``"x"``, ``"y"`` or ``"z"``.
        start_s, end_s
            The interval, in simulated seconds from zero; a time if it is empty.
        """
        piezo = self._piezos[axis]
        middle = (start_s + end_s) / 2
        loose = 1 - piezo.servo.at(middle)
        wander = loose * piezo.open.mean(start_s, end_s) if loose else 0.0
        return piezo.position.at(middle) + wander

    def reading_um(self, axis: str, time_s: float) -> float:
        """Give what the sensor of a piezo reads, in um.

        Parameters
        ----------
        axis
            ``"x"``, ``"y"`` or ``"z"``.
        time_s
            Simulated seconds; the sensor's error holds for one of them.
        """
        noise = hash_noise(self._seed, f"sensor {axis}", time_s)
        position = self.piezo_um(axis, time_s, time_s)
        return position + self._objective.sensor_noise * noise

    def focus_um(self, start_s: float, end_s: float) -> tuple[float, float, float]:
        """Give where the focus is on the sample, in the mean over an interval, in um.

        Parameters
        ----------
        start_s, end_s
            The interval, in simulated seconds from zero; a time if it is empty.

        Returns
        -------
        :
            On the sample's axes x, y, z, which are the stage's at 4 K.
        """
        middle = (start_s + end_s) / 2
        theta = self._objective.contraction_theta
        grown = contraction(self._temperature_k.at(middle), theta)
        crept = self._creep.integral(0.0, middle) / SECONDS_PER_HOUR
        x, y, z = (
            self.piezo_um(axis, start_s, end_s)
            + piezo.mount.mean(start_s, end_s)
            - piezo.contraction * grown
            - piezo.creep * crept
            for axis, piezo in self._piezos.items()
        )
        return (x, y, z + self._focus_loss.at(middle))
