"""The manifest of a long run, and claims: that nothing is done twice or lost when processes die."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fakes import FakeOptions
from mien import cluster, manifest
from mien.cluster import Outcome, analyze_files, result_folders
from mien.gather import found
from mien.manifest import LOG, MOST_DEATHS, Manifest, Record
from test_cluster import ANALYZER, portrait

OPTIONS = FakeOptions(annotated=False, pictures=False)
KNOWN = Record("a.png", "a.mien", "done", "0" * 16, "1" * 16, seconds=1.5, rows=3)


def foreign_claim(kept: Manifest, folder: str, age_s: float = 0.0) -> Path:
    """As of a process on another machine that gave its last sign of life so long ago."""
    path = kept.folder / f"{folder}.claim"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": "another", "pid": 1, "began": "1", "token": "theirs"}))
    now = path.stat().st_mtime
    os.utime(path, (now - age_s, now - age_s))
    return path


def run(sources: list[Path], out: Path, options: FakeOptions = OPTIONS, **more: object) -> dict[str, Outcome]:
    names = [str(source) for source in sources]
    given: dict[str, object] = {"manifest": Manifest(out), "resume": True} | more
    outcomes = analyze_files(names, result_folders(names, out), options, **given)  # type: ignore[arg-type]
    return {Path(outcome.source).name: outcome for outcome in outcomes}


def test_what_is_kept_is_found_again(tmp_path: Path) -> None:
    kept = Manifest(tmp_path)
    assert kept.record("a.mien") is None
    kept.keep(KNOWN)
    assert kept.record("a.mien") == KNOWN
    long = replace(KNOWN, folder="ü" * 125 + ".mien")  # as long as a folder's name can be: with an ending a file could not
    kept.keep(long)
    assert kept.record(long.folder) == long
    kept.keep_list([("a.png", "a.mien")], [("x.txt", "is no film")])
    kept.keep_list([("b.png", "b.mien")], [])
    assert kept.lists() == ({"a.mien": "a.png", "b.mien": "b.png"}, {"x.txt": "is no film"})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"file": "a.png"}', "\0"])
def test_a_damaged_record_is_none(tmp_path: Path, text: str) -> None:
    kept = Manifest(tmp_path)
    kept.keep(KNOWN)
    (kept.folder / "a.mien.json").write_text(text)
    assert kept.record("a.mien") is None


def test_a_record_of_a_later_version_is_read(tmp_path: Path) -> None:
    kept = Manifest(tmp_path)
    kept.keep(KNOWN)
    path = kept.folder / "a.mien.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"moon": "full"}))
    assert kept.record("a.mien") == KNOWN


# --- claims


def test_one_has_the_file_at_a_time(tmp_path: Path) -> None:
    one, other = Manifest(tmp_path), Manifest(tmp_path)
    with one.claim("a.mien") as ours:
        assert ours
        assert other.is_claimed("a.mien")
        with other.claim("a.mien") as theirs, other.claim("b.mien") as another:
            assert (theirs, another) == (False, True)
        assert other.is_claimed("a.mien"), "who has not got it does not give it back"
    assert not other.is_claimed("a.mien")
    with other.claim("a.mien") as theirs:
        assert theirs
    assert list(one.folder.iterdir()) == []


@pytest.mark.parametrize("gone", [{"pid": 2**22 + 1}, {"began": "1"}])
def test_the_claim_of_a_dead_process_is_taken_over(tmp_path: Path, gone: dict[str, object]) -> None:
    """The number of a dead process may be that of another one by now."""
    kept = Manifest(tmp_path)
    with kept.claim("a.mien"):
        content = json.loads((kept.folder / "a.mien.claim").read_text())
    (kept.folder / "a.mien.claim").write_text(json.dumps(content | gone))
    assert not kept.is_claimed("a.mien")
    with kept.claim("a.mien") as ours:
        assert ours
    assert list(kept.folder.iterdir()) == []


def test_a_process_on_another_machine_lives_as_long_as_it_gives_signs(tmp_path: Path) -> None:
    kept = Manifest(tmp_path)
    path = foreign_claim(kept, "a.mien", manifest.DEAD_AFTER_S - 60)
    with kept.claim("a.mien") as ours:
        assert not ours
    assert json.loads(path.read_text())["token"] == "theirs"
    foreign_claim(kept, "a.mien", manifest.DEAD_AFTER_S + 60)
    with kept.claim("a.mien") as ours:
        assert ours
        path.write_text(json.dumps({"machine": "another", "token": "theirs"}))  # which took us for dead
    assert json.loads(path.read_text())["token"] == "theirs", "it is theirs to give back"
    assert [p.name for p in kept.folder.iterdir()] == ["a.mien.claim"]


def test_a_claim_that_was_cut_short_holds_for_a_while(tmp_path: Path) -> None:
    kept = Manifest(tmp_path)
    path = foreign_claim(kept, "a.mien")
    path.write_text("")
    assert kept.is_claimed("a.mien")
    os.utime(path, (1, 1))
    assert not kept.is_claimed("a.mien")


def test_who_works_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "BEAT_S", 0.001)
    kept = Manifest(tmp_path)
    with kept.claim("a.mien"):
        path = kept.folder / "a.mien.claim"
        os.utime(path, (1, 1))
        while path.stat().st_mtime == 1:  # until the next beat
            pass


def test_of_two_who_find_it_dead_one_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one has seen the dead claim, too, and comes to remove it when there is a new one in its place."""
    kept = Manifest(tmp_path)
    foreign_claim(kept, "a.mien", 10_000)
    rename, taken = Path.rename, []

    def slow(path: Path, target: Path) -> Path:
        if not taken:
            taken.append(path.name)
            foreign_claim(kept, "a.mien")  # somebody was faster
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", slow)
    with kept.claim("a.mien") as ours:
        assert taken == ["a.mien.claim"]
        assert kept.is_claimed("a.mien")
        assert not ours or json.loads((kept.folder / "a.mien.claim").read_text())["token"] != "theirs"


