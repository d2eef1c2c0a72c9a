"""Periodic light on counting electronics: response, dead time, folding, histogram.

All rates are means over many laser periods; times within a period are in ps. The light
is band-limited by the instrument response, so a Fourier series over one period holds
it exactly, whatever the ratio of the period to the width of a bin.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ioc_sim.instrument_response import PS_PER_NS, response
from ioc_sim.sample import Tcspc
from ioc_sim.source import FWHM_PER_SIGMA

__all__ = [
    "Arrivals",
    "Binning",
    "alive",
    "arrival_rate",
    "detected",
    "expected_counts",
    "mean_arrivals",
]

ComplexArray = npt.NDArray[np.complex128]
FloatArray = npt.NDArray[np.float64]

FINENESS = 16
"""Points of the grid per sigma of the response, at least: the cubic between them is
then good to 1e-5 of a bin."""

PS_PER_S = 1e12

ALIKE = 1e-4
"""Four times the share of the counts by which the mean of two rates may miss what the
dead time makes of their difference: rates of 1 MHz may differ by 3 %."""

ALIKE_TIMES = 0.01
"""Relative difference of decay times whose mean stands for both: what it misses is of
second order too."""

CONVERGED = 1e-9
"""Largest change of the live share in one iteration that counts as none."""

MOST_ITERATIONS = 500
"""Iterations after which a rate counts as beyond what the electronics can follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Pulses per second at the input of the electronics, by how they follow the laser.

    Examples
    --------
    >>> light = Arrivals(prompt=100.0, decays=((49.0, 300.0),), steady=50.0)
    >>> light.total
    450.0
    """

    prompt: float = 0.0
    """With the laser's pulse, 1/s."""
    decays: tuple[tuple[float, float], ...] = ()
    """Decay time in ps and rate in 1/s of each exponential."""
    steady: float = 0.0
    """At any time alike, 1/s."""

    @property
    def total(self) -> float:
        """All pulses, 1/s."""
        return self.prompt + self.steady + sum(rate for _, rate in self.decays)

    def scaled(self, factor: float, steady: float = 0.0) -> "Arrivals":
        """Give the arrivals after a loss, with more pulses at any time.

        Parameters
        ----------
        factor
            Share that is left of all that is here.
        steady
            Rate to add, 1/s.
        """
        return Arrivals(
            prompt=factor * self.prompt,
            decays=tuple((time, factor * rate) for time, rate in self.decays),
            steady=factor * self.steady + steady,
        )

    def resembles(self, other: "Arrivals", dead_s: float) -> bool:
        """Tell whether the mean of two is as good as both: the dead time is smooth.

        Parameters
        ----------
        other
            What arrived at another time.
        dead_s
            Dead time, in s.
        """
        if len(self.decays) != len(other.decays):
            return False
        pairs = zip(self.decays, other.decays, strict=True)
        apart = self.total - other.total
        return apart**2 * dead_s <= ALIKE * other.total and all(
            abs(mine[0] - theirs[0]) <= ALIKE_TIMES * theirs[0]
            for mine, theirs in pairs
        )


