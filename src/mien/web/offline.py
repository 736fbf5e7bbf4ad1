"""What the server does with studies, for the command line: on the same data folder, without the server and beside one that runs."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mien.errors import DataError
from mien.study.definition import Study
from mien.study_report.headline import headline
from mien.web.database import StudyRow, new_id
from mien.web.reports import worker as review_worker
from mien.web.retention.participant_export import export_of_viewer
from mien.web.services import Services
from mien.web.settings import Settings
from mien.web.studies.proof import Proof
from mien.web.studies.service import UPLOADING, missing
from mien.web.uploads import Upload, plain_name


class Offline(Services):
    """The studies of a data folder; a context manager. Raises `MienError`, and `ApiError` where the server would answer so."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.store.migrate()

    def found(self, beginning: str) -> StudyRow:
        """The study whose id begins so. Raises `DataError` where there is none, or more than one."""
        rows = [row for row in self.studies.list() if row.id.startswith(beginning)]
        rows = [row for row in rows if row.id == beginning] or rows
        if len(rows) != 1:
            what = "no study" if not rows else f"{len(rows)} studies"
            raise DataError(
                f"{beginning!r}: wanted the id of a study, but {what} of {self.settings.data_dir} begin so; see mien study list"
            )
        return rows[0]

    def make(self, definition: dict[str, Any], films: Sequence[Path]) -> StudyRow:
        """A new study with these films, made ready. Where a film cannot be read there is no study either."""
        row = self.studies.take_in(definition)
        try:
            for film in films:
                folder = self.studies.folder(row.id) / "films" / f"{new_id()}{UPLOADING}"
                folder.mkdir(parents=True)
                shutil.copyfile(film, folder / Upload.NAME)
                upload = Upload(name=plain_name(film.name), size=film.stat().st_size)
                self.films.add(row.id, folder, upload, stimulus=None, title="")
            self.films.finish(row.id)
            row = self.studies.known(row.id)
            for facts in row.films.values():
                if facts["state"] == "failed":
                    raise DataError(facts["error"])
        except BaseException:
            self.eraser.study(row.id)
            raise
        return row

    def missing(self, id: str) -> list[str]:
        """What a study lacks before it can be opened."""
        return missing(self.studies.known(id))

    def listed(self) -> list[dict[str, Any]]:
        """Each study in a few facts, the newest first."""
        return [
            {
                "id": row.id,
                "title": row.title,
                "state": row.state,
                "created_at": row.created_at.isoformat(),
                "simulated": row.simulated,
                **self.studies.counts(row.id),
            }
            for row in self.studies.list()
        ]

    def report(self, row: StudyRow, out: Path, paper: str) -> tuple[str, list[str]]:
        """Writes the review as it is now into a folder, whose older one it replaces; its headline, and the names of its files."""
        pdf = next(name for name, kind in review_worker.PAPERS.items() if kind == paper)
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".review-", dir=out) as scratch:
            task = {
                "data_dir": str(self.settings.data_dir),
                "database_url": self.settings.database_url,
                "study": row.id,
                "until": None,
                "folder": scratch,
                "files": ["review.json", "review.html", pdf, *review_worker.SHEETS, *review_worker.TABLES],
            }
            names = []
            for name in review_worker.make(task):
                target = "review.pdf" if name == pdf else name
                (Path(scratch) / name).replace(out / target)
                names.append(target)
        self.studies.note(row.id, "operator", "exported the report")
        return headline(json.loads((out / "review.json").read_text(encoding="utf-8"))), names

    def exported(self, row: StudyRow) -> dict[str, Any]:
        """The study's definition."""
        self.studies.note(row.id, "operator", "exported")
        return Study.read(row.definition).json()

    def export_viewer(self, row: StudyRow, viewer: str, out: Path | None) -> Path:
        """Writes all that is kept of one viewer to `out`, by default a file of its own name here; gives where that is."""
        file = export_of_viewer(self.participants, self.rooms, row.id, viewer)
        target = out or Path(file.name)
        with target.open("wb") as written:
            written.writelines(file.pieces)
        return target

    def erase(self, row: StudyRow, viewer: str | None) -> Proof:
        """Erases the study, or one viewer of it; the proof."""
        if viewer is None:
            return self.eraser.study(row.id)
        if viewer.startswith("R"):
            return self.rooms.erase_viewer(row.id, viewer)
        return self.participants.erase(self.studies.participant(row.id, viewer), "operator")
