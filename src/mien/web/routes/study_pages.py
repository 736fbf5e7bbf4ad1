"""The operator's pages of studies; the participants' own are in `participant_pages`."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from mien.study.definition import LANGUAGES, PURPOSES, REFUSED, Study, default_consent, how_often
from mien.study.ready_made import READY_MADE
from mien.web.database import StudyRow
from mien.web.errors import ApiError
from mien.web.routes.pages import page, templates
from mien.web.routes.participant_pages import participant_page
from mien.web.security import Security
from mien.web.studies.service import Studies
from mien.web.studies.texts import said, texts

router = APIRouter(include_in_schema=False)

Facts = list[tuple[str, str]]
"""Headings and texts."""


def _known(request: Request, id: str) -> StudyRow:
    studies: Studies = request.app.state.studies
    return studies.known(id)


def _name(row: StudyRow) -> str:
    return row.title or "Study without a title"


def _purposes() -> dict[str, Any]:
    return {"allowed": PURPOSES, "refused": REFUSED}


@router.api_route("/studies", methods=["GET", "HEAD"])
def studies(request: Request) -> Response:
    return page(request, "studies.html", "Studies", nav="studies", purposes=_purposes(), ready=READY_MADE)


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


@router.get("/studies/{id}/poster/{invitation}")
def poster(request: Request, id: str, invitation: str, lang: str = "") -> Response:
    """One sheet to print: the invitation's link as a code, and what people have to be told before a camera reads their faces."""
    row = _known(request, id)
    studies: Studies = request.app.state.studies
    studies.known_invitation(id, invitation)
    security: Security = request.app.state.security
    address = {"address": security.address_for_others(request) or "", "path": f"/take-part/{invitation}"}
    return _sheet(request, row, lang, _told, invitation=invitation, **address)


@router.get("/studies/{id}/notice")
def notice(request: Request, id: str, lang: str = "") -> Response:
    """One sheet to hang up in a room before its camera runs: what people have to be told, and no invitation."""
    return _sheet(request, _known(request, id), lang, _told_in_a_room, invitation="")


def _sheet(request: Request, row: StudyRow, lang: str, told: Callable[[Study, str], Facts], **more: str) -> Response:
    study = Study.read(row.definition)
    language = lang if lang in study.languages else study.languages[0]
    context = {
        "id": row.id,
        "study": study,
        "language": language,
        "languages": {code: LANGUAGES[code] for code in study.languages},
        "about": study.say(study.about, language),
        "facts": told(study, language),
        "said": lambda key: said(key, language),
    }
    response = templates().TemplateResponse(request, "study-poster.html", context | more)
    response.headers["Cache-Control"] = "no-store"
    return response


def _told(study: Study, language: str) -> Facts:
    """What Art. 50 of the AI Act and the GDPR want people to know beforehand: headings and texts, in the words of the participants'
    own pages."""
    films = sum(stimulus.kind == "film" for stimulus in study.stimuli)
    what = "poster.what_event" if not films else "poster.what_film" if films == 1 else "poster.what_films"
    kept = "about.kept_pictures" if study.keep == "pictures" else "about.kept_scores"
    return [
        (said("about.what", language), _filled(what, language, films)),
        (said("about.measured", language), _measured("about.measured_text", study, language)),
        (said("about.ai", language), said("about.ai_text", language)),
        (said("about.kept", language), f"{said(kept, language)} {_erased(study, language)}"),
        (said("about.free", language), said("about.free_text", language)),
        (said("about.who", language), study.contact),
    ]


def _told_in_a_room(study: Study, language: str) -> Facts:
    """The same of a camera that sees many: nobody has a code there, and pictures are never kept."""
    kept = said("notice.kept_text", language)
    return [
        (said("about.measured", language), _measured("notice.measured_text", study, language)),
        (said("about.ai", language), said("about.ai_text", language)),
        (said("about.kept", language), f"{kept} {_erased(study, language)}"),
        (said("notice.free", language), said("notice.free_text", language)),
        (said("about.who", language), study.contact),
    ]


def _measured(key: str, study: Study, language: str) -> str:
    often = how_often(language, study.every_s)
    return said(key, language).replace("{Often}", often[0].upper() + often[1:])


def _filled(key: str, language: str, n: int) -> str:
    return said(key, language).replace("{n}", str(n))


def _erased(study: Study, language: str) -> str:
    return _filled("about.kept_day" if study.retention_days == 1 else "about.kept_days", language, study.retention_days)


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
