"""/api/take-part and /api/participant: what a participant's pages ask. No login: an invitation or the own code is the right.

Nothing here tells of the operator, of other participants, or of groups.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from mien.study.definition import End, Study
from mien.web.capture import participant_log as logs
from mien.web.database import Participant
from mien.web.errors import may_fail
from mien.web.retention.participant_export import ExportFile, export_of_participant
from mien.web.studies import funnel
from mien.web.studies.participants import Participants, public, refuse_ended
from mien.web.studies.proof import Proof
from mien.web.studies.service import LinkState

CODE_HEADER = "X-Participant-Code"

router = APIRouter(tags=["Taking part"])

Seconds = Annotated[float, Field(allow_inf_nan=False)]
Words = dict[str, str]


class ConsentText(BaseModel):
    """What one agrees to: its version, and the text by language."""

    version: int = Field(examples=[1])
    text: Words = Field(examples=[{"en": "You will watch a film while your camera …"}])


class StimulusTold(BaseModel):
    """One film, or live event, of a study."""

    id: str = Field(examples=["s1"])
    title: str = Field(examples=["Trailer B"])
    kind: Literal["film", "event"]
    duration_s: float | None = Field(examples=[93.4])


class StudyTold(BaseModel):
    """What participants are told of a study. Texts are by language; questions are as in the study's own JSON."""

    title: str = Field(examples=["Trailer test"])
    about: Words
    contact: str = Field(description="who runs it, and how to reach them", examples=["Ada Lovelace, ada@example.org"])
    languages: list[str] = Field(examples=[["en", "fr"]])
    keep: Literal["scores", "pictures"] = Field(description="whether pictures are kept of those who agree to that")
    every_s: float = Field(description="how often a face is looked at", examples=[0.5])
    baseline_s: float = Field(description="how long the neutral face is looked at before the first film", examples=[5])
    retention_days: int = Field(examples=[90])
    identifiers: list[str] = Field(description="parameters of the address by which one comes that are kept", examples=[[]])
    stimuli: list[StimulusTold]
    before: list[dict[str, Any]]
    after: list[dict[str, Any]]
    consent: ConsentText


class Ending(BaseModel):
    """What somebody is given who has ended, to hand in where they came from."""

    code: str = Field(description="empty where there is none", examples=["C1ABCDE"])
    address: str = Field(description="where to go back to; empty where that is nowhere", examples=["https://app.prolific.com/…"])


class Invited(BaseModel):
    """Where an invitation leads, and whether one can begin with it."""

    study: StudyTold
    state: LinkState
    declined: Ending | None = Field(
        description="the way back for who does not begin; names of identifiers in braces are filled in by the page", examples=[None]
    )


class Agreed(BaseModel):
    """Somebody's consent to the text of this version."""

    model_config = ConfigDict(extra="forbid")

    language: str = Field(max_length=8, examples=["en"])
    version: int = Field(description="of the text that was read", examples=[1])
    pictures: bool = Field(default=False, description="whether the frames may be kept; counts only where the study keeps them")
    identifiers: dict[Annotated[str, Field(max_length=40)], Annotated[str, Field(max_length=200)]] = Field(
        default_factory=dict,
        max_length=10,
        description="parameters of the address by which one came; kept are those that the text names",
        examples=[{"PROLIFIC_PID": "5f3e8c1d"}],
    )


class Code(BaseModel):
    """The key to everything of one participant. It is told once, and only a hash is kept."""

    code: str = Field(examples=["K7PM-4QXD-9RTB"])


class Opening(BaseModel):
    """Of somebody who has not agreed; nothing is kept but a number."""

    model_config = ConfigDict(extra="forbid")

    what: funnel.Opening = Field(description="the page was opened, somebody said no, or could not begin", examples=["opened"])


class CameraTold(BaseModel):
    """How the camera was when the page asked for it."""

    model_config = ConfigDict(extra="forbid")

    state: funnel.Camera = Field(description="works, without (gone on without one), or why there is no picture", examples=["works"])


