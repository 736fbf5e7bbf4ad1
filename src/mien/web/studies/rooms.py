"""Rooms: one camera, or a film of the audience, that sees many people while a film plays; each face is one anonymous viewer.

A room is made of an ordinary live recording or analysis, its job. Whatever happens to pages, sockets and servers meanwhile, once
that job is done its numbers move into the study's folder, and the job is erased with all its files; pictures are never kept. Which
second of the film was seen when is kept apart from the numbers, so that it can be put right afterwards: see `room_clock`.
"""

import asyncio
import json
import logging
import os
import re
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select, update
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from mien.errors import MediaError
from mien.study.definition import Study
from mien.study_report.viewers import Viewer
from mien.types import Timeline
from mien.web.analyses.edits import Edits, ResultView
from mien.web.analyses.schema import JobOptions, JobProgress, shown
from mien.web.analyses.service import Jobs
from mien.web.analyses.task import folder_bytes
from mien.web.database import AuditEntry, Job, Room, Store, StudyRow, new_id
from mien.web.errors import ApiError, may_fail
from mien.web.settings import Settings
from mien.web.studies import room_clock
from mien.web.studies.service import Studies, Who, note, touch
from mien.web.uploads import form, receive

FOLLOW_EVERY_S = 1.0
"""How often jobs that rooms wait for are looked at."""

VIEWER = re.compile(r"R(\d{1,6})-(\d{1,9})")
"""What a viewer of a room is called: the room's number, the track's."""

FINISHED_SHARE = 0.9
"""Who is seen after this share of what the room saw of the film has watched it to the end."""

log = logging.getLogger(__name__)
router = APIRouter(tags=["Studies"])


def room_file(settings: Settings, room: Room) -> Path:
    """Where a room's numbers lie, once they do: a Timeline of its whole recording, on the recording's clock."""
    return settings.studies_dir / room.study_id / "rooms" / f"{room.id}.npz"


def load_room(settings: Settings, study: Study, room: Room, until: datetime | None = None) -> list[Viewer]:
    """The viewers of a room, on the film's clock; none while it is not ready, or where nothing of it falls into the film.

    until  none either where the room had not ended by then

    Who was looked at for at least 3 s before the film has the mean of that as baseline. Raises `MediaError` where the room's file
    is damaged.
    """
    stimulus = study.stimulus(room.stimulus)
    if room.state != "ready" or stimulus is None:
        return []
    file = room_file(settings, room)
    whole = Timeline.load(file)
    played = room_clock.spans(room.offset_s, room.clock)
    film = room_clock.on_film(whole, played, stimulus.duration_s, f"room {room.name}")
    lasted = timedelta(seconds=room.duration_s or 0.0)
    # A film of the audience was made before it was sent; nobody has watched later than the numbers were there.
    ended_at = min(room.made_at + lasted, datetime.fromtimestamp(file.stat().st_mtime, UTC))
    if until is not None and ended_at > until:
        return []
    rest = room_clock.at_rest(whole, played, study.baseline_s) if study.baseline_s > 0 else {}
    pauses = max(0, len(played) - 1)
    return [
        _viewer(room, film, track, rest.get(track), pauses, (ended_at - lasted, ended_at))
        for track in room_clock.counted(film).viewers
    ]


def _viewer(
    room: Room, film: Timeline, track: int, baseline: NDArray[np.float32] | None, pauses: int, between: tuple[datetime, datetime]
) -> Viewer:
    alone = room_clock.alone(film, track)
    times = alone.face_times
    finished = bool(times[-1] >= film.times[0] + FINISHED_SHARE * (film.times[-1] - film.times[0]))
    quality = {
        "looks": len(film),
        "with_face": len(alone.frame_rows),
        "late": 0,
        "dropped": 0,
        "pauses": pauses,
        "gone_s": 0.0,
        "finished": finished,
    }
    return Viewer(
        name=f"R{room.name}-{track}",
        timelines={room.stimulus: alone},
        baseline=baseline,
        room=True,
        started_at=between[0],
        finished_at=between[1] if finished else None,
        quality=quality,
    )


