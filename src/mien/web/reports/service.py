"""The reviews of studies: tasks when something has changed, kept meanwhile, and kept for good by a date.

DATA/studies/<id>/reviews/<"now" or a date>/<version>/   review.json, and the files made of it that were asked for

All of it is made from what is measured and may be deleted at any time. A kept ("frozen") review is a name and a date: it is made of
what had been measured and said by then, so that who withdraws later is gone from it, too.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import select
from sqlalchemy.orm import Session

from mien import __version__
from mien.web.database import Frozen, StudyRow, Task, now
from mien.web.errors import ApiError
from mien.web.reports.worker import ARCHIVE, FILES
from mien.web.settings import Settings
from mien.web.studies.service import REPORTS, Studies, locked, note
from mien.web.tasks.engine import Description, python
from mien.web.tasks.runner import DONE, FAILED, Kind, Runner

PACE, MOST_S = 4.0, 900.0
TRY_AGAIN_AFTER = timedelta(seconds=30)
KEPT_VERSIONS, KEPT_DATES = 2, 20
FROZEN_MAX = 200


@dataclass(frozen=True, slots=True)
class Found:
    """A review that is there: its JSON, what tells it from others, and whether it is of older data."""

    json: bytes
    tag: str
    stale: bool


class Reviews(Kind):
    """Gives reviews, and the kind of task that makes them; its subjects are "study/reports/now" or with a date. Its methods may be
    called from any thread.

    pace  while a study runs its review is always stale: from one making to the next pass at least so many times what the last took
    """

    kind, at_once = "report", 1

    def __init__(self, settings: Settings, studies: Studies, tasks: Runner) -> None:
        self.settings, self.store, self.studies, self.tasks = settings, studies.store, studies, tasks
        self.command = python("mien.web.reports.worker")
        self.pace = PACE
        tasks.add_kind(self)

    # --- the review

    def review(self, id: str, until: datetime | None = None) -> Found | None:
        """The newest review there is; where something has changed since, a newer one is begun. None while the first is made.

        Raises `ApiError` 404, and 500 where it cannot be made.
        """
        row = self.studies.known(id)
        folder, version = self._newest(id, until)
        fresh = version == row.version
        if not fresh:
            self._begin(row, until, ["review.json"], pace=self.pace)
        if folder is None:
            return None
        try:
            made = (folder / "review.json").read_bytes()
        except OSError:  # erased in this moment
            return None
        return Found(made if fresh else b'{"stale":true,' + made[1:], f'"{folder.parent.name}-{folder.name}"', not fresh)

    def file(self, id: str, name: str, until: datetime | None = None) -> Path:
        """A file of the review of the data as it is now, made while one waits. Raises `ApiError` 404, 409, 500."""
        if name not in (*FILES, ARCHIVE):
            raise ApiError(404, "not_found", f"A review has no file {name[:40]!r}; there are: {', '.join(FILES)}.")
        row = self.studies.known(id)
        path = self._folder(id, _place(until), row.version) / name
        while not path.is_file():
            self._begin(row, until, ["review.json", *(FILES if name == ARCHIVE else ()), name])
            ended = self.tasks.wait(self.kind, _subject(id, _place(until)))
            if ended is None or ended.state not in (DONE, FAILED):
                raise ApiError(409, "changed", "Somebody's data was erased meanwhile. Ask for the report once more.")
        return path

    def _folder(self, id: str, place: str, version: int) -> Path:
        return self.studies.folder(id) / "reviews" / place / f"{version}-{__version__}"

    def _newest(self, id: str, until: datetime | None) -> tuple[Path | None, int]:
        """The folder of the newest review and its data's version."""
        found = _versions(self.studies.folder(id) / "reviews" / _place(until))
        version, path = max(((version, path) for path, version in found if (path / "review.json").is_file()), default=(0, None))
        return path, version

    def _begin(self, study: StudyRow, until: datetime | None, files: Sequence[str], pace: float = 1.0) -> None:
        """Lets files be made of the data as it is now, unless some are being made, or were a moment ago.

        Raises `ApiError` 404, and 500 where they cannot be made.
        """
        subject = _subject(study.id, _place(until))
        detail = {"version": study.version, "until": until.isoformat() if until else None, "files": list(dict.fromkeys(files))}
        with self.store.session() as rows:
            locked(rows, study.id)
            last = rows.scalar(select(Task).where(Task.kind == self.kind, Task.subject == subject))
            if last is not None and last.ended_at is None:
                return
            if last is not None and last.ended_at is not None:
                rested = abs(now() - last.ended_at)  # which a clock that was set may have put ahead
                if last.state == FAILED and last.detail["version"] == study.version and rested < TRY_AGAIN_AFTER:
                    why = f"The report could not be made: {last.error}. It is tried again in half a minute."
                    raise ApiError(500, "not_made", why)
                if rested < (pace - 1) * (last.ended_at - (last.started_at or last.ended_at)):
                    return
            self.tasks.add(rows, self.kind, subject, **detail)
        self.tasks.wake()

    # --- as a kind of task

    def describe(self, subject: str, detail: dict[str, Any]) -> Description:
        id, _, place = subject.split("/")
        folder = self._folder(id, place, detail["version"])
        folder.mkdir(parents=True, exist_ok=True)
        return Description(
            command=tuple(self.command),
            task={
                "data_dir": str(self.settings.data_dir),
                "database_url": self.settings.database_url,
                "study": id,
                "until": detail["until"],
                "folder": str(folder),
                "files": detail["files"],
            },
            most_s=MOST_S,
            too_long=f"it took longer than the {MOST_S / 60:g} minutes that a report may take",
            crashed="the process that made it ended unexpectedly; the server's output says more",
        )

    def follow(self, rows: Session, task: Task, done: Any) -> None:
        """What the task says is all there is to say."""

    def changed(self, subject: str, state: str | None) -> None:
        """Removes what newer reviews have taken the place of."""
        if state != DONE:
            return
        id, _, place = subject.split("/")
        folder = self.studies.folder(id) / "reviews" / place
        for path, _ in sorted(_versions(folder), key=lambda found: found[1])[:-KEPT_VERSIONS]:
            shutil.rmtree(path, ignore_errors=True)
        dated = [path for path in folder.parent.iterdir() if path.name not in ("now", place)]
        for path in sorted(dated, key=lambda path: path.stat().st_mtime)[: -KEPT_DATES + 1]:
            self._remove(id, path.name)

    def _remove(self, id: str, place: str) -> None:
        self.tasks.forget(_subject(id, place))
        shutil.rmtree(self.studies.folder(id) / "reviews" / place, ignore_errors=True)

    # --- reviews that are kept

    def kept(self, id: str) -> Sequence[Frozen]:
        """The kept reviews of a study, the newest first. Raises `ApiError` 404."""
        self.studies.known(id)
        with self.store.reading() as rows:
            return list(rows.scalars(select(Frozen).where(Frozen.study_id == id).order_by(Frozen.at.desc(), Frozen.id)))

    def keep(self, id: str, name: str) -> Frozen:
        """Keeps the review as it is now under a name. Raises `ApiError` 404, 409."""
        if len(self.kept(id)) >= FROZEN_MAX:
            raise ApiError(409, "too_many", f"There are {FROZEN_MAX} kept reports already. Delete one first.")
        with self.store.session() as rows:
            row = Frozen(study_id=id, name=name, at=now())
            rows.add(row)
            rows.flush()
            note(rows, id, "operator", "kept a report", name=name)
        return row

    def let_go(self, id: str, frozen: str) -> None:
        """Deletes a kept review; what was measured stays. Raises `ApiError` 404."""
        row = self._frozen(id, frozen)
        with self.store.session() as rows:
            rows.execute(delete_rows(Frozen).where(Frozen.id == row.id))
            note(rows, id, "operator", "deleted a kept report", name=row.name)
        self._remove(id, _place(row.at))

    def date(self, id: str, until: datetime | None, frozen: str) -> datetime | None:
        """Until when viewers count: as asked for, or of the kept review. Raises `ApiError` 404."""
        if frozen:
            return self._frozen(id, frozen).at
        return until

    def _frozen(self, id: str, frozen: str) -> Frozen:
        for row in self.kept(id):
            if frozen in (row.id, row.name):
                return row
        raise ApiError(404, "not_found", "There is no such kept report in this study. It may have been deleted.")


def _place(until: datetime | None) -> str:
    """The name of the folder of a date."""
    return "now" if until is None else until.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")


def _subject(id: str, place: str) -> str:
    return f"{id}/{REPORTS}/{place}"


def _versions(folder: Path) -> Iterator[tuple[Path, int]]:
    """Folders of reviews made by this version of mien, each with the version of its data."""
    for path in folder.iterdir() if folder.is_dir() else ():
        version, _, made_by = path.name.partition("-")
        if version.isdigit() and made_by == __version__:
            yield path, int(version)
