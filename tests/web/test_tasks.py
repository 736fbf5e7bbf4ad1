"""The runner of all that takes long, with an engine of the test's own: nothing but descriptions and answers crosses that seam."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from full import full
from mien.errors import MediaError
from mien.unfinished import this_process
from mien.web.database import ServerRow, Store, Task
from mien.web.settings import Settings
from mien.web.tasks.engine import Description
from mien.web.tasks.process import Ended
from mien.web.tasks.runner import CANCELLED, DONE, FAILED, RUNNING, WAITING, Kind, Runner
from mien.web.tasks.servers import Watch

PATIENCE_S = 60.0


class Execution:
    """A task that runs until the test says how it ends, or until it is killed."""

    def __init__(self, description: Description) -> None:
        self.description = description
        self.working, self.ending = threading.Event(), threading.Event()
        self.ended: Ended | None = None
        self.killed = ""
        self.progress: Callable[[Any], None] = lambda told: None

    def work(self, progress: Callable[[Any], None]) -> Ended | None:
        self.progress = progress
        self.working.set()
        assert self.ending.wait(PATIENCE_S)
        return self.ended

    def kill(self, why: str) -> None:
        self.killed = why
        self.end(None, code=-9, by=why)

    def end(self, answer: dict[str, Any] | None, *, code: int = 0, said: str = "", by: str = "") -> None:
        self.ended = Ended(answer, code, said, by)
        self.ending.set()


class Engine:
    """Takes descriptions as another machine would: as JSON."""

    def __init__(self) -> None:
        self.begun: list[Execution] = []
        self._there = threading.Condition()

    def begin(self, description: Description) -> Execution:
        assert json.loads(json.dumps(description.task)) == description.task
        with self._there:
            self.begun.append(Execution(description))
            self._there.notify_all()
            return self.begun[-1]

    def number(self, k: int) -> Execution:
        """The execution that was begun as the k-th, once it runs."""
        with self._there:
            assert self._there.wait_for(lambda: len(self.begun) > k, PATIENCE_S)
        assert self.begun[k].working.wait(PATIENCE_S)
        return self.begun[k]


class Sums(Kind):
    """A kind of task."""

    kind, at_once = "sum", 1

    def __init__(self) -> None:
        self.followed: list[tuple[str, str, Any]] = []
        self.moved = threading.Condition()

    def describe(self, subject: str, detail: dict[str, Any]) -> Description:
        if subject.startswith("none"):
            raise MediaError(f"{subject}: is not there any more")
        task = {"name": subject, "memory_max_mib": 64, **detail}
        return Description(("sum",), task, 10.0, f"{subject}: took too long", f"{subject}: ended ({{why}})")

    def progress(self, subject: str) -> Callable[[Any], Any]:
        return lambda told: told * 100

    def follow(self, rows: Session, task: Task, done: Any) -> None:
        self.followed.append((task.subject, task.state, done))

    def changed(self, subject: str, state: str | None) -> None:
        with self.moved:
            self.moved.notify_all()

    def heard(self, subject: str) -> None:
        self.changed(subject, None)

    def until(self, true: Callable[[], bool]) -> None:
        with self.moved:
            while not true():
                assert self.moved.wait(PATIENCE_S)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    store = Store(settings.url)
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def sums() -> Sums:
    return Sums()


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def runner(store: Store, sums: Sums, engine: Engine) -> Iterator[Runner]:
    runner = Runner(store, engine)
    runner.add_kind(sums)
    yield runner
    runner.stop()


def add(runner: Runner, subject: str, **detail: Any) -> None:
    with runner.store.session() as rows:
        runner.add(rows, "sum", subject, **detail)
    runner.wake()


def state(runner: Runner, subject: str) -> str | None:
    task = runner.task("sum", subject)
    return None if task is None else task.state


def test_a_task_waits_runs_and_is_done_and_its_feature_follows(runner: Runner, sums: Sums, engine: Engine) -> None:
    add(runner, "a", of=[1, 2])
    assert state(runner, "a") == WAITING
    runner.start()
    running = engine.number(0)
    assert running.description.task == {"name": "a", "memory_max_mib": 64, "of": [1, 2]}
    running.progress(0.5)
    assert runner.shown("sum", "a") == 50.0
    running.end({"done": 3})
    sums.until(lambda: state(runner, "a") == DONE and runner.shown("sum", "a") is None)
    assert sums.followed == [("a", WAITING, None), ("a", RUNNING, None), ("a", DONE, 3)]


@pytest.mark.parametrize("answer", [{"done": {"sum": 3}}, {"failed": "a: is no number"}])
def test_how_a_task_ended_is_kept_once_the_disk_has_room_again(
    runner: Runner, sums: Sums, engine: Engine, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
) -> None:
    monkeypatch.setattr("mien.web.tasks.runner.AGAIN_S", 0.01)
    add(runner, "a", of=[1, 2])
    runner.start()
    running = engine.number(0)
    refusals = full(monkeypatch, runner.store, 3)
    running.end(answer)
    sums.until(lambda: state(runner, "a") in (DONE, FAILED))
    assert refusals.met
    assert sums.followed[-1] == ("a", DONE if "done" in answer else FAILED, answer.get("done"))
    add(runner, "b")
    engine.number(1).end({"done": 1})
    sums.until(lambda: state(runner, "b") == DONE)


def test_what_waits_begins_once_the_database_can_be_written(
    runner: Runner, sums: Sums, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.web.tasks.runner.AGAIN_S", 0.01)
    add(runner, "a")
    refusals = full(monkeypatch, runner.store, 3)
    runner.start()
    engine.number(0).end({"done": 1})
    sums.until(lambda: state(runner, "a") == DONE)
    assert refusals.met


@pytest.mark.parametrize(
    ("ended", "error"),
    [
        ({"answer": {"failed": "a: is no number"}}, "a: is no number"),
        ({"answer": None, "code": -9}, "a: ended (signal 9)"),
        ({"answer": None, "code": 3}, "a: ended (code 3)"),
        (
            {"answer": None, "code": 1, "said": "MemoryError"},
            "a: needs more than the 64 MiB of memory that one file may take; make it smaller",
        ),
        ({"answer": None, "code": -9, "by": "time"}, "a: took too long"),
    ],
)
def test_what_fails_says_why_and_can_be_tried_again(
    runner: Runner, sums: Sums, engine: Engine, ended: dict[str, Any], error: str
) -> None:
    runner.start()
    add(runner, "a")
    engine.number(0).end(**ended)
    sums.until(lambda: state(runner, "a") == FAILED)
    task = runner.task("sum", "a")
    assert task is not None
    assert task.error == error
    add(runner, "a")
    engine.number(1).end({"done": 1})
    sums.until(lambda: state(runner, "a") == DONE)


def test_what_cannot_be_described_has_failed(runner: Runner, sums: Sums, engine: Engine) -> None:
    runner.start()
    add(runner, "none")
    sums.until(lambda: state(runner, "none") == FAILED)
    assert engine.begun == []


def test_they_run_one_after_the_other_in_their_order(runner: Runner, sums: Sums, engine: Engine) -> None:
    for subject in ("a", "b"):
        add(runner, subject)
    runner.start()
    first = engine.number(0)
    assert (state(runner, "a"), state(runner, "b")) == (RUNNING, WAITING)
    first.end({"done": 1})
    second = engine.number(1)
    assert [one.description.task["name"] for one in (first, second)] == ["a", "b"]


def test_cancelling_ends_what_runs_and_what_waits_before_it_returns(runner: Runner, engine: Engine) -> None:
    runner.start()
    for subject in ("a", "b"):
        add(runner, subject)
    running = engine.number(0)
    assert runner.cancel("sum", "b")
    assert runner.cancel("sum", "a")
    assert running.killed == "cancel"
    assert (state(runner, "a"), state(runner, "b")) == (CANCELLED, CANCELLED)
    assert not runner.cancel("sum", "a")
    assert len(engine.begun) == 1


def test_who_waits_for_a_task_is_told_how_it_ended_or_that_it_is_gone(runner: Runner, engine: Engine) -> None:
    runner.start()
    for subject in ("a", "b"):
        add(runner, subject)
    found: dict[str, str | None] = {}

    def wait(subject: str) -> None:
        task = runner.wait("sum", subject)
        found[subject] = task.state if task else None

    waiting = [threading.Thread(target=wait, args=(subject,)) for subject in ("a", "b", "unknown")]
    for thread in waiting:
        thread.start()
    engine.number(0).end({"done": 3})
    engine.number(1)
    runner.forget("b")
    for thread in waiting:
        thread.join(PATIENCE_S)
    assert found == {"a": DONE, "b": None, "unknown": None}


def test_what_is_not_ready_lets_others_go_before_it_and_is_asked_again_once_one_has_ended(
    runner: Runner, sums: Sums, engine: Engine
) -> None:
    held = {"a"}
    sums.ready = lambda subject: subject not in held  # type: ignore[method-assign]
    runner.start()
    for subject in ("a", "b"):
        add(runner, subject)
    first = engine.number(0)
    assert (state(runner, "a"), state(runner, "b")) == (WAITING, RUNNING)
    held.clear()
    first.end({"done": 1})
    engine.number(1).end({"done": 2})
    task = runner.wait("sum", "a")
    assert task is not None
    assert (task.state, state(runner, "b")) == (DONE, DONE)


def test_forgetting_ends_all_that_is_below_a_subject_and_nothing_else(runner: Runner, engine: Engine) -> None:
    runner.start()
    for subject in ("a_b/1", "a_b/2", "a_bc/1", "axb/1"):  # ids hold underscores, which mean any letter to a database
        add(runner, subject)
    running = engine.number(0)
    runner.forget("a_b")
    assert running.killed == "cancel"
    assert [state(runner, subject) for subject in ("a_b/1", "a_b/2", "axb/1")] == [None, None, WAITING]
    assert engine.number(1).description.task["name"] == "a_bc/1"


def test_what_another_process_cancels_or_erases_is_ended_here(runner: Runner, store: Store, engine: Engine) -> None:
    runner.start()
    add(runner, "a")
    running = engine.number(0)
    with store.session() as rows:  # as a runner of another process does it
        rows.execute(update(Task).values(state=CANCELLED))
    assert running.ending.wait(PATIENCE_S)
    assert running.killed == "cancel"
    add(runner, "b")
    second = engine.number(1)
    beside = Runner(store)
    beside.forget("b")
    assert second.ending.wait(PATIENCE_S)
    assert second.killed == "cancel"


def test_the_next_server_begins_again_what_ran(runner: Runner, store: Store, sums: Sums, engine: Engine) -> None:
    runner.start()
    add(runner, "a")
    engine.number(0)
    runner.stop()
    assert state(runner, "a") == WAITING
    with store.session() as rows:  # a server that is killed says nothing
        rows.execute(update(Task).values(state=RUNNING))
    after = Runner(store, engine)
    after.add_kind(sums)
    after.start()
    engine.number(1).end({"done": 1})
    sums.until(lambda: state(runner, "a") == DONE)
    after.stop()


def test_without_a_server_what_waits_is_done_by_who_asks(runner: Runner, engine: Engine) -> None:
    add(runner, "a/1")
    add(runner, "b/1")
    finishing = threading.Thread(target=runner.finish, args=("sum", "a/"))
    finishing.start()
    engine.number(0).end({"done": 1})
    finishing.join(PATIENCE_S)
    assert (state(runner, "a/1"), state(runner, "b/1")) == (DONE, WAITING)


# --- several servers


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers look often."""
    monkeypatch.setattr("mien.web.tasks.runner.LOOK_EVERY_S", 0.02)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    """And one that is silent is soon gone."""
    monkeypatch.setattr("mien.web.tasks.servers.SILENT_S", 0.2)


