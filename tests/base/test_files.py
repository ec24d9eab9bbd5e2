from pathlib import Path

import pytest

from ucam.base.files import write_atomically


def test_content_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "token"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_content_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.mkdir()
    with pytest.raises(OSError):
        write_atomically(path, b"x")
    assert list(tmp_path.iterdir()) == [path]