class Withdrawn(Proof):
    """The proof, and the way back."""

    ending: Ending | None = Field(default=None, description="left out where there is none")


class BaselineTold(BaseModel):
    """How the neutral face went."""

    looks: int = Field(examples=[10])
    with_face: int = Field(examples=[9])
    good: bool
    why: str | None = Field(description="why it does not count, where it does not", examples=[None])


class ParticipantTold(BaseModel):
    """Somebody who takes part, as the own pages need it."""

    invitation: str | None
    study: StudyTold
    step: str = Field(description="agreed, before, camera, film:0, film:1, …, after, done; left or screened", examples=["film:0"])
    ending: Ending | None = Field(description="the way back, of somebody who has ended, where there is one", examples=[None])
    order: list[str] = Field(description="ids of the films in the order in which this person watches them", examples=[["s2", "s1"]])
    positions: dict[str, float] = Field(description="how far each film was watched, in its seconds", examples=[{"s2": 41.5}])
    answers: dict[str, dict[str, Any]] = Field(description="of the parts before and after", examples=[{"before": {"q1": "b"}}])
    language: str = Field(examples=["en"])
    name: str = Field(description="the number under which this person is in the report", examples=["7"])
    pictures: bool = Field(description="whether pictures are kept of this person")
    consented_at: datetime
    baseline: BaselineTold


class Answers(BaseModel):
    """Answers to questions of one part. Those that are not named stay as they are; null takes one back."""

    model_config = ConfigDict(extra="forbid")

    part: Literal["before", "after"]
    answers: dict[str, Any] = Field(max_length=500, examples=[{"q1": "b", "q2": 4}])
    through: bool = Field(default=False, description="whether one went on from these: who is not looked for ends here")


class AnswersKept(BaseModel):
    """All answers of the part, as they are kept."""

    answers: dict[str, Any] = Field(examples=[{"q1": "b", "q2": 4}])
    step: str = Field(description="the step at which one is then: as before, or screened", examples=["before"])


class Step(BaseModel):
    """A step of taking part."""

    model_config = ConfigDict(extra="forbid")

    step: str = Field(max_length=64, examples=["camera"])


class Event(BaseModel):
    """Something that happened while a film ran. at_s: seconds of the page's own clock, the one of the frames."""

    model_config = ConfigDict(extra="forbid")

    event: Literal["film-start", "pause", "play", "stall", "seek", "end", "hidden", "shown", "camera-lost", "camera-back"]
    stimulus: str = Field(max_length=64, examples=["s1"])
    film_s: Seconds = Field(ge=0, le=1e6, examples=[12.4])
    at_s: Seconds = Field(ge=-1e10, le=1e10, examples=[1024.9])


class FilmCurve(BaseModel):
    """What was measured while one film ran. Each signal has a value per time, null where no face was found."""

    id: str = Field(examples=["s1"])
    title: str = Field(examples=["Trailer B"])
    times: list[float] = Field(examples=[[0.25, 0.75]])
    signals: dict[str, list[float | None]] = Field(examples=[{"happiness": [0.1, None], "valence": [0.05, None]}])
    curves: dict[str, list[float | None]] = Field(
        description="the signals, smoothed as the curves of the study's report are",
        examples=[{"happiness": [0.08, None], "valence": [0.04, None]}],
    )
    leads: dict[str, float] = Field(
        description="share of the times with a face in which each expression leads; empty without a face",
        examples=[{"happiness": 0.4, "neutral": 0.6}],
    )
    face_share: float | None = Field(description="share of the times with a face", examples=[0.97])


class Curve(BaseModel):
    """One's own curves. Expression is not feeling."""

    films: list[FilmCurve]


def _participants(request: Request) -> Participants:
    found: Participants = request.app.state.participants
    return found


