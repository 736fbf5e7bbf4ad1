"""What studies, invitations, viewers and the log look like from outside."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mien.study.definition import Study
from mien.web.database import AuditEntry, Invitation, Participant, StudyRow
from mien.web.incoming import Moment
from mien.web.studies.films import Films
from mien.web.studies.funnel import stopped
from mien.web.studies.service import LinkState, Studies, lacks, link_state

EXAMPLE_ID = "k3v9Qm0aZx81tRbW"
EXAMPLE_INVITATION = "pV7xk2LqW9sYt0aB"
EXAMPLE_LINK = f"https://faces.example.org/take-part/{EXAMPLE_INVITATION}"

EXAMPLE_DEFINITION: dict[str, Any] = {
    "format": "mien-study 1",
    "title": "Night train, second cut",
    "about": {"en": "We want to know how a short film feels to watch."},
    "purpose": "film_test",
    "contact": "Ada Example, ada@example.org",
    "languages": ["en"],
    "stimuli": [
        {
            "id": "s1", "title": "Night train", "kind": "film", "duration_s": 612.4, "file": "night train.mov", "sha256": "0" * 64,
        }
    ],
    "order": "fixed",
    "consent": {"version": 1, "text": {"en": "You are invited to take part …"}},
    "before": [
        {
            "id": "age", "kind": "single", "title": {"en": "How old are you?"}, "help": {}, "required": True,
            "options": [{"id": "18-34", "title": {"en": "18 to 34"}}, {"id": "35-up", "title": {"en": "35 or older"}}],
            "low": {}, "high": {}, "min": None, "max": None,
        }
    ],
    "after": [
        {
            "id": "liked", "kind": "liking", "title": {"en": "How much did you like it?"}, "help": {}, "required": True,
            "options": [], "low": {"en": "not at all"}, "high": {"en": "very much"}, "min": None, "max": None,
        }
    ],
    "variables": [
        {
            "id": "age", "title": "Age", "by": "question", "question": "age",
            "values": [{"id": "18-34", "title": "18 to 34"}, {"id": "35-up", "title": "35 or older"}],
        }
    ],
    "every_s": 0.5,
    "baseline_s": 5.0,
    "keep": "scores",
    "retention_days": 90,
    "smallest_group": 5,
    "curve_sigma_s": 2.0,
    "markers": [{"id": "m1", "stimulus": "s1", "time_s": 95.5, "end_s": 99.0, "label": "the joke"}],
}  # fmt: skip


class FilmView(BaseModel):
    """How far the film of a stimulus is."""

    id: str = Field(description="the stimulus that it belongs to", examples=["s1"])
    state: Literal["ready", "converting", "failed"]
    share: float | None = Field(description="how much of it is made ready, from 0 to 1; null where that is not known")
    error: str | None = Field(description="why it cannot be played and what to do, fit to show")
    name: str = Field(description="the name that it came with", examples=["night train.mov"])
    size_bytes: int = Field(examples=[48213000])
    duration_s: float | None = Field(examples=[612.4])
    width: int | None = Field(examples=[1920])
    height: int | None = Field(examples=[1080])
    sound: bool | None = Field(examples=[True])
    converted: bool | None = Field(description="whether it had to be made anew, so that every browser plays it", examples=[True])
    url: str | None = Field(description="where it can be played", examples=[f"/api/studies/{EXAMPLE_ID}/films/s1"])


class StudyCounts(BaseModel):
    """How many people."""

    agreed: int = Field(description="agreed to take part, ever", examples=[12])
    finished: int = Field(description="came to the end, and are still there", examples=[9])
    left: int = Field(description="stopped, and are still there", examples=[1])
    withdrawn: int = Field(description="gone with all that was kept of them, at whosever wish or by time", examples=[1])
    rooms: int = Field(description="recordings of many at once", examples=[0])


class Missing(BaseModel):
    """Something that a study lacks before it can be opened."""

    field: str = Field(description="the field of the definition that it belongs to", examples=["contact"])
    what: str = Field(description="in plain words", examples=["who runs it, and how to reach them"])


class StudyView(BaseModel):
    """A study."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": EXAMPLE_ID,
                    "title": "Night train, second cut",
                    "state": "open",
                    "version": 17,
                    "created_at": "2026-11-21T14:20:00Z",
                    "changed_at": "2026-11-22T09:02:11Z",
                    "simulated": False,
                    "definition": EXAMPLE_DEFINITION,
                    "films": [
                        {
                            "id": "s1", "state": "ready", "share": None, "error": None, "name": "night train.mov",
                            "size_bytes": 48213000, "duration_s": 612.4, "width": 1920, "height": 1080, "sound": True,
                            "converted": True, "url": f"/api/studies/{EXAMPLE_ID}/films/s1",
                        }
                    ],
                    "counts": {"agreed": 12, "finished": 9, "left": 1, "withdrawn": 1, "rooms": 0},
                    "missing": [],
                    "link": EXAMPLE_LINK,
                }
            ]
        }
    )  # fmt: skip

    id: str
    title: str
    state: Literal["draft", "open", "closed", "archived"]
    version: int = Field(description="rises with every change of its data")
    created_at: datetime
    changed_at: datetime
    simulated: bool = Field(description="whether its participants were made by a program")
    definition: dict[str, Any] = Field(description="the whole study; see docs/studies.md")
    films: list[FilmView]
    counts: StudyCounts
    missing: list[Missing] = Field(description="what it lacks before it can be opened")
    link: str | None = Field(description="an address to take part that many may use, where there is one that others reach")