@pytest.fixture
def beside(settings: Settings, runner: Runner, sums: Sums) -> Iterator[tuple[Runner, Engine]]:
    """Another server of the same database, with an engine of its own; it is not started."""
    store, engine = Store(settings.url), Engine()
    other = Runner(store, engine)
    other.add_kind(sums)
    yield other, engine
    other.stop()
    store.close()


def freeze(runner: Runner) -> None:
    """From now on it sees nothing and says nothing, as a process that is stopped; what it has begun goes on."""
    runner.look = runner.beat = lambda *given: None  # type: ignore[method-assign, assignment]


class AtOnce(Engine):
    """Answers each task with its name, at once."""

    def begin(self, description: Description) -> Execution:
        execution = super().begin(description)
        execution.end({"done": description.task["name"]})
        return execution


def test_two_servers_do_each_task_once(settings: Settings, store: Store) -> None:
    followed: list[tuple[str, str, Any]] = []
    runners = [Runner(Store(settings.url), AtOnce()) for _ in range(2)]
    kinds = [Sums(), Sums()]
    for runner, sums in zip(runners, kinds, strict=True):
        sums.at_once, sums.followed = 2, followed
        runner.add_kind(sums)
    subjects = [f"t{k}" for k in range(20)]
    for subject in subjects:
        add(runners[0], subject)
    for runner in runners:
        runner.start()
    for subject in subjects:
        task = runners[1].wait("sum", subject)
        assert task is not None
        assert (task.state, task.owner) == (DONE, None)
    for runner in runners:
        runner.stop()
        runner.store.close()
    assert sorted(subject for subject, state, _ in followed if state == RUNNING) == sorted(subjects)
    assert sorted(done for _, state, done in followed if state == DONE) == sorted(subjects)


