"""Rooms: one camera, or a film of the audience, that sees many people while a film plays; each face is one anonymous viewer.

A room is made of an ordinary live recording or analysis, its job. Whatever happens to pages, sockets and servers meanwhile, once
that job is done its numbers move into the study's folder, and the job is erased with all its files; pictures are never kept. Which
second of the film was seen when is kept apart from the numbers, so that it can be put right afterwards: see `room_clock`.
"""

import os
import re
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from mien.errors import MediaError
from mien.study.definition import Study
from mien.study_report.viewers import Viewer
from mien.types import Timeline
from mien.web.analyses.schema import shown
from mien.web.analyses.service import Jobs
from mien.web.database import FINISHED, JOB_TABLES, AuditEntry, Job, Room, Store, StudyRow, Task
from mien.web.errors import ApiError
from mien.web.folders import held
from mien.web.settings import Settings
from mien.web.studies import room_clock
from mien.web.studies.proof import Erased, Left, Proof
from mien.web.studies.room_schema import NewRoom, RoomChange
from mien.web.studies.service import Studies, Who, forget_left_out, locked, note, touch
from mien.web.tasks.engine import Description, python
from mien.web.tasks.runner import CANCELLED, DONE, FAILED, RUNNING, WAITING, Kind

TAKING_IN_MOST_S = 3600.0
ROOM_STATES = {WAITING: "analysing", RUNNING: "analysing", DONE: "ready", FAILED: "failed", CANCELLED: "failed"}
"""A task's state → its room's."""

VIEWER = re.compile(r"R(\d{1,6})-(\d{1,9})")
"""What a viewer of a room is called: the room's number, the track's."""

FINISHED_SHARE = 0.9
"""Who is seen after this share of what the room saw of the film has watched it to the end."""


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
        "read": int(alone.relied_on.sum()),
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


