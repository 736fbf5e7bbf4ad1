"""Who may do what: passwords, tokens, login sessions, origins and hosts, and the headers of every answer.

`Guard` stands before the whole application, sockets included, so that no route can forget it.
"""

import hashlib
import hmac
import ipaddress
import re
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Hashable, MutableMapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request, Response
from sqlalchemy import delete as delete_rows
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.web.database import Login, Store, now
from mien.web.errors import ApiError
from mien.web.incoming import check_address, checked, in_time
from mien.web.settings import Settings, is_loopback

COOKIE = "mien_session"
ATTEMPTS_S = 60.0

LOOKED_AT = 60
"""So many times `login_attempts_per_minute` wrong codes or tokens of one address are looked at within a minute, though they are
answered 429, so that a right one among them is let in; beyond that only who was right there before."""

LET_IN_MAX = 20_000
"""So many of those who were right are remembered."""
READING = ("GET", "HEAD", "OPTIONS")

LOGIN_NEEDED, CROSS_ORIGIN = 4401, 4403
"""What a refused WebSocket is closed with; before it is accepted, browsers see HTTP 403."""

HOST = re.compile(r"[\w.-]+(:\d+)?|\[[\da-f:]+\](:\d+)?", re.ASCII | re.IGNORECASE)
CONTENT_SECURITY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "style-src 'self' 'unsafe-inline'",  # Plotly styles its drawings this way
        "script-src 'self'",
        "connect-src 'self'{sockets}",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
        "base-uri 'none'",
    )
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), display-capture=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

PARTICIPANTS = ("/take-part/", "/api/take-part/", "/api/participant/")
PARTICIPANTS_ALONE = ("/withdraw", "/api/participant")
"""What is open to people who take part in a study: they have no login. What they may do is decided by an invitation or by their
code, which comes in a header or a message, so that no other site's page can make a browser send it."""


class Attempts:
    """Counts how often an address tried within the last minute; forgets it then. May be called from any thread."""

    def __init__(self, per_minute: int, what: str = "wrong attempts") -> None:
        self.per_minute, self.what = per_minute, what
        self.times: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def check(self, address: str, *, count: bool = False) -> None:
        """Raises `ApiError` 429 for an address that has tried too often; else counts another attempt, where that is wanted."""
        moment, whose = time.monotonic(), network(address)
        with self._lock:
            for known in [a for a, times in self.times.items() if times[-1] < moment - ATTEMPTS_S]:
                del self.times[known]
            times = self.times.get(whose, deque())
            while times and times[0] < moment - ATTEMPTS_S:
                times.popleft()
            if len(times) >= self.per_minute:
                wait_s = int(ATTEMPTS_S - (moment - times[0])) + 1
                raise ApiError(
                    429,
                    "too_many_attempts",
                    f"Too many {self.what}. Try again in {wait_s} s.",
                    headers={"Retry-After": str(wait_s)},
                )
            if count:
                self.times.setdefault(whose, times).append(moment)

    def forgive(self, address: str) -> None:
        """Forgets the attempts of an address."""
        with self._lock:
            self.times.pop(network(address), None)


class LetIn:
    """Who was right, and where: who goes on though somebody guesses at the same address. Forgets the oldest. From any thread."""

    def __init__(self) -> None:
        self._known: dict[Hashable, None] = {}
        self._lock = threading.Lock()

    def __contains__(self, one: Hashable) -> bool:
        with self._lock:
            return one in self._known

    def add(self, one: Hashable) -> None:
        with self._lock:
            self._known.pop(one, None)
            self._known[one] = None
            if len(self._known) > LET_IN_MAX:
                del self._known[next(iter(self._known))]

    def drop(self, one: Hashable) -> None:
        with self._lock:
            self._known.pop(one, None)


