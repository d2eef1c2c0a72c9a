"""The instruments of the bench as ophyd devices."""

from triplet_bluesky.devices.analyser import Analyser
from triplet_bluesky.devices.bench import Bench
from triplet_bluesky.devices.ccd import CCD
from triplet_bluesky.devices.ccd_images import CCDImages
from triplet_bluesky.devices.channels import mend_control_layer
from triplet_bluesky.devices.cryostat import Cryostat
from triplet_bluesky.devices.hdf5 import FramesFolder
from triplet_bluesky.devices.ioc import IocStatus
from triplet_bluesky.devices.laser import Laser
from triplet_bluesky.devices.objective import Objective
from triplet_bluesky.devices.power_control import PowerControl
from triplet_bluesky.devices.shutter import Shutter
from triplet_bluesky.devices.spectrometer import Spectrometer
from triplet_bluesky.devices.tcspc import TCSPC
from triplet_bluesky.devices.tunable_filter import TunableFilter

__all__ = [
    "CCD",
    "TCSPC",
    "Analyser",
    "Bench",
    "CCDImages",
    "Cryostat",
    "FramesFolder",
    "IocStatus",
    "Laser",
    "Objective",
    "PowerControl",
    "Shutter",
    "Spectrometer",
    "TunableFilter",
]

mend_control_layer()
