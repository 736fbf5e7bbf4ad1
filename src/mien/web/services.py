"""All that the web application is made of, each made once and given to whom it serves: the server and the command line take it."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from starlette.concurrency import run_in_threadpool

from mien.errors import MienError
from mien.web.analyses.results import Results
from mien.web.analyses.service import Jobs
from mien.web.capture.live import Live
from mien.web.database import Store
from mien.web.reports.service import Reviews
from mien.web.retention.erasing import Eraser
from mien.web.retention.storage import Storage
from mien.web.settings import Settings
from mien.web.studies.films import Films
from mien.web.studies.participant_live import Watching
from mien.web.studies.participants import Participants
from mien.web.studies.room_faces import RoomFaces
from mien.web.studies.rooms import Rooms
from mien.web.studies.service import Studies
from mien.web.tasks.runner import Runner
from mien.web.tasks.workers import Workers
from mien.web.writers import Writers

if TYPE_CHECKING:
    from mien.analyze import Analyzer


class Services:
    """Of one data folder and one database, whose tables `store.migrate` makes; nothing of it runs before `running`.

    analyzer  reads live frames (default: the settings' model, loaded when it is needed)

    Raises `DataError` for a database that cannot be used. As a context manager it lets go of the database at the end.
    """

    def __init__(self, settings: Settings, analyzer: "Analyzer | None" = None) -> None:
        make_private(settings.data_dir)
        self.settings, self.store, self.writers = settings, Store(settings.url), Writers()
        self.workers = Workers(settings.cluster) if settings.cluster else None
        self.tasks = Runner(self.store, self.workers)
        self.writers.add(self.tasks.forget)
        self.jobs = Jobs(settings, self.store, self.writers, self.tasks)
        self.results = Results(settings, self.store, self.jobs)
        self.live = Live(settings, self.store, self.jobs, self.writers, analyzer)
        self.studies = Studies(settings, self.store, self.writers)
        self.films = Films(settings, self.studies, self.tasks)
        self.participants = Participants(settings, self.store, self.studies)
        self.watching = Watching(settings, self.participants, self.live.reader, self.writers)
        self.rooms = Rooms(settings, self.store, self.studies, self.jobs)
        self.room_faces = RoomFaces(settings)
        self.reviews = Reviews(settings, self.studies, self.tasks)
        self.eraser = Eraser(self.studies, self.participants, self.rooms)
        self.storage = Storage(settings, self.store, self.jobs, self.eraser)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.store.close()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """With a server: goes on with what an earlier one left, and leaves the rest to the next."""
        await run_in_threadpool(self.jobs.tidy)
        await self.live.start()
        await self.watching.start()
        await run_in_threadpool(self.tasks.start)
        going = [asyncio.create_task(one) for one in (self.storage.sweep_for_ever(), self.storage.follow_clock_for_ever())]
        try:
            yield
        finally:
            for one in going:
                one.cancel()
            await self.watching.stop()
            await self.live.stop()
            await run_in_threadpool(self.tasks.stop)
            if self.workers is not None:
                await run_in_threadpool(self.workers.close)
            self.store.close()


OWN = ("jobs", "studies", "server.lock", "clock.json", "mien.sqlite3*", "certificate.pem")
"""What lies in a data folder."""


def make_private(folder: Path) -> None:
    """Makes the data folder for nobody but who runs the server; of one that is there, it takes the rights that others have.

    A folder that holds other things as well keeps its own rights: only what is mien's in it is closed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    own = {path for name in OWN for path in folder.glob(name)}
    for path in own:
        if _is_open(path):  # else all in it was made since it is closed
            for inner in path.rglob("*"):
                _close(inner)
            _close(path)
    if own.issuperset(folder.iterdir()):
        _close(folder)


def _is_open(path: Path) -> bool:
    return os.name == "posix" and not path.is_symlink() and bool(path.stat().st_mode & 0o077)


def _close(path: Path) -> None:
    with contextlib.suppress(OSError):  # gone by now, or another user's
        if _is_open(path):
            path.chmod(path.stat().st_mode & 0o700)


@contextlib.contextmanager
def private_files() -> Iterator[None]:
    """What this process and its children write meanwhile is for nobody else, where the system knows of such rights."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def only_one(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Keeps a second server away from a data folder, since two would both go on with what is unfinished. Raises `MienError`.

    shared  but not one that is `shared` as well: servers of one database know of each other
    """
    make_private(folder)
    with open(folder / "server.lock", "a+") as lock:
        if not _locked(lock, shared):
            raise MienError(f"{folder}: another mien serve uses this data folder; stop it, or take another --data")
        yield


def _locked(lock: IO[str], shared: bool) -> bool:
    try:
        try:
            import fcntl
        except ModuleNotFoundError:
            import msvcrt

            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
