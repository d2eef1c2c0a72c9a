"""How far the pump filter's scale is from the spectrometer's, by the scattered pump."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from triplet_bluesky.analysis.spectrum_result import SpectrumFit
from triplet_bluesky.units import bandwidth_mev, energy_mev

__all__ = ["PumpOffset", "pump_offset"]

MEV_PER_EV = 1e3
CLEAR_OF_LINES = 1.5
"""Distance of pump and stimulated lines, in full widths of the pump as measured, from
which the lines are below two thousandths of the pump's height at their place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpOffset:
    """Spectrometer minus filter; nan where no spectrum tells."""

    offset_nm: float = np.nan
    """Weighted mean of the places of the pump line in the spectra, less what the filter
    said, in nm."""
    sigma_nm: float = np.nan
    """Standard deviation of the mean, in nm, times `error_scale`."""
    spectra: int = 0
    """Spectra that it is the mean of."""
    error_scale: float = np.nan
    """Square root of chi2 over dof of the mean where that is above one, else one."""


def pump_offset(fits: Iterable[SpectrumFit]) -> PumpOffset:
    """Average the pump's shift over the spectra in which it stands clear.

    A spectrum takes part if all its numbers can be used, its pump line was strong
    enough for its place to be fitted, and that place is clear of the stimulated lines.

    Parameters
    ----------
    fits
        The decomposed spectra of a scan.

    Returns
    -------
    :
        The offset, with its sigma.
    """
    clear = [fit for fit in fits if _clear(fit)]
    if not clear:
        return PumpOffset()
    shift = np.array([fit.pump_shift_nm for fit in clear])
    weight = np.array([fit.pump_shift_sigma_nm for fit in clear]) ** -2.0
    mean = float(np.sum(weight * shift) / np.sum(weight))
    chi2 = float(np.sum(weight * (shift - mean) ** 2))
    scale = float(np.sqrt(max(chi2 / max(len(clear) - 1, 1), 1.0)))
    return PumpOffset(
        offset_nm=mean,
        sigma_nm=scale / float(np.sqrt(np.sum(weight))),
        spectra=len(clear),
        error_scale=scale,
    )


def _clear(fit: SpectrumFit) -> bool:
    """Say whether the place of the pump line is fitted and is its own."""
    pump = fit.shape.pump if fit.shape is not None else None
    if not fit.ok or pump is None:
        return False
    if not np.isfinite(fit.pump_shift_nm) or not fit.pump_shift_sigma_nm > 0:
        return False
    wavelength_nm, fwhm_nm = pump
    place_mev = energy_mev(wavelength_nm + fit.pump_shift_nm)
    reach_mev = CLEAR_OF_LINES * bandwidth_mev(wavelength_nm, fwhm_nm)
    return all(
        abs(MEV_PER_EV * line.center_ev - place_mev) > reach_mev for line in fit.lines
    )
