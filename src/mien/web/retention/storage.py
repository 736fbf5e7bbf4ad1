"""What is stored, erasing it, and the retention periods, after which finished analyses and what studies hold erase themselves."""

import asyncio
import logging
import math
import shutil
import threading
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import BaseModel, Field
from sqlalchemy import func, select
from starlette.concurrency import run_in_threadpool

from mien.web.analyses.service import DOOMED, Jobs
from mien.web.capture.frame_log import PICTURES
from mien.web.capture.old_logs import FRAMES
from mien.web.database import FINISHED, JOB_TABLES, STUDY_TABLES, UNFINISHED, Job, Participant, Room, Store, StudyRow, now, passes
from mien.web.folders import files
from mien.web.retention.clock_steps import LOOK_EVERY_S, Doubt
from mien.web.retention.erasing import Eraser
from mien.web.settings import Settings

SWEEP_EVERY_S = 3600
STRAY_AFTER_S = 24 * 3600

log = logging.getLogger(__name__)


class Storage:
    """The data folder, `jobs/<id>/` and `studies/<id>/` beside the database, and how it gets empty again."""

    def __init__(self, settings: Settings, store: Store, jobs: Jobs, studies: Eraser) -> None:
        self.settings, self.store, self.jobs, self.studies = settings, store, jobs, studies
        self.doubt = Doubt(settings.data_dir, store)
        self.swept = threading.Event()
        """Set once the first sweep since the start is over."""

    def sweep(self) -> list[str]:
        """Erases what ended longer ago than the retention period, what studies measured longer ago than theirs, and leavings; gives
        the ids of the jobs erased. Nothing because of its age while the clock is in doubt."""
        sure = self.doubt.sweep()
        if self.settings.retention_days and sure:
            oldest = now() - timedelta(days=self.settings.retention_days)
            with self.store.reading() as rows:
                old = list(rows.scalars(select(Job.id).where(Job.state.in_(FINISHED), Job.ended_at < oldest)))
        else:
            old = []
        for id in old:
            self.jobs.erase(id, forget=False)
        if old or self.store.owes:
            self.store.forget(*(STUDY_TABLES if self.store.owes else ()), *JOB_TABLES)
        self._erase_strays(older_than_s=STRAY_AFTER_S if sure else math.inf)
        self.studies.sweep(by_age=sure)
        return old

    def erase_all(self) -> None:
        """Ends what is under way and erases every study and job, what else lies beside them, and what the database remembers."""
        self.studies.everything()
        with self.store.reading() as rows:
            ids = list(rows.scalars(select(Job.id)))
        for id in ids:
            self.jobs.erase(id, forget=False)
        self._erase_strays(older_than_s=0, results=True)
        self.store.shrink()

    def _erase_strays(self, *, older_than_s: float, results: bool = False) -> None:
        """Folders without a job: of uploads that broke off, and of jobs that could not be erased whole.

        Newer ones may still be coming in. `results`: also those that hold a result or a recording, which another database may know.
        """
        with self.store.reading() as rows:
            known = set(rows.scalars(select(Job.id)))
        folder = self.settings.jobs_dir
        for stray in folder.iterdir() if folder.is_dir() else ():
            if stray.name in known:
                continue
            try:
                old = abs(now().timestamp() - stray.stat().st_mtime) >= older_than_s
            except FileNotFoundError:  # another sweep was faster
                continue
            worth = (stray / "result").exists() or (stray / "rows.log").exists()
            if stray.name.endswith(DOOMED) or (old and (results or not worth)):
                shutil.rmtree(stray, ignore_errors=True)

    async def sweep_for_ever(self) -> None:
        """Sweeps at once and then each hour."""
        while True:
            try:
                await run_in_threadpool(self.sweep)
            except Exception:
                log.exception("what is too old could not be erased; it is tried again in an hour")
            self.swept.set()
            await asyncio.sleep(SWEEP_EVERY_S)

    async def follow_clock_for_ever(self) -> None:
        """Looks every few seconds whether the machine's clock was set."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await run_in_threadpool(self.doubt.follow_clock, self.settings.login_hours)
            except Exception as error:
                if not passes(error):
                    log.exception("the machine's clock was set, and cannot be followed; it is tried again")

    def summary(self) -> "StorageSummary":
        """What there is, counted now."""
        with self.store.reading() as rows:
            counts = {kind: count for kind, count in rows.execute(select(Job.kind, func.count()).group_by(Job.kind))}
            unfinished = rows.scalar(select(func.count()).select_from(Job).where(Job.state.in_(UNFINISHED))) or 0
            oldest = rows.scalar(select(func.min(Job.created_at)))
            studies, participants, rooms = (rows.scalar(select(func.count()).select_from(T)) for T in (StudyRow, Participant, Room))
        sizes = {name: 0 for name in ITEMS}
        for path, size in files(self.settings.data_dir):
            sizes[_item(path.relative_to(self.settings.data_dir))] += size
        return StorageSummary(
            folder=str(self.settings.data_dir),
            jobs=counts.get("file", 0),
            recordings=counts.get("live", 0),
            studies=studies or 0,
            participants=participants or 0,
            rooms=rooms or 0,
            unfinished=unfinished,
            bytes=sum(sizes.values()),
            oldest_at=oldest,
            retention_days=self.settings.retention_days,
            items=[StorageItem(what=ITEMS[name][0], pictures=ITEMS[name][1], bytes=size) for name, size in sizes.items()],
        )


ITEMS = {
    "uploads": ("Files that wait, are being analysed or failed", True),
    "films": ("Annotated films and pictures", True),
    "stills": ("Reports and stills of faces", True),
    "recordings": ("Pictures of live recordings that are not finished", True),
    "numbers": ("Scores, tables and plots", False),
    "study_films": ("Films of studies, as participants watch them", True),
    "study_pictures": ("Pictures of participants who allowed it", True),
    "study_numbers": ("Scores of participants and rooms", False),
    "reviews": ("Reports of studies, which can be made again", True),
    "database": ("The list of analyses, names given, studies, answers of participants, and logins", False),
}
"""Name → plain words, and whether it shows people."""


def _item(path: Path) -> str:
    if path.parts[0] == "studies":
        place = path.parts[2] if len(path.parts) > 2 else ""
        if place == "films":
            return "study_films"
        if place == "reviews":
            return "reviews"
        return "study_pictures" if path.name == PICTURES else "study_numbers"
    if path.parts[0] != "jobs":
        return "database"
    if path.name.startswith("upload."):
        return "uploads"
    if path.name.startswith("annotated."):
        return "films"
    if path.name in (PICTURES, FRAMES):
        return "recordings"
    return "stills" if path.name == "report.html" or "stills" in path.parts else "numbers"


class StorageItem(BaseModel):
    """One kind of what is stored."""

    what: str = Field(description="in plain words", examples=["Annotated films and pictures"])
    pictures: bool = Field(description="whether it shows people", examples=[True])
    bytes: int = Field(examples=[18234112])


class StorageSummary(BaseModel):
    """All that is stored, and where."""

    folder: str = Field(description="the data folder on the server", examples=["/home/ada/.local/share/mien/web"])
    jobs: int = Field(description="analyses of files", examples=[12])
    recordings: int = Field(description="live recordings", examples=[2])
    studies: int = Field(description="studies", examples=[1])
    participants: int = Field(description="people of whom studies keep something", examples=[12])
    rooms: int = Field(description="recordings of many at once, in studies", examples=[0])
    unfinished: int = Field(description="those of both that have not ended", examples=[1])
    bytes: int = Field(description="space that all of it takes", examples=[73400320])
    oldest_at: datetime | None = Field(description="when the oldest was made", examples=["2026-11-02T09:30:00Z"])
    retention_days: int = Field(description="after how many days what has ended erases itself; 0: never", examples=[30])
    items: list[StorageItem]
