"""What is stored, and erasing all of it."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from mien.web.errors import may_fail
from mien.web.retention.storage import Storage, StorageSummary

router = APIRouter(tags=["What is stored"])


class Erase(BaseModel):
    """Says that it is meant."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"confirm": "erase"}]})

    confirm: Literal["erase"]


@router.get("/api/storage", summary="What is stored", responses=may_fail(401))
def storage(request: Request) -> StorageSummary:
    """How much there is of what, how old the oldest is, and when it erases itself."""
    kept: Storage = request.app.state.storage
    return kept.summary()


@router.delete("/api/storage", status_code=204, summary="Erase everything", responses=may_fail(401, 403, 422))
async def erase_everything(request: Request, asked: Erase) -> Response:
    """Ends what runs, then erases every analysis, recording and study with all files, and every login but the one that asks."""
    state = request.app.state
    await run_in_threadpool(state.storage.erase_all)
    await run_in_threadpool(state.security.close_other_sessions, request.state.session)
    return Response(status_code=204)
