"""What the web application remembers: jobs, logins and studies, in SQLite or PostgreSQL."""

import errno
import glob
import itertools
import json
import logging
import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    String,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    func,
    inspect,
    or_,
    select,
    text,
    update,
)
from sqlalchemy import delete as delete_rows
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator

from mien.errors import DataError
from mien.web.errors import ApiError

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_S = 10
BUSY_S = 5
"""After how long somebody is to try again whom the database had no time for."""
AGAIN_S = 1.0
"""How often the server itself tries again to keep what it must not lose."""
STEP_S = 5.0
"""By how much the machine's clock may differ before that is taken for a step. What lies below is how exactly clocks go."""

ID_BYTES = 12
READS = "mien_reads"
MIGRATING = 0x6D69656E
"""What PostgreSQL locks while tables are made."""

UNFINISHED = ("queued", "running", "recording", "paused", "saving")
FINISHED = ("done", "failed", "cancelled")

SAMPLED = """
select c.relname, a.attname, format_type(a.atttypid, a.atttypmod) as type, s.attname is not null as kept
from pg_class c join pg_attribute a on a.attrelid = c.oid
left join pg_stats s on s.schemaname = current_schema() and s.tablename = c.relname and s.attname = a.attname
where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' and c.relname = any(:tables)
and a.attnum > 0 and not a.attisdropped and (a.attstattarget is distinct from 0 or s.attname is not null)
order by c.relname, a.attnum"""
"""The columns of tables that PostgreSQL samples for its planner, and whether it has kept anything of them."""

STUDY_TABLES = ("participants", "studies", "invitations", "rooms", "frozen", "audit")
JOB_TABLES = ("jobs", "tasks")

log = logging.getLogger(__name__)


def passed_s() -> float:
    """Seconds that passed since some moment, also while the machine slept, where the system counts them."""
    counted = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
    return time.monotonic() if counted is None else time.clock_gettime(counted)


class Clock:
    """One process's clock, for what is written down. May be asked from any thread.

    It goes by the seconds since the process began, which nobody sets, and takes over what the machine's clock says only when it is
    told to: `retention.clock_steps` brings along what was written down meanwhile.

    told    what the machine's clock says, in seconds since 1970        passed  seconds that nobody sets
    """

    def __init__(self, told: Callable[[], float] = time.time, passed: Callable[[], float] = passed_s) -> None:
        self.told, self.passed = told, passed
        self._began_s = passed()
        self._first = self._offset = told() - self._began_s

    def now(self) -> datetime:
        """This moment, in UTC, as it was last taken over from the machine's clock."""
        return datetime.fromtimestamp(self.passed() + self._offset, UTC)

    def began(self) -> datetime:
        """When this process began, by the same clock."""
        return datetime.fromtimestamp(self._began_s + self._offset, UTC)

    def unset_s(self) -> float:
        """Seconds since 1970 by the machine's clock as it was when the process began, whatever it was set to since."""
        return self.passed() + self._first

    def step_s(self) -> float:
        """By how many seconds the machine's clock was set since it was last taken over; 0 where it was not."""
        step = self.told() - self.passed() - self._offset
        return step if abs(step) >= STEP_S else 0.0

    def follow(self, step_s: float) -> None:
        """Takes a step over."""
        self._offset += step_s


CLOCK = Clock()
"""This process's."""


def now() -> datetime:
    """This moment, in UTC."""
    return CLOCK.now()


def new_id() -> str:
    """16 letters that fit into an address and that nobody guesses; never a dash first, which a command line takes for an option."""
    while (made := secrets.token_urlsafe(ID_BYTES)).startswith("-"):
        pass
    return made


