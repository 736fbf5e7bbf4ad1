"""Films of studies: taken in as they are sent, and made ready one after the other, as tasks."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from mien.errors import MediaError
from mien.study.definition import Stimulus, Study
from mien.web.analyses.schema import shown
from mien.web.database import Task
from mien.web.errors import ApiError
from mien.web.settings import Settings
from mien.web.studies.service import Studies, check_films_may_change, in_step, keep, locked, note, remove
from mien.web.tasks.engine import Description, python
from mien.web.tasks.runner import DONE, FAILED, Kind, Runner
from mien.web.uploads import Upload

READY = "ready.mp4"


class Films(Kind):
    """The films of all studies, and the kind of task that makes them ready; its subjects are "study/stimulus". Its methods may be
    called from any thread."""

    kind, at_once = "film", 1

    def __init__(self, settings: Settings, studies: Studies, tasks: Runner) -> None:
        self.settings, self.studies, self.tasks = settings, studies, tasks
        self.command = python("mien.web.studies.film_worker")
        tasks.add_kind(self)

    def finish(self, id: str) -> None:
        """Makes a study's films ready, in the thread that calls, where no server does it."""
        self.tasks.finish(self.kind, f"{id}/")

    def check(self, id: str, stimulus: str | None) -> None:
        """Raises `ApiError` where a study can take no film now, or has no such stimulus."""
        with self.studies.store.reading() as rows:
            row = self.studies.known(id)
            check_films_may_change(row, rows)
        if stimulus is not None:
            _film(Study.read(row.definition), stimulus)

    def add(self, id: str, folder: Path, upload: Upload, *, stimulus: str | None, title: str) -> str:
        """Takes the upload in `folder` as the film of a stimulus, by default of a new one; gives the stimulus's id."""
        if stimulus is not None:
            self.tasks.forget(f"{id}/{stimulus}")
        with self.studies.store.session() as rows:
            row = locked(rows, id)
            check_films_may_change(row, rows)
            study = Study.read(row.definition)
            if stimulus is None:
                stimulus = _free_id(study)
                name = Path(upload.name).stem[:200]
                made = Stimulus(id=stimulus, title=shown(title) or name)
                keep(rows, row, in_step(study, replace(study, stimuli=(*study.stimuli, made))))
            else:
                _film(study, stimulus)
            target = self.studies.incoming(id, stimulus)
            remove(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(target)
            facts = {"state": "converting", "error": None, "name": upload.name, "size_bytes": upload.size}
            row.films = row.films | {stimulus: facts}
            note(rows, id, "operator", "uploaded a film", film=stimulus)
            self.tasks.add(rows, self.kind, f"{id}/{stimulus}")
        self.tasks.wake()
        return stimulus

    def erase(self, id: str, stimulus: str) -> None:
        """Takes a film away with its stimulus and its markers."""
        with self.studies.store.reading() as rows:
            row = self.studies.known(id)
            check_films_may_change(row, rows)
        study = Study.read(row.definition)
        if study.stimulus(stimulus) is None:
            raise _no_film(stimulus)
        self.tasks.forget(f"{id}/{stimulus}")
        kept = [one for one in study.json()["stimuli"] if one["id"] != stimulus]
        self.studies.change(id, {"stimuli": kept})
        self.studies.note(id, "operator", "erased a film", film=stimulus)

    def share(self, id: str, stimulus: str) -> float | None:
        """How much of a film is ready, from 0 to 1, where it is being worked on and says how long it is."""
        share: float | None = self.tasks.shown(self.kind, f"{id}/{stimulus}")
        return share

    def playable(self, id: str, stimulus: str) -> Path:
        """The file of a film. Raises `ApiError` 404 where there is none yet."""
        if self.studies.known(id).films.get(stimulus, {}).get("state") != "ready":
            raise _no_film(stimulus)
        path = self.studies.film(id, stimulus)
        if not path.is_file():
            raise _no_film(stimulus)
        return path

    # --- as a kind of task

    def describe(self, subject: str, detail: dict[str, Any]) -> Description:
        """What the process reads. Raises `MediaError` where the upload is gone, or its study."""
        id, _, stimulus = subject.partition("/")
        row, folder = self.studies.get(id), self.studies.incoming(id, stimulus)
        facts = row.films.get(stimulus, {}) if row is not None else {}
        name = facts.get("name", "the film")
        if not (folder / Upload.NAME).is_file():
            raise MediaError(f"{name}: its upload is not there any more; upload it again")
        most = self.settings.job_max_minutes
        return Description(
            command=tuple(self.command),
            task={
                "source": str(folder / Upload.NAME),
                "target": str(folder / READY),
                "name": name,
                "memory_max_mib": self.settings.job_memory_max_mib,
                "max_pixels": self.settings.picture_max_megapixels * 1_000_000,
                "max_film_s": self.settings.film_max_minutes * 60.0,
            },
            most_s=most * 60,
            too_long=f"{name}: took longer than the {most} minutes that one film may take; make it smaller",
            crashed=f"{name}: cannot be made ready; export it again, best as MP4 with H.264 and AAC",
        )

    def follow(self, rows: Session, task: Task, done: Any) -> None:
        id, _, stimulus = task.subject.partition("/")
        if task.state == DONE:
            (self.studies.incoming(id, stimulus) / READY).replace(self.studies.film(id, stimulus))
            self.studies.film_is(rows, id, stimulus, state="ready", error=None, **done)
        elif task.state == FAILED:
            self.studies.film_is(rows, id, stimulus, state="failed", error=task.error)

    def changed(self, subject: str, state: str | None) -> None:
        if state in (DONE, FAILED):
            remove(self.studies.incoming(*subject.split("/")))


def _film(study: Study, stimulus: str) -> Stimulus:
    found = study.stimulus(stimulus)
    if found is None:
        raise _no_film(stimulus)
    if found.kind != "film":
        raise ApiError(409, "an_event", f"{found.title or stimulus} is a live event, which has no film.")
    return found


def _free_id(study: Study) -> str:
    taken = {s.id for s in study.stimuli}
    return next(f"s{number}" for number in range(1, len(taken) + 2) if f"s{number}" not in taken)


def _no_film(stimulus: str) -> ApiError:
    return ApiError(404, "not_found", f"There is no film {stimulus[:40]} in this study, or it is not ready yet.")