# --- runs


def test_run_again_is_go_on(tmp_path: Path) -> None:
    sources = [portrait(tmp_path / f"{name}.png") for name in "ab"]
    (tmp_path / "c.mp4").write_bytes(b"no film")
    sources.append(tmp_path / "c.mp4")
    out = tmp_path / "out"
    first = run(sources, out)
    assert {name: (o.folder is not None, o.error is not None) for name, o in first.items()} == {
        "a.png": (True, False),
        "b.png": (True, False),
        "c.mp4": (False, True),
    }
    record = Manifest(out).record("a.mien")
    assert record is not None
    assert (record.state, record.rows, record.attempts, record.error) == ("done", 1, 1, None)
    assert record.seconds is not None
    failed = Manifest(out).record("c.mien")
    assert failed is not None
    assert (failed.state, failed.rows) == ("failed", None)
    assert "c.mp4: is not a picture or film" in str(failed.error)

    looked = ANALYZER.detector.calls  # type: ignore[attr-defined]
    again = run(sources, out)
    assert ANALYZER.detector.calls == looked  # type: ignore[attr-defined]
    assert [again[name].summary for name in ("a.png", "b.png")] == [None, None]
    assert "--retry-failed tries it again" in str(again["c.mp4"].error)
    assert run(sources, out, resume=False)["a.png"].summary is not None


