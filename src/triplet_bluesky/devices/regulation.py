"""How a dose is regulated: measure, attenuate by what is too much, measure again."""

import math
from collections.abc import Callable
from dataclasses import dataclass

__all__ = [
    "NoLightError",
    "OutOfReachError",
    "RegulationError",
    "Regulator",
    "UnsettledError",
]

MAX_CORRECTIONS = 6
"""Corrections of the attenuator before a dose counts as not reachable; each one removes
all but the calibration error of the attenuator, so two or three are normal."""

SHORTEST_S = 0.2
"""Averaging time of the meter at first; long against the 0.4 % pulse-to-pulse jitter,
short against the minutes of the drift."""

LONGEST_S = 20.0
"""Averaging time of the meter at most, for a dose near its noise; still short against
the minutes of the drift."""

SEEN = 3.0
"""Sigmas that a power must be above nought to be one."""

AT_END = 0.005
"""Optical density this near to the end of the attenuator is at its end."""

PRECISION = 0.5
"""Share of the tolerance that the sigma of a reading may be."""


class RegulationError(Exception):
    """A dose was not reached."""


class NoLightError(RegulationError):
    """The meter sees nothing although the attenuator should let enough pass."""


@dataclass
class OutOfReachError(RegulationError):
    """The attenuator is at an end and the dose is beyond it."""

    power_uw: float
    """What there is at that end, in uW."""
    most: bool
    """Whether that is the most there is, or the least."""


@dataclass
class UnsettledError(RegulationError):
    """The dose did not come within the tolerance."""

    power_uw: float
    """What it was at last, in uW."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regulator:
    """What it takes to bring the light to a dose.

    Whoever asks for less than the attenuator can give gets it without more light on the
    way than was asked for: where the meter sees nothing, the stored table says where
    the attenuator should be.
    """

    measure: Callable[[float], tuple[float, float]]
    """Averages over that many seconds; gives power and standard error, in uW."""
    attenuate: Callable[[float], float]
    """Goes to an optical density; gives where it is then."""
    densities: tuple[float, float]
    """Least and greatest optical density."""
    ceiling_uw: float
    """Power through the open attenuator, by the stored table, in uW."""
    tolerance: float
    """Relative deviation at which a dose counts as reached."""

    def reach(self, wanted_uw: float, density: float) -> tuple[float, float]:
        """Regulate until the meter confirms a power.

        Parameters
        ----------
        wanted_uw
            The power, in uW.
        density
            Where the attenuator is.

        Returns
        -------
        :
            The power that was measured and its standard error, in uW.

        Raises
        ------
        RegulationError
            If it is not reached, by its subclass why.
        """
        average_s, power_uw = SHORTEST_S, math.nan
        for _ in range(MAX_CORRECTIONS):
            power_uw, sigma_uw = self.measure(average_s)
            precision = sigma_uw / (PRECISION * self.tolerance * wanted_uw)
            precise = precision <= 1 or average_s >= LONGEST_S
            if precise and abs(power_uw / wanted_uw - 1) <= self.tolerance:
                return power_uw, sigma_uw
            if power_uw > SEEN * sigma_uw:
                density = self._correct(density, power_uw, wanted_uw)
            else:
                density = self._guess(density, wanted_uw)
            average_s = min(average_s * max(precision, 1.0) ** 2, LONGEST_S)
        raise UnsettledError(power_uw)

    def _correct(self, density: float, power_uw: float, wanted_uw: float) -> float:
        """Attenuate by what the meter says is too much."""
        lowest, highest = self.densities
        target = density + math.log10(power_uw / wanted_uw)
        most = target < lowest and density <= lowest + AT_END
        least = target > highest and density >= highest - AT_END
        if (most or least) and abs(power_uw / wanted_uw - 1) > self.tolerance:
            raise OutOfReachError(power_uw, most)
        return self.attenuate(min(max(target, lowest), highest))

    def _guess(self, density: float, wanted_uw: float) -> float:
        """Attenuate by what the stored table says is too much."""
        lowest, highest = self.densities
        target = min(max(math.log10(self.ceiling_uw / wanted_uw), lowest), highest)
        if target >= density - AT_END:
            raise NoLightError
        return self.attenuate(target)
