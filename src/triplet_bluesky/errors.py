"""What can go wrong, as one tree.

* BenchError
  x SettingsError
  x DeviceError
    + ConnectError
    + MoveError
    + AcquireError
  x PlanError
  x FitError
  x StorageError
  x ServiceError
"""

__all__ = [
    "AcquireError",
    "BenchError",
    "ConnectError",
    "DeviceError",
    "FitError",
    "MoveError",
    "PlanError",
    "ServiceError",
    "SettingsError",
    "StorageError",
]


class BenchError(Exception):
    """Base of every error that triplet_bluesky raises by itself."""


class SettingsError(BenchError):
    """The settings have a key or a value that the bench does not know."""


class DeviceError(BenchError):
    """An instrument did not do what it was asked to."""


class ConnectError(DeviceError):
    """PVs of an instrument did not connect in time."""


class MoveError(DeviceError):
    """An axis was asked to go where it cannot, or did not arrive."""


class AcquireError(DeviceError):
    """A detector did not deliver a frame that can be used."""


class PlanError(BenchError, ValueError):
    """A plan was called with arguments that the bench cannot carry out."""


class FitError(BenchError, ValueError):
    """A fit was called with arrays that do not belong together."""


class StorageError(BenchError):
    """A run could not be stored or read back."""


class ServiceError(BenchError):
    """A background service did not start, or is not the one expected."""
