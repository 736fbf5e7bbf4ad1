"""All that the web application keeps, in one file and back: the rows of its database and the folders of analyses and studies.

The file is a tar: `jobs/…` and `studies/…` as they lie in the data folder, the rows as an SQLite database whatever the server's own
is, and last a list of all that with sizes and hashes. What is cut off has no list; what is damaged differs from it.
"""

import hashlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from sqlalchemy import Table, func, insert, select, text, update

from mien import __version__
from mien.errors import DataError
from mien.web.database import READS, Base, Job, Login, ServerRow, Store, Task
from mien.web.folders import files
from mien.web.services import only_one
from mien.web.settings import Settings
from mien.whole_file import whole_file

FORMAT = 1
ROWS, LIST = "mien.sqlite3", "mien-backup.json"
FOLDERS = ("jobs", "studies")
_AT_ONCE = 500
"""Rows that are in memory together."""
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Contents:
    """How much a backup holds: rows of the database, and files with their bytes."""

    rows: int
    files: int
    bytes: int


def backup(settings: Settings, target: Path) -> Contents:
    """Writes everything to `target`, in place of an older file.

    Raises `DataError` where there is nothing, `MienError` while a server uses the data folder: it changes rows and folders one
    after the other, and a copy from in between would not be whole.
    """
    folder = settings.data_dir
    with _opened(settings, folder) as store, whole_file(target) as part:
        with tempfile.TemporaryDirectory(prefix=".backup-", dir=folder) as scratch:
            kept = Path(scratch) / ROWS
            rows = _rows_into(kept, store)
            listed: dict[str, list[Any]] = {}
            with tarfile.open(part, "w", dereference=True) as archive:
                _add(archive, kept, ROWS, listed)
                for path in sorted(path for name in FOLDERS for path, _ in files(folder / name)):
                    if not path.is_symlink():
                        _add(archive, path, path.relative_to(folder).as_posix(), listed)
                facts = {"format": FORMAT, "mien": __version__, "made_at": datetime.now(UTC).isoformat(), "files": listed}
                (Path(scratch) / LIST).write_text(json.dumps(facts), encoding="utf-8")
                _add(archive, Path(scratch) / LIST, LIST, {})
        part.chmod(0o600)
    return _contents(rows, listed)


def restore(settings: Settings, source: Path) -> Contents:
    """Takes back what `backup` wrote, into an empty data folder and an empty database.

    Raises `DataError` where the file is no backup, not whole, damaged or of a newer mien, and where something would be replaced;
    nothing has been taken then. `MienError` while a server uses the data folder.
    """
    folder = settings.data_dir
    with only_one(folder):
        there = [name for name in FOLDERS if (folder / name).is_dir() and any((folder / name).iterdir())]
        if there:
            raise DataError(f"{folder}: holds {' and '.join(there)} already, which would be mixed; restore into another --data")
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=folder) as scratch:
            listed = _unpacked(source, Path(scratch))
            rows = _rows_back(Path(scratch), settings)
    return _contents(rows, listed)


def _contents(rows: int, listed: dict[str, list[Any]]) -> Contents:
    sizes = [size for name, (size, _) in listed.items() if name != ROWS]
    return Contents(rows, len(sizes), sum(sizes))


@contextmanager
def _opened(settings: Settings, folder: Path) -> Iterator[Store]:
    """The database of a data folder that is there, while no server uses it."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; give that of the server with --data")
    store = Store(settings.url)
    try:
        if store.file is not None and not store.file.is_file():
            raise DataError(
                f"{folder}: no server of mien has kept anything here; give its folder with --data, and --db if it has one"
            )
        with only_one(folder):
            store.migrate()
            yield store
    finally:
        store.close()


# --- rows


def _tables() -> list[Table]:
    """Those that are kept, each after those that it names. Logins are not: an old file is nobody's key; nor who served then."""
    return [table for table in Base.metadata.sorted_tables if table.name not in (Login.__tablename__, ServerRow.__tablename__)]


def _rows_into(file: Path, source: Store) -> int:
    kept = Store(f"sqlite:///{file}")
    try:
        kept.migrate()
        with kept.session() as session:
            return _copy(source, session)
    finally:
        kept.close()  # which also ends the file's log of changes


