"""The pump beam in time: what the laser, the filter and the attenuator let through."""

from ioc_sim import source
from ioc_sim.axes import Axes
from ioc_sim.faults import Faults
from ioc_sim.history import History
from ioc_sim.random_streams import hash_noise
from ioc_sim.sample import Sample
from ioc_sim.source import LightNoise
from ioc_sim.timeline import cut

__all__ = ["Beam"]

PERCENT = 100.0


class Beam:
    """Power and wavelength of the pump before and behind the shutter.

    Parameters
    ----------
    seed
        Seed of the bench.
    sample
        Parameters of the bench.
    axes
        What the instruments do.
    faults
        What is wrong with them.
    """

    def __init__(
        self, seed: int, sample: Sample, *, axes: Axes, faults: Faults
    ) -> None:
        self._seed = seed
        self._source = sample.source
        self._monitor_noise = sample.laser.monitor_noise
        self._axes = axes
        self._mode_hop = faults.history("laser_mode_hop")
        self._filter_slip = faults.history("filter_slip")
        self._leak = faults.history("shutter_leak")
        self._noise = LightNoise(seed, sample.source)
        self.steps: dict[History, float] = {
            axes.emission: 0.1,
            axes.level: 1.0,
            axes.laser_output: 0.01,
            self._mode_hop: 0.01,
            axes.filter_open: 0.1,
            axes.filter_nm: 0.2,
            self._filter_slip: 0.2,
            axes.bandwidth_nm: 0.1,
            axes.od: 0.05,
        }
        """The axes before the shutter, each with a change that hardly shows."""
        self.shutter_steps: dict[History, float] = {
            axes.shutter: 0.1,
            self._leak: 0.1,
        }
        """The same of the shutter."""

    def maximum_power(self, wavelength_nm: float, bandwidth_nm: float) -> float:
        """Give the power at full level and no attenuation, in uW.

        Parameters
        ----------
        wavelength_nm, bandwidth_nm
            Centre and FWHM of the pump line, in nm.
        """
        return source.maximum_power(wavelength_nm, bandwidth_nm, self._source)

    def output(self, time_s: float) -> float:
        """Give the laser's output without noise, as a share of the full one.

        Parameters
        ----------
        time_s
            Simulated seconds.
        """
        axes = self._axes
        output = axes.emission.at(time_s) * axes.level.at(time_s) / PERCENT
        output *= axes.laser_output.at(time_s)
        return output * (1 + self._mode_hop.at(time_s))

    def noise(self, start_s: float, end_s: float) -> float:
        """Give the mean of the relative power in an interval, about one.

        Parameters
        ----------
        start_s, end_s
            The interval, in simulated seconds; a time if it is empty.
        """
        return self._noise.mean(start_s, end_s)

    def centre_nm(self, time_s: float) -> float:
        """Give the true centre of the pump line, in nm.

        Parameters
        ----------
        time_s
            Simulated seconds.
        """
        return self._axes.filter_nm.at(time_s) + self._filter_slip.at(time_s)

    def power_before_shutter(self, start_s: float, end_s: float) -> float:
        """Give the power that an open shutter would let through, in uW.

        Parameters
        ----------
        start_s, end_s
            A part of the past in which the beam hardly changes; a time if it is empty.
        """
        axes, middle = self._axes, (start_s + end_s) / 2
        strength = self.output(middle) * axes.filter_open.at(middle)
        if strength == 0:
            return 0.0
        bandwidth_nm = axes.bandwidth_nm.at(middle)
        most = self.maximum_power(self.centre_nm(middle), bandwidth_nm)
        power = most * strength * 10 ** -axes.od.at(middle)
        return power * self.noise(start_s, end_s)

    def mean_power(self, start_s: float, end_s: float) -> float:
        """Give the mean of the power before the shutter in any interval, in uW.

        Parameters
        ----------
        start_s, end_s
            The interval, in simulated seconds; a time if it is empty.
        """
        if end_s <= start_s:
            return self.power_before_shutter(end_s, end_s)
        energy = sum(
            self.power_before_shutter(a, b) * (b - a)
            for a, b in cut(start_s, end_s, self.steps)
        )
        return energy / (end_s - start_s)

    def monitor_percent(self, second: int) -> float:
        """Give what the laser's monitor diode averaged over one second.

        Parameters
        ----------
        second
            Number of the second; it has passed by now.

        Returns
        -------
        :
            Output before the filter, in % of the full one.
        """
        output = self.output(second + 0.5) * self.noise(second, second + 1)
        noise = self._monitor_noise * hash_noise(self._seed, "monitor", second)
        return PERCENT * output * (1 + noise)

    def power(self, start_s: float, end_s: float) -> float:
        """Give the power at the sample, in uW.

        Parameters
        ----------
        start_s, end_s
            A part of the past in which the beam hardly changes; a time if it is empty.
        """
        opening = self._opening((start_s + end_s) / 2)
        return opening * self.power_before_shutter(start_s, end_s) if opening else 0.0

    def blocked(self, start_s: float, end_s: float) -> bool:
        """Tell whether the shutter lets nothing through all the time.

        Parameters
        ----------
        start_s, end_s
            The interval, in simulated seconds.
        """
        ways = self._axes.shutter, self._leak
        return not any(way.at(start_s) or way.span(start_s, end_s) for way in ways)

    def _opening(self, time_s: float) -> float:
        """Give the share of the pump that passes the shutter."""
        return max(self._axes.shutter.at(time_s), self._leak.at(time_s))
