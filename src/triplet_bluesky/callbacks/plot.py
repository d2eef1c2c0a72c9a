"""The figure of an excitation scan, drawn to a file or into a window."""

import math
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from bluesky.callbacks.mpl_plotting import QtAwareCallback
from event_model import DocumentRouter, Event, RunStart, RunStop
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from triplet_bluesky import units
from triplet_bluesky.analysis import pixel_edges_ev
from triplet_bluesky.callbacks.ple import LivePLE, PLEView
from triplet_bluesky.callbacks.replay import isolated
from triplet_bluesky.callbacks.spectra import Point

__all__ = ["FigureFile", "FigureWindow", "draw_ple"]

STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.0,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "savefig.dpi": 300,
    "svg.fonttype": "none",
}
"""Looks of the figure at the width of two printed columns."""

WIDTH_IN, HEIGHT_IN = 7.1, 6.4
"""Size of the figure, in inches: two columns of a journal page."""

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#777777"
"""Colours that the colour-blind tell apart (Okabe and Ito, 2008)."""

LOG_SPAN = 1e-5
"""Lowest shown rate of the decomposed spectrum, as a share of its highest."""

SCREEN_DPI, PRINT_DPI = 110, 200
"""Dots per inch while the scan runs and of the final picture; the PDF has no dots."""

REDRAW_S = 5.0
"""Shortest time between two drawings while the scan runs, in s: drawing takes about a
second that the scan would rather have."""

HALF_WINDOW_NM = 13.0
"""Half width of the shown emission window, in nm."""

WATERFALL_SPAN = 5.0
"""Height of the strongest spectrum in the waterfall, in rows."""


def draw_ple(figure: Figure, view: PLEView) -> None:
    """Draw what an excitation scan has measured so far.

    Parameters
    ----------
    figure
        Where to draw; cleared first.
    view
        What is known of the scan.
    """
    with rc_context(STYLE):
        figure.clear()
        halves: Any = figure.subfigures(1, 2, width_ratios=(1, 1.25))
        left, right = halves
        upper, lower = right.subfigures(2, 1, height_ratios=(1.45, 1))
        points = sorted(view.points, key=lambda p: p.conditions.pump_nm)
        waterfall = left.add_subplot()
        excitation, position = upper.subplots(2, 1, sharex=True, height_ratios=(1.6, 1))
        spectrum, residual = lower.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        if points:
            _waterfall(waterfall, points)
            _excitation(excitation, view)
            _position(position, points)
            _decomposition(spectrum, residual, points)


def _waterfall(axes: Axes, points: list[Point]) -> None:
    """Draw the emission spectra above each other, the pump wavelength at the side."""
    centre = _emission_nm(points)
    window = (centre - HALF_WINDOW_NM, centre + HALF_WINDOW_NM)
    shown = [_inside(point, window) for point in points]
    highest = max(float(np.nanmax(rate)) for _, rate in shown) or 1.0
    colours = _colour_map(len(points))
    for row, (point, (wavelength, rate)) in enumerate(zip(points, shown, strict=True)):
        axes.plot(
            wavelength,
            row + WATERFALL_SPAN * rate / highest,
            color=colours[row],
            linewidth=0.8,
            zorder=len(points) - row,
        )
        axes.text(
            window[1] - 0.4,
            row + 0.12,
            f"{point.conditions.pump_nm:.1f}",
            ha="right",
            va="bottom",
            fontsize=6,
            color=colours[row],
        )
    axes.set_xlim(*window)
    top = max(
        row + WATERFALL_SPAN * float(np.nanmax(rate)) / highest
        for row, (_, rate) in enumerate(shown)
    )
    axes.set_ylim(-0.4, top + 0.06 * (top + 1))
    axes.set_yticks([])
    axes.set_xlabel("Emission wavelength (nm, vacuum)")
    axes.set_ylabel("Emission rate (offset for clarity)")
    axes.set_title("a  emission spectra")
    axes.text(
        0.985,
        0.988,
        "pump (nm)",
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=6,
    )
    axes.text(
        0.02,
        0.988,
        f"highest: {_power_of_ten(highest)} e$^-$ s$^{{-1}}$ per pixel",
        transform=axes.transAxes,
        va="top",
        fontsize=6.5,
    )


def _power_of_ten(value: float) -> str:
    """Write a number with three digits as a mantissa and a power of ten."""
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa} $\\times$ 10$^{{{int(exponent)}}}$"


