"""Results of analyses: reading them, changing them, and making their files.

What was measured is never changed. Names, merges and hidden faces are kept beside it, in the job's row, and applied to the Timeline
when it is read; all of them can be undone. The files are made once more, in a folder of their own, when they are asked for and
something was changed.
"""

import json
import os
import shutil
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastapi import Response
from fastapi.responses import FileResponse

from mien import report
from mien.errors import MediaError
from mien.types import Timeline
from mien.web.analyses.edits import Edits, ResultView
from mien.web.analyses.result_schema import facts, lines
from mien.web.analyses.service import Jobs
from mien.web.database import Job, Store
from mien.web.errors import ApiError
from mien.web.folders import held
from mien.web.settings import Settings

READ_AT_ONCE = 4
"""How many results are held in memory: an hour of every frame is some 10 MB."""

FILES = {
    "annotated.mp4": "The film with what was read in it",
    "annotated.png": "The picture with what was read in it",
    "report.html": "One page with everything, to read, print or send",
    "faces.csv": "A table with a row for each face and look: when, where, and how probable each expression is",
    "timeline.csv": "A table with a row for each look: how many faces, and the mean of each expression",
    "episodes.csv": "A table of the spans in which an expression held",
    "summary.json": "Shares of time, faces, models and settings, for programs",
    "emotions.png": "The plot of each expression against time",
    "tracks.png": "The same with a row for each face",
}
"""What a result consists of, in the order in which it is offered."""

AS_ANALYSED = ", as it was analysed: without names, merged or hidden faces"


