"""The excitation curve of a run and its maximum, while the run goes on."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from event_model import DocumentRouter, Event, EventDescriptor, RunStart, RunStop

from triplet_bluesky.analysis import (
    PLECurve,
    PLEFit,
    PumpOffset,
    fit_ple,
    pump_offset,
)
from triplet_bluesky.analysis.spectrum import SpectrumAssessment
from triplet_bluesky.callbacks.fields import SpectrumFields
from triplet_bluesky.callbacks.spectra import LiveSpectra, Point

__all__ = ["LivePLE", "PLEView"]

USABLE = frozenset((SpectrumAssessment.OK, SpectrumAssessment.NO_SIGNAL))
"""Assessments of a spectrum whose stimulated emission may enter the curve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PLEView:
    """What is known of an excitation scan at one moment."""

    points: tuple[Point, ...]
    """The decomposed spectra."""
    curve: PLECurve | None
    """Stimulated emission against pump energy; None before the first point."""
    result: PLEFit | None
    """Fit of the curve; None before the first point."""
    pump_offset: PumpOffset = field(default_factory=PumpOffset)
    """Spectrometer minus filter; not applied to the curve."""


class LivePLE(DocumentRouter):
    """Follow a run: decompose its spectra, build the excitation curve, fit its maximum.

    Knows names of fields and nothing of devices, so it gives the same numbers on a live
    run and on documents replayed from storage.

    Parameters
    ----------
    fields
        Names of the data keys.

    Attributes
    ----------
    spectra
        The decomposed spectra.
    curve
        Stimulated emission against pump energy, None before the first point.
    result
        Fit of the curve, None before the first point.
    pump_offset
        Spectrometer minus filter, by the scattered pump light. It is stated beside the
        peak, which is on the filter's scale, and not applied to it.
    """

    def __init__(self, fields: SpectrumFields | None = None) -> None:
        super().__init__()
        self.spectra = LiveSpectra(fields)
        self.curve: PLECurve | None = None
        self.result: PLEFit | None = None
        self.pump_offset = PumpOffset()

    @property
    def pump_offset_nm(self) -> float:
        """Spectrometer minus filter, in nm; nan where no spectrum tells."""
        return self.pump_offset.offset_nm

    @property
    def pump_offset_sigma_nm(self) -> float:
        """Standard deviation of `pump_offset_nm`, in nm."""
        return self.pump_offset.sigma_nm

    def start(self, doc: RunStart) -> None:
        """Forget the run before."""
        self.curve = None
        self.result = None
        self.pump_offset = PumpOffset()
        self.spectra.start(doc)

    def descriptor(self, doc: EventDescriptor) -> None:
        """Pass the descriptor on to the spectra."""
        self.spectra.descriptor(doc)

    def event(self, doc: Event) -> Event:
        """Take one event in; a new spectrum also renews the curve and its fit."""
        before = self.spectra.points
        self.spectra.event(doc)
        if self.spectra.points is not before:
            self._fit()
        return doc

    def stop(self, doc: RunStop) -> RunStop:
        """Bring the results to their final form."""
        self.refine()
        return doc

    def refine(self) -> None:
        """Bring the results to their final form; doing this twice changes nothing."""
        if self.spectra.points:
            self.spectra.refine()
            self._fit()

    def _fit(self) -> None:
        self.curve = _curve(self.spectra.points)
        self.result = fit_ple(self.curve, scale_errors=True)
        self.pump_offset = pump_offset(point.fit for point in self.spectra.points)

    def view(self) -> PLEView:
        """Give what is known now, as a value that the scan no longer changes."""
        return PLEView(
            points=tuple(self.spectra.points),
            curve=self.curve,
            result=self.result,
            pump_offset=self.pump_offset,
        )

    def streams(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Give the results as rows of streams, for the run that they belong to.

        Yields
        ------
        :
            Name of a stream and its rows: one row for each spectrum, then the curve.
        """
        self.refine()
        points = self.spectra.points
        if points:
            yield "fit_spectra", [_row(point) for point in points]
        if self.result is not None:
            yield "fit", [dict(self.result.summary()) | self._offset_row()]

    def _offset_row(self) -> dict[str, float | int]:
        return {
            "pump_offset_nm": self.pump_offset.offset_nm,
            "pump_offset_sigma_nm": self.pump_offset.sigma_nm,
            "pump_offset_spectra": self.pump_offset.spectra,
        }


def _curve(points: list[Point]) -> PLECurve:
    return PLECurve.from_wavelengths(
        np.array([point.conditions.pump_nm for point in points]),
        np.array([point.fit.se_rate for point in points]),
        np.array([point.fit.se_rate_sigma for point in points]),
        np.array([point.conditions.photons for point in points]),
        photons_sigma=np.array([point.conditions.photons_sigma for point in points]),
        bandwidth_nm=float(
            np.median([point.conditions.bandwidth_nm for point in points])
        ),
        mask=np.array([_usable(point) for point in points]),
    )


def _usable(point: Point) -> bool:
    return point.conditions.in_tolerance and point.fit.assessment in USABLE


def _row(point: Point) -> dict[str, Any]:
    return {
        "seq_num_primary": point.seq_num,
        "pump_wavelength": point.conditions.pump_nm,
        "photons": point.conditions.photons,
        "photons_sigma": point.conditions.photons_sigma,
        "cosmic_hits": int(point.spectrum.cosmic_hits),
        **point.fit.summary(),
    }
