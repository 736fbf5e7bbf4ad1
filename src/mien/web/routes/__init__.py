"""All HTTP: the interface under /api, and the pages."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI


def every_route(app: "FastAPI") -> Iterator[Any]:
    """The routes, sockets and mounts of an application one by one; FastAPI keeps routers that were included whole."""

    def walk(routes: Any) -> Iterator[Any]:
        for route in routes:
            if hasattr(route, "original_router"):
                yield from walk(route.original_router.routes)
            else:
                yield route

    return walk(app.routes)
