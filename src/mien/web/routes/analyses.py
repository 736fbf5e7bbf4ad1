"""/api/jobs: sending files, and listing, renaming, ending, retrying and erasing analyses."""

import shutil
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from mien.web.analyses.schema import EXAMPLE_ID, FORM, JobsPage, JobView, NewName, options_of, shown
from mien.web.analyses.service import Jobs
from mien.web.database import new_id
from mien.web.errors import ApiError, may_fail
from mien.web.uploads import receive

router = APIRouter(tags=["Analyses"])


def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


@router.get("/api/jobs", summary="All analyses, the newest first", response_model=JobsPage, responses=may_fail(422))
def list_jobs(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=200, description="how many at most")] = 50,
    cursor: Annotated[str, Query(max_length=40, description="next_cursor of the page before")] = "",
    search: Annotated[str, Query(max_length=200, description="words of the name or of the headline")] = "",
    state: Annotated[
        str, Query(max_length=100, description="only these states, divided by commas", examples=["queued,running"])
    ] = "",
) -> JobsPage:
    jobs = _jobs(request)
    states = [part.strip() for part in state.split(",") if part.strip()]
    try:
        found, following = jobs.store.jobs(limit=limit, cursor=cursor, search=search.replace("\0", ""), states=states)
    except ValueError as error:
        raise ApiError(422, "invalid", str(error)) from None
    places = jobs.places()
    return JobsPage(items=[jobs.view(job, places) for job in found], next_cursor=following)


@router.post(
    "/api/jobs",
    status_code=201,
    summary="Analyse a picture or a film",
    response_model=JobView,
    responses=may_fail(400, 413, 415, 422, 429, 507),
    openapi_extra=FORM,
)
async def create_job(request: Request) -> JobView:
    """Takes the file as it comes, without holding it in memory. What comes back says where it waits; `GET /api/jobs/{id}` or the
    events say how it goes on."""
    jobs = _jobs(request)
    await run_in_threadpool(jobs.check_room)
    id = new_id()
    folder = jobs.folder(id)
    try:
        upload = await receive(request, folder, jobs.settings.upload_max_mib * 2**20)
        options = options_of(upload.fields)
        await run_in_threadpool(jobs.check_model, options)
        await run_in_threadpool(jobs.check_room)
        await run_in_threadpool(jobs.add, id, upload, options)
    except ClientDisconnect:
        await run_in_threadpool(shutil.rmtree, folder, True)
        raise ApiError(400, "gone", "The upload broke off. Send the file once more.") from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return await run_in_threadpool(get_job, request, id)


@router.get(
    "/api/jobs/events",
    summary="Changes of all analyses as they happen",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "`event: job` with an analysis as JSON, `event: removed` with its id; first all that are unfinished",
            "content": {"text/event-stream": {"example": f'event: removed\ndata: {{"id": "{EXAMPLE_ID}"}}\n\n'}},
        }
    },
)
async def events(request: Request) -> StreamingResponse:
    stream = _jobs(request).events(request.app.state.stopping)
    return StreamingResponse(
        stream, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


@router.get("/api/jobs/{id}", summary="One analysis", response_model=JobView, responses=may_fail(404))
def get_job(request: Request, id: str) -> JobView:
    jobs = _jobs(request)
    return jobs.view(jobs.known(id))


@router.patch("/api/jobs/{id}", summary="Rename an analysis", response_model=JobView, responses=may_fail(404, 422))
def rename_job(request: Request, id: str, new: NewName) -> JobView:
    jobs = _jobs(request)
    name = shown(new.name)
    if not name:
        raise ApiError(422, "invalid", "name: wanted at least one letter")
    jobs.known(id)
    jobs.store.update_job(id, name=name)
    jobs.changed(id)
    return jobs.view(jobs.known(id))


@router.delete("/api/jobs/{id}", status_code=204, summary="Erase an analysis and all its files", responses=may_fail(404))
def erase_job(request: Request, id: str) -> Response:
    """An analysis that is under way is ended first. Nothing of it stays."""
    jobs = _jobs(request)
    jobs.known(id)
    jobs.erase(id)
    return Response(status_code=204)


@router.post(
    "/api/jobs/{id}/cancel", summary="End an analysis that waits or runs", response_model=JobView, responses=may_fail(404, 409)
)
def cancel_job(request: Request, id: str) -> JobView:
    """Its file stays, so that it can be tried again. One that has ended already stays as it is."""
    jobs = _jobs(request)
    return jobs.view(jobs.cancel(id))


@router.post(
    "/api/jobs/{id}/retry",
    summary="Try an analysis again that failed or was cancelled",
    response_model=JobView,
    responses=may_fail(404, 409, 429, 507),
)
def retry_job(request: Request, id: str) -> JobView:
    jobs = _jobs(request)
    return jobs.view(jobs.retry(id))
