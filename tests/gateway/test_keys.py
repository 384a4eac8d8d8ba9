"""The signing key: made once, kept private, never taken from a file that others can read."""

import os
import stat
from pathlib import Path

import pytest

from balise_gateway import keys
from balise_gateway.errors import KeyFileError


def test_made_once_and_private(tmp_path: Path) -> None:
    first = keys.load_or_make(tmp_path / "data")
    path = tmp_path / "data" / keys.FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size == 32
    assert keys.load_or_make(tmp_path / "data").public_key == first.public_key
    assert keys.load(tmp_path / "data").kid == first.kid
    assert sorted(entry.name for entry in path.parent.iterdir()) == [keys.FILE_NAME]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    keys.load_or_make(tmp_path)
    (tmp_path / keys.FILE_NAME).chmod(mode)
    with pytest.raises(KeyFileError, match=rf"mode {mode:04o}.*chmod 600"):
        keys.load_or_make(tmp_path)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_the_wrong_length_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / keys.FILE_NAME
    path.touch(mode=0o600)
    path.write_bytes(os.urandom(size))
    with pytest.raises(KeyFileError, match=rf"{size} bytes instead of 32.*backup"):
        keys.load_or_make(tmp_path)
    assert path.stat().st_size == size  # never over what is there


def test_a_half_made_key_is_made_again(tmp_path: Path) -> None:
    """A power cut while the key was written: only the draft is there."""
    (tmp_path / f"{keys.FILE_NAME}.new").write_bytes(b"half")
    assert keys.load_or_make(tmp_path).public_key
    assert (tmp_path / keys.FILE_NAME).stat().st_size == 32


def test_no_key_to_read(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="balise gateway run"):
        keys.load(tmp_path)


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeyFileError, match="writable"):
        keys.load_or_make(tmp_path / "file" / "data")
