"""Callbacks on stored documents, and callbacks that cannot stop a scan."""

import logging
from collections.abc import Callable, Iterable
from typing import Any, cast

from bluesky.callbacks.core import make_callback_safe

__all__ = ["isolated", "replay"]

logger = logging.getLogger(__name__)

Callback = Callable[..., Any]


def isolated(callback: Callback) -> Callback:
    """Keep a callback's exceptions from stopping the scan; they go to the log.

    Parameters
    ----------
    callback
        What is called with the name and the content of each document.

    Returns
    -------
    :
        The same, except that it never raises.
    """
    return cast("Callback", make_callback_safe(callback, logger=logger))


def replay(documents: Iterable[tuple[str, Any]], callback: Callback) -> None:
    """Give the documents of a stored run to a callback, as if it ran now.

    Parameters
    ----------
    documents
        Pairs of name and document.
    callback
        What is called with each pair.
    """
    for name, document in documents:
        callback(name, document)
