"""The result of an analysis: what was seen, the lines of the plot, stills, files; and what a person changed in it afterwards.

What was measured is never changed. Names, merges and hidden faces are kept beside it, in the job's row, and applied to the Timeline
when it is read; all of them can be undone. The files are made once more, in a folder of their own, when they are asked for and
something was changed.
"""

import hashlib
import json
import logging
import os
import shutil
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from mien import report
from mien.episodes import find_episodes
from mien.errors import MediaError
from mien.types import Episode, Timeline, leading
from mien.web.errors import ApiError, may_fail
from mien.web.job_json import JobView, shown
from mien.web.jobs import Jobs, folder_bytes
from mien.web.settings import Settings
from mien.web.store import Job, Store

READ_AT_ONCE = 4
"""How many results are held in memory: an hour of every frame is some 10 MB."""

PLOT_NUMBERS = 400_000
"""The most numbers in one answer of the series, all lines together."""

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

REPORT_HEADERS = {
    "Content-Security-Policy": "sandbox allow-scripts allow-downloads allow-popups; default-src 'none'; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
}
"""The report may run its own script, but as a page of nobody: without cookies, and with nothing to load."""

log = logging.getLogger(__name__)
router = APIRouter(tags=["Results"])


# --- what a result looks like from outside


class ResultMedia(BaseModel):
    """What was looked at."""

    name: str
    kind: str = Field(description="video, picture, camera or screen")
    width: int
    height: int
    duration_s: float | None
    fps: float | None


class ResultTrack(BaseModel):
    """One face through time."""

    id: int
    name: str = Field(description="as a person named it, else Face and its number")
    named: bool = Field(description="whether a person named it")
    hidden: bool
    merged: list[int] = Field(description="numbers that were merged into this one")
    start_s: float
    end_s: float
    rows: int = Field(description="how many times it was seen")
    expression: str = Field(description="the one with the highest mean")
    shares: dict[str, float]
    still: str | None = Field(description="address of a picture of the face, where one is kept")


class ResultEpisode(BaseModel):
    """A span in which one face showed one expression."""

    track: int
    name: str
    expression: str
    start_s: float
    end_s: float
    peak: float = Field(description="the highest probability in it")
    peak_time_s: float


class ResultFace(BaseModel):
    """A face in a picture."""

    track: int
    name: str
    box: list[float] = Field(description="x1, y1, x2, y2 in pixels of the picture")
    score: float = Field(description="how sure the detector is")
    expression: str
    emotions: dict[str, float]
    valence: float


class ResultFile(BaseModel):
    """A file to download."""

    name: str
    url: str
    size_bytes: int
    what: str = Field(description="what it holds, in plain words")


class Result(BaseModel):
    """All but the lines of the plot, which `series` gives."""

    job: JobView
    media: ResultMedia
    labels: list[str]
    colours: dict[str, dict[str, str]] = Field(description="for each label, a colour on light and one on dark ground")
    headline: str
    shares: dict[str, float] = Field(
        description="share of the looks at faces in which each expression leads; hidden faces left out"
    )
    valence_mean: float | None = Field(description="from -1 to 1; null where nobody is")
    start_s: float
    end_s: float
    frames: int = Field(description="how many looks")
    most_faces_at_once: int
    film: str | None = Field(description="address of the annotated film")
    picture: str | None = Field(description="address of the annotated picture")
    report: str
    archive: str
    settings: dict[str, Any]
    tracks: list[ResultTrack]
    episodes: list[ResultEpisode]
    faces: list[ResultFace] = Field(description="of pictures only")
    files: list[ResultFile]
    edited: bool = Field(description="whether a person named, merged or hid a face")
    caveat: str


class SeriesTrack(BaseModel):
    """The lines of one face."""

    times: list[float]
    emotions: dict[str, list[float | None]]
    valence: list[float | None]


class Series(BaseModel):
    """The lines of the plot; null where nobody is."""

    times: list[float]
    labels: list[str]
    mean: dict[str, list[float | None]]
    tracks: dict[str, SeriesTrack]
    thinned: bool = Field(description="whether there are fewer points than looks; each span keeps its highest and lowest value")


