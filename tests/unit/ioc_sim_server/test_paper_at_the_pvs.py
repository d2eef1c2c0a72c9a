"""What Ying et al. report, measured by a client that has nothing but the PVs.

An operator doses by the pick-off meter, exposes by a probe shot, takes frames with dark
frames, calibrates the wavelengths with the lamp, finds the axis of the analyser and the
crystal by looking, and counts photons. The analysis gets these counts and knows no
parameter of the bench. It is done twice: on the bench of the paper and on one that
differs from it in all that is measured, to show that no number is looked up.
"""

import asyncio
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import curve_fit, least_squares
from scipy.signal import find_peaks, savgol_filter
from scipy.special import ndtr

from triplet_bluesky.analysis import (
    PLECurve,
    PumpLine,
    SpectrumOptions,
    fit_ple,
    fit_spectrum,
    pixel_edges_nm,
    reduce_frames,
)
from triplet_bluesky.units import air_to_vacuum_nm, energy_mev

SEED = 5
TIME_FACTOR = 100.0
"""Simulated seconds per second of the loop, which has 20 read-backs in each."""

HC = 1239841.984
"""meV nm."""

NEON_AIR_NM = np.array(
    [
        *(488.4917, 500.5159, 503.7751, 514.4938, 533.0778),
        *(534.1094, 534.3283, 540.0562, 543.3651),
    ]
)
"""Lines of the lamp in air, NIST."""

FWHM = 2 * np.sqrt(2 * np.log(2))

OFF_NM, ON_NM = 495.0, 526.0
"""Pump off and on resonance, as in the paper's Fig. 4."""

BANDWIDTH_NM = 1.8

POWERS_UW = (4, 6, 8, 10, 12, 14, 16, 18, 21, 25, 30, 36, 43, 50, 60, 72, 85)
"""Power at 495 nm; other wavelengths get as many photons."""

STANDARD_UW = 50.0

SCANNED_NM = (495, 500, 505, 509, 512, 515, 518, 520, 522, 524, 525, 526, 527, 528, 529)
SCANNED_NM = (*SCANNED_NM, 530)

COLD_K = (4, 20, 30, 40, 50, 60)
BETWEEN_K = (80, 100, 120, 140, 160, 178)
WARM_K = (196, 210, 225, 240, 255, 270, 282, 295)
"""The crystal travels by at most its own size from one of these to the next."""

ANGLES_DEG = tuple(np.arange(0.0, 90.0, 7.5))

EXPOSURES_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
PROBE_S = (0.01, 1.0)
LEAST_PROBE, BEST_PEAK = 100, 32000
"""Counts above the dark level that a probe shot needs, and that the best frame has."""
FRAMES = 3
DARKS = 3


@dataclass(frozen=True, kw_only=True)
class Shot:
    """Raw frames with all that a client knows about them."""

    nm: np.ndarray
    resolution_nm: float
    gain: float
    saturation: float
    exposure_s: float
    frames: np.ndarray
    darks: np.ndarray
    pump_nm: float
    power_uw: float
    """By the meter during the exposures, at the sample."""

    @property
    def spectrum(self):
        return reduce_frames(
            self.frames,
            self.darks,
            gain_e_per_adu=self.gain,
            exposure_s=self.exposure_s,
            saturation_adu=self.saturation,
        )

    def fit(self, reference=None):
        return fit_spectrum(
            self.spectrum,
            self.nm,
            pump=PumpLine(wavelength_nm=self.pump_nm, fwhm_nm=BANDWIDTH_NM),
            reference=reference,
            options=SpectrumOptions(resolution_nm=self.resolution_nm),
        )


