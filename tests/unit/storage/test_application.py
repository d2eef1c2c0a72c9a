"""What the server's application refuses and what it is configured to keep."""

import asyncio

import pytest

from triplet_bluesky.storage import application
from triplet_bluesky.storage.application import WithoutZarr, configuration, prepare


def ask(path, kind):
    """Return what is sent in answer to a request, None where it is passed on."""
    sent = []

    async def inner(scope, receive, send):  # noqa: ARG001 - the ASGI signature
        sent.append(None)

    async def send(message):
        sent.append(message)

    asyncio.run(WithoutZarr(inner)({"type": kind, "path": path}, None, send))
    return sent


@pytest.mark.parametrize("path", ["/zarr", "/zarr/", "/zarr/v2/", "/zarr/v3/uid/c/0"])
def test_zarr_is_not_found(path):
    begin, body = ask(path, "http")

    assert begin["status"] == 404
    assert body["body"] == b"Not Found"


def test_zarr_websocket_is_closed():
    assert ask("/zarr/v2/", "websocket") == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("path", ["/", "/api/v1/", "/zarrs", "/api/v1/zarr/"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_everything_else_is_passed_on(path, kind):
    assert ask(path, kind) == [None]


def test_start_and_end_of_the_server_are_passed_on():
    assert ask("", "lifespan") == [None]


def test_configuration_closes_what_tiled_leaves_open(tmp_path):
    settings = configuration(tmp_path, tmp_path / "frames", "key")

    assert settings["authentication"]["allow_anonymous_access"] is False
    assert settings["expose_raw_assets"] is False


@pytest.mark.filterwarnings("ignore:No path_separator:DeprecationWarning")
def test_directory_that_is_prepared_is_left_as_it_is(tmp_path):
    prepare(tmp_path, tmp_path / "frames")
    before = (tmp_path / "catalogue.db").read_bytes()

    prepare(tmp_path, tmp_path / "frames")

    assert (tmp_path / "catalogue.db").read_bytes() == before


@pytest.mark.filterwarnings("ignore:No path_separator:DeprecationWarning")
def test_start_that_was_cut_short_is_made_good(tmp_path, monkeypatch):
    def cut_short(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(application, "stamp_head", cut_short)
        with pytest.raises(KeyboardInterrupt):
            prepare(tmp_path, tmp_path / "frames")

    prepare(tmp_path, tmp_path / "frames")

    assert {f.name for f in tmp_path.iterdir()} == {"arrays", "catalogue.db", "frames"}