class TrackChange(BaseModel):
    """What may be changed of a face; what is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Anna"}, {"hidden": True}]}, extra="forbid")

    name: str | None = Field(default=None, max_length=60, description="empty or null: no name")
    hidden: bool = False


class Merge(BaseModel):
    """The face that this one is the same person as."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"into": 1}]}, extra="forbid")

    into: int = Field(ge=0, lt=2**63)


# --- edits


@dataclass(frozen=True, slots=True)
class Edits:
    """What a person changed: names of faces, `into` says as what each merged one counts, and those hidden."""

    names: dict[int, str] = field(default_factory=dict)
    into: dict[int, int] = field(default_factory=dict)
    hidden: frozenset[int] = frozenset()

    @classmethod
    def of(cls, row: dict[str, Any] | None) -> "Edits":
        """As a job's row keeps them."""
        row = row or {}
        return cls(
            {int(k): str(v) for k, v in row.get("names", {}).items()},
            {int(k): int(v) for k, v in row.get("into", {}).items()},
            frozenset(map(int, row.get("hidden", ()))),
        )

    def row(self) -> dict[str, Any]:
        """For a job's row; empty where nothing is changed."""
        parts = {
            "names": {str(k): v for k, v in sorted(self.names.items())},
            "into": {str(k): v for k, v in sorted(self.into.items())},
        }
        whole = parts | {"hidden": sorted(self.hidden)}
        return {name: part for name, part in whole.items() if part}

    def __bool__(self) -> bool:
        return bool(self.names or self.into or self.hidden)

    @property
    def key(self) -> str:
        """The same for the same edits."""
        return hashlib.sha256(json.dumps(self.row(), sort_keys=True).encode()).hexdigest()[:16]

    def merged_into(self, track: int) -> list[int]:
        """The numbers that count as this one."""
        return sorted(other for other, into in self.into.items() if into == track)

    def changed(self, track: int, given: dict[str, Any]) -> "Edits":
        """With another name of a face, or hidden, or shown again."""
        names, hidden = dict(self.names), set(self.hidden)
        if "name" in given:
            name = shown(given["name"] or "")
            names.pop(track, None)
            if name:
                names[track] = name
        if "hidden" in given:
            (hidden.add if given["hidden"] else hidden.discard)(track)
        return Edits(names, self.into, frozenset(hidden))

    def merged(self, track: int, into: int) -> "Edits":
        """With one face counted as another, which takes its name where it has none."""
        names = dict(self.names)
        name = names.pop(track, None)
        if name:
            names.setdefault(into, name)
        onto = {other: into if now == track else now for other, now in self.into.items()} | {track: into}
        return Edits(names, onto, self.hidden - {track})


class View:
    """A result as it is read: the Timeline with what was changed in it. Everybody, hidden ones too, and those that are shown."""

    def __init__(self, timeline: Timeline, edits: Edits) -> None:
        for track, into in edits.into.items():
            timeline = timeline.merged(track, into)
        self.everybody, self.edits = timeline, edits
        there = set(timeline.track_ids)
        self.shown = timeline.without(edits.hidden & there)
        self.names = {track: name for track, name in edits.names.items() if track in there}
        self.texts: OrderedDict[Any, bytes] = OrderedDict()

    @cached_property
    def episodes(self) -> list[Episode]:
        """Found when they are first asked for: the lines do not need them, and a crowd's take a second."""
        return find_episodes(self.shown)

    def name(self, track: int) -> str:
        """What a face is called on pages."""
        return self.names.get(track) or f"Face {track}"

    def headline(self) -> str:
        return report.headline(self.shown, self.episodes, names=self.names)


