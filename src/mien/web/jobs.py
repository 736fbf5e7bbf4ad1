"""Jobs: files that are analysed, one after the other, in processes of their own."""

from fastapi import APIRouter

from mien.web.settings import Settings
from mien.web.store import Store

router = APIRouter()


class Jobs:
    """The queue."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.store = settings, store

    async def start(self) -> None:
        """With the server."""

    async def stop(self) -> None:
        """With the server."""
