"""/api/studies: making, changing, sharing, exporting and erasing studies."""

import io
import json
import re
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Body, Path, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from mien.study.definition import Study
from mien.study.ready_made import READY_MADE, ready_made
from mien.web.database import StudyRow, new_id
from mien.web.errors import ApiError, may_fail
from mien.web.retention.erasing import Eraser
from mien.web.retention.participant_export import export_of_viewer
from mien.web.routes.participants import sent
from mien.web.security import Security
from mien.web.studies.films import Films
from mien.web.studies.proof import Proof
from mien.web.studies.recruited import recruited
from mien.web.studies.room_faces import RoomFaces
from mien.web.studies.schema import (
    EXAMPLE_DEFINITION,
    AuditPage,
    ConsentVersion,
    ConsentVersions,
    InvitationChange,
    InvitationsPage,
    InvitationView,
    LeftOut,
    Markers,
    MarkerView,
    NewInvitation,
    NewMarkers,
    NewState,
    StudiesPage,
    StudyView,
    ViewersPage,
    audit_view,
    invitation_view,
    study_view,
    viewer_view,
)
from mien.web.studies.service import UPLOADING, Studies, left_out, remove
from mien.web.uploads import form, receive

router = APIRouter(tags=["Studies"])

Definition = Annotated[
    dict[str, Any],
    Body(
        openapi_examples={
            "new": {"summary": "A new study", "value": {"title": "Night train, second cut", "purpose": "film_test"}},
        },
        description="the study's definition, or a part of it; see docs/studies.md",
    ),
]
Exported = Annotated[dict[str, Any], Body(openapi_examples={"whole": {"summary": "An export", "value": EXAMPLE_DEFINITION}})]

ViewerName = Annotated[str, Path(max_length=40, openapi_examples={"one": {"value": "3"}})]

FILM_FORM = form(
    {
        "file": {"description": "a film; its content decides"},
        "title": {"type": "string", "maxLength": 200, "description": "its title; default: its name"},
        "stimulus": {
            "type": "string",
            "maxLength": 40,
            "description": "the id of the stimulus that it is the film of; default: a new one",
        },
    },
    {"file": "(the film's content)", "title": "Night train"},
)


def _studies(request: Request) -> Studies:
    studies: Studies = request.app.state.studies
    return studies


def _films(request: Request) -> Films:
    films: Films = request.app.state.films
    return films


def _address(request: Request) -> str | None:
    security: Security = request.app.state.security
    return security.address_for_others(request)


def _view(request: Request, row: StudyRow) -> StudyView:
    return study_view(row, _studies(request), _films(request), _address(request))


# --- studies


@router.get("/api/studies", summary="All studies, the newest first")
def list_studies(
    request: Request,
    archived: Annotated[bool, Query(description="whether those in the archive are among them")] = True,
) -> StudiesPage:
    return StudiesPage(items=[_view(request, row) for row in _studies(request).list(archived=archived)])


@router.post("/api/studies", status_code=201, summary="Make a study", responses=may_fail(422))
def make_study(request: Request, definition: Definition) -> StudyView:
    """A draft. What is not given is as in a new study: a consent text in plain words, scores only, 90 days, groups of 5."""
    return _view(request, _studies(request).take_in(definition, "created"))


@router.post("/api/studies/ready-made/{name}", status_code=201, summary="Make a study of a ready one", responses=may_fail(404, 422))
def make_ready_study(
    request: Request, name: Annotated[str, Path(max_length=40, openapi_examples={"one": {"value": "screening"}})]
) -> StudyView:
    """A draft with questions in all languages, groups and settings; a film is still to be given. There are `screening`, `ad` and
    `cuts`."""
    if name not in READY_MADE:
        raise ApiError(404, "not_found", f"There is no ready study {name[:40]!r}; there are: {', '.join(READY_MADE)}.")
    return _view(request, _studies(request).take_in(ready_made(name), "created"))


