"""Photoluminescence excitation: the curve, and the energy of its maximum.

A continuum above the exciton pulls the maximum of the curve from the centre of the
line. The maximum does not depend on how the curve is divided into line and continuum,
so it is the peak that is quoted; the centre is given beside it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np

from triplet_bluesky.analysis.frames import BoolArray
from triplet_bluesky.analysis.lineshape import FWHM_PER_SIGMA
from triplet_bluesky.analysis.ple_form import PARAMETERS, excitation, maximum
from triplet_bluesky.analysis.ple_model import ExcitationFit, fit_excitation
from triplet_bluesky.errors import FitError
from triplet_bluesky.units import FloatArray, Medium, air_to_vacuum_nm, bandwidth_mev
from triplet_bluesky.units import energy_mev as photon_energy_mev

__all__ = ["PEAK_DEFINITION", "PLEAssessment", "PLECurve", "PLEFit", "fit_ple"]

PEAK_DEFINITION = (
    "energy of the maximum of the fitted excitation curve (signal per pump photon), "
    "continuum included, pump bandwidth not removed; its sigma is statistical and, in "
    "quadrature, the spread of the maximum over other forms and windows"
)
"""What `PLEFit.peak_mev` is."""
MIN_POINTS = 8
"""Usable points from which a fit is tried: eight parameters, three held loosely."""
LEAST_SHARE = 0.1
"""Share of the greatest value below which points on the low-energy side are left out:
there a laser nears its threshold, which bends the curve as no offset does."""
MODEL_FLOOR_MEV = 0.03
"""Least model sigma, in meV: the error that remains in noiseless curves of simulated
crystals whose other forms happen to agree (see ``docs/explanations/fits.md``)."""
MODEL_DEPENDENT = 0.02
"""Model sigma, as a share of the line's full width, from which no form is trusted."""
FLANK_SHARE = 0.5
"""Share of the greatest value that the low-energy flank must fall below to be seen."""
FLANK_FLOOR = 0.01
"""Least model sigma where that flank is not seen, as a share of the line's full width:
a saturated curve then cannot be told from a wide line."""
OFFSETS = (-0.35, 0.15)
"""Offsets, as shares of the greatest value, beyond which the form is not the curve's: a
threshold takes up to a third off; what adds a pedestal saturates."""
POOR_MISFIT = 25.0
"""Chi2 over dof from which the form does not describe the points."""
ARRAYS = ("energy_mev", "signal", "signal_sigma", "photons", "photons_sigma", "mask")
"""Fields of a curve that are arrays."""
PEAK_CHI2 = 25.0
"""Chi2 that the line must save over a curve without it, as for a line of a spectrum."""