class Results:
    """Reads, changes and writes results. Its methods may be called from any thread."""

    def __init__(self, settings: Settings, store: Store, jobs: Jobs) -> None:
        self.settings, self.store, self.jobs = settings, store, jobs
        self._views: OrderedDict[tuple[str, ...], ResultView] = OrderedDict()
        self._reading, self._changing, self._making = threading.Lock(), threading.Lock(), threading.Lock()
        jobs.writers.add(self.forget)

    def done(self, id: str) -> Job:
        """The job, whose result is there. Raises `ApiError` 404, and 409 where it is not there yet, or never will be."""
        job = self.jobs.known(id)
        if job.state != "done":
            words = {
                "failed": "has failed, so it has no result. Try it again.",
                "cancelled": "was cancelled, so it has no result. Try it again.",
            }
            raise ApiError(409, "not_done", f"This analysis {words.get(job.state, 'is not done yet.')}")
        return job

    def view(self, job: Job) -> ResultView:
        """The result with its edits. Raises `ApiError` 409 where its files are damaged or gone."""
        edits = Edits.of(job.edits)
        key = (job.id, str(job.ended_at), edits.key)
        with self._reading:
            if key in self._views:
                self._views.move_to_end(key)
                return self._views[key]
            try:
                view = ResultView(Timeline.load(self.jobs.folder(job.id) / "timeline.npz"), edits)
            except (MediaError, ValueError) as error:
                raise ApiError(409, "damaged", f"The result of {job.name} cannot be read: {error}") from error
            self._views[key] = view
            while len(self._views) > READ_AT_ONCE:
                self._views.popitem(last=False)
            return view

    @property
    def held(self) -> set[str]:
        """The analyses whose results are in memory."""
        with self._reading:
            return {key[0] for key in self._views}

    def forget(self, id: str) -> None:
        """Nothing of a result is held any more, and nobody writes into its folder."""
        with self._making, self._reading:
            for key in [key for key in self._views if key[0] == id]:
                del self._views[key]

    # --- what is shown

    def result(self, job: Job) -> bytes:
        """The `Result` as JSON."""
        view = self.view(job)
        made = self._text(view, "result", lambda: facts(view, job, self.jobs.folder(job.id)))
        files = json.dumps(self._files(job, view), ensure_ascii=False)
        return b'{"job":%s,"files":%s,%s' % (self.jobs.view(job).model_dump_json().encode(), files.encode(), made[1:])

    def series(self, job: Job, points: int, track: int | None) -> bytes:
        """The `Series` as JSON. Raises `ApiError` 404 for a face that is not there."""
        view = self.view(job)
        tracks = view.shown.track_ids if track is None else [self._track(view, track)]
        return self._text(view, ("series", points, track), lambda: lines(view, tracks, points))

    @staticmethod
    def _text(view: ResultView, key: Any, make: Callable[[], dict[str, Any]]) -> bytes:
        text = view.texts.get(key)
        if text is None:
            text = view.texts[key] = json.dumps(make(), separators=(",", ":"), ensure_ascii=False).encode()
            while len(view.texts) > 8:
                view.texts.popitem(last=False)
        return text

    def _track(self, view: ResultView, track: int) -> int:
        if track not in view.everybody.track_ids:
            raise ApiError(404, "no_such_face", f"There is no face {track} in this analysis. Was it merged into another one?")
        return track

    def _files(self, job: Job, view: ResultView) -> list[dict[str, Any]]:
        folder = self.jobs.folder(job.id)
        made = folder / "edited" if self._is_made(folder, view.edits) else folder / "result"
        found = []
        for name, what in FILES.items():
            path = made / name if (made / name).is_file() else folder / "result" / name
            alone = name == "tracks.png" and len(view.shown.track_ids) < 2
            if alone or not path.is_file():
                continue
            old = AS_ANALYSED if view.edits and name == "annotated.mp4" else ""
            url = f"/api/jobs/{job.id}/files/{name}"
            found.append({"name": name, "url": url, "size_bytes": path.stat().st_size, "what": what + old})
        return found

    def still(self, job: Job, track: int) -> Response:
        """A picture of a face. Raises `ApiError` 404."""
        view = self.view(job)
        folder = self.jobs.folder(job.id) / "stills"
        if self._track(view, track) and view.edits.merged_into(track):
            with suppress(MediaError):
                still = report.Stills.load(folder).edited(view.edits.into).of_track(track)
                if still is not None:
                    return Response(still.jpeg, media_type="image/jpeg")
        if not (folder / f"{track}.jpg").is_file():
            raise ApiError(404, "no_still", f"No picture of face {track} is kept.")
        return FileResponse(folder / f"{track}.jpg", media_type="image/jpeg")

    # --- what is changed

    def change(self, id: str, how: Callable[[ResultView], Edits]) -> Job:
        """Keeps other edits and tells every page. Raises `ApiError`."""
        with self._changing:
            job = self.done(id)
            edits = how(self.view(job))
            if edits.row() != (job.edits or {}):
                self.store.update_job(id, edits=edits.row())
                view = self.view(self.done(id))
                shares = view.shown.shares() if len(view.shown.frame_rows) else None
                self.store.update_job(id, headline=view.headline(), people=len(view.shown.track_ids), shares=shares)
        self.jobs.changed(id)
        return self.done(id)

    def change_track(self, id: str, track: int, given: dict[str, Any]) -> Job:
        """Names, hides or shows a face."""
        return self.change(id, lambda view: view.edits.changed(self._track(view, track), given))

    def merge(self, id: str, track: int, into: int) -> Job:
        """Counts one face as another. Raises `ApiError` 409 where both are seen at the same time."""

        def merged(view: ResultView) -> Edits:
            self._track(view, track), self._track(view, into)
            if track == into:
                raise ApiError(409, "same_face", "A face cannot be merged into itself. Choose another one.")
            together_s = view.everybody.seen_together(track, into)
            if len(together_s):
                both = f"{view.name(track)} and {view.name(into)} are both seen at {together_s[0]:.1f} s"
                raise ApiError(409, "seen_together", f"{both}, so they are two people.")
            return view.edits.merged(track, into)

        return self.change(id, merged)

    # --- files

    @staticmethod
    def _is_made(folder: Path, edits: Edits) -> bool:
        with suppress(OSError):
            return bool(edits) and (folder / "edited.key").read_text(encoding="ascii") == edits.key
        return False

    def folder(self, job: Job) -> Path:
        """Where the files of a result are as they are to be handed out; they are made where something was changed since."""
        view, place = self.view(job), self.jobs.folder(job.id)
        if not view.edits:
            return place / "result"
        with self._making:
            if not self._is_made(place, view.edits):
                if self.store.job(job.id) is None:  # erased in this moment
                    raise ApiError(404, "not_found", "This analysis has been erased.")
                try:
                    self._make(place, view)
                except (MediaError, OSError) as error:
                    raise ApiError(507, "not_written", f"The files cannot be written: {error}") from error
                self.store.update_job(job.id, size_bytes=held(place)[1])
        return place / "edited"

    @staticmethod
    def _make(place: Path, view: ResultView) -> None:
        from mien.cluster import whole_folder, write_results  # OpenCV and PyAV, which no start has to wait for

        stamp = place / "edited.key"
        stamp.unlink(missing_ok=True)
        shutil.rmtree(place / "edited", ignore_errors=True)
        stills = None
        with suppress(MediaError):  # kept without pictures
            stills = report.Stills.load(place / "stills").edited(view.edits.into, view.edits.hidden)
        speed = None
        with suppress(OSError, ValueError):
            speed = json.loads((place / "result" / "summary.json").read_text(encoding="utf-8")).get("speed")
        with whole_folder(place / "edited") as scratch:
            film, picture = place / "result" / "annotated.mp4", place / "result" / "annotated.png"
            if film.is_file():
                try:
                    os.link(film, scratch / film.name)
                except OSError:
                    shutil.copyfile(film, scratch / film.name)
            write_results(view.shown, scratch, stills, speed=speed, annotated=picture.is_file(), names=view.names)
            if picture.is_file() and not (scratch / picture.name).exists():
                shutil.copyfile(picture, scratch / picture.name)
        stamp.write_text(view.edits.key, encoding="ascii")

    def file(self, job: Job, name: str) -> Path:
        """Raises `ApiError` 404 for a file that this result does not have."""
        # Changes do not touch the film, so it does not have to wait for files to be made.
        original = self.jobs.folder(job.id) / "result"
        path = None if name not in FILES else original / name if name == "annotated.mp4" else self.folder(job) / name
        if path is None or not path.is_file():
            raise ApiError(404, "no_such_file", f"There is no file {name[:60]} in this analysis.")
        return path

    def archive(self, job: Job) -> Iterator[bytes]:
        """All files as one zip, bit by bit; nothing is written to the disk for it."""
        folder, top = self.folder(job), stem(job)
        sink = _Sink()
        with zipfile.ZipFile(sink, "w") as out:
            for name in FILES:
                if not (folder / name).is_file():
                    continue
                entry = zipfile.ZipInfo.from_file(folder / name, f"{top}/{name}", strict_timestamps=False)
                packed = name.endswith((".mp4", ".png"))
                entry.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
                with (folder / name).open("rb") as source, out.open(entry, "w") as target:
                    while piece := source.read(1 << 18):
                        target.write(piece)
                        yield sink.taken()
                yield sink.taken()
        yield sink.taken()


class _Sink:
    """What a zip is written to that is sent while it is made: it only grows, and what was taken is gone."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: Any) -> int:
        self._held += data
        return len(data)

    def flush(self) -> None:
        """Nothing waits anywhere."""

    def close(self) -> None:
        """Nothing is open."""

    def taken(self) -> bytes:
        data = bytes(self._held)
        self._held.clear()
        return data


def stem(job: Job) -> str:
    """The name of an analysis as that of a folder that every system takes."""
    name = Path(job.name).stem if job.kind == "file" else job.name
    return "".join("_" if c in '<>:"/\\|?*' or not c.isprintable() else c for c in name).strip(" .")[:80] or "analysis"
