"""Ends the services of a caller that was killed before it could do so itself.

Run as ``python -m triplet_bluesky.services.guard STATE_DIR``, it reads records of
started processes from its standard input, one a line. The other end of that pipe is
held by the caller alone, so its end of file means that the caller is gone, however that
came about; the guard then ends what still runs, and itself.
"""

import sys
from pathlib import Path

from triplet_bluesky.services.process import Record, end, forget

__all__ = ["main"]


def main(state_dir: Path) -> None:
    """Wait for the end of the caller, then end what it has left running.

    Parameters
    ----------
    state_dir
        Where the state files of the guarded services are.
    """
    records = [Record.loads(line) for line in sys.stdin]
    end(records)
    forget(records, state_dir)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
