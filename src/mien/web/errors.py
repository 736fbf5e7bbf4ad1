"""What a request can be answered with when it is not done: one error, one body, everywhere under /api.

{"error": {"code": "not_found", "message": "There is no analysis k3v9….", "detail": null}}
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException


class ApiError(HTTPException):
    """Ends a request with `status` and the error body; `message` is fit to show, `code` is for programs."""

    def __init__(
        self, status: int, code: str, message: str, *, detail: list[Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, message, headers)
        self.code, self.message, self.more = code, message, detail


class Fault(BaseModel):
    """What went wrong."""

    code: str = Field(description="a word for programs", examples=["not_found"])
    message: str = Field(
        description="what went wrong and what to do, fit to show", examples=["There is no analysis k3v9Qm0aZx81tRbW."]
    )
    detail: list[Any] | None = Field(default=None, description="more of it, where there is more", examples=[None])


class ErrorBody(BaseModel):
    """The body of every answer that is an error."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"error": {"code": "not_found", "message": "There is no analysis k3v9Qm0aZx81tRbW.", "detail": None}}]
        }
    )

    error: Fault


def body(error: ApiError) -> dict[str, Any]:
    """The error as JSON."""
    return {"error": {"code": error.code, "message": error.message, "detail": error.more}}


REASONS = {
    400: "The request cannot be read",
    401: "A login or a token is needed",
    403: "Refused: another origin or another host",
    404: "There is no such thing",
    408: "The request came too slowly",
    409: "It does not fit the state that things are in",
    413: "Too large",
    415: "Not the kind of content that is read here",
    416: "There is no such range",
    422: "A value cannot be",
    429: "Too many at once",
    503: "The database is busy or cannot be reached",
    507: "No space is left",
}


def may_fail(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these errors, for the OpenAPI page."""
    return {status: {"model": ErrorBody, "description": REASONS[status]} for status in statuses}
