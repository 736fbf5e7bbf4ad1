"""Each way to erase is followed by a search through every byte of the data folder and of the database: what was erased is nowhere,
what another one keeps is still there. In SQLite and in PostgreSQL, beside a running server, whose command line erases as well."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update
from starlette.testclient import TestClient

from contents import holding
from mien.cli import main
from mien.web.database import Job, Participant, Room, Store, now
from mien.web.studies.rooms import room_file
from web import studies
from web.conftest import Opened, swept
from web.studies import as_participant, joined, planted


class House:
    """A server with a data folder and a database, into which things are put that hold a word, to be looked for."""

    def __init__(self, client: TestClient, url: str) -> None:
        self.client, self.url = client, url
        self.app: Any = client.app
        self.state = self.app.state
        self.data: Path = self.state.settings.data_dir
        swept(self.app)

    def holding(self, word: str) -> list[str]:
        """Files of the data folder, and of a server's database, that hold it."""
        found = holding(self.data, word)
        if self.url:
            with self.state.store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("CHECKPOINT"))
                place = Path(connection.scalar(text("show data_directory")) or "")
            found += holding(place / "base", word)
        return found

    def sample(self) -> None:
        """Lets PostgreSQL look at the values for its planner, as it does by itself."""
        if self.url:
            with self.state.store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("ANALYZE"))

    def analysis(self, word: str, kind: str = "file") -> str:
        """One that has ended, with its name, that of a face, and its files."""
        job = self.state.store.create_job(name=f"{word}.mp4", kind=kind, state="done", edits={"names": {"1": word}}, ended_at=now())
        folder = self.state.jobs.folder(job.id) / "result"
        folder.mkdir(parents=True)
        for name in ("summary.json", "faces.csv", "annotated.mp4"):
            (folder / name).write_bytes(b"x" + word.encode() + b"y")
        return str(job.id)

    def study(self, word: str) -> tuple[str, str]:
        """One with a title, an invitation and somebody, who answered and was measured; its id and the participant's code."""
        id, invitation = studies.opened(self.client, title=f"{word} the title")
        self.client.patch(f"/api/studies/{id}/invitations/{invitation}", json={"label": f"{word} label"}).raise_for_status()
        return id, self.somebody(id, invitation, word)

    def somebody(self, id: str, invitation: str, word: str) -> str:
        code = joined(self.client, invitation)
        headers = as_participant(code)
        for step in ("before", "camera", "film:0", "after"):
            self.client.post("/api/participant/step", json={"step": step}, headers=headers).raise_for_status()
        for said in (word, f"{word} once more", word):
            answers = {"part": "after", "answers": {"said": said}}
            self.client.put("/api/participant/answers", json=answers, headers=headers).raise_for_status()
        return code

    def person(self, word: str) -> tuple[str, str]:
        """Somebody in a study whose title nobody looks for; the study's id and the code."""
        id, invitation = studies.opened(self.client)
        code = self.somebody(id, invitation, word)
        planted(self.app, id, 1, word.encode())
        return id, code

    def room(self, word: str, days: float = 0.0) -> str:
        """A room of a study; the study's id."""
        id, _ = studies.opened(self.client, retention_days=10)
        with self.state.store.session() as rows:
            room = Room(
                study_id=id, name=1, stimulus="s1", label=f"{word} label", state="ready", made_at=now() - timedelta(days=days)
            )
            rows.add(room)
            rows.flush()
            file = room_file(self.state.settings, room)
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x" + word.encode() + b"y")
        return id

    def command(self, *words: str) -> None:
        where = ["--data", str(self.data), *(["--db", self.url] if self.url else [])]
        assert main(["study", "erase", *where, "--yes", *words]) == 0

    def delete(self, address: str, **how: Any) -> None:
        self.client.request("DELETE", address, **how).raise_for_status()

    def aged(self, table: type, column: str, days: float, which: Any) -> None:
        with self.state.store.session() as rows:
            rows.execute(update(table).where(which).values({column: now() - timedelta(days=days)}))


Way = Callable[[House, str], Callable[[], object]]


def an_analysis(house: House, word: str) -> Callable[[], object]:
    id = house.analysis(word)
    return lambda: house.delete(f"/api/jobs/{id}")


def a_recording(house: House, word: str) -> Callable[[], object]:
    id = house.analysis(word, kind="live")
    return lambda: house.delete(f"/api/jobs/{id}")


