"""What comes in from outside, looked at once, before any route meets it: text that can be written down, numbers that can be kept,
and bodies that come within their time.

A lone half of a letter, a NUL or a number that no database holds is refused here, so that nothing is stored that cannot be read.
"""

import asyncio
import json
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

from fastapi import Path
from pydantic import AfterValidator
from starlette.types import Message, Receive

from mien.study.definition import can_be_stored
from mien.web.errors import ApiError

WHOLE_MOST = 2**63 - 1
"""The largest whole number that databases keep."""

NAME_MOST = 2**31 - 1
"""The largest number that names something, such as a room: the column of a database has 32 bits."""

NUMBER_LETTERS_MAX = 400
"""No number that can be kept is written with more."""

SLOW_AFTER_S = 30.0
SLOWEST_BYTES_PER_S = 1024
"""A body that comes more slowly than this, half a minute aside, is not waited for; nor one that pauses for as long."""


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("wanted a moment that is one in UTC, too") from None


Moment = Annotated[datetime, AfterValidator(_in_utc)]
"""A date and time in UTC; one that says no zone is taken to be in it."""

NumberedName = Annotated[int, Path(ge=0, le=NAME_MOST)]
"""The number of a room or a face, in an address."""


def check_json(body: bytes) -> None:
    """Raises `ApiError` 422 for JSON with text or numbers that cannot be kept. What is no JSON is left to the route."""
    try:
        found = json.loads(body, parse_int=_whole, parse_constant=_no_number)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return
    except RecursionError:
        raise _refused("the request", "is nested too deeply") from None
    rest: list[tuple[str, Any]] = [("", found)]
    while rest:
        where, value = rest.pop()
        if isinstance(value, str) and not can_be_stored(value):
            raise _refused(where or "the request", "holds a NUL or half of a letter, which no text can hold")
        if isinstance(value, float) and not math.isfinite(value):
            raise _refused(where or "the request", "holds a number that is too large")
        if isinstance(value, list):
            rest += [(where, one) for one in value]
        if isinstance(value, dict):
            for name, one in value.items():
                if not can_be_stored(name):
                    raise _refused(where or "the request", "holds a name with a NUL or half of a letter")
                rest.append((f"{where}.{name}".strip(".")[:80], one))


def check_address(raw_path: bytes, query: bytes) -> None:
    """Raises `ApiError` 422 for an address with a NUL, which no name holds."""
    if b"\0" in unquote_to_bytes(raw_path) or b"\0" in unquote_to_bytes(query):
        raise _refused("the address", "holds a NUL, which no text can hold")


def in_time(receive: Receive, clock: Callable[[], float] = time.monotonic) -> Receive:
    """`receive` that raises `ApiError` 408 where a body comes too slowly. Once it is whole, whatever follows is waited for.

    Its time begins when it is first asked for: a route that reads none asks when its answer is sent, however long that took.
    """
    begun: float | None = None
    count, whole = 0, False

    async def receive_some() -> Message:
        nonlocal begun, count, whole
        if whole:
            return await receive()
        begun = clock() if begun is None else begun
        left_s = min(SLOW_AFTER_S, begun + SLOW_AFTER_S + count / SLOWEST_BYTES_PER_S - clock())
        try:
            if left_s <= 0:
                raise TimeoutError
            message = await asyncio.wait_for(receive(), left_s)
        except TimeoutError:
            raise ApiError(
                408, "too_slow", "The request came too slowly. Send it once more.", headers={"Connection": "close"}
            ) from None
        if message["type"] == "http.request":
            count += len(message.get("body", b""))
            whole = not message.get("more_body", False)
        return message

    return receive_some


async def checked(receive: Receive) -> Receive:
    """Reads a whole body, which `receive` keeps small, checks what JSON holds, and gives it to the route as one piece."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":  # gone
            first = message
            break
        body += message.get("body", b"")
        if not message.get("more_body", False):
            check_json(bytes(body))
            first = {"type": "http.request", "body": bytes(body), "more_body": False}
            break
    waiting: list[Message] = [first]

    async def receive_whole() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_whole


def _whole(digits: str) -> int:
    if len(digits) > NUMBER_LETTERS_MAX or abs(number := int(digits)) > WHOLE_MOST:
        raise _refused("the request", "holds a number that is too large")
    return number


def _no_number(word: str) -> float:
    raise _refused("the request", f"holds {word}, which is no number of JSON")


def _refused(where: str, why: str) -> ApiError:
    return ApiError(422, "invalid", f"{where} {why}")
