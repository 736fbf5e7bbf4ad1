"""The process that analyses one file: what it answers, its limits, and that it never outlives the server."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from media_files import png_header
from mien.cluster import RESULT_FILES
from mien.types import Timeline
from mien.web.tasks.child import is_about_memory

pytestmark = pytest.mark.process

MEMORY_MIB = 4096


class Worker:
    """The process, as the server starts it."""

    def __init__(self, folder: Path, source: Path, *, memory_max_mib: int = MEMORY_MIB, **options: Any) -> None:
        task = {"source": str(source), "folder": str(folder), "name": "Zoë's talk.mp4", "memory_max_mib": memory_max_mib}
        command = [sys.executable, "-P", "-m", "mien.web.analyses.worker"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, start_new_session=True
        )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(task | {"options": options}).encode() + b"\n")
        self.process.stdin.flush()

    def answers(self) -> Iterator[dict[str, Any]]:
        assert self.process.stdout is not None
        yield from map(json.loads, self.process.stdout)

    def end(self) -> tuple[int, str]:
        """Exit code and what it said beside its answers."""
        assert self.process.stderr is not None
        said = self.process.stderr.read().decode()
        code = self.process.wait(240)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        return code, said


def last(worker: Worker) -> dict[str, Any]:
    answers = list(worker.answers())
    code, said = worker.end()
    assert code == 0, said
    return answers[-1]


def test_a_film_is_analysed_and_told_of_ten_times_a_second_at_most(tmp_path: Path, carphone: Path) -> None:
    started = time.monotonic()
    worker = Worker(tmp_path, carphone)
    heard = list(worker.answers())
    code, said = worker.end()
    took_s = time.monotonic() - started
    assert code == 0, said
    assert heard[0] == {"progress": {"frames": 0, "done_s": 0.0, "total_s": None}}
    moving = [answer["progress"] for answer in heard[1:-1]]
    assert 3 <= len(moving) <= took_s * 10 + 1  # moments at which lines are read say nothing: several may have waited
    counts = [progress["frames"] for progress in moving]
    assert counts == sorted(counts)
    assert moving[-1]["total_s"] == pytest.approx(moving[-1]["done_s"], rel=0.5)
    done = heard[-1]["done"]
    assert (done["media"], done["people"], done["note"]) == ("video", 1, None)
    assert done["headline"].startswith("One face for ")
    assert sum(done["shares"].values()) == pytest.approx(1, abs=1e-3)
    assert done["looks_per_s"] > 0
    timeline = Timeline.load(tmp_path / "timeline.npz")
    assert (timeline.info.name, len(timeline)) == ("Zoë's talk.mp4", done["frames"])
    assert {p.name for p in (tmp_path / "result").iterdir()} == {*RESULT_FILES, "emotions.png", "annotated.mp4"}
    assert (tmp_path / "stills" / "1.jpg").is_file()


def test_a_picture_and_nothing_of_it_is_kept_that_was_not_asked_for(tmp_path: Path, hopper: Path) -> None:
    done = last(Worker(tmp_path, hopper, annotated=False, pictures=False))["done"]
    assert (done["media"], done["people"], done["duration_s"]) == ("picture", 1, None)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["result", "timeline.npz"]
    assert "annotated.png" not in {p.name for p in (tmp_path / "result").iterdir()}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"this is no film", "Zoë's talk.mp4: is not a picture or film that can be read"),
        (png_header(60_000, 60_000), "Zoë's talk.mp4: is 60000 × 60000 pixels, but at most 50 megapixels are read"),
    ],
    ids=["text", "bomb"],
)
def test_what_cannot_be_read_is_an_answer_in_plain_words(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "upload.bin").write_bytes(content)
    failed = last(Worker(tmp_path, tmp_path / "upload.bin", max_pixels=50_000_000))["failed"]
    assert failed.startswith(words)
    assert "upload.bin" not in failed


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are Linux's")
def test_more_memory_than_it_may_have_is_an_answer(tmp_path: Path, hopper: Path) -> None:
    failed = last(Worker(tmp_path, hopper, memory_max_mib=320))["failed"]
    assert failed == "Zoë's talk.mp4: needs more than the 320 MiB of memory that one file may take; make it smaller"


@pytest.mark.parametrize(
    ("said", "is_it"),
    [
        ("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 1 GiB", True),
        ("std::bad_alloc", True),
        ("OpenBLAS error: Memory allocation still failed after 10 retries, giving up.", True),
        ("[Errno 12] Cannot allocate memory", True),
        ("invalid data", False),
    ],
)
def test_words_that_mean_memory(said: str, is_it: bool) -> None:
    assert is_about_memory(said) is is_it


def test_it_ends_by_itself_when_the_server_is_gone(tmp_path: Path, carphone: Path) -> None:
    worker = Worker(tmp_path, carphone, every=None)  # each frame is looked at: it takes long
    answers = worker.answers()
    next(answers)
    next(answers)  # it is in the midst of it
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    assert worker.process.wait(120) == 3  # not 0, as after its work
    assert not (tmp_path / "result").exists()
    worker.process.stdout.close()  # type: ignore[union-attr]
    worker.process.stderr.close()  # type: ignore[union-attr]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="/proc is Linux's")
def test_it_takes_one_thread_at_low_priority_and_leaves_no_core_dump(tmp_path: Path, carphone: Path) -> None:
    worker = Worker(tmp_path, carphone, every=None)  # each frame is looked at: it takes long
    answers = worker.answers()
    next(answers)
    next(answers)
    place = Path("/proc") / str(worker.process.pid)
    nice = int((place / "stat").read_text().rpartition(")")[2].split()[16])
    limits = (place / "limits").read_text()
    os.killpg(worker.process.pid, signal.SIGKILL)
    worker.end()
    assert nice > os.nice(0)
    assert f"Max address space         {MEMORY_MIB * 2**20}" in limits
    assert "Max core file size        0" in limits
