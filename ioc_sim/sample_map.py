"""The crystals of the sample: where they are, and how each differs from the paper's."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from ioc_sim.emission import Crystal
from ioc_sim.focus import overlaps
from ioc_sim.random_streams import stream
from ioc_sim.sample import Sample

__all__ = ["MappedCrystal", "SampleMap", "Sighted", "draw_crystals"]

NEGLIGIBLE = 1e-6
"""Pump share times collected share below which a crystal is not worth a line: the
faintest spectrum has some 1e4 counts in its peak."""

HALF_TURN = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedCrystal:
    """One crystal of the map."""

    position_um: tuple[float, float, float]
    """Where it is at 4 K, on the stage's axes x, y, z."""
    brightness: float
    """Emission relative to that of the paper's crystal."""
    threshold: float
    """Threshold relative to that of the paper's crystal."""
    axis_deg: float
    """Axis of its lower line."""
    energy_mev: float
    """Shift of its exciton and its lines from those of the paper's crystal."""
    splitting_mev: float
    """Fine-structure splitting."""

    def apply(self, sample: Sample) -> Sample:
        """Give the parameters of the bench with this crystal's own.

        Parameters
        ----------
        sample
            Parameters of the bench: those of the paper's crystal.
        """
        shift = self.energy_mev
        absorption, emission = sample.absorption, sample.emission
        lasing, polarization = sample.lasing, sample.polarization
        return sample.model_copy(
            update={
                "absorption": absorption.model_copy(
                    update={"exciton": absorption.exciton + shift}
                ),
                "emission": emission.model_copy(
                    update={
                        "line_low": emission.line_low + shift,
                        "spe_center": emission.spe_center + shift,
                        "splitting": self.splitting_mev,
                    }
                ),
                "lasing": lasing.model_copy(
                    update={"threshold_495": lasing.threshold_495 * self.threshold}
                ),
                "polarization": polarization.model_copy(update={"axis": self.axis_deg}),
            }
        )


class Sighted(NamedTuple):
    """One crystal that the focus meets."""

    number: int
    """Its place in the map."""
    crystal: Crystal
    pump: float
    """Share of the pump's intensity that reaches it."""
    collection: float
    """Share of its emission that is collected."""


def draw_crystals(sample: Sample, seed: int) -> list[MappedCrystal]:
    """Draw the map: the paper's crystal first, then the others around it.

    Parameters
    ----------
    sample
        Parameters of the bench.
    seed
        Seed of the bench; the same one draws the same map.
    """
    spread, centre = sample.map, sample.spot.crystal
    rng = stream(seed, "sample map", 0)
    crystals = [
        MappedCrystal(
            position_um=centre,
            brightness=1.0,
            threshold=1.0,
            axis_deg=sample.polarization.axis % HALF_TURN,
            energy_mev=0.0,
            splitting_mev=sample.emission.splitting,
        )
    ]
    while len(crystals) < spread.number:
        x, y = rng.uniform(0.0, spread.width, 2).tolist()
        brightness, threshold, energy, splitting = rng.standard_normal(4).tolist()
        axis = float(rng.uniform(0.0, HALF_TURN))
        if np.hypot(x - centre[0], y - centre[1]) < spread.clear:
            continue
        crystals.append(
            MappedCrystal(
                position_um=(x, y, centre[2]),
                brightness=float(np.exp(spread.brightness * brightness)),
                threshold=float(np.exp(spread.threshold * threshold)),
                axis_deg=axis,
                energy_mev=spread.energy * energy,
                splitting_mev=max(
                    sample.emission.splitting + spread.splitting * splitting, 0.0
                ),
            )
        )
    return crystals


class SampleMap:
    """The crystals of the sample, and which of them the focus meets.

    Parameters
    ----------
    sample
        Parameters of the bench.
    seed
        Seed of the bench.
    """

    def __init__(self, sample: Sample, seed: int) -> None:
        self._sample = sample
        self.places = draw_crystals(sample, seed)
        """What is different about each; the paper's is the first."""
        self._positions = np.array([place.position_um for place in self.places])
        self._crystals: dict[int, Crystal] = {}

    def truth(self) -> list[dict[str, Any]]:
        """Give all crystals, ready for JSON."""
        return [asdict(place) for place in self.places]

    def crystal(self, number: int) -> Crystal:
        """Give one crystal.

        Parameters
        ----------
        number
            Its place in the map, from 0.
        """
        if number not in self._crystals:
            place = self.places[number]
            self._crystals[number] = Crystal(
                place.apply(self._sample), brightness=place.brightness
            )
        return self._crystals[number]

    def under(self, focus_um: tuple[float, float, float]) -> list[Sighted]:
        """Give the crystals that the focus meets, and how well.

        Parameters
        ----------
        focus_um
            The focus on the sample's axes x, y, z.

        Returns
        -------
        :
            Those whose light matters, in the order of the map.
        """
        pump, collection = overlaps(focus_um - self._positions, self._sample.spot)
        seen = np.flatnonzero(pump * collection > NEGLIGIBLE).tolist()
        return [
            Sighted(n, self.crystal(n), float(pump[n]), float(collection[n]))
            for n in seen
        ]