class PLEAssessment(StrEnum):
    """Whether the peak of an excitation curve can be quoted, and if not, why."""

    OK = "ok"
    """The maximum lies between points and has a sigma."""
    TOO_FEW_POINTS = "too_few_points"
    """Fewer usable points than the curve needs. No numbers."""
    NO_PEAK = "no_peak"
    """The points are as well described without a line. No peak."""
    PEAK_NEAR_EDGE = "peak_near_edge"
    """No point lies beyond the maximum on one side: it is extrapolated."""
    MODEL_DEPENDENT = "model_dependent"
    """The maximum is the form's rather than the points': other forms have another one
    or none, or the curve stands on an offset that no threshold makes."""
    POOR_FIT = "poor_fit"
    """The points leave the curve by more than five times their sigmas."""
    NOT_CONVERGED = "not_converged"
    """The fit was still improving."""
    NON_FINITE = "non_finite"
    """No point has a finite signal, sigma and photon number. No numbers."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PLECurve:
    """Signals at photon energies of the pump; all arrays of one shape (n,)."""

    energy_mev: FloatArray
    """Photon energy of the pump, in meV."""
    signal: FloatArray
    """Emission, in any unit; may be negative."""
    signal_sigma: FloatArray
    """Standard deviation of the signal."""
    photons: FloatArray
    """Pump photons, per pulse or in any other unit."""
    photons_sigma: FloatArray | None = None
    """Standard deviation of the photons from point to point; what is common to all
    points, as a calibration, does not belong here. None for nothing."""
    mask: BoolArray | None = None
    """Points to use, False where the pump masks the emission; None for all."""
    pump_fwhm_mev: float = np.nan
    """Full width at half maximum of the pump, in meV."""

    def __post_init__(self) -> None:
        """Take lists too; refuse arrays of different shapes."""
        shapes = set()
        for name in ARRAYS:
            given = getattr(self, name)
            if given is not None:
                array = np.asarray(given, dtype=bool if name == "mask" else float)
                object.__setattr__(self, name, array)
                shapes.add(array.shape)
        if len(shapes) != 1 or len(next(iter(shapes))) != 1:
            msg = (
                f"a PLE curve got arrays of shapes {sorted(shapes)}: give one value of "
                f"each for every pump wavelength"
            )
            raise FitError(msg)

    @classmethod
    def from_wavelengths(  # noqa: PLR0913 - one argument for each field
        cls,
        wavelength_nm: FloatArray,
        signal: FloatArray,
        signal_sigma: FloatArray,
        photons: FloatArray,
        *,
        photons_sigma: FloatArray | None = None,
        mask: BoolArray | None = None,
        bandwidth_nm: float = np.nan,
        medium: Medium = Medium.VACUUM,
    ) -> Self:
        """Make a curve from pump wavelengths.

        Parameters
        ----------
        wavelength_nm
            Centre of the pump, in nm, in ``medium``; shape (n,).
        signal, signal_sigma, photons, photons_sigma, mask
            As the fields of the same name.
        bandwidth_nm
            Full width at half maximum of the pump, in nm.
        medium
            The medium in which the wavelengths are stated.

        Returns
        -------
        :
            The curve.
        """
        nm = np.asarray(wavelength_nm, dtype=float)
        vacuum_nm = air_to_vacuum_nm(nm) if medium is Medium.AIR else nm
        finite = vacuum_nm[np.isfinite(vacuum_nm)]
        middle = float(np.median(finite)) if finite.size else np.nan
        return cls(
            energy_mev=photon_energy_mev(vacuum_nm),
            signal=signal,
            signal_sigma=signal_sigma,
            photons=photons,
            photons_sigma=photons_sigma,
            mask=mask,
            pump_fwhm_mev=bandwidth_mev(middle, bandwidth_nm),
        )

    @property
    def value(self) -> FloatArray:
        """Signal per photon; nan where there are no photons."""
        photons = np.where(self.photons > 0, self.photons, np.nan)
        return self.signal / photons

    @property
    def sigma(self) -> FloatArray:
        """Standard deviation of `value`: of the signal and of the photons."""
        photons = np.where(self.photons > 0, self.photons, np.nan)
        dose = 0.0 if self.photons_sigma is None else self.photons_sigma / photons
        return np.hypot(self.signal_sigma / photons, self.value * dose)

    @property
    def usable(self) -> BoolArray:
        """Points that are finite, with a sigma above zero, and not masked."""
        finite = np.isfinite(self.energy_mev) & np.isfinite(self.value)
        finite &= (self.signal_sigma >= 0) & (self.sigma > 0) & np.isfinite(self.sigma)
        return finite if self.mask is None else finite & self.mask


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PLEFit:
    """An excitation curve fitted; nan where the fit has no such number."""

    assessment: PLEAssessment
    """Whether the peak can be quoted, and if not, why."""
    used: BoolArray
    """Which points were fitted; shape (n,)."""
    peak_mev: float = np.nan
    """Energy of the maximum of the fitted curve, in meV; see `definition`."""
    peak_sigma_mev: float = np.nan
    """Standard deviation of the peak, in meV: both of the next two, in quadrature."""
    peak_stat_sigma_mev: float = np.nan
    """Its statistical part, in meV, by the delta method; see `errors_scaled`."""
    peak_model_sigma_mev: float = np.nan
    """Its part from the choice of the form, in meV: the standard deviation of the
    maxima that other forms and windows have, with a floor."""
    center_mev: float = np.nan
    """Centre of the exciton line alone, in meV: it depends on the continuum's form."""
    center_sigma_mev: float = np.nan
    """Standard deviation of the centre, in meV: statistical only."""
    fwhm_mev: float = np.nan
    """Full width at half maximum of the exciton line, pump included, in meV."""
    fwhm_sigma_mev: float = np.nan
    """Standard deviation of the width, in meV: statistical only."""
    pump_fwhm_mev: float = np.nan
    """Full width at half maximum of the pump, in meV."""
    definition: str = PEAK_DEFINITION
    """What the peak is."""
    chi2: float = np.nan
    """Squared residuals of the points, in their stated sigmas."""
    dof: float = np.nan
    """Degrees of freedom; not whole, since three parameters are held loosely."""
    error_scale: float = np.nan
    """Square root of chi2 over dof where that is above one, else one."""
    errors_scaled: bool = False
    """Whether the statistical sigmas and the covariance contain `error_scale`."""
    names: tuple[str, ...] = ()
    """Names of the parameters, units included."""
    parameters: FloatArray | None = None
    """Parameters of the curve."""
    covariance: FloatArray | None = None
    """Covariance of the parameters."""

    @property
    def ok(self) -> bool:
        """Whether the peak can be quoted."""
        return self.assessment is PLEAssessment.OK

    @property
    def peak_ev(self) -> float:
        """Energy of the maximum of the fitted curve, in eV."""
        return self.peak_mev / 1e3

    @property
    def intrinsic_fwhm_mev(self) -> float:
        """Width of the line without the pump's, subtracted in quadrature, in meV."""
        square = self.fwhm_mev**2 - self.pump_fwhm_mev**2
        return float(np.sqrt(np.maximum(square, 0.0)))

    def model(self, energy_mev: FloatArray) -> FloatArray:
        """Evaluate the fitted curve.

        Parameters
        ----------
        energy_mev
            Photon energies of the pump, in meV.

        Returns
        -------
        :
            Signal per photon; nan for a fit without numbers.
        """
        if self.parameters is None:
            return np.full(np.shape(energy_mev), np.nan)
        return excitation(np.asarray(energy_mev, dtype=float), self.parameters)

    def summary(self) -> dict[str, float | str]:
        """Give the numbers as one flat dictionary of the same keys for every fit."""
        return {
            "assessment": str(self.assessment),
            "definition": self.definition,
            "ple_peak_mev": self.peak_mev,
            "ple_peak_sigma_mev": self.peak_sigma_mev,
            "ple_peak_stat_sigma_mev": self.peak_stat_sigma_mev,
            "ple_peak_model_sigma_mev": self.peak_model_sigma_mev,
            "ple_center_mev": self.center_mev,
            "ple_center_sigma_mev": self.center_sigma_mev,
            "ple_fwhm_mev": self.fwhm_mev,
            "ple_fwhm_sigma_mev": self.fwhm_sigma_mev,
            "pump_fwhm_mev": self.pump_fwhm_mev,
            "points": int(np.sum(self.used)),
            "chi2": self.chi2,
            "dof": self.dof,
            "error_scale": self.error_scale,
            "errors_scaled": str(self.errors_scaled).lower(),
        }