class Operator:
    """Someone who works at the bench."""

    def __init__(self, client):
        self.put, self.get, self.wait = client.put, client.get, client.wait
        self.darks = {}
        self.true_nm = None
        self.pump_nm = ON_NM

    async def begin(self):
        self.gain = await self.get("CCD:cam1:Sensitivity_RBV")
        self.saturation = await self.get("CCD:cam1:SaturationLevel_RBV")
        self.table_nm = np.array(await self.get("POWER:Calibration:Wavelength_RBV"))
        self.table = np.array(await self.get("POWER:Calibration:Ratio_RBV"))
        await self.put("FILTER:Bandwidth", BANDWIDTH_NM)
        await self.put("LASER:Emission", "On")
        await self.put("LASER:Level", 100)
        await self.wait("LASER:Ready_RBV", "Yes")

    async def measure(self, seconds=1.0):
        """Read the meter, as power at the sample in uW."""
        await self.put("POWER:Meter:AveragingTime", max(seconds, 0.1))
        await self.put("POWER:Meter:Measure", "Measure")
        assert await self.get("POWER:Meter:Overrange_RBV") == "No"
        ratio = np.interp(self.pump_nm, self.table_nm, self.table)
        return float(await self.get("POWER:Meter:Power_RBV") * ratio)

    async def tune(self, pump_nm, od=None):
        self.pump_nm = pump_nm
        await self.put("FILTER:Wavelength", pump_nm)
        await self.put("POWER:Meter:Wavelength", pump_nm)
        if od is not None:
            await self.put("POWER:OD", od)

    async def dose(self, pump_nm, power_uw, rounds=2):
        """Set the power at the sample by the meter."""
        await self.tune(pump_nm)
        for _ in range(rounds):
            measured = await self.measure()
            od = await self.get("POWER:OD_RBV") + np.log10(measured / power_uw)
            await self.put("POWER:OD", float(np.clip(od, 0.0, 4.0)))

    async def frame(self, exposure_s):
        await self.put("CCD:cam1:AcquireTime", exposure_s)
        await self.put("CCD:cam1:Acquire", 1)
        return np.array(await self.get("CCD:image1:ArrayData"), dtype=float)

    async def dark(self, exposure_s):
        if exposure_s not in self.darks:
            assert await self.get("POWER:Shutter_RBV") == "Closed"
            frames = [await self.frame(exposure_s) for _ in range(DARKS)]
            self.darks[exposure_s] = np.array(frames)
        return self.darks[exposure_s]

    async def exposure(self):
        """Find the exposure by a probe shot."""
        level = np.median(self.darks[PROBE_S[0]])
        for probe_s in PROBE_S:
            peak = np.partition(await self.frame(probe_s), -3)[-3] - level
            if peak > LEAST_PROBE:
                break
        most = BEST_PEAK / max(peak, 1) * probe_s
        return max((s for s in EXPOSURES_S if s < most), default=EXPOSURES_S[0])

    async def expose(self, frames=FRAMES, exposure_s=None):
        """Take frames with the shutter open, and the meter's reading meanwhile."""
        await self.dark(PROBE_S[0])
        await self.put("POWER:Shutter", "Open")
        exposure_s = exposure_s or await self.exposure()
        taken, power = [], []
        for _ in range(frames):
            frame, measured = await asyncio.gather(
                self.frame(exposure_s), self.measure(exposure_s)
            )
            taken.append(frame)
            power.append(measured)
        await self.put("POWER:Shutter", "Closed")
        stated = np.array(await self.get("SPEC:Calibration"))
        return Shot(
            nm=self.true_nm(stated),
            resolution_nm=await self.get("SPEC:Resolution_RBV"),
            gain=self.gain,
            saturation=self.saturation,
            exposure_s=exposure_s,
            frames=np.array(taken),
            darks=await self.dark(exposure_s),
            pump_nm=self.pump_nm,
            power_uw=float(np.mean(power)),
        )

    async def look_at(self, centre_nm):
        """Centre the camera's window, and calibrate it with the lamp."""
        await self.put("SPEC:Wavelength", centre_nm)
        await self.dark(PROBE_S[0])
        await self.put("SPEC:Lamp", "On")
        await asyncio.sleep(60 / TIME_FACTOR)
        exposure_s = await self.exposure()
        light = np.sum([await self.frame(exposure_s) for _ in range(FRAMES)], axis=0)
        await self.put("SPEC:Lamp", "Off")
        await asyncio.sleep(60 / TIME_FACTOR)
        counts = light - FRAMES * np.mean(await self.dark(exposure_s))
        stated = np.array(await self.get("SPEC:Calibration"))
        self.true_nm = calibrated(counts, stated)
        self.lamp = (self.true_nm(stated), counts)


def gaussian(edges, centre, fwhm):
    return np.diff(ndtr(FWHM * (edges - centre) / fwhm))


def calibrated(counts, stated_nm):
    """Find offset and scale of the wavelengths from the lamp's lines."""
    known = air_to_vacuum_nm(NEON_AIR_NM)
    inside = (known > stated_nm[0] + 1) & (known < stated_nm[-1] - 1)
    known, middle = known[inside], stated_nm.mean()
    edges = pixel_edges_nm(stated_nm) - middle

    def misfit(parameters):
        offset, scale, fwhm = parameters
        moved = edges * scale + offset + middle
        shapes = np.array([gaussian(moved, line, fwhm) for line in known])
        shapes = np.vstack([shapes, np.ones_like(counts)]).T
        amplitudes = np.linalg.lstsq(shapes, counts)[0]
        return shapes @ amplitudes - counts

    starts = [(offset, 1.0, 0.2) for offset in np.arange(-0.4, 0.41, 0.05)]
    start = min(starts, key=lambda start: np.sum(misfit(start) ** 2))
    offset, scale, _ = least_squares(misfit, start, x_scale=(0.1, 1e-3, 0.1)).x
    return lambda nm: (nm - middle) * scale + offset + middle