class Results:
    """Reads, changes and writes results. Its methods may be called from any thread."""

    def __init__(self, settings: Settings, store: Store, jobs: Jobs) -> None:
        self.settings, self.store, self.jobs = settings, store, jobs
        self._views: OrderedDict[tuple[str, ...], View] = OrderedDict()
        self._reading, self._changing, self._making = threading.Lock(), threading.Lock(), threading.Lock()
        jobs.before_erasing.append(self.forget)

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

    def view(self, job: Job) -> View:
        """The result with its edits. Raises `ApiError` 409 where its files are damaged or gone."""
        edits = Edits.of(job.edits)
        key = (job.id, str(job.ended_at), edits.key)
        with self._reading:
            if key in self._views:
                self._views.move_to_end(key)
                return self._views[key]
            try:
                view = View(Timeline.load(self.jobs.folder(job.id) / "timeline.npz"), edits)
            except (MediaError, ValueError) as error:
                raise ApiError(409, "damaged", f"The result of {job.name} cannot be read: {error}") from error
            self._views[key] = view
            while len(self._views) > READ_AT_ONCE:
                self._views.popitem(last=False)
            return view

    def forget(self, id: str) -> None:
        """Nothing of a result is held any more, and nobody writes into its folder."""
        with self._making, self._reading:
            for key in [key for key in self._views if key[0] == id]:
                del self._views[key]

    # --- what is shown

    def result(self, job: Job) -> bytes:
        """The `Result` as JSON."""
        view = self.view(job)
        facts = self._text(view, "result", lambda: _facts(view, job, self.jobs.folder(job.id)))
        files = json.dumps(self._files(job, view), ensure_ascii=False)
        return b'{"job":%s,"files":%s,%s' % (self.jobs.view(job).model_dump_json().encode(), files.encode(), facts[1:])

    def series(self, job: Job, points: int, track: int | None) -> bytes:
        """The `Series` as JSON. Raises `ApiError` 404 for a face that is not there."""
        view = self.view(job)
        tracks = view.shown.track_ids if track is None else [self._track(view, track)]
        return self._text(view, ("series", points, track), lambda: _lines(view, tracks, points))

    @staticmethod
    def _text(view: View, key: Any, make: Callable[[], dict[str, Any]]) -> bytes:
        text = view.texts.get(key)
        if text is None:
            text = view.texts[key] = json.dumps(make(), separators=(",", ":"), ensure_ascii=False).encode()
            while len(view.texts) > 8:
                view.texts.popitem(last=False)
        return text

    def _track(self, view: View, track: int) -> int:
        if track not in view.everybody.track_ids:
            raise ApiError(404, "no_such_face", f"There is no face {track} in this analysis. Was it merged into another one?")
        return track

    def _files(self, job: Job, view: View) -> list[dict[str, Any]]:
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

    def change(self, id: str, how: Callable[[View], Edits]) -> Job:
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

        def merged(view: View) -> Edits:
            self._track(view, track), self._track(view, into)
            if track == into:
                raise ApiError(409, "same_face", "A face cannot be merged into itself. Choose another one.")
            try:
                view.everybody.merged(track, into)
            except ValueError:
                both = np.intersect1d(*(view.everybody.frame_rows[view.everybody.tracks == i] for i in (track, into)))
                when = view.everybody.times[both[0]]
                raise ApiError(
                    409,
                    "seen_together",
                    f"{view.name(track)} and {view.name(into)} are both seen at {when:.1f} s, so they are two people.",
                ) from None
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
                self.store.update_job(job.id, size_bytes=folder_bytes(place))
        return place / "edited"

    @staticmethod
    def _make(place: Path, view: View) -> None:
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
        folder, stem = self.folder(job), _stem(job)
        sink = _Sink()
        with zipfile.ZipFile(sink, "w") as out:
            for name in FILES:
                if not (folder / name).is_file():
                    continue
                entry = zipfile.ZipInfo.from_file(folder / name, f"{stem}/{name}", strict_timestamps=False)
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


def _stem(job: Job) -> str:
    """The name of an analysis as that of a folder that every system takes."""
    stem = Path(job.name).stem if job.kind == "file" else job.name
    return "".join("_" if c in '<>:"/\\|?*' or not c.isprintable() else c for c in stem).strip(" .")[:80] or "analysis"


