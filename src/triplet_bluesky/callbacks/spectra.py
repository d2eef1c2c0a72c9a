"""Spectra of a run, reduced and decomposed one by one as their events come."""

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from event_model import DocumentRouter, Event, EventDescriptor, RunStart

from triplet_bluesky.analysis import (
    PumpLine,
    Spectrum,
    SpectrumFit,
    SpectrumOptions,
    fit_spectrum,
    reduce_frames,
)
from triplet_bluesky.callbacks.fields import SpectrumFields

__all__ = ["Conditions", "LiveSpectra", "Point"]

logger = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]

SAME_PUMP_NM = 0.01
"""Difference of two distances of the pump, in nm, that is none: the lines move by less
than 0.01 meV with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Under what conditions a spectrum was measured."""

    pump_nm: float
    """Pump wavelength, in nm (vacuum)."""
    bandwidth_nm: float
    """Full width at half maximum of the pump band, in nm."""
    photons: float
    """Photons per pulse at the sample."""
    photons_sigma: float
    """Its statistical standard error."""
    power_uw: float
    """Power at the sample, in uW."""
    in_tolerance: bool
    """Whether the dose that was asked for was reached."""
    wavelength_nm: FloatArray
    """Wavelength of each pixel, in nm (vacuum); shape ``(pixels,)``."""
    resolution_nm: float
    """Full width at half maximum of the line spread function, in nm."""

    def decompose(
        self, spectrum: Spectrum, reference: SpectrumFit | None
    ) -> SpectrumFit:
        """Decompose a spectrum that was measured under these conditions.

        Parameters
        ----------
        spectrum
            The counts.
        reference
            A decomposition that lends its line shape where no line is found.

        Returns
        -------
        :
            Band, lines and pump.
        """
        pump = None
        if np.isfinite(self.bandwidth_nm):
            pump = PumpLine(wavelength_nm=self.pump_nm, fwhm_nm=self.bandwidth_nm)
        return fit_spectrum(
            spectrum,
            self.wavelength_nm,
            pump=pump,
            reference=reference,
            options=SpectrumOptions(resolution_nm=self.resolution_nm),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One measured point: its conditions, its spectrum and what the fit says of it."""

    seq_num: int
    """Number of the event in the stream ``primary``."""
    conditions: Conditions
    """Pump, dose and spectrograph at this point."""
    spectrum: Spectrum
    """Counts in electrons with what is known of their noise."""
    fit: SpectrumFit
    """Decomposition into bands and lines."""

    def decomposed(self, reference: SpectrumFit | None) -> "Point":
        """Decompose again, with another reference.

        Parameters
        ----------
        reference
            The decomposition that lends its line shape.

        Returns
        -------
        :
            The same point with the new decomposition.
        """
        fit = self.conditions.decompose(self.spectrum, reference)
        return replace(self, fit=fit)


class LiveSpectra(DocumentRouter):
    """Reduce and decompose the spectrum of each event.

    Parameters
    ----------
    fields
        Names of the data keys.

    Attributes
    ----------
    points
        What was measured in this run so far, in the order of the events.
    """

    def __init__(self, fields: SpectrumFields | None = None) -> None:
        super().__init__()
        self.fields = fields or SpectrumFields()
        self.points: list[Point] = []
        self.start_document: RunStart | None = None
        self._spectra: dict[str, EventDescriptor] = {}
        self._dark_streams: set[str] = set()
        self._darks: dict[float, list[npt.NDArray[np.integer]]] = {}

    def start(self, doc: RunStart) -> None:
        """Forget the run before."""
        self.start_document = doc
        self.points = []
        self._spectra = {}
        self._dark_streams = set()
        self._darks = {}

    def descriptor(self, doc: EventDescriptor) -> None:
        """Decide whether the events of a stream are any of ours."""
        if self.fields.has_darks(doc):
            self._dark_streams.add(doc["uid"])
        elif self.fields.has_spectra(doc):
            self._spectra[doc["uid"]] = doc

    def event(self, doc: Event) -> Event:
        """Keep a dark frame, or reduce and decompose a spectrum; leave others alone."""
        if doc["descriptor"] in self._dark_streams:
            exposure = float(doc["data"][self.fields.exposure])
            frames = np.atleast_2d(np.asarray(doc["data"][self.fields.counts]))
            self._darks.setdefault(exposure, []).append(frames)
        elif doc["descriptor"] in self._spectra:
            self._take(doc, self._spectra[doc["descriptor"]])
        return doc

    def _take(self, doc: Event, descriptor: EventDescriptor) -> None:
        """Decompose the spectrum of a measured point."""
        data: dict[str, Any] = doc["data"]
        missing = self.fields.needed - data.keys()
        if missing:
            logger.warning("event %s has no %s", doc["seq_num"], sorted(missing))
            return
        darks = self._darks.get(float(data[self.fields.exposure]))
        if darks is None:
            logger.warning(
                "event %s: no dark frames with an exposure of %s s, no fit",
                doc["seq_num"],
                data[self.fields.exposure],
            )
            return
        # A point that is repeated after a pause takes the place of the interrupted one.
        others = [p for p in self.points if p.seq_num != doc["seq_num"]]
        self.points = [*others, self._point(doc, _configuration(descriptor), darks)]

    def _point(
        self,
        doc: Event,
        configuration: dict[str, Any],
        darks: list[npt.NDArray[np.integer]],
    ) -> Point:
        data, names = doc["data"], self.fields
        spectrum = reduce_frames(
            np.atleast_2d(np.asarray(data[names.counts])),
            np.concatenate(darks),
            gain_e_per_adu=float(configuration[names.sensitivity]),
            exposure_s=float(data[names.exposure]),
            saturation_adu=int(configuration[names.saturation]),
        )
        conditions = Conditions(
            pump_nm=float(data[names.pump]),
            bandwidth_nm=float(data.get(names.bandwidth, np.nan)),
            photons=float(data.get(names.photons, np.nan)),
            photons_sigma=float(data.get(names.photons_sigma, np.nan)),
            power_uw=float(data.get(names.power, np.nan)),
            in_tolerance=bool(data.get(names.in_tolerance, 1)),
            wavelength_nm=np.asarray(data[names.wavelength], dtype=float),
            resolution_nm=float(configuration[names.resolution]),
        )
        return Point(
            seq_num=doc["seq_num"],
            conditions=conditions,
            spectrum=spectrum,
            fit=conditions.decompose(spectrum, self.reference(conditions.pump_nm)),
        )

    def refine(self) -> None:
        """Decompose spectra without a line again, now that the line shape is known.

        A spectrum may have come before its nearest neighbour with lines, and was then
        decomposed with the shape of one farther away, or with none. Whether lines are
        found does not depend on the reference, so the neighbours stay what they are and
        doing this twice changes nothing.
        """
        self.points = [
            point
            if point.fit.lines
            else point.decomposed(self.reference(point.conditions.pump_nm))
            for point in self.points
        ]

    def reference(self, pump_nm: float) -> SpectrumFit | None:
        """Give the decomposition with lines that was pumped nearest to a wavelength.

        The lines move with the pump, by several of their widths over a scan: only a
        neighbour has them at the right place.

        Parameters
        ----------
        pump_nm
            Pump wavelength of the spectrum that needs a line shape, in nm (vacuum).

        Returns
        -------
        :
            The one that lends its line shape to a spectrum in which no line is found:
            of two equally near ones the stronger; None if no decomposition so far can
            be used and has lines.
        """

        def nearness(point: Point) -> tuple[float, float]:
            distance = abs(point.conditions.pump_nm - pump_nm)
            return -round(distance / SAME_PUMP_NM), point.fit.se_rate

        with_lines = [point for point in self.points if _lends(point)]
        nearest = max(with_lines, key=nearness, default=None)
        return None if nearest is None else nearest.fit


def _lends(point: Point) -> bool:
    """Say whether a spectrum has lines that are its own, not scattered pump light."""
    return bool(point.fit.lines) and point.fit.ok


def _configuration(descriptor: EventDescriptor) -> dict[str, Any]:
    """Merge the configuration of all devices of a stream."""
    merged: dict[str, Any] = {}
    for device in descriptor.get("configuration", {}).values():
        merged |= device.get("data", {})
    return merged
