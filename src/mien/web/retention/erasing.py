"""Erasing studies whole, what is past its time, and everything; one participant or room is erased by `participants` and `rooms`.

First the rows go, so that nobody can come back; then whoever writes is stopped; then the files go; at last the database's own
files are cleared of what the rows held. The proof is counted before, and looked for afterwards.
"""

import logging
import math
import shutil
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mien.errors import DataError
from mien.study.definition import Study
from mien.web.analyses.service import DOOMED
from mien.web.database import AuditEntry, Frozen, Invitation, Participant, Room, StudyRow, new_id, now
from mien.web.errors import ApiError
from mien.web.folders import held
from mien.web.studies.participants import Participants
from mien.web.studies.proof import Erased, Left, Proof
from mien.web.studies.rooms import Rooms
from mien.web.studies.service import REPORTS, UPLOADING, Studies, locked, note, remove

STRAY_AFTER_S = 24 * 3600
TABLES = (Participant, Invitation, Room, Frozen, AuditEntry)

log = logging.getLogger(__name__)


class Eraser:
    """Erases studies. Its methods may be called from any thread."""

    def __init__(self, studies: Studies, participants: Participants, rooms: Rooms) -> None:
        self.studies, self.store, self.settings = studies, studies.store, studies.settings
        self.participants, self.rooms = participants, rooms

    def study(self, id: str) -> Proof:
        """Erases a study: definition, films, invitations, everybody's data, reviews and log. That it was erased stays on record,
        under its id alone. Raises `ApiError` 404."""
        self.studies.known(id)
        with self.store.reading() as rows:
            names = list(rows.scalars(select(Room.name).where(Room.study_id == id)))
            people = list(rows.scalars(select(Participant.id).where(Participant.study_id == id)))
            jobs = [job for job in rows.scalars(select(Room.job).where(Room.study_id == id)) if job]
        folder, size = self.studies.folder(id), 0
        count = files = 0
        for name in names:  # a room may still be a recording, which is ended and erased with it
            told = self.rooms.erase(id, name).erased
            count, files, size = count + told.rows, files + told.files, size + told.bytes
        with self.store.session() as rows:
            locked(rows, id)
            count += _rows_of(rows, id)
            for table in TABLES:
                rows.execute(delete_rows(table).where(table.study_id == id))
            rows.execute(delete_rows(StudyRow).where(StudyRow.id == id))
        for one in (*people, id, f"{id}/{REPORTS}"):
            self.studies.writers.stop(one)
        more_files, more_size = _remove(folder)
        self.store.forget()
        with self.store.session() as rows:
            proof = Proof(
                erased=Erased(rows=count, files=files + more_files, bytes=size + more_size),
                left=Left(
                    rows=_rows_of(rows, id) + sum(self.store.job(job) is not None for job in jobs),
                    files=_files_below(folder) + sum(_files_below(self.settings.jobs_dir / job) for job in jobs),
                ),
            )
            note(rows, id, "operator", "erased", **proof.model_dump())
        return proof

    def everything(self) -> None:
        """Erases every study and the whole log, and whatever else lies among the studies."""
        for row in self.studies.list():
            self.study(row.id)
        with self.store.session() as rows:
            rows.execute(delete_rows(AuditEntry))
        for path in self.settings.studies_dir.glob("*"):
            _remove(path)

    def sweep(self, *, by_age: bool = True) -> list[str]:
        """Erases whose retention is over, and folders that belong to nobody; without `by_age` only what could not be erased whole.
        Gives the names of the viewers and rooms erased, as "study/3" and "study/R1"."""
        gone = []
        for row in self.studies.list() if by_age else ():
            try:
                days = Study.read(row.definition).retention_days
            except DataError:
                log.exception("the study %s cannot be read; what is kept in it is not erased by itself", row.id)
                continue
            oldest = now() - timedelta(days=days)
            for person in self.studies.participants(row.id):
                if person.consented_at < oldest:
                    self.participants.erase(person, "mien")
                    gone.append(f"{row.id}/{person.name}")
            with self.store.reading() as rows:
                names = list(rows.scalars(select(Room.name).where(Room.study_id == row.id, Room.made_at < oldest)))
            for name in names:
                with suppress(ApiError):  # somebody else erased it meanwhile
                    self.rooms.erase(row.id, name, "mien")
                    gone.append(f"{row.id}/R{name}")
        self._erase_strays(STRAY_AFTER_S if by_age else math.inf)
        return gone

    def _erase_strays(self, older_than_s: float) -> None:
        """What could not be erased whole, and what is of nobody and older than a day; newer things may just be made."""
        with self.store.reading() as rows:
            studies, people = set(rows.scalars(select(StudyRow.id))), set(rows.scalars(select(Participant.id)))
            rooms = {f"{id}.npz" for id in rows.scalars(select(Room.id))}
        folder, moment = self.settings.studies_dir, now().timestamp()
        nothing: set[str] = set()  # what is being sent lies there no longer than a day
        places = (("*", studies), ("*/participants/*", people), ("*/rooms/*", rooms), (f"*/films/*{UPLOADING}", nothing))
        for level, known in places:
            for path in folder.glob(level):
                with suppress(FileNotFoundError):
                    if path.name.endswith(DOOMED) or (path.name not in known and abs(moment - path.stat().st_mtime) > older_than_s):
                        remove(path)


def _rows_of(rows: Session, id: str) -> int:
    """The rows that hold something of a study."""
    count = rows.scalar(select(func.count()).select_from(StudyRow).where(StudyRow.id == id)) or 0
    for table in TABLES:
        count += rows.scalar(select(func.count()).select_from(table).where(table.study_id == id)) or 0
    return count


def _remove(path: Path) -> tuple[int, int]:
    """Removes a folder; how many files and bytes it held. What is in use is tried again by the sweep."""
    doomed = path.with_name(f"{path.name}.{new_id()}{DOOMED}")
    with suppress(FileNotFoundError):
        path.rename(doomed)
    count = held(doomed)
    shutil.rmtree(doomed, ignore_errors=True)
    if doomed.exists():
        log.error("%s could not be erased whole; it is tried again each hour", doomed)
    return count


def _files_below(path: Path) -> int:
    """The files that are still there, also under the name that they are erased under."""
    found = [path, *path.parent.glob(f"{path.name}*{DOOMED}")]
    return sum(held(there)[0] for there in found)