class Security:
    """Decides about each request. Keeps hashes of the password and the token, never the words themselves."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Raises `ValueError` where others could reach the server and nothing would stop them."""
        if not (settings.is_local and not settings.public_url) and not (settings.password or settings.token):
            what = f"--public-url {settings.public_url}" if settings.public_url else f"--host {settings.host}"
            raise ValueError(
                f"{what} can be reached from other machines: wanted a password or a token; set MIEN_PASSWORD or "
                "MIEN_TOKEN, or give --password-file or --token-file"
            )
        self.settings, self.store = settings, store
        self.guarded = bool(settings.password or settings.token)
        self.password_hash = _password_hash(settings.password) if settings.password else None
        self._token = _digest(settings.token) if settings.token else None
        self._hosts = {name.strip("[]").lower() for name in (settings.host, *settings.allowed_hosts)} - {"0.0.0.0", "::"}
        if settings.public_url:
            self._hosts.add((urlsplit(settings.public_url).hostname or "").lower())
        if not settings.is_local:
            self._hosts.add(socket.gethostname().lower())
        self.attempts = Attempts(settings.login_attempts_per_minute)
        self.token_attempts = Attempts(settings.login_attempts_per_minute)
        self.token_guesses = Attempts(LOOKED_AT * settings.login_attempts_per_minute)
        self._programs = LetIn()  # addresses, and connections, by which the token came that was right
        self._one_by_one = threading.Lock()  # a hash takes 64 MiB; many at once would be a way to fill the memory

    # --- the password and the token

    def fits(self, word: str) -> bool:
        """Whether `word` is the password or the token. Slow on purpose."""
        token = self.is_token(word)
        if self.password_hash is None:
            return token
        from argon2 import PasswordHasher
        from argon2.exceptions import Argon2Error

        with self._one_by_one:
            try:
                return PasswordHasher().verify(self.password_hash, word)
            except Argon2Error:
                return token

    def is_token(self, word: str) -> bool:
        """Whether `word` is the token; as fast for a wrong one as for the right one."""
        return self._token is not None and hmac.compare_digest(self._token, _digest(word))

    def count_attempt(self, address: str) -> None:
        """Raises `ApiError` 429 for an address that has tried too often within a minute."""
        self.attempts.check(address, count=True)

    def forgive(self, address: str) -> None:
        """Who knew the password has no wrong attempts."""
        self.attempts.forgive(address)

    # --- login sessions

    def open_session(self) -> str:
        """A new session, kept as a hash; gives what the cookie is to hold."""
        word = secrets.token_urlsafe(32)
        with self.store.session() as rows:
            rows.execute(delete_rows(Login).where(Login.expires_at < now()))
            rows.add(Login(key=_digest(word), expires_at=now() + timedelta(hours=self.settings.login_hours)))
        return word

    def close_session(self, word: str) -> None:
        """Forgets a session."""
        with self.store.session() as rows:
            rows.execute(delete_rows(Login).where(Login.key == _digest(word)))

    def close_other_sessions(self, word: str | None) -> None:
        """Forgets every session but the one given."""
        with self.store.session() as rows:
            rows.execute(delete_rows(Login).where(Login.key != _digest(word or "")))

    def known_session(self, word: str) -> str | None:
        """What a cookie holds, if that is a session that has not ended."""
        with self.store.reading() as rows:
            ends = rows.scalar(select(Login.expires_at).where(Login.key == _digest(word)))
        # Further away than a login holds it was put by a clock that went ahead.
        known = ends is not None and timedelta(0) < ends - now() <= timedelta(hours=self.settings.login_hours, minutes=1)
        return word if known else None

    def set_cookie(self, request: HTTPConnection, response: Response, word: str) -> None:
        """Hands a session to a browser."""
        response.set_cookie(
            COOKIE,
            word,
            max_age=3600 * self.settings.login_hours,
            path="/",
            httponly=True,
            samesite="lax",
            secure=request.url.scheme in ("https", "wss"),
        )

    # --- requests

    async def judge(self, request: HTTPConnection) -> None:
        """Lets a request pass or raises `ApiError`.

        Leaves in `request.state`: `session` (what the cookie holds, if that is valid, else None) and `bearer` (whether the token
        came along).
        """
        headers, method, path = request.headers, request.scope.get("method", "GET"), request.url.path
        request.state.session, request.state.bearer = None, False
        self._check_host(headers)
        scheme, _, word = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.guarded:
            self.check_token(word.strip(), *((request.client.host, request.client.port) if request.client else ("", 0)))
            request.state.bearer = True
            return
        if path.startswith("/static/") and method in READING:
            return
        if is_for_participants(path):
            if method not in READING:
                self._check_origin(request)
            return
        cookie = request.cookies.get(COOKIE)
        if cookie:
            request.state.session = await run_in_threadpool(self.known_session, cookie)
        public = path in ("/login", "/api/login", "/static", "/favicon.ico", "/healthz", "/readyz")
        if method not in READING:
            self._check_origin(request)
        if self.guarded and request.state.session is None and not public:
            raise ApiError(401, "login_needed", "Log in first, or send the token: Authorization: Bearer TOKEN", headers=_ASK_TOKEN)

    async def judge_socket(self, socket: HTTPConnection) -> int | None:
        """None for a WebSocket that may be accepted, else the code to close it with."""
        try:
            origin = socket.headers.get("Origin")
            if origin is not None and not is_own(socket, origin):
                return CROSS_ORIGIN
            await self.judge(socket)
        except ApiError as error:
            return LOGIN_NEEDED if error.status_code == 401 else CROSS_ORIGIN
        return None

    def check_token(self, word: str, address: str, port: int) -> None:
        """Raises `ApiError` 401, and 429 for an address that guesses.

        A program at an address from which the right one came before is heard beside whoever guesses there, as long as the guesses
        are few enough to be hopeless; beyond that on the connection on which it was right.

        port  of the caller, which tells its connections apart; 0 where a proxy has hidden it
        """
        connection = (address, port)
        if not port or connection not in self._programs:
            (self.token_guesses if address in self._programs else self.token_attempts).check(address)
        if self.is_token(word):
            self._programs.add(address)
            self._programs.add(connection)
            return
        self._programs.drop(connection)
        self.token_guesses.check(address, count=True)
        self.token_attempts.check(address, count=True)
        raise ApiError(401, "wrong_token", "The token is not the one that this server was given.", headers=_ASK_TOKEN)

    def address_for_others(self, request: HTTPConnection) -> str | None:
        """What links begin with: the public address, else the one that was asked for; none where that is this machine's own."""
        if self.settings.public_url:
            return self.settings.public_url
        return None if is_loopback(request.url.hostname or "") else str(request.base_url).rstrip("/")

    def see_public(self, scope: Scope) -> None:
        """What was asked under the public address came over https where that begins with it, though a proxy hands it on without."""
        if (
            self.settings.public_url.startswith("https:")
            and Headers(scope=scope).get("Host", "").lower() == self.settings.public_host
        ):
            scope["scheme"] = "wss" if scope["type"] == "websocket" else "https"

    def _check_host(self, headers: Headers) -> None:
        """Against DNS rebinding: another's name that has come to mean this machine is not answered."""
        try:
            name = (urlsplit(f"//{headers.get('Host', '')}").hostname or "").lower()
        except ValueError:
            name = ""
        if is_loopback(name) or name in self._hosts:
            return
        if not self.settings.is_local and _is_address(name):
            return  # an address cannot be made to mean another machine
        raise ApiError(
            403,
            "unknown_host",
            f"This server is not called {name[:100]!r}. Use the address that it printed, or start it with "
            f"MIEN_ALLOWED_HOSTS={name[:100]}.",
        )

    def _check_origin(self, request: HTTPConnection) -> None:
        """A change comes from mien's own pages, or from a program, which no page can make send this.

        Every browser says where a change comes from. Whoever holds a cookie and does not say it is no browser that is known here.
        """
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
        unsaid = origin is None and site is None and COOKIE in request.cookies
        if unsaid or (origin is not None and not is_own(request, origin)) or site not in (None, "same-origin"):
            why = "this request comes from another site. Use mien's own pages."
            if request.url.scheme == "http" and (origin or "").lower() == f"https://{request.headers.get('Host', '')}".lower():
                why = "a proxy speaks https for this server, and nothing says that it may. Name it in MIEN_TRUSTED_PROXIES."
            raise ApiError(403, "cross_origin", f"Refused: {why}")


