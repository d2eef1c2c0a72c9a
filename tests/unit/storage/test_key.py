"""The API key is made once and is its owner's alone."""

import stat

import pytest

from triplet_bluesky.errors import StorageError
from triplet_bluesky.storage.key import ensure_key, read_key


def test_key_is_made_once_for_its_owner_alone(tmp_path):
    file = tmp_path / "tiled" / "api-key"

    key = ensure_key(file)

    assert ensure_key(file) == read_key(file) == key
    assert len(key) == 64
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_two_keys_differ(tmp_path):
    assert ensure_key(tmp_path / "a") != ensure_key(tmp_path / "b")


def test_missing_key_says_how_to_get_one(tmp_path):
    with pytest.raises(StorageError, match="start it"):
        read_key(tmp_path / "api-key")


def test_key_that_others_can_read_is_refused(tmp_path):
    file = tmp_path / "api-key"
    key = ensure_key(file)
    file.chmod(0o640)

    with pytest.raises(StorageError, match=r"mode 0640.*chmod 600") as caught:
        read_key(file)

    assert key not in str(caught.value)


@pytest.mark.parametrize("text", ["", "a b", "a?b", "ä"])
def test_file_without_a_key_is_refused(tmp_path, text):
    file = tmp_path / "api-key"
    ensure_key(file)
    file.write_text(text, encoding="utf-8")

    with pytest.raises(StorageError, match="letters and digits"):
        read_key(file)