class Rooms:
    """The rooms of all studies. Its methods may be called from any thread, but for `start` and `stop`."""

    def __init__(self, settings: Settings, store: Store, studies: Studies, jobs: Jobs) -> None:
        self.settings, self.store, self.studies, self.jobs = settings, store, studies, jobs
        self._waiting = True  # rooms may wait for jobs; at the start nobody knows
        self._following: asyncio.Task[None] | None = None
        self._stopping = False
        self._changing = threading.Lock()  # over what is counted in a room's file: once its clock stands still

    # --- with the server

    async def start(self) -> None:
        """Takes in from now on what rooms wait for, what an earlier server left first."""
        self._stopping = False
        self._following = asyncio.create_task(self._follow_for_ever())

    async def stop(self) -> None:
        """Ends after what is being taken in."""
        self._stopping = True
        if self._following is not None:
            await self._following

    async def _follow_for_ever(self) -> None:
        left_s = 0.0
        while not self._stopping:
            if left_s <= 0 and self._waiting:
                try:
                    await run_in_threadpool(self.follow)
                except Exception:
                    log.exception("rooms could not be looked after; it is tried again")
                left_s = FOLLOW_EVERY_S
            await asyncio.sleep(0.1)
            left_s -= 0.1

    def follow(self) -> None:
        """Takes in the jobs that are done, and says of those that failed."""
        with self.store.reading() as rows:
            waiting = list(rows.scalars(select(Room).where(Room.state == "analysing")))
        self._waiting = bool(waiting)
        for room in waiting:
            try:
                self._follow(room)
            except Exception as error:
                log.exception("a room could not be taken in")
                self._put_down(room.id, state="failed", error=f"The recording could not be taken in: {error}")

    def _follow(self, room: Room) -> None:
        job = self.store.job(room.job or "")
        if room_file(self.settings, room).is_file():  # a server that ended half-way has taken it in
            self._taken_in(room)
        elif job is None:
            self._put_down(room.id, state="failed", job=None, error="Its recording was erased before it could be taken in.")
        elif job.state == "done":
            self._take_in(room, job)
        elif job.state in ("failed", "cancelled"):
            error = job.error or "The analysis was cancelled."
            self._put_down(room.id, state="failed", error=error)

    def _take_in(self, room: Room, job: Job) -> None:
        try:
            timeline = Timeline.load(self.jobs.folder(job.id) / "timeline.npz")
        except MediaError as error:
            self._put_down(room.id, state="failed", error=str(error))
            return
        merged = ResultView(timeline, Edits.of(job.edits)).shown  # who was merged or hidden by hand stays so; names do not
        target = room_file(self.settings, room)
        target.parent.mkdir(parents=True, exist_ok=True)
        room_clock.reseated(merged).save(target)
        self._taken_in(room)

    def _taken_in(self, room: Room) -> None:
        """The numbers are in the study's folder: the job they came from goes."""
        if room.job is not None and self.store.job(room.job) is not None:
            self.jobs.erase(room.job)
        with self._changing:
            fresh = self._fresh(room)
            if fresh is None:  # erased in this moment
                room_file(self.settings, room).unlink(missing_ok=True)
                return
            known = self._put_down(room.id, state="ready", job=None, error=None, **self._counts(fresh))
        self.studies.note(room.study_id, "mien", "room-ready", room=room.name, people=known.people if known else 0)

    def _fresh(self, room: Room) -> Room | None:
        with self.store.reading() as rows:
            return rows.get(Room, room.id)

    def _put_down(self, id: str, *, tell: bool = True, **values: Any) -> Room | None:
        """Changes a room's row; None where it was erased. `tell`: what was made from the study's data is to be made again."""
        with self.store.session() as rows:
            change = update(Room).where(Room.id == id).values(**values).returning(Room.id)
            changed = rows.scalar(change.execution_options(synchronize_session=False))
            room = rows.scalar(select(Room).where(Room.id == changed))
            if room is not None and tell:
                touch(rows, room.study_id)
            return room

    def _counts(self, room: Room) -> dict[str, Any]:
        """Who is seen in the film, counted in the room's file."""
        whole = Timeline.load(room_file(self.settings, room))
        stimulus = _study(self.studies.known(room.study_id)).stimulus(room.stimulus)
        played = room_clock.spans(room.offset_s, room.clock)
        who = room_clock.counted(room_clock.on_film(whole, played, stimulus.duration_s if stimulus else None))
        duration_s = float(whole.times[-1]) if len(whole) else 0.0
        return {"duration_s": duration_s, "people": len(who.viewers), "left_out": len(who.left_out), "together": who.together}

    # --- what is asked for

    def list(self, study_id: str) -> Sequence[Room]:
        """All rooms of a study, in the order in which they were made. Raises `ApiError` 404."""
        self.studies.known(study_id)
        with self.store.reading() as rows:
            return list(rows.scalars(select(Room).where(Room.study_id == study_id).order_by(Room.name)))

    def known(self, study_id: str, name: int) -> Room:
        """One room. Raises `ApiError` 404."""
        self.studies.known(study_id)
        with self.store.reading() as rows:
            room = rows.scalar(select(Room).where(Room.study_id == study_id, Room.name == name))
        if room is None:
            raise ApiError(404, "not_found", f"There is no room {name} in this study. It may have been erased.")
        return room

    def check(self, study_id: str, asked: "NewRoom | RoomChange") -> StudyRow:
        """The study, where a room of it can be so. Raises `ApiError` 404, 409, 422."""
        row = self.studies.known(study_id)
        if row.state == "archived":
            raise ApiError(409, "archived", "This study is archived. Take it out of the archive first.")
        if asked.stimulus is not None and _study(row).stimulus(asked.stimulus) is None:
            known = ", ".join(stimulus.id for stimulus in _study(row).stimuli) or "none yet"
            raise ApiError(422, "invalid", f"stimulus: there is no film {asked.stimulus[:40]!r} in this study; there are: {known}")
        return row

    def add(self, study_id: str, asked: "NewRoom", job_id: str) -> Room:
        """A room that is made of a job, now or once that is done. Raises `ApiError` 404, 409, 422."""
        self.check(study_id, asked)
        job = self.jobs.known(job_id)
        if job.media == "picture":
            raise ApiError(422, "picture", f"{job.name}: is a picture, but a room needs a film of the audience.")
        with self.store.session() as rows:
            if rows.scalar(select(Room.name).where(Room.job == job_id)) is not None:
                raise ApiError(409, "taken", "A room is being made of this recording already.")
            begun = select(func.count()).where(AuditEntry.study_id == study_id, AuditEntry.action == "room-begun")
            highest = rows.scalar(select(func.max(Room.name)).where(Room.study_id == study_id)) or 0
            name = max(rows.scalar(begun) or 0, highest) + 1  # no number is given twice, as no participant's is
            room = Room(
                study_id=study_id,
                name=name,
                stimulus=asked.stimulus,
                offset_s=asked.offset_s,
                clock=asked.clock,
                label=shown(asked.label),
                job=job_id,
                made_at=job.started_at or job.created_at,
            )
            rows.add(room)
            touch(rows, study_id)
            note(rows, study_id, "operator", "room-begun", room=name, stimulus=asked.stimulus, everybody_agreed=True)
        if job.kind == "live":
            self.store.update_job(job_id, name=f"Room {name}")
            self.jobs.changed(job_id)
        self._waiting = True
        return room

    def change(self, study_id: str, name: int, asked: "RoomChange") -> Room:
        """Puts a room's start, film or label right. Raises `ApiError` 404, 409, 422."""
        self.check(study_id, asked)
        room = self.known(study_id, name)
        values = asked.model_dump(exclude_unset=True, exclude_none=True)
        if "label" in values:
            values["label"] = shown(values["label"])
        if "offset_s" in values and "clock" not in values and room.clock == []:
            values["clock"] = None  # the start was never marked: now it is said
        if not values:
            return room
        with self._changing:
            changed = self._put_down(room.id, tell=room.state == "ready", **values)
            if changed is not None and changed.state == "ready" and values.keys() & {"offset_s", "clock", "stimulus"}:
                changed = self._put_down(room.id, **self._counts(changed))
        if changed is None:
            raise ApiError(404, "not_found", f"Room {name} was erased in this moment.")
        if changed.state == "ready":
            said = {key: values[key] for key in ("offset_s", "stimulus") if key in values}
            self.studies.note(study_id, "operator", "room-changed", room=name, **said)
        return changed

    def retry(self, study_id: str, name: int) -> Room:
        """Tries to take a room in again that failed. Raises `ApiError` 404, 409, 429."""
        room = self.known(study_id, name)
        job = self.store.job(room.job or "")
        if room.state != "failed" or job is None:
            raise ApiError(
                409, "cannot_retry", "There is nothing of this room to try again. Erase it, and send the film once more."
            )
        if job.state != "done":
            self.jobs.retry(job.id)
        self._waiting = True
        return self._put_down(room.id, state="analysing", error=None) or room

    def erase(self, study_id: str, name: int, who: Who = "operator") -> "Proof":
        """Erases a room with all that was measured in it, and the job that it would have been made of. Raises `ApiError` 404."""
        room = self.known(study_id, name)
        file = room_file(self.settings, room)
        rows_gone, files_gone, bytes_gone = 1, 0, 0
        if room.job is not None and self.store.job(room.job) is not None:
            folder = self.jobs.folder(room.job)
            files_gone += sum(path.is_file() for path in folder.rglob("*"))
            bytes_gone += folder_bytes(folder)
            rows_gone += self.jobs.erase(room.job)
        with self.store.session() as rows:
            rows.execute(delete_rows(Room).where(Room.id == room.id))
            touch(rows, study_id)
            note(rows, study_id, who, "room-erased", room=name)
        if file.is_file():
            files_gone, bytes_gone = files_gone + 1, bytes_gone + file.stat().st_size
            file.unlink()
        self.studies.forget_reviews(study_id)
        self.store.forget()
        with self.store.reading() as rows:
            rows_left = rows.scalar(select(func.count()).where(Room.id == room.id)) or 0
        files_left = int(file.exists()) + int(room.job is not None and self.jobs.folder(room.job).exists())
        return Proof(erased=Amount(rows=rows_gone, files=files_gone, bytes=bytes_gone), left=Left(rows=rows_left, files=files_left))

    # --- one viewer

    def viewer(self, study_id: str, viewer: str) -> tuple[Room, int]:
        """Room and track of "R1-3". Raises `ApiError` 404 where nobody of that name was seen, 409 while the room is not ready."""
        found = VIEWER.fullmatch(viewer)
        if found is None:
            raise ApiError(404, "not_found", f"There is no viewer {viewer[:40]}: viewers of rooms are called R1-3.")
        room, track = self.known(study_id, int(found[1])), int(found[2])
        if room.state != "ready":
            raise ApiError(409, "not_ready", f"Room {room.name} is not ready yet; its viewers are known once it is.")
        if track not in Timeline.load(room_file(self.settings, room)).track_ids:
            raise ApiError(404, "not_found", f"There is no viewer {viewer} any more, or there never was.")
        return room, track

    def erase_viewer(self, study_id: str, viewer: str) -> "Proof":
        """Takes all that was measured of one face out of its room's file, which is written anew. Raises `ApiError` 404, 409."""
        room, track = self.viewer(study_id, viewer)
        file = room_file(self.settings, room)
        with self._changing:
            was, whole = file.stat(), Timeline.load(file)
            gone = int((whole.tracks == track).sum())
            whole.without([track] if gone else []).save(file)
            os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))  # when it was made says when the room ended at the latest
            self._put_down(room.id, **self._counts(room))
        left = int((Timeline.load(file).tracks == track).sum())
        self.studies.forget_reviews(study_id)
        self.studies.note(study_id, "operator", "viewer-erased", viewer=viewer)
        return Proof(erased=Amount(rows=gone, files=0, bytes=was.st_size - file.stat().st_size), left=Left(rows=left, files=0))

    def exported(self, study_id: str, viewer: str) -> dict[str, Any]:
        """All that is kept of one face, as JSON has it. Raises `ApiError` 404, 409."""
        room, track = self.viewer(study_id, viewer)
        whole = room_clock.alone(Timeline.load(room_file(self.settings, room)), track)
        return {
            "viewer": viewer,
            "room": {"name": room.name, "stimulus": room.stimulus, "offset_s": room.offset_s, "clock": room.clock},
            "labels": list(whole.labels),
            "looks": [
                {"recording_s": round(time_s, 3), "box": box, "emotions": emotions}
                for time_s, box, emotions in zip(
                    whole.face_times.tolist(), whole.boxes.round(1).tolist(), whole.emotions.round(5).tolist(), strict=True
                )
            ],
        }


