"""Emission spectra taken apart: SPE band, SE lines and pump line."""

from dataclasses import dataclass, replace

import numpy as np

from triplet_bluesky.analysis.frames import Spectrum
from triplet_bluesky.analysis.lineshape import pixel_edges_ev
from triplet_bluesky.analysis.scoring import expected_deviance, goodness_of_fit
from triplet_bluesky.analysis.spectrum_model import SpectrumModel
from triplet_bluesky.analysis.spectrum_result import (
    Line,
    SEEstimate,
    SpectrumAssessment,
    SpectrumFit,
)
from triplet_bluesky.analysis.stages import Counts, Limits, Stage, Stages
from triplet_bluesky.errors import FitError
from triplet_bluesky.units import (
    FloatArray,
    Medium,
    bandwidth_mev,
    energy_mev,
    wavelength_nm,
)

__all__ = ["PumpLine", "SpectrumOptions", "fit_spectrum"]

MEV_PER_EV = 1e3
MIN_PIXELS = 40
"""Usable pixels below which a fit of up to eleven parameters is not tried."""
LEAST_LINE = 0.9
"""Least width of a line, in instrument widths: the instrument's is known to 10 %."""
NARROW_LINE = 1.5
"""Width of the line that the detection limit is stated for, in instrument widths."""
POOR_DEVIANCE = 10.0
"""Deviance for each pixel from which a model does not describe the counts."""
PUMP_REACH = 1.5
"""Distance of the pump from the window, in its widths, at which it still shows."""
PUMP_SHARE = 0.5
"""Pump light under the lines, over their own, from which SE is not to be quoted."""
SE_NAMES = frozenset(
    {"line_fwhm_mev", "se_area_e"}
    | {f"line{n}_{what}" for n in (1, 2) for what in ("center_mev", "area_e")}
)
"""Parameters of the stimulated emission."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpLine:
    """The pump light as the filter reports it."""

    wavelength_nm: float
    """Centre, in nm (vacuum)."""
    fwhm_nm: float
    """Full width at half maximum, in nm, without the instrument's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumOptions:
    """What a decomposition assumes; no value of it is a result of the sample."""

    resolution_nm: float = 0.159
    """Instrument's full width at half maximum, in nm; the spectrometer reports it."""
    medium: Medium = Medium.VACUUM
    """The medium of the pixels' wavelengths."""
    max_lines: int = 2
    """Most stimulated lines to look for."""
    likelihood_ratio: float = 25.0
    """Deviance that a line must save; noise alone did so in none of 1500 spectra."""
    spe_fwhm_mev: tuple[float, float] = (7.0, 100.0)
    """Least and greatest width of the spontaneous band, in meV."""
    line_fwhm_mev: float = 5.0
    """Greatest width of a stimulated line, in meV; the least is the instrument's."""


def fit_spectrum(
    spectrum: Spectrum,
    wavelengths_nm: FloatArray,
    *,
    pump: PumpLine | None = None,
    reference: SpectrumFit | None = None,
    options: SpectrumOptions | None = None,
) -> SpectrumFit:
    """Decompose an emission spectrum at the Poisson limit.

    Lines are added one at a time while each saves more deviance than
    ``options.likelihood_ratio``, times the misfit that stays if the model is coarser
    than the counts. Two lines share their width. All starting values come from the
    counts.

    Parameters
    ----------
    spectrum
        Photo-electrons with their noise, from `reduce_frames`.
    wavelengths_nm
        Wavelength at the centre of each pixel, in nm, in ``options.medium``; (npix,).
    pump
        The pump light; fitted when it is within or near the window.
    reference
        A fit with lines. Where no line is found, SE is the linear amplitude of their
        shape, which has none of the bias of a search for a maximum.
    options
        Assumptions of the model.

    Returns
    -------
    :
        The decomposition, with an assessment.

    Raises
    ------
    FitError
        If there is not one wavelength for each pixel, or they are in disorder.
    """
    options = options or SpectrumOptions()
    wavelengths_nm = np.asarray(wavelengths_nm, dtype=float)
    if wavelengths_nm.shape != spectrum.counts.shape:
        msg = (
            f"fit_spectrum got {spectrum.counts.shape} pixels and "
            f"{wavelengths_nm.shape} wavelengths: give one wavelength for each pixel"
        )
        raise FitError(msg)
    unusable = _unusable(spectrum, wavelengths_nm)
    if unusable is not None:
        return SpectrumFit(assessment=unusable, exposure_s=spectrum.exposure_s)
    stages = _stages(spectrum, wavelengths_nm, pump, options)
    stage = stages.select()
    template = _template(reference)
    if template and not stage.model.lines:
        model = replace(stage.model, template=template)
        stage = stages.fit(model, stage.values)
    return _Result(spectrum, stages, stage, options.resolution_nm).gather(reference)


