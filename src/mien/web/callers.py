"""Connections: how many there may be, and how long one may take to say what it wants.

uvicorn limits neither. Its protocol is taken as it is; here it counts, and gives up those that have said nothing whole when room is
needed: an honest request says at once what it wants, and so always finds a place beside any number of half ones.
"""

import asyncio
import ipaddress
import logging
import ssl
import time
from collections import Counter
from pathlib import Path
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import get_remote_addr

from mien.web.security import network
from mien.web.settings import Settings

FILES_KEPT = 256
"""Files and pipes of the server itself, of those that the system lets it open."""

AT_ONCE = 4096
"""Bytes of a request that are read before others have their turn: of tiny pieces, reading is slow."""

LOGGED_EVERY_S = 60.0

log = logging.getLogger(__name__)


class Callers:
    """All connections of a server. Used in its event loop alone."""

    def __init__(self, settings: Settings) -> None:
        allowed = files_allowed()
        self.most = min(settings.connections_max, max(allowed - FILES_KEPT, allowed // 2))
        self.most_of_one, self.head_s = settings.connections_per_address_max, settings.request_max_s
        self.proxies = [ipaddress.ip_network(proxy, strict=False) for proxy in settings.trusted_proxies]
        self.count: Counter[str] = Counter()
        self.waiting: dict[Connection | Handshake, str] = {}
        """Those of whom no request is being answered, with whose they are, the oldest first."""
        self._told_s = -LOGGED_EVERY_S

    def enter(self, one: "Connection | Handshake", address: str) -> str | None:
        """Counts a connection and gives as whose; one that waits is given up for it where there are too many. None where there is
        none to give up."""
        whose = network(address)
        of_one = self.count[whose] >= self.most_of_one and not self._is_proxy(address)
        if of_one or self.count.total() >= self.most:
            self.tell(f"too many connections{f' from {address}' if of_one else ''}; those that ask for nothing are closed")
            idle = next((other for other, others in self.waiting.items() if not of_one or others == whose), None)
            if idle is None:
                return None
            idle.give_up()
        self.count[whose] += 1
        self.waiting[one] = whose
        return whose

    def leave(self, one: "Connection | Handshake", whose: str) -> None:
        """A connection is gone, or has become a socket, whose number has limits of its own."""
        self.waiting.pop(one, None)
        self.count[whose] -= 1
        if self.count[whose] <= 0:
            del self.count[whose]

    def _is_proxy(self, address: str) -> bool:
        """Whether it speaks for many."""
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(ip in proxy for proxy in self.proxies)

    def tell(self, what: str) -> None:
        """Writes it into the log, at most once a minute, however often it happens."""
        if time.monotonic() - self._told_s >= LOGGED_EVERY_S:
            self._told_s = time.monotonic()
            log.warning("%s", what)

    def failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """The event loop's handler of errors: where the system gives no more connections, it tries again each second by itself, and
        says so once for each of those that wait."""
        if "socket.accept()" in str(context.get("message")):
            self.tell("the system has no room for more connections; it is tried again each second")
        else:
            loop.default_exception_handler(context)


class Connection(H11Protocol):
    """One connection, as uvicorn speaks with it; `callers` is set by `protocol`."""

    callers: Callers
    _whose: str | None = None
    _head_by: asyncio.TimerHandle | None = None
    _rest = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._whose = self.callers.enter(self, self.client[0] if self.client else "")
        if self._whose is None:
            self.give_up()
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest = b""
        self._gone()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._rest:
            self._rest += data
            self.transport.pause_reading()
        else:
            self._read(data)

    def _read(self, data: bytes) -> None:
        at_once = AT_ONCE if self._comes_in_pieces() else len(data)
        now, self._rest = data[:at_once], data[at_once:]
        super().data_received(now)
        if self._rest and not self.transport.is_closing():
            self.transport.pause_reading()
            self.loop.call_soon(self._read_rest)

    def _comes_in_pieces(self) -> bool:
        """Whether what comes next may be many tiny things: heads, or a body in chunks."""
        in_body = self.cycle is not None and self.cycle.more_body and not self.cycle.response_complete
        return not in_body or any(name == b"transfer-encoding" for name, _ in self.headers)

    def _read_rest(self) -> None:
        data, self._rest = self._rest, b""
        if not data or self.transport.is_closing():
            return
        if not self.flow.read_paused:
            self.transport.resume_reading()
        spoken = self.transport.get_protocol()
        if spoken is self:
            self._read(data)
        elif isinstance(spoken, asyncio.Protocol):  # it has become a socket
            spoken.data_received(data)

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:  # a request has begun
            self._busy()

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._gone()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        self._wait()
        super().on_response_complete()

    def give_up(self) -> None:
        """Closes it without a word."""
        self._gone()
        self._rest = b""
        self.transport.abort()

    def _wait(self) -> None:
        if self._whose is None:
            return
        self.callers.waiting.pop(self, None)
        self.callers.waiting[self] = self._whose
        if self._head_by is None:
            self._head_by = self.loop.call_later(self.callers.head_s, self.give_up)

    def _busy(self) -> None:
        self.callers.waiting.pop(self, None)
        if self._head_by is not None:
            self._head_by.cancel()
            self._head_by = None

    def _gone(self) -> None:
        self._busy()
        if self._whose is not None:
            self.callers.leave(self, self._whose)
            self._whose = None


class Handshake(asyncio.Protocol):
    """A connection that is to be https, until both sides agreed on their keys; then `Connection` speaks.

    asyncio's own servers tell of a connection only afterwards: of those that never come so far, any number would stay for a minute.
    """

    callers: Callers
    context: ssl.SSLContext
    _whose: str | None = None
    _early = b""
    _lost = False

    def __init__(self, **given: Any) -> None:
        """`given`: as uvicorn makes its protocols."""
        self.spoken = type("Connection", (Connection,), {"callers": self.callers})(**given)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        transport.pause_reading()  # what comes is the handshake's
        client = get_remote_addr(transport)
        self._whose = self.callers.enter(self, client[0] if client else "")
        if self._whose is None:
            transport.abort()
            return
        self.spoken.connections.add(self)  # so that it is closed with the server
        self._shaking = self.spoken.loop.create_task(self._shake())

    async def _shake(self) -> None:
        try:
            secure = await self.spoken.loop.start_tls(
                self.transport, self, self.context, server_side=True, ssl_handshake_timeout=self.callers.head_s
            )
        except OSError:  # it took too long, was none, or the caller has gone
            return
        finally:
            self._gone()
        if secure is None or self._lost:
            return
        secure.set_protocol(self.spoken)
        self.spoken.connection_made(secure)
        if self._early:
            self.spoken.data_received(self._early)

    def data_received(self, data: bytes) -> None:
        """Said together with the end of the handshake."""
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._gone()

    def shutdown(self) -> None:
        """The server ends."""
        self.give_up()

    def give_up(self) -> None:
        """Closes it without a word."""
        self._gone()
        self.transport.abort()

    def _gone(self) -> None:
        self.spoken.connections.discard(self)
        if self._whose is not None:
            self.callers.leave(self, self._whose)
            self._whose = None


def protocol(callers: Callers, context: ssl.SSLContext | None = None) -> type[asyncio.Protocol]:
    """What uvicorn is to speak with each connection; `context`: over https."""
    if context is None:
        return type("Connection", (Connection,), {"callers": callers})
    return type("Handshake", (Handshake,), {"callers": callers, "context": context})


def secured(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """What a server needs to speak https with a certificate that was checked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


class Seldom(logging.Filter):
    """Lets each warning through once a minute: whoever sends nonsense a thousand times a second does not fill the disk with it."""

    def __init__(self) -> None:
        super().__init__()
        self._told_s: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info or record.levelno > logging.WARNING:
            return True
        moment = time.monotonic()
        if moment - self._told_s.get(str(record.msg), -LOGGED_EVERY_S) < LOGGED_EVERY_S:
            return False
        self._told_s[str(record.msg)] = moment
        return True


def files_allowed() -> int:
    """How many files this process may open: as many as the system lets it, once it asked."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such limit
        return 8192
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft
