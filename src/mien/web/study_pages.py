"""The operator's pages of studies; the participants' own are in `participant_pages`."""

from typing import Any

from fastapi import APIRouter, Request, Response

from mien.study import LANGUAGES, PURPOSES, REFUSED, Study, default_consent
from mien.web.errors import ApiError
from mien.web.pages import page
from mien.web.participant_pages import participant_page
from mien.web.store import StudyRow
from mien.web.studies import Studies
from mien.web.texts import texts

router = APIRouter(include_in_schema=False)


def _known(request: Request, id: str) -> StudyRow:
    studies: Studies = request.app.state.studies
    return studies.known(id)


def _name(row: StudyRow) -> str:
    return row.title or "Study without a title"


def _purposes() -> dict[str, Any]:
    return {"allowed": PURPOSES, "refused": REFUSED}


@router.api_route("/studies", methods=["GET", "HEAD"])
def studies(request: Request) -> Response:
    return page(request, "studies.html", "Studies", nav="studies", purposes=_purposes())


@router.api_route("/studies/{id}", methods=["GET", "HEAD"])
def study(request: Request, id: str) -> Response:
    row = _known(request, id)
    words = _purposes()
    data = {"id": row.id, "purposes": words["allowed"], "refused": words["refused"]}
    return page(request, "study.html", _name(row), nav="studies", id=row.id, data=data, texts=texts())


@router.get("/studies/{id}/preview")
def preview(request: Request, id: str) -> Response:
    """The participants' pages of a study without measuring, for the operator to go through; `?lang=` chooses the language."""
    return participant_page(request, "take-part.html", invitation="", preview=_known(request, id).id)


@router.get("/studies/{id}/default-consent")
def consent(request: Request, id: str, language: str = "en") -> dict[str, str]:
    """The default consent text of this study as it is now."""
    if language not in LANGUAGES:
        raise ApiError(422, "invalid", f"There is no default text in {language[:20]!r}; there is one in {', '.join(LANGUAGES)}.")
    return {"text": default_consent(language, Study.read(_known(request, id).definition))}


@router.api_route("/studies/{id}/review", methods=["GET", "HEAD"])
def review(request: Request, id: str, frozen: str = "") -> Response:
    """The report; `?frozen=` is one that was kept."""
    row = _known(request, id)
    return page(request, "review.html", f"{_name(row)} · report", nav="studies", study=row, frozen=frozen)
