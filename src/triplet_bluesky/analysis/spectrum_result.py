"""What a decomposition of an emission spectrum gives back."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from triplet_bluesky.analysis.spectrum_model import SpectrumModel
from triplet_bluesky.units import FloatArray

__all__ = ["Line", "SEEstimate", "SpectrumAssessment", "SpectrumFit"]

MEV_PER_EV = 1e3


class SpectrumAssessment(StrEnum):
    """Whether a decomposition can be used, and if not, why."""

    OK = "ok"
    """All parameters are free of their limits and have a sigma."""
    NO_SIGNAL = "no_signal"
    """Nothing above the background: only the background and upper limits hold."""
    SATURATED = "saturated"
    """Pixels at the end of the camera's range: expose shorter. No numbers."""
    PUMP_MASKS_SE = "pump_masks_se"
    """The pump line lies on the stimulated lines and is as strong: do not quote SE."""
    NOT_CONVERGED = "not_converged"
    """The likelihood was still rising, or a sigma is missing."""
    AT_LIMIT = "at_limit"
    """A centre or a width ended at a limit of the options: the model does not fit."""
    POOR_FIT = "poor_fit"
    """The counts leave the model by more than three times their noise."""
    TOO_FEW_PIXELS = "too_few_pixels"
    """Fewer usable pixels than the model asks for. No numbers."""
    NON_FINITE = "non_finite"
    """Wavelengths or exposure that are not finite. No numbers."""