def _study(row: StudyRow) -> Study:
    return Study.read(row.definition)


# --- as JSON

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


def _clock(value: Any) -> list[list[float]] | None:
    return None if value is None else room_clock.check_clock(value)


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


class Amount(BaseModel):
    """What was erased."""

    rows: int = Field(description="of the database; of one viewer: looks", examples=[1])
    files: int = Field(examples=[1])
    bytes: int = Field(examples=[183_204])


class Left(BaseModel):
    """What was found afterwards: nothing."""

    rows: int = Field(examples=[0])
    files: int = Field(examples=[0])


class Proof(BaseModel):
    """That it is erased: counted before, and looked for afterwards."""

    erased: Amount
    left: Left


FORM = form(
    {
        "file": {"description": "a film of the audience"},
        "stimulus": {"type": "string", "description": "the film that played, or the event"},
        "agreed": {"type": "boolean", "description": "everybody in the room was told and agreed"},
        "offset_s": {"type": "number", "description": "the film's time at 0 s of the film of the audience"},
        "clock": {"type": "string", "description": f"as JSON: {CLOCK}"},
        "label": {"type": "string"},
    },
    {"file": "(the film's content)", "stimulus": "s1", "agreed": True, "offset_s": -12.4},
    required=("file", "stimulus", "agreed"),
    otherwise=NewRoom.model_json_schema(),
)


