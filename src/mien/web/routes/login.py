"""Logging in and out, and how a browser stands with the server."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from mien.web.errors import ApiError, may_fail
from mien.web.security import COOKIE, Security, own_path

router = APIRouter(tags=["Login"])


class Password(BaseModel):
    """What opens a session."""

    password: str = Field(max_length=1000, description="the password, or the token", examples=["a long pass phrase"])


class SessionState(BaseModel):
    """How a browser stands with this server."""

    guarded: bool = Field(description="whether this server has a password or a token")
    logged_in: bool = Field(description="whether this request came with a session or the token")
    csrf: None = Field(
        default=None, description="always null: where a change comes from is told by the browser, and no token is needed"
    )


_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": Password.model_json_schema()},
            "application/x-www-form-urlencoded": {"schema": Password.model_json_schema()},
        },
    }
}


@router.get("/api/session", summary="How this browser stands with the server")
def session(request: Request) -> SessionState:
    return session_state(request, request.state.session)


@router.post("/api/login", summary="Log in", responses=may_fail(401, 403, 409, 422, 429), openapi_extra=_FORM)
async def login(request: Request) -> SessionState:
    """Takes the password as JSON or as a form and sets a session's cookie. Programs send the token instead and need no login."""
    security: Security = request.app.state.security
    form = not request.headers.get("Content-Type", "").startswith("application/json")
    try:
        given = Password.model_validate(dict(await request.form()) if form else await request.json())
    except (ValueError, ValidationError):
        raise ApiError(422, "invalid", 'Wanted {"password": "…"}.') from None
    if not security.guarded:
        raise ApiError(409, "no_password", "This server has no password; every page is open on this machine.")
    address = request.client.host if request.client else ""
    security.count_attempt(address)
    if not await run_in_threadpool(security.fits, given.password):
        raise ApiError(401, "wrong_password", "The password is not right.")
    security.forgive(address)
    if request.state.session:
        await run_in_threadpool(security.close_session, request.state.session)
    word = await run_in_threadpool(security.open_session)
    response: Any = session_state(request, word)
    if form:
        response = RedirectResponse(own_path(request.query_params.get("next", "/")), 303)
    else:
        response = JSONResponse(response.model_dump())
    security.set_cookie(request, response, word)
    return response  # type: ignore[no-any-return]


@router.post("/api/logout", status_code=204, summary="Log out", responses=may_fail(401, 403))
def logout(request: Request) -> Response:
    """Forgets the session."""
    security: Security = request.app.state.security
    if request.state.session:
        security.close_session(request.state.session)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return response


def session_state(request: Request, word: str | None) -> SessionState:
    """The state of a request that came with the session `word`."""
    security: Security = request.app.state.security
    logged_in = not security.guarded or word is not None or request.state.bearer
    return SessionState(guarded=security.guarded, logged_in=logged_in)
