"""The operator's page of rooms, and the window in which the film plays for everybody."""

from fastapi import APIRouter, Request, Response

from mien.study.definition import Study
from mien.web.database import StudyRow
from mien.web.errors import ApiError
from mien.web.routes.pages import page

router = APIRouter(include_in_schema=False)


def _known(request: Request, id: str) -> tuple[StudyRow, Study]:
    row = request.app.state.studies.get(id)
    if row is None:
        raise ApiError(404, "not_found", "There is no such study. It may have been erased.")
    return row, Study.read(row.definition)


@router.api_route("/studies/{id}/room", methods=["GET", "HEAD"])
def room(request: Request, id: str) -> Response:
    """Before the audience: camera or film, and the rooms that there are."""
    row, study = _known(request, id)
    name = row.title or "Study without a title"
    stimuli = [
        {"id": film.id, "title": film.title or film.id, "kind": film.kind, "duration_s": film.duration_s, "file": bool(film.file)}
        for film in study.stimuli
    ]
    data = {"id": row.id, "title": name, "every_s": study.every_s, "baseline_s": study.baseline_s, "stimuli": stimuli}
    return page(request, "room.html", f"In a room · {name}", nav="studies", data=data, study_title=name)


@router.api_route("/studies/{id}/screen/{stimulus}", methods=["GET", "HEAD"])
def screen(request: Request, id: str, stimulus: str) -> Response:
    """The window before the audience: the film, and nothing else."""
    row, study = _known(request, id)
    film = study.stimulus(stimulus)
    if film is None or film.kind != "film":
        raise ApiError(404, "not_found", "There is no such film in this study.")
    data = {"study": row.id, "stimulus": film.id, "title": film.title or film.id, "duration_s": film.duration_s}
    return page(request, "screen.html", film.title or "Film", data=data)
