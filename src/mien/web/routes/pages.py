"""The pages: each a template, filled on the server with little and by its script with the rest."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.templating import Jinja2Templates

from mien import __version__
from mien.web import security
from mien.web.errors import ApiError, body
from mien.web.routes import reference
from mien.web.security import Security

WEB = Path(__file__).parents[1]
TEMPLATES = WEB / "templates"

TABLES = {
    "faces.csv": (
        "Faces",
        "Faces, look by look",
        "A row for each face and look: how probable each expression is, not smoothed.",
    ),
    "timeline.csv": (
        "Everybody",
        "Everybody, look by look",
        "A row for each look: the faces in view, the mean of each expression.",
    ),
    "episodes.csv": ("Moments", "Moments", "A row for each span in which one expression held."),
}
"""The tables of a result that have a page: in the list of tables, their title, and what a row is."""

router = APIRouter(include_in_schema=False)


@cache
def templates() -> Jinja2Templates:
    """The templates, read when the first page is asked for."""
    found = Jinja2Templates(directory=TEMPLATES)
    found.env.filters["size"] = size
    return found


def size(bytes_: float) -> str:
    """Space as people read it, in the form of static/format.js: "840 B", "12 kB", "3.1 MB"."""
    if bytes_ < 1000:
        return f"{bytes_:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        bytes_ /= 1000
        if bytes_ < 999.5 or unit == "TB":
            break
    return f"{bytes_:.1f} {unit}" if bytes_ < 9.95 else f"{bytes_:.0f} {unit}"


def page(request: Request, template: str, title: str, *, nav: str = "", status: int = 200, **more: Any) -> Response:
    """A page."""
    guard: Security = request.app.state.security
    context = {
        "title": title,
        "nav": nav,
        "version": __version__,
        "guarded": guard.guarded,
        "logged_in": guard.guarded and request.state.session is not None,
    }
    response = templates().TemplateResponse(request, template, context | more, status_code=status)
    response.headers["Cache-Control"] = "no-store"  # after a logout nobody goes back to it
    return response


def error_page(request: Request, fault: ApiError) -> Response:
    """What went wrong, as a page."""
    titles = {404: "Not found", 403: "Refused", 413: "Too large", 500: "Something went wrong"}
    context = {
        "title": titles.get(fault.status_code, "That did not work"),
        "nav": "",
        "version": __version__,
        "guarded": False,
        "logged_in": False,
        "status": fault.status_code,
        "message": fault.message,
    }
    response = templates().TemplateResponse(request, "error.html", context, status_code=fault.status_code)
    for name, value in (fault.headers or {}).items():
        response.headers[name] = value
    return response


def _job(request: Request, id: str) -> Any:
    job = request.app.state.store.job(id)
    if job is None:
        raise ApiError(404, "not_found", "There is no such analysis. It may have been erased.")
    return job


def _plain(name: str, path: str, title: str, nav: str) -> None:
    """A page that its script fills."""

    @router.api_route(path, methods=["GET", "HEAD"], name=name)
    def plain(request: Request) -> Response:
        return page(request, f"{name}.html", title, nav=nav)


_plain("home", "/", "Analyse", "analyse")
_plain("analyses", "/analyses", "All analyses", "analyses")
_plain("compare", "/compare", "Compare two", "analyses")
_plain("live", "/live", "Live", "live")


@router.api_route("/analyses/{id}", methods=["GET", "HEAD"])
def analysis(request: Request, id: str) -> Response:
    job = _job(request, id)
    return page(request, "result.html", job.name, nav="analyses", job=job)


@router.api_route("/analyses/{id}/tables/{name}", methods=["GET", "HEAD"])
def table(request: Request, id: str, name: str) -> Response:
    job = _job(request, id)
    if name not in TABLES:
        raise ApiError(404, "not_found", f"There is no such table; there are {', '.join(TABLES)}.")
    _, title, words = TABLES[name]
    return page(request, "table.html", title, nav="analyses", job=job, name=name, words=words, tables=TABLES)


@router.api_route("/stored", methods=["GET", "HEAD"])
def stored(request: Request) -> Response:
    state = request.app.state
    database = state.store.url.render_as_string() if state.settings.database_url else ""
    return page(request, "stored.html", "What is stored", stored=state.storage.summary(), database=database)


@router.api_route("/phones", methods=["GET", "HEAD"])
def phones(request: Request) -> Response:
    """What to do so that phones and other computers come in, and whether they can."""
    guard: Security = request.app.state.security
    return page(request, "phones.html", "Phones and other computers", address=guard.address_for_others(request))


@router.api_route("/responsible-use", methods=["GET", "HEAD"])
def responsible_use(request: Request) -> Response:
    return page(request, "responsible-use.html", "Responsible use", text=responsible_use_text())


@cache
def responsible_use_text() -> str:
    """docs/responsible-use.md as HTML. Links to other pages of the documentation, which are not served, become plain text."""
    from markdown_it import MarkdownIt

    found = [path for path in (WEB / "responsible-use.md", WEB.parents[2] / "docs" / "responsible-use.md") if path.is_file()]
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(found[0].read_text(encoding="utf-8"))
    for token in tokens:
        if token.children:
            within = False
            kept = []
            for child in token.children:
                if child.type == "link_open" and not str(child.attrGet("href")).startswith(("https://", "#")):
                    within = True
                elif child.type == "link_close" and within:
                    within = False
                else:
                    kept.append(child)
            token.children = kept
    return str(markdown.renderer.render(tokens, markdown.options, {}))


@router.api_route("/login", methods=["GET", "HEAD"])
def login_page(request: Request, next: str = "/") -> Response:
    guard: Security = request.app.state.security
    if not guard.guarded or request.state.session:
        return Response(status_code=303, headers={"Location": security.own_path(next)})
    response = page(request, "login.html", "Log in", next=security.own_path(next))
    # With no-referrer a browser would send the form with Origin: null, and it would be refused.
    response.headers["Referrer-Policy"] = "same-origin"
    return response


@router.api_route("/docs", methods=["GET", "HEAD"])
@router.api_route("/redoc", methods=["GET", "HEAD"])
def api_elsewhere(request: Request) -> Response:
    """Where the description of an API is looked for."""
    return Response(status_code=307, headers={"Location": "/api"})


@router.api_route("/openapi.json", methods=["GET", "HEAD"])
def openapi_elsewhere(request: Request) -> Response:
    return Response(status_code=307, headers={"Location": "/api/openapi.json"})


@router.api_route("/api", methods=["GET", "HEAD"])
def api(request: Request) -> Response:
    guard: Security = request.app.state.security
    address = str(request.base_url).rstrip("/")
    groups = reference.groups(request.app.openapi(), address, guarded=guard.guarded)
    error = json.dumps(body(ApiError(404, "not_found", "There is no analysis k3v9Qm0aZx81tRbW.")), indent=1)
    return page(request, "api.html", "API", groups=groups, error=error)