def new_password() -> str:
    """A password that can be read out and typed on a telephone: three groups of four, 59 bits."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"  # none that looks like another
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(3))


_ASK_TOKEN = {"WWW-Authenticate": "Bearer"}


def is_own(request: HTTPConnection, origin: str) -> bool:
    """Whether an `Origin` header names the very scheme, host and port that the request was sent to."""
    secure = request.url.scheme in ("https", "wss")
    try:
        sent, here = urlsplit(origin), urlsplit(f"//{request.headers.get('Host', '')}")
        default = 443 if secure else 80
        return (
            sent.scheme == ("https" if secure else "http")
            and sent.hostname is not None
            and (sent.hostname, sent.port or default) == (here.hostname, here.port or default)
        )
    except ValueError:  # a port that is none
        return False


def is_for_participants(path: str) -> bool:
    """Whether an address is one of those that people ask who take part in a study."""
    return path in PARTICIPANTS_ALONE or path.startswith(PARTICIPANTS)


class Guard:
    """Stands before everything: judges, limits bodies, adds headers, and turns whatever fails into an answer."""

    def __init__(self, app: ASGIApp, security: Security, answer: Any) -> None:
        """`answer(request, error)` makes the response of an error; an unexpected exception is handed to it as it is."""
        self.app, self.security, self.answer = app, security, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        self.security.see_public(scope)
        connection = HTTPConnection(scope, receive)
        if scope["type"] == "websocket":
            code = await self.security.judge_socket(connection)
            if code is None:
                await self.app(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": code})
            return
        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                add_headers(scope, message)
            await send(message)

        try:
            await self.security.judge(connection)
            check_address(scope.get("raw_path") or b"", scope["query_string"])
            taken = limited(scope, in_time(receive), self.security.settings)
            if _brings_plain_body(connection.headers):
                taken = await checked(taken)
            await self.app(scope, taken, send_with_headers)
        except Exception as error:
            if begun:
                raise  # half an answer is out; nothing can be said any more
            response = await self.answer(Request(scope, receive), error)
            await response(scope, receive, send_with_headers)


def _brings_plain_body(headers: Headers) -> bool:
    """Whether a body comes that is no form with a file: it is small, and looked at whole."""
    there = headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in headers
    return there and not headers.get("Content-Type", "").startswith("multipart/form-data")


def content_security(scope: Scope) -> str:
    """The policy of a page: it talks to this server alone. Its sockets are named: not every browser counts them as its own."""
    host = Headers(scope=scope).get("Host", "")
    kind = "wss" if scope.get("scheme") in ("https", "wss") else "ws"
    return CONTENT_SECURITY.format(sockets=f" {kind}://{host}" if HOST.fullmatch(host) else "")


def add_headers(scope: Scope, message: MutableMapping[str, Any]) -> None:
    """The headers of every answer; a route that set one itself keeps its own."""
    headers = MutableHeaders(scope=message)
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Content-Security-Policy", content_security(scope))
    if scope["path"].startswith("/api/") or scope["path"] == "/login":
        headers.setdefault("Cache-Control", "no-store")


# --- the size of what is sent

BODY_MAX_MIB = 1
UPLOADS = re.compile(r"/api/jobs|/api/studies/[^/]+/(films|rooms)")
"""Where films are sent to; everything else takes `BODY_MAX_MIB`."""

FORM_MAX_MIB = 1
"""What a form with a file may hold beside the file."""


def limited(scope: Scope, receive: Receive, settings: Settings) -> Receive:
    """`receive` that raises `ApiError` 413 as soon as more comes than the route may take, whatever Content-Length says."""
    form = Headers(scope=scope).get("Content-Type", "").startswith("multipart/form-data")
    uploads = form and scope["method"] == "POST" and UPLOADS.fullmatch(scope["path"]) is not None
    most_mib = settings.upload_max_mib if uploads else BODY_MAX_MIB
    most = (most_mib + (FORM_MAX_MIB if uploads else 0)) * 2**20
    what = "file" if uploads else "request"
    too_large = ApiError(
        413, "too_large", f"The {what} is too large: at most {most_mib} MiB are taken.", headers={"Connection": "close"}
    )
    said = Headers(scope=scope).get("Content-Length", "")
    if said.isdigit() and int(said) > most:
        raise too_large
    count = 0

    async def receive_some() -> Message:
        nonlocal count
        message = await receive()
        if message["type"] == "http.request":
            count += len(message.get("body", b""))
            if count > most:
                raise too_large
        return message

    return receive_some


def own_path(path: str) -> str:
    """A path on this server to go to after the login; anything else becomes the first page."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if plain else "/"


def _digest(word: str) -> str:
    return hashlib.sha256(word.encode("utf-8", "surrogatepass")).hexdigest()


def _password_hash(word: str) -> str:
    from argon2 import PasswordHasher

    return PasswordHasher().hash(word)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def network(address: str) -> str:
    """Callers are counted by address; of IPv6 by what one customer is given."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return address
    return str(ip.ipv4_mapped or ipaddress.IPv6Network((ip.packed[:8] + bytes(8), 64)))
