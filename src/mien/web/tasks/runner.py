"""The one runner of all that takes long: it waits, runs, is cancelled, is tried again, and outlives the server.

A task is a row: what kind of work, and what it is about, its subject. Each kind is a feature's own: it says what an engine has to
do, and follows the task's state in the feature's rows, within the same transaction. So the two never differ.

Several servers may share the queue. One of them has a task, its owner, from the change that lets it run until it has let go of it;
the end of a task that has another owner by then is not kept. What an owner had that is gone, see `servers`, waits again.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy import delete as delete_rows
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from mien.errors import MienError
from mien.unfinished import is_gone
from mien.web.database import AGAIN_S, ServerRow, Store, Task, new_id, now, passes
from mien.web.tasks.child import is_about_memory, too_large
from mien.web.tasks.engine import Description, Engine, Execution, Processes
from mien.web.tasks.servers import Watch, beat, bury

WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
"""The states of a task."""

WAIT_FOR_THE_END_S = 5.0
LOOK_EVERY_S = 1.0
"""How often it is looked for what other servers have added, changed, cancelled or erased, and told them that this one lives."""

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

    def heard(self, subject: str) -> None:
        """Another server has changed the state, or there is progress there."""
        return None


@dataclass
class Running:
    """One task under way. `end` may come from any thread, also before it has begun.

    shown  its progress, as it is shown        over  set once nothing is written for it any more
    begun  set once the database says that it runs here
    """

    subject: str
    kind: str
    begun: bool = False
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
    """The queue, and what runs. Its methods may be called from any thread.

    id          by which other servers know this one
    holds_more  whether something else is under way here that others may take up once this server is gone
    """

    def __init__(self, store: Store, engine: Engine | None = None) -> None:
        self.store, self.engine, self.id = store, engine or Processes(), new_id()
        self.holds_more: Callable[[], bool] = lambda: False
        self._kinds: dict[str, Kind] = {}
        self._running: dict[str, Running] = {}
        self._moved, self._moves = threading.Condition(), 0
        self._threads: list[threading.Thread] = []
        self._stopping = self._resting = False
        self._watch = Watch(store)
        self._looking = threading.Lock()
        self._seen: dict[str, tuple[str, str, str]] = {}  # kind, subject and state of all that waits or runs, by their ids
        self._elsewhere: dict[tuple[str, str], Any] = {}  # what is shown of tasks that run on other servers, by kind and subject

    def add_kind(self, kind: Kind) -> None:
        """Before `start`."""
        self._kinds[kind.kind] = kind

    # --- with the server

    def start(self) -> None:
        """Goes on with what servers left that are gone: what waited waits, what ran starts again."""
        self._stopping = self._resting = False
        self.look()
        with self.store.reading() as rows:  # killed while they had nothing; one that lives, after all, is known again with its next
            idle = ServerRow.id.not_in(select(Task.owner).where(Task.owner.is_not(None)))
            left = list(rows.scalars(select(ServerRow.id).where(idle)))
        self._bury(left)
        for kind in self._kinds.values():
            for number in range(kind.at_once):
                self._begin_thread(f"{kind.kind}-{number}", self._work_for_ever, kind)
        self._begin_thread("tasks", self._look_for_ever, lambda: self._stopping)

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
        if self._threads:
            self._bury([self.id])
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
        """The progress of a task that runs, as it is shown; None where there is none."""
        here = next((one for one in self._of(subject) if one.kind == kind), None)
        return self._elsewhere.get((kind, subject)) if here is None else here.shown

    def cancel(self, kind: str, subject: str) -> bool:
        """Ends a task that waits or runs, before it returns; whether it did."""
        task = self.task(kind, subject)
        if task is None or self._change(task.id, (WAITING, RUNNING), CANCELLED, ended_at=now()) is None:
            return False
        self._end(subject)
        self._await_owners([task.id])
        return True

    def forget(self, subject: str) -> None:
        """Ends and forgets whatever there is of a subject, or of those that begin with it and a slash, before it returns."""
        below = (Task.subject == subject) | Task.subject.startswith(f"{subject}/", autoescape=True)
        with self.store.session() as rows:
            rows.execute(delete_rows(Task).where(below, Task.owner.is_(None) | (Task.owner == self.id)))
            ending = update(Task).where(below).values(state=CANCELLED).returning(Task.id)
            elsewhere = list(rows.scalars(ending.execution_options(synchronize_session=False)))
        self.wake()
        self._end(subject)
        if elsewhere:
            self._await_owners(elsewhere)
            with self.store.session() as rows:
                rows.execute(delete_rows(Task).where(Task.id.in_(elsewhere)))

    def wait(self, kind: str, subject: str) -> Task | None:
        """The task once it neither waits nor runs any more, or as it is where the server ends; None where it was forgotten."""
        with self._moved:
            while (task := self.task(kind, subject)) is not None and task.state in (WAITING, RUNNING) and not self._stopping:
                self._moved.wait(LOOK_EVERY_S)
            return task

    def finish(self, kind: str, prefix: str) -> None:
        """Does what waits of a kind whose subject begins so, in the thread that calls: where no server does it. What a server has
        begun meanwhile is waited for."""
        over = threading.Event()
        looking = threading.Thread(target=self._look_for_ever, args=(over.is_set,), name="tasks", daemon=True)
        looking.start()
        try:
            self._finish((Task.kind == kind) & Task.subject.startswith(prefix, autoescape=True))
        finally:
            over.set()
            self.wake()
            looking.join()
            self._bury([self.id])

    def _finish(self, mine: ColumnElement[bool]) -> None:
        while True:
            with self.store.reading() as rows:
                left = list(rows.scalars(select(Task).where(mine, Task.state.in_((WAITING, RUNNING))).order_by(Task.number)))
            if not left:
                return
            for task in left:
                if (running := self._claim(task)) is not None:
                    self._work(task, running)
                else:
                    time.sleep(LOOK_EVERY_S / 4)

    def _of(self, subject: str) -> list[Running]:
        return [one for one in list(self._running.values()) if one.subject == subject or one.subject.startswith(f"{subject}/")]

    def _end(self, subject: str) -> None:
        ending = self._of(subject)
        for running in ending:
            running.end("cancel")
        for running in ending:
            running.over.wait(WAIT_FOR_THE_END_S)

    def _await_owners(self, ids: Collection[str]) -> None:
        """Until other servers have let go of tasks that were cancelled; one that hangs is waited for no longer than a while."""
        having = select(ServerRow.process).join(Task, Task.owner == ServerRow.id).where(Task.id.in_(ids), Task.owner != self.id)
        end = time.monotonic() + WAIT_FOR_THE_END_S
        while time.monotonic() < end:
            with self.store.reading() as rows:
                processes = list(rows.scalars(having))
            if all(is_gone(process) for process in processes):
                return
            time.sleep(LOOK_EVERY_S / 4)

    # --- states

    def _change(
        self, id: str, only_in: Collection[str], state: str, *where: ColumnElement[bool], answer: Any = None, **values: Any
    ) -> Task | None:
        """Brings a task to a state, and its feature's rows with it; None where it is in none of `only_in`, not so as `where` says,
        or gone. Of several servers that do so at the same moment one does."""
        with self.store.session() as rows:
            wanted = update(Task).where(Task.id == id, Task.state.in_(only_in), *where)
            change = wanted.values(state=state, **values).returning(Task.id)
            if rows.scalar(change.execution_options(synchronize_session=False)) is None:
                return None
            task = rows.scalars(select(Task).where(Task.id == id)).one()
            if task.owner == self.id and state == RUNNING:
                self.beat(rows)
            self._kinds[task.kind].follow(rows, task, dict(answer) if isinstance(answer, dict) else answer)
        if state in (WAITING, RUNNING):
            self._seen[id] = task.kind, task.subject, state
        else:
            self._seen.pop(id, None)
        self._kinds[task.kind].changed(task.subject, state)
        self.wake()
        return task

    def _surely_change(self, id: str, state: str, **values: Any) -> None:
        """As `_change` of a task that runs here, and again for as long as the disk is full or the database held: nothing else would
        ever end it."""
        told = False
        while True:
            try:
                if self._change(id, (RUNNING,), state, Task.owner == self.id, owner=None, **values) is None:
                    log.info("what became of a task is not kept: it was cancelled, or another server has it")
                return
            except Exception as error:
                if self._stopping or not passes(error):
                    raise
                if not told:
                    log.warning("how a task ended cannot be kept just now; it is tried again until it can")
                told = True
            time.sleep(AGAIN_S)

    def _let_go(self, id: str) -> None:
        """Of a task that was cancelled: nothing is written for it here any more."""
        with self.store.session() as rows:
            mine = update(Task).where(Task.id == id, Task.owner == self.id, Task.state == CANCELLED)
            rows.execute(mine.values(owner=None).execution_options(synchronize_session=False))

    # --- working

    def _work_for_ever(self, kind: Kind) -> None:
        told = False
        while not self._stopping:
            try:
                seen = self._moves
                found = self.take(kind)
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

    def take(self, kind: Kind) -> tuple[Task, Running] | None:
        """The next task, which is running from now on."""
        wanted = select(Task).where(Task.kind == kind.kind, Task.state == WAITING).order_by(Task.queued_at, Task.number)
        with self.store.reading() as rows:
            waiting = list(rows.scalars(wanted))
        for task in waiting:
            if self._resting:
                return None
            if task.id in self._running or not kind.ready(task.subject):
                continue
            if (running := self._claim(task)) is not None:
                return task, running
        return None

    def _claim(self, task: Task) -> Running | None:
        """Lets a task that waits run here; None where somebody cancelled it in this moment, or took it."""
        running = self._running[task.id] = Running(task.subject, task.kind)  # which may be ended from here on
        try:
            values = {"owner": self.id, "started_at": now(), "ended_at": None, "error": None}
            running.begun = self._change(task.id, (WAITING,), RUNNING, **values) is not None
        finally:
            if not running.begun:  # or the database could not
                del self._running[task.id]
        return running if running.begun else None

    def _work(self, task: Task, running: Running) -> None:
        kind = self._kinds[task.kind]
        try:
            self._conclude(task, running, *self._answer(kind, task, running))
        except Exception as error:
            log.exception("a task of the kind %s could not be run", task.kind)
            reason = f"It could not be done: {error}; try it again."
            self._surely_change(task.id, FAILED, error=reason, ended_at=now())
        finally:
            if running.ended_by == "cancel":
                with suppress(DBAPIError):
                    self._let_go(task.id)
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

    # --- other servers

    def _look_for_ever(self, over: Callable[[], bool]) -> None:
        """Sees what other servers have done, and says that this one lives."""
        told = False
        while not over():
            try:
                self.look()
                if self._running or self.holds_more():
                    with self.store.session() as rows:
                        self.beat(rows)
                told = False
            except Exception as error:
                if not passes(error):
                    log.exception("it could not be seen what other servers do; it is tried again")
                elif not told:
                    log.warning("it cannot be seen just now what other servers do; it is tried again")
                told = True
            with self._moved:
                self._moved.wait_for(over, LOOK_EVERY_S)

    def beat(self, rows: Session) -> None:
        """Says that this server lives, and how far its tasks are."""
        running = list(self._running.items())
        beat(rows, self.id, {id: one.shown for id, one in running if one.shown is not None})

    def _bury(self, servers: Collection[str]) -> None:
        if servers:
            with suppress(DBAPIError), self.store.session() as rows:  # what is left of them does no harm
                bury(rows, servers)

    def look(self) -> None:
        """Ends what another server has cancelled, erased or taken over; takes up what one has added, or left; tells of it."""
        with self._looking:
            mine = [(id, one) for id, one in list(self._running.items()) if one.begun]
            of_task = select(Task.id, Task.kind, Task.subject, Task.state, Task.owner)
            wanted = Task.state.in_((WAITING, RUNNING)) & Task.kind.in_(self._kinds)
            with self.store.reading() as rows:
                found = {row.id: row for row in rows.execute(of_task.where(wanted | Task.id.in_([id for id, _ in mine])))}
            for id, running in mine:
                row = found.get(id)
                if row is None or row.state == CANCELLED:
                    running.end("cancel")
                elif row.state == WAITING or (row.state == RUNNING and row.owner != self.id):
                    running.end("lost")
            run = [row for row in found.values() if row.state == RUNNING]
            owners = {row.owner for row in run} - {None, self.id}
            gone, shown = self._watch.look(owners)
            for row in run:
                left_here = row.owner == self.id and row.id not in self._running
                if row.owner is None or row.owner in gone or left_here:
                    log.info("a task of the kind %s waits again: its server is gone", row.kind)
                    self._change(row.id, (RUNNING,), WAITING, Task.owner == row.owner, owner=None, started_at=None)
            self._bury(gone)
            self._tell({row.id: (row.kind, row.subject, row.state) for row in found.values() if row.state in (WAITING, RUNNING)})
            elsewhere = {(row.kind, row.subject): shown[row.id] for row in run if row.id in shown}
            before, self._elsewhere = self._elsewhere, elsewhere
            for (kind, subject), there in elsewhere.items():
                if before.get((kind, subject)) != there:
                    self._kinds[kind].heard(subject)

    def _tell(self, seen: dict[str, tuple[str, str, str]]) -> None:
        """What other servers have changed since the last look."""
        before, self._seen = self._seen, seen
        changed = [id for id in before.keys() | seen.keys() if before.get(id) != seen.get(id)]
        for id in changed:
            kind, subject, _ = seen.get(id) or before[id]
            self._kinds[kind].heard(subject)
        if changed:
            self.wake()
