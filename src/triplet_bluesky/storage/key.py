"""The key that opens the Tiled server, kept in a file that its owner alone can read."""

import contextlib
import os
import secrets
import stat
from pathlib import Path

from triplet_bluesky.errors import StorageError

__all__ = ["ensure_key", "read_key"]

KEY_BYTES = 32
"""Length of a new key; 256 random bits cannot be guessed."""

OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""Permission bits of everybody but the owner."""


def ensure_key(file: Path) -> str:
    """Return the key in the file, after making the file where there is none.

    Parameters
    ----------
    file
        The key file.

    Returns
    -------
    str
        The key; it belongs in a request's header, never in an address or a log.

    Raises
    ------
    StorageError
        The file is not one that `read_key` accepts.
    """
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        with os.fdopen(os.open(file, flags, 0o600), "w", encoding="ascii") as new:
            new.write(secrets.token_hex(KEY_BYTES))
    return read_key(file)


def read_key(file: Path) -> str:
    """Return the key in the file.

    Parameters
    ----------
    file
        The key file.

    Returns
    -------
    str
        The key.

    Raises
    ------
    StorageError
        There is no such file, others can read it, or it holds no key.
    """
    try:
        with file.open(encoding="ascii", errors="replace") as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            key = opened.read().strip()
    except OSError as error:
        msg = (
            f"got no key from {file}: {error.strerror}; expected the file that the "
            "Tiled server makes when it first starts; start it (triplet up)"
        )
        raise StorageError(msg) from error
    if mode & OTHERS:
        msg = (
            f"got the key file {file} with mode {mode:04o}, which others can use; "
            f"expected 0600; if nobody has read it: chmod 600 {file}"
        )
        raise StorageError(msg)
    if not (key.isascii() and key.isalnum()):
        msg = (
            f"got no key in {file}: expected letters and digits alone; stop the "
            "server, remove the file and start it again to have a new key"
        )
        raise StorageError(msg)
    return key
