"""The results of /api/jobs/{id}: what was seen, the lines of the plot, changes of faces, stills and files."""

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse

from mien.web.analyses.edits import Edits
from mien.web.analyses.result_schema import Merge, Result, Series, TrackChange
from mien.web.analyses.results import Results, stem
from mien.web.errors import may_fail
from mien.web.incoming import NumberedName

REPORT_HEADERS = {
    "Content-Security-Policy": "sandbox allow-scripts allow-downloads allow-popups; default-src 'none'; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
}
"""The report may run its own script, but as a page of nobody: without cookies, and with nothing to load."""

router = APIRouter(tags=["Results"])


def _results(request: Request) -> Results:
    results: Results = request.app.state.results
    return results


FILE_KINDS = ("text/csv", "application/json", "text/html", "image/png", "video/mp4")
"""What the files of a result are."""


def _gives(kinds: Sequence[str], what: str, *errors: int) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": what, "content": {kind: {} for kind in kinds}}, **may_fail(*errors)}


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")


@router.get("/api/jobs/{id}/result", summary="What was seen", response_model=Result, responses=may_fail(404, 409))
def get_result(request: Request, id: str) -> Response:
    """Names, merges and hidden faces are applied. The lines of the plot are in the series."""
    results = _results(request)
    return _json(results.result(results.done(id)))


@router.get("/api/jobs/{id}/series", summary="The lines of the plot", response_model=Series, responses=may_fail(404, 409, 422))
def get_series(
    request: Request,
    id: str,
    points: Annotated[int, Query(ge=40, le=20_000, description="how many points a line has at most")] = 2000,
    track: Annotated[int | None, Query(ge=0, lt=2**63, description="only the lines of this face, beside the mean")] = None,
) -> Response:
    """Smoothed probabilities against time: the mean over all faces that are not hidden, and each face."""
    results = _results(request)
    return _json(results.series(results.done(id), points, track))


@router.patch(
    "/api/jobs/{id}/tracks/{track}",
    summary="Name, hide or show a face",
    response_model=Result,
    responses=may_fail(404, 409, 422),
)
def change_track(request: Request, id: str, track: NumberedName, change: TrackChange) -> Response:
    """Answers with the new result. Tables, plots and the report show it as well; the annotated film stays as it is."""
    results = _results(request)
    return _json(results.result(results.change_track(id, track, change.model_dump(exclude_unset=True))))


@router.post(
    "/api/jobs/{id}/tracks/{track}/merge",
    summary="Count a face as another one",
    response_model=Result,
    responses=may_fail(404, 409, 422),
)
def merge_track(request: Request, id: str, track: NumberedName, merge: Merge) -> Response:
    """For one person who was given two numbers. Refused (409) where both are seen at the same time. Answers with the new result."""
    results = _results(request)
    return _json(results.result(results.merge(id, track, merge.into)))


@router.delete(
    "/api/jobs/{id}/edits", summary="Undo all names, merges and hidden faces", response_model=Result, responses=may_fail(404, 409)
)
def undo_edits(request: Request, id: str) -> Response:
    """Answers with the new result."""
    results = _results(request)
    return _json(results.result(results.change(id, lambda view: Edits())))


@router.get(
    "/api/jobs/{id}/stills/{track}.jpg",
    summary="A picture of a face",
    response_class=FileResponse,
    responses=_gives(["image/jpeg"], "The picture", 404, 409, 422),
)
def get_still(request: Request, id: str, track: NumberedName) -> Response:
    results = _results(request)
    return results.still(results.done(id), track)


@router.get(
    "/api/jobs/{id}/files/{name}",
    summary="A file of the result",
    response_class=FileResponse,
    responses=_gives(FILE_KINDS, "The file; parts of it by Range", 404, 409, 507),
)
def get_file(request: Request, id: str, name: str) -> Response:
    """`files` of the result lists them. After changes they are made anew, which takes a few seconds the first time."""
    results = _results(request)
    job = results.done(id)
    path = results.file(job, name)
    headers = dict(REPORT_HEADERS) if name == "report.html" else {}
    return FileResponse(path, headers=headers, filename=f"{stem(job)}.{name}", content_disposition_type="inline")


@router.get(
    "/api/jobs/{id}/archive.zip",
    summary="All files of the result as one zip",
    response_class=StreamingResponse,
    responses=_gives(["application/zip"], "The zip", 404, 409, 507),
)
def get_archive(request: Request, id: str) -> Response:
    results = _results(request)
    job = results.done(id)
    results.folder(job)  # what goes wrong is told before the first byte is sent
    plain = stem(job).encode("ascii", "replace").decode().replace("?", "_")
    named = f"attachment; filename=\"{plain}.zip\"; filename*=UTF-8''{quote(stem(job), safe='')}.zip"
    return StreamingResponse(results.archive(job), media_type="application/zip", headers={"Content-Disposition": named})
