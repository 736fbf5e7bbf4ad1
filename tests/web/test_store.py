"""The database: jobs, paging, search, many at once, migrations; in SQLite, and in PostgreSQL where that is installed."""

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from mien.errors import DataError
from mien.web.database import MIGRATIONS, Base, Job, Store, new_id, now

SECOND = '''"""A column more, and every name in capitals."""

import sqlalchemy as sa
from alembic import op

revision = "0099"
down_revision = "{last}"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("rating", sa.Integer()))
    op.execute("update jobs set name = upper(name)")
    {more}


def downgrade() -> None:
    op.drop_column("jobs", "rating")
'''


@pytest.fixture(autouse=True)
def tables() -> None:
    """These tests have theirs from the migrations."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'a folder' / 'mien.sqlite3'}"
        return
    address = request.getfixturevalue("postgres")
    yield address
    store = Store(address)
    with store.engine.begin() as connection:
        connection.execute(text("drop schema public cascade"))
        connection.execute(text("create schema public"))
    store.close()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store(url)
    store.migrate()
    yield store
    store.close()


def test_a_job_comes_back_as_it_was(store: Store) -> None:
    made = datetime(2026, 11, 21, 15, 20, tzinfo=timezone(timedelta(hours=1)))
    given = store.create_job(
        name="Ünï ✓ 'x' %_.mp4", created_at=made, options={"every_s": 0.5}, progress={"share": 0.5}, size_bytes=2**40
    )
    found = store.job(given.id)
    assert found is not None
    assert (found.name, found.options, found.progress, found.size_bytes) == (given.name, {"every_s": 0.5}, {"share": 0.5}, 2**40)
    assert (found.kind, found.state, found.edits, found.live, found.error) == ("file", "queued", {}, None, None)
    assert found.created_at == made
    assert found.created_at.tzinfo is UTC
    assert store.job("nosuchjob") is None


def test_ids_fit_into_addresses_and_are_not_guessed() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(id) == 16 and id.replace("-", "").replace("_", "").isalnum() for id in ids)


def test_changes_are_kept_and_depend_on_the_state(store: Store) -> None:
    job = store.create_job(name="a.mp4")
    running = store.update_job(job.id, only_in=("queued",), state="running", started_at=now())
    assert running is not None
    assert running.state == "running"
    assert store.update_job(job.id, only_in=("queued",), state="cancelled") is None
    assert store.update_job(job.id, progress=None, shares={"happiness": 1.0}) is not None
    found = store.job(job.id)
    assert found is not None
    assert (found.state, found.progress, found.shares) == ("running", None, {"happiness": 1.0})
    assert store.update_job("nosuchjob", state="done") is None
    assert store.delete_job(job.id) is True
    assert store.delete_job(job.id) is False


def test_pages_hold_each_job_once_though_new_ones_come(store: Store) -> None:
    made = [store.create_job(name=f"{i}.mp4").id for i in range(7)]
    seen, cursor = [], ""
    while True:
        page, following = store.jobs(limit=3, cursor=cursor)
        seen += [job.id for job in page]
        store.create_job(name="comes in between")
        if following is None:
            break
        cursor = following
    assert seen == made[::-1]
    assert store.jobs(limit=8)[1] is not None
    for wrong in ("x", "-1", "1.5", "²", "9" * 30):
        with pytest.raises(ValueError, match="no page begins at"):
            store.jobs(cursor=wrong)


def test_a_number_is_never_given_twice(store: Store) -> None:
    """A page's cursor would come to mean another job."""
    last = store.create_job().number
    with store.session() as session:
        session.execute(text("delete from jobs"))
    assert store.create_job().number > last


def test_search_finds_all_words_in_names_and_headlines(store: Store) -> None:
    store.create_job(name="Holiday 100%.mp4", headline="Mostly happy")
    store.create_job(name="holiday_2.mp4", headline="Mostly neutral")
    store.create_job(name="work.mp4", state="done")

    def found(**asked: str) -> list[str]:
        return [job.name for job in store.jobs(**asked)[0]]  # type: ignore[arg-type]

    assert found(search="HOLIDAY") == ["holiday_2.mp4", "Holiday 100%.mp4"]
    assert found(search="mostly holiday neutral") == ["holiday_2.mp4"]
    assert found(search="%") == ["Holiday 100%.mp4"]
    assert found(search="_") == ["holiday_2.mp4"]
    assert found(search="'; drop table jobs") == []
    assert [job.name for job in store.jobs(states=["done"])[0]] == ["work.mp4"]
    assert [job.name for job in store.jobs(kind="live")[0]] == []


def test_the_queue_has_an_order_and_places(store: Store) -> None:
    first, second = store.create_job(name="first"), store.create_job(name="second")
    done, live = store.create_job(state="done"), store.create_job(kind="live", state="recording")
    assert [job.id for job in store.unfinished()] == [first.id, second.id, live.id]
    assert [job.id for job in store.unfinished("file")] == [first.id, second.id]
    assert [store.place(job) for job in (first, second, done, live)] == [1, 2, None, None]
    again = store.update_job(first.id, queued_at=now())  # tried again: behind those that waited meanwhile
    assert again is not None
    assert [store.place(job) for job in (again, second)] == [2, 1]


