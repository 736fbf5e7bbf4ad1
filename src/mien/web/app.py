"""The application: routers, pages, static files, one error body, what starts and stops with the server; and running it."""

import asyncio
import contextlib
import dataclasses
import errno
import gzip
import importlib.util
import logging
import os
import re
import secrets
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from mien import __version__
from mien.errors import MienError
from mien.web.capture.views import spawn
from mien.web.database import is_shared, refusal
from mien.web.doorstep import shared
from mien.web.errors import ApiError, ErrorBody, body, may_fail
from mien.web.network import checked_certificate
from mien.web.operations.log_lines import log_json
from mien.web.operations.metrics import Meter, Requests
from mien.web.routes import (
    analyses,
    info,
    login,
    operations,
    pages,
    participant_pages,
    participants,
    reference,
    reports,
    results,
    room_pages,
    rooms,
    sockets,
    storage,
    studies,
    study_pages,
)
from mien.web.security import Guard, Security
from mien.web.services import Services, only_one, private_files
from mien.web.settings import Settings

if TYPE_CHECKING:
    from mien.analyze import Analyzer

STATIC = Path(__file__).parent / "static"
SHARED_STATIC = Path(__file__).parents[1] / "static"
"""What reports are drawn with here and in files that open without a server, alike."""
ROUTED = (
    *(info, analyses, results, studies, reports, rooms, participants, sockets, storage, login),
    *(pages, study_pages, participant_pages, room_pages, operations),
)
WARM_AFTER_S = 0.5
DRAINED_S = 0.1
"""How often it is looked whether all that is under way has ended."""
GZIPPED_BYTES_MIN = 1000
STOP_WITHIN_S = 5
BACKLOG = 512
"""Connections that the system holds until they are taken."""

ABOUT = """Everything that mien's pages do. Errors have one body: `{"error": {"code", "message", "detail"}}`.

Programs on the same machine need nothing where no password is set; elsewhere they send `Authorization: Bearer TOKEN`."""

log = logging.getLogger(__name__)


def create_app(settings: Settings, analyzer: "Analyzer | None" = None) -> FastAPI:
    """The application, its tables migrated; `analyzer` reads live frames (default: the settings' model, loaded after the start).

    Raises `ValueError` where others could reach the server and nothing would stop them, `DataError` for a database that cannot be
    used, and `ModelError` for a cluster that does not answer.
    """
    services = Services(dataclasses.replace(settings, password="", token=""), analyzer)
    guard = Security(settings, services.store)  # from here on there are only hashes
    services.store.migrate()
    if services.workers is not None:
        services.workers.client()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.stopping = asyncio.Event()
        async with services.running():
            try:
                yield
            finally:
                app.state.stopping.set()
                if app.state.warming.is_alive():  # Python must not end while it imports what is written in C++
                    await run_in_threadpool(app.state.warming.join)

    app = FastAPI(
        title="mien",
        version=__version__,
        description=ABOUT,
        lifespan=lifespan,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # one address for each thing
        swagger_ui_oauth2_redirect_url=None,
        responses=may_fail(401, 403, 422) | {"default": {"model": ErrorBody, "description": "Any other error"}},
    )
    for name, service in vars(services).items():
        setattr(app.state, name, service)
    app.state.security = guard
    app.state.stopping, app.state.draining = asyncio.Event(), False
    app.state.requests, app.state.started_s = Requests(), time.time()
    app.state.warming = threading.Thread(target=info.warm, args=(app,), name="warm")
    made = app.openapi
    app.openapi = lambda: app.openapi_schema or reference.complete(made())  # type: ignore[method-assign]
    for module in ROUTED:
        app.include_router(module.router)
    plotly = _plotly_script()

    @app.get("/static/plotly.js", include_in_schema=False)
    def plotly_script(request: Request) -> Response:
        headers = {"Cache-Control": "max-age=86400", "Vary": "Accept-Encoding"}
        if takes_gzip(request.headers.get("Accept-Encoding", "")):
            return Response(gzipped(plotly), media_type="text/javascript", headers=headers | {"Content-Encoding": "gzip"})
        return FileResponse(plotly, media_type="text/javascript", headers=headers)

    @app.get("/favicon.ico", include_in_schema=False)
    def icon() -> FileResponse:
        """Browsers ask for it where they show a file or a plain answer."""
        return FileResponse(STATIC / "favicon.svg", headers={"Cache-Control": "max-age=86400"})

    for path, folder, name in (("/static/mien", SHARED_STATIC, "shared"), ("/static", STATIC, "static")):
        app.mount(path, GZipMiddleware(StaticFiles(directory=folder), minimum_size=GZIPPED_BYTES_MIN), name=name)
    app.add_exception_handler(HTTPException, answer)
    app.add_exception_handler(RequestValidationError, answer)
    app.add_middleware(Guard, security=guard, answer=answer)
    app.add_middleware(Meter, requests=app.state.requests)
    return app