def fit_ple(curve: PLECurve, *, scale_errors: bool = False) -> PLEFit:
    """Find the peak of an excitation curve.

    Signals are taken per photon, which is right where they are nearly proportional to
    the dose; keep the photons the same at all energies when they are not.

    Parameters
    ----------
    curve
        The points.
    scale_errors
        Widen the statistical sigmas by `PLEFit.error_scale`, when the points scatter by
        more than their stated sigmas; said in the result.

    Returns
    -------
    :
        The fit, with an assessment; bad data never raise.
    """
    used = curve.usable
    used[used] = _above_threshold(curve, used)
    if not np.any(used):
        masked = curve.mask is not None and not np.any(curve.mask)
        reason = PLEAssessment.TOO_FEW_POINTS if masked else PLEAssessment.NON_FINITE
        return PLEFit(assessment=reason, used=used, pump_fwhm_mev=curve.pump_fwhm_mev)
    energy = curve.energy_mev[used]
    if np.unique(energy).size < MIN_POINTS or not np.any(curve.value[used]):
        return PLEFit(
            assessment=PLEAssessment.TOO_FEW_POINTS,
            used=used,
            pump_fwhm_mev=curve.pump_fwhm_mev,
        )
    fit = fit_excitation(energy, curve.value[used], curve.sigma[used])
    return _result(curve, used, fit, scale_errors=scale_errors)