def matched(power_495_uw, pump_nm):
    """Power of as many photons at another wavelength."""
    return power_495_uw * OFF_NM / pump_nm


async def angle_scan(operator, pump_nm):
    """Spectra without the polarizer, and behind it at all angles of the plate."""
    await operator.dose(pump_nm, matched(STANDARD_UW, pump_nm))
    await operator.put("ANALYSER:In", "Out")
    whole = await operator.expose()
    await operator.put("ANALYSER:In", "In")
    shots = []
    for angle in ANGLES_DEG:
        await operator.put("ANALYSER:HWP", angle)
        shots.append(await operator.expose())
    return SimpleNamespace(whole=whole, shots=shots)


async def power_scan(operator, pump_nm):
    shots = []
    for power in POWERS_UW:
        await operator.dose(pump_nm, matched(power, pump_nm))
        shots.append(await operator.expose())
    return shots


async def excitation_scan(operator):
    shots = []
    for pump_nm in SCANNED_NM:
        await operator.dose(pump_nm, matched(STANDARD_UW, pump_nm))
        shots.append(await operator.expose())
    return shots


async def count(operator, pump_nm, centre_nm, rate, total):
    """Histogram of photons at some rate, by the attenuator."""
    await operator.put("SPEC:Wavelength", centre_nm)
    await operator.tune(pump_nm, 1.0)
    await operator.put("POWER:Shutter", "Open")
    for _ in range(3):
        await asyncio.sleep(2.0)
        got = await operator.get("TCSPC:COUNT_RATE_1")
        od = await operator.get("POWER:OD_RBV") + np.log10(max(got, 1) / rate)
        await operator.put("POWER:OD", float(np.clip(od, 0, 4)))
    await operator.put("TCSPC:TIME", 3_600_000)
    await operator.put("TCSPC:StopTotal", total)
    await operator.put("TCSPC:Acquire", "Acquire")
    await operator.put("POWER:Shutter", "Closed")
    return np.array(await operator.get("TCSPC:SAMPLES_FAST"))


async def decays(operator):
    """Response from scattered light, then a decay, both a million photons."""
    await operator.put("SPEC:FlipperMirror2", "Side")
    await operator.put("SPEC:SlitSize3", 2000)
    await operator.put("LASER:Level", 100)
    seen = SimpleNamespace(
        response=await count(operator, 505.0, 505.0, 3e5, 1_000_000),
        decay=await count(operator, ON_NM, 531.0, 2e5, 1_000_000),
        width_ps=await operator.get("TCSPC:RESOLUTION"),
        sync_hz=await operator.get("TCSPC:COUNT_RATE_0"),
    )
    await operator.put("SPEC:FlipperMirror2", "Direct")
    return seen


async def powers(operator):
    seen = SimpleNamespace()
    await operator.tune(ON_NM, 0.0)
    seen.most_526 = await operator.measure(1800)
    await operator.tune(700.0, 0.0)
    seen.most_700 = await operator.measure(1800)
    await operator.tune(ON_NM, 4.0)
    seen.least_526 = await operator.measure(1800)
    await operator.put("LASER:Level", 0)
    seen.none = await operator.measure(1800)
    await operator.put("LASER:Level", 100)
    await operator.wait("LASER:Ready_RBV", "Yes")
    return seen


async def brightness(operator, exposure_s):
    frame = await operator.frame(exposure_s)
    power = await operator.measure(exposure_s)
    level = operator.darks[exposure_s].mean()
    return (frame.sum() - frame.size * level) / power


async def profile(operator, axis, half_um, points):
    """Light against the position of one piezo, which comes back."""
    here = await operator.get(f"OBJ:{axis}")
    await operator.dark(PROBE_S[0])
    await operator.put("POWER:Shutter", "Open")
    exposure_s = await operator.exposure()
    await operator.put("POWER:Shutter", "Closed")
    await operator.dark(exposure_s)
    await operator.put("POWER:Shutter", "Open")
    at = here + np.linspace(-half_um, half_um, points)
    light = []
    for position in at:
        await operator.put(f"OBJ:{axis}", float(position))
        light.append(await brightness(operator, exposure_s))
    await operator.put(f"OBJ:{axis}", here)
    await operator.put("POWER:Shutter", "Closed")
    return at, np.array(light)