def _unusable(
    spectrum: Spectrum, wavelengths_nm: FloatArray
) -> SpectrumAssessment | None:
    """Say what keeps a spectrum from being fitted at all."""
    if spectrum.saturated_pixels:
        return SpectrumAssessment.SATURATED
    good = spectrum.mask
    numbers = (
        wavelengths_nm,
        spectrum.exposure_s,
        spectrum.counts[good],
        spectrum.variance[good],
    )
    if not all(np.all(np.isfinite(number)) for number in numbers):
        return SpectrumAssessment.NON_FINITE
    if np.sum(good) < MIN_PIXELS:
        return SpectrumAssessment.TOO_FEW_PIXELS
    return None


def _stages(
    spectrum: Spectrum,
    wavelengths_nm: FloatArray,
    pump: PumpLine | None,
    options: SpectrumOptions,
) -> Stages:
    """Gather what the fits of one spectrum need."""
    edges = MEV_PER_EV * pixel_edges_ev(wavelengths_nm, options.medium)
    good = spectrum.mask
    pixel_nm = float(np.median(np.abs(np.diff(wavelengths_nm))))
    counts = Counts(
        counts=np.where(good, spectrum.counts, 0.0),
        variance=np.where(good, spectrum.variance, 1.0),
        good=good,
        weight=np.where(good, spectrum.weight, 1.0),
        energy_mev=(edges[1:] + edges[:-1]) / 2,
        resolution_px=max(options.resolution_nm / pixel_nm, 1.0),
        pixel_mev=float(np.median(np.abs(np.diff(edges)))),
    )
    window = float(np.min(edges)), float(np.max(edges))
    least = LEAST_LINE * counts.resolution_px * counts.pixel_mev
    limits = Limits(
        max_lines=options.max_lines,
        likelihood_ratio=options.likelihood_ratio,
        window_mev=window,
        spe_fwhm_mev=options.spe_fwhm_mev,
        line_fwhm_mev=(least, max(options.line_fwhm_mev, 2 * least)),
    )
    base = SpectrumModel(
        edges_mev=edges,
        weight=counts.weight if np.any(counts.weight != 1) else 1.0,
        band=False,
        pump=_pump_in_window(pump, window, options.resolution_nm),
    )
    return Stages(counts, base, limits)


def _pump_in_window(
    pump: PumpLine | None, window_mev: tuple[float, float], resolution_nm: float
) -> tuple[float, float] | None:
    """Give wavelength and measured width of the pump, if it can be seen."""
    if pump is None or not np.isfinite(pump.wavelength_nm + pump.fwhm_nm):
        return None
    fwhm_nm = float(np.hypot(pump.fwhm_nm, resolution_nm))
    reach = PUMP_REACH * fwhm_nm
    low = energy_mev(pump.wavelength_nm + reach)
    high = energy_mev(pump.wavelength_nm - reach)
    if high < window_mev[0] or low > window_mev[1]:
        return None
    return pump.wavelength_nm, fwhm_nm


def _template(
    reference: SpectrumFit | None,
) -> tuple[tuple[float, float, float], ...]:
    """Give the lines of a reference with their shares."""
    lines = reference.lines if reference is not None else ()
    total = sum(line.area_e for line in lines)
    return tuple(
        (MEV_PER_EV * line.center_ev, line.fwhm_mev, line.area_e / total)
        for line in lines
    )


