"""Every route is met by `make test`: each call and page is asked for once here, in the order in which somebody would, and each page
is seen in a browser by `tests/browser/test_pages.py`. A route that is added fails this until it is added to the story, a page until
it has its place in the gallery."""

import ast
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.testclient import TestClient

from browser.gallery import PLACES
from fakes import LABELS, FakeDetector, FakeExpressions, write_film
from mien.analyze import Analyzer
from mien.labels import FERPLUS
from mien.web.app import create_app
from mien.web.routes import every_route
from mien.web.settings import Settings
from web.conftest import HERE, PASSWORD, TOKEN
from web.live_page import SOCKET as LIVE
from web.live_page import live_page, picture
from web.participant_page import STUDY, Person

PATIENCE_S = 240.0

FACE = (10, 30, 40, "happiness")
OTHER = (70, 30, 40, "sadness")

ELSEWHERE = {("GET", "/api/jobs/events"): "web/test_jobs.py"}
"""Has no end, so that a client within the process never gets its answer."""

LEAD_ON = {"/docs", "/redoc", "/openapi.json"}
RUNS_IT = {"/healthz", "/readyz", "/metrics"}
"""For what runs the server."""
NO_PAGES = {"/favicon.ico", "/static/plotly.js", "/studies/{id}/default-consent", "/api/openapi.json", *LEAD_ON, *RUNS_IT}
"""What is answered outside of the description of the interface and is not for people's eyes."""

Route = tuple[str, str]


def routes(app: Any) -> dict[Route, Any]:
    """(method, path) of every call, page and socket; the method of a socket is "socket"."""
    return {
        (method, route.path): route
        for route in every_route(app)
        if getattr(route, "endpoint", None) is not None
        for method in sorted(getattr(route, "methods", None) or ["socket"])
        if method != "HEAD"
    }


class AllExpressions(FakeExpressions):
    """Speaks all labels of the published models, as reports of studies want them."""

    labels = FERPLUS

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = np.zeros((len(crops), len(FERPLUS)), np.float32)
        found[:, [FERPLUS.index(label) for label in LABELS]] = super().__call__(crops)
        return found


