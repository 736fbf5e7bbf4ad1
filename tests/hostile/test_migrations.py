"""kill -9 in the middle of a migration of a database that holds something: nothing is lost, and the next start goes on."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import inspect, text

from mien.errors import DataError
from mien.web.database import MIGRATIONS, AuditEntry, Invitation, Job, Login, Participant, Room, Store, StudyRow, new_id, now

OLD = "0002"
"""The schema from which the studies' tables are there, and much changes until today's."""

KEPT = {
    "jobs": "number, id, kind, name, created_at, shares, edits",
    "studies": "number, id, title, definition, films, created_at",
    "invitations": "id, study_id, label",
    "participants": "id, study_id, name, code_hash, consented_at, answers",
    "rooms": "id, study_id, stimulus, label, made_at",
    "audit": "number, study_id, who, action",
    "logins": "key, expires_at",
}
"""What no migration changes."""

pytestmark = [pytest.mark.more, pytest.mark.process, pytest.mark.skipif(sys.platform == "win32", reason="has no kill -9")]


def filled(url: str, count: int = 60) -> None:
    """A database of the schema `OLD` with so many rows of each kind, some of them unfinished."""
    store = Store(url)
    store.migrate()
    with store.session() as rows:
        for k in range(count):
            films = {"s1": {"state": "converting" if k % 2 else "ready"}}
            study = StudyRow(title=f"Study {k}", definition={"title": f"Study {k}"}, films=films)
            rows.add(study)
            rows.flush()
            invitation = Invitation(study_id=study.id, label=f"label {k}")
            rows.add(invitation)
            rows.flush()
            person = {"study_id": study.id, "invitation_id": invitation.id, "name": 1, "code_hash": new_id(), "consent_version": 1}
            rows.add(Participant(**person, answers={"after": {"said": f"words of {k} " * 50}}))
            rows.add(Room(study_id=study.id, name=1, stimulus="s1", label=f"room {k}"))
            rows.add(AuditEntry(study_id=study.id, who="operator", action="made"))
            rows.add(Job(name=f"{k}.mp4", state=("queued", "running", "done")[k % 3], shares={"happiness": k / count}))
            rows.add(Login(key=f"key {k}", expires_at=now()))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with store.engine.connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.downgrade(config, OLD)
    store.close()


def held(url: str) -> tuple[str, dict[str, Any], int]:
    """The schema, what is kept whatever it is, and how many tasks there are."""
    store = Store(url)
    with store.engine.connect() as rows:
        version = str(rows.scalar(text("select version_num from alembic_version")))
        kept = {name: sorted(map(str, rows.execute(text(f"select {columns} from {name}")))) for name, columns in KEPT.items()}
        there = inspect(rows).has_table("tasks")
        tasks = int(rows.scalar(text("select count(*) from tasks")) or 0) if there else 0
    store.close()
    return version, kept, tasks


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.extras)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'mien.sqlite3'}" if request.param == "sqlite" else request.getfixturevalue("postgres")


def test_a_migration_that_is_killed_anywhere_loses_nothing_and_the_next_start_goes_on(url: str) -> None:
    filled(url)
    before = held(url)
    assert before[0] == OLD
    assert all(len(rows) == 60 for rows in before[1].values())
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    killer = [sys.executable, "-m", "hostile.killed", url]
    killed = 0
    with subprocess.Popen(killer, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        while True:
            process.stdin.write(f"{killed + 1}\n")
            process.stdin.flush()
            code = int(process.stdout.readline())
            if code == 0:
                break
            assert code == -signal.SIGKILL
            killed += 1
            version, kept, tasks = held(url)
            assert kept == before[1], killed
            assert (version, tasks) == (OLD, 0) or version > OLD, killed
        process.stdin.close()
    assert killed > 20  # reads of the schema, tables, columns, rows, and the commit
    version, kept, tasks = held(url)
    assert (version, kept) == (sorted(path.name for path in (MIGRATIONS / "versions").glob("0*.py"))[-1][:4], before[1])
    assert tasks == 40 + 30 + 60  # analyses, films and rooms that had not ended
    store = Store(url)
    store.migrate()
    assert len(store.jobs(limit=100)[0]) == 60
    store.close()


def test_a_copy_that_was_broken_off_is_made_anew(tmp_path: Path) -> None:
    """A power cut leaves anything under its name: the copy that a restore would take is whole or not there."""
    url = f"sqlite:///{tmp_path / 'mien.sqlite3'}"
    filled(url, 3)
    for name in (f"mien.sqlite3.schema-{OLD}", f"mien.sqlite3.schema-{OLD}.part"):
        (tmp_path / name).write_bytes(b"half of a copy" * 1000)
    store = Store(url)
    store.migrate()
    store.close()
    copy = sqlite3.connect(tmp_path / f"mien.sqlite3.schema-{OLD}")
    assert copy.execute("select count(*) from participants").fetchall() == [(3,)]
    copy.close()
    assert not list(tmp_path.glob("*.part*"))


def test_without_room_for_the_copy_the_migration_is_refused_in_a_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mien.sqlite3'}"
    filled(url, 3)
    before = held(url)
    (tmp_path / f"mien.sqlite3.schema-{OLD}.part").mkdir()  # stands for a disk that cannot be written
    store = Store(url)
    with pytest.raises(DataError, match="cannot be copied before it is changed, and is as it was: ") as refused:
        store.migrate()
    store.close()
    assert "\n" not in str(refused.value)
    assert held(url) == before
