"""What a result looks like from outside: its shape, and how it is made of what was seen."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from mien import report
from mien.types import flag_names
from mien.web.analyses.edits import ResultView
from mien.web.analyses.schema import JobView
from mien.web.database import Job

PLOT_NUMBERS = 400_000
"""The most numbers in one answer of the series, all lines together."""


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
    expression: str = Field(description="empty where the reading cannot be relied on")
    emotions: dict[str, float]
    valence: float
    reliability: float | None = Field(description="how likely the expression is what most raters would say; null where not known")
    flags: list[str] = Field(description="what makes the reading unsure: small, blurred, dark, flat, turned, covered")


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
    coverage: float = Field(description="share of the looks at faces that can be relied on: what shares and episodes are of")
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


# --- made of what was seen


def facts(view: ResultView, job: Job, folder: Path) -> dict[str, Any]:
    """The `Result` without its job and files."""
    address = f"/api/jobs/{job.id}"
    timeline, everybody = view.shown, view.everybody
    summary = report.summary(timeline, view.episodes, names=view.names)
    settings = {key: value for key, value in summary["settings"].items() if key not in report.ORIGIN}
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
        "coverage": summary["coverage"],
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


def _faces(view: ResultView) -> list[dict[str, Any]]:
    timeline = view.shown
    expressions, valence = timeline.expressions, timeline.valence
    return [
        {
            "track": track,
            "name": view.name(track),
            "box": [round(v, 1) for v in timeline.boxes[row].tolist()],
            "score": round(float(timeline.face_scores[row]), 4),
            "expression": expressions[row],
            "emotions": {
                name: round(p, 5) for name, p in zip(timeline.labels, timeline.emotions[row].tolist(), strict=True)
            },
            "valence": round(float(valence[row]), 4),
            "reliability": None if np.isnan(timeline.reliability[row]) else round(float(timeline.reliability[row]), 4),
            "flags": list(flag_names(int(timeline.flags[row]))),
        }
        for row, track in enumerate(timeline.tracks.tolist())
    ]  # fmt: skip


def lines(view: ResultView, tracks: list[int], points: int) -> dict[str, Any]:
    """The `Series`; where there are many faces, each has fewer points."""
    timeline, labels = view.shown, view.shown.labels
    each = max(40, min(points, PLOT_NUMBERS // (len(labels) + 1) // (len(tracks) + 1)))
    mean = report.line(timeline, points=points)
    each_line = {track: report.line(view.everybody, track, points=each) for track in tracks}
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
            for track, line in each_line.items()
        },
        "thinned": mean.thinned or any(line.thinned for line in each_line.values()),
    }


def _numbers(values: NDArray[np.float64], decimals: int = 4) -> list[float | None]:
    """For JSON, which has no NaN."""
    rounded: list[float | None] = np.round(values, decimals).tolist()
    return [None if v != v else v for v in rounded] if np.isnan(values).any() else rounded