async def peak_up(operator, rounds=2):
    """Go to the maximum of the light, axis by axis."""
    for _ in range(rounds):
        for axis, half_um in (("X", 1.0), ("Y", 1.0), ("Z", 3.0)):
            at, light = await profile(operator, axis, half_um, 9)
            near = slice(max(light.argmax() - 2, 0), light.argmax() + 3)
            square, slope, _ = np.polyfit(
                at[near], np.log(np.maximum(light[near], 1)), 2
            )
            best = -slope / (2 * square) if square < 0 else at[light.argmax()]
            best = float(np.clip(best, at[0], at[-1]))
            await operator.put(f"OBJ:{axis}", best)


async def confocal(operator):
    """Profiles of the crystal below threshold, where all light is proportional."""
    await operator.dose(OFF_NM, 8.0)
    await peak_up(operator)
    return SimpleNamespace(
        lateral=await profile(operator, "X", 1.5, 31),
        axial=await profile(operator, "Z", 6.0, 31),
    )


async def warm_up(operator, hwp_deg):
    """Spectra between the two axes of the lines while it gets warm."""
    await operator.put("ANALYSER:HWP", hwp_deg + 22.5)
    await operator.put("CRYO:RAMP_S1", 30.0)
    spectra = {}
    for kelvin in (*COLD_K, *BETWEEN_K, *WARM_K):
        await operator.put("CRYO:SETP_S1", float(kelvin))
        await operator.wait("CRYO:Stable_RBV", "Yes")
        await operator.dose(OFF_NM, 80.0)
        await peak_up(operator, 1 if kelvin < 100 else 2)
        if kelvin == BETWEEN_K[0]:
            await operator.look_at(520.0)
        if kelvin not in BETWEEN_K:
            spectra[kelvin] = await operator.expose()
    return spectra


async def survey(client):
    """Everything that is measured on the cold crystal."""
    operator = Operator(client)
    await operator.begin()
    seen = SimpleNamespace()
    await operator.look_at(505.0)
    await operator.dose(505.0, 40.0)
    seen.scattered = await operator.expose()
    await operator.look_at(531.0)
    seen.lamp = operator.lamp
    seen.on_angles = await angle_scan(operator, ON_NM)
    seen.off_angles = await angle_scan(operator, OFF_NM)
    low, _, _ = polarized(seen.on_angles)
    await operator.put("ANALYSER:HWP", low.maximum_deg)
    seen.on_powers = await power_scan(operator, ON_NM)
    seen.off_powers = await power_scan(operator, OFF_NM)
    seen.excitation = await excitation_scan(operator)
    seen.powers = await powers(operator)
    seen.decays = await decays(operator)
    return seen


async def journey(client):
    """The crystal in three dimensions, and on its way to room temperature."""
    operator = Operator(client)
    await operator.begin()
    await operator.look_at(531.0)
    low, _, _ = polarized(await angle_scan(operator, ON_NM))
    return SimpleNamespace(
        confocal=await confocal(operator),
        spectra=await warm_up(operator, low.maximum_deg),
    )


@dataclass(frozen=True)
class Malus:
    """I = Imin + A cos^2(2 (theta - maximum))."""

    mean: float
    cosine: float
    sine: float

    @property
    def dolp(self):
        return np.hypot(self.cosine, self.sine) / self.mean

    @property
    def maximum_deg(self):
        """Angle of the half-wave plate, from 0 to 90."""
        return float(np.degrees(np.arctan2(self.sine, self.cosine)) / 4 % 90)

    @property
    def axis_deg(self):
        """Axis of the light, from 0 to 180; the polarizer is at 0."""
        return 2 * self.maximum_deg % 180


def polarized(scan):
    """Lower line, higher line and band by angle: frozen shapes, linear amplitudes."""
    fit = scan.whole.fit()
    assert fit.ok, fit.assessment
    low, high = fit.lines
    edges_mev = energy_mev(pixel_edges_nm(scan.whole.nm))
    shapes = [
        -gaussian(edges_mev, 1e3 * part.center_ev, part.fwhm_mev)
        for part in (low, high, fit.spe)
    ]
    pump = gaussian(
        pixel_edges_nm(scan.whole.nm),
        scan.whole.pump_nm,
        np.hypot(BANDWIDTH_NM, scan.whole.resolution_nm),
    )
    columns = np.array([*shapes, pump, np.ones_like(pump)])
    columns = columns[np.any(columns > 1e-6, axis=1)].T
    rows = []
    for shot in scan.shots:
        spectrum = shot.spectrum
        weight = 1 / np.sqrt(np.maximum(spectrum.counts, 0) + spectrum.variance + 1)
        weight *= spectrum.mask
        amplitudes = np.linalg.lstsq(
            columns * weight[:, None], spectrum.counts * weight
        )[0]
        rows.append(amplitudes[:3] / spectrum.exposure_s / shot.power_uw)
    angle = np.radians(4 * np.array(ANGLES_DEG))
    basis = np.array([np.ones_like(angle), np.cos(angle), np.sin(angle)]).T
    return [Malus(*np.linalg.lstsq(basis, values)[0]) for values in np.array(rows).T]


