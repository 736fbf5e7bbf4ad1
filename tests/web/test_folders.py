"""Counting what lies in folders."""

import os
from pathlib import Path

import pytest

from mien.web.folders import files, held


def test_files_are_counted_at_every_depth_and_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one").write_bytes(b"x" * 10)
    (tmp_path / "a" / "b" / "two").write_bytes(b"x" * 5)
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
    assert dict(files(tmp_path / "a" / "b")) == {tmp_path / "a" / "b" / "two": 5}
    assert held(tmp_path) == (2, 15)
    assert held(tmp_path / "nowhere") == (0, 0)


def test_what_goes_while_it_is_counted_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file and a folder, after they were listed."""
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(b"x")
        (tmp_path / f"{name}s").mkdir()
        (tmp_path / f"{name}s" / "in").write_bytes(b"x")
    real = os.walk

    def walk(folder: Path) -> object:
        for place, folders, names in real(folder):
            if Path(place) == tmp_path:
                (tmp_path / "b").unlink()
                (tmp_path / "bs" / "in").unlink()
                (tmp_path / "bs").rmdir()
            yield place, folders, names

    monkeypatch.setattr(os, "walk", walk)
    assert held(tmp_path) == (4, 4)
