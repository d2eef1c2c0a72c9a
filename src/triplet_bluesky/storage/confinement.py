"""Keep Tiled to the files that it is there for.

Tiled compares the names of files with those of its folders only when it reads, and
does not look at ``..`` and links: who may write could have any file read. Here it
refuses to take such a file in, which also tells a writer at once that the server does
not see the folder in which files are written.
"""

from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from fastapi import HTTPException
from tiled.catalog.adapter import CatalogNodeAdapter
from tiled.storage import FileStorage, Storage
from tiled.utils import path_from_uri

__all__ = ["confine", "is_inside"]

PUT_ASSET = CatalogNodeAdapter._put_asset  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the one place through which every file gets into a catalogue


def is_inside(uri: str, storages: Iterable[Storage]) -> bool:
    """Tell whether something lies in one of the server's storages.

    Parameters
    ----------
    uri
        Of a file or of a database.
    storages
        Of the server.

    Returns
    -------
    bool
        True for a file whose path, all links followed, is below a folder of the server,
        and for a database of the server.
    """
    storages = list(storages)
    if urlparse(uri).scheme != "file":
        return uri in {storage.uri for storage in storages}
    file = path_from_uri(uri).resolve()
    folders = [storage.path for storage in storages if isinstance(storage, FileStorage)]
    return any(file.is_relative_to(Path(folder).resolve()) for folder in folders)


async def _put_asset(self: Any, db: Any, asset: Any) -> Any:
    """Take a file in, if it lies in the storage."""
    if not is_inside(asset.data_uri, self.context.readable_storage.values()):
        detail = (
            f"got {asset.data_uri}, which is outside the folders of this Tiled server; "
            "expected a file in the folder that it was started with (frames_dir)"
        )
        raise HTTPException(HTTPStatus.FORBIDDEN, detail)
    return await PUT_ASSET(self, db, asset)


def confine() -> None:
    """Let Tiled catalogues of this process take only files of their storage."""
    CatalogNodeAdapter._put_asset = _put_asset  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
