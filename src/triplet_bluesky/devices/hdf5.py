"""The HDF5 writer of a camera, by the names of areaDetector's NDFileHDF5."""

from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal, EpicsSignalRO

from triplet_bluesky.devices.operation import label, read_fresh
from triplet_bluesky.devices.settable import Choice, Settable
from triplet_bluesky.errors import AcquireError

__all__ = ["DATASET", "FramesFolder", "Hdf5Writer", "Setting"]

DATASET = "/entry/data/data"
"""Where NDFileHDF5 puts the frames: a dataset (frame, row, column)."""

WRITTEN = "Write OK"
EXISTS = "Yes"
SEPARATORS = "/\\"


@dataclass(frozen=True, slots=True, kw_only=True)
class FramesFolder:
    r"""The folder for files of frames, which two computers may know by two names.

    Parameters
    ----------
    local
        As this session and the Tiled server see it; absolute.
    ioc
        As the IOC sees it, with the separators of its system; by default the same.

    Examples
    --------
    >>> folder = FramesFolder(local=Path("/mnt/frames"), ioc="D:\\frames")
    >>> str(folder.for_ioc("2026-11-22"))
    'D:\\frames\\2026-11-22'
    >>> folder.from_ioc("D:\\frames\\2026-11-22\\a_0001.h5").as_posix()
    '/mnt/frames/2026-11-22/a_0001.h5'
    """

    local: Path
    ioc: str | None = None

    @property
    def _root(self) -> PurePath:
        name = str(self.local) if self.ioc is None else self.ioc
        windows = PureWindowsPath(name)
        return windows if windows.drive else PurePosixPath(name)

    def for_ioc(self, name: str) -> PurePath:
        """Give the name that the IOC has for a folder in here.

        Parameters
        ----------
        name
            Relative to this folder.

        Returns
        -------
        :
            Absolute, in the words of the IOC's system.
        """
        return self._root / name

    def from_ioc(self, name: str) -> Path:
        """Give the name that this computer has for a file of the IOC.

        Parameters
        ----------
        name
            Absolute, as the IOC reports it.

        Returns
        -------
        :
            Absolute, on this computer.

        Raises
        ------
        AcquireError
            If the file is outside this folder.
        """
        file = type(self._root)(name)
        if ".." in file.parts or not file.is_relative_to(self._root):
            msg = f"got the file {name!r} from the IOC; expected one in {self._root}"
            raise AcquireError(msg)
        return self.local.joinpath(*file.relative_to(self._root).parts)


class Setting(Settable):
    """A text or number of a plugin, which states no limits for it."""

    def check_value(self, value: Any, **_: Any) -> None:
        """Refuse nothing: the read-back tells what the IOC made of it."""

    def agrees(self, value: Any, readback: Any) -> bool:
        """Tell whether the read-back is the wanted value."""
        return bool(readback == value)


class TextSetting(Setting):
    """A text; folders get a separator at their end from the IOC."""

    setpoint = Cpt(EpicsSignal, "", string=True, kind="omitted")
    readback = Cpt(EpicsSignalRO, "_RBV", string=True, kind="normal")

    def agrees(self, value: str, readback: str) -> bool:
        """Tell whether the texts are equal but for separators at the end."""
        return value.rstrip(SEPARATORS) == readback.rstrip(SEPARATORS)


class Hdf5Writer(Device):
    """The ``HDF1:`` records that the bench uses."""

    enable = Cpt(Choice, "EnableCallbacks", kind="omitted")
    file_path = Cpt(TextSetting, "FilePath", kind="omitted")
    file_path_exists = Cpt(
        EpicsSignalRO, "FilePathExists_RBV", string=True, kind="omitted"
    )
    create_directory = Cpt(Setting, "CreateDirectory", kind="omitted")
    file_name = Cpt(TextSetting, "FileName", kind="omitted")
    file_number = Cpt(Setting, "FileNumber", kind="omitted")
    file_template = Cpt(TextSetting, "FileTemplate", kind="omitted")
    auto_increment = Cpt(Choice, "AutoIncrement", kind="omitted")
    file_write_mode = Cpt(Choice, "FileWriteMode", kind="omitted")
    lazy_open = Cpt(Choice, "LazyOpen", kind="omitted")
    num_capture = Cpt(Setting, "NumCapture", kind="omitted")
    capture = Cpt(EpicsSignal, "Capture", kind="omitted")
    capturing = Cpt(EpicsSignalRO, "Capture_RBV", kind="omitted")
    num_captured = Cpt(EpicsSignalRO, "NumCaptured_RBV", kind="omitted")
    full_file_name = Cpt(EpicsSignalRO, "FullFileName_RBV", string=True, kind="omitted")
    write_status = Cpt(EpicsSignalRO, "WriteStatus", string=True, kind="omitted")
    write_message = Cpt(EpicsSignalRO, "WriteMessage", string=True, kind="omitted")
    dropped_arrays = Cpt(EpicsSignalRO, "DroppedArrays_RBV", kind="omitted")
    unique_id = Cpt(EpicsSignalRO, "UniqueId_RBV", kind="omitted")
    columns = Cpt(EpicsSignalRO, "ArraySize0_RBV", kind="omitted")
    rows = Cpt(EpicsSignalRO, "ArraySize1_RBV", kind="omitted")

    def check_folder(self, folder: PurePath) -> None:
        """Refuse a folder in which the IOC cannot write files.

        Parameters
        ----------
        folder
            What ``FilePath`` has been set to.

        Raises
        ------
        AcquireError
            With what to do about it.
        """
        if read_fresh(self.file_path_exists) != EXISTS:
            msg = (
                f"{label(self)}: got the folder {folder}, which the IOC neither has "
                f"nor can make; expected {folder.parent} to be a folder that the IOC "
                "can write in; make it, or correct frames_dir or ioc_frames_dir in "
                "the settings"
            )
            raise AcquireError(msg)

    def check_status(self) -> None:
        """Raise if the writer has failed.

        Raises
        ------
        AcquireError
            With what the IOC says.
        """
        status = read_fresh(self.write_status)
        if status != WRITTEN:
            said = read_fresh(self.write_message)
            msg = f"{label(self)}: {status}; the IOC says: {said or 'nothing'}"
            raise AcquireError(msg)
