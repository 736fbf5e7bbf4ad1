"""The data folder is for nobody but who runs the server."""

import os
import stat
from pathlib import Path

import pytest

from mien.web.app import create_app
from mien.web.services import make_private, private_files
from mien.web.settings import Settings

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has no such rights")


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def left_open(folder: Path) -> Path:
    """A data folder as earlier versions left it."""
    for name in (
        *("mien.sqlite3", "mien.sqlite3-wal", "server.lock", "certificate.pem"),
        *("jobs/a/result/faces.csv", "studies/b/participants/c/s1.log"),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.chmod(0o644)
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    return folder


def open_to_others(folder: Path) -> list[Path]:
    return [path for path in (folder, *folder.rglob("*")) if rights(path) & 0o077]


def test_a_folder_that_was_open_is_closed_with_all_that_is_in_it(tmp_path: Path) -> None:
    folder = left_open(tmp_path / "data")
    make_private(folder)
    assert open_to_others(folder) == []
    assert rights(folder / "jobs" / "a" / "result" / "faces.csv") == 0o600
    assert rights(folder) == rights(folder / "jobs" / "a") == 0o700


def test_a_folder_with_other_things_in_it_keeps_its_rights_and_theirs(tmp_path: Path) -> None:
    folder = left_open(tmp_path / "data")
    (folder / "thesis.txt").touch(0o644)
    (tmp_path / "films").mkdir(mode=0o755)
    (folder / "jobs" / "linked").symlink_to(tmp_path / "films")
    make_private(folder)
    assert set(open_to_others(folder)) == {folder, folder / "thesis.txt", folder / "jobs" / "linked"}
    assert rights(tmp_path / "films") == 0o755


def test_what_is_made_anew_is_closed(tmp_path: Path) -> None:
    with private_files():
        app = create_app(Settings(data_dir=tmp_path / "data"))
        (tmp_path / "data" / "jobs").mkdir()
        app.state.store.close()
    assert (tmp_path / "data" / "mien.sqlite3").is_file()
    assert open_to_others(tmp_path / "data") == []
    after = tmp_path / "after"
    after.touch()
    assert rights(after) == 0o666 & ~_umask()


def _umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now