def test_what_failed_is_tried_again_when_asked_or_when_it_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    real = cluster.analyze_file

    def analyze(source: object, *rest: object, **more: object) -> Outcome:
        tried.append(Path(str(source)).name)
        return real(source, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(cluster, "analyze_file", analyze)
    film = tmp_path / "c.png"
    film.write_bytes(b"no film")
    out = tmp_path / "out"
    run([film], out)
    run([film], out)
    assert len(tried) == 1
    run([film], out, retry_failed=True)
    assert len(tried) == 2
    run([film], out, options=replace(OPTIONS, max_pixels=1000))
    assert len(tried) == 3
    portrait(film)
    assert run([film], out)["c.png"].error is None
    assert len(tried) == 4


def test_a_file_that_another_has_is_left_to_it(tmp_path: Path) -> None:
    sources, out = [portrait(tmp_path / f"{name}.png") for name in "ab"], tmp_path / "out"
    foreign_claim(Manifest(out), "a.mien")
    outcomes = run(sources, out)
    assert outcomes["a.png"] == Outcome(str(sources[0]), None, None, None, unfinished="running")
    assert outcomes["b.png"].summary is not None
    assert not (out / "a.mien").exists()


def test_what_another_has_just_ended_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at what is there and the claim."""
    source, out = portrait(tmp_path / "a.png"), tmp_path / "out"
    claim = Manifest.claim

    def late(self: Manifest, folder: str) -> Any:
        monkeypatch.setattr(Manifest, "claim", claim)
        assert run([source], out)["a.png"].summary is not None
        return claim(self, folder)

    monkeypatch.setattr(Manifest, "claim", late)
    outcome = run([source], out)["a.png"]
    assert (outcome.folder, outcome.summary, outcome.error) == (str(out / "a.mien"), None, None)


def test_a_file_over_which_processes_die_fails_in_the_end(tmp_path: Path) -> None:
    source, out = portrait(tmp_path / "a.png"), tmp_path / "out"
    run([source], out)
    kept = Manifest(out)
    done = kept.record("a.mien")
    assert done is not None
    for file in (out / "a.mien").iterdir():
        file.unlink()
    kept.keep(replace(done, state="running", attempts=MOST_DEATHS))
    died = run([source], out)["a.png"]
    assert f"{MOST_DEATHS} processes died over it" in str(died.error)
    assert run([source], out, retry_failed=True)["a.png"].error is None
    ended = kept.record("a.mien")
    assert ended is not None
    assert (ended.state, ended.attempts) == ("done", 1)


@pytest.mark.process
def test_a_file_over_which_a_process_hangs_is_given_up_and_its_claim_goes(tmp_path: Path) -> None:
    source, out = portrait(tmp_path / "a.png", "anger"), tmp_path / "out"
    options = replace(OPTIONS, stuck=True, limit_s=1.0)
    given_up = run([source], out, options)["a.png"]
    assert str(given_up.error) == f"{source}: took longer than 1 s and was given up (--time-limit)"
    kept = Manifest(out)
    record = kept.record("a.mien")
    assert record is not None
    assert (record.state, record.error) == ("failed", given_up.error)
    assert not kept.is_claimed("a.mien")
    again = run([source], out, options)["a.png"]
    assert "in an earlier run" in str(again.error)
    portrait(source, "happiness")
    assert run([source], out, replace(options, limit_s=600.0))["a.png"].error is None


@pytest.mark.more
@pytest.mark.process
def test_the_others_go_on_where_one_is_given_up(tmp_path: Path) -> None:
    sources = [portrait(tmp_path / f"{i}.png", "anger" if i == 1 else "happiness") for i in range(4)]
    outcomes = run(sources, tmp_path / "out", replace(OPTIONS, stuck=True, limit_s=60.0), jobs=2)
    assert {name: outcome.error is None for name, outcome in outcomes.items()} == {
        "0.png": True,
        "1.png": False,
        "2.png": True,
        "3.png": True,
    }


@pytest.mark.process
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers of the system")
def test_what_hangs_outside_of_python_ends_too() -> None:
    code = "import re; from mien.cluster import within\nwith within(0.5): re.match('(a+)+b', 'a' * 60)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGALRM


def test_who_is_in_time_meets_no_limit() -> None:
    with cluster.within(600.0):
        pass
    if hasattr(signal, "getitimer"):
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_ctrl_c_is_no_death(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*given: object, **more: object) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(cluster, "analyze_file", interrupted)
    source, out = portrait(tmp_path / "a.png"), tmp_path / "out"
    for _ in range(MOST_DEATHS + 1):
        with pytest.raises(KeyboardInterrupt):
            run([source], out)
    monkeypatch.undo()
    assert run([source], out)["a.png"].error is None


def test_a_manifest_that_cannot_be_written_is_a_failed_row(tmp_path: Path) -> None:
    source, out = portrait(tmp_path / "a.png"), tmp_path / "out"
    out.mkdir()
    (out / manifest.FOLDER).write_text("mine")
    assert ".manifest: cannot be written" in str(run([source], out)["a.png"].error)
    assert (out / manifest.FOLDER).read_text() == "mine"


@pytest.mark.more
@pytest.mark.process
def test_after_kill_9_the_same_command_goes_on(tmp_path: Path) -> None:
    """One file is done, one in work, one waits; the killed process's claim holds nobody up, and nothing is done twice."""
    sources, out = [portrait(tmp_path / f"{name}.png") for name in "abc"], tmp_path / "out"
    program = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from fakes import FakeOptions
        from mien import cluster
        from mien.manifest import Manifest
        real = cluster.analyze_file
        def analyze(source, *rest, **more):
            if source.endswith("b.png"):
                print("in b", flush=True)
                time.sleep(600)
            return real(source, *rest, **more)
        cluster.analyze_file = analyze
        names, out = sys.argv[2:], Path(sys.argv[1])
        options = FakeOptions(annotated=False, pictures=False)
        list(cluster.analyze_files(names, cluster.result_folders(names, out), options, manifest=Manifest(out), resume=True))
    """)
    command = [sys.executable, "-c", program, str(out), *map(str, sources)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == "in b\n"
            kept = Manifest(out)
            assert kept.is_claimed("b.mien")
            assert run(sources[1:2], out)["b.png"].unfinished == "running", "another process keeps off"
        finally:
            child.send_signal(signal.SIGKILL)
    assert {o.source[-5:]: o.unfinished for o in found(out)} == {"a.png": None, "b.png": "waiting"}
    stamp = (out / "a.mien" / "faces.csv").stat().st_mtime_ns
    outcomes = run(sources, out)
    assert {name: (o.error, o.summary is not None) for name, o in outcomes.items()} == {
        "a.png": (None, False),
        "b.png": (None, True),
        "c.png": (None, True),
    }
    assert (out / "a.mien" / "faces.csv").stat().st_mtime_ns == stamp
    record = kept.record("b.mien")
    assert record is not None
    assert (record.state, record.attempts) == ("done", 2)
    assert sorted(p.name for p in kept.folder.iterdir()) == [LOG, "a.mien.json", "b.mien.json", "c.mien.json"]


@pytest.mark.more
@pytest.mark.process
def test_two_processes_share_the_files_of_one_command(tmp_path: Path) -> None:
    """`jobs` claims in the processes that work, so that one whose parent is killed keeps its file until it has ended."""
    sources = [portrait(tmp_path / f"{i}.png", "anger" if i == 2 else "happiness") for i in range(4)]
    outcomes = run(sources, tmp_path / "out", replace(OPTIONS, deadly=True), jobs=2)
    assert "2.png: the process that analysed it died" in str(outcomes["2.png"].error)
    records = {name: Manifest(tmp_path / "out").record(f"{name}.mien") for name in "0123"}
    assert {name: record.state for name, record in records.items() if record} == {
        "0": "done",
        "1": "done",
        "2": "failed",
        "3": "done",
    }