@router.post("/api/studies/import", status_code=201, summary="Make a study of an exported one", responses=may_fail(422))
def import_study(request: Request, definition: Exported) -> StudyView:
    """A film of it is taken over where this server has the same, by its content; the others are to be uploaded again."""
    return _view(request, _studies(request).take_in(definition))


@router.get("/api/studies/{id}", summary="One study", responses=may_fail(404))
def get_study(request: Request, id: str) -> StudyView:
    return _view(request, _studies(request).known(id))


@router.patch("/api/studies/{id}", summary="Change a study", responses=may_fail(404, 409, 422))
def change_study(request: Request, id: str, part: Definition) -> StudyView:
    """Takes the whole definition or some of its fields. Another consent text becomes another version of it; one that nobody wrote
    keeps saying what is so. Refused is what would break what people have taken part in, and what an open study cannot lack."""
    return _view(request, _studies(request).change(id, part))


@router.delete("/api/studies/{id}", summary="Erase a study and all that belongs to it", responses=may_fail(404))
def erase_study(request: Request, id: str) -> Proof:
    """Its films, invitations, everybody's answers and measurements, reports and log. Only that it was erased stays on record."""
    eraser: Eraser = request.app.state.eraser
    return eraser.study(id)


@router.post("/api/studies/{id}/duplicate", status_code=201, summary="Duplicate a study", responses=may_fail(404))
def duplicate_study(request: Request, id: str) -> StudyView:
    """A draft with the same definition and films, and nobody's data."""
    return _view(request, _studies(request).duplicate(id))


@router.post("/api/studies/{id}/state", summary="Open, close or archive a study", responses=may_fail(404, 409, 422))
def set_state(request: Request, id: str, new: NewState) -> StudyView:
    """Opening is refused with a list of what is missing. Who has begun can go on in a closed study; nobody else can begin."""
    return _view(request, _studies(request).set_state(id, new.state))


@router.get(
    "/api/studies/{id}/export",
    summary="A study as a file",
    responses=may_fail(404) | {200: {"content": {"application/json": {"example": EXAMPLE_DEFINITION}}}},
)
def export_study(request: Request, id: str) -> Response:
    """Its definition, to be kept or imported elsewhere: nobody's data, and of films what they are, not their content."""
    studies = _studies(request)
    row = studies.known(id)
    studies.note(id, "operator", "exported")
    text = json.dumps(Study.read(row.definition).json(), ensure_ascii=False, indent=2)
    return Response(text, media_type="application/json", headers=download(f"{row.title or 'study'}.mien-study.json"))


@router.get("/api/studies/{id}/consents", summary="All versions of the consent text", responses=may_fail(404))
def consents(request: Request, id: str) -> ConsentVersions:
    """The newest first, each with how many agreed to it."""
    studies = _studies(request)
    row = studies.known(id)
    people = [person.consent_version for person in studies.participants(id)]
    items = [ConsentVersion(**one, agreed=people.count(one["version"])) for one in reversed(row.consents)]
    return ConsentVersions(items=items)


@router.put("/api/studies/{id}/markers", summary="Set the markers", responses=may_fail(404, 422))
def set_markers(request: Request, id: str, new: NewMarkers) -> Markers:
    """All of them at once, at any time: they change nothing for participants. Gives the markers as they are then."""
    was = None if new.was is None else [marker.model_dump() for marker in new.was]
    markers = _studies(request).change_markers(id, [marker.model_dump() for marker in new.markers], was)
    return Markers(markers=[MarkerView.model_validate(marker, from_attributes=True) for marker in markers])


# --- films


