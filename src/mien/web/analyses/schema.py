"""What an analysis looks like from outside, and the form that asks for one."""

import math
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mien.web.errors import ApiError
from mien.web.uploads import form

EXAMPLE_ID = "k3v9Qm0aZx81tRbW"


class JobOptions(BaseModel):
    """How a file is analysed."""

    every_s: float | None = Field(default=0.5, description="seconds between looks; null: every frame")
    smoothing_s: float = Field(default=0.2, description="time constant of the smoothed scores in seconds; 0: none")
    baseline_s: float = Field(
        default=0.0, description="where above 0: tables also hold the change against each face's first so many seconds"
    )
    keep_film: bool = Field(default=True, description="whether the annotated film or picture is made and kept")
    keep_stills: bool = Field(default=True, description="whether a still of each face is kept")
    model: str | None = Field(default=None, description="the expression model; null: the server's")
    labels: str | None = Field(default=None, description="which of the model's label sets; null: its first")
    prior: str | None = Field(default=None, description="how decisions lean; null: as the model was tuned")
    detector: Literal["yunet", "haar"] = Field(default="yunet", description="what finds the faces")


class JobProgress(BaseModel):
    """How far a running analysis is."""

    frames: int = Field(description="looks made")
    done_s: float = Field(description="seconds of the film done")
    total_s: float | None = Field(description="seconds of the film, where it says how long it is")
    share: float | None = Field(description="from 0 to 1")
    frames_per_s: float | None = Field(description="looks a second, measured")
    left_s: float | None = Field(description="seconds that it will still take, at the pace so far")


class JobView(BaseModel):
    """An analysis: one file, or one live recording."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": EXAMPLE_ID,
                    "kind": "file",
                    "state": "running",
                    "name": "talk.mp4",
                    "media": None,
                    "created_at": "2026-11-21T14:20:00Z",
                    "started_at": "2026-11-21T14:20:01Z",
                    "ended_at": None,
                    "options": {"every_s": 0.5, "smoothing_s": 0.2, "baseline_s": 0, "keep_film": True, "keep_stills": True,
                                "model": None, "labels": None, "prior": None, "detector": "yunet"},
                    "progress": {
                        "frames": 8, "done_s": 4.1, "total_s": 19.6, "share": 0.21, "frames_per_s": 8.0, "left_s": 3.2,
                    },
                    "error": None,
                    "note": None,
                    "headline": None,
                    "duration_s": None,
                    "people": None,
                    "shares": None,
                    "size_bytes": 1632292,
                    "waiting": None,
                }
            ]
        }
    )  # fmt: skip

    id: str
    kind: Literal["file", "live"]
    state: Literal["queued", "running", "done", "failed", "cancelled", "recording", "paused", "saving"]
    name: str = Field(description="the file's name as it was given, or the name that a person gave later")
    media: Literal["video", "picture", "camera", "screen"] | None = Field(description="known once it is read")
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    options: dict[str, Any] = Field(description="see the form of POST /api/jobs")
    progress: JobProgress | None
    error: str | None = Field(description="why it failed and what to do, fit to show")
    note: str | None = Field(description="what is to be known of a result that is there: a film that is damaged half-way")
    headline: str | None = Field(description="what was seen, in a sentence")
    duration_s: float | None
    people: int | None = Field(description="how many different faces")
    shares: dict[str, float] | None = Field(description="share of the looks in which each expression leads")
    size_bytes: int = Field(description="space on the disk")
    waiting: int | None = Field(description="place in the queue, from 1; null where it does not wait")


class JobsPage(BaseModel):
    """Some of the analyses, the newest first."""

    items: list[JobView]
    next_cursor: str | None = Field(description="where the next page begins; null at the end")


class NewName(BaseModel):
    """A name for an analysis."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Interview, second part"}]}, extra="forbid")

    name: str = Field(min_length=1, max_length=200)


# --- the form

FORM = form(
    {
        "file": {"description": "a picture or a film; its content decides"},
        "every_s": {
            "type": "number",
            "minimum": 0,
            "maximum": 3600,
            "default": 0.5,
            "description": "seconds between looks; 0: every frame",
        },
        "smoothing_s": {
            "type": "number",
            "minimum": 0,
            "maximum": 60,
            "default": 0.2,
            "description": "time constant of the smoothed scores in seconds; 0: none",
        },
        "baseline_s": {
            "type": "number",
            "minimum": 0,
            "maximum": 3600,
            "default": 0,
            "description": "where above 0: tables also hold the change against each face's first so many seconds",
        },
        "keep_film": {"type": "boolean", "default": True, "description": "whether the annotated film or picture is made and kept"},
        "keep_stills": {"type": "boolean", "default": True, "description": "whether a still of each face is kept"},
        "model": {"type": "string", "description": "the expression model, one of `mien models list`; left out: the server's"},
        "labels": {
            "type": "string",
            "description": "which of the model's label sets, such as ferplus or fer2013; left out: its first",
        },
        "prior": {
            "type": "string",
            "description": "how decisions lean, such as natural or balanced; left out: as the model was tuned",
        },
        "detector": {"type": "string", "enum": ["yunet", "haar"], "default": "yunet", "description": "what finds the faces"},
    },
    {"file": "(the file's content)", "every_s": 0.5, "keep_film": True},
)


def options_of(fields: dict[str, str]) -> JobOptions:
    """The options of a form. Raises `ApiError` 422 for what cannot be, and for an option that there is not."""
    most = {"every_s": 3600.0, "smoothing_s": 60.0, "baseline_s": 3600.0}
    switches = {"true": True, "1": True, "on": True, "yes": True, "false": False, "0": False, "off": False, "no": False}
    given: dict[str, Any] = {}
    known = set(JobOptions.model_fields)
    for name, text in fields.items():
        if name not in known:
            raise ApiError(422, "invalid", f"There is no option {name[:40]!r}; there are {', '.join(sorted(known))}.")
        text = text.strip().lower()
        if name in most:
            try:
                value = float(text)
            except ValueError:
                value = math.nan
            if not 0 <= value <= most[name]:
                raise ApiError(
                    422, "invalid", f"{name}: wanted a number of seconds from 0 to {most[name]:g}, but got {text[:40]!r}"
                )
            given[name] = value
        elif name in ("keep_film", "keep_stills"):
            if text not in switches:
                raise ApiError(422, "invalid", f"{name}: wanted true or false, but got {text[:40]!r}")
            given[name] = switches[text]
        elif name == "detector" and text not in ("", "yunet", "haar"):
            raise ApiError(422, "invalid", f"detector: wanted yunet or haar, but got {text[:40]!r}")
        elif text:
            given[name] = text
    if "every_s" in given:
        given["every_s"] = given["every_s"] or None
    return JobOptions(**given)


def shown(name: str) -> str:
    """A name without what cannot be shown, at most 200 letters."""
    return "".join(c for c in name if c.isprintable()).strip()[:200]