def test_what_raises_is_undone(store: Store) -> None:
    with pytest.raises(RuntimeError), store.session() as session:
        session.add(Job(name="half"))
        session.flush()
        raise RuntimeError
    assert store.jobs()[0] == []


def test_many_threads_write_at_once_and_nothing_is_lost(store: Store) -> None:
    job = store.create_job(edits={"count": 0})
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10):
                with store.session() as session:
                    row = session.get_one(Job, job.number, with_for_update=True)
                    row.edits = {"count": row.edits["count"] + 1}
                assert store.job(job.id) is not None
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = store.job(job.id)
    assert found is not None
    assert found.edits == {"count": 80}


# --- the schema


def test_sqlite_is_set_up_for_a_server(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'db'}")
    with store.engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    store.close()
    assert found == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 10_000}


def test_a_reader_waits_for_no_writer(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'db'}")
    store.migrate()
    with store.session() as session:
        session.add(Job(id="a" * 16))
        session.flush()
        assert store.job("a" * 16) is None  # at once, and not what is not kept yet
    assert store.job("a" * 16) is not None
    store.close()


def test_migrations_make_what_the_models_say(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrating_again_changes_nothing(store: Store) -> None:
    store.create_job(name="stays")
    store.migrate()
    assert [job.name for job in store.jobs()[0]] == ["stays"]


def later_migrations(tmp_path: Path, more: str = "pass") -> Path:
    """The migrations of a later version: all of ours and one more."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    last = sorted(path.stem for path in (folder / "versions").glob("[0-9]*.py"))[-1].split("_")[0]
    (folder / "versions" / "0099_later.py").write_text(SECOND.format(last=last, more=more))
    return folder


def test_an_older_schema_is_brought_up_with_what_is_in_it(store: Store, tmp_path: Path) -> None:
    store.create_job(name="old", shares={"happiness": 0.5})
    store.migrate(later_migrations(tmp_path))
    assert "rating" in {column["name"] for column in inspect(store.engine).get_columns("jobs")}
    found = store.jobs()[0][0]
    assert (found.name, found.shares) == ("OLD", {"happiness": 0.5})
    if store.url.get_backend_name() == "sqlite":
        kept = list(Path(str(store.url.database)).parent.glob("*.schema-*"))
        assert len(kept) == 1  # a copy from before
        with sqlite3.connect(kept[0]) as copy:
            assert copy.execute("select name from jobs").fetchall() == [("old",)]
        copy.close()


def test_a_migration_that_fails_leaves_everything_as_it_was(store: Store, tmp_path: Path) -> None:
    store.create_job(name="old")
    with pytest.raises(DataError, match=r"cannot be brought to schema 0099, and is as it was: .*no_such_table"):
        store.migrate(later_migrations(tmp_path, 'op.execute("delete from no_such_table")'))
    inspect(store.engine).clear_cache()
    assert "rating" not in {column["name"] for column in inspect(store.engine).get_columns("jobs")}
    assert store.jobs()[0][0].name == "old"
    store.migrate()


def test_a_newer_schema_is_left_alone(store: Store, tmp_path: Path) -> None:
    store.migrate(later_migrations(tmp_path))
    with pytest.raises(DataError, match=r"was made by a newer mien \(schema 0099, known to 0\d+\); install that version"):
        store.migrate()


@pytest.mark.extras
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "wanted a database's address such as postgresql://user@host/mien, but got 'nonsense'"),
        ("oracle://h/d", r"oracle://h/d needs the package \w+"),
        ("postgresql://u:secret@127.0.0.1:1/d", r"postgresql\+psycopg://u:\*\*\*@127.0.0.1:1/d: cannot be opened: "),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line_without_its_password(url: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        Store(url).migrate()
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"not a database" * 100)
    with pytest.raises(DataError, match="file is not a database"):
        Store(f"sqlite:///{tmp_path / 'db'}").migrate()


def test_what_was_erased_is_not_in_the_file_any_more(tmp_path: Path) -> None:
    path = tmp_path / "db"
    store = Store(f"sqlite:///{path}")
    store.migrate()
    job = store.create_job(name="MARIANNE-EXAMPLE")
    store.delete_job(job.id)
    store.shrink()
    store.close()
    assert all(b"MARIANNE-EXAMPLE" not in file.read_bytes() for file in tmp_path.iterdir())


def test_an_id_is_never_taken_for_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter(["-abc", "-x", "k3v9-_aZ"])
    monkeypatch.setattr("mien.web.database.secrets.token_urlsafe", lambda size: next(made))
    assert new_id() == "k3v9-_aZ"
