"""The reviews of studies: made in a process of their own when something has changed, kept meanwhile, and kept for good by a date.

DATA/studies/<id>/reviews/<"now" or a date>/<version>/   review.json, and the files made of it that were asked for

All of it is made from what is measured and may be deleted at any time. A kept ("frozen") review is a name and a date: it is made of
what had been measured and said by then, so that who withdraws later is gone from it, too.
"""

import logging
import shutil
import sys
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import select

from mien import __version__
from mien.web.database import Frozen, Store, now
from mien.web.errors import ApiError
from mien.web.reports.worker import FILES
from mien.web.settings import Settings
from mien.web.studies.service import REPORTS, Studies, note
from mien.web.tasks.process import Process
from mien.web.writers import Writers

PACE = 4.0
"""While a study runs its review is always stale: from one making to the next pass at least so many times what the last one took."""

MOST_S = 900.0
TRY_AGAIN_AFTER_S = 30.0
KEPT_VERSIONS, KEPT_DATES = 2, 20
FROZEN_MAX = 200

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """A review that is there: its JSON, what tells it from others, and whether it is of older data."""

    json: bytes
    tag: str
    stale: bool


class Reviews:
    """Makes and gives reviews. Its methods may be called from any thread."""

    def __init__(self, settings: Settings, store: Store, studies: Studies, writers: Writers) -> None:
        self.settings, self.store, self.studies = settings, store, studies
        self.command = [sys.executable, "-P", "-m", "mien.web.reports.worker"]
        self._one = threading.Lock()  # one process at a time
        self._state = threading.Lock()
        self._making: set[tuple[str, str]] = set()
        self._processes: dict[str, Process] = {}
        self._next: dict[tuple[str, str], float] = {}
        self._failed: dict[tuple[str, str, int], tuple[float, str]] = {}
        self._stopping = False
        writers.add(self.forget)

    # --- the review

    def review(self, id: str, until: datetime | None = None) -> Found | None:
        """The newest review there is; where something has changed since, a newer one is begun. None while the first is made.

        Raises `ApiError` 404, and 500 where it cannot be made.
        """
        row = self.studies.known(id)
        folder, version = self._newest(id, until)
        fresh = version == row.version
        if not fresh:
            self._check_failed(id, until, row.version)
            self._begin(id, until)
        if folder is None:
            return None
        try:
            made = (folder / "review.json").read_bytes()
        except OSError:  # erased in this moment
            return None
        return Found(made if fresh else b'{"stale":true,' + made[1:], f'"{folder.parent.name}-{folder.name}"', not fresh)

    def file(self, id: str, name: str, until: datetime | None = None) -> Path:
        """A file of the review of the data as it is now, made while one waits. Raises `ApiError` 404, 500."""
        if name not in FILES:
            raise ApiError(404, "not_found", f"A review has no file {name[:40]!r}; there are: {', '.join(FILES)}.")
        return self._files(id, until, [name]) / name

    def archive(self, id: str, until: datetime | None = None) -> Path:
        """All files of the review in one zip. Raises as `file`."""
        folder = self._files(id, until, FILES)
        target = folder / "review.zip"
        with self._one:
            if not target.is_file():
                part = folder / ".review.zip.part"
                with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as packed:
                    for name in FILES:
                        packed.write(folder / name, name)
                part.replace(target)
        return target

    def _files(self, id: str, until: datetime | None, names: Sequence[str]) -> Path:
        with self._one:
            return self._make(id, until, ["review.json", *names])

    # --- making it

    def _place(self, id: str, until: datetime | None) -> Path:
        name = "now" if until is None else until.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        return self.studies.folder(id) / "reviews" / name

    def _newest(self, id: str, until: datetime | None) -> tuple[Path | None, int]:
        """The folder of the newest review and its data's version."""
        found = [(version, path) for path, version in _versions(self._place(id, until)) if (path / "review.json").is_file()]
        version, path = max(found, default=(0, None))
        return path, version

    def _begin(self, id: str, until: datetime | None) -> None:
        """Makes the review in the background, unless that is being done, or was done a moment ago."""
        key = (id, str(until))
        with self._state:
            if self._stopping or key in self._making or time.monotonic() < self._next.get(key, 0.0):
                return
            self._making.add(key)
        threading.Thread(target=self._in_background, args=(id, until, key), name="review", daemon=True).start()

    def _in_background(self, id: str, until: datetime | None, key: tuple[str, str]) -> None:
        started = time.monotonic()
        try:
            with self._one:
                self._make(id, until, ["review.json"])
        except ApiError as error:
            log.info("the review of study %s was not made: %s", id, error.detail)
        except Exception:
            log.exception("the review of study %s could not be made", id)
        finally:
            with self._state:
                self._making.discard(key)
                ended = time.monotonic()
                self._next[key] = ended + (PACE - 1) * (ended - started)

    def _make(self, id: str, until: datetime | None, names: Sequence[str]) -> Path:
        """The folder of the data's version as it is now, with these files in it. Only for who holds `_one`."""
        row = self.studies.known(id)
        self._check_failed(id, until, row.version)
        folder = self._place(id, until) / f"{row.version}-{__version__}"
        if all((folder / name).is_file() for name in names):
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        task = {
            "data_dir": str(self.settings.data_dir),
            "database_url": self.settings.database_url,
            "study": id,
            "until": until.isoformat() if until else None,
            "folder": str(folder),
            "files": list(dict.fromkeys(names)),
        }
        answer = self._ask(id, task)
        if "done" not in answer:
            if answer.get("stopped"):
                shutil.rmtree(folder, ignore_errors=True)
                raise ApiError(409, "changed", "Somebody's data was erased meanwhile. Ask for the report once more.")
            with suppress(OSError):
                folder.rmdir()
            with self._state:
                self._failed[(id, str(until), row.version)] = (time.monotonic(), answer["failed"])
            self._check_failed(id, until, row.version)
        for path, _ in sorted(_versions(folder.parent), key=lambda found: found[1])[:-KEPT_VERSIONS]:
            shutil.rmtree(path, ignore_errors=True)
        dated = [path for path in folder.parents[1].iterdir() if path.name != "now"]
        for path in sorted(dated, key=lambda path: path.stat().st_mtime)[:-KEPT_DATES]:
            shutil.rmtree(path, ignore_errors=True)
        return folder

    def _ask(self, id: str, task: dict[str, Any]) -> dict[str, Any]:
        """What the process answers: {"done"}, {"failed"}, or {"stopped"} where it was ended by `forget` or `stop`."""
        process = Process(self.command, task, MOST_S)
        with self._state:
            if self._stopping:
                return {"stopped": True}
            self._processes[id] = process
        try:
            ended = process.work()
        finally:
            with self._state:
                stopped = self._processes.pop(id, None) is None
        if stopped or ended is None:
            return {"stopped": True}
        if ended.answer is not None:
            return ended.answer
        log.warning("the process of a review of study %s ended with %s: %s", id, ended.code, ended.said or "nothing said")
        return {"failed": "the process that made it ended unexpectedly; the server's output says more"}

    def _check_failed(self, id: str, until: datetime | None, version: int) -> None:
        with self._state:
            at, why = self._failed.get((id, str(until), version), (0.0, ""))
        if why and time.monotonic() - at < TRY_AGAIN_AFTER_S:
            raise ApiError(500, "not_made", f"The report could not be made: {why}. It is tried again in half a minute.")

    # --- erasing, ending

    def forget(self, id: str) -> None:
        """Ends what is being made of a study, before it returns: so nothing is written of what is being erased."""
        with self._state:
            process = self._processes.pop(id.removesuffix(f"/{REPORTS}"), None)
        if process is not None:
            process.kill("asked")
            process.wait()

    def stop(self) -> None:
        """Ends all that is being made; nothing is begun any more."""
        with self._state:
            self._stopping = True
            processes, self._processes = list(self._processes.values()), {}
        for process in processes:
            process.kill("asked")
            process.wait()

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
        shutil.rmtree(self._place(id, row.at), ignore_errors=True)

    def date(self, id: str, until: datetime | None, frozen: str) -> datetime | None:
        """Until when viewers count: as asked for, or of the kept review. Raises `ApiError` 404."""
        if frozen:
            return self._frozen(id, frozen).at
        return until.replace(tzinfo=UTC) if until is not None and until.tzinfo is None else until

    def _frozen(self, id: str, frozen: str) -> Frozen:
        for row in self.kept(id):
            if frozen in (row.id, row.name):
                return row
        raise ApiError(404, "not_found", "There is no such kept report in this study. It may have been deleted.")


def _versions(folder: Path) -> Iterator[tuple[Path, int]]:
    """Folders of reviews made by this version of mien, each with the version of its data."""
    for path in folder.iterdir() if folder.is_dir() else ():
        version, _, made_by = path.name.partition("-")
        if version.isdigit() and made_by == __version__:
            yield path, int(version)
