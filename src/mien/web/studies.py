"""Studies as the server keeps them: their rows, their folders, and who did what with them.

DATA/studies/<id>/films/<stimulus>.mp4               what participants watch
DATA/studies/<id>/participants/<participant id>/…    what was measured of each
DATA/studies/<id>/rooms/<room id>.npz                what was measured of many at once
DATA/studies/<id>/reviews/                           made from the rest; may be deleted at any time
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mien.web.errors import ApiError
from mien.web.settings import Settings
from mien.web.store import AuditEntry, Invitation, Participant, Store, StudyRow, now

Who = Literal["operator", "participant", "mien"]


class Studies:
    """All studies. Its methods may be called from any thread."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.store = settings, store

    # --- folders

    def folder(self, id: str) -> Path:
        """Where a study's films and measurements lie; may not be there yet."""
        return self.settings.studies_dir / id

    def participant_folder(self, id: str, participant_id: str) -> Path:
        """Where what was measured of a participant lies; may not be there yet."""
        return self.folder(id) / "participants" / participant_id

    def film(self, id: str, stimulus: str) -> Path:
        """The film that participants watch."""
        return self.folder(id) / "films" / f"{stimulus}.mp4"

    # --- rows

    def create(self, definition: dict[str, Any], *, simulated: bool = False) -> StudyRow:
        """A new study of this definition, as a draft."""
        consent = definition.get("consent", {})
        row = StudyRow(
            title=definition.get("title", ""),
            definition=definition,
            consents=[consent | {"at": now().isoformat()}] if consent else [],
            simulated=simulated,
        )
        with self.store.session() as rows:
            rows.add(row)
            rows.flush()
            note(rows, row.id, "operator", "created")
        return row

    def get(self, id: str) -> StudyRow | None:
        """The study, if there is one."""
        with self.store.reading() as rows:
            return rows.scalar(select(StudyRow).where(StudyRow.id == id))

    def known(self, id: str) -> StudyRow:
        """The study. Raises `ApiError` 404 where there is none."""
        row = self.get(id)
        if row is None:
            raise ApiError(404, "not_found", f"There is no study {id[:40]}. It may have been erased.")
        return row

    def list(self, *, archived: bool = True) -> Sequence[StudyRow]:
        """All studies, the newest first."""
        wanted = select(StudyRow).order_by(StudyRow.number.desc())
        with self.store.reading() as rows:
            return list(rows.scalars(wanted if archived else wanted.where(StudyRow.state != "archived")))

    def touch(self, id: str) -> int:
        """Says that a study's data changed: its version rises, and what was made from the data is made again. Gives the version."""
        with self.store.session() as rows:
            return touch(rows, id)

    def participants(self, id: str) -> Sequence[Participant]:
        """Everybody who agreed to take part, in that order."""
        with self.store.reading() as rows:
            return list(rows.scalars(select(Participant).where(Participant.study_id == id).order_by(Participant.name)))

    def invitation(self, invitation_id: str) -> Invitation | None:
        """The invitation, whatever its study, if there is one."""
        with self.store.reading() as rows:
            return rows.get(Invitation, invitation_id)

    # --- the log

    def note(self, id: str, who: Who, action: str, **detail: Any) -> None:
        """Writes into the audit log. `detail` must never hold what somebody answered or how a face looked."""
        with self.store.session() as rows:
            note(rows, id, who, action, **detail)


def touch(rows: Session, id: str) -> int:
    """As `Studies.touch`, within a transaction; 0 where there is no such study."""
    change = update(StudyRow).where(StudyRow.id == id).values(version=StudyRow.version + 1, changed_at=now())
    changed = rows.scalar(change.returning(StudyRow.version).execution_options(synchronize_session=False))
    return changed or 0


def note(rows: Session, id: str, who: Who, action: str, **detail: Any) -> None:
    """As `Studies.note`, within a transaction."""
    rows.add(AuditEntry(study_id=id, who=who, action=action, detail=detail))