class PowerScan:
    """Emission against power."""

    def __init__(self, shots):
        self.power = np.array([shot.power_uw for shot in shots])
        self.photons = self.power * shots[0].pump_nm / OFF_NM
        """As the power at 495 nm that has as many."""
        self.fits = []
        brighter = None
        for shot in reversed(shots):
            fit = shot.fit(brighter)
            assert fit.ok, (shot.power_uw, fit.assessment)
            brighter = fit if fit.lines else brighter
            self.fits.insert(0, fit)
        self.se = np.array([fit.se_rate for fit in self.fits])
        self.se_sigma = np.array([fit.se_rate_sigma for fit in self.fits])
        self.spe = np.array([fit.spe_rate for fit in self.fits])
        lower = [fit.lines[0] if fit.lines else None for fit in self.fits]
        self.low_mev = np.array(
            [1e3 * low.center_ev if low else np.nan for low in lower]
        )
        self.spe_mev = np.array([1e3 * fit.spe.center_ev for fit in self.fits])
        self.contrast = np.array(
            [
                low.area_e / low.fwhm_mev * fit.spe.fwhm_mev / fit.spe.area_e
                if low
                else 0.0
                for low, fit in zip(lower, self.fits, strict=True)
            ]
        )
        """Height of the lower line over that of the band."""

    def at(self, values, photons):
        return float(np.interp(photons, self.photons, values))

    @property
    def threshold_uw(self):
        """Power where carriers reach threshold: a corner rounded by spontaneous
        emission, fitted to what lies below 0.84 of the knee."""
        near = self.power <= 0.84 * self.knee_uw
        power, se = self.power[near], self.se[near]

        def corner(power, slope, threshold, log_beta):
            x = power / threshold
            bend = np.sqrt((x - 1) ** 2 + 4 * np.exp(log_beta) * x)
            return slope * (x - 1 + bend) / 2

        start = (se.max(), power[np.argmax(se > se.max() / 10)], -5.0)
        sigma = np.hypot(self.se_sigma[near], 0.02 * se)
        return curve_fit(corner, power, se, start, sigma=sigma, maxfev=5000)[0][1]

    @property
    def knee_uw(self):
        """Break of two lines through the whole scan, each uW counting alike."""
        return broken_line(self.power, self.se, np.sqrt(np.gradient(self.power)))

    @property
    def straightness(self):
        """R^2 of one straight line above threshold."""
        above = self.se > 0.05 * self.se.max()
        power, se = self.power[above], self.se[above]
        rest = se - np.polyval(np.polyfit(power, se, 1), power)
        return 1 - np.sum(rest**2) / np.sum((se - se.mean()) ** 2)

    @property
    def slopes(self):
        """Slope of the upper part of the scan over that of the part below."""
        share = self.power / self.power.max()
        upper, lower = (
            np.polyfit(self.power[part], self.se[part], 1)[0]
            for part in (share > 0.6, (share > 0.2) & (share < 0.6))
        )
        return upper / lower


def broken_line(x, y, share):
    """Where two lines that meet describe the points best."""

    def misfit(at):
        columns = np.array([np.ones_like(x), np.minimum(x, at), np.maximum(x - at, 0)])
        columns = columns.T * share[:, None]
        values = np.linalg.lstsq(columns, y * share)[0]
        return np.sum((columns @ values - y * share) ** 2)

    at = min(np.linspace(x[2], x[-3], 500), key=misfit)
    return float(at)


