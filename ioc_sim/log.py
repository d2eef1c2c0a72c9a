"""What the simulator says on stderr: one line each, also for caproto."""

import enum
import logging

from ioc_sim.channels import RefusedPutError

__all__ = ["LogLevel", "set_up_logging"]


class LogLevel(enum.StrEnum):
    """How much to say."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class _Brief(logging.Filter):
    """Drops caproto's tracebacks of puts that the instruments have refused.

    The refusal itself is logged by the instrument, in one line. A beacon that nobody
    hears is no error: the repeater of this host may come and go.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, RefusedPutError):
            return False
        if isinstance(error, OSError) and "beacon" in record.getMessage():
            record.levelno, record.levelname = logging.DEBUG, "DEBUG"
            record.exc_info = None
            return logging.getLogger().isEnabledFor(logging.DEBUG)
        return True


def set_up_logging(level: LogLevel) -> None:
    """Log to stderr.

    Parameters
    ----------
    level
        The least important level to show.
    """
    handler = logging.StreamHandler()
    handler.addFilter(_Brief())
    logging.basicConfig(
        level=level.name,
        handlers=[handler],
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
