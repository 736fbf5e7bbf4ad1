"""The operator's page of rooms, and the window in which the film plays for everybody."""

from fastapi import APIRouter, Request, Response

from mien.study import Study
from mien.web.errors import ApiError
from mien.web.pages import page
from mien.web.store import StudyRow

router = APIRouter(include_in_schema=False)


def _known(request: Request, id: str) -> tuple[StudyRow, Study]:
    row = request.app.state.studies.get(id)
    if row is None:
        raise ApiError(404, "not_found", "There is no such study. It may have been erased.")
    return row, Study.read(row.definition)


@router.api_route("/studies/{id}/room", methods=["GET", "HEAD"])
def room(request: Request, id: str) -> Response:
    row, study = _known(request, id)
    return page(request, "room.html", f"In a room: {row.title or 'a study'}", nav="studies", row=row, study=study)


@router.api_route("/studies/{id}/screen/{stimulus}", methods=["GET", "HEAD"])
def screen(request: Request, id: str, stimulus: str) -> Response:
    row, study = _known(request, id)
    film = study.stimulus(stimulus)
    if film is None:
        raise ApiError(404, "not_found", "There is no such film in this study.")
    return page(request, "screen.html", film.title or "Film", nav="studies", row=row, film=film)
