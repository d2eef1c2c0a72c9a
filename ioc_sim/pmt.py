"""The photomultiplier behind the exit slit: what it sees, and its pulses."""

import math

import numpy as np
from scipy.special import gammaincc

from ioc_sim import detection
from ioc_sim.counting import Arrivals
from ioc_sim.light_path import BenchState, LightPath
from ioc_sim.sample import Sample, Tcspc

__all__ = ["noise_rate", "photoelectrons", "pulse_share", "sensitivity"]


def photoelectrons(path: LightPath, state: BenchState, sample: Sample) -> Arrivals:
    """Give the photoelectrons that the light sets free, without dark counts.

    Parameters
    ----------
    path
        The light path up to the spectrometer.
    state
        Its state.
    sample
        Parameters of the bench.

    Returns
    -------
    :
        Photoelectrons per second whose pulses pass the discriminator at its nominal
        level, at the nominal voltage.
    """
    if state.exit_port == 0 or state.grating == 0:
        return Arrivals(steady=state.stray_light)
    spectrometer = sample.spectrometer
    edges = np.array(
        detection.passband(
            state.spec_nm, state.exit_slit_um, spectrometer, state.grating
        )
    )
    passed = state.exit_port * detection.slit_throughput(state.slit_um, spectrometer)
    passed *= sample.tcspc.efficiency
    decays: list[tuple[float, float]] = []
    prompt = 0.0
    if state.power_uw > 0:
        spread = detection.line_spread(state.slit_um, spectrometer, state.grating)
        for line, share in path.lines(state):
            rate = 2 * sample.ccd.efficiency * line.rate * share * passed
            rate *= float(detection.line_spectrum(edges, line, spread)[0])
            decays.append((line.lifetime_ps, rate))
        prompt = float(path.scattered(state, edges)[0]) * passed
    steady = state.stray_light + float(path.lamp_rate(state, edges)[0]) * passed
    return Arrivals(prompt=prompt, decays=tuple(decays), steady=steady)


def pulse_share(level_mv: float, volts: float, tcspc: Tcspc) -> float:
    r"""Share of the single-photoelectron pulses that are higher than a level.

    :math:`Q(k, k L/\bar h)` with :math:`k = 1/s^2` for the relative spread :math:`s`
    (Polya's distribution of the multiplication) and the mean height
    :math:`\bar h = h_0 (U/U_0)^\kappa`.

    Parameters
    ----------
    level_mv
        Level of the discriminator.
    volts
        High voltage, nought if it is off.
    tcspc
        Parameters of the detector.
    """
    if volts <= 0:
        return 0.0
    gain = (volts / tcspc.pmt_voltage) ** tcspc.gain_exponent
    shape = 1 / tcspc.pulse_spread**2
    return float(gammaincc(shape, shape * level_mv / (tcspc.pulse_height * gain)))


def sensitivity(level_mv: float, volts: float, tcspc: Tcspc) -> float:
    """Give the counts per photoelectron relative to the nominal level and voltage.

    Arguments as of `pulse_share`.
    """
    nominal = pulse_share(tcspc.cfd_level, tcspc.pmt_voltage, tcspc)
    return pulse_share(level_mv, volts, tcspc) / nominal


def noise_rate(level_mv: float, tcspc: Tcspc) -> float:
    r"""Rate at which the amplifier's noise crosses a level, in 1/s.

    Rice's :math:`f_0\,e^{-L^2/2\sigma^2}` for Gaussian noise.

    Parameters
    ----------
    level_mv
        Level of the discriminator.
    tcspc
        Parameters of the detector.

    References
    ----------
    S. O. Rice, "Mathematical analysis of random noise" (1945).
    """
    height = level_mv / tcspc.amplifier_noise
    return tcspc.noise_bandwidth * 1e6 * math.exp(-(height**2) / 2)
