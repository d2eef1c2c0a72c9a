"""How many components a spectrum carries: fits of rising size while each earns it."""

from dataclasses import dataclass, replace

import numpy as np

from triplet_bluesky.analysis.frames import BoolArray
from triplet_bluesky.analysis.scoring import TOLERANCE, Score, score
from triplet_bluesky.analysis.seeds import (
    band_seed,
    best_pair,
    fill,
    line_candidates,
    linear_amplitudes,
)
from triplet_bluesky.analysis.spectrum_model import SpectrumModel
from triplet_bluesky.units import FloatArray

__all__ = ["Counts", "Limits", "Stage", "Stages"]

PUMP_SHIFT_NM = 0.5
"""Most that the pump line may be beside its stated wavelength, in nm."""
PUMP_MOVES_SIGMAS = 8.0
"""Strength of the pump line from which its place is fitted too, in sigmas."""
PUMP_FREE = 0.02
"""Share of the pump's maximum below which a pixel is beside the pump line."""
COARSE = 1.0
"""Tolerance, in deviance, of the fits that only choose the model."""
ROUGH_SHARE = 0.02
"""Tolerance of the first of them, as a share of the misfit at the start."""
HOPELESS = 30.0
"""Deviance for each pixel above which a model is wrong whatever its parameters."""
BRIGHT_REACH = 25.0
"""Reach of the search for bright lines around the highest pixel, in instrument
widths: some 18 meV for 0.7."""
BRIGHT_WIDTHS = (1.0, 1.3, 1.7, 2.3, 3.2)
"""Widths of the lines that it tries, in instrument widths."""
PAIR_REACH = 1.5
"""Distance from a fitted line, in its widths, in which it may hide two."""
PAIR_WIDTHS = (0.25, 0.4, 0.6, 0.9)
"""Widths of the two, as shares of the width of the one that was fitted."""
MIN_PAIR_PIXELS = 6
"""Pixels that it takes to tell two lines."""
NEGATIVE = -1e-9
"""Least area, in e-, that a start may have: amplitudes are linear, areas are not."""

