"""The pages of participants: no login, no way into the rest of mien, and no cookie of an operator's session."""

from typing import Any

from fastapi import APIRouter, Request, Response

from mien.study.definition import LANGUAGES
from mien.web.routes import pages
from mien.web.studies.texts import best_language, said, texts

router = APIRouter(include_in_schema=False)


@router.get("/take-part/{invitation}")
def take_part(request: Request, invitation: str) -> Response:
    """A study, from its first page to its last; the script asks the API what there is."""
    return participant_page(request, "take-part.html", invitation=invitation, preview="")


@router.get("/withdraw")
def withdraw(request: Request) -> Response:
    """Where a participant sees what is kept under a code, and has it erased."""
    return participant_page(request, "withdraw.html")


def participant_page(request: Request, template: str, **more: Any) -> Response:
    """A page with all texts in it, so that its language can be changed without the server."""
    language = best_language(request.headers.get("Accept-Language", ""), request.query_params.get("lang"))
    context = {
        "language": language,
        "languages": LANGUAGES,
        "texts": texts(),
        "said": lambda key: said(key, language),
    }
    response = pages.templates().TemplateResponse(request, template, context | more)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Accept-Language"
    return response
