"""Reviews of studies: as JSON, page, paper and tables."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from mien.web.analyses.schema import shown
from mien.web.database import Frozen
from mien.web.errors import ApiError, may_fail
from mien.web.incoming import Moment
from mien.web.reports.service import Reviews
from mien.web.reports.worker import ARCHIVE, TABLES
from mien.web.routes.results import REPORT_HEADERS

FILE_KINDS = {
    "html": "text/html",
    "pdf": "application/pdf",
    "json": "application/json",
    "csv": "text/csv",
    "zip": "application/zip",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
NAME_LETTERS_MAX = 120

Until = Annotated[Moment | None, Query(description="what had been measured and said by then")]
Kept = Annotated[str, Query(max_length=NAME_LETTERS_MAX, alias="frozen", description="id of a kept report")]

router = APIRouter(tags=["Studies"])


class NewFrozen(BaseModel):
    """A report that is to be kept."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=NAME_LETTERS_MAX, examples=["First screening"])


class FrozenView(BaseModel):
    """A report as it stood at a moment: what had been measured and said by then, less of those who have withdrawn since."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    at: datetime


class FrozenList(BaseModel):
    """All kept reports, the newest first."""

    items: list[FrozenView]


class Building(BaseModel):
    """Said while a report is made for the first time."""

    state: str = Field(examples=["building"])


def _reviews(request: Request) -> Reviews:
    reviews: Reviews = request.app.state.reviews
    return reviews


def _gives(kind: str, what: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": what, "content": {kind: {}}}, **may_fail(404, 409, 422)}


@router.get(
    "/api/studies/{id}/review",
    summary="The report of a study",
    response_class=JSONResponse,
    responses={
        200: {
            "description": "The review (format `mien-review 1`); `stale`: a newer one is being made",
            "content": {"application/json": {}},
        },
        202: {"model": Building, "description": "It is being made; ask again in a second"},
        304: {"description": "The one that is known already; `X-Review-Stale: 1` where a newer one is being made"},
        **may_fail(404, 422),
    },
)
def get_review(request: Request, id: str, until: Until = None, frozen: Kept = "") -> Response:
    """Nothing in it is of fewer viewers than the study's smallest group. Made anew when something has changed; send the `ETag` back
    as `If-None-Match`."""
    reviews = _reviews(request)
    found = reviews.review(id, reviews.date(id, until, frozen))
    reviews.studies.saw(id, "the report")
    if found is None:
        return JSONResponse({"state": "building"}, 202, headers={"Cache-Control": "no-store"})
    headers = {"ETag": found.tag, "Cache-Control": "no-cache", "X-Review-Stale": str(int(found.stale))}
    if found.tag in request.headers.get("If-None-Match", ""):
        return Response(status_code=304, headers=headers)
    return Response(found.json, media_type="application/json", headers=headers)


@router.get("/api/studies/{id}/frozen", summary="The kept reports", responses=may_fail(404))
def list_frozen(request: Request, id: str) -> FrozenList:
    return FrozenList(items=[FrozenView.model_validate(row) for row in _reviews(request).kept(id)])


@router.post("/api/studies/{id}/frozen", status_code=201, summary="Keep the report as it is", responses=may_fail(404, 409, 422))
def keep(request: Request, id: str, asked: NewFrozen) -> FrozenView:
    """Nothing is copied: it is made of what there is by now, so that who withdraws is gone from it, too."""
    name = shown(asked.name)
    if not name:
        raise ApiError(422, "invalid", "name: wanted some letters, but got only blanks")
    row: Frozen = _reviews(request).keep(id, name)
    return FrozenView.model_validate(row)


@router.delete("/api/studies/{id}/frozen/{frozen}", status_code=204, summary="Delete a kept report", responses=may_fail(404))
def let_go(request: Request, id: str, frozen: str) -> Response:
    """What was measured stays."""
    _reviews(request).let_go(id, frozen)
    return Response(status_code=204)


def _send(request: Request, id: str, name: str, until: datetime | None, frozen: str, *, download: bool = True) -> Response:
    reviews = _reviews(request)
    path = reviews.file(id, name, reviews.date(id, until, frozen))
    reviews.studies.note(id, "operator", "exported", file=name)
    kind = path.suffix[1:]
    title = shown(reviews.studies.known(id).title)[:80] or "study"
    headers = {"Cache-Control": "no-store"} | (dict(REPORT_HEADERS) if kind == "html" else {})
    return FileResponse(
        path,
        media_type=FILE_KINDS[kind],
        headers=headers,
        filename=f"{title}.{name}",
        content_disposition_type="attachment" if download else "inline",
    )


@router.get(
    "/api/studies/{id}/review.html",
    summary="The report as one page that opens without a network",
    response_class=FileResponse,
    responses=_gives("text/html", "The page"),
)
def get_page(request: Request, id: str, until: Until = None, frozen: Kept = "", download: bool = False) -> Response:
    return _send(request, id, "review.html", until, frozen, download=download)


@router.get(
    "/api/studies/{id}/review.pdf",
    summary="The report on paper",
    response_class=FileResponse,
    responses=_gives("application/pdf", "The paper"),
)
def get_paper(
    request: Request,
    id: str,
    until: Until = None,
    frozen: Kept = "",
    paper: Annotated[str, Query(pattern="^(a4|letter)$", description="a4 or letter")] = "a4",
) -> Response:
    return _send(request, id, "review.pdf" if paper == "a4" else "review-letter.pdf", until, frozen)


def _sheet(kind: str) -> Any:
    words = {"html": "a page that opens without a network", "pdf": "PDF", "pptx": "slides"}

    @router.get(
        f"/api/studies/{{id}}/director.{kind}",
        summary=f"The director's sheet as {words[kind]}",
        name=f"director.{kind}",
        response_class=FileResponse,
        responses=_gives(FILE_KINDS[kind], "One sheet a film"),
    )
    def get_sheet(request: Request, id: str, until: Until = None, frozen: Kept = "", download: bool = False) -> Response:
        """Strip and curve, three sentences, what people said, moments with stills: nothing that the report does not tell."""
        return _send(request, id, f"director.{kind}", until, frozen, download=download or kind != "html")


for _kind in ("html", "pdf", "pptx"):
    _sheet(_kind)


def _file(name: str, summary: str, holds: str, route: str, description: str | None = None) -> None:
    """The address of a file that is made in one way."""

    @router.get(
        f"/api/studies/{{id}}/{name}",
        summary=summary,
        name=route,
        description=description,
        response_class=FileResponse,
        responses=_gives(FILE_KINDS[name.rpartition(".")[2]], holds),
    )
    def get_file(request: Request, id: str, until: Until = None, frozen: Kept = "") -> Response:
        return _send(request, id, name, until, frozen)


_file("review.json", "The report for programs", "The review, of the data as it is now", "get_json")
_file(
    ARCHIVE,
    "The report with all its files as one zip",
    "The zip",
    "get_archive",
    "Holds the tables of single viewers, which no smallest group protects.",
)
TABLE_WORDS = {
    "long.csv": "A row per viewer and time, of single viewers",
    "wide.csv": "A row per time: curves, and each viewer's valence",
    "answers.csv": "A row per viewer: the answers",
    "viewers.csv": "A row per viewer: groups by link, and quality",
    "moments.csv": "A row per moment that stands out",
    "funnel.csv": "A row per stage of taking part, and per reason not to come that far",
}
for _name in TABLES:
    _file(_name, TABLE_WORDS[_name], "The table", _name)