def _rooms(request: Request) -> Rooms:
    rooms: Rooms = request.app.state.rooms
    return rooms


def _view(rooms: Rooms, room: Room) -> RoomView:
    job = rooms.store.job(room.job) if room.job else None
    progress = rooms.jobs.view(job).progress if job is not None else None
    columns = {name: getattr(room, name) for name in RoomView.model_fields if name != "progress"}
    return RoomView(**columns, progress=progress)


def _asked(given: Any) -> NewRoom:
    """What a body asks for. Raises `ApiError` 422."""
    try:
        asked = NewRoom.model_validate(given)
        asked.clock = _clock(asked.clock)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "room"
        raise ApiError(422, "invalid", f"{where}: {first['msg'][0].lower()}{first['msg'][1:]}") from None
    except ValueError as error:
        raise ApiError(422, "invalid", str(error)) from None
    if not asked.agreed:
        raise ApiError(
            422,
            "not_agreed",
            "agreed: nobody is measured who was not told and did not agree. Tell everybody in the room, then say so.",
        )
    return asked


@router.get("/api/studies/{id}/rooms", summary="The rooms of a study", responses=may_fail(404))
def list_rooms(request: Request, id: str) -> RoomsPage:
    """In the order in which they were made."""
    rooms = _rooms(request)
    return RoomsPage(items=[_view(rooms, room) for room in rooms.list(id)])


