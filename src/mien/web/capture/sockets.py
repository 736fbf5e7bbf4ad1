"""The one protocol of cameras: a hello up and a ready down, then frames up as bytes and answers down as JSON. See docs/api.md.

Live views, rooms and participants differ in what a hello says and in what becomes of their frames, and in nothing else.
"""

import asyncio
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect

from mien.errors import MienError
from mien.web.capture import wire
from mien.web.capture.reader import Reader
from mien.web.capture.views import BREACHES_MAX, HELLO_WITHIN_S, Line, Page, spawn
from mien.web.capture.wire import WireError
from mien.web.database import passes
from mien.web.settings import Settings

WAITING_MAX = 8
"""Frames of one page that wait to be read and may not be left out; the rest waits in the socket."""

H = TypeVar("H", bound=wire.Up)
L = TypeVar("L", bound=Line)


class Sockets(ABC, Generic[H, L]):
    """All sockets of one kind of camera, from their opening to their end.

    at_once  how many there may be
    hello    what the first message is
    film     whether frames say where a film was
    """

    hello: type[H]
    film = False

    def __init__(self, settings: Settings, reader: Reader, at_once: int) -> None:
        self.settings, self.reader, self.at_once = settings, reader, at_once
        self._open = 0

    @abstractmethod
    async def begin(self, hello: H, page: Page) -> L:
        """The stream that a hello asks for, once its page is told so. Raises `WireError`, `MienError` or `OSError`."""

    @abstractmethod
    async def said(self, stream: L, text: str) -> None:
        """What a page says between its frames. Raises `WireError`."""

    @abstractmethod
    def left(self, stream: L, *, for_good: bool) -> None:
        """A page is gone: closed by its own wish, or cut off."""

    async def serve(self, socket: WebSocket) -> None:
        """A page's socket from its opening to its end."""
        await socket.accept()
        page = Page(socket)
        if self._open >= self.at_once:
            await page.refuse(WireError("too_many", "Too many cameras are open right now; it is tried again."), wire.CLOSE_TOO_MANY)
            return
        self._open += 1
        sending = spawn(page.send_for_ever())
        stream: L | None = None
        code = 1006
        try:
            stream = await self.begin(await self._hello(page), page)
            code = await self._listen(stream, page)
        except WebSocketDisconnect as gone:
            code = gone.code
        except WireError as error:
            await page.refuse(error, error.close)
        except MienError as error:
            await page.refuse(WireError("cannot_read", str(error)), 1011)
        except OSError as error:
            words = f"What is measured cannot be kept: {error.strerror or error}."
            await page.refuse(WireError("storage_full", words), wire.CLOSE_LATER)
        except Exception as error:
            if not passes(error):
                raise
            await page.refuse(
                WireError("storage_full", "The database cannot keep it just now; it is tried again."), wire.CLOSE_LATER
            )
        finally:
            self._open -= 1
            sending.cancel()
            if stream is not None and stream.page is page:
                stream.page = None
                self.left(stream, for_good=code == 1000)

    async def _hello(self, page: Page) -> H:
        try:
            async with asyncio.timeout(HELLO_WITHIN_S):
                message = await page.socket.receive()
        except TimeoutError:
            raise WireError("bad_message", f"No hello came within {HELLO_WITHIN_S:g} s.") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        return wire.read_message(message.get("text") or "", self.hello)

    async def _listen(self, stream: L, page: Page) -> int:
        """Takes a page's messages until it is gone; the code of the closing."""
        while True:
            message = await page.socket.receive()
            if message["type"] == "websocket.disconnect":
                return int(message.get("code") or 1006)
            try:
                if message.get("bytes") is not None:
                    await self._frame(stream, message["bytes"])
                else:
                    await self.said(stream, message.get("text") or "")
                page.breaches = 0
            except WireError as error:
                page.tell(wire.Failure.of(error).text())
                page.breaches += 1
                if page.breaches >= BREACHES_MAX:
                    await page.close(wire.CLOSE_BREACH)
                    return wire.CLOSE_BREACH

    async def _frame(self, stream: L, message: bytes) -> None:
        try:
            head, picture = wire.read_frame(message, max_bytes=self.settings.live_frame_max_kib * 1024, film=self.film)
            waiting = stream.accept(head, picture)
        except WireError as error:
            stream.dropped += error.sequence is not None
            raise
        if waiting.keep:
            await stream.until(lambda: len(stream.queue) < WAITING_MAX, None)
        self.reader.put(waiting)
