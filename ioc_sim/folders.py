"""Folders that a file writer may make."""

import logging
from pathlib import Path

__all__ = ["make_folder"]

logger = logging.getLogger(__name__)


def make_folder(path: Path, levels: int) -> bool:
    """Make a folder as far as it is allowed, and tell whether it is there.

    Parameters
    ----------
    path
        The folder.
    levels
        As of areaDetector's ``CreateDirectory``: from ``-N`` the last N folders of the
        path may be made, from ``N`` all but the first N, and none from 0.
    """
    if path.is_dir():
        return True
    missing = [part for part in (path, *path.parents) if not part.exists()]
    present = len(path.parts) - 1 - len(missing)
    allowed = len(missing) <= -levels if levels < 0 else 0 < levels <= present
    if allowed:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            logger.warning("%s cannot be made: %s", path, error.strerror)
    return path.is_dir()