@router.post(
    "/api/studies/{id}/rooms",
    status_code=202,
    summary="Add a room: a recording, or a film of the audience",
    response_model=RoomView,
    responses=may_fail(400, 404, 409, 413, 415, 422, 429, 507),
    openapi_extra=FORM,
)
async def create_room(request: Request, id: str) -> RoomView:
    """Of a live recording that still runs the room is made once it is saved; of a film once it is analysed, which happens as with
    any other file. The recording or analysis is erased then with all its files: the study keeps the numbers, and no picture."""
    rooms = _rooms(request)
    if request.headers.get("Content-Type", "").startswith("multipart/form-data"):
        return await _upload(request, rooms, id)
    try:
        asked = _asked(json.loads(await request.body()))
    except ValueError:
        raise ApiError(422, "invalid", 'Wanted a form with a film, or JSON: {"job": …, "stimulus": …, "agreed": true}.') from None
    if asked.job is None:
        raise ApiError(422, "invalid", "job: wanted the id of a recording or an analysis; or send a film as multipart/form-data")
    room = await run_in_threadpool(rooms.add, id, asked, asked.job)
    return await run_in_threadpool(_view, rooms, room)


async def _upload(request: Request, rooms: Rooms, study_id: str) -> RoomView:
    jobs = rooms.jobs
    row = await run_in_threadpool(rooms.studies.known, study_id)
    await run_in_threadpool(jobs.check_room)
    job_id = new_id()
    folder = jobs.folder(job_id)

    def add(upload: Any) -> Room:
        given: dict[str, Any] = dict(upload.fields)
        if "clock" in given:
            try:
                given["clock"] = json.loads(given["clock"])
            except ValueError:
                raise ApiError(422, "invalid", "clock: wanted pairs of seconds as JSON: [[recording, film], …]") from None
        asked = _asked(given)
        rooms.check(study_id, asked)
        jobs.check_room()
        options = JobOptions(every_s=_study(row).every_s, keep_film=False, keep_stills=False)
        jobs.add(job_id, upload, options)
        return rooms.add(study_id, asked, job_id)

    try:
        upload = await receive(request, folder, jobs.settings.upload_max_mib * 2**20)
        room = await run_in_threadpool(add, upload)
    except BaseException as error:
        jobs.erase(job_id)
        if isinstance(error, ClientDisconnect):
            raise ApiError(400, "gone", "The upload broke off. Send the film once more.") from None
        raise
    return await run_in_threadpool(_view, rooms, room)


