"""The rooms of studies: made of a recording or of a film of the audience, put right, tried again, erased."""

import json
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from mien.study.definition import Study
from mien.web.analyses.schema import JobOptions
from mien.web.database import Room, new_id
from mien.web.errors import ApiError, may_fail
from mien.web.incoming import NumberedName, check_json
from mien.web.studies.proof import Proof
from mien.web.studies.room_clock import check_clock
from mien.web.studies.room_schema import CLOCK, NewRoom, RoomChange, RoomsPage, RoomView
from mien.web.studies.rooms import Rooms
from mien.web.uploads import form, receive

router = APIRouter(tags=["Studies"])

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
        asked.clock = asked.clock and check_clock(asked.clock)
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
            check_json(given["clock"].encode())
            try:
                given["clock"] = json.loads(given["clock"])
            except ValueError:
                raise ApiError(422, "invalid", "clock: wanted pairs of seconds as JSON: [[recording, film], …]") from None
        asked = _asked(given)
        rooms.check(study_id, asked)
        jobs.check_room()
        options = JobOptions(every_s=Study.read(row.definition).every_s, keep_film=False, keep_stills=False)
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
def get_room(request: Request, id: str, room: NumberedName) -> RoomView:
    rooms = _rooms(request)
    return _view(rooms, rooms.known(id, room))


@router.patch("/api/studies/{id}/rooms/{room}", summary="Put a room's start right", responses=may_fail(404, 409, 422))
def change_room(request: Request, id: str, room: NumberedName, asked: RoomChange) -> RoomView:
    """Also while it records: a page that plays the film tells the clock this way."""
    rooms = _rooms(request)
    try:
        asked.clock = asked.clock and check_clock(asked.clock)
    except ValueError as error:
        raise ApiError(422, "invalid", str(error)) from None
    return _view(rooms, rooms.change(id, room, asked))


@router.post("/api/studies/{id}/rooms/{room}/retry", summary="Try a room again that failed", responses=may_fail(404, 409, 429, 507))
def retry_room(request: Request, id: str, room: NumberedName) -> RoomView:
    rooms = _rooms(request)
    return _view(rooms, rooms.retry(id, room))


@router.delete("/api/studies/{id}/rooms/{room}", summary="Erase a room", responses=may_fail(404))
def erase_room(request: Request, id: str, room: NumberedName) -> Proof:
    """With all that was measured in it; a recording that still runs for it is ended and erased."""
    return _rooms(request).erase(id, room)
