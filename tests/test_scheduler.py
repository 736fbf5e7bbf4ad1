"""Files on the workers of a Dask scheduler, of which one is killed."""

import json
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mien
from fakes import FakeOptions
from mien.cluster import Outcome, Task, analyze_file, analyze_files, result_folders
from mien.errors import ModelError
from mien.manifest import Manifest
from mien.scheduler import Scheduler, work
from test_cluster import portrait, short_film

OPTIONS = FakeOptions(annotated=False, pictures=False)


@pytest.fixture(autouse=True)
def _children_find_the_fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]))


def parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return None


def in_work(out: Path) -> list[int]:
    """The processes that have a claim."""
    pids = []
    for path in (out / ".manifest").glob("*.claim"):
        try:
            pids.append(json.loads(path.read_text())["pid"])
        except (OSError, ValueError):  # about to be written, or gone
            continue
    return pids


@pytest.mark.more
@pytest.mark.process
def test_each_file_is_done_once_though_a_worker_is_killed(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    names = [str(portrait(tmp_path / f"{i}.png")) for i in range(4)] + [str(short_film(tmp_path / "4.mp4"))]
    (tmp_path / "5.mp4").write_bytes(b"no film")
    names.append(str(tmp_path / "5.mp4"))
    out, gate = tmp_path / "out", tmp_path / "gate"
    kept, options = Manifest(out), replace(OPTIONS, gate=str(gate))
    killed: list[str] = []

    def kill(client: Any) -> None:
        """When both workers are in the midst of a file, which no file leaves before the gate is open."""

        def run() -> None:
            while len(in_work(out)) < 2:
                time.sleep(0.05)
            child = in_work(out)[0]
            killed.extend(
                p.name.removesuffix(".claim") for p in (out / ".manifest").glob("*.claim") if f'"pid": {child},' in p.read_text()
            )
            worker = parent(child)
            assert worker not in (None, 1, os.getpid())
            os.kill(worker, signal.SIGKILL)  # type: ignore[arg-type]
            gate.touch()

        threading.Thread(target=run, daemon=True).start()

    found = analyze_files(
        names, result_folders(names, out), options, manifest=kept, resume=True, engine=Scheduler("local", 2, on_start=kill)
    )
    outcomes = {Path(o.source).name: o for o in found}
    assert sorted(outcomes) == ["0.png", "1.png", "2.png", "3.png", "4.mp4", "5.mp4"]
    assert [name for name, o in outcomes.items() if o.error or o.unfinished] == ["5.mp4"]
    records = {name: kept.record(f"{name}.mien") for name in "01234"}
    begun = {f"{name}.mien": record.attempts for name, record in records.items() if record and record.state == "done"}
    assert len(killed) == 1
    assert begun == {f"{name}.mien": 2 if f"{name}.mien" in killed else 1 for name in "01234"}
    analyze_file(tmp_path / "4.mp4", tmp_path / "alone", OPTIONS)
    for table in ("faces.csv", "timeline.csv", "episodes.csv"):
        assert (out / "4.mien" / table).read_text() == (tmp_path / "alone" / table).read_text()


@pytest.mark.process
def test_a_task_has_a_process_of_its_own_and_is_not_done_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    portrait(tmp_path / "a.png")
    names = ["a.png"]  # as seen from where the command was given

    def engine(tasks: Any) -> Any:
        for task in tasks:
            yield work(task, str(tmp_path), mien.__version__)

    def run(options: FakeOptions = OPTIONS) -> Outcome:
        (outcome,) = analyze_files(names, [Path("out/a.mien")], options, manifest=Manifest(Path("out")), resume=True, engine=engine)
        return outcome

    monkeypatch.chdir(tmp_path)
    first = run()
    assert (first.error, first.folder) == (None, "out/a.mien")
    assert first.summary is not None
    assert first.summary["faces"] == 1
    assert run().summary is None, "done before"
    portrait(tmp_path / "a.png", "anger")
    died = run(replace(OPTIONS, deadly=True))
    assert "a.png: the process that analysed it died" in str(died.error)
    record = Manifest(Path("out")).record("a.mien")
    assert record is not None
    assert record.state == "failed"


def test_a_worker_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"a worker has mien \S+, but wanted 0\.0\.1; install the same on all"):
        work(Task("a.png", tmp_path / "a.mien", OPTIONS, None), str(tmp_path), "0.0.1")


def test_without_dask_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModelError, match=r"pip install 'mien\[cluster\]'"):
        list(Scheduler("local")([]))