class SEEstimate(StrEnum):
    """Where the area of the stimulated emission comes from."""

    LINES = "lines"
    """Sum of the lines found."""
    REFERENCE = "reference"
    """Linear amplitude of the reference's lines, which may be negative."""
    NONE = "none"
    """No line found and no reference given: see the detection limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One Gaussian of the spectrum; nan where the fit has no such number."""

    center_ev: float = np.nan
    """Photon energy of the centre, in eV."""
    center_sigma_ev: float = np.nan
    """Standard deviation of the centre, in eV."""
    fwhm_mev: float = np.nan
    """Full width at half maximum as measured, instrument included, in meV."""
    fwhm_sigma_mev: float = np.nan
    """Standard deviation of the width, in meV; shared lines share it."""
    area_e: float = np.nan
    """Photo-electrons in the line over the whole exposure."""
    area_sigma_e: float = np.nan
    """Standard deviation of the area, in e-."""

    def intrinsic_fwhm_mev(self, resolution_mev: float) -> float:
        """Width without the instrument's, subtracted in quadrature.

        Parameters
        ----------
        resolution_mev
            Full width at half maximum of the instrument, in meV.

        Returns
        -------
        :
            Width of the light itself, in meV; zero if the instrument is as wide.
        """
        return float(np.sqrt(np.maximum(self.fwhm_mev**2 - resolution_mev**2, 0.0)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpectrumFit:
    """An emission spectrum as background, SPE band, SE lines and pump line.

    Areas are in photo-electrons over the whole exposure and sigmas are absolute, from
    the Poisson likelihood; `error_scale` says by how much the misfit would widen them.
    """

    assessment: SpectrumAssessment
    """Whether the numbers can be used, and if not, why."""
    exposure_s: float
    """Total exposure, in s."""
    background_e: float = np.nan
    """Background in each pixel, in e-."""
    background_sigma_e: float = np.nan
    """Standard deviation of the background, in e-."""
    spe: Line = Line()
    """The spontaneous band."""
    lines: tuple[Line, ...] = ()
    """The stimulated lines found, none to two, lower energy first, of one width."""
    se_area_e: float = np.nan
    """Photo-electrons of the stimulated emission; see `se_source`."""
    se_area_sigma_e: float = np.nan
    """Standard deviation of `se_area_e`, covariances included, in e-."""
    se_source: SEEstimate = SEEstimate.NONE
    """Where `se_area_e` comes from."""
    se_limit_e: float = np.nan
    """Area that a narrow line at the band's centre needs to be found, in e-."""
    pump_area_e: float = np.nan
    """Photo-electrons of the pump line; nan when it is not in the window."""
    pump_area_sigma_e: float = np.nan
    """Standard deviation of `pump_area_e`, in e-."""
    pump_shift_nm: float = np.nan
    """Pump line minus its stated wavelength, in nm; nan when too weak to say."""
    pump_shift_sigma_nm: float = np.nan
    """Standard deviation of `pump_shift_nm`, in nm."""
    deviance: float = np.nan
    """Deviance of the fit."""
    expected_deviance: float = np.nan
    """Deviance that counting noise alone leaves, the fitted parameters deducted."""
    z: float = np.nan
    """Excess of the deviance in its own standard deviations."""
    resolution_mev: float = np.nan
    """Instrument's full width at half maximum at the band's centre, in meV."""
    names: tuple[str, ...] = ()
    """Names of the parameters, units included."""
    parameters: FloatArray | None = None
    """Parameters of the fit, energies in meV."""
    covariance: FloatArray | None = None
    """Covariance of the parameters."""
    shape: SpectrumModel | None = None
    """The model that was fitted."""

    @property
    def ok(self) -> bool:
        """Whether every number of the fit can be used."""
        return self.assessment is SpectrumAssessment.OK

    @property
    def se_rate(self) -> float:
        """Stimulated emission, in e-/s."""
        return self.se_area_e / self.exposure_s

    @property
    def se_rate_sigma(self) -> float:
        """Standard deviation of `se_rate`, in e-/s."""
        return self.se_area_sigma_e / self.exposure_s

    @property
    def spe_rate(self) -> float:
        """Spontaneous emission, in e-/s."""
        return self.spe.area_e / self.exposure_s

    @property
    def spe_rate_sigma(self) -> float:
        """Standard deviation of `spe_rate`, in e-/s."""
        return self.spe.area_sigma_e / self.exposure_s

    @property
    def pump_rate(self) -> float:
        """Scattered pump light, in e-/s."""
        return self.pump_area_e / self.exposure_s

    @property
    def splitting_mev(self) -> float:
        """Distance of the two lines, in meV; nan unless there are two."""
        if len(self.lines) != 2:  # noqa: PLR2004 - a distance is between two
            return np.nan
        low, high = self.lines
        return MEV_PER_EV * (high.center_ev - low.center_ev)

    @property
    def error_scale(self) -> float:
        """Factor, one or more, that would bring the deviance to its expectation.

        The sigmas do not contain it; multiply by it when z shows that the model is
        coarser than the counts.
        """
        return float(np.sqrt(np.maximum(self.deviance / self.expected_deviance, 1.0)))

    def components(self, edges_ev: FloatArray) -> dict[str, FloatArray]:
        """Evaluate each component on pixels, for the whole exposure.

        Parameters
        ----------
        edges_ev
            Photon energy at the edges of the pixels, in eV; shape (n + 1,).

        Returns
        -------
        :
            Photo-electrons in each pixel by component: background, spe, se, pump;
            each of shape (n,), and empty for a fit without numbers.
        """
        if self.shape is None or self.parameters is None:
            return {}
        return self.shape.on(MEV_PER_EV * edges_ev).components(self.parameters)

    def model(self, edges_ev: FloatArray) -> FloatArray:
        """Evaluate the whole model on pixels, for the whole exposure.

        Parameters
        ----------
        edges_ev
            Photon energy at the edges of the pixels, in eV; shape (n + 1,).

        Returns
        -------
        :
            Photo-electrons in each pixel, shape (n,); nan for a fit without numbers.
        """
        parts = self.components(edges_ev)
        return sum(parts.values(), np.full(len(edges_ev) - 1, 0.0 if parts else np.nan))

    def summary(self) -> dict[str, float | str]:
        """Give the numbers as one flat dictionary of the same keys for every fit.

        Returns
        -------
        :
            Rates in e-/s, energies in eV and meV; lines as ``line_low``, ``line_high``
            where there are two and ``line_low`` alone where there is one.
        """
        low, high = (*self.lines, Line(), Line())[:2]
        return {
            "assessment": str(self.assessment),
            "exposure_s": self.exposure_s,
            "background_e": self.background_e,
            "spe_rate": self.spe_rate,
            "spe_rate_sigma": self.spe_rate_sigma,
            "spe_center_ev": self.spe.center_ev,
            "spe_center_sigma_ev": self.spe.center_sigma_ev,
            "spe_fwhm_mev": self.spe.fwhm_mev,
            "spe_fwhm_sigma_mev": self.spe.fwhm_sigma_mev,
            "se_rate": self.se_rate,
            "se_rate_sigma": self.se_rate_sigma,
            "se_source": str(self.se_source),
            "se_lines": len(self.lines),
            "line_low_center_ev": low.center_ev,
            "line_low_center_sigma_ev": low.center_sigma_ev,
            "line_low_rate": low.area_e / self.exposure_s,
            "line_low_rate_sigma": low.area_sigma_e / self.exposure_s,
            "line_high_center_ev": high.center_ev,
            "line_high_center_sigma_ev": high.center_sigma_ev,
            "line_high_rate": high.area_e / self.exposure_s,
            "line_high_rate_sigma": high.area_sigma_e / self.exposure_s,
            "line_fwhm_mev": low.fwhm_mev,
            "line_fwhm_sigma_mev": low.fwhm_sigma_mev,
            "pump_rate": self.pump_rate,
            "pump_shift_nm": self.pump_shift_nm,
            "z": self.z,
        }
