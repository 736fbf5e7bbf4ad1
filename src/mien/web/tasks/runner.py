"""The one runner of all that takes long: it waits, runs, is cancelled, is tried again, and outlives the server.

A task is a row: what kind of work, and what it is about, its subject. Each kind is a feature's own: it says what an engine has to
do, and follows the task's state in the feature's rows, within the same transaction. So the two never differ.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from mien.errors import MienError
from mien.web.database import AGAIN_S, Store, Task, now, passes
from mien.web.tasks.child import is_about_memory, too_large
from mien.web.tasks.engine import Description, Engine, Execution, Processes

WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
"""The states of a task."""

WAIT_FOR_THE_END_S = 5.0
LOOK_EVERY_S = 1.0
"""How often is looked for tasks that another process has added, cancelled or erased."""

log = logging.getLogger(__name__)


class Kind(Protocol):
    """One kind of work, as its feature gives it. Called from the runner's threads.

    kind     what its tasks are called
    at_once  how many of them run at a time
    """

    kind: str
    at_once: int

    def ready(self, subject: str) -> bool:
        """Whether a task that waits may begin. It is asked again whenever another task has moved."""
        return True

    def describe(self, subject: str, detail: dict[str, Any]) -> Description:
        """What an engine has to do. Raises `MienError` where it cannot be done, fit to show."""
        ...

    def progress(self, subject: str) -> Callable[[Any], Any]:
        """What makes of all that is told while a task runs what is shown of it: one for each run."""
        return lambda told: told

    def follow(self, rows: Session, task: Task, done: Any) -> None:
        """Brings the feature's rows to the task's state, in the transaction that changes it. done: the answer, where it is done."""
        ...

    def changed(self, subject: str, state: str | None) -> None:
        """The state was kept; None: there is progress."""
        ...


@dataclass
class Running:
    """One task under way. `end` may come from any thread, also before it has begun.

    shown  its progress, as it is shown        over  set once nothing is written for it any more
    """

    subject: str
    kind: str
    ended_by: str = ""
    shown: Any = None
    over: threading.Event = field(default_factory=threading.Event)
    execution: Execution | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, execution: Execution) -> None:
        with self._lock:
            self.execution = execution
            if self.ended_by:
                execution.kill(self.ended_by)

    def end(self, why: str) -> None:
        with self._lock:
            self.ended_by = self.ended_by or why
            if self.execution is not None:
                self.execution.kill(self.ended_by)


class Runner:
    """The queue, and what runs. Its methods may be called from any thread."""

    def __init__(self, store: Store, engine: Engine | None = None) -> None:
        self.store, self.engine = store, engine or Processes()
        self._kinds: dict[str, Kind] = {}
        self._running: dict[str, Running] = {}
        self._moved, self._moves = threading.Condition(), 0
        self._threads: list[threading.Thread] = []
        self._stopping = self._resting = False

    def add_kind(self, kind: Kind) -> None:
        """Before `start`."""
        self._kinds[kind.kind] = kind

    # --- with the server

    def start(self) -> None:
        """Goes on with what an earlier server left: what waited waits, what ran starts again."""
        self._stopping = self._resting = False
        with self.store.reading() as rows:
            left = list(rows.scalars(select(Task).where(Task.state == RUNNING, Task.kind.in_(self._kinds))))
        for task in left:
            self._change(task.id, (RUNNING,), WAITING, started_at=None)
        for kind in self._kinds.values():
            for number in range(kind.at_once):
                self._begin_thread(f"{kind.kind}-{number}", self._work_for_ever, kind)
        self._begin_thread("tasks", self._watch_for_ever)

    def _begin_thread(self, name: str, work: Callable[..., None], *given: Any) -> None:
        thread = threading.Thread(target=work, args=given, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def stop(self) -> None:
        """Ends what runs; it starts again with the next server."""
        self._stopping = True
        self.wake()
        for running in list(self._running.values()):
            running.end("stop")
        for thread in self._threads:
            thread.join(WAIT_FOR_THE_END_S)
        self._threads.clear()

    def rest(self) -> None:
        """Begins with nothing new until `start`; what runs goes on."""
        self._resting = True

    @property
    def running(self) -> int:
        """How many tasks run here."""
        return len(self._running)

    def counts(self) -> dict[tuple[str, str], int]:
        """(kind, state) → how many tasks there are, of this server and others."""
        with self.store.reading() as rows:
            found = rows.execute(select(Task.kind, Task.state, func.count()).group_by(Task.kind, Task.state))
            return {(kind, state): count for kind, state, count in found}

    # --- what features ask for

    def add(self, rows: Session, kind: str, subject: str, **detail: Any) -> None:
        """Lets a task wait, in a transaction of the feature's; one that there was of this subject begins anew. `wake` when it is
        kept."""
        rows.execute(delete_rows(Task).where(Task.kind == kind, Task.subject == subject))
        task = Task(kind=kind, subject=subject, detail=detail)
        rows.add(task)
        rows.flush()
        self._kinds[kind].follow(rows, task, None)

    def wake(self) -> None:
        """What waits is looked at now."""
        with self._moved:
            self._moves += 1
            self._moved.notify_all()

    def task(self, kind: str, subject: str) -> Task | None:
        """The task, if there is one."""
        with self.store.reading() as rows:
            return rows.scalar(select(Task).where(Task.kind == kind, Task.subject == subject))

    def shown(self, kind: str, subject: str) -> Any:
        """The progress of a task that runs here, as it is shown; None where there is none."""
        return next((one.shown for one in self._of(subject) if one.kind == kind), None)

    def cancel(self, kind: str, subject: str) -> bool:
        """Ends a task that waits or runs, before it returns; whether it did."""
        task = self.task(kind, subject)
        if task is None or self._change(task.id, (WAITING, RUNNING), CANCELLED, ended_at=now()) is None:
            return False
        self._end(subject)
        return True

    def forget(self, subject: str) -> None:
        """Ends and forgets whatever there is of a subject, or of those that begin with it and a slash, before it returns."""
        with self.store.session() as rows:
            mine = (Task.subject == subject) | Task.subject.startswith(f"{subject}/", autoescape=True)
            rows.execute(delete_rows(Task).where(mine))
        self.wake()
        self._end(subject)

    def wait(self, kind: str, subject: str) -> Task | None:
        """The task once it neither waits nor runs any more, or as it is where the server ends; None where it was forgotten."""
        with self._moved:
            while (task := self.task(kind, subject)) is not None and task.state in (WAITING, RUNNING) and not self._stopping:
                self._moved.wait(LOOK_EVERY_S)
            return task

    def finish(self, kind: str, prefix: str) -> None:
        """Does what waits of a kind whose subject begins so, in the thread that calls: where no server does it. What a server has
        begun meanwhile is waited for."""
        mine = (Task.kind == kind) & Task.subject.startswith(prefix, autoescape=True) & Task.state.in_((WAITING, RUNNING))
        while True:
            with self.store.reading() as rows:
                left = list(rows.scalars(select(Task).where(mine).order_by(Task.number)))
            if not left:
                return
            for task in left:
                running = Running(task.subject, kind)
                self._running[task.id] = running
                if self._change(task.id, (WAITING,), RUNNING, started_at=now()) is not None:
                    self._work(task, running)
                else:
                    del self._running[task.id]
                    time.sleep(LOOK_EVERY_S / 4)

    def _of(self, subject: str) -> list[Running]:
        return [one for one in list(self._running.values()) if one.subject == subject or one.subject.startswith(f"{subject}/")]

    def _end(self, subject: str) -> None:
        ending = self._of(subject)
        for running in ending:
            running.end("cancel")
        for running in ending:
            running.over.wait(WAIT_FOR_THE_END_S)

    # --- states

    def _change(self, id: str, only_in: Collection[str], state: str, *, answer: Any = None, **values: Any) -> Task | None:
        """Brings a task to a state, and its feature's rows with it; None where it is in none of `only_in`, or gone."""
        with self.store.session() as rows:
            change = update(Task).where(Task.id == id, Task.state.in_(only_in)).values(state=state, **values).returning(Task.id)
            if rows.scalar(change.execution_options(synchronize_session=False)) is None:
                return None
            task = rows.scalars(select(Task).where(Task.id == id)).one()
            self._kinds[task.kind].follow(rows, task, dict(answer) if isinstance(answer, dict) else answer)
        self._kinds[task.kind].changed(task.subject, state)
        self.wake()
        return task

    def _surely_change(self, id: str, state: str, **values: Any) -> None:
        """As `_change` of a task that runs, and again for as long as the disk is full or the database held: nothing else would ever
        end it."""
        told = False
        while True:
            try:
                self._change(id, (RUNNING,), state, **values)
                return
            except Exception as error:
                if self._stopping or not passes(error):
                    raise
                if not told:
                    log.warning("how a task ended cannot be kept just now; it is tried again until it can")
                told = True
            time.sleep(AGAIN_S)

    # --- working

    def _work_for_ever(self, kind: Kind) -> None:
        told = False
        while not self._stopping:
            try:
                seen = self._moves
                found = self._next(kind)
                told = False
                if found is not None:
                    self._work(*found)
                    continue
                with self._moved:  # what moved meanwhile is looked at, too
                    if not self._stopping and self._moves == seen:
                        self._moved.wait(10 * LOOK_EVERY_S)
            except Exception as error:
                if not passes(error):
                    log.exception("the queue stumbled; it goes on")
                elif not told:
                    log.warning("the queue waits until the database can be written")
                told = True
                time.sleep(AGAIN_S)

    def _next(self, kind: Kind) -> tuple[Task, Running] | None:
        """The next task, which is running from now on."""
        wanted = select(Task).where(Task.kind == kind.kind, Task.state == WAITING).order_by(Task.queued_at, Task.number)
        with self.store.reading() as rows:
            waiting = list(rows.scalars(wanted))
        for task in waiting:
            if self._resting:
                return None
            if not kind.ready(task.subject):
                continue
            running = self._running[task.id] = Running(task.subject, task.kind)  # which may be ended from here on
            begun = False
            try:
                begun = self._change(task.id, (WAITING,), RUNNING, started_at=now(), ended_at=None, error=None) is not None
            finally:
                if not begun:  # somebody cancelled it in this moment, or took it; or the database could not
                    del self._running[task.id]
            if begun:
                return task, running
        return None

    def _work(self, task: Task, running: Running) -> None:
        kind = self._kinds[task.kind]
        try:
            self._conclude(task, running, *self._answer(kind, task, running))
        except Exception as error:
            log.exception("a task of the kind %s could not be run", task.kind)
            reason = f"It could not be done: {error}; try it again."
            self._surely_change(task.id, FAILED, error=reason, ended_at=now())
        finally:
            self._running.pop(task.id, None)
            running.over.set()
            kind.changed(task.subject, None)

    def _answer(self, kind: Kind, task: Task, running: Running) -> tuple[dict[str, Any] | None, str]:
        """What a task answers, and why it was ended where it was."""
        try:
            description = kind.describe(task.subject, task.detail)
        except MienError as error:
            return {"failed": str(error)}, ""
        show = kind.progress(task.subject)

        def progress(told: Any) -> None:
            running.shown = show(told)
            kind.changed(task.subject, None)

        execution = self.engine.begin(description)
        running.begin(execution)
        ended = execution.work(progress)
        if ended is None or running.ended_by:
            return None, running.ended_by or "stop"
        if ended.answer is not None:
            return ended.answer, ""
        if ended.by == "time":
            return {"failed": description.too_long}, ""
        log.warning("the process of %s %s ended with %s: %s", task.kind, task.subject, ended.code, ended.said or "nothing said")
        most = description.task.get("memory_max_mib")
        if most is not None and is_about_memory(ended.said):
            return {"failed": too_large(description.task["name"], most)}, ""
        why = f"signal {-ended.code}" if ended.code < 0 else f"code {ended.code}"
        return {"failed": description.crashed.replace("{why}", why)}, ""

    def _conclude(self, task: Task, running: Running, answer: dict[str, Any] | None, ended_by: str) -> None:
        if answer is None:
            if ended_by == "stop":
                self._surely_change(task.id, WAITING, started_at=None)
        elif "failed" in answer:
            self._surely_change(task.id, FAILED, error=answer["failed"], ended_at=now())
        else:
            self._surely_change(task.id, DONE, answer=answer["done"], ended_at=now())

    def _watch_for_ever(self) -> None:
        """Ends what another process has cancelled or erased, and takes up what it has added."""
        while not self._stopping:
            try:
                mine = list(self._running.items())
                if mine:
                    with self.store.reading() as rows:
                        there = dict(rows.execute(select(Task.id, Task.state).where(Task.id.in_([id for id, _ in mine]))).all())
                    for id, running in mine:
                        if there.get(id) not in (WAITING, RUNNING, DONE, FAILED):
                            running.end("cancel")
            except Exception:
                log.exception("it could not be seen whether tasks were cancelled; it is tried again")
            with self._moved:
                self._moved.wait_for(lambda: self._stopping, LOOK_EVERY_S)