@cache
def gzipped(file: Path) -> bytes:
    """A file that does not change, packed once."""
    return gzip.compress(file.read_bytes(), compresslevel=6)


def takes_gzip(accepted: str) -> bool:
    """Whether an `Accept-Encoding` header takes gzip."""
    for part in accepted.lower().split(","):
        name, _, rest = part.partition(";")
        if name.strip() == "gzip":
            return re.fullmatch(r"q=0(\.0*)?", rest.strip()) is None
    return False


def _plotly_script() -> Path:
    """Plotly's script out of its package, which is found without being imported."""
    found = importlib.util.find_spec("plotly")
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = Path(folder) / "package_data" / "plotly.min.js"
        if path.is_file():
            return path
    raise MienError("plotly's script is not installed; run: pip install 'mien[web]'")


# --- errors


async def answer(request: Request, error: Exception) -> Response:
    """The response to a request that failed: the error body under /api, else a page."""
    fault = as_api_error(request, error)
    if request.url.path.startswith("/api/"):
        return JSONResponse(body(fault), fault.status_code, headers=dict(fault.headers or {}))
    if fault.status_code == 401 and request.method in ("GET", "HEAD"):
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(
            str(request.url_for("login_page").include_query_params(next=target).replace(scheme="", netloc="")), 303
        )
    return await run_in_threadpool(pages.error_page, request, fault)


PLAIN = {
    404: ("not_found", "There is nothing at {path}."),
    405: ("method_not_allowed", "{path} cannot be asked with {method}."),
}


