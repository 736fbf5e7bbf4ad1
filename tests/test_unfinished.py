"""What a killed process leaves is known, reported and removed by the next run; its workers end with it."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mien.cluster import whole_folder
from mien.unfinished import MARK, SILENT_S, is_gone, mark, remove_left, this_process

PATIENCE_S = 120.0

KILLED_HALF_WAY = """
import os, signal, sys
from pathlib import Path
from mien.cluster import whole_folder
with whole_folder(Path(sys.argv[1])) as scratch:
    (scratch / "still.jpg").write_text("a face")
    os.kill(os.getpid(), signal.SIGKILL)
"""

SLOW = """
import multiprocessing, os, sys, time
from dataclasses import dataclass
from pathlib import Path
from mien.cluster import AnalysisOptions, analyze_files


@dataclass(frozen=True)
class Slow(AnalysisOptions):
    def analyzer(self):
        if multiprocessing.parent_process() is not None:
            Path("worker-" + str(os.getpid())).touch()
            time.sleep(3600)


if __name__ == "__main__":
    list(analyze_files(["a.png", "b.png"], [Path("a.mien"), Path("b.mien")], Slow(), jobs=2))
"""


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="kills with a signal")
def test_what_a_killed_run_left_is_removed_by_the_next_one_which_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED_HALF_WAY, str(tmp_path / "talk.mien")], timeout=PATIENCE_S, check=False)
    assert ended.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".talk.mien-")
    assert listing(left) == [MARK, "still.jpg"]
    with caplog.at_level(logging.WARNING), whole_folder(tmp_path / "other.mien") as scratch:
        (scratch / "a.txt").write_text("a")
    assert listing(tmp_path) == ["other.mien"]
    assert listing(tmp_path / "other.mien") == ["a.txt"]  # no mark in what is whole
    assert f"{left}: was left unfinished by a run that was killed, and is removed" in caplog.text


def test_what_somebody_is_making_and_what_is_nobodys_mark_stays(tmp_path: Path) -> None:
    for name in (".mine-1", ".foreign-2", ".broken-3", ".other-4", "shown-5"):
        (tmp_path / name).mkdir()
    mark(tmp_path / ".mine-1")
    mark(tmp_path / "shown-5")
    (tmp_path / ".broken-3" / MARK).write_text("{")
    (tmp_path / ".other-4" / MARK).write_text(json.dumps(this_process() | {"machine": "another"}))
    assert remove_left(tmp_path) == []
    assert is_gone(this_process()) is False or os.name != "posix"
    old = time.time() - SILENT_S - 60
    for path in (tmp_path / ".other-4" / MARK, tmp_path / ".other-4"):
        os.utime(path, (old, old))
    assert remove_left(tmp_path) == [tmp_path / ".other-4"]
    assert listing(tmp_path) == [".broken-3", ".foreign-2", ".mine-1", "shown-5"]


@pytest.mark.skipif(os.name != "posix", reason="Windows gives no number that is surely no process")
def test_a_number_that_was_given_anew_is_another_process() -> None:
    mine = this_process()
    assert is_gone(mine) is False
    assert is_gone(mine | {"machine": "another"}) is None
    assert is_gone({}) is None
    if mine["began"]:
        assert is_gone(mine | {"began": "1"}) is True


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="kills with a signal")
def test_workers_end_with_who_began_them(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    parent = subprocess.Popen([sys.executable, "slow.py"], cwd=tmp_path)
    workers: list[int] = []
    try:
        end = time.monotonic() + PATIENCE_S
        while len(workers) < 2 and parent.poll() is None and time.monotonic() < end:
            workers = [int(path.name.partition("-")[2]) for path in tmp_path.glob("worker-*")]
            time.sleep(0.05)
        assert len(workers) == 2
        parent.kill()
        parent.wait()
        end = time.monotonic() + PATIENCE_S
        while any(map(lives, workers)) and time.monotonic() < end:
            time.sleep(0.05)
        assert [pid for pid in workers if lives(pid)] == []
    finally:
        for pid in (parent.pid, *workers):
            if lives(pid):
                os.kill(pid, signal.SIGKILL)


def lives(pid: int) -> bool:
    """Whether a process is there and has not only ended without anybody asking how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        pass
    if Path("/proc/self").exists():
        return False
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