class Rooms(Kind):
    """The rooms of all studies, and the kind of task that takes in what they are made of; its subjects are "study/rooms/room". Its
    methods may be called from any thread."""

    kind, at_once = "room", 1

    def __init__(self, settings: Settings, store: Store, studies: Studies, jobs: Jobs) -> None:
        self.settings, self.store, self.studies, self.jobs = settings, store, studies, jobs
        self._changing = threading.Lock()  # over what is counted in a room's file: once its clock stands still
        self.command = python("mien.web.studies.room_worker")
        jobs.tasks.add_kind(self)

    # --- as a kind of task

    def ready(self, subject: str) -> bool:
        """Once the job that it is made of has ended, or is gone."""
        room = self._of(subject)
        job = self.store.job(room.job or "") if room is not None else None
        return job is None or job.state in FINISHED

    def describe(self, subject: str, detail: dict[str, Any]) -> Description:
        """What the process reads. Raises `MediaError` where the job failed, or is gone."""
        room = self._of(subject)
        job = self.store.job(room.job or "") if room is not None else None
        target = room_file(self.settings, room) if room is not None else None
        if room is not None and target is not None and target.is_file():  # a server that ended half-way has taken it in
            source, edits = target, {}
        elif room is None or target is None or job is None:
            raise MediaError("Its recording was erased before it could be taken in.")
        elif job.state != "done":
            raise MediaError(job.error or "The analysis was cancelled.")
        else:
            source, edits = self.jobs.folder(job.id) / "timeline.npz", job.edits
        target.parent.mkdir(parents=True, exist_ok=True)
        return Description(
            command=tuple(self.command),
            task={
                "source": str(source),
                "edits": edits,
                "target": str(target),
                "counted": self._counted(room),
            },
            most_s=TAKING_IN_MOST_S,
            too_long="It took too long to take the recording in; try it again.",
            crashed="The recording could not be taken in: its process ended with {why}; try it again.",
        )

    def follow(self, rows: Session, task: Task, done: Any) -> None:
        """Once the numbers are in the study's folder the job they came from goes."""
        room = rows.scalar(select(Room).where(Room.id == task.subject.rpartition("/")[2]).with_for_update())
        if room is None:  # erased in this moment
            return
        room.state, room.error = ROOM_STATES[task.state], task.error
        if task.state == DONE:
            if room.job is not None:
                self.jobs.let_go(rows, room.job)
            known = done if done.pop("counted") == self._counted(room) else self._counts(room)
            for name, value in (known | {"job": None}).items():
                setattr(room, name, value)
            note(rows, room.study_id, "mien", "room-ready", room=room.name, people=room.people)
        elif task.state == FAILED and rows.scalar(select(Job.id).where(Job.id == room.job)) is None:
            room.job = None
        if task.state in (DONE, FAILED, CANCELLED):
            touch(rows, room.study_id)

    def changed(self, subject: str, state: str | None) -> None:
        """Pages ask by themselves. The job that a room was made of is gone by now."""
        if state == DONE:
            self.store.forget(*JOB_TABLES)

    def _of(self, subject: str) -> Room | None:
        with self.store.reading() as rows:
            return rows.get(Room, subject.rpartition("/")[2])

    def _put_down(self, id: str, *, tell: bool = True, **values: Any) -> Room | None:
        """Changes a room's row; None where it was erased. `tell`: what was made from the study's data is to be made again."""
        with self.store.session() as rows:
            change = update(Room).where(Room.id == id).values(**values).returning(Room.id)
            changed = rows.scalar(change.execution_options(synchronize_session=False))
            room = rows.scalar(select(Room).where(Room.id == changed))
            if room is not None and tell:
                touch(rows, room.study_id)
            return room

    def _counted(self, room: Room) -> dict[str, Any]:
        """By what is counted who is seen in the film."""
        stimulus = _study(self.studies.known(room.study_id)).stimulus(room.stimulus)
        return {"offset_s": room.offset_s, "clock": room.clock, "film_s": stimulus.duration_s if stimulus else None}

    def _counts(self, room: Room) -> dict[str, Any]:
        """Who is seen in the film, counted in the room's file."""
        return room_clock.counts(Timeline.load(room_file(self.settings, room)), **self._counted(room))

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

    def check(self, study_id: str, asked: NewRoom | RoomChange) -> StudyRow:
        """The study, where a room of it can be so. Raises `ApiError` 404, 409, 422."""
        row = self.studies.known(study_id)
        if row.state == "archived":
            raise ApiError(409, "archived", "This study is archived. Take it out of the archive first.")
        if asked.stimulus is not None and _study(row).stimulus(asked.stimulus) is None:
            known = ", ".join(stimulus.id for stimulus in _study(row).stimuli) or "none yet"
            raise ApiError(422, "invalid", f"stimulus: there is no film {asked.stimulus[:40]!r} in this study; there are: {known}")
        return row

    def add(self, study_id: str, asked: NewRoom, job_id: str) -> Room:
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
            rows.flush()
            self.jobs.tasks.add(rows, self.kind, _subject(room))
            touch(rows, study_id)
            note(rows, study_id, "operator", "room-begun", room=name, stimulus=asked.stimulus, everybody_agreed=True)
        if job.kind == "live":
            self.store.update_job(job_id, name=f"Room {name}")
            self.jobs.changed(job_id)
        self.jobs.tasks.wake()
        return room

    def change(self, study_id: str, name: int, asked: RoomChange) -> Room:
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
        with self.store.session() as rows:
            self.jobs.tasks.add(rows, self.kind, _subject(room))
        self.jobs.tasks.wake()
        return self.known(study_id, name)

    def erase(self, study_id: str, name: int, who: Who = "operator") -> Proof:
        """Erases a room with all that was measured in it, and the job that it would have been made of. Raises `ApiError` 404."""
        room = self.known(study_id, name)
        file = room_file(self.settings, room)
        rows_gone, files_gone, bytes_gone = 1, 0, 0
        self.jobs.tasks.forget(_subject(room))
        if room.job is not None and self.store.job(room.job) is not None:
            files_gone, bytes_gone = held(self.jobs.folder(room.job))
            rows_gone += self.jobs.erase(room.job)
        with self.store.session() as rows:
            rows.execute(delete_rows(Room).where(Room.id == room.id))
            study = locked(rows, study_id)
            forget_left_out(study, [one for one in study.left_out if one.startswith(f"R{room.name}-")])
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
        return Proof(erased=Erased(rows=rows_gone, files=files_gone, bytes=bytes_gone), left=Left(rows=rows_left, files=files_left))

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

    def erase_viewer(self, study_id: str, viewer: str) -> Proof:
        """Takes all that was measured of one face out of its room's file, which is written anew. Raises `ApiError` 404, 409."""
        room, track = self.viewer(study_id, viewer)
        file = room_file(self.settings, room)
        with self._changing:
            was, whole = file.stat(), Timeline.load(file)
            gone = int((whole.tracks == track).sum())
            whole.without([track] if gone else []).save(file)
            os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))  # when it was made says when the room ended at the latest
            self._put_down(room.id, **self._counts(room))
            with self.store.session() as rows:
                forget_left_out(locked(rows, study_id), [viewer])
        left = int((Timeline.load(file).tracks == track).sum())
        self.studies.forget_reviews(study_id)
        self.studies.note(study_id, "operator", "viewer-erased", viewer=viewer)
        return Proof(erased=Erased(rows=gone, files=0, bytes=was.st_size - file.stat().st_size), left=Left(rows=left, files=0))

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


def _subject(room: Room) -> str:
    return f"{room.study_id}/rooms/{room.id}"


def _study(row: StudyRow) -> Study:
    return Study.read(row.definition)