def _whose(
    request: Request, code: Annotated[str, Header(alias=CODE_HEADER, max_length=40, description="the participant's code")] = ""
) -> Participant:
    """Whose code came along."""
    address = request.client.host if request.client else ""
    return _participants(request).by_code(code, address)


Whose = Annotated[Participant, Depends(_whose)]


@router.get("/api/take-part/{invitation}", summary="Where an invitation leads", responses=may_fail(404))
def invited(request: Request, invitation: str) -> Invited:
    """What the study is about, what it asks and what one would agree to, and whether one can begin."""
    study, _, state = _participants(request).invited(invitation)
    declined = _ending(Study.read(study.definition).recruiting.withdrawn)
    return Invited.model_validate({"study": public(study), "state": state, "declined": declined})


@router.post("/api/take-part/{invitation}/consent", status_code=201, summary="Agree", responses=may_fail(403, 404, 409, 422, 429))
def agree(request: Request, invitation: str, agreed: Agreed) -> Code:
    """Takes part from here on. 409 `consent_changed` brings the text as it reads now; `invitation_full`, `…_ended`, `…_closed` and
    `…_used` say why nobody can begin."""
    address = request.client.host if request.client else ""
    how = agreed.language, agreed.version, agreed.pictures, address, agreed.identifiers
    return Code(code=_participants(request).agree(invitation, *how))


@router.post("/api/take-part/{invitation}/opening", status_code=204, summary="Count an opening", responses=may_fail(403, 422))
def count_opening(request: Request, invitation: str, told: Opening) -> Response:
    """Counts who opens the page, says no or cannot begin: a number in the study, of which nobody can tell whose it is."""
    _participants(request).opening(invitation, told.what, request.client.host if request.client else "")
    return Response(status_code=204)


@router.get("/api/participant", summary="How far one is", responses=may_fail(401, 429))
def participant(request: Request, whose: Whose) -> ParticipantTold:
    """All that a page needs to go on where somebody stopped."""
    participants = _participants(request)
    study = participants.study_of(whose)
    folder = participants.folder(whose)
    positions = dict(whose.positions)
    for stimulus in whose.order:
        found = logs.looks(folder, stimulus)  # the server may have died before it put down how far that was
        if found is not None and found.position_s is not None:
            positions[stimulus] = max(round(found.position_s, 3), positions.get(stimulus, 0.0))
    told = public(study, whose.order)
    at_rest = logs.Baseline(logs.looks(folder, logs.BASELINE), told["baseline_s"])
    return ParticipantTold.model_validate(
        {
            "invitation": whose.invitation_id,
            "study": told,
            "step": whose.step,
            "ending": _ending(participants.ending(whose)),
            "order": whose.order,
            "positions": positions,
            "answers": whose.answers,
            "language": whose.language,
            "name": str(whose.name),
            "pictures": whose.pictures,
            "consented_at": whose.consented_at,
            "baseline": {
                "looks": at_rest.looks,
                "with_face": at_rest.with_face,
                "good": at_rest.emotions is not None,
                "why": at_rest.why,
            },
        }
    )


@router.put("/api/participant/answers", summary="Answer questions", responses=may_fail(401, 403, 409, 422, 429))
def answer(request: Request, whose: Whose, given: Answers) -> AnswersKept:
    """Keeps answers at once, so that a closed page loses none. Those before the film are taken until it begins."""
    kept, step = _participants(request).answer(whose, given.part, given.answers, given.through)
    return AnswersKept(answers=kept, step=step)


@router.post("/api/participant/step", summary="Go on", responses=may_fail(401, 403, 409, 422, 429))
def go_on(request: Request, whose: Whose, to: Step) -> Step:
    """Goes on to a later step, or to `screened` where others are looked for. 409 `answers_missing` names the questions that need an
    answer first."""
    return Step(step=_participants(request).go(whose, to.step))