class Findings:
    """What the counts of a survey say."""

    def __init__(self, seen):
        self.seen = seen

    @cached_property
    def on(self):
        return PowerScan(self.seen.on_powers)

    @cached_property
    def off(self):
        return PowerScan(self.seen.off_powers)

    @cached_property
    def whole(self):
        return self.seen.on_angles.whole.fit()

    @cached_property
    def on_polarized(self):
        return polarized(self.seen.on_angles)

    @cached_property
    def off_polarized(self):
        return polarized(self.seen.off_angles)

    @cached_property
    def excitation(self):
        return [shot.fit() for shot in self.seen.excitation]

    @property
    def low_mev(self):
        """The lower line at 526 nm and 50 uW."""
        return float(np.interp(STANDARD_UW, self.on.power, self.on.low_mev))

    @cached_property
    def ple_peak_mev(self):
        shots, fits = self.seen.excitation, self.excitation
        photons = np.array([shot.power_uw * shot.pump_nm for shot in shots])
        curve = PLECurve.from_wavelengths(
            [shot.pump_nm for shot in shots],
            [fit.se_rate for fit in fits],
            [fit.se_rate_sigma for fit in fits],
            photons,
            photons_sigma=0.002 * photons,
            bandwidth_nm=BANDWIDTH_NM,
        )
        fit = fit_ple(curve)
        assert fit.ok, fit.assessment
        return fit.peak_mev

    @property
    def neon_mev(self):
        """Width of the lone line of neon at 533 nm, pixels included."""
        nm, counts = self.seen.lamp
        line = air_to_vacuum_nm(533.0778)
        near = np.abs(nm - line) < 0.4

        def shape(nm, height, centre, sigma, level):
            return height * np.exp(-(((nm - centre) / sigma) ** 2) / 2) + level

        start = (counts[near].max(), line, 0.1, 0.0)
        sigma = curve_fit(shape, nm[near], counts[near], start)[0][2]
        return HC / line**2 * FWHM * abs(sigma)

    @property
    def pump_band_nm(self):
        """Width of the scattered pump, without the spectrometer's."""
        shot = self.seen.scattered
        edges, counts = pixel_edges_nm(shot.nm), shot.spectrum.counts

        def shape(_, area, centre, fwhm, level, slope):
            floor = level + slope * (shot.nm - shot.pump_nm)
            return area * gaussian(edges, centre, fwhm) + floor

        start = (counts.sum(), shot.pump_nm, 1.0, 0.0, 0.0)
        fwhm = curve_fit(shape, shot.nm, counts, start)[0][2]
        return float(np.sqrt(fwhm**2 - shot.resolution_nm**2))


def half_width(at, values):
    """Full width at half maximum of a curve by its points."""
    half = values.max() / 2
    inside = np.flatnonzero(values > half)
    a, b = inside[0], inside[-1]
    low = np.interp(half, values[[a - 1, a]], at[[a - 1, a]])
    high = np.interp(half, values[[b + 1, b]], at[[b + 1, b]])
    return high - low


PAPER = SimpleNamespace(
    low=2335.0,
    splitting=2.0,
    ple=2353.0,
    threshold=15.0,
    knee=50.0,
    low_dolp=0.900,
    high_dolp=0.992,
    low_dolp_off=0.801,
    spe_dolp=0.28,
    axis=35.0,
    spe_fwhm=16.0,
    blue_shift=1.57,
    lifetimes=(49.0, 268.0),
    resolution=0.707,
    most_526=80.0,
    sync=78e6,
)

ANOTHER_TRUTH = """
[source]
rate = 76.0
power_526 = 95.0
[meter]
ratio = 8.5
[absorption]
exciton = 2356.0
[lasing]
threshold_495 = 11.5
saturation_495 = 38.0
[lifetime]
stimulated = 65.0
spontaneous = 340.0
[emission]
line_low = 2337.5
splitting = 2.6
weight_low = 0.35
spe_center = 2341.0
spe_fwhm = 13.5
filling_shift = 2.2
[polarization]
low = 0.80
high = 0.93
spe = 0.40
axis = 100.0
[spectrometer]
resolution = [0.14, 0.331, 0.100]
calibration_offset = [0.12, 0.12, -0.05]
calibration_scale = [1.001, 0.9995, 1.0003]
[tcspc]
irf_fwhm = 90.0
zero_delay = 4.0
"""

ANOTHER = SimpleNamespace(
    low=2337.5,
    splitting=2.6,
    ple=2356.9,
    threshold=11.5,
    knee=50.0 * 38.0 / 45.5,
    low_dolp=0.80,
    high_dolp=0.93,
    low_dolp_off=0.80 * 0.985 ** (148.7 / 19),
    spe_dolp=0.40,
    axis=100.0,
    spe_fwhm=13.5,
    blue_shift=1.57 * 2.2 / 1.6,
    lifetimes=(65.0, 340.0),
    resolution=HC / 533.2**2 * np.hypot(0.14, 0.0415 * FWHM / np.sqrt(12)),
    most_526=95.0,
    sync=76e6,
)
"""What the same analysis must find with `ANOTHER_TRUTH`."""


pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def paper(visit):
    """The bench of the paper."""
    return Findings(visit(survey, seed=SEED, factor=TIME_FACTOR))


@pytest.fixture(scope="module")
def another(visit, tmp_path_factory):
    """A bench with other numbers."""
    sample = tmp_path_factory.mktemp("truth") / "another.toml"
    sample.write_text(ANOTHER_TRUTH)
    return Findings(visit(survey, sample=sample, seed=SEED + 1, factor=TIME_FACTOR))


@pytest.fixture(scope="module")
def travelled(visit):
    """The bench of the paper, to room temperature."""
    return visit(journey, seed=SEED, factor=TIME_FACTOR)


@pytest.fixture(params=[PAPER, ANOTHER], ids=["paper", "another"])
def truth(request):
    """What is to be found on one of the benches."""
    return request.param


@pytest.fixture
def found(request, truth):
    """What is found there."""
    return request.getfixturevalue("paper" if truth is PAPER else "another")


def test_the_lines_are_where_they_are(found, truth):
    assert found.low_mev == pytest.approx(truth.low, abs=0.3)
    high_mev = found.low_mev + found.whole.splitting_mev
    assert high_mev == pytest.approx(truth.low + truth.splitting, abs=0.3)


def test_two_lines_are_split(found, truth):
    assert found.whole.splitting_mev == pytest.approx(truth.splitting, abs=0.05)


def test_the_excitation_is_strongest_a_stokes_shift_above_the_line(found, truth):
    stokes = found.ple_peak_mev - found.low_mev
    assert found.ple_peak_mev == pytest.approx(truth.ple, abs=0.5)
    assert stokes == pytest.approx(truth.ple - truth.low, abs=0.5)


def test_threshold_off_resonance(found, truth):
    assert found.off.threshold_uw == pytest.approx(truth.threshold, abs=1.0)


def test_emission_saturates_off_resonance(found, truth):
    assert found.off.knee_uw == pytest.approx(truth.knee, abs=5.0)
    assert found.off.slopes < 0.15


def test_emission_is_linear_to_the_most_power_on_resonance(found):
    assert found.on.power.max() > 79
    assert found.on.straightness > 0.999
    assert 0.95 < found.on.slopes < 1.05


def test_stimulated_emission_is_ten_times_stronger_on_resonance(paper):
    standard, top = (
        paper.on.at(paper.on.se, photons) / paper.off.at(paper.off.se, photons)
        for photons in (STANDARD_UW, paper.on.photons.max())
    )
    assert standard == pytest.approx(7.7, abs=0.3)
    assert 8 < top < 13


@pytest.mark.parametrize("photons", [STANDARD_UW, POWERS_UW[-1]])
def test_spontaneous_emission_is_30_percent_stronger_on_resonance(paper, photons):
    ratio = paper.on.at(paper.on.spe, photons) / paper.off.at(paper.off.spe, photons)
    assert ratio == pytest.approx(1.30, abs=0.05)


def test_the_line_shows_from_about_15_microwatts(paper):
    """The lower line is a fifth as high as the band."""
    visible = np.interp(0.2, paper.off.contrast, paper.off.power)
    assert 12 < visible < 18
    assert paper.off.contrast[paper.off.power < 10.5].max() < 0.05


def test_the_band_has_its_width(found, truth):
    assert found.whole.spe.fwhm_mev == pytest.approx(truth.spe_fwhm, abs=0.25)


def test_the_band_is_below_4_nm_wide(paper):
    band = paper.whole.spe
    fwhm_nm = HC / (1e3 * band.center_ev) ** 2 * band.fwhm_mev
    assert fwhm_nm == pytest.approx(3.63, abs=0.05)


def test_the_emission_is_at_531_nm(paper):
    low_mev = paper.off.at(paper.off.low_mev, STANDARD_UW)
    spe_mev = paper.off.at(paper.off.spe_mev, STANDARD_UW)
    assert HC / low_mev == pytest.approx(530.67, abs=0.1)
    assert HC / spe_mev == pytest.approx(530.11, abs=0.1)


def test_the_line_shifts_to_the_blue_with_power(found, truth):
    on = found.on.at(found.on.low_mev, 80) - found.on.at(found.on.low_mev, 10)
    assert on == pytest.approx(truth.blue_shift, abs=0.05)


def test_the_line_shifts_to_the_blue_with_power_off_resonance(paper):
    off = paper.off.at(paper.off.low_mev, 80) - paper.off.at(paper.off.low_mev, 16)
    assert off == pytest.approx(0.87, abs=0.05)