def test_a_server_that_is_silent_loses_its_task_and_what_it_brings_late_is_dropped(
    runner: Runner, beside: tuple[Runner, Engine], sums: Sums, engine: Engine, impatient: None
) -> None:
    other, its_engine = beside
    add(runner, "a")
    runner.start()
    late = engine.number(0)
    freeze(runner)
    other.start()
    begun_again = its_engine.number(0)
    late.end({"done": "late"})
    sums.until(lambda: runner.running == 0)
    begun_again.end({"done": "in time"})
    sums.until(lambda: state(other, "a") == DONE)
    assert [done for _, kept, done in sums.followed if kept == DONE] == ["in time"]
    assert len(engine.begun) == len(its_engine.begun) == 1


def test_a_server_that_wakes_sees_that_its_task_is_anothers_and_ends_it(
    runner: Runner, beside: tuple[Runner, Engine], engine: Engine, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    other, its_engine = beside
    add(runner, "a")
    runner.start()
    running, look, beat = engine.number(0), runner.look, runner.beat
    freeze(runner)
    other.start()
    its_engine.number(0)
    monkeypatch.setattr("mien.web.tasks.servers.SILENT_S", PATIENCE_S)
    runner.look, runner.beat = look, beat  # type: ignore[method-assign]
    assert running.ending.wait(PATIENCE_S)
    assert running.killed == "lost"
    assert state(other, "a") == RUNNING


def test_a_server_that_lives_keeps_its_task_though_another_starts(
    runner: Runner, beside: tuple[Runner, Engine], sums: Sums, engine: Engine
) -> None:
    other, its_engine = beside
    add(runner, "a")
    runner.start()
    running = engine.number(0)
    other.start()
    add(other, "b")
    its_engine.number(0).end({"done": 2})
    sums.until(lambda: state(runner, "b") == DONE)
    assert state(other, "a") == RUNNING
    running.end({"done": 1})
    sums.until(lambda: state(other, "a") == DONE)
    assert [one.description.task["name"] for one in its_engine.begun] == ["b"]


def test_what_a_killed_server_of_this_machine_had_is_taken_up_at_once(
    runner: Runner, store: Store, sums: Sums, engine: Engine
) -> None:
    add(runner, "a")
    with store.session() as rows:
        rows.add(ServerRow(id="killed", process=this_process() | {"pid": 2**22 + 1}, beats=7))
        rows.execute(update(Task).values(state=RUNNING, owner="killed"))
    runner.start()
    engine.number(0).end({"done": 1})
    sums.until(lambda: state(runner, "a") == DONE)
    with store.reading() as rows:
        assert [row.id for row in rows.scalars(select(ServerRow))] == [runner.id]


def test_one_server_hears_how_far_a_task_of_another_is(
    runner: Runner, beside: tuple[Runner, Engine], sums: Sums, engine: Engine, quick: None
) -> None:
    other, _ = beside
    add(runner, "a")
    runner.start()
    running = engine.number(0)
    freeze(other)  # takes nothing
    other.look = Runner.look.__get__(other)  # type: ignore[method-assign]
    other.start()
    heard: list[str] = []
    sums.heard = lambda subject: heard.append(subject) or sums.changed(subject, None)  # type: ignore[method-assign, func-returns-value]
    running.progress(0.25)
    sums.until(lambda: other.shown("sum", "a") == 25.0)
    assert "a" in heard
    heard.clear()
    running.end({"done": 1})
    sums.until(lambda: "a" in heard and other.shown("sum", "a") is None)


def test_cancelling_and_erasing_reach_the_server_on_which_it_runs_before_they_return(
    runner: Runner, beside: tuple[Runner, Engine], store: Store, engine: Engine, quick: None
) -> None:
    other, _ = beside
    runner.start()
    for k, end in enumerate((lambda: other.cancel("sum", "s/0"), lambda: other.forget("s"))):
        add(runner, f"s/{k}")
        running = engine.number(k)
        end()
        assert running.killed == "cancel"
        assert runner.running == 0
    assert [state(runner, subject) for subject in ("s/0", "s/1")] == [None, None]


def test_no_clock_decides_whether_a_server_is_gone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its silence, and what one could not look at is none."""
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with store.session() as rows:
        rows.add(ServerRow(id="far", process={"machine": "another", "pid": 1, "began": "2"}, beats=1, shown={"t": 0.5}))
    watch = Watch(store)
    for _ in range(5):  # each time a day has passed, as after a sleep or without the database
        clock[0] += 86400
        assert watch.look({"far"}) == (set(), {"t": 0.5})
        with store.session() as rows:
            rows.execute(update(ServerRow).values(beats=ServerRow.beats + 1))
    found = []
    for _ in range(5):
        clock[0] += 86400
        found.append(watch.look({"far"})[0])
    assert found == [set(), set(), set(), {"far"}, {"far"}]
    watch.look(set())
    assert watch.look({"far"})[0] == set()  # it had nothing meanwhile: its silence said nothing