def _facts(view: View, job: Job, folder: Path) -> dict[str, Any]:
    """The `Result` without its job and files."""
    address = f"/api/jobs/{job.id}"
    timeline, everybody = view.shown, view.everybody
    summary = report.summary(timeline, view.episodes, names=view.names)
    settings = {key: value for key, value in summary["settings"].items() if key != "made_from"}
    result, stills = folder / "result", folder / "stills"
    info = timeline.info
    tracks = []
    for track in report.summary(everybody, [])["tracks"]:
        merged = view.edits.merged_into(track["id"])
        has_still = any((stills / f"{i}.jpg").is_file() for i in (track["id"], *merged))
        tracks.append(
            track
            | {
                "name": view.name(track["id"]),
                "named": track["id"] in view.names,
                "hidden": track["id"] in view.edits.hidden,
                "merged": merged,
                "still": f"{address}/stills/{track['id']}.jpg" if has_still else None,
            }
        )
    return {
        "media": {name: getattr(info, name) for name in ResultMedia.model_fields} | {"kind": job.media or info.kind},
        "labels": list(timeline.labels),
        "colours": report.colours(timeline.labels),
        "headline": summary["headline"],
        "shares": summary["shares"],
        "valence_mean": round(float(timeline.valence.mean()), 4) if len(timeline.frame_rows) else None,
        "start_s": float(timeline.times[0]) if len(timeline) else 0.0,
        "end_s": float(timeline.times[-1]) if len(timeline) else 0.0,
        "frames": len(timeline),
        "most_faces_at_once": summary["most_faces_at_once"],
        "film": f"{address}/files/annotated.mp4" if (result / "annotated.mp4").is_file() else None,
        "picture": f"{address}/files/annotated.png" if (result / "annotated.png").is_file() else None,
        "report": f"{address}/files/report.html",
        "archive": f"{address}/archive.zip",
        "settings": settings | {"models": summary["models"]},
        "tracks": tracks,
        "episodes": [
            {
                "track": e.track,
                "name": view.name(e.track),
                "expression": e.expression,
                "start_s": round(e.start_s, 3),
                "end_s": round(e.end_s, 3),
                "peak": round(e.peak, 4),
                "peak_time_s": round(e.peak_time_s, 3),
            }
            for e in view.episodes
        ],
        "faces": _faces(view) if info.kind == "picture" else [],
        "edited": bool(view.edits),
        "caveat": report.CAVEAT,
    }


def _faces(view: View) -> list[dict[str, Any]]:
    timeline = view.shown
    leads, valence = leading(timeline.emotions), timeline.valence
    return [
        {
            "track": track,
            "name": view.name(track),
            "box": [round(v, 1) for v in timeline.boxes[row].tolist()],
            "score": round(float(timeline.face_scores[row]), 4),
            "expression": timeline.labels[leads[row]],
            "emotions": {
                name: round(p, 5) for name, p in zip(timeline.labels, timeline.emotions[row].tolist(), strict=True)
            },
            "valence": round(float(valence[row]), 4),
        }
        for row, track in enumerate(timeline.tracks.tolist())
    ]  # fmt: skip


