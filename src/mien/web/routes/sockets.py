"""The sockets of cameras. See docs/api.md."""

from fastapi import APIRouter, WebSocket

from mien.web.capture.live import Live
from mien.web.studies.participant_live import Watching

router = APIRouter()


@router.websocket("/api/live")
async def live_view(socket: WebSocket) -> None:
    live: Live = socket.app.state.live
    await live.serve(socket)


@router.websocket("/api/participant/live")
async def participant_view(socket: WebSocket) -> None:
    watching: Watching = socket.app.state.watching
    await watching.serve(socket)