def _excitation(axes: Axes, view: PLEView) -> None:
    """Draw the excitation curve with its fit and its maximum."""
    curve, result = view.curve, view.result
    axes.set_title("b  excitation of the stimulated emission")
    axes.set_ylabel("SE per pump photon\n(normalised)")
    axes.tick_params(labelbottom=False)
    if curve is None or result is None:
        return
    scale = float(np.nanmax(curve.value)) or 1.0
    used = np.asarray(result.used, dtype=bool)
    for chosen, colour, face, name in (
        (used, BLUE, BLUE, "measured"),
        (~used, GREY, "white", "not fitted"),
    ):
        if np.any(chosen & np.isfinite(curve.value)):
            axes.errorbar(
                curve.energy_mev[chosen],
                curve.value[chosen] / scale,
                yerr=result.error_scale * curve.sigma[chosen] / scale,
                fmt="o",
                markersize=3.2,
                color=colour,
                markerfacecolor=face,
                elinewidth=0.8,
                capsize=1.5,
                label=name,
            )
    if result.ok:
        energy = np.linspace(curve.energy_mev.min(), curve.energy_mev.max(), 400)
        axes.plot(energy, result.model(energy) / scale, color=ORANGE, label="fit")
        sigma = result.peak_sigma_mev
        axes.axvspan(
            result.peak_mev - sigma,
            result.peak_mev + sigma,
            color=RED,
            alpha=0.35,
            lw=0,
        )
        axes.axvline(
            result.peak_mev,
            color=RED,
            linewidth=0.7,
            label=f"maximum {result.peak_mev:.2f} ± {sigma:.2f} meV",
        )
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.legend(loc="upper right")
    top = axes.secondary_xaxis("top", functions=(_reciprocal, _reciprocal))
    top.set_xlabel("Pump wavelength (nm, vacuum)", fontsize=7)
    axes.tick_params(top=False)


def _reciprocal(values: Any) -> Any:
    """Convert between pump energy in meV and vacuum wavelength in nm, either way."""
    return units.HC_EV_NM * 1e3 / np.clip(values, 1.0, None)


def _position(axes: Axes, points: list[Point]) -> None:
    """Draw where the strongest stimulated line stands."""
    rows = []
    for point in points:
        if point.fit.lines:
            line = max(point.fit.lines, key=lambda each: each.area_e)
            energy = float(units.energy_mev(point.conditions.pump_nm))
            rows.append((energy, line.center_ev * 1e3, line.center_sigma_ev * 1e3))
    if rows:
        energy, center, sigma = np.array(rows).T
        axes.errorbar(
            energy,
            center,
            yerr=sigma,
            fmt="s",
            markersize=2.8,
            color=GREEN,
            elinewidth=0.8,
            capsize=1.5,
        )
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_title("c  energy of the strongest stimulated line")
    axes.set_ylabel("Line energy\n(meV)")
    axes.set_xlabel("Pump photon energy (meV)")


def _decomposition(axes: Axes, residual: Axes, points: list[Point]) -> None:
    """Draw the strongest spectrum with its components and its residuals."""
    point = max(points, key=lambda p: np.nan_to_num(p.fit.se_rate))
    wavelength = point.conditions.wavelength_nm
    edges = pixel_edges_ev(wavelength)
    exposure = point.fit.exposure_s
    rate, sigma = point.spectrum.rate, point.spectrum.rate_sigma
    axes.plot(
        wavelength,
        rate,
        ".",
        markersize=1.8,
        color=GREY,
        label="measured",
    )
    components = point.fit.components(edges)
    for name, colour in (("spe", BLUE), ("se", RED), ("pump", GREEN)):
        if name in components:
            axes.plot(
                wavelength,
                components[name] / exposure,
                color=colour,
                linewidth=0.9,
                label={
                    "spe": "spontaneous",
                    "se": "stimulated",
                    "pump": "scattered pump",
                }[name],
            )
    model = point.fit.model(edges) / exposure
    axes.plot(wavelength, model, color="black", linewidth=0.7, label="sum")
    centre = _emission_nm(points)
    axes.set_xlim(centre - HALF_WINDOW_NM, centre + HALF_WINDOW_NM)
    axes.set_ylabel("Rate per pixel\n(e$^-$ s$^{-1}$)")
    axes.set_yscale("log")
    highest = float(np.nanmax(rate))
    axes.set_ylim(LOG_SPAN * highest, 4 * highest)
    axes.tick_params(labelbottom=False)
    pump_nm = point.conditions.pump_nm
    axes.set_title(f"d  strongest spectrum, pumped at {pump_nm:.1f} nm")
    axes.legend(loc="upper left")
    residual.plot(wavelength, (rate - model) / sigma, color=GREY, linewidth=0.5)
    residual.axhline(0, color="black", linewidth=0.5)
    residual.set_ylim(-5, 5)
    residual.set_ylabel("resid.\n($\\sigma$)")
    residual.set_xlabel("Emission wavelength (nm, vacuum)")