class UtcTime(TypeDecorator[datetime]):
    """Times with their zone; SQLite keeps none, so all are kept in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if not isinstance(value, datetime):
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """All tables."""


class Job(Base):
    """One file that is analysed, or one live recording.

    `number` rises with each job and gives the order of the lists; `id` is what others see. `edits` holds what a person changed:
    names, merges, hidden tracks. `live` and `owner` are for recordings alone: what is needed to go on with one, and the server that
    has it.
    """

    __tablename__ = "jobs"

    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(8), default="file")
    state: Mapped[str] = mapped_column(String(16), default="queued", index=True)
    name: Mapped[str] = mapped_column(Text, default="")
    media: Mapped[str | None] = mapped_column(String(16), default=None)
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=now)
    queued_at: Mapped[datetime] = mapped_column(UtcTime, default=now)
    started_at: Mapped[datetime | None] = mapped_column(UtcTime, default=None)
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime, default=None, index=True)
    options: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    progress: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    error: Mapped[str | None] = mapped_column(Text, default=None)
    note: Mapped[str | None] = mapped_column(Text, default=None)
    headline: Mapped[str | None] = mapped_column(Text, default=None)
    duration_s: Mapped[float | None] = mapped_column(Float, default=None)
    people: Mapped[int | None] = mapped_column(Integer, default=None)
    shares: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    looks_per_s: Mapped[float | None] = mapped_column(Float, default=None)
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    edits: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    live: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    owner: Mapped[str | None] = mapped_column(String(32), default=None)


class Task(Base):
    """Something that takes long: see `mien.web.tasks.runner`. `subject` says of what, `detail` what else is needed to do it, and
    `owner` which server has it."""

    __tablename__ = "tasks"
    __table_args__ = (UniqueConstraint("kind", "subject"),)

    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(128))
    state: Mapped[str] = mapped_column(String(16), default="waiting", index=True)
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    error: Mapped[str | None] = mapped_column(Text, default=None)
    queued_at: Mapped[datetime] = mapped_column(UtcTime, default=now)
    started_at: Mapped[datetime | None] = mapped_column(UtcTime, default=None)
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime, default=None)
    owner: Mapped[str | None] = mapped_column(String(32), default=None)


class ServerRow(Base):
    """A server that has, or had, tasks: see `mien.web.tasks.servers`. `process` tells it from others on its machine, `beats` rises
    while it lives, `shown` is the progress of its tasks, by their ids."""

    __tablename__ = "servers"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    process: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    beats: Mapped[int] = mapped_column(Integer, default=0)
    shown: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


class Login(Base):
    """A browser that may see the pages. Only a hash of what its cookie holds is kept."""

    __tablename__ = "logins"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=now)
    expires_at: Mapped[datetime] = mapped_column(UtcTime, index=True)


# --- studies


class StudyRow(Base):
    """A study. `definition` is what `mien.study.Study` reads; `consents` are all versions of its consent text, with their times.

    `films` says of each stimulus with a film whether it can be played yet; `version` rises with every change of its data, whether
    of the definition or of what participants gave; `names_given` is how many participants there ever were, so that no name comes
    back with another person; `funnel` counts those of whom nothing is kept, see `mien.web.studies.funnel`; `left_out` says of
    viewers who are not to count in the report why not, {name: [[since, reason], …]}; an empty reason takes one in again.
    """

    __tablename__ = "studies"

    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True, default=new_id)
    title: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(String(16), default="draft", index=True)
    definition: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    consents: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    films: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    version: Mapped[int] = mapped_column(Integer, default=1)
    names_given: Mapped[int] = mapped_column(Integer, default=0)
    funnel: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    left_out: Mapped[dict[str, list[list[str]]]] = mapped_column(JSON, default=dict)
    simulated: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=now)
    changed_at: Mapped[datetime] = mapped_column(UtcTime, default=now)


def _of_study() -> Mapped[str]:
    return mapped_column(String(32), ForeignKey("studies.id", ondelete="CASCADE"), index=True)


class Invitation(Base):
    """A link to take part in a study; `id` is in its address. `limit` and `ends_at` may be without."""

    __tablename__ = "invitations"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    study_id: Mapped[str] = _of_study()
    label: Mapped[str] = mapped_column(Text, default="")
    one_time: Mapped[bool] = mapped_column(Boolean, default=False)
    limit: Mapped[int | None] = mapped_column(Integer, default=None)
    used: Mapped[int] = mapped_column(Integer, default=0)
    ends_at: Mapped[datetime | None] = mapped_column(UtcTime, default=None)
    groups: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    closed: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=now)


class Participant(Base):
    """A person who agreed to take part. `name` is a number, shown to the operator; of the code there is only a hash.

    `id` names the person's folder. Nothing here says who it is, but what the person wrote into `answers`, and `identifiers`: what
    the address by which the person came says of them, {parameter: value}, where the consent text says that it is kept.
    """

    __tablename__ = "participants"
    __table_args__ = (UniqueConstraint("study_id", "name"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    study_id: Mapped[str] = _of_study()
    name: Mapped[int] = mapped_column(Integer)
    invitation_id: Mapped[str | None] = mapped_column(
        String(32), ForeignKey("invitations.id", ondelete="SET NULL"), default=None, index=True
    )
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    language: Mapped[str] = mapped_column(String(8), default="en")
    consent_version: Mapped[int] = mapped_column(Integer)
    consented_at: Mapped[datetime] = mapped_column(UtcTime, default=now)
    pictures: Mapped[bool] = mapped_column(Boolean, default=False)
    step: Mapped[str] = mapped_column(String(64), default="agreed")
    order: Mapped[list[str]] = mapped_column(JSON, default=list)
    positions: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    answers: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    groups: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    quality: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    identifiers: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    seen_at: Mapped[datetime] = mapped_column(UtcTime, default=now)
    finished_at: Mapped[datetime | None] = mapped_column(UtcTime, default=None)


class Room(Base):
    """One camera's recording, or a film, of many people while a stimulus played; its numbers lie in the study's folder.

    `job` is the recording or analysis that it is made of, until it is; `clock` and `offset_s` say which second of the film each of
    its seconds saw, see `mien.web.studies.room_clock`. `people`, `left_out` and `together` are counted from the numbers.
    """

    __tablename__ = "rooms"
    __table_args__ = (UniqueConstraint("study_id", "name"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    study_id: Mapped[str] = _of_study()
    name: Mapped[int] = mapped_column(Integer)
    stimulus: Mapped[str] = mapped_column(String(64))
    offset_s: Mapped[float] = mapped_column(Float, default=0.0)
    clock: Mapped[list[list[float]] | None] = mapped_column(JSON(none_as_null=True), default=None)
    label: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(String(16), default="analysing", index=True)
    job: Mapped[str | None] = mapped_column(String(32), default=None)
    error: Mapped[str | None] = mapped_column(Text, default=None)
    duration_s: Mapped[float | None] = mapped_column(Float, default=None)
    people: Mapped[int] = mapped_column(Integer, default=0)
    left_out: Mapped[int] = mapped_column(Integer, default=0)
    together: Mapped[int] = mapped_column(Integer, default=0)
    made_at: Mapped[datetime] = mapped_column(UtcTime, default=now)


class Frozen(Base):
    """A review as it stood at a moment: a name and the moment, nothing copied."""

    __tablename__ = "frozen"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    study_id: Mapped[str] = _of_study()
    name: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column(UtcTime, default=now)


class AuditEntry(Base):
    """Who did what with a study, never what it held. Stays when the study is erased, so that the erasing itself is on record."""

    __tablename__ = "audit"

    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    study_id: Mapped[str] = mapped_column(String(32), index=True)
    at: Mapped[datetime] = mapped_column(UtcTime, default=now)
    who: Mapped[str] = mapped_column(String(16))
    action: Mapped[str] = mapped_column(String(64))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


class Store:
    """The database at `url`. Rows that are given out stay readable after their session ends; changing them changes nothing."""

    def __init__(self, url: str) -> None:
        """Connects at the first use. Raises `DataError` for an address that is none, or whose driver is not installed."""
        try:
            parsed = _driver(make_url(url))
            sqlite = parsed.get_backend_name() == "sqlite"
            self.file = Path(str(parsed.database)) if sqlite and parsed.database not in (None, "", ":memory:") else None
            if self.file is not None:
                self.file.parent.mkdir(parents=True, exist_ok=True)
            arguments = {"timeout": BUSY_TIMEOUT_S} if sqlite else {}
            self.engine = create_engine(
                parsed,
                connect_args=arguments,
                pool_pre_ping=not sqlite,
                hide_parameters=True,  # what people wrote stands in no error, and so in no log
                json_serializer=json_text,
                json_deserializer=json_value,
            )
        except ArgumentError:
            raise DataError(f"wanted a database's address such as postgresql://user@host/mien, but got {url!r}") from None
        except ModuleNotFoundError as error:
            extra = "; run: pip install 'mien[postgres]'" if parsed.get_backend_name() == "postgresql" else ""
            raise DataError(f"the database {parsed.render_as_string()} needs the package {error.name}{extra}") from None
        self.url, self.is_shared, self.owes = parsed, is_shared(url), False
        if sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    def close(self) -> None:
        """Gives all connections back."""
        self.engine.dispose()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction: kept where the block ends, undone where it raises."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that only reads, and waits for nobody."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            session.connection(execution_options={READS: True})
            yield session

    def answers(self) -> bool:
        """Whether the database can be asked just now."""
        try:
            with self.reading() as rows:
                return bool(rows.scalar(select(1)))
        except (DBAPIError, PoolTimeout):
            return False

    # --- the schema

    def migrate(self, folder: Path = MIGRATIONS) -> None:
        """Brings the tables to what this version of mien knows; does nothing where they are already there.

        Raises `DataError` where the database cannot be opened or was made by a newer version.
        """
        known = sorted(path.stem.split("_")[0] for path in (folder / "versions").glob("[0-9]*.py"))
        name = self.url.render_as_string()
        try:
            with self.engine.connect() as connection:
                there = inspect(connection).has_table("alembic_version")
                found = connection.scalar(text("select version_num from alembic_version")) if there else None
        except DatabaseError as error:
            raise DataError(f"{name}: cannot be opened: {_reason(error)}") from error
        if found is not None and found not in known:
            raise DataError(
                f"{name}: was made by a newer mien (schema {found}, known to {known[-1]}); "
                "install that version, or take another --db"
            )
        try:
            if found != known[-1]:
                if found is not None and self.file is not None:
                    self._copy(found)
                self._upgrade(folder)
            if self.file is None:
                self._keep_no_statistics()
        except DatabaseError as error:
            raise DataError(f"{name}: cannot be brought to schema {known[-1]}, and is as it was: {_reason(error)}") from error

    def _copy(self, found: str) -> None:
        """Keeps SQLite's file as it is, beside it; under its name it is whole, however this ends."""
        assert self.file is not None
        whole = self.file.with_name(f"{self.file.name}.schema-{found}")
        part = whole.with_name(f"{whole.name}.part")
        try:
            for left in (part, part.with_name(f"{part.name}-journal")):
                left.unlink(missing_ok=True)
            with closing(sqlite3.connect(part)) as copy, closing(self.engine.raw_connection()) as pooled:
                driver = pooled.driver_connection
                assert driver is not None
                driver.backup(copy)
            part.replace(whole)
        except (OSError, sqlite3.Error) as error:
            raise DataError(f"{self.file}: cannot be copied before it is changed, and is as it was: {error}") from error

    def _upgrade(self, folder: Path) -> None:
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        with self.engine.connect() as connection, connection.begin():
            if self.is_shared:  # of servers that start together one makes the tables, and the others find them
                connection.exec_driver_sql(f"select pg_advisory_xact_lock({MIGRATING})")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _keep_no_statistics(self) -> None:
        """PostgreSQL samples the values of columns for its planner, and keeps those of rows that were erased: not of our tables,
        which are so small that it plans well without."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            sampled = connection.execute(text(SAMPLED), {"tables": list(Base.metadata.tables)}).all()
            for table, columns in itertools.groupby(sampled, key=lambda one: one.relname):
                changes = []
                for column in columns:
                    name = f'alter column "{column.attname}"'
                    changes.append(f"{name} set statistics 0")
                    if column.kept:  # only a change of the type takes away what is there; to the same one it costs nothing
                        changes.append(f"{name} type {column.type}")
                connection.exec_driver_sql(f'alter table "{table}" {", ".join(changes)}')
            if any(column.kept for column in sampled):
                connection.exec_driver_sql("vacuum full pg_statistic")

    def shrink(self) -> None:
        """Once everything was erased: gives its space back to the disk, and forgets it."""
        if self.file is not None:
            with closing(self.engine.raw_connection()) as connection:
                driver = connection.driver_connection
                assert driver is not None
                driver.execute("VACUUM")
        self.forget(*STUDY_TABLES, *JOB_TABLES)

    def forget(self, *tables: str) -> None:
        """Takes what was erased out of the files beside the tables as well: SQLite's log of changes and the copies made before
        migrations, PostgreSQL's dead rows. (In SQLite's own file erasing writes zeros.) What is busy with them is waited for;
        where that lasts, `owes` says so, and it is for the sweep to try again.

        tables  whose rows were erased, where not those of studies; of SQLite it is always all
        PostgreSQL's own journal keeps changes until it comes round; that is for who runs the database.
        """
        if self.file is None:
            self.owes = not self._rewrite(tables or STUDY_TABLES)
            if self.owes:
                log.warning("dead rows of what was erased are still held on to; it is tried again each hour")
            return
        end = time.monotonic() + BUSY_TIMEOUT_S
        with closing(self.engine.raw_connection()) as connection:
            driver = connection.driver_connection
            assert driver is not None
            while (busy := driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]) and time.monotonic() < end:
                time.sleep(0.05)
        self.owes = bool(busy)
        if busy:
            log.warning("%s: its log could not be cleared of what was erased; it is tried again each hour", self.file.name)
        for copy in self._copies():
            copy.unlink(missing_ok=True)

    def _rewrite(self, tables: Sequence[str]) -> bool:
        """Writes tables of PostgreSQL anew, without dead rows; whether none is left.

        Dead rows are taken along as long as any transaction in the database is older than their end, be it one that reads other
        tables: it is waited for. The count is the one that the second, plain run leaves in the statistics.
        """
        clean = True
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"set lock_timeout = {round(BUSY_TIMEOUT_S * 1000)}")
            for table in tables:
                end = time.monotonic() + BUSY_TIMEOUT_S
                while dead := self._dead_rows(connection, table):
                    if time.monotonic() > end:
                        break
                    time.sleep(0.05)
                clean = clean and not dead
            connection.exec_driver_sql("reset lock_timeout")
        return clean

    @staticmethod
    def _dead_rows(connection: Connection, table: str) -> int:
        """Writes a table anew, and counts the dead rows still in it (1 where it is held on to and could not be written)."""
        try:
            connection.exec_driver_sql(f"vacuum full {table}")
        except OperationalError:  # the lock was not to be had
            connection.exec_driver_sql(f"vacuum {table}")
            return 1
        connection.exec_driver_sql(f"vacuum {table}")
        counted = text("select n_dead_tup from pg_stat_user_tables where relname = :table")
        return int(connection.scalar(counted, {"table": table}) or 0)

    def _copies(self) -> list[Path]:
        """The database as it was before each migration."""
        return [] if self.file is None else list(self.file.parent.glob(f"{glob.escape(self.file.name)}.schema-*"))

    # --- jobs

    def create_job(self, **values: Any) -> Job:
        """A new job, kept."""
        job = Job(**values)
        with self.session() as session:
            session.add(job)
        return job

    def job(self, id: str) -> Job | None:
        """The job, if there is one."""
        with self.reading() as session:
            return session.scalar(select(Job).where(Job.id == id))

    def jobs(
        self, *, limit: int = 50, cursor: str = "", search: str = "", states: Collection[str] = (), kind: str = ""
    ) -> tuple[Sequence[Job], str | None]:
        """Jobs, the newest first, and where the next page begins: None at the end.

        `search` is found anywhere in a name or a headline, capitals or not. Raises `ValueError` for a `cursor` that was not given
        out.
        """
        wanted = select(Job).order_by(Job.number.desc()).limit(limit + 1)
        if cursor:
            if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
                raise ValueError(f"no page begins at {cursor!r}; take next_cursor as it was given")
            wanted = wanted.where(Job.number < int(cursor))
        if states:
            wanted = wanted.where(Job.state.in_(states))
        if kind:
            wanted = wanted.where(Job.kind == kind)
        for word in search.split():
            wanted = wanted.where(or_(Job.name.icontains(word, autoescape=True), Job.headline.icontains(word, autoescape=True)))
        with self.reading() as session:
            found = list(session.scalars(wanted))
        return found[:limit], str(found[limit - 1].number) if len(found) > limit else None

    def update_job(self, id: str, *, only_in: Collection[str] = (), **values: Any) -> Job | None:
        """Changes a job and gives it back; None where there is none, or where its state is none of `only_in`."""
        change = update(Job).where(Job.id == id).values(**values).returning(Job.id)
        if only_in:
            change = change.where(Job.state.in_(only_in))
        with self.session() as session:
            changed = session.scalar(change.execution_options(synchronize_session=False))
            return session.scalar(select(Job).where(Job.id == changed))

    def delete_job(self, id: str) -> bool:
        """Forgets a job; whether there was one."""
        with self.session() as session:
            return session.scalar(delete_rows(Job).where(Job.id == id).returning(Job.id)) is not None

    def unfinished(self, kind: str = "") -> Sequence[Job]:
        """What is queued, running or recording, in the order in which it was queued."""
        wanted = select(Job).where(Job.state.in_(UNFINISHED)).order_by(Job.queued_at, Job.number)
        with self.reading() as session:
            return list(session.scalars(wanted.where(Job.kind == kind) if kind else wanted))

    def place(self, job: Job) -> int | None:
        """How many are before a job in the queue, itself included; None where it does not wait."""
        if job.state != "queued":
            return None
        with self.reading() as session:
            earlier = or_(Job.queued_at < job.queued_at, (Job.queued_at == job.queued_at) & (Job.number <= job.number))
            return session.scalar(select(func.count()).select_from(Job).where(Job.state == "queued", earlier))


def is_shared(url: str) -> bool:
    """Whether several servers may use the database at this address."""
    return url.partition(":")[0].partition("+")[0] in ("postgresql", "postgres")


def _reason(error: DatabaseError) -> str:
    return str(error.orig).strip().splitlines()[0]


_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""The letter NUL as JSON writes it, and not a backslash that somebody wrote before u0000."""


