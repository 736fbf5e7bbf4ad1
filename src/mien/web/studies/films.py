"""Films of studies: taken in as they are sent, and made ready one after the other, each in a process of its own."""

import logging
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from mien.study.definition import Stimulus, Study
from mien.web.analyses.schema import shown
from mien.web.errors import ApiError
from mien.web.settings import Settings
from mien.web.studies.service import Studies, check_films_may_change, in_step, keep, locked, note, remove
from mien.web.tasks.child import is_about_memory, too_large
from mien.web.tasks.process import Process
from mien.web.uploads import Upload

log = logging.getLogger(__name__)


class Films:
    """The uploads that wait and the process that works. Its methods may be called from any thread."""

    def __init__(self, settings: Settings, studies: Studies) -> None:
        self.settings, self.studies = settings, studies
        self.command = [sys.executable, "-P", "-m", "mien.web.studies.film_worker"]
        self._wake = threading.Condition()
        self._waiting: list[tuple[str, str]] = []
        self._current: tuple[str, str] | None = None
        self._process: Process | None = None
        self._share: float | None = None
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Goes on with what an earlier server left unfinished."""
        for row in self.studies.list():
            for stimulus, facts in row.films.items():
                if facts.get("state") == "converting":
                    if (self.studies.incoming(row.id, stimulus) / Upload.NAME).is_file():
                        self._waiting.append((row.id, stimulus))
                    else:
                        self.studies.change_film(row.id, stimulus, state="failed", error=_gone(facts))
        self._stopping = False
        self._thread = threading.Thread(target=self._work_for_ever, name="films", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the process; its film is begun again by the next server."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._process is not None:
            self._process.kill("asked")
        if self._thread is not None:
            self._thread.join(5)

    def finish(self) -> None:
        """Makes ready what waits, in the thread that calls, where no server does it."""
        while self._waiting:
            self._make_ready(*self._take())

    def check(self, id: str, stimulus: str | None) -> None:
        """Raises `ApiError` where a study can take no film now, or has no such stimulus."""
        with self.studies.store.reading() as rows:
            row = self.studies.known(id)
            check_films_may_change(row, rows)
        if stimulus is not None:
            _film(Study.read(row.definition), stimulus)

    def add(self, id: str, folder: Path, upload: Upload, *, stimulus: str | None, title: str) -> str:
        """Takes the upload in `folder` as the film of a stimulus, by default of a new one; gives the stimulus's id."""
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
                self.forget(id, stimulus)
            target = self.studies.incoming(id, stimulus)
            remove(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(target)
            facts = {"state": "converting", "error": None, "name": upload.name, "size_bytes": upload.size}
            row.films = row.films | {stimulus: facts}
            note(rows, id, "operator", "uploaded a film", film=stimulus)
        with self._wake:
            self._waiting.append((id, stimulus))
            self._wake.notify_all()
        return stimulus

    def erase(self, id: str, stimulus: str) -> None:
        """Takes a film away with its stimulus and its markers."""
        with self.studies.store.reading() as rows:
            row = self.studies.known(id)
            check_films_may_change(row, rows)
        study = Study.read(row.definition)
        if study.stimulus(stimulus) is None:
            raise _no_film(stimulus)
        self.forget(id, stimulus)
        kept = [one for one in study.json()["stimuli"] if one["id"] != stimulus]
        self.studies.change(id, {"stimuli": kept})
        self.studies.note(id, "operator", "erased a film", film=stimulus)

    def forget(self, id: str, stimulus: str | None = None) -> None:
        """Ends what is under way for a film, or for all of a study."""
        with self._wake:
            self._waiting = [one for one in self._waiting if not (one[0] == id and stimulus in (None, one[1]))]
            current, process = self._current, self._process
        if current is not None and process is not None and current[0] == id and stimulus in (None, current[1]):
            process.kill("asked")
            with self._wake:
                self._wake.wait_for(lambda: self._current != current, 5)

    def share(self, id: str, stimulus: str) -> float | None:
        """How much of a film is ready, from 0 to 1, where it is being worked on and says how long it is."""
        return self._share if self._current == (id, stimulus) else None

    def playable(self, id: str, stimulus: str) -> Path:
        """The file of a film. Raises `ApiError` 404 where there is none yet."""
        if self.studies.known(id).films.get(stimulus, {}).get("state") != "ready":
            raise _no_film(stimulus)
        path = self.studies.film(id, stimulus)
        if not path.is_file():
            raise _no_film(stimulus)
        return path

    # --- the thread

    def _take(self) -> tuple[str, str]:
        """The next film, with a process of its own, which can be ended from now on by "asked" or "time"."""
        self._current, self._share = self._waiting.pop(0), None
        self._process = Process(self.settings.job_max_minutes * 60)
        return self._current

    def _work_for_ever(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: bool(self._waiting) or self._stopping)
                if self._stopping:
                    return
                id, stimulus = self._take()
            try:
                self._make_ready(id, stimulus)
            except Exception:
                log.exception("the film %s of study %s could not be made ready", stimulus, id)
                self.studies.change_film(id, stimulus, state="failed", error="It could not be made ready; upload it again.")
            finally:
                with self._wake:
                    self._current = None
                    self._wake.notify_all()

    def _make_ready(self, id: str, stimulus: str) -> None:
        row = self.studies.get(id)
        if row is None or stimulus not in row.films:
            return
        facts, folder = row.films[stimulus], self.studies.incoming(id, stimulus)
        ready = folder / "ready.mp4"
        answer = self._run(
            {
                "source": str(folder / Upload.NAME),
                "target": str(ready),
                "name": facts["name"],
                "memory_max_mib": self.settings.job_memory_max_mib,
                "max_pixels": self.settings.picture_max_megapixels * 1_000_000,
                "max_film_s": self.settings.film_max_minutes * 60.0,
            }
        )
        if answer is None:
            return  # it was ended: by the end of the server, which leaves the upload to the next, or with its film
        if "done" in answer:
            told = answer["done"]
            ready.replace(self.studies.film(id, stimulus))
            self.studies.change_film(id, stimulus, state="ready", error=None, file=facts["name"], **told)
        else:
            self.studies.change_film(id, stimulus, state="failed", error=answer["failed"])
        remove(folder)

    def _run(self, task: dict[str, Any]) -> dict[str, Any] | None:
        """The process's last answer, or what is told where it gave none; None where it was ended."""

        def progress(share: float | None) -> None:
            self._share = share

        assert self._process is not None
        ended = self._process.work(self.command, task, progress=progress)
        if ended is None:
            return None
        if ended.answer is not None or ended.by == "asked":
            return ended.answer
        if ended.by == "time":
            most = self.settings.job_max_minutes
            return {"failed": f"{task['name']}: took longer than the {most} minutes that one film may take; make it smaller"}
        log.warning("the process of a film ended with %s: %s", ended.code, ended.said or "nothing said")
        if is_about_memory(ended.said):
            return {"failed": too_large(task["name"], self.settings.job_memory_max_mib)}
        return {"failed": f"{task['name']}: cannot be made ready; export it again, best as MP4 with H.264 and AAC"}


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


def _gone(facts: dict[str, Any]) -> str:
    return f"{facts.get('name', 'the film')}: its upload is not there any more; upload it again"
