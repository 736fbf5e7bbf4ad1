"""What is counted for Prometheus, and its text format (version 0.0.4)."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})

Sample = tuple[Mapping[str, str], float]


class Requests:
    """How many requests were answered with a status of each hundred, and the seconds until their answers began."""

    def __init__(self) -> None:
        self.count: Counter[int] = Counter()
        self.seconds = 0.0

    def note(self, status: int, seconds: float) -> None:
        """An answer has begun."""
        self.count[status // 100] += 1
        self.seconds += seconds


class Meter:
    """Stands before the whole application and counts its answers; used in the event loop alone."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self.app, self.requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.requests.note(message["status"], time.perf_counter() - began)
            await send(message)

        await self.app(scope, receive, counted)


def text(families: Iterable[tuple[str, str, str, Iterable[Sample]]]) -> str:
    """Families of (name, "gauge" or "counter", what it is, samples) as Prometheus reads them."""
    lines = []
    for name, kind, meaning, samples in families:
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{_labels(labels)} {float(value):.17g}" for labels, value in samples]
    return "\n".join([*lines, ""])


def one(value: float | bool, **labels: str) -> list[Sample]:
    """The samples of a family that has one."""
    return [(labels, float(value))]


def _labels(labels: Mapping[str, Any]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{str(value).translate(_ESCAPES)}"' for name, value in labels.items()) + "}"