def _above_threshold(curve: PLECurve, used: BoolArray) -> BoolArray:
    """Say which usable points lie above the last dim one on the low-energy side."""
    energy, value = curve.energy_mev[used], curve.value[used]
    if energy.size == 0:
        return np.ones(0, dtype=bool)
    top = int(np.argmax(value - curve.sigma[used]))
    dim = (value < LEAST_SHARE * value[top]) & (energy < energy[top])
    return energy > np.max(energy, where=dim, initial=-np.inf)


def _model_sigma(
    fit: ExcitationFit, peak: float, energy: FloatArray, value: FloatArray
) -> float:
    """Give the part of the peak's sigma that is due to the form."""
    others = fit.others_mev[np.isfinite(fit.others_mev)]
    if others.size == 0:
        return np.nan
    spread = float(np.sqrt(np.sum((others - peak) ** 2) / max(others.size - 1, 1)))
    low = np.min(value, where=energy < peak, initial=np.inf)
    if low < FLANK_SHARE * np.max(value):
        return max(spread, MODEL_FLOOR_MEV)
    return float(np.hypot(spread, FLANK_FLOOR * FWHM_PER_SIGMA * fit.parameters[2]))


def _result(
    curve: PLECurve, used: BoolArray, fit: ExcitationFit, *, scale_errors: bool
) -> PLEFit:
    """Gather the numbers of a fit, the peak only if there is one."""
    misfit = max(fit.chi2 / max(fit.dof, 1e-3), 1.0)
    scale = float(np.sqrt(misfit))
    covariance = fit.covariance * (misfit if scale_errors else 1.0)
    peak, sigma = maximum(fit.parameters, covariance)
    energy, value = curve.energy_mev[used], curve.value[used]
    model_sigma = _model_sigma(fit, peak, energy, value)
    assessment = _assess(fit, peak, energy, misfit)
    if assessment is PLEAssessment.OK and _depends(fit, model_sigma, value):
        assessment = PLEAssessment.MODEL_DEPENDENT
    line = assessment is not PLEAssessment.NO_PEAK
    sigmas = np.sqrt(np.diag(covariance))
    return PLEFit(
        assessment=assessment,
        used=used,
        peak_mev=peak if line else np.nan,
        peak_sigma_mev=float(np.hypot(sigma, model_sigma)) if line else np.nan,
        peak_stat_sigma_mev=sigma if line else np.nan,
        peak_model_sigma_mev=model_sigma if line else np.nan,
        center_mev=float(fit.parameters[1]) if line else np.nan,
        center_sigma_mev=float(sigmas[1]) if line else np.nan,
        fwhm_mev=FWHM_PER_SIGMA * float(fit.parameters[2]) if line else np.nan,
        fwhm_sigma_mev=FWHM_PER_SIGMA * float(sigmas[2]) if line else np.nan,
        pump_fwhm_mev=curve.pump_fwhm_mev,
        chi2=fit.chi2,
        dof=fit.dof,
        error_scale=scale,
        errors_scaled=scale_errors,
        names=PARAMETERS,
        parameters=fit.parameters,
        covariance=covariance,
    )


def _depends(fit: ExcitationFit, model_sigma: float, value: FloatArray) -> bool:
    """Say whether the maximum is one of the form rather than one of the points."""
    width = FWHM_PER_SIGMA * float(fit.parameters[2])
    steady = np.isfinite(fit.others_mev).all() and model_sigma < MODEL_DEPENDENT * width
    low, high = OFFSETS
    return not (steady and low < fit.parameters[7] / np.max(value) < high)


def _assess(
    fit: ExcitationFit, peak: float, energy: FloatArray, misfit: float
) -> PLEAssessment:
    """Say whether the peak can be quoted."""
    if fit.saved < PEAK_CHI2 * misfit or fit.at_limit or not np.isfinite(peak):
        return PLEAssessment.NO_PEAK
    if not fit.converged:
        return PLEAssessment.NOT_CONVERGED
    if misfit > POOR_MISFIT:
        return PLEAssessment.POOR_FIT
    if not np.min(energy) < peak < np.max(energy):
        return PLEAssessment.PEAK_NEAR_EDGE
    return PLEAssessment.OK