@router.post("/api/participant/camera", status_code=204, summary="Tell of the camera", responses=may_fail(401, 403, 422, 429))
def camera(request: Request, whose: Whose, told: CameraTold) -> Response:
    """Says how the camera was, so that a report can say why people come no further."""
    _participants(request).camera(whose, told.state)
    return Response(status_code=204)


@router.post("/api/participant/events", status_code=204, summary="Tell of the film", responses=may_fail(401, 403, 409, 422, 429))
def happened(request: Request, whose: Whose, event: Event) -> Response:
    """Counts pauses, stalls and the like for the quality of what is measured, and remembers where the film was."""
    _participants(request).happened(whose, event.event, event.stimulus, event.film_s, event.at_s)
    return Response(status_code=204)


@router.get("/api/participant/films", summary="The films' addresses", responses=may_fail(401, 409, 429))
def films(request: Request, whose: Whose) -> dict[str, str]:
    """For each film an address that a `<video>` can ask for a few hours. Live events have none."""
    participants = _participants(request)
    study = participants.study_of(whose)
    refuse_ended(study, whose)
    return {
        stimulus: f"/api/participant/films/{stimulus}?ticket={participants.ticket(whose, stimulus)}"
        for stimulus in whose.order
        if participants.studies.film(study.id, stimulus).is_file()
    }


@router.head("/api/participant/films/{stimulus}", include_in_schema=False)
@router.get(
    "/api/participant/films/{stimulus}",
    summary="A film",
    response_class=FileResponse,
    responses=may_fail(401, 404, 416) | {200: {"content": {"video/mp4": {}}}, 206: {"description": "A part of it"}},
)
def film(request: Request, stimulus: str, ticket: Annotated[str, Query(max_length=200)]) -> FileResponse:
    """The film that a ticket opens, whole or in ranges."""
    path = _participants(request).film(stimulus, ticket)
    return FileResponse(path, media_type="video/mp4", headers={"Cache-Control": "private, max-age=3600"})


@router.get("/api/participant/curve", summary="One's own curve", responses=may_fail(401, 429))
def curve(request: Request, whose: Whose) -> Curve:
    """What was measured of oneself."""
    return Curve.model_validate(_participants(request).curve(whose))


@router.get(
    "/api/participant/export",
    summary="All that is kept of oneself",
    responses=may_fail(401, 429) | {200: {"content": {"application/json": {}, "application/zip": {}}}},
    response_class=Response,
)
def export(request: Request, whose: Whose) -> Response:
    """One JSON file; with the pictures a zip of both, where pictures were kept."""
    return sent(export_of_participant(_participants(request), whose, "participant"))


def sent(file: ExportFile) -> Response:
    """An export as the answer that a browser keeps as a file."""
    headers = {"Content-Disposition": f'attachment; filename="{file.name}"'}
    return StreamingResponse(file.pieces, media_type=file.kind, headers=headers)


@router.post("/api/participant/leave", status_code=204, summary="Leave", responses=may_fail(401, 403, 429))
def leave(request: Request, whose: Whose) -> Response:
    """Ends taking part. What was measured until then is kept; to have it erased, withdraw."""
    _participants(request).leave(whose)
    return Response(status_code=204)


@router.delete("/api/participant", summary="Withdraw", responses=may_fail(401, 403, 429), response_model_exclude_unset=True)
def withdraw(request: Request, whose: Whose) -> Withdrawn:
    """Erases all that is kept of this person, and proves it. The code opens nothing from then on."""
    participants = _participants(request)
    ending = _ending(participants.ending(whose, withdrawn=True))  # whose address is filled in with what is erased next
    proof = participants.erase(whose).model_dump()
    return Withdrawn(**proof) if ending is None else Withdrawn(**proof, ending=ending)


def _ending(end: End | None) -> Ending | None:
    """None where nobody is given anything."""
    return None if end is None or not (end.code or end.address) else Ending(code=end.code, address=end.address)
