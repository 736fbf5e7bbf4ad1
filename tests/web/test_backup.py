"""`mien db backup` and `restore`: everything comes back, and what is not whole is refused before anything is taken."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from mien.cli import main
from mien.errors import DataError, MienError
from mien.web.database import Base, Job, Login, Participant, Store, StudyRow, Task, now
from mien.web.operations.backup import LIST, ROWS, backup, restore
from mien.web.services import only_one
from mien.web.settings import Settings

FILES = {"jobs/one/result/faces.csv": b"1,2\n", "jobs/one/stills/ä.jpg": bytes(range(256)), "studies/s/films/f": b"f" * 70_000}


def kept(folder: Path) -> Settings:
    """A data folder of a server that has stopped: rows of several kinds, and files."""
    settings = Settings(data_dir=folder)
    store = Store(settings.url)
    store.migrate()
    with store.session() as rows:
        rows.add_all([Job(id="one", name="Ferien & Söhne.mp4", state="done", shares={"happiness": 0.5}), Job(id="two", edits={})])
        rows.add_all([Task(kind="film", subject="s/f"), Login(key="k", expires_at=now())])
        rows.add(StudyRow(id="s", title="A", definition={"title": "A", "blocks": [None, 1.5]}))
        rows.flush()
        rows.add(Participant(id="p", study_id="s", name=1, code_hash="c", consent_version=1, answers={"q": "ja\nnein"}))
    store.close()
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return settings


def rows_of(url: str) -> dict[str, list[dict[str, Any]]]:
    store = Store(url)
    with store.reading() as rows:
        found = {t.name: [dict(row) for row in rows.execute(select(t)).mappings()] for t in Base.metadata.sorted_tables}
    store.close()
    return found


def files_of(folder: Path) -> dict[str, bytes]:
    found = (path for name in ("jobs", "studies") for path in (folder / name).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_all_comes_back_but_logins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, file, new = kept(tmp_path / "old"), tmp_path / "b.tar", tmp_path / "new"
    assert main(["db", "backup", str(file), "--data", str(old.data_dir)]) == 0
    assert capsys.readouterr().out == f"backup: {file}: 5 rows, 3 files, 0.1 MB\n"
    assert file.stat().st_mode & 0o077 == 0
    assert main(["db", "restore", str(file), "--data", str(new)]) == 0
    assert capsys.readouterr().out == f"restored: {file}: 5 rows, 3 files, 0.1 MB\n"
    wanted = rows_of(old.url)
    assert wanted.pop("logins")
    there = rows_of(Settings(data_dir=new).url)
    assert (there.pop("logins"), there) == ([], wanted)
    assert files_of(new) == FILES == files_of(old.data_dir)
    assert not list(new.glob(".*"))
    assert not list(old.data_dir.glob(".*"))


@pytest.mark.extras
def test_it_goes_from_sqlite_to_postgresql_and_back(tmp_path: Path, postgres: str) -> None:
    old, file = kept(tmp_path / "old"), tmp_path / "b.tar"
    backup(old, file)
    over = Settings(data_dir=tmp_path / "over", database_url=postgres)
    restore(over, file)
    store = Store(postgres)
    assert store.create_job(name="the next").number == 3  # and no number that is taken
    store.delete_job(store.jobs()[0][0].id)
    store.close()
    backup(over, tmp_path / "c.tar")
    back = Settings(data_dir=tmp_path / "back")
    restore(back, tmp_path / "c.tar")
    wanted = rows_of(old.url) | {"logins": []}
    assert rows_of(back.url) == wanted
    assert files_of(back.data_dir) == FILES
    with pytest.raises(DataError, match="holds rows already"):
        restore(Settings(data_dir=tmp_path / "more", database_url=postgres), file)
    assert files_of(tmp_path / "more") == {}


def test_beside_a_server_nothing_is_copied(tmp_path: Path) -> None:
    old = kept(tmp_path / "old")
    with only_one(old.data_dir), pytest.raises(MienError, match="another mien serve uses this data folder; stop it"):
        backup(old, tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()


def test_where_no_server_was_there_is_nothing_to_copy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such folder"):
        backup(Settings(data_dir=tmp_path / "none"), tmp_path / "b.tar")
    assert not (tmp_path / "none").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no server of mien has kept anything here"):
        backup(Settings(data_dir=tmp_path / "empty"), tmp_path / "b.tar")
    assert list((tmp_path / "empty").iterdir()) == []


def _members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def _write(file: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(file, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def _cut(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])


def _without_its_list(file: Path) -> None:
    _write(file, {name: content for name, content in _members(file).items() if name != LIST})


def _one_bit(file: Path) -> None:
    members = _members(file)
    name = "jobs/one/result/faces.csv"
    _write(file, members | {name: b"1,3\n"})


def _one_file_less(file: Path) -> None:
    _write(file, {name: content for name, content in _members(file).items() if name != "studies/s/films/f"})


def _another_file(file: Path) -> None:
    _write(file, {"jobs/more": b""} | _members(file))


def _climbing(file: Path) -> None:
    _write(file, {"jobs/../../out": b"x"} | _members(file))


def _another_format(file: Path) -> None:
    members = _members(file)
    _write(file, members | {LIST: json.dumps(json.loads(members[LIST]) | {"format": 2}).encode()})


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_cut, "is no whole backup of mien"),
        (_without_its_list, "its list is missing, it was cut off"),
        (_one_bit, "is damaged: jobs/one/result/faces.csv is not what was written"),
        (_one_file_less, "is damaged: studies/s/films/f is not what was written"),
        (_another_file, "is damaged: jobs/more is not what was written"),
        (_climbing, r"is no backup of mien: it holds 'jobs/\.\./\.\./out'"),
        (_another_format, "is a backup of format 2, but wanted 1"),
        (lambda file: file.write_bytes(b"x" * 5000), "is no whole backup of mien"),
    ],
)
def test_what_is_not_whole_is_refused_and_nothing_taken(tmp_path: Path, spoil: Callable[[Path], Any], says: str) -> None:
    file, new = tmp_path / "b.tar", tmp_path / "new"
    backup(kept(tmp_path / "old"), file)
    spoil(file)
    with pytest.raises(DataError, match=says):
        restore(Settings(data_dir=new), file)
    assert [path.name for path in new.iterdir()] == ["server.lock"]
    assert not (tmp_path / "out").exists()


def test_nothing_is_replaced(tmp_path: Path) -> None:
    file, old = tmp_path / "b.tar", kept(tmp_path / "old")
    backup(old, file)
    with pytest.raises(DataError, match="holds jobs and studies already"):
        restore(old, file)
    other = Settings(data_dir=tmp_path / "other")
    store = Store(other.url)
    store.migrate()
    store.create_job(name="mine")
    with pytest.raises(DataError, match=r"holds rows already \(jobs\)"):
        restore(other, file)
    with store.reading() as rows:
        assert rows.scalar(select(func.count()).select_from(Job)) == 1
    store.close()
    assert files_of(other.data_dir) == {}


def test_rows_of_a_newer_mien_are_refused(tmp_path: Path) -> None:
    file, old = tmp_path / "b.tar", kept(tmp_path / "old")
    backup(old, file)
    members = _members(file)
    newer = tmp_path / ROWS
    newer.write_bytes(members[ROWS])
    store = Store(f"sqlite:///{newer}")
    with store.engine.begin() as rows:
        rows.exec_driver_sql("update alembic_version set version_num = '9999'")
    store.close()
    facts = json.loads(members[LIST])
    facts["files"][ROWS] = [newer.stat().st_size, hashlib.sha256(newer.read_bytes()).hexdigest()]
    _write(file, members | {ROWS: newer.read_bytes(), LIST: json.dumps(facts).encode()})
    with pytest.raises(DataError, match="was made by a newer mien"):
        restore(Settings(data_dir=tmp_path / "new"), file)
    assert files_of(tmp_path / "new") == {}