class _Result:
    """The last fit of a spectrum, in the units of the result."""

    def __init__(
        self, spectrum: Spectrum, stages: Stages, stage: Stage, resolution_nm: float
    ) -> None:
        self.exposure_s, self.stages, self.stage = spectrum.exposure_s, stages, stage
        self.values = stage.values
        self.band_mev = self.values.get("spe_center_mev", stages.seed["spe_center_mev"])
        band_nm = wavelength_nm(self.band_mev / MEV_PER_EV)
        self.resolution_mev = bandwidth_mev(band_nm, resolution_nm)

    def gather(self, reference: SpectrumFit | None) -> SpectrumFit:
        """Gather the result."""
        score, model = self.stage.score, self.stage.model
        variance = self.stages.counts.variance[self.stages.counts.good]
        expected, deviation = expected_deviance(score.mean, variance)
        fitted = len(model.names) - sum(score.at_limit)
        lines = self.lines()
        se_area, se_sigma, se_source = self.stimulated()
        value, sigma = self.value, self.sigma
        return SpectrumFit(
            assessment=self.assess(lines or (reference.lines if reference else ())),
            exposure_s=self.exposure_s,
            background_e=value("background_e"),
            background_sigma_e=sigma("background_e"),
            spe=self.line("spe_center_mev", "spe_fwhm_mev", "spe_area_e"),
            lines=lines,
            se_area_e=se_area,
            se_area_sigma_e=se_sigma,
            se_source=se_source,
            se_limit_e=self.limit(),
            pump_area_e=value("pump_area_e"),
            pump_area_sigma_e=sigma("pump_area_e"),
            pump_shift_nm=value("pump_shift_nm"),
            pump_shift_sigma_nm=sigma("pump_shift_nm"),
            deviance=score.deviance,
            expected_deviance=expected - fitted,
            z=goodness_of_fit(score.deviance, expected, deviation, fitted),
            resolution_mev=self.resolution_mev,
            names=model.names,
            parameters=score.parameters,
            covariance=score.covariance,
            shape=model,
        )

    def value(self, name: str) -> float:
        """Give a parameter, nan if the model has none of that name."""
        return self.values.get(name, np.nan)

    def sigma(self, name: str) -> float:
        """Give the standard deviation of a parameter, nan if there is none."""
        return self.stage.sigma(name) if name in self.values else np.nan

    def line(self, centre: str, fwhm: str, area: str) -> Line:
        """Give one Gaussian by the names of its parameters."""
        return Line(
            center_ev=self.value(centre) / MEV_PER_EV,
            center_sigma_ev=self.sigma(centre) / MEV_PER_EV,
            fwhm_mev=self.value(fwhm),
            fwhm_sigma_mev=self.sigma(fwhm),
            area_e=self.value(area),
            area_sigma_e=self.sigma(area),
        )

    def lines(self) -> tuple[Line, ...]:
        """Give the stimulated lines, lower energy first."""
        found = [
            self.line(f"line{n}_center_mev", "line_fwhm_mev", f"line{n}_area_e")
            for n in range(1, self.stage.model.lines + 1)
        ]
        return tuple(sorted(found, key=lambda line: line.center_ev))

    def stimulated(self) -> tuple[float, float, SEEstimate]:
        """Sum the stimulated emission, with its sigma and its source."""
        model = self.stage.model
        if model.template:
            area, sigma = self.value("se_area_e"), self.sigma("se_area_e")
            return area, sigma, SEEstimate.REFERENCE
        if not model.lines:
            return np.nan, np.nan, SEEstimate.NONE
        names = [f"line{n}_area_e" for n in range(1, model.lines + 1)]
        at = [model.names.index(name) for name in names]
        variance = np.sum(self.stage.score.covariance[np.ix_(at, at)])
        total = sum(self.values[name] for name in names)
        return total, float(np.sqrt(variance)), SEEstimate.LINES

    def limit(self) -> float:
        """Give the area that a narrow line in the band's middle needs to be found."""
        counts, model = self.stages.counts, self.stage.model
        good = counts.good
        fwhm = NARROW_LINE * self.resolution_mev
        line = (model.share(self.band_mev, fwhm) * counts.weight)[good]
        _, jacobian = model(self.stage.score.parameters)
        others = [n for n, name in enumerate(model.names) if name not in SE_NAMES]
        m = np.maximum(self.stage.score.mean + counts.variance[good], 1e-9)
        columns = np.vstack([jacobian[others][:, good], line])
        columns = columns[np.any(columns != 0, axis=1)]
        norm = np.sqrt(np.sum(columns**2 / m, axis=1))
        unit = columns / norm[:, np.newaxis] / np.sqrt(m)
        information = 1 / np.linalg.pinv(unit @ unit.T, hermitian=True)[-1, -1]
        threshold = self.stages.limits.likelihood_ratio
        return float(np.sqrt(threshold / information) / norm[-1])

    def assess(self, lines: tuple[Line, ...]) -> SpectrumAssessment:
        """Say whether the numbers can be used; ``lines`` tell where SE is expected."""
        score, model = self.stage.score, self.stage.model
        if not model.band:
            return SpectrumAssessment.NO_SIGNAL
        at_limit = np.array(score.at_limit)
        unknown = np.isnan(np.diag(score.covariance)) & ~at_limit
        if not score.converged or np.any(unknown):
            return SpectrumAssessment.NOT_CONVERGED
        if score.deviance > POOR_DEVIANCE * score.mean.size:
            return SpectrumAssessment.POOR_FIT
        if self.pump_masks(lines):
            return SpectrumAssessment.PUMP_MASKS_SE
        if np.any(at_limit):
            return SpectrumAssessment.AT_LIMIT
        return SpectrumAssessment.OK

    def pump_masks(self, lines: tuple[Line, ...]) -> bool:
        """Say whether the pump lies where SE is, and outshines it."""
        model = self.stage.model
        if model.pump is None:
            return False
        wavelength, fwhm_nm = model.pump
        pump_mev = energy_mev(wavelength + self.values.get("pump_shift_nm", 0.0))
        fwhm_mev = bandwidth_mev(wavelength, fwhm_nm)
        centres = [MEV_PER_EV * line.center_ev for line in lines] or [self.band_mev]
        distance = np.abs(np.array(centres) - pump_mev) / fwhm_mev
        if np.min(distance) > 1:
            return False
        if not model.lines:
            return True
        under = 2 ** (-4 * distance**2) * lines[0].fwhm_mev / fwhm_mev
        total = sum(line.area_e for line in lines)
        return bool(np.sum(under) * self.value("pump_area_e") > PUMP_SHARE * total)