def refusal(error: Exception) -> ApiError | None:
    """What a full disk, a database that is held by somebody or gone, and a value that it cannot keep are answered with; None for
    any other exception."""
    cause = error.orig if isinstance(error, StatementError) else error
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the rest of it says more exactly what
    if code == sqlite3.SQLITE_FULL or (isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)):
        return ApiError(507, "disk_full", "The disk is full. Make room, and try again; what was there before is kept.")
    out_of_reach = isinstance(error, OperationalError) or (isinstance(error, DBAPIError) and error.connection_invalidated)
    if isinstance(error, PoolTimeout) or code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or out_of_reach:
        return ApiError(
            503, "busy", "The database is busy or cannot be reached. Try again in a moment.", headers={"Retry-After": str(BUSY_S)}
        )
    if isinstance(cause, OverflowError | UnicodeError | ValueError) and isinstance(error, StatementError):
        return ApiError(422, "invalid", "A number or text in the request is none that can be kept.")
    return None


def passes(error: Exception) -> bool:
    """Whether the database or the disk could not just now, and can when somebody has let go of it or made room."""
    found = refusal(error)
    return found is not None and found.status_code >= 500


def json_text(value: Any) -> str:
    """JSON that can be read again, by every database and program: UTF-8 can say it, and no number is none. Raises `ValueError`."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    text.encode()
    if _NUL.search(text):
        raise ValueError("holds a NUL, which databases do not keep")
    return text


def json_value(given: str | bytes) -> Any:
    """What `json_text` wrote. Earlier versions also wrote halves of letters, which nothing could be made of: each is a ? now.
    What a broken disk left is the text that it is, so that one row takes no list of all rows away; who wants more of it finds no
    dict."""
    text = given.decode("utf-8", "replace") if isinstance(given, bytes) else given
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")) if "\\ud" in text.lower() else value


def _driver(url: URL) -> URL:
    """psycopg is what we install; `postgres://` is how many providers write it."""
    return url.set(drivername="postgresql+psycopg") if url.drivername in ("postgresql", "postgres") else url


def _prepare_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    # Whoever may write waits for its turn at the start; a reader that turns into a writer half-way would fail instead.
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get(READS) else "BEGIN IMMEDIATE")