def _lines(view: View, tracks: list[int], points: int) -> dict[str, Any]:
    """The `Series`; where there are many faces, each has fewer points."""
    timeline, labels = view.shown, view.shown.labels
    each = max(40, min(points, PLOT_NUMBERS // (len(labels) + 1) // (len(tracks) + 1)))
    mean = report.line(timeline, points=points)
    lines = {track: report.line(view.everybody, track, points=each) for track in tracks}
    return {
        "times": _numbers(mean.times, 3),
        "labels": list(labels),
        "mean": {name: _numbers(mean.values[:, k]) for k, name in enumerate(labels)},
        "tracks": {
            str(track): {
                "times": _numbers(line.times, 3),
                "emotions": {name: _numbers(line.values[:, k]) for k, name in enumerate(labels)},
                "valence": _numbers(line.valence),
            }
            for track, line in lines.items()
        },
        "thinned": mean.thinned or any(line.thinned for line in lines.values()),
    }


def _numbers(values: NDArray[np.float64], decimals: int = 4) -> list[float | None]:
    """For JSON, which has no NaN."""
    rounded: list[float | None] = np.round(values, decimals).tolist()
    return [None if v != v else v for v in rounded] if np.isnan(values).any() else rounded


# --- routes


def _results(request: Request) -> Results:
    results: Results = request.app.state.results
    return results


FILE_KINDS = ("text/csv", "application/json", "text/html", "image/png", "video/mp4")
"""What the files of a result are."""


def _gives(kinds: Sequence[str], what: str, *errors: int) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": what, "content": {kind: {} for kind in kinds}}, **may_fail(*errors)}


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")


@router.get("/api/jobs/{id}/result", summary="What was seen", response_model=Result, responses=may_fail(404, 409))
def get_result(request: Request, id: str) -> Response:
    """Names, merges and hidden faces are applied. The lines of the plot are in the series."""
    results = _results(request)
    return _json(results.result(results.done(id)))


@router.get("/api/jobs/{id}/series", summary="The lines of the plot", response_model=Series, responses=may_fail(404, 409, 422))
def get_series(
    request: Request,
    id: str,
    points: Annotated[int, Query(ge=40, le=20_000, description="how many points a line has at most")] = 2000,
    track: Annotated[int | None, Query(ge=0, lt=2**63, description="only the lines of this face, beside the mean")] = None,
) -> Response:
    """Smoothed probabilities against time: the mean over all faces that are not hidden, and each face."""
    results = _results(request)
    return _json(results.series(results.done(id), points, track))


@router.patch(
    "/api/jobs/{id}/tracks/{track}",
    summary="Name, hide or show a face",
    response_model=Result,
    responses=may_fail(404, 409, 422),
)
def change_track(request: Request, id: str, track: int, change: TrackChange) -> Response:
    """Answers with the new result. Tables, plots and the report show it as well; the annotated film stays as it is."""
    results = _results(request)
    return _json(results.result(results.change_track(id, track, change.model_dump(exclude_unset=True))))


@router.post(
    "/api/jobs/{id}/tracks/{track}/merge",
    summary="Count a face as another one",
    response_model=Result,
    responses=may_fail(404, 409, 422),
)
def merge_track(request: Request, id: str, track: int, merge: Merge) -> Response:
    """For one person who was given two numbers. Refused (409) where both are seen at the same time. Answers with the new result."""
    results = _results(request)
    return _json(results.result(results.merge(id, track, merge.into)))


@router.delete(
    "/api/jobs/{id}/edits", summary="Undo all names, merges and hidden faces", response_model=Result, responses=may_fail(404, 409)
)
def undo_edits(request: Request, id: str) -> Response:
    """Answers with the new result."""
    results = _results(request)
    return _json(results.result(results.change(id, lambda view: Edits())))


@router.get(
    "/api/jobs/{id}/stills/{track}.jpg",
    summary="A picture of a face",
    response_class=FileResponse,
    responses=_gives(["image/jpeg"], "The picture", 404, 409, 422),
)
def get_still(request: Request, id: str, track: int) -> Response:
    results = _results(request)
    return results.still(results.done(id), track)


@router.get(
    "/api/jobs/{id}/files/{name}",
    summary="A file of the result",
    response_class=FileResponse,
    responses=_gives(FILE_KINDS, "The file; parts of it by Range", 404, 409, 507),
)
def get_file(request: Request, id: str, name: str) -> Response:
    """`files` of the result lists them. After changes they are made anew, which takes a few seconds the first time."""
    results = _results(request)
    job = results.done(id)
    path = results.file(job, name)
    headers = dict(REPORT_HEADERS) if name == "report.html" else {}
    return FileResponse(path, headers=headers, filename=f"{_stem(job)}.{name}", content_disposition_type="inline")


@router.get(
    "/api/jobs/{id}/archive.zip",
    summary="All files of the result as one zip",
    response_class=StreamingResponse,
    responses=_gives(["application/zip"], "The zip", 404, 409, 507),
)
def get_archive(request: Request, id: str) -> Response:
    results = _results(request)
    job = results.done(id)
    results.folder(job)  # what goes wrong is told before the first byte is sent
    plain = _stem(job).encode("ascii", "replace").decode().replace("?", "_")
    named = f"attachment; filename=\"{plain}.zip\"; filename*=UTF-8''{quote(_stem(job), safe='')}.zip"
    return StreamingResponse(results.archive(job), media_type="application/zip", headers={"Content-Disposition": named})
