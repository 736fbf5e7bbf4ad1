"""Sharing in the local network: a server with a certificate made here, and before it a page without https that says what comes.

Browsers warn of such a certificate before they show anything. Links and QR codes lead to the doorstep, which prepares for the
warning and leads on; nothing else is told or taken there.
"""

import asyncio
import contextlib
import dataclasses
import io
import re
import socket
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlsplit

from mien.errors import MienError
from mien.web.network import certificate_name, checked_certificate, local_address, own_certificate
from mien.web.routes.pages import templates
from mien.web.settings import Settings, is_loopback
from mien.web.studies.texts import best_language, said

OWN_CERTIFICATE = "certificate.pem"
HEAD_MAX_BYTES, HEAD_WITHIN_S, AT_ONCE_MAX = 16_384, 10.0, 64
LEADS_ON = re.compile(r"/(take-part/[\w-]{1,64})?(\?[\w.~%&=+-]{0,512})?", re.ASCII)
"""Whither it leads: the first page and invitations; anything else is led to the first page."""

Listen = Callable[[str, int], socket.socket]


class Doorstep:
    """Answers each request on `door` with the page that says what comes and leads on to https at `port`."""

    def __init__(self, door: socket.socket, port: int, name: str) -> None:
        """`name`: this machine's own address, which is led on to where a request does not say by which address it came."""
        self.door, self.port, self.name = door, port, name
        self.url = f"http://{name}:{door.getsockname()[1]}"
        self._open = 0
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begins to answer, in the loop that runs."""
        self._server = await asyncio.start_server(self._meet, sock=self.door, limit=HEAD_MAX_BYTES)

    def close(self) -> None:
        """Ends it; may be called at any time."""
        if self._server is not None:
            self._server.close()
        self.door.close()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= AT_ONCE_MAX:
                async with asyncio.timeout(HEAD_WITHIN_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self.answer(head.decode("latin-1")))
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever it was has gone, or never asked
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def answer(self, head: str) -> bytes:
        """The response to a request, given by its first lines."""
        first, *lines = head.split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        method, _, rest = first.partition(" ")
        if method not in ("GET", "HEAD"):
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, "", with_body=True)
        path = rest.partition(" ")[0]
        language = best_language(headers.get("accept-language", ""))
        page = templates().get_template("doorstep.html")
        text = page.render(
            language=language,
            goal=f"https://{self._asked(headers.get('host', ''))}:{self.port}{path if LEADS_ON.fullmatch(path) else '/'}",
            invited=path.startswith("/take-part/"),
            said=lambda key: said(key, language),
        )
        return _response(HTTPStatus.OK, text, with_body=method == "GET")

    def _asked(self, host: str) -> str:
        """The address that was asked for: this machine may have several. A name that is no address could be anybody's."""
        with contextlib.suppress(ValueError):
            name = urlsplit(f"//{host}").hostname or ""
            if re.fullmatch(r"[\d.]{7,15}|[\da-f:]{2,39}", name):
                return f"[{name}]" if ":" in name else name
        return self.name


def _response(status: HTTPStatus, text: str, *, with_body: bool) -> bytes:
    body = text.encode()
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Content-Type: text/html; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options: nosniff",
        "Referrer-Policy: no-referrer",
        "Cache-Control: no-store",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode("latin-1") + (body if with_body else b"")


def shared(settings: Settings, listen: Listen) -> tuple[Settings, Doorstep | None]:
    """The settings of a server that the local network reaches, and its doorstep where the certificate is made here.

    settings    with the port that is listened on
    listen      gives a socket that listens, as `mien.web.app.listen`

    Raises `MienError` where there is no network, and `DataError` for a certificate that cannot be used.
    """
    everywhere = settings.host in ("0.0.0.0", "::")
    name = local_address() if everywhere else settings.host.strip("[]")
    shown = f"[{name}]" if ":" in name else name
    if settings.tls_cert is not None:
        known = certificate_name(checked_certificate(settings.tls_cert, settings.tls_key)) or shown
        return dataclasses.replace(settings, public_url=settings.public_url or f"https://{known}:{settings.port}"), None
    here = socket.gethostname()
    names = [name, *([here] if here.isascii() and here else []), "localhost", "127.0.0.1"]
    file = own_certificate(settings.data_dir / OWN_CERTIFICATE, list(dict.fromkeys(names)))
    settings = dataclasses.replace(settings, tls_cert=file)
    if settings.public_url:
        return settings, None
    try:
        door = listen(settings.host, settings.port + 1)
    except (MienError, OverflowError):
        door = listen(settings.host, 0)
    step = Doorstep(door, settings.port, shown)
    return dataclasses.replace(settings, public_url=step.url), step


def code(url: str) -> str:
    """A QR code of an address, in blocks of text that a dark and a light terminal show alike to a camera."""
    import segno

    text = io.StringIO()
    segno.make(url, error="m", micro=False).terminal(text, compact=True, border=2)
    return text.getvalue().rstrip("\n")


def check_sharing(host: str) -> None:
    """Raises `ValueError` for an address that the local network does not reach."""
    if is_loopback(host):
        raise ValueError(f"--share listens in the local network, which does not reach --host {host}; leave one of them out")
