"""The emission spectrum as a function of its parameters, with its Jacobian.

Photo-electrons in each pixel: a background, the broad band of spontaneous emission, up
to two narrow stimulated lines of one width, and the pump line, which is a Gaussian of
known width in wavelength.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from triplet_bluesky.analysis.lineshape import gaussian_pixels
from triplet_bluesky.units import HC_EV_NM, FloatArray

__all__ = ["SpectrumModel"]

HC_MEV_NM = 1e3 * HC_EV_NM


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpectrumModel:
    """Which components a spectrum has, and on which pixels."""

    edges_mev: FloatArray
    """Photon energy at the edges of the pixels, in meV; shape (n + 1,)."""
    weight: FloatArray | float = 1.0
    """Share of the exposure of each pixel; shape (n,)."""
    band: bool = True
    """Whether there is a band of spontaneous emission."""
    lines: int = 0
    """Number of stimulated lines."""
    template: tuple[tuple[float, float, float], ...] = ()
    """Lines of fixed shape with one amplitude: (centre meV, fwhm meV, share)."""
    pump: tuple[float, float] | None = None
    """Wavelength and full width at half maximum of the pump line, in nm."""
    pump_moves: bool = False
    """Whether the pump line may be beside its stated wavelength."""
    edges_nm: FloatArray = field(init=False, repr=False)
    """Wavelength in vacuum at the edges of the pixels, in nm."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "edges_nm", HC_MEV_NM / self.edges_mev)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.edges_mev.size - 1

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters in their order, units included."""
        names = ["background_e"]
        if self.band:
            names += ["spe_center_mev", "spe_fwhm_mev", "spe_area_e"]
        if self.lines:
            names += ["line_fwhm_mev"]
        for number in range(1, self.lines + 1):
            names += [f"line{number}_center_mev", f"line{number}_area_e"]
        if self.template:
            names += ["se_area_e"]
        if self.pump:
            names += ["pump_area_e"]
        if self.pump and self.pump_moves:
            names += ["pump_shift_nm"]
        return tuple(names)

    def on(self, edges_mev: FloatArray) -> "SpectrumModel":
        """Give the same model on other pixels, each of the whole exposure.

        Parameters
        ----------
        edges_mev
            Photon energy at the edges of the pixels, in meV.
        """
        return replace(self, edges_mev=edges_mev, weight=1.0)

    def __call__(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Evaluate the mean of each pixel and its Jacobian.

        Parameters
        ----------
        parameters
            Parameters in the order of `names`; shape (k,).

        Returns
        -------
        :
            Mean, in e-, of shape (n,), and Jacobian, of shape (k, n).
        """
        p = parameters.tolist()
        jacobian = np.zeros((len(p), self.size))
        jacobian[0] = 1.0
        mean = np.full(self.size, p[0])
        at = 1
        if self.band:
            share, by_centre, by_fwhm = gaussian_pixels(self.edges_mev, p[1], p[2])
            jacobian[1:4] = p[3] * by_centre, p[3] * by_fwhm, share
            mean += p[3] * share
            at = 4
        if self.lines:
            at = self._add_lines(p, at, mean, jacobian)
        if self.template:
            jacobian[at] = self._template()
            mean += p[at] * jacobian[at]
            at += 1
        if self.pump:
            shift = p[at + 1] if self.pump_moves else 0.0
            pixels, share, by_shift = self._pump(shift)
            jacobian[at, pixels] = share
            jacobian[at + 1 : at + 2, pixels] = p[at] * by_shift
            mean[pixels] += p[at] * share
        if isinstance(self.weight, float):
            return mean, jacobian
        return mean * self.weight, jacobian * self.weight

    def components(self, parameters: FloatArray) -> dict[str, FloatArray]:
        """Evaluate each component; without the pixels' share of the exposure.

        Parameters
        ----------
        parameters
            Parameters in the order of `names`; shape (k,).

        Returns
        -------
        :
            Photo-electrons in each pixel: background, spe, se, pump.
        """
        p = dict(zip(self.names, parameters.tolist(), strict=True))
        zero = np.zeros(self.size)
        parts = {
            "background": zero + p["background_e"],
            "spe": zero,
            "se": zero,
            "pump": zero,
        }
        if self.band:
            parts["spe"] = p["spe_area_e"] * self.share(
                p["spe_center_mev"], p["spe_fwhm_mev"]
            )
        for number in range(1, self.lines + 1):
            parts["se"] = parts["se"] + p[f"line{number}_area_e"] * self.share(
                p[f"line{number}_center_mev"], p["line_fwhm_mev"]
            )
        if self.template:
            parts["se"] = p["se_area_e"] * self._template()
        if self.pump:
            shift = p.get("pump_shift_nm", 0.0)
            parts["pump"] = p["pump_area_e"] * self.pump_share(shift)
        return parts

    def share(self, centre_mev: float, fwhm_mev: float) -> FloatArray:
        """Share of one Gaussian on each pixel.

        Parameters
        ----------
        centre_mev, fwhm_mev
            Centre and full width at half maximum, in meV.
        """
        near, pixels = _near(self.edges_mev, centre_mev, fwhm_mev)
        total = np.zeros(self.size)
        total[pixels] = gaussian_pixels(near, centre_mev, fwhm_mev)[0]
        return total

    def pump_share(self, shift_nm: float = 0.0) -> FloatArray:
        """Share of the pump line on each pixel; zero where there is none.

        Parameters
        ----------
        shift_nm
            Place of the line beside its stated wavelength, in nm.
        """
        total = np.zeros(self.size)
        if self.pump:
            pixels, share, _ = self._pump(shift_nm)
            total[pixels] = share
        return total

    def _add_lines(
        self, p: list[float], at: int, mean: FloatArray, jacobian: FloatArray
    ) -> int:
        """Add the lines in place; give the index of the next parameter."""
        fwhm, width = p[at], at
        for index in range(at + 1, at + 1 + 2 * self.lines, 2):
            centre, area = p[index], p[index + 1]
            near, pixels = _near(self.edges_mev, centre, fwhm)
            share, by_centre, by_fwhm = gaussian_pixels(near, centre, fwhm)
            jacobian[width, pixels] += area * by_fwhm
            jacobian[index, pixels] = area * by_centre
            jacobian[index + 1, pixels] = share
            mean[pixels] += area * share
        return at + 1 + 2 * self.lines

    def _template(self) -> FloatArray:
        """Sum of the fixed lines for an area of one."""
        total = np.zeros(self.size)
        for centre, fwhm, share in self.template:
            total += share * self.share(centre, fwhm)
        return total

    def _pump(self, shift_nm: float) -> tuple[slice, FloatArray, FloatArray]:
        """Share of the pump line on the pixels near it; its change with the shift."""
        centre, fwhm = self.pump or (np.nan, np.nan)
        near, pixels = _near(self.edges_nm, centre + shift_nm, fwhm)
        share, by_centre, _ = gaussian_pixels(near, centre + shift_nm, fwhm)
        return pixels, share, by_centre


def _near(edges: FloatArray, centre: float, fwhm: float) -> tuple[FloatArray, slice]:
    """Edges within four widths of a line, and their pixels: 1e-20 of it is beyond."""
    reach = 4 * fwhm
    ends = np.array([centre - reach, centre + reach])
    if edges[0] < edges[-1]:
        first, last = np.searchsorted(edges, ends)
    else:
        last, first = edges.size - np.searchsorted(edges[::-1], ends)
    first = min(max(int(first) - 1, 0), edges.size - 2)
    last = max(int(last) + 1, first + 2)
    return edges[first:last], slice(first, min(last, edges.size) - 1)