def as_api_error(request: Request, error: Exception) -> ApiError:
    """Any exception as one that can be answered. What nobody expected is logged under an id, and only the id is told."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RequestValidationError):
        detail = [{"where": [str(part) for part in e["loc"]], "what": e["msg"]} for e in error.errors()]
        first, given = detail[0], error.errors()[0].get("input")
        where = " ".join(first["where"][1:]) or first["where"][0]
        but = f", but got {given!r:.60}" if isinstance(given, str | float) or (isinstance(given, int) and abs(given) < 1e60) else ""
        return ApiError(422, "invalid", f"{where}: {first['what'][0].lower()}{first['what'][1:]}{but}", detail=detail)
    if isinstance(error, HTTPException):
        code, message = PLAIN.get(error.status_code, ("http", str(error.detail)))
        message = message.format(path=request.url.path, method=request.method)
        return ApiError(error.status_code, code, message, headers=error.headers)
    known = refusal(error)
    if known is not None:
        if known.status_code >= 500:
            log.warning("%s %s: %s", request.method, request.url.path, known.message)
        return known
    number = secrets.token_hex(4)
    log.error("error %s: %s %s", number, request.method, request.url.path, exc_info=error)
    message = f"Something went wrong that was not expected. The server's output has it under {number}."
    return ApiError(500, "unexpected", message)


# --- running it


def run(settings: Settings, ready: Callable[[str, str], None], *, share: bool = False) -> None:
    """Serves until Ctrl-C, or until what is under way has ended after SIGTERM; calls `ready(address, public address or "")` once
    the server answers.

    share    for the local network: over https, with a certificate that is made here where the settings have none

    Raises `MienError` for a port or a data folder that another program uses and where there is no network to share in, `DataError`
    for a database or a certificate that cannot be used, and `ValueError` where others could reach the server and nothing would stop
    them.
    """
    import uvicorn

    from mien.web.callers import Callers, Seldom, protocol, secured

    as_json = settings.log_format == "json"
    if as_json:
        log_json()
    with private_files(), listen(settings.host, settings.port) as door:
        settings = dataclasses.replace(settings, port=door.getsockname()[1])
        with only_one(settings.data_dir, shared=is_shared(settings.url)), contextlib.ExitStack() as ending:
            step = None
            if share:
                settings, step = shared(settings, listen)
            elif settings.tls_cert is not None:
                checked_certificate(settings.tls_cert, settings.tls_key)
            if step is not None:
                ending.callback(step.close)
            app = create_app(settings)
            callers = Callers(settings)

            class Server(uvicorn.Server):
                loop: asyncio.AbstractEventLoop | None = None

                async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                    self.loop = asyncio.get_running_loop()
                    self.loop.set_exception_handler(callers.failed)
                    await super().startup(sockets)
                    if self.started:
                        if step is not None:
                            await step.open()
                        here = address(settings.host, settings.port, secure=settings.tls_cert is not None)
                        ready(here, settings.public_url)
                        asyncio.get_running_loop().call_later(WARM_AFTER_S, app.state.warming.start)

                async def drain(self) -> None:
                    end = time.monotonic() + settings.drain_max_s
                    app.state.tasks.rest()
                    if under_way(app):
                        log.info("SIGTERM: what is under way has %d s; a second one does not wait", settings.drain_max_s)
                    while under_way(app) and time.monotonic() < end and not self.should_exit:
                        await asyncio.sleep(DRAINED_S)
                    if not self.should_exit:
                        self.handle_exit(signal.SIGTERM, None)

                def handle_exit(self, sig: int, frame: Any) -> None:
                    if sig == signal.SIGTERM and self.loop is not None and not app.state.draining:
                        app.state.draining = True
                        self.loop.call_soon_threadsafe(lambda: spawn(self.drain()))
                        return
                    app.state.stopping.set()  # streams of events end by themselves, instead of being waited for
                    super().handle_exit(sig, frame)

            config = uvicorn.Config(
                app,
                http=protocol(callers, None if settings.tls_cert is None else secured(settings.tls_cert, settings.tls_key)),
                backlog=BACKLOG,
                proxy_headers=bool(settings.trusted_proxies),  # nobody else is believed to speak for others
                forwarded_allow_ips=list(settings.trusted_proxies),
                log_level="warning",
                log_config=None if as_json else uvicorn.config.LOGGING_CONFIG,
                access_log=False,
                server_header=False,
                ws_max_size=settings.live_frame_max_kib * 1024 + 4096,
                ws_per_message_deflate=False,  # pictures are compressed already
                timeout_graceful_shutdown=STOP_WITHIN_S,
            )
            for name in ("uvicorn.error", __name__):
                logging.getLogger(name).addFilter(Seldom())
            with contextlib.suppress(KeyboardInterrupt):  # raised again by uvicorn once all is stopped
                Server(config).run(sockets=[door])


def under_way(app: FastAPI) -> bool:
    """Whether something runs that a stop would break off: tasks, recordings, participants who are being measured."""
    return bool(app.state.tasks.running or app.state.live.recording or app.state.watching.open)


def address(host: str, port: int, *, secure: bool = False) -> str:
    """What to type into a browser on this machine."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"{'https' if secure else 'http'}://{name}:{port}"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises `MienError` in one line where that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    door = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would let two servers listen on one port
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((host.strip("[]"), port))
        door.listen(BACKLOG)
    except OSError as error:
        door.close()
        if error.errno == errno.EADDRINUSE:
            other = port + 1 if port < 65535 else 8700
            raise MienError(f"port {port} of {host} is taken, perhaps by another mien; try mien serve --port {other}") from None
        raise MienError(f"cannot listen on {host}, port {port}: {error.strerror or error}; try another --host or --port") from None
    return door
