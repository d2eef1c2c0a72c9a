"""The chip of the camera in its light: exposures, and frames that are read out."""

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from ioc_sim import camera
from ioc_sim.exposure import Exposure, Illumination
from ioc_sim.random_streams import stream
from ioc_sim.sample import Ccd

__all__ = ["Sensor"]

FloatArray = npt.NDArray[np.float64]


class Sensor:
    """Collects charge while it is exposed, and turns it into counts.

    Parameters
    ----------
    seed
        Seed of the bench; with the number of a frame it draws its noise.
    ccd
        Parameters of the camera.
    illuminate
        Gives what falls on the chip between two times, part by part.
    """

    def __init__(
        self,
        seed: int,
        ccd: Ccd,
        illuminate: Callable[[float, float], Iterable[Illumination]],
    ) -> None:
        self._seed = seed
        self._ccd = ccd
        self._illuminate = illuminate

    def gain_e_per_adu(self, preamp_gain: float = 1.0) -> float:
        """Give the camera's gain, in e-/ADU.

        Parameters
        ----------
        preamp_gain
            Gain of the preamplifier.
        """
        return self._ccd.gain / preamp_gain

    def full_well_e(self, setting: camera.ReadOut) -> float:
        """Give the charge that a pixel of a frame holds, in e-.

        Parameters
        ----------
        setting
            How the chip is read out.
        """
        return setting.well(self._ccd)

    def frame(
        self,
        start_s: float,
        exposure_s: float,
        counter: int,
        *,
        preamp_gain: float = 1.0,
    ) -> npt.NDArray[np.uint16]:
        """Take one frame: what the bench did during the exposure, as counts.

        Parameters
        ----------
        start_s
            Start of the exposure, in simulated seconds; it has ended by now.
        exposure_s
            Exposure, in simulated seconds; nought gives bias and read noise.
        counter
            Number of the frame; the same number draws the same noise.
        preamp_gain
            Gain of the preamplifier.

        Returns
        -------
        :
            Counts in ADU; shape ``(1024,)``.
        """
        setting = camera.ReadOut(preamp_gain=preamp_gain)
        return self.read_out(start_s, exposure_s, counter, setting)[0]

    def read_out(
        self, start_s: float, exposure_s: float, counter: int, setting: camera.ReadOut
    ) -> npt.NDArray[np.uint16]:
        """Take one frame, read out as a line or as an image.

        Parameters
        ----------
        start_s, exposure_s, counter
            As of `frame`.
        setting
            How the chip is read out.

        Returns
        -------
        :
            Counts in ADU; in the shape of the setting.
        """
        exposure = self.expose(start_s, exposure_s)
        exposure.finish()
        return self.develop(exposure, counter, setting)

    def expose(self, start_s: float, exposure_s: float) -> Exposure:
        """Begin an exposure, to be integrated while it lasts.

        Parameters
        ----------
        start_s, exposure_s
            Start and length, in simulated seconds; nought gives bias and read noise.
        """
        return Exposure(start_s, exposure_s, self._illuminate)

    def develop(
        self, exposure: Exposure, counter: int, setting: camera.ReadOut
    ) -> npt.NDArray[np.uint16]:
        """Read out an exposure that is done.

        Parameters
        ----------
        exposure
            What fell on the chip.
        counter, setting
            As of `read_out`.

        Returns
        -------
        :
            Counts in ADU; in the shape of the setting.
        """
        ccd, length_s = self._ccd, exposure.exposure_s
        rng = stream(self._seed, "ccd", counter)
        if setting.image:
            charge = camera.expose_chip(
                exposure.light, exposure.diffuse, length_s, rng, ccd
            )
        else:
            charge = camera.expose_line(exposure.charge, length_s, rng, ccd)
        return camera.read_out(charge, rng, setting=setting, ccd=ccd)

    def saturation_level(self, setting: camera.ReadOut) -> int:
        """Give the count from which on a pixel is saturated.

        Parameters
        ----------
        setting
            How the chip is read out.
        """
        return camera.saturation_level(setting, self._ccd)

    def expected_charge(self, start_s: float, exposure_s: float) -> FloatArray:
        """Integrate light, room light and dark current over an exposure.

        Parameters
        ----------
        start_s, exposure_s
            Start and length of the exposure, in simulated seconds.

        Returns
        -------
        :
            Expected electrons; shape ``(1024,)``.
        """
        exposure = self.expose(start_s, exposure_s)
        exposure.finish()
        return exposure.charge
