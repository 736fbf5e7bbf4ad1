"""Live views: sockets, inference, recordings."""

from typing import Any

from fastapi import APIRouter

from mien.web.settings import Settings
from mien.web.store import Store

router = APIRouter()


class Live:
    """All live views."""

    def __init__(self, settings: Settings, store: Store, analyzer: Any = None) -> None:
        self.settings, self.store, self.analyzer = settings, store, analyzer

    async def start(self) -> None:
        """With the server."""

    async def stop(self) -> None:
        """With the server."""