class Story:
    """Asks, and notes what was asked for by the name that the route has. `known` fills the names in a path."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.known: dict[str, str] = {}
        self.met: set[Route] = set()
        self.refused: list[tuple[str, str, int, str]] = []

    def ask(self, method: str, path: str, *wanted: int, query: str = "", **sent: Any) -> Any:
        """The answer, with one of the wanted statuses: any success where none is given."""
        end = time.monotonic() + PATIENCE_S
        self.client.cookies.clear()  # as a program, after pages as well
        while True:
            answer = self.client.request(method, path.format(**self.known) + query, **sent)
            if answer.status_code != 202 or 202 in wanted or time.monotonic() > end:
                break
            time.sleep(0.05)  # it is being made
        if answer.status_code not in (wanted or (200, 201, 204)):
            self.refused.append((method, path, answer.status_code, answer.text[:500]))
        self.met.add((method, path))
        return answer

    def page(self, path: str, *wanted: int, query: str = "") -> None:
        answer = self.ask("GET", path, *(wanted or (200,)), query=query)
        if answer.status_code in (303, 307):
            return
        assert answer.headers["Content-Type"].startswith("text/html"), path
        assert "<title>" in answer.text, path

    def until(self, path: str, field: str, *states: str) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE_S
        while (found := self.ask("GET", path).json())[field] not in states:
            assert time.monotonic() < end, found
            time.sleep(0.05)
        return dict(found)


def analyses(story: Story, film: Path) -> None:
    """An analysis from a live view, and files that are none."""
    with live_page(story.client) as live:
        story.met.add(("socket", LIVE.removeprefix("ws://127.0.0.1:8700")))
        story.known["id"] = live.record("start", keep_film=True)["job"]
        for _ in range(12):
            live.look(picture(FACE, OTHER), of_recording=True)
        assert live.stop()["state"] == "done"
    assert [job["id"] for job in story.ask("GET", "/api/jobs").json()["items"]] == [story.known["id"]]
    assert story.ask("GET", "/api/jobs/{id}").json()["state"] == "done"
    assert story.ask("PATCH", "/api/jobs/{id}", json={"name": "Two"}).json()["name"] == "Two"
    assert len(story.ask("GET", "/api/jobs/{id}/result").json()["tracks"]) == 2
    story.ask("GET", "/api/jobs/{id}/series")
    story.known |= {"track": "1", "name": "faces.csv"}
    story.ask("PATCH", "/api/jobs/{id}/tracks/{track}", json={"name": "Ada"})
    story.ask("POST", "/api/jobs/{id}/tracks/{track}/merge", 200, 409, 422, json={"into": 2})
    story.ask("DELETE", "/api/jobs/{id}/edits")
    assert story.ask("GET", "/api/jobs/{id}/stills/{track}.jpg").content.startswith(b"\xff\xd8")
    assert story.ask("GET", "/api/jobs/{id}/files/{name}").text.startswith("frame,time_s,track")
    assert story.ask("GET", "/api/jobs/{id}/archive.zip").content.startswith(b"PK")
    story.page("/analyses/{id}")
    story.page("/analyses/{id}/tables/{name}")
    story.page("/compare", query=f"?a={story.known['id']}&b={story.known['id']}")
    for path in ("/", "/analyses", "/live", "/stored", "/phones", "/responsible-use", "/api"):
        story.page(path)
    story.ask("DELETE", "/api/jobs/{id}")
    story.known["id"] = story.ask("POST", "/api/jobs", files={"file": ("none.mp4", b"no film")}).json()["id"]
    assert story.until("/api/jobs/{id}", "state", "failed", "done")["state"] == "failed"
    again = story.ask("POST", "/api/jobs/{id}/retry").json()
    story.known["id"] = again["id"]
    story.ask("POST", "/api/jobs/{id}/cancel", 200, 409)  # it may have failed again
    assert film.is_file()


def studies(story: Story, film: Path) -> None:
    """A study with a film, from its making until it is open."""
    known = story.known
    made = story.ask("POST", "/api/studies", json=STUDY | {"smallest_group": 1, "variables": [], "after": []}).json()
    known["id"] = made["id"]
    known["stimulus"] = "s1"
    story.ask("GET", "/api/studies")
    story.page("/studies")
    story.page("/studies/{id}")
    with film.open("rb") as content:
        story.ask("POST", "/api/studies/{id}/films", 201, 202, files={"file": ("one.mp4", content)}, data={"stimulus": "s1"})
    end = time.monotonic() + PATIENCE_S
    while story.ask("GET", "/api/studies/{id}").json()["films"][0]["state"] == "converting":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert story.ask("GET", "/api/studies/{id}/films/{stimulus}").headers["Content-Type"] == "video/mp4"
    story.ask("PATCH", "/api/studies/{id}", json={"title": "Two trailers, again"})
    marker = {"id": "m1", "stimulus": "s1", "time_s": 0.5, "end_s": None, "label": "joke"}
    story.ask("PUT", "/api/studies/{id}/markers", json={"markers": [marker]})
    exported = story.ask("GET", "/api/studies/{id}/export").json()
    story.ask("POST", "/api/studies/import", json=exported)
    first = known["id"]
    known["id"] = story.ask("POST", "/api/studies/{id}/duplicate").json()["id"]
    story.ask("DELETE", "/api/studies/{id}/films/{stimulus}")
    story.ask("DELETE", "/api/studies/{id}")
    known["name"] = "screening"
    known["id"] = story.ask("POST", "/api/studies/ready-made/{name}").json()["id"]
    story.ask("DELETE", "/api/studies/{id}")
    known["id"] = first
    story.ask("POST", "/api/studies/{id}/state", json={"state": "open"})
    story.ask("GET", "/api/studies/{id}/consents")
    for _ in range(2):
        known["invitation"] = story.ask("POST", "/api/studies/{id}/invitations", json={"label": "all"}).json()["id"]
    story.ask("DELETE", "/api/studies/{id}/invitations/{invitation}")
    known["invitation"] = story.ask("GET", "/api/studies/{id}/invitations").json()["items"][0]["id"]
    story.ask("PATCH", "/api/studies/{id}/invitations/{invitation}", json={"label": "everybody"})
    story.ask("GET", "/api/studies/{id}/invitations/{invitation}/qr.svg", 409)  # only this machine reaches this server
    for path in ("preview", "poster/{invitation}", "notice", "room", "screen/{stimulus}"):
        story.page("/studies/{id}/" + path)
    assert story.ask("GET", "/studies/{id}/default-consent", query="?language=en").json()["text"]


def participation(story: Story) -> None:
    """Two people agree; one watches, goes on to the end, sees the curve and withdraws, the other leaves."""
    story.page("/take-part/{invitation}")
    story.page("/withdraw")
    version = story.ask("GET", "/api/take-part/{invitation}").json()["study"]["consent"]["version"]
    agreed = {"language": "en", "version": version}
    story.ask("POST", "/api/take-part/{invitation}/opening", json={"what": "opened"})
    codes = [story.ask("POST", "/api/take-part/{invitation}/consent", json=agreed).json()["code"] for _ in range(2)]
    person = Person(story.client, codes[0])
    own: dict[str, Any] = {"headers": {"X-Participant-Code": codes[0]}}
    story.ask("GET", "/api/participant", **own)
    for step in ("before", "camera", "film:0"):
        story.ask("POST", "/api/participant/step", json={"step": step}, **own)
        if step == "before":
            story.ask("PUT", "/api/participant/answers", json={"part": "before", "answers": {"age": "young"}}, **own)
    address = story.ask("GET", "/api/participant/films", **own).json()["s1"]
    story.ask("GET", "/api/participant/films/{stimulus}", query=address[address.index("?") :], **own)
    with person.watching("s1") as page:
        story.met.add(("socket", "/api/participant/live"))
        for _ in range(4):
            page.look(picture(FACE))
    story.ask("POST", "/api/participant/camera", json={"state": "works"}, **own)
    event = {"event": "pause", "stimulus": "s1", "film_s": 1, "at_s": 1}
    story.ask("POST", "/api/participant/events", json=event, **own)
    story.ask("GET", "/api/participant/curve", **own)
    assert len(story.ask("GET", "/api/participant/export", **own).json()["measured"]["s1"]["looks"]) == 4


def reports(story: Story) -> None:
    known = story.known
    report = story.ask("GET", "/api/studies/{id}/review").json()
    assert report["counts"]["measured"] == 1
    for name in ("review.html", "review.pdf", "review.json", "review.zip", "long.csv", "wide.csv", "answers.csv", "viewers.csv"):
        story.ask("GET", "/api/studies/{id}/" + name)
    for name in ("moments.csv", "funnel.csv", "identifiers.csv", "director.html", "director.pdf", "director.pptx"):
        story.ask("GET", "/api/studies/{id}/" + name)
    story.page("/studies/{id}/review")
    known["frozen"] = story.ask("POST", "/api/studies/{id}/frozen", json={"name": "First"}).json()["id"]
    assert [kept["id"] for kept in story.ask("GET", "/api/studies/{id}/frozen").json()["items"]] == [known["frozen"]]
    story.ask("DELETE", "/api/studies/{id}/frozen/{frozen}")


def rooms(story: Story) -> None:
    known = story.known
    with live_page(story.client) as live:
        job = live.record("start")["job"]
        for _ in range(20):
            live.look(picture(FACE, OTHER), of_recording=True)
        live.stop()
    asked = {"stimulus": "s2", "agreed": True, "job": job}
    known["room"] = str(story.ask("POST", "/api/studies/{id}/rooms", 202, json=asked).json()["name"])
    assert story.until("/api/studies/{id}/rooms/{room}", "state", "ready", "failed")["people"] == 2
    story.ask("GET", "/api/studies/{id}/rooms")
    story.ask("PATCH", "/api/studies/{id}/rooms/{room}", json={"label": "Friday"})
    story.ask("POST", "/api/studies/{id}/rooms/{room}/retry", 409)  # it is ready
    story.ask("DELETE", "/api/studies/{id}/rooms/{room}")


def the_end(story: Story) -> None:
    """What was said and measured is taken along and erased; then everything."""
    known = story.known
    known["name"] = story.ask("GET", "/api/studies/{id}/viewers").json()["items"][0]["name"]
    story.ask("GET", "/api/studies/{id}/viewers/{name}/export")
    for reason in ("The camera showed somebody else.", None):
        story.ask("PUT", "/api/studies/{id}/viewers/{name}/left-out", json={"reason": reason})
    assert story.ask("DELETE", "/api/studies/{id}/viewers/{name}").json()["left"] == {"rows": 0, "files": 0}
    story.ask("GET", "/api/studies/{id}/audit")
    agreed = {"language": "en", "version": 1}
    for method, path in (("POST", "/api/participant/leave"), ("DELETE", "/api/participant")):
        code = story.client.post(f"/api/take-part/{known['invitation']}/consent", json=agreed).json()["code"]
        story.ask(method, path, headers={"X-Participant-Code": code})
    story.ask("GET", "/healthz")
    story.ask("GET", "/readyz", 200, 503)
    story.ask("GET", "/metrics")
    story.ask("GET", "/api/storage")
    story.ask("DELETE", "/api/storage", json={"confirm": "erase"})
    for path in sorted(LEAD_ON):
        story.page(path, 307)
    for path in ("/api/info", "/api/session", "/api/openapi.json", "/static/plotly.js", "/favicon.ico"):
        story.ask("GET", path)
    story.page("/login", 200, 303)


@pytest.mark.process
def test_every_call_page_and_socket_is_met(tmp_path: Path) -> None:
    film = write_film(tmp_path / "one.mp4", [(k / 10, [FACE]) for k in range(20)])
    app = create_app(Settings(data_dir=tmp_path / "data"), Analyzer(AllExpressions(), detector=FakeDetector()))
    with TestClient(app, base_url=HERE, follow_redirects=False) as client:
        story = Story(client)
        analyses(story, film)
        studies(story, film)
        participation(story)
        reports(story)
        rooms(story)
        the_end(story)
    guarded = create_app(Settings(data_dir=tmp_path / "guarded", password=PASSWORD, token=TOKEN))
    with TestClient(guarded, base_url=HERE, follow_redirects=False) as client:
        locked = Story(client)
        locked.ask("POST", "/api/login", json={"password": PASSWORD})
        locked.ask("POST", "/api/logout", headers={"Authorization": f"Bearer {TOKEN}"})
    assert story.refused + locked.refused == []
    assert set(routes(app)) == story.met | locked.met | set(ELSEWHERE)


@pytest.mark.parametrize("route", ELSEWHERE, ids=lambda route: route[1])
def test_what_is_met_elsewhere_is_met_there(route: Route) -> None:
    assert route[1] in (Path(__file__).parents[1] / ELSEWHERE[route]).read_text(encoding="utf-8")


def test_every_page_is_opened_in_a_browser(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path))
    app.state.store.close()
    pages = {path for (method, path), route in routes(app).items() if method == "GET" and not route.include_in_schema} - NO_PAGES
    forms = {path: re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/?#]+", re.escape(path)) + r"([?#].*)?") for path in pages}
    opened = {path for path, form in forms.items() if any(form.fullmatch(place.path) for place in PLACES.values())}
    assert opened == pages
    assert len(pages) > 15


def test_that_is_not_left_to_make_test_more() -> None:
    here = Path(__file__)
    there = here.parents[1] / "browser" / "test_pages.py"
    for file, name in ((here, "test_every_call_page_and_socket_is_met"), (there, "test_page")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        (function,) = [found for found in tree.body if isinstance(found, ast.FunctionDef) and found.name == name]
        assert "more" not in "".join(ast.unparse(mark) for mark in function.decorator_list)
        assert not any("pytestmark" in ast.unparse(line) for line in tree.body if isinstance(line, ast.Assign))
