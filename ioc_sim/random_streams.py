"""Randomness that depends on what is asked, never on how often.

Counts come from a generator keyed by (seed, device, frame); drifts are functions of
(seed, simulated time). The same seed and the same commands give the same data.
"""

import hashlib
import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.random.bit_generator import ISeedSequence
from scipy.special import ndtri

__all__ = ["RedNoise", "WhiteNoise", "hash_noise", "hash_normal", "stream"]

FloatArray = npt.NDArray[np.float64]

_LEVELS = 36
"""Halvings of the white noise's time axis: 2**36 cells of 10 ms are 21 years."""

_RED_STEPS = 64
"""Grid points of the red noise per correlation time."""


class _Words(ISeedSequence):
    """The key of a generator itself: ten times as fast as numpy's own way to it."""

    def __init__(self, *words: int) -> None:
        self._words = np.array(words, dtype=np.uint64)

    def generate_state(self, n_words: int, dtype: object = np.uint32) -> Any:
        """Give the words, whatever is asked for.

        Parameters
        ----------
        n_words, dtype
            Number and type of the words; a Philox generator asks for these.
        """
        return self._words


@lru_cache(256)
def _key(seed: int, name: str) -> int:
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest)


def stream(seed: int, device: str, counter: int) -> np.random.Generator:
    """Give the generator of one shot of one device.

    Parameters
    ----------
    seed
        Seed of the bench.
    device
        Name of the device, for example ``"ccd"``.
    counter
        Number of the frame or reading; the same number gives the same randomness.

    Examples
    --------
    >>> a, b = (stream(1, "ccd", 7).poisson(100.0) for _ in range(2))
    >>> a == b
    True
    """
    words = _Words(counter & 0xFFFF_FFFF_FFFF_FFFF, _key(seed, device))
    return np.random.Generator(np.random.Philox(words))


def hash_normal(key: int, index: npt.ArrayLike) -> FloatArray:
    """Give a standard normal number for each index, by hashing (SplitMix64).

    Parameters
    ----------
    key
        64-bit key of the sequence.
    index
        Which numbers of the sequence; integers of any shape.

    References
    ----------
    Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
    """
    with np.errstate(over="ignore"):
        word = np.asarray(index).astype(np.uint64)
        word = (word + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        word ^= word >> np.uint64(31)
    uniform = ((word >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53
    return ndtri(uniform)


def hash_noise(seed: int, name: str, time_s: float, *, grid_s: float = 1.0) -> float:
    """Give standard normal noise that is constant within each cell of a time grid.

    Parameters
    ----------
    seed, name
        Seed of the bench and name of the noisy quantity.
    time_s
        Simulated seconds.
    grid_s
        Length of a cell, in simulated seconds.
    """
    return float(hash_normal(_key(seed, name), math.floor(time_s / grid_s)))


class WhiteNoise:
    r"""Noise without memory beyond one cell of time, averaged over any interval.

    Its integral is a Brownian path, built by midpoint displacement (Levy and
    Ciesielski): :math:`W(c) = \sum_{j,k} Z_{jk} \frac{\sqrt{w_j}}{2} \Lambda_{jk}(c)`
    with tents :math:`\Lambda` of width :math:`w_j = 2^j` cells. One value costs
    as many hashes as there are levels, however long the interval.

    Parameters
    ----------
    seed, name
        Seed of the bench and name of the noise.
    rms
        Standard deviation of the noise in one cell.
    cell_s
        Length of a cell, in simulated seconds.
    """

    def __init__(self, seed: int, name: str, *, rms: float, cell_s: float) -> None:
        levels = np.arange(1, _LEVELS + 1)
        keys = [_key(seed, f"{name}:{level}") for level in levels]
        self._keys = np.array(keys, dtype=np.uint64)
        self._widths = 2.0**levels
        self._heights = np.sqrt(self._widths) / 2
        self._rms = rms
        self._cell_s = cell_s

    def mean(self, start_s: float, end_s: float) -> float:
        """Mean of the noise over an interval; its cell's value if that is empty.

        Parameters
        ----------
        start_s, end_s
            The interval, in simulated seconds from zero.
        """
        first, last = start_s / self._cell_s, end_s / self._cell_s
        if last - first < 1e-6:  # noqa: PLR2004 - a millionth of a cell is a point
            first = math.floor(first)
            last = first + 1
        path = self._path(np.array([[first], [last]]))
        return self._rms * float(path[1] - path[0]) / (last - first)

    def _path(self, cells: FloatArray) -> FloatArray:
        scaled = cells / self._widths
        index = np.floor(scaled)
        tent = 1 - np.abs(2 * (scaled - index) - 1)
        with np.errstate(over="ignore"):
            mixed = index.astype(np.uint64) * np.uint64(0xD1342543DE82EF95) + self._keys
        normal = hash_normal(0, mixed)
        return (normal * tent * self._heights).sum(axis=1)


class RedNoise:
    r"""Slow noise that forgets exponentially (Ornstein-Uhlenbeck), from time zero on.

    On a grid of step :math:`h = \tau/64`,
    :math:`x_n = a x_{n-1} + \sqrt{1-a^2} Z_n` with :math:`a = e^{-h/\tau}`;
    linear in between. The grid is remembered as far as it was asked.

    Parameters
    ----------
    seed, name
        Seed of the bench and name of the noise.
    rms
        Standard deviation.
    time_s
        Correlation time, in simulated seconds.
    """

    def __init__(self, seed: int, name: str, *, rms: float, time_s: float) -> None:
        self._key = _key(seed, name)
        self._rms = rms
        self._step = time_s / _RED_STEPS
        self._grid = [float(hash_normal(self._key, 0))]
        self._sums = [0.0]

    def mean(self, start_s: float, end_s: float) -> float:
        """Mean of the noise over an interval; its value there if that is empty.

        Parameters
        ----------
        start_s, end_s
            The interval, in simulated seconds from zero.
        """
        first, last = start_s / self._step, end_s / self._step
        self._extend(math.floor(last) + 1)
        if last - first < 1e-6:  # noqa: PLR2004 - a millionth of a cell is a point
            index = math.floor(first)
            share = first - index
            value = self._grid[index] * (1 - share) + self._grid[index + 1] * share
        else:
            value = (self._integral(last) - self._integral(first)) / (last - first)
        return self._rms * value

    def _integral(self, cell: float) -> float:
        index = math.floor(cell)
        share = cell - index
        left, right = self._grid[index], self._grid[index + 1]
        return self._sums[index] + left * share + (right - left) * share**2 / 2

    def _extend(self, index: int) -> None:
        known = len(self._grid)
        if index < known:
            return
        keep = math.exp(-1 / _RED_STEPS)
        fresh = math.sqrt(1 - keep**2)
        value = self._grid[-1]
        for normal in hash_normal(self._key, np.arange(known, index + known)):
            following = keep * value + fresh * float(normal)
            self._sums.append(self._sums[-1] + (value + following) / 2)
            self._grid.append(following)
            value = following