def an_analysis_past_its_time(house: House, word: str) -> Callable[[], object]:
    id = house.analysis(word)
    house.aged(Job, "ended_at", 40, Job.id == id)
    return house.state.storage.sweep


def a_participant(house: House, word: str) -> Callable[[], object]:
    id, _ = house.person(word)
    return lambda: house.delete(f"/api/studies/{id}/viewers/1")


def who_withdraws(house: House, word: str) -> Callable[[], object]:
    _, code = house.person(word)
    return lambda: house.delete("/api/participant", headers=as_participant(code))


def a_participant_by_command(house: House, word: str) -> Callable[[], object]:
    id, _ = house.person(word)
    return lambda: house.command(id, "--viewer", "1")


def a_participant_past_the_time(house: House, word: str) -> Callable[[], object]:
    id, _ = house.person(word)
    house.aged(Participant, "consented_at", 91, Participant.study_id == id)
    return house.state.storage.sweep


def a_room(house: House, word: str) -> Callable[[], object]:
    id = house.room(word)
    return lambda: house.delete(f"/api/studies/{id}/rooms/1")


def a_room_past_its_time(house: House, word: str) -> Callable[[], object]:
    house.room(word, days=11)
    return house.state.storage.sweep


def a_study(house: House, word: str) -> Callable[[], object]:
    id, _ = house.study(word)
    planted(house.app, id, 1, word.encode())
    return lambda: house.delete(f"/api/studies/{id}")


def a_study_by_command(house: House, word: str) -> Callable[[], object]:
    id, _ = house.study(word)
    planted(house.app, id, 1, word.encode())
    return lambda: house.command(id)


def everything(house: House, word: str) -> Callable[[], object]:
    house.analysis(word)
    house.study(word)
    house.room(word)
    return lambda: house.delete("/api/storage", json={"confirm": "erase"})


WAYS: tuple[Way, ...] = (
    *(an_analysis, a_recording, an_analysis_past_its_time, a_participant, who_withdraws, a_participant_by_command),
    *(a_participant_past_the_time, a_room, a_room_past_its_time, a_study, a_study_by_command),
)


@pytest.mark.parametrize(
    "where", ["sqlite", pytest.param("postgresql", marks=[pytest.mark.more, pytest.mark.process, pytest.mark.extras])]
)
def test_what_was_erased_is_nowhere(opened: Opened, where: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("postgres") if where == "postgresql" else ""
    house = House(opened(retention_days=30, **({"database_url": url} if url else {})), url)
    kept = ("KEPT-FACE", "KEPT-TITLE")
    house.analysis(kept[0])
    house.study(kept[1])
    for way in (*WAYS, everything):
        word = f"SECRET-{way.__name__}"
        erase = way(house, word)
        house.sample()
        assert house.holding(word), word
        erase()
        assert house.holding(word) == [], word
        there = [bool(house.holding(other)) for other in kept]
        assert there == [way is not everything] * 2, word


def test_the_search_finds_a_word_in_each_place(opened: Opened, tmp_path: Path) -> None:
    house = House(opened(), "")
    house.analysis("SOUGHT")
    assert {Path(name).name for name in house.holding("SOUGHT")} >= {"summary.json", "faces.csv", "annotated.mp4"}
    assert any(name.startswith("mien.sqlite3") for name in house.holding("SOUGHT"))


@pytest.mark.more
@pytest.mark.process
@pytest.mark.extras
def test_what_postgresql_sampled_for_an_earlier_version_is_taken_away(postgres: str) -> None:
    store = Store(postgres)
    store.migrate()
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("alter table jobs alter column name set statistics 100"))
        job = store.create_job(name="SAMPLED-NAME")
        store.create_job(name="another")
        connection.execute(text("ANALYZE"))
        sampled = text("select attname from pg_stats where tablename = 'jobs'")
        assert list(connection.scalars(sampled)) == ["name"]
        store.delete_job(job.id)
        store.forget("jobs")
        place = Path(connection.scalar(text("show data_directory")) or "") / "base"
        connection.execute(text("CHECKPOINT"))
        assert holding(place, "SAMPLED-NAME")  # that is what is to be ended
        store.migrate()
        connection.execute(text("ANALYZE"))
        assert list(connection.scalars(sampled)) == []
        connection.execute(text("CHECKPOINT"))
        assert holding(place, "SAMPLED-NAME") == []
    store.close()