class StudiesPage(BaseModel):
    """All studies, the newest first."""

    items: list[StudyView]


class NewState(BaseModel):
    """What a study is to be."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"state": "open"}]})

    state: Literal["open", "closed", "archived"]


class ConsentVersion(BaseModel):
    """A consent text as it once was."""

    version: int = Field(examples=[1])
    at: datetime = Field(description="since when")
    text: dict[str, str] = Field(description="by language", examples=[{"en": "You are invited to take part …"}])
    agreed: int = Field(description="participants, of those who are still there, who agreed to this text", examples=[12])


class ConsentVersions(BaseModel):
    """All versions, the newest first."""

    items: list[ConsentVersion]


class InvitationView(BaseModel):
    """A link to take part."""

    id: str = Field(examples=[EXAMPLE_INVITATION])
    label: str = Field(description="for the operator alone", examples=["Mailing list"])
    one_time: bool = Field(description="whether only one person can use it")
    limit: int | None = Field(description="how many can use it; null: any number", examples=[30])
    used: int = Field(description="how many did", examples=[12])
    ends_at: datetime | None = Field(description="when it ends; null: never")
    groups: dict[str, str] = Field(description="the groups that those who use it are in", examples=[{"cell": "a"}])
    closed: bool
    created_at: datetime
    link: str | None = Field(description="its address; null where only this machine reaches the server", examples=[EXAMPLE_LINK])
    state: LinkState = Field(description="whether somebody could use it now, the study being open")


class InvitationsPage(BaseModel):
    """The invitations of a study, the oldest first."""

    items: list[InvitationView]


class InvitationChange(BaseModel):
    """What is to be different about an invitation."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"label": "Mailing list", "closed": True}]})

    label: str | None = Field(default=None, max_length=200)
    limit: int | None = Field(default=None, ge=1, le=1_000_000)
    ends_at: Moment | None = None
    groups: dict[str, str] | None = None
    closed: bool | None = None


class NewInvitation(BaseModel):
    """A link to take part."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"label": "Mailing list", "one_time": False, "limit": 30, "ends_at": "2026-12-24T18:00:00Z", "groups": {}}]
        },
    )

    label: str = Field(default="", max_length=200, description="for the operator alone")
    one_time: bool = Field(default=False, description="whether only one person can use it")
    limit: int | None = Field(default=None, ge=1, le=1_000_000, description="how many can use it; null: any number")
    ends_at: Moment | None = Field(default=None, description="when it ends; null: never")
    groups: dict[str, str] = Field(default_factory=dict, description="the groups, by link, of those who use it")


class ViewerView(BaseModel):
    """Somebody who agreed to take part, under a number; or a face of a room, where everybody was told and agreed."""

    name: str = Field(examples=["3"])
    room: bool = Field(description="whether it is one of the faces of a room", examples=[False])
    step: str = Field(
        description="how far they are: agreed, before, camera, film:1, …, after, done; or left; of a room: room", examples=["done"]
    )
    stopped: bool = Field(
        description="whether they went away before the end: not heard of for half an hour, six hours during a film",
        examples=[False],
    )
    language: str | None = Field(description="null of a room", examples=["en"])
    consent_version: int | None = Field(description="the version of the text that they agreed to; null of a room", examples=[1])
    consented_at: datetime = Field(description="of a room: when its recording began")
    seen_at: datetime | None = Field(description="when their page was last heard of; null of a room")
    finished_at: datetime | None
    pictures: bool = Field(description="whether they allowed that pictures are kept")
    invitation: str | None = Field(description="the invitation that they came by", examples=[EXAMPLE_INVITATION])
    groups: dict[str, str] = Field(examples=[{"age": "18-34"}])
    order: list[str] = Field(description="the films in the order in which they are watched; empty of a room", examples=[["s1"]])
    quality: dict[str, Any] = Field(examples=[{"looks": 1224, "with_face": 1198}])
    erased_at: datetime = Field(description="when all of it erases itself at the latest")
    left_out: str | None = Field(description="why they are left out of the report; null where they count", examples=[None])
    seat: tuple[float, float] | None = Field(
        description="of a room: where in the picture the face mostly was, as shares of its width and height", examples=[None]
    )


class ViewersPage(BaseModel):
    """Everybody who agreed to take part, in that order; then the faces that count in each room."""

    items: list[ViewerView]


class MarkerView(BaseModel):
    """A moment of a film, or a span where it has an end."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": EXAMPLE_DEFINITION["markers"]})

    id: str = Field(max_length=40)
    stimulus: str = Field(max_length=40)
    time_s: float
    end_s: float | None = None
    label: str = Field(default="", max_length=200)