@router.post(
    "/api/studies/{id}/films",
    status_code=201,
    summary="Upload a film",
    responses=may_fail(400, 404, 409, 413, 415, 422, 507),
    openapi_extra=FILM_FORM,
)
async def upload_film(request: Request, id: str) -> StudyView:
    """Takes the film as it comes. Then it is made one that every browser plays, sound kept, if it is not yet: `films` of the study
    says how far that is."""
    studies, films = _studies(request), _films(request)
    await run_in_threadpool(films.check, id, None)
    folder = studies.folder(id) / "films" / f"{new_id()}{UPLOADING}"
    try:
        upload = await receive(request, folder, studies.settings.upload_max_mib * 2**20)
        stimulus = upload.fields.get("stimulus", "").strip() or None
        await run_in_threadpool(films.add, id, folder, upload, stimulus=stimulus, title=upload.fields.get("title", ""))
    except ClientDisconnect:
        raise ApiError(400, "gone", "The upload broke off. Send the file once more.") from None
    finally:
        await run_in_threadpool(remove, folder)
    return await run_in_threadpool(get_study, request, id)


@router.get(
    "/api/studies/{id}/films/{stimulus}",
    summary="A film",
    response_class=FileResponse,
    responses=may_fail(404, 416) | {200: {"content": {"video/mp4": {}}}, 206: {"description": "A part of it"}},
)
def film(request: Request, id: str, stimulus: str) -> FileResponse:
    """Whole or in ranges."""
    return FileResponse(_films(request).playable(id, stimulus), media_type="video/mp4")


@router.delete("/api/studies/{id}/films/{stimulus}", summary="Take a film away", responses=may_fail(404, 409))
def erase_film(request: Request, id: str, stimulus: str) -> StudyView:
    """With its place in the study and its markers."""
    _films(request).erase(id, stimulus)
    return get_study(request, id)


# --- invitations


@router.get("/api/studies/{id}/invitations", summary="The invitations of a study", responses=may_fail(404))
def list_invitations(request: Request, id: str) -> InvitationsPage:
    studies = _studies(request)
    studies.known(id)
    return InvitationsPage(items=[invitation_view(one, _address(request)) for one in studies.invitations(id)])


@router.post("/api/studies/{id}/invitations", status_code=201, summary="Make an invitation", responses=may_fail(404, 422))
def invite(request: Request, id: str, new: NewInvitation) -> InvitationView:
    """A link for one person or for many."""
    return invitation_view(_studies(request).invite(id, **new.model_dump()), _address(request))


@router.patch("/api/studies/{id}/invitations/{invitation}", summary="Change an invitation", responses=may_fail(404, 422))
def change_invitation(request: Request, id: str, invitation: str, change: InvitationChange) -> InvitationView:
    """Only what is given changes; null takes a limit or an end away."""
    given = change.model_dump(exclude_unset=True)
    for name in ("label", "groups", "closed"):
        if name in given and given[name] is None:
            raise ApiError(422, "invalid", f"{name}: cannot be null; leave it out where it is to stay")
    return invitation_view(_studies(request).change_invitation(id, invitation, **given), _address(request))


@router.delete(
    "/api/studies/{id}/invitations/{invitation}", status_code=204, summary="Erase an invitation", responses=may_fail(404)
)
def uninvite(request: Request, id: str, invitation: str) -> Response:
    """Nobody can begin with it any more; who did goes on."""
    _studies(request).uninvite(id, invitation)
    return Response(status_code=204)


@router.get(
    "/api/studies/{id}/invitations/{invitation}/qr.svg",
    summary="An invitation as a QR code",
    responses=may_fail(404, 409) | {200: {"content": {"image/svg+xml": {"example": "<svg>…</svg>"}}}},
    response_class=Response,
)
def qr(request: Request, id: str, invitation: str) -> Response:
    """Black on white, whatever the page's colours: that is what cameras read."""
    import segno

    link = invitation_view(_studies(request).known_invitation(id, invitation), _address(request)).link
    if link is None:
        raise ApiError(409, "only_here", f"Nobody else can reach {request.base_url}: a code would lead nowhere. See /phones.")
    picture = io.BytesIO()
    segno.make(link, error="m", micro=False).save(picture, kind="svg", scale=8, border=4, dark="#000", light="#fff", title=link)
    return Response(picture.getvalue(), media_type="image/svg+xml")


# --- viewers


