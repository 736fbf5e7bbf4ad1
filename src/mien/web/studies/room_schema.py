"""Rooms as JSON: what is asked, and what is answered."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mien.web.analyses.schema import JobProgress

Pair = Annotated[list[float], Field(min_length=2, max_length=2)]
Seconds = Annotated[float, Field(ge=-86_400, le=86_400)]
CLOCK = (
    "pairs [recording seconds, film seconds] between which the film ran, stood or jumped; one pair is a start mark; none: the "
    "start is not marked yet; null: offset_s says it"
)
ROOM: dict[str, Any] = {
    "name": 1,
    "stimulus": "s1",
    "label": "Screening on Friday",
    "state": "ready",
    "offset_s": -12.4,
    "clock": None,
    "people": 12,
    "left_out": 2,
    "together": 12,
    "duration_s": 5420.5,
    "made_at": "2026-11-21T19:30:00Z",
    "job": None,
    "progress": None,
    "error": None,
}


class RoomView(BaseModel):
    """A room: who one camera saw while a film played."""

    model_config = ConfigDict(json_schema_extra={"examples": [ROOM]})

    name: int = Field(description="1 for the first; its viewers are called R1-1, R1-2, …")
    stimulus: str = Field(description="the film that played, or the event")
    label: str
    state: Literal["analysing", "ready", "failed"] = Field(description="analysing: its recording is still made or read")
    offset_s: float = Field(description="the film's time at the recording's 0 s; with a clock: what is added to its film seconds")
    clock: list[list[float]] | None = Field(description=CLOCK)
    people: int = Field(description="who is seen in at least a tenth of the looks that fall into the film")
    left_out: int = Field(description="faces seen in fewer of them")
    together: int = Field(description="the most faces seen at once during the film")
    duration_s: float | None = Field(description="of the recording")
    made_at: datetime = Field(description="when the recording began, or the film of the audience was sent")
    job: str | None = Field(description="the recording or analysis that it is made of, until it is")
    progress: JobProgress | None = Field(description="of that job")
    error: str | None = Field(description="why it failed and what to do, fit to show")


class RoomsPage(BaseModel):
    """All rooms of a study."""

    items: list[RoomView]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class NewRoom(_Asked):
    """What a room is made of, and when the film began."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"job": "k3v9Qm0aZx81tRbW", "stimulus": "s1", "offset_s": -12.4, "agreed": True}]}
    )

    job: str | None = Field(default=None, max_length=64, description="a live recording, also one that runs, or an analysis")
    stimulus: str = Field(max_length=64, description="the film that played, or the event")
    agreed: bool = Field(description="true: everybody in the room was told and agreed; without that no room is made")
    offset_s: Seconds = Field(default=0.0, description="the film's time at the recording's 0 s")
    clock: list[Pair] | None = Field(default=None, max_length=10_000, description=CLOCK)
    label: str = Field(default="", max_length=200)


class RoomChange(_Asked):
    """What is put right; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"offset_s": -12.3}]})

    stimulus: str | None = Field(default=None, max_length=64)
    offset_s: Seconds | None = None
    clock: list[Pair] | None = Field(default=None, max_length=10_000, description=CLOCK)
    label: str | None = Field(default=None, max_length=200)