@router.get("/api/studies/{id}/rooms/{room}", summary="One room", responses=may_fail(404))
def get_room(request: Request, id: str, room: int) -> RoomView:
    rooms = _rooms(request)
    return _view(rooms, rooms.known(id, room))


@router.patch("/api/studies/{id}/rooms/{room}", summary="Put a room's start right", responses=may_fail(404, 409, 422))
def change_room(request: Request, id: str, room: int, asked: RoomChange) -> RoomView:
    """Also while it records: a page that plays the film tells the clock this way."""
    rooms = _rooms(request)
    try:
        asked.clock = _clock(asked.clock)
    except ValueError as error:
        raise ApiError(422, "invalid", str(error)) from None
    return _view(rooms, rooms.change(id, room, asked))


@router.post("/api/studies/{id}/rooms/{room}/retry", summary="Try a room again that failed", responses=may_fail(404, 409, 429, 507))
def retry_room(request: Request, id: str, room: int) -> RoomView:
    rooms = _rooms(request)
    return _view(rooms, rooms.retry(id, room))


@router.delete("/api/studies/{id}/rooms/{room}", summary="Erase a room", responses=may_fail(404))
def erase_room(request: Request, id: str, room: int) -> Proof:
    """With all that was measured in it; a recording that still runs for it is ended and erased."""
    return _rooms(request).erase(id, room)