def mean_arrivals(parts: Sequence[tuple[float, Arrivals]]) -> Arrivals:
    """Average arrivals that resemble each other.

    Parameters
    ----------
    parts
        Duration and arrivals of each; one at least.
    """
    whole = sum(duration for duration, _ in parts)
    shares = [(duration / whole, light) for duration, light in parts]
    decays: list[tuple[float, float]] = []
    for index, (first_ps, _) in enumerate(parts[0][1].decays):
        every = [(share, *light.decays[index]) for share, light in shares]
        rate = sum(share * rate for share, _, rate in every)
        longer = sum(share * rate * (ps - first_ps) for share, ps, rate in every)
        decays.append((first_ps + (longer / rate if rate else 0.0), rate))
    return Arrivals(
        prompt=sum(share * light.prompt for share, light in shares),
        decays=tuple(decays),
        steady=sum(share * light.steady for share, light in shares),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Binning:
    """How start-stop times become bins of the histogram."""

    bins: int
    """Bins that the memory has."""
    width_ps: float
    """Width of a bin."""
    offset_ps: float = 0.0
    """What is taken off each time; earlier ones are lost."""
    periods: int = 1
    """Laser periods that the electronics take for one, because it misses triggers."""


def _frequencies(period_ps: float, points: int) -> FloatArray:
    harmonic = np.arange(points // 2 + 1, dtype=np.float64)
    return np.asarray(harmonic * (2 * np.pi / period_ps), dtype=np.float64)


def arrival_rate(
    arrivals: Arrivals, period_ps: float, tcspc: Tcspc, *, walk_ps: float = 0.0
) -> FloatArray:
    r"""Rate of pulses through one laser period, folded onto it.

    :math:`\hat r_k = H(\omega_k)\,[R_0 + \sum_j R_j/(1+i\omega_k\tau_j)]` with
    :math:`\omega_k = 2\pi k/T`: the series of the periodic sum has the transform of
    the single pulse as its coefficients.

    Parameters
    ----------
    arrivals
        What arrives.
    period_ps
        Period of the laser.
    tcspc
        Parameters of the counting electronics.
    walk_ps
        Further delay that depends on the discriminator.

    Returns
    -------
    :
        Pulses per second at equidistant times from 0; shape ``(n,)`` with a power of
        two ``n`` that resolves the response, 4096 for 12.8 ns and 120 ps.
    """
    omega, shape = _response(period_ps, tcspc, walk_ps)
    light = np.full(omega.shape, arrivals.prompt, dtype=complex)
    for time_ps, rate in arrivals.decays:
        light += rate / (1 + 1j * omega * time_ps)
    light *= shape
    light[0] += arrivals.steady
    points = 2 * (omega.size - 1)
    return np.maximum(np.fft.irfft(light * points, points), 0.0)


@lru_cache(4)
def _response(
    period_ps: float, tcspc: Tcspc, walk_ps: float
) -> tuple[FloatArray, ComplexArray]:
    step = tcspc.irf_fwhm / FWHM_PER_SIGMA / FINENESS
    omega = _frequencies(period_ps, 2 ** math.ceil(math.log2(period_ps / step)))
    return omega, response(omega, tcspc, walk_ps=walk_ps)


def alive(rate: FloatArray, period_ps: float, dead_ps: float) -> FloatArray:
    r"""Probability that the electronics are live at each time of the period.

    After each detection they are dead for :math:`\tau_d`, which may be many periods,
    and take no notice of what comes then. In the steady state

    .. math::

        A(t) = 1 - \int_{t-\tau_d}^{t} r(s) A(s)\, ds

    exactly. It is solved by iteration, preconditioned with the solution for the mean
    rate, :math:`A \leftarrow (1 + \bar r K)^{-1} [1 - K (r - \bar r) A]`, where the
    window :math:`K` is diagonal in the Fourier series,
    :math:`\hat K_k = (1-e^{-i\omega_k\tau_d})/(i\omega_k)`.

    Parameters
    ----------
    rate
        Pulses per second at equidistant times of one period; shape ``(n,)``.
    period_ps
        Period of the laser.
    dead_ps
        Dead time.

    Returns
    -------
    :
        Probabilities at the same times; shape ``(n,)``.

    Raises
    ------
    ArithmeticError
        If the rate is so far above one pulse per dead time that there is no result.
    """
    mean = float(rate.mean())
    if mean * dead_ps == 0:
        return np.ones_like(rate)
    window = _window(period_ps, dead_ps, rate.size)
    solve = 1 / (1 + mean * window)
    modulation = rate - mean
    result = np.full_like(rate, 1 / (1 + mean * dead_ps / PS_PER_S))
    for _ in range(MOST_ITERATIONS):
        missed = window * np.fft.rfft(modulation * result)
        missed[0] -= rate.size
        following = np.fft.irfft(-solve * missed, rate.size)
        change = float(np.max(np.abs(following - result)))
        result = following
        if change < CONVERGED:
            return result
    msg = f"no steady state at {mean:.3g} pulses a second; attenuate the light"
    raise ArithmeticError(msg)


@lru_cache(4)
def _window(period_ps: float, dead_ps: float, points: int) -> ComplexArray:
    """Give the transform of the dead time, in s."""
    omega = _frequencies(period_ps, points)
    window: ComplexArray = np.empty(omega.shape, dtype=np.complex128)
    window[0] = dead_ps
    window[1:] = (1 - np.exp(-1j * omega[1:] * dead_ps)) / (1j * omega[1:])
    window /= PS_PER_S
    return window


def detected(
    arrivals: Arrivals, period_ps: float, tcspc: Tcspc, *, walk_ps: float = 0.0
) -> FloatArray:
    """Give the rate of detections through one laser period, after the dead time.

    Arguments and result as of `arrival_rate`.
    """
    rate = arrival_rate(arrivals, period_ps, tcspc, walk_ps=walk_ps)
    return rate * alive(rate, period_ps, tcspc.dead_time * PS_PER_NS)


def expected_counts(rate: FloatArray, period_ps: float, binning: Binning) -> FloatArray:
    r"""Give the counts per second of each bin that the start-stop times reach.

    The integral of the rate is known in closed form from its series, and between its
    points by a cubic through values and slopes, so the period need not be a whole
    number of bins.

    Parameters
    ----------
    rate
        Detections per second at equidistant times of one period; shape ``(n,)``.
    period_ps
        Period of the laser.
    binning
        Width, offset and number of the bins.

    Returns
    -------
    :
        Expected counts per second of the bins from the first to the last one that can
        be reached; shape ``(n,)`` with ``n`` at most ``binning.bins``.
    """
    points = rate.size
    index, share, times = _edges(period_ps, binning, points)
    if times.size < 2:  # noqa: PLR2004 - a bin has two edges
        return np.zeros(0)
    step = period_ps / points
    slope = np.append(rate, rate[0]) * step
    series = np.fft.rfft(rate)
    mean = float(series[0].real) / points
    series[0] = 0.0
    series[1:] /= 1j * _frequencies(period_ps, points)[1:]
    swing = np.fft.irfft(series, points)
    value = np.append(swing, swing[0]) + mean * step * np.arange(points + 1)
    left, right = value[index], value[index + 1]
    first, last = slope[index], slope[index + 1]
    # Hermite's cubic on each step.
    rest = 1 - share
    integral = (
        left * (1 + 2 * share) * rest**2
        + right * (1 + 2 * rest) * share**2
        + share * rest * (first * rest - last * share)
    )
    integral += mean * period_ps * np.floor(times / period_ps)
    counts = np.diff(integral) / (period_ps * binning.periods)
    return np.maximum(counts, 0.0)


@lru_cache(4)
def _edges(
    period_ps: float, binning: Binning, points: int
) -> tuple[npt.NDArray[np.intp], FloatArray, FloatArray]:
    """Give the step of the grid, the place in it and the time of each bin's edges."""
    span = period_ps * binning.periods
    reached = math.ceil(max(span - binning.offset_ps, 0.0) / binning.width_ps)
    number = min(reached, binning.bins)
    times = binning.offset_ps + binning.width_ps * np.arange(number + 1)
    times = np.minimum(times, span)
    place = times / period_ps
    place = (place - np.floor(place)) * points
    index = np.minimum(place.astype(np.intp), points - 1)
    return index, place - index, times
