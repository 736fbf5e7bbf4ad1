"""The machine's clock is set forwards and back, to a wrong time and to the right one, while a server runs and while it does not:
nobody is thrown out or erased by it, nothing is kept for ever, and nothing that was written down ends before it began."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from starlette.testclient import TestClient

from mien.web.database import STEP_S, Base, Clock, Job, Login, Participant, Store, Task, UtcTime, now, passed_s
from mien.web.retention.clock_steps import Doubt
from mien.web.security import COOKIE, Security
from mien.web.tasks.runner import RUNNING
from web.conftest import PASSWORD, TOKEN, Opened, swept
from web.participant_page import Open, Person

START = datetime(2026, 11, 29, 12, tzinfo=UTC)
YEAR = timedelta(days=365)


class Machine:
    """A machine whose time a test lets pass, and whose clock it sets."""

    def __init__(self) -> None:
        self.told = START
        self.passed = timedelta(0)
        self.clock = Clock(lambda: self.told.timestamp(), lambda: self.passed.total_seconds())

    def passes(self, **time: float) -> None:
        self.told += timedelta(**time)
        self.passed += timedelta(**time)

    def is_set(self, by: timedelta) -> None:
        self.told += by


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    for name in ("mien.web.database.CLOCK", "mien.web.retention.clock_steps.CLOCK", "mien.web.studies.participants.CLOCK"):
        monkeypatch.setattr(name, made.clock)
    monkeypatch.setattr("mien.web.retention.storage.LOOK_EVERY_S", 1e6)  # a test says when
    return made


def follow(app: Any) -> None:
    """What the server does every few seconds."""
    app.state.storage.doubt.follow_clock(app.state.settings.login_hours)


def test_a_clock_goes_on_until_a_step_is_taken_over() -> None:
    machine = Machine()
    machine.passes(hours=1)
    machine.is_set(timedelta(seconds=3))  # what clocks differ by
    assert machine.clock.step_s() == 0
    machine.is_set(YEAR)
    assert machine.clock.now() == START + timedelta(hours=1)
    step_s = machine.clock.step_s()
    assert step_s == pytest.approx(YEAR.total_seconds() + 3)
    machine.clock.follow(step_s)
    assert machine.clock.now() == machine.told
    assert machine.clock.began() == START + YEAR + timedelta(seconds=3)
    assert machine.clock.step_s() == 0
    assert machine.clock.unset_s() == (START + timedelta(hours=1)).timestamp()


def test_this_machines_seconds_only_rise() -> None:
    found = [passed_s() for _ in range(3)]
    assert found == sorted(found)
    assert abs(now().timestamp() - Clock().now().timestamp()) < STEP_S


@pytest.mark.parametrize("by", [YEAR, -YEAR])
def test_who_is_logged_in_stays_so_and_no_longer(machine: Machine, opened: Opened, by: timedelta) -> None:
    client = opened(password=PASSWORD, token=TOKEN, login_hours=24)
    app: Any = client.app
    security: Security = app.state.security
    word, other = security.open_session(), security.open_session()
    machine.passes(hours=1)
    for step in (by, -by, by):
        machine.is_set(step)
        assert security.known_session(word) == word
        follow(app)
        assert security.known_session(word) == word
        assert security.known_session(security.open_session())  # which forgets what is over
    assert client.get("/api/jobs", headers={"Cookie": f"{COOKIE}={word}"}).status_code == 200
    assert client.get("/api/jobs", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    machine.passes(hours=22)
    assert security.known_session(other) == other
    machine.passes(hours=2)
    assert security.known_session(word) is None


def test_a_login_of_a_clock_that_went_ahead_does_not_hold_for_years(machine: Machine, opened: Opened) -> None:
    app: Any = opened(password=PASSWORD, login_hours=24).app
    word = app.state.security.open_session()
    with app.state.store.session() as rows:
        rows.scalars(select(Login)).one().expires_at = now() + YEAR  # a server of yesterday, whose clock was set back since
    assert app.state.security.known_session(word) is None


@pytest.mark.parametrize("by", [YEAR, -YEAR])
def test_a_film_that_somebody_watches_goes_on(machine: Machine, client: TestClient, app: FastAPI, by: timedelta) -> None:
    study = Open(app)
    person = Person.agreed(client, study.invitation)
    participants = app.state.participants
    path = participants.studies.film(study.study, "s1")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"film")
    ticket = participants.ticket(participants.by_code(person.code, ""), "s1")
    machine.is_set(by)
    follow(app)
    machine.passes(hours=5)
    assert participants.film("s1", ticket) == path
    machine.passes(hours=2)
    with pytest.raises(Exception, match="This address of the film is not right"):
        participants.film("s1", ticket)


def kept(app: Any) -> tuple[set[str], int]:
    """Names of analyses, and how many participants there are."""
    with app.state.store.reading() as rows:
        return set(rows.scalars(select(Job.name))), len(rows.scalars(select(Participant.id)).all())


def ended(app: Any, name: str, ago: timedelta = timedelta(0)) -> None:
    app.state.store.create_job(name=name, state="done", ended_at=now() - ago)


def test_a_clock_set_ahead_by_mistake_erases_nobody(machine: Machine, opened: Opened) -> None:
    client = opened(retention_days=30)
    app: Any = client.app
    swept(app)
    ended(app, "of an earlier start", timedelta(days=3))
    ended(app, "of now")
    Person.agreed(client, Open(app).invitation)
    machine.is_set(YEAR)
    follow(app)
    for _ in range(3):  # of the sweeps of three hours
        assert app.state.storage.sweep() == []
        machine.passes(hours=1)
    machine.is_set(-YEAR)  # somebody has seen it
    follow(app)
    for _ in range(40):
        assert app.state.storage.sweep() == []
        machine.passes(hours=1)
    assert kept(app) == ({"of an earlier start", "of now"}, 1)
    machine.passes(days=26)
    for _ in range(30):  # in doubt once more, as nobody knows where the days went
        app.state.storage.sweep()
        machine.passes(hours=1)
    assert kept(app) == ({"of now"}, 1)


def test_what_was_written_down_before_the_clock_was_set_right_is_as_young_as_it_is(machine: Machine, opened: Opened) -> None:
    """A small computer without a battery begins in 1970 and asks the time when it has a network."""
    machine.told = datetime(1970, 1, 2, tzinfo=UTC)
    machine.clock.follow(machine.clock.step_s())
    client = opened(retention_days=30)
    app: Any = client.app
    swept(app)
    ended(app, "of now")
    Person.agreed(client, Open(app).invitation)
    machine.is_set(START - machine.told)
    follow(app)
    with app.state.store.reading() as rows:
        assert rows.scalars(select(Participant.consented_at)).one() == START
    for _ in range(60):
        assert app.state.storage.sweep() == []
        machine.passes(hours=1)
    assert kept(app) == ({"of now"}, 1)


def test_what_a_clock_that_went_ahead_wrote_down_is_not_kept_for_ever(machine: Machine, opened: Opened) -> None:
    app: Any = opened(retention_days=30).app
    swept(app)
    ended(app, "of next year", -YEAR)  # by a server that ran while the clock was wrong
    for _ in range(32):
        app.state.storage.sweep()
        machine.passes(hours=24)
    assert kept(app)[0] == set()


def test_after_a_long_time_without_a_server_it_is_erased_a_day_later_or_the_next_time(tmp_path: Path, machine: Machine) -> None:
    store = Store(f"sqlite:///{tmp_path / 'db'}")
    store.migrate()

    def start(count: int = 1) -> list[bool]:
        doubt, found = Doubt(tmp_path, store), []
        for _ in range(count):
            found.append(doubt.sweep())
            machine.passes(hours=1)
        return found

    assert start(3) == [True] * 3
    machine.passes(days=60)
    assert start(26) == [False] * 24 + [True] * 2
    machine.passes(days=7)
    assert start() == [False]
    machine.passes(days=7)
    assert start() == [True]
    machine.is_set(-YEAR)
    machine.clock.follow(machine.clock.step_s())
    assert start(25) == [False] * 24 + [True]
    (tmp_path / "clock.json").write_text("nonsense")
    assert start() == [True]
    store.close()


@pytest.mark.parametrize("by", [YEAR, -YEAR])
def test_nothing_ends_before_it_began(machine: Machine, client: TestClient, app: FastAPI, by: timedelta) -> None:
    study = Open(app)
    person = Person.agreed(client, study.invitation)
    person.to_the_film()
    with app.state.store.session() as rows:
        # Of a kind that this server does not know: of its own kinds what runs without an owner soon waits again.
        rows.add(Task(kind="other", subject="x", state=RUNNING, started_at=now()))
        rows.add(Job(name="a", state="running", started_at=now()))
    machine.passes(minutes=5)
    machine.is_set(by)
    follow(app)
    machine.passes(minutes=5)
    with app.state.store.session() as rows:
        task, job = rows.scalars(select(Task).where(Task.subject == "x")).one(), rows.scalars(select(Job)).one()
        assert now() - task.started_at == now() - job.started_at == timedelta(minutes=10)
        for table in Base.metadata.tables.values():
            for column in table.c:
                if isinstance(column.type, UtcTime) and column.name not in ("ends_at", "expires_at"):
                    for moment in rows.scalars(select(column).where(column.is_not(None))):
                        assert now() - moment == timedelta(minutes=10), column


def test_the_server_looks_at_the_clock_by_itself(machine: Machine, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = threading.Event()
    monkeypatch.setattr("mien.web.retention.storage.LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(Doubt, "follow_clock", lambda doubt, login_hours: looked.set())
    opened()
    assert looked.wait(120)