Values = dict[str, float]
Lines = list[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counts:
    """One spectrum as the fits see it; all arrays of shape (n,)."""

    counts: FloatArray
    """Photo-electrons; zero where there is no data."""
    variance: FloatArray
    """Variance beside the counting noise, in e-^2."""
    good: BoolArray
    """Which pixels have data."""
    weight: FloatArray
    """Share of the exposure of each pixel."""
    energy_mev: FloatArray
    """Photon energy at the centres of the pixels."""
    resolution_px: float
    """Instrument's full width at half maximum, in pixels."""
    pixel_mev: float
    """Width of a pixel in the middle of the window."""

    @property
    def filled(self) -> FloatArray:
        """Photo-electrons for the whole exposure, gaps bridged."""
        return fill(self.counts / self.weight, self.good)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the components may be."""

    max_lines: int
    """Most lines to look for."""
    likelihood_ratio: float
    """Deviance that a component must save."""
    window_mev: tuple[float, float]
    """Lowest and highest energy of a centre."""
    spe_fwhm_mev: tuple[float, float]
    """Least and greatest width of the band."""
    line_fwhm_mev: tuple[float, float]
    """Least and greatest width of a line."""

    def bounds(self, names: tuple[str, ...]) -> tuple[FloatArray, FloatArray]:
        """Give the lowest and the highest values of parameters.

        Parameters
        ----------
        names
            Names of the parameters.
        """
        centres = ("spe_center_mev", "line1_center_mev", "line2_center_mev")
        areas = ("spe_area_e", "line1_area_e", "line2_area_e")
        pairs = (
            dict.fromkeys(centres, self.window_mev)
            | dict.fromkeys(areas, (0.0, np.inf))
            | {
                "spe_fwhm_mev": self.spe_fwhm_mev,
                "line_fwhm_mev": self.line_fwhm_mev,
                "pump_shift_nm": (-PUMP_SHIFT_NM, PUMP_SHIFT_NM),
            }
        )
        chosen = np.array([pairs.get(name, (-np.inf, np.inf)) for name in names])
        return chosen[:, 0], chosen[:, 1]


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A model with its fit."""

    model: SpectrumModel
    score: Score

    @property
    def values(self) -> Values:
        """Parameters by their names."""
        return dict(zip(self.model.names, self.score.parameters.tolist(), strict=True))

    def sigma(self, name: str) -> float:
        """Give the standard deviation of a parameter; nan at a limit.

        Parameters
        ----------
        name
            Name of the parameter.
        """
        at = self.model.names.index(name)
        return float(np.sqrt(self.score.covariance[at, at]))


class Stages:
    """The fits of one spectrum.

    Parameters
    ----------
    counts
        The spectrum.
    base
        Model of background and pump line on its pixels.
    limits
        What the components may be.
    """

    def __init__(self, counts: Counts, base: SpectrumModel, limits: Limits) -> None:
        self.counts, self.base, self.limits = counts, base, limits
        self._noise2 = np.where(
            counts.good,
            np.maximum(counts.counts, 0) + np.maximum(counts.variance, 1),
            np.inf,
        )
        self._all_good = bool(np.all(counts.good))
        self.seed = self._seed()

    def select(self) -> Stage:
        """Add band and lines while each earns its place.

        Returns
        -------
        :
            The last fit that did; without a band if there is no emission at all.
        """
        null = self._try(self.base, *self._start(self.base, {}))
        stage = self._grown(null)
        if self._hopeless(stage):
            stage = min(stage, *self._bright(), key=lambda each: each.score.deviance)
        return self.fit(stage.model, stage.values)

    def _grown(self, null: Stage) -> Stage:
        """Add the band, then lines, while each earns its place."""
        model = replace(self.base, band=True)
        stage = self._try(model, *self._start(model, self.seed))
        if not self._earns(null, stage):
            return null
        for number in range(1, self.limits.max_lines + 1):
            trial = self._with_lines(stage, number)
            if not self._earns(stage, trial):
                break
            stage = trial
        return stage

    def _bright(self) -> list[Stage]:
        """Fit band and lines at once, for lines so bright that they hide the band."""
        values = self.counts.filled
        top = int(np.argmax(values))
        reach = int(BRIGHT_REACH * self.counts.resolution_px)
        inside = np.arange(max(top - reach, 0), min(top + reach + 1, values.size))
        residual = values[inside] - np.min(values[inside])
        energy = self.counts.energy_mev[inside]
        starts: dict[int, list[Values]] = {1: [], 2: []}
        for width in BRIGHT_WIDTHS:
            width_px = width * self.counts.resolution_px
            shape = {"line_fwhm_mev": width_px * self.counts.pixel_mev} | self.seed
            starts[1].append(shape | {"line1_center_mev": self.counts.energy_mev[top]})
            pair = best_pair(residual, self._noise2[inside], width_px, width_px / 5)
            if pair is not None:
                at = np.interp(pair, np.arange(inside.size), energy)
                names = ("line1_center_mev", "line2_center_mev")
                starts[2].append(shape | dict(zip(names, at.tolist(), strict=True)))
        stages = []
        for number in range(1, min(self.limits.max_lines, 2) + 1):
            model = replace(self.base, band=True, lines=number)
            tries = [self._start(model, shapes) for shapes in starts[number]]
            if tries:
                best = min(range(len(tries)), key=lambda at: tries[at][1])
                start, _ = tries[best]
                stages.append(self._try(model, start, np.inf))
        return stages

    def fit(
        self, model: SpectrumModel, start: Values, tolerance: float = TOLERANCE
    ) -> Stage:
        """Fit one model.

        Parameters
        ----------
        model
            The model.
        start
            Starting values by name; what is missing starts at zero.
        tolerance
            Deviance below which a step counts as no gain.
        """
        data, good = self.counts, self.counts.good

        def masked(p: FloatArray) -> tuple[FloatArray, FloatArray]:
            mean, jacobian = model(p)
            return (
                (mean, jacobian) if self._all_good else (mean[good], jacobian[:, good])
            )

        result = score(
            data.counts[good],
            masked,
            np.array([start.get(name, 0.0) for name in model.names]),
            variance=data.variance[good],
            bounds=self.limits.bounds(model.names),
            tolerance=tolerance,
        )
        return Stage(model, result)

    def _try(self, model: SpectrumModel, start: Values, chi2: float) -> Stage:
        """Fit well enough to choose by; a strong pump line may find its place."""
        rough = ROUGH_SHARE * chi2 if np.isfinite(chi2) else COARSE
        stage = self.fit(model, start, rough)
        if self._hopeless(stage):
            return stage
        stage = self.fit(model, stage.values, COARSE)
        if not model.pump or model.pump_moves:
            return stage
        area = stage.values["pump_area_e"]
        if not area > PUMP_MOVES_SIGMAS * stage.sigma("pump_area_e"):
            return stage
        return self.fit(replace(model, pump_moves=True), stage.values, COARSE)

    def _earns(self, before: Stage, after: Stage) -> bool:
        """Whether a component saves enough, in units of the misfit that stays."""
        freedom = after.score.mean.size - len(after.model.names)
        misfit = min(max(1.0, after.score.deviance / freedom), HOPELESS)
        saved = before.score.deviance - after.score.deviance
        return saved > self.limits.likelihood_ratio * misfit

    def _hopeless(self, stage: Stage) -> bool:
        """Whether a model is too wrong for its fit to be worth an end."""
        return stage.score.deviance > HOPELESS * stage.score.mean.size

    def _seed(self) -> Values:
        """Guess the band from the counts beside the pump line."""
        values = self.counts.filled
        share = self.base.pump_share()
        beside = share <= PUMP_FREE * np.max(share)
        values = fill(values, beside) if np.any(beside) else values
        band = band_seed(values, self.counts.energy_mev, self.counts.resolution_px)
        least, most = self.limits.spe_fwhm_mev
        width = min(max(band.fwhm_mev, 1.2 * least), 0.8 * most)
        return {"spe_center_mev": band.centre_mev, "spe_fwhm_mev": width}

    def _start(self, model: SpectrumModel, shapes: Values) -> tuple[Values, float]:
        """Complete shapes by their linear amplitudes; give these with their chi2."""
        columns = {"background_e": np.ones_like(self.counts.counts)}
        if model.band:
            columns["spe_area_e"] = model.share(
                shapes["spe_center_mev"], shapes["spe_fwhm_mev"]
            )
        for number in range(1, model.lines + 1):
            columns[f"line{number}_area_e"] = model.share(
                shapes[f"line{number}_center_mev"], shapes["line_fwhm_mev"]
            )
        if model.pump:
            columns["pump_area_e"] = model.pump_share(shapes.get("pump_shift_nm", 0.0))
        matrix = np.array(list(columns.values())) * self.counts.weight
        solved, chi2 = linear_amplitudes(matrix, self.counts.counts, self._noise2)
        found = dict(zip(columns, solved.tolist(), strict=True))
        areas = {
            name: value
            for name, value in found.items()
            if "spe" in name or "line" in name
        }
        if any(value < NEGATIVE for value in areas.values()):
            chi2 = np.inf
        positive = {name: max(value, 1.0) for name, value in areas.items()}
        return shapes | found | positive, chi2

    def _with_lines(self, stage: Stage, number: int) -> Stage:
        """Fit one line more than the stage has, from the best of several starts."""
        model = replace(stage.model, lines=number)
        starts = [
            self._start(model, shapes) for shapes in self._line_starts(stage, number)
        ]
        best = min(range(len(starts)), key=lambda at: starts[at][1])
        return self._try(model, *starts[best])

    def _line_starts(self, stage: Stage, number: int) -> list[Values]:
        """List shapes to start from; whichever line is the stronger may come first."""
        fitted = stage.values
        smooth = replace(stage.model, lines=0)
        guess, _ = self._start(smooth, fitted | self.seed)
        width = fitted.get("line_fwhm_mev", 0.0)
        old = [(fitted[f"line{n}_center_mev"], width) for n in range(1, number)]
        beside = self._candidates(stage.model, fitted, 1)
        tries: list[tuple[Values, Lines]] = [
            (fitted, old + [(centre, width or own) for centre, own in beside]),
            (guess, self._candidates(smooth, guess, number)),
        ]
        for centre, _ in old:
            tries += [(fitted, pair) for pair in self._pairs(stage, centre, width)]
        least, most = self.limits.line_fwhm_mev
        starts = []
        for base, lines in tries:
            fwhm = min(max(min(w for _, w in lines), 1.05 * least), 0.9 * most)
            centres = {f"line{n}_center_mev": c for n, (c, _) in enumerate(lines, 1)}
            starts.append(base | centres | {"line_fwhm_mev": fwhm})
        return starts

    def _pairs(self, stage: Stage, centre_mev: float, fwhm_mev: float) -> list[Lines]:
        """List pairs of lines that one fitted line may stand for."""
        data = self.counts
        broad = replace(stage.model, lines=0)
        values = stage.values
        mean, _ = broad(np.array([values.get(name, 0.0) for name in broad.names]))
        reach = PAIR_REACH * fwhm_mev + data.resolution_px * data.pixel_mev
        inside = np.flatnonzero(np.abs(data.energy_mev - centre_mev) <= reach)
        if inside.size < MIN_PAIR_PIXELS:
            return []
        residual = np.where(data.good, data.counts - mean, 0.0)[inside]
        pairs = []
        for share in PAIR_WIDTHS:
            width_px = max(share * fwhm_mev / data.pixel_mev, data.resolution_px)
            found = best_pair(
                residual, self._noise2[inside], width_px, data.resolution_px / 4
            )
            if found is not None:
                at = np.interp(found, np.arange(inside.size), data.energy_mev[inside])
                pairs.append([(float(c), width_px * data.pixel_mev) for c in at])
        return pairs

    def _candidates(self, model: SpectrumModel, values: Values, number: int) -> Lines:
        """Give centre and width, in meV, of what stands out of a model."""
        data = self.counts
        mean, _ = model(np.array([values.get(name, 0.0) for name in model.names]))
        residual = np.where(data.good, data.counts - mean, 0.0)
        noise2 = np.maximum(mean, 1.0) + data.variance
        found = line_candidates(residual, noise2, data.resolution_px, number)
        return [
            (float(data.energy_mev[at]), width * data.pixel_mev) for at, width in found
        ]