def _emission_nm(points: list[Point]) -> float:
    """Give the wavelength of the emission band, for the middle of the window."""
    centers = [p.fit.spe.center_ev for p in points if np.isfinite(p.fit.spe.center_ev)]
    if not centers:
        return float(np.median(points[0].conditions.wavelength_nm))
    return float(units.wavelength_nm(float(np.median(centers))))


def _inside(point: Point, window: tuple[float, float]) -> tuple[Any, Any]:
    wavelength = point.conditions.wavelength_nm
    inside = (wavelength >= window[0]) & (wavelength <= window[1])
    return wavelength[inside], point.spectrum.rate[inside]


def _colour_map(number: int) -> Any:
    from matplotlib import colormaps  # noqa: PLC0415 - registers all maps when imported

    return colormaps["viridis"](np.linspace(0.0, 0.85, number))


class FigureFile(DocumentRouter):
    """Keep a file up to date with the figure of the running scan.

    Drawing happens in a thread of its own every few seconds, so the scan does not wait
    for it; the last state is drawn when the run ends.

    Parameters
    ----------
    analysis
        The analysis of the scan; subscribe it before this one.
    directory
        Folder of the files; they are named after the uid of the run.
    """

    def __init__(self, analysis: LivePLE, directory: Path) -> None:
        super().__init__()
        self.analysis = analysis
        self.directory = directory
        self.paths: tuple[Path, ...] = ()
        self._drawing: threading.Thread | None = None
        self._drawn = -math.inf

    def start(self, doc: RunStart) -> None:
        """Name the files of a new run."""
        stem = f"{doc.get('plan_name', 'run')}-{doc['uid'][:8]}"
        self.paths = tuple(
            self.directory / f"{stem}{suffix}" for suffix in (".png", ".pdf")
        )

    def event(self, doc: Event) -> Event:
        """Draw what there is, unless that was done a moment ago."""
        busy = self._drawing is not None and self._drawing.is_alive()
        view = self.analysis.view()
        if view.points and not busy and time.monotonic() - self._drawn >= REDRAW_S:
            self._drawn = time.monotonic()
            self._drawing = threading.Thread(
                target=isolated(_save),
                args=(view, self.paths[:1], SCREEN_DPI),
                name="figure",
                daemon=True,
            )
            self._drawing.start()
        return doc

    def stop(self, doc: RunStop) -> RunStop:
        """Draw the final figure, for the screen and for print."""
        self.wait()
        view = self.analysis.view()
        if view.points:
            _save(view, self.paths, PRINT_DPI)
        return doc

    def wait(self) -> None:
        """Wait until the drawing that is under way, if any, is in place."""
        if self._drawing is not None:
            self._drawing.join()


def _save(view: PLEView, paths: tuple[Path, ...], dpi: int) -> None:
    """Draw a figure and put it in place of the files when it is whole."""
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
    draw_ple(figure, view)
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}")
        with rc_context(STYLE):
            figure.savefig(partial, dpi=dpi, format=path.suffix[1:])
        figure.set_layout_engine("none")  # laid out once is laid out for all formats
        partial.replace(path)


class FigureWindow(QtAwareCallback):
    """Show the figure of the running scan in a window or notebook.

    Parameters
    ----------
    analysis
        The analysis of the scan; subscribe it before this one.
    figure
        A figure of pyplot's, which gives it its window.
    """

    def __init__(self, analysis: LivePLE, figure: Figure) -> None:
        super().__init__()
        self.analysis = analysis
        self.figure = figure

    def event(self, doc: Event) -> Event:
        """Draw again, if there is something to draw."""
        view = self.analysis.view()
        if view.points:
            draw_ple(self.figure, view)
            self.figure.canvas.draw_idle()
        return doc