def _copy(source: Store, target: Any) -> int:
    """All rows, as they stood at one moment; how many."""
    options: dict[str, Any] = {READS: True} if source.file is not None else {"isolation_level": "REPEATABLE READ"}
    count = 0
    with source.engine.connect().execution_options(**options) as reading, reading.begin():
        for table in _tables():
            for some in reading.execute(select(table)).mappings().partitions(_AT_ONCE):
                target.execute(insert(table), [dict(row) for row in some])
                count += len(some)
    return count


def _rows_back(scratch: Path, settings: Settings) -> int:
    """Rows and folders to where they belong: the rows are there when the folders are."""
    source, target = Store(f"sqlite:///{scratch / ROWS}"), Store(settings.url)
    moved: list[str] = []
    try:
        source.migrate()  # refuses those of a newer mien
        target.migrate()
        with target.session() as session:
            held = [table.name for table in _tables() if session.scalar(select(func.count()).select_from(table))]
            if held:
                raise DataError(
                    f"{target.url.render_as_string()}: holds rows already ({', '.join(held)}); restore into an empty --db"
                )
            count = _copy(source, session)
            for table in (Task, Job):  # whoever had something then has it no more
                session.execute(update(table).values(owner=None))
            if target.file is None:
                _continue_numbers(session)
            for name in FOLDERS:
                if (scratch / name).is_dir():
                    shutil.rmtree(settings.data_dir / name, ignore_errors=True)  # an empty one
                    (scratch / name).rename(settings.data_dir / name)
                    moved.append(name)
        return count
    except BaseException:
        for name in moved:  # the rows could not be kept in the end
            (settings.data_dir / name).rename(scratch / name)
        raise
    finally:
        source.close()
        target.close()


def _continue_numbers(session: Any) -> None:
    """PostgreSQL gives numbers from a counter that knows nothing of rows which came with theirs."""
    for table in _tables():
        if "number" in table.columns and table.columns["number"].primary_key:
            counter = f"pg_get_serial_sequence('{table.name}', 'number')"
            session.execute(text(f"select setval({counter}, coalesce(max(number), 0) + 1, false) from {table.name}"))


# --- the file


def _add(archive: tarfile.TarFile, path: Path, name: str, listed: dict[str, list[Any]]) -> None:
    info = archive.gettarinfo(path, arcname=name)
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    with path.open("rb") as file:
        reading = _Hashed(file)
        archive.addfile(info, reading)
    listed[name] = [info.size, reading.hash.hexdigest()]


class _Hashed:
    """A file that notes what is read of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.hash = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self.file.read(size)
        self.hash.update(block)
        return block


def _unpacked(source: Path, scratch: Path) -> dict[str, list[Any]]:
    """The files of a backup into a folder; what its list says of them, which is true."""
    found: dict[str, list[Any]] = {}
    facts: Any = None
    try:
        with tarfile.open(source, "r:") as archive:
            for member in archive:
                content = archive.extractfile(member)
                if member.name == LIST and content is not None:
                    facts = json.loads(content.read())
                    continue
                if content is None or not _belongs(member.name):
                    raise DataError(f"{source}: is no backup of mien: it holds {member.name!r}")
                target = scratch / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                reading = _Hashed(content)
                with target.open("wb") as file:
                    while block := reading.read(_BLOCK):
                        file.write(block)
                found[member.name] = [member.size, reading.hash.hexdigest()]
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise DataError(f"{source}: is no whole backup of mien: {error}; nothing was taken") from error
    if not isinstance(facts, dict):
        raise DataError(f"{source}: is no whole backup of mien: its list is missing, it was cut off; nothing was taken")
    if facts.get("format") != FORMAT:
        raise DataError(
            f"{source}: is a backup of format {facts.get('format')!r}, but wanted {FORMAT}; take the mien that wrote it"
        )
    listed: dict[str, list[Any]] = facts["files"]
    wrong = sorted({name for name in {*listed, *found} if listed.get(name) != found.get(name)})
    if wrong or ROWS not in listed:
        raise DataError(f"{source}: is damaged: {(wrong or [ROWS])[0]} is not what was written; nothing was taken")
    return listed


def _belongs(name: str) -> bool:
    """Whether a file of this name may lie in a backup, and nowhere but in its folder."""
    parts = PurePosixPath(name).parts
    return name == ROWS or (len(parts) > 1 and parts[0] in FOLDERS and ".." not in parts and "\\" not in name)
