"""The operator's pages of studies; the participants' own are in `participant_pages`."""

from typing import Any

from fastapi import APIRouter, Request, Response

from mien.study import LANGUAGES, PURPOSES, REFUSED, Study, default_consent
from mien.web.errors import ApiError
from mien.web.pages import page, templates
from mien.web.participant_pages import participant_page
from mien.web.store import StudyRow
from mien.web.studies import Studies
from mien.web.texts import said, texts

DAYS = {"en": ("day", "days"), "fr": ("jour", "jours"), "de": ("Tag", "Tagen"), "tr": ("gün", "gün")}
"""One and many of them, as they stand after "after": "nach 90 Tagen"."""

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


@router.get("/studies/{id}/poster/{invitation}")
def poster(request: Request, id: str, invitation: str, lang: str = "") -> Response:
    """One sheet to print: the invitation's link as a code, and what people have to be told before a camera reads their faces."""
    row = _known(request, id)
    studies: Studies = request.app.state.studies
    studies.known_invitation(id, invitation)
    study = Study.read(row.definition)
    language = lang if lang in study.languages else study.languages[0]
    context = {
        "id": id,
        "invitation": invitation,
        "study": study,
        "language": language,
        "languages": {code: LANGUAGES[code] for code in study.languages},
        "about": study.say(study.about, language),
        "address": str(request.base_url).rstrip("/"),
        "path": f"/take-part/{invitation}",
        "facts": _told(study, language),
        "said": lambda key: said(key, language),
    }
    response = templates().TemplateResponse(request, "study-poster.html", context)
    response.headers["Cache-Control"] = "no-store"
    return response


def _told(study: Study, language: str) -> list[tuple[str, str]]:
    """What Art. 50 of the AI Act and the GDPR want people to know beforehand: headings and texts, in the words of the participants'
    own pages."""
    films = sum(stimulus.kind == "film" for stimulus in study.stimuli)
    what = "poster.what_event" if not films else "poster.what_film" if films == 1 else "poster.what_films"
    kept = "about.kept_pictures" if study.keep == "pictures" else "about.kept_scores"
    day, days = DAYS[language]
    time = f"{study.retention_days} {day if study.retention_days == 1 else days}"
    values = {"n": f"{60 / study.every_s:.0f}", "time": time}

    def text(key: str, **values: str) -> str:
        told = said(key, language)
        for name, value in values.items():
            told = told.replace(f"{{{name}}}", value)
        return told

    return [
        (text("about.what"), text(what, n=str(films))),
        (text("about.measured"), text("about.measured_text", **values)),
        (text("about.ai"), text("about.ai_text")),
        (text("about.kept"), f"{text(kept)} {text('about.kept_days', **values)}"),
        (text("about.free"), text("about.free_text")),
        (text("about.who"), study.contact),
    ]


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