class Markers(BaseModel):
    """All markers of a study."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"markers": EXAMPLE_DEFINITION["markers"]}]})

    markers: list[MarkerView] = Field(max_length=500)


class NewMarkers(Markers):
    """All markers that a study is to have."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"markers": EXAMPLE_DEFINITION["markers"], "was": []}]})

    was: list[MarkerView] | None = Field(
        default=None,
        max_length=500,
        description="the markers as they were known before: only what differs is changed, and what others did since stays; null: "
        "there are to be these markers and no others",
    )


class AuditView(BaseModel):
    """One line of the log."""

    number: int = Field(examples=[41])
    at: datetime
    who: Literal["operator", "participant", "mien"]
    action: str = Field(examples=["exported a viewer"])
    detail: dict[str, Any] = Field(description="which, and how much; never what somebody answered", examples=[{"viewer": "3"}])


class AuditPage(BaseModel):
    """The log of a study, the newest first."""

    items: list[AuditView]


# --- from rows


def study_view(row: StudyRow, studies: Studies, films: Films, address: str | None) -> StudyView:
    """A study for the API; `address` is the server's own, as others reach it, or None where they do not."""
    study = Study.read(row.definition)
    usable = [one for one in studies.invitations(row.id) if not one.one_time and link_state(one) == "open"]
    return StudyView(
        id=row.id,
        title=row.title,
        state=row.state,  # type: ignore[arg-type]
        version=row.version,
        created_at=row.created_at,
        changed_at=row.changed_at,
        simulated=row.simulated,
        definition=study.json(),
        films=[film_view(row, stimulus.id, films) for stimulus in study.stimuli if stimulus.id in row.films],
        counts=StudyCounts(**studies.counts(row.id)),
        missing=[Missing(field=lack.field, what=lack.what) for lack in lacks(row, study)],
        link=f"{address}/take-part/{usable[0].id}" if usable and address else None,
    )


def film_view(row: StudyRow, stimulus: str, films: Films) -> FilmView:
    """The film of a stimulus for the API."""
    facts = row.films[stimulus]
    return FilmView(
        id=stimulus,
        state=facts["state"],
        share=films.share(row.id, stimulus),
        error=facts.get("error"),
        name=facts["name"],
        size_bytes=facts["size_bytes"],
        duration_s=facts.get("duration_s"),
        width=facts.get("width"),
        height=facts.get("height"),
        sound=facts.get("sound"),
        converted=facts.get("converted"),
        url=f"/api/studies/{row.id}/films/{stimulus}" if facts["state"] == "ready" else None,
    )


def invitation_view(one: Invitation, address: str | None) -> InvitationView:
    """An invitation for the API; `address` as for `study_view`."""
    return InvitationView(
        id=one.id,
        label=one.label,
        one_time=one.one_time,
        limit=one.limit,
        used=one.used,
        ends_at=one.ends_at,
        groups=one.groups,
        closed=one.closed,
        created_at=one.created_at,
        link=f"{address}/take-part/{one.id}" if address else None,
        state=link_state(one),
    )


class LeftOut(BaseModel):
    """Whether a viewer counts in the report."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "The camera showed somebody else."}]})

    reason: str | None = Field(
        max_length=200, description="why the viewer is left out, which the report says; null takes them in again"
    )


def viewer_view(one: Participant, erased_at: datetime, left_out: str | None) -> ViewerView:
    """A participant for the API."""
    return ViewerView(
        name=str(one.name),
        room=False,
        step=one.step,
        stopped=stopped(one),
        language=one.language,
        consent_version=one.consent_version,
        consented_at=one.consented_at,
        seen_at=one.seen_at,
        finished_at=one.finished_at,
        pictures=one.pictures,
        invitation=one.invitation_id,
        groups=one.groups,
        order=one.order,
        quality=one.quality,
        erased_at=erased_at,
        left_out=left_out,
        seat=None,
    )


def audit_view(one: AuditEntry) -> AuditView:
    """A line of the log for the API."""
    return AuditView(number=one.number, at=one.at, who=one.who, action=one.action, detail=one.detail)  # type: ignore[arg-type]