def test_the_line_shifts_to_the_red_past_resonance(paper):
    pump_nm = np.array(SCANNED_NM, dtype=float)
    lower = (1e3 * fit.lines[0].center_ev for fit in paper.excitation)
    peak_nm = np.array([HC / low_mev for low_mev in lower])
    assert peak_nm[-1] - peak_nm[0] == pytest.approx(0.842, abs=0.02)
    assert 520 < broken_line(pump_nm, peak_nm, np.ones(pump_nm.size)) < 528


def test_the_lines_are_polarized(found, truth):
    low, high, spe = (malus.dolp for malus in found.on_polarized)
    assert low == pytest.approx(truth.low_dolp, abs=0.02)
    assert high == pytest.approx(truth.high_dolp, abs=0.02)
    assert spe == pytest.approx(truth.spe_dolp, abs=0.02)


def test_the_lines_are_more_polarized_than_the_band(paper):
    low, high, spe = (malus.dolp for malus in paper.on_polarized)
    assert low > 0.85
    assert high > 0.97
    assert spe < 0.4


def test_the_lines_are_less_polarized_off_resonance(found, truth):
    off, on = found.off_polarized[0].dolp, found.on_polarized[0].dolp
    assert off == pytest.approx(truth.low_dolp_off, abs=0.02)
    assert off < on - 0.05


def test_the_lines_are_crossed(found, truth):
    low, high, spe = (malus.axis_deg for malus in found.on_polarized)
    assert low == pytest.approx(truth.axis, abs=0.5)
    assert spe == pytest.approx(truth.axis, abs=0.5)
    assert abs(high - low) == pytest.approx(90.0, abs=0.5)


def test_two_lifetimes(found, truth, fit_decays):
    decays = found.seen.decays
    bins = int(1e12 / decays.sync_hz / decays.width_ps)

    fast, slow, _ = fit_decays(decays.decay, decays.response, bins, decays.width_ps)

    assert decays.decay.sum() == 1_000_000
    assert fast == pytest.approx(truth.lifetimes[0], rel=0.02)
    assert slow == pytest.approx(truth.lifetimes[1], rel=0.022)


def test_the_histogram_is_one_period_of_the_laser(found, truth):
    decays = found.seen.decays
    bins = 1e12 / truth.sync / decays.width_ps
    assert decays.sync_hz == truth.sync
    assert np.flatnonzero(decays.decay)[-1] in {int(bins) - 1, int(bins)}


def test_the_period_is_no_whole_number_of_bins(paper):
    decays = paper.seen.decays
    bins = 1e12 / decays.sync_hz / decays.width_ps
    assert bins == pytest.approx(3205.13, abs=0.005)


def test_a_line_of_the_lamp_has_the_width_of_the_spectrometer(found, truth):
    assert found.neon_mev == pytest.approx(truth.resolution, abs=0.025)


def test_the_resolution_is_700_microelectronvolts(paper):
    assert 0.68 < paper.neon_mev < 0.73


def test_the_pump_is_between_1_5_and_2_nm_wide(found):
    assert found.pump_band_nm == pytest.approx(1.80, abs=0.05)


def test_the_laser_has_its_power_on_resonance(found, truth):
    assert found.seen.powers.most_526 == pytest.approx(truth.most_526, rel=0.025)


def test_the_power_at_the_sample_spans_what_is_needed(paper):
    powers = paper.seen.powers
    assert powers.most_700 == pytest.approx(287.0, rel=0.025)
    assert powers.least_526 < 0.010
    assert powers.none < 1e-4


@pytest.mark.parametrize("kelvin", COLD_K)
def test_the_fine_structure_needs_the_cryostat(travelled, kelvin):
    """Between the axes of the lines the spectrum has two maxima up to 40 K."""
    counts = savgol_filter(travelled.spectra[kelvin].spectrum.counts, 9, 2)
    maxima, _ = find_peaks(counts, prominence=counts.max() / 100)
    assert len(maxima) == (2 if kelvin <= 40 else 1)


def test_the_gap_opens_with_temperature(travelled):
    spectra = travelled.spectra
    band = {kelvin: 1e3 * spectra[kelvin].fit().spe.center_ev for kelvin in WARM_K}
    shift = band[WARM_K[-1]] - band[WARM_K[0]]
    assert shift == pytest.approx(23.6 / 99 * (WARM_K[-1] - WARM_K[0]), rel=0.1)
    assert list(band.values()) == sorted(band.values())


def test_the_crystal_is_seen_confocally(travelled):
    assert half_width(*travelled.confocal.lateral) == pytest.approx(0.85, rel=0.05)
    assert half_width(*travelled.confocal.axial) == pytest.approx(3.9, rel=0.05)