@router.get("/api/studies/{id}/viewers", summary="Everybody who agreed to take part", responses=may_fail(404))
def viewers(request: Request, id: str) -> ViewersPage:
    """Under numbers, with how far they are and how well they were seen; none of their answers or scores. Then faces of rooms."""
    studies = _studies(request)
    row = studies.known(id)
    study, out = Study.read(row.definition), left_out(row)
    kept = timedelta(days=study.retention_days)
    studies.saw(id, "the list of viewers")
    people = [viewer_view(one, one.consented_at + kept, out.get(str(one.name))) for one in studies.participants(id)]
    faces: RoomFaces = request.app.state.room_faces
    found = [face for room in studies.rooms(id) for face in faces.of(study, room)]
    return ViewersPage(items=people + [face.model_copy(update={"left_out": out.get(face.name)}) for face in found])


@router.put(
    "/api/studies/{id}/viewers/{name}/left-out",
    status_code=204,
    summary="Leave a viewer out of the report",
    responses=may_fail(404, 409, 422),
)
def leave_out(request: Request, id: str, name: ViewerName, given: LeftOut) -> Response:
    """With a reason, which the report states, or in again without one. What is kept of the viewer stays; reports that were kept
    before stay as they are."""
    state, reason = request.app.state, (given.reason or "").strip()
    state.studies.known(id)
    if given.reason is not None and not reason:
        raise ApiError(422, "invalid", "reason: wanted a few words, which the report states, or null to take the viewer in again")
    if name.startswith("R"):
        state.rooms.viewer(id, name)
    else:
        state.studies.participant(id, name)
    state.studies.leave_out(id, name, reason)
    return Response(status_code=204)


@router.delete("/api/studies/{id}/viewers/{name}", summary="Erase a viewer", responses=may_fail(404, 409))
def erase_viewer(request: Request, id: str, name: ViewerName) -> Proof:
    """All that is kept of somebody, a participant (`3`) or a face of a room (`R1-3`), and all that was made from it; the proof is
    counted before and looked for afterwards."""
    state = request.app.state
    state.studies.known(id)
    proof: Proof
    if name.startswith("R"):
        proof = state.rooms.erase_viewer(id, name)
    else:
        proof = state.participants.erase(state.studies.participant(id, name), "operator")
    return proof


@router.get(
    "/api/studies/{id}/viewers/{name}/export",
    summary="All that is kept of a viewer",
    responses=may_fail(404, 409)
    | {200: {"content": {"application/json": {"example": {"format": "mien-participant 1"}}, "application/zip": {}}}},
    response_class=Response,
)
def export_viewer(request: Request, id: str, name: ViewerName) -> Response:
    """One JSON file; with the pictures a zip of both, where pictures were kept."""
    state = request.app.state
    state.studies.known(id)
    return sent(export_of_viewer(state.participants, state.rooms, id, name))


@router.get(
    "/api/studies/{id}/identifiers.csv",
    summary="Who came from elsewhere, and how it ended",
    responses=may_fail(404)
    | {200: {"content": {"text/csv": {"example": "PROLIFIC_PID,outcome,agreed_on\n5f3e8c1d,finished,2026-11-29\n"}}}},
    response_class=Response,
)
def identifiers(request: Request, id: str) -> Response:
    """To hand in where people were recruited. Apart from the rest: no number under which somebody is in the report stands in it."""
    text = recruited(_studies(request), id)
    return Response(text, media_type="text/csv; charset=utf-8", headers=download("identifiers.csv"))


@router.get("/api/studies/{id}/audit", summary="Who did what with a study", responses=may_fail(404))
def audit(
    request: Request, id: str, limit: Annotated[int, Query(ge=1, le=10_000, description="how many at most")] = 500
) -> AuditPage:
    """The newest first. It never says what somebody answered or how a face looked."""
    studies = _studies(request)
    studies.known(id)
    return AuditPage(items=[audit_view(one) for one in studies.log(id, most=limit)])


def download(name: str) -> dict[str, str]:
    """The header under which a browser keeps an answer as a file of this name."""
    plain = re.sub(r"[^A-Za-z0-9._ -]+", "-", name).strip("- .") or "file"
    return {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"}
