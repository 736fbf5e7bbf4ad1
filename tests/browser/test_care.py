"""What the application owes to those who use it: other sites cannot reach it, a password keeps others out, erased is erased."""

import functools
import http.server
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from browser.conftest import PATIENCE_MS, Open, Watch
from mien.web.security import is_for_participants
from mien.web.uploads import Upload
from serving import Server

pytestmark = pytest.mark.timeout(900)

PASSWORD = "a long enough pass phrase"

CHANGING = ("post", "put", "patch", "delete")

TRIES = (
    ("cors", "{}", "application/json"),
    ("no-cors", '{"confirm":"erase","into":1,"name":"x"}', "text/plain"),
    ("no-cors", None, ""),
)
"""What a browser sends for another site: a question that is asked first, and two that are sent unasked."""

FETCH = """
async ([url, method, body, type, mode]) => {
  try {
    const answer = await fetch(url, {method, body, mode, credentials: "include", headers: type ? {"Content-Type": type} : {}});
    return `${answer.type} ${answer.status}`;
  } catch (error) {
    return "refused";
  }
}
"""

SOCKET = """
url => new Promise(done => {
  const socket = new WebSocket(url);
  socket.onopen = () => done("open");
  socket.onmessage = () => done("message");
  socket.onclose = event => done(`closed ${event.code}`);
})
"""

FORM = """
([url, type]) => {
  const frame = document.createElement("iframe");
  frame.name = `sink${document.forms.length}`;
  const form = document.createElement("form");
  form.target = frame.name;
  form.method = "post";
  form.action = url;
  form.enctype = type;
  for (const [name, value] of [["password", "x"], ["confirm", "erase"], ["into", "1"], ["file", "x"]]) {
    const field = document.createElement("input");
    field.name = name;
    field.value = value;
    form.append(field);
  }
  document.body.append(frame, form);
  form.submit();
}
"""


class Quiet(http.server.BaseHTTPRequestHandler):
    """An empty page, whatever is asked for."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Another site</title><body>")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """The address of a page of another origin. It is the same site to a browser, so that cookies are sent along: the worst case."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as site:
        thread = threading.Thread(target=functools.partial(site.serve_forever, poll_interval=0.05))
        thread.start()
        yield f"http://127.0.0.1:{site.server_address[1]}"
        site.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def job(server: Server, short: Path) -> str:
    """An analysis that another site would like to have, or to be gone."""
    id = str(server.analyse(short, every_s=0.5, keep_film=False)["id"])
    end = time.monotonic() + PATIENCE_MS / 1000
    while (server.data / "jobs" / id / Upload.NAME).exists():  # it goes just after the analysis is called done
        assert time.monotonic() < end, "the upload stays"
        time.sleep(0.05)
    return id


def routes(server: Server, job: str) -> list[tuple[str, str]]:
    """(method, path) of every call that changes something, about an analysis that exists."""
    description = httpx.get(f"{server.url}/api/openapi.json").raise_for_status().json()
    found = [(method.upper(), path) for path, item in description["paths"].items() for method in item if method in CHANGING]
    assert len(found) >= 9, found
    return [(method, re.sub(r"{\w+}", "1", path.replace("{id}", job))) for method, path in found]


def state(server: Server) -> tuple[Any, ...]:
    """What another site must not have changed: the analyses, with the edits of each, and the files on disk."""
    with server.client() as client:
        jobs = client.get("/api/jobs").json()["items"]
        results = [client.get(f"/api/jobs/{job['id']}/result").json() for job in jobs if job["state"] == "done"]
        return jobs, results, sorted(str(path) for path in (server.data / "jobs").rglob("*"))


def test_another_site_changes_nothing(open_page: Open, server: Server, job: str, elsewhere: str, watch: Watch) -> None:
    watch.expect(".*")  # the browser complains of each refusal
    page = open_page("/")
    assert (
        page.context.cookies() == []
    )  # without a password there is no session: whatever comes from this page is judged by its origin
    before = state(server)
    page.goto(elsewhere)
    reached: list[tuple[str, str, int]] = []
    page.on("response", lambda answer: reached.append((answer.request.method, answer.url, answer.status)))
    for method, path in routes(server, job):
        for mode, body, type_ in TRIES:
            told = page.evaluate(FETCH, [server.url + path, method, body, type_, mode])
            assert told in ("refused", "opaque 0"), (method, path, mode, told)
    paths = {path for _, path in routes(server, job)}
    for path in paths:
        for type_ in ("multipart/form-data", "text/plain"):
            with page.expect_response(server.url + path):
                page.evaluate(FORM, [server.url + path, type_])
    assert len(reached) >= 2 * len(paths)  # the forms; what a script sent is told to nobody
    assert [one for one in reached if one[2] < 400] == []
    assert state(server) == before


def test_another_site_reads_nothing(open_page: Open, server: Server, job: str, elsewhere: str, watch: Watch) -> None:
    watch.expect(".*")
    page = open_page("/")
    page.goto(elsewhere)
    for path in ("/api/jobs", "/api/storage", f"/api/jobs/{job}/result", f"/api/jobs/{job}/files/faces.csv", "/"):
        assert page.evaluate(FETCH, [server.url + path, "GET", None, "", "cors"]) == "refused", path


@pytest.mark.more
def test_another_site_opens_no_live_view(open_page: Open, server: Server, elsewhere: str, watch: Watch) -> None:
    watch.expect(".*")
    page = open_page("/")
    page.goto(elsewhere)
    assert page.evaluate(SOCKET, server.url.replace("http", "ws") + "/api/live").startswith("closed")


def test_another_site_frames_no_page(open_page: Open, server: Server, elsewhere: str, watch: Watch) -> None:
    watch.expect(".*")
    page = open_page("/")
    page.goto(elsewhere)
    with page.expect_response(server.url + "/"):
        page.evaluate(
            "url => { const f = document.createElement('iframe'); f.src = url; document.body.append(f); }", server.url + "/"
        )
    # Whatever comes in place of the empty page is of another origin, and that shows nothing of itself.
    page.wait_for_function("() => document.querySelector('iframe').contentDocument === null")
    (frame,) = page.frames[1:]
    frame.wait_for_load_state()
    assert not frame.url.startswith(server.url), frame.url


@pytest.mark.more
def test_every_changing_call_is_refused(server: Server, job: str) -> None:
    """The same said by hand, with each of the signs of a browser on its own."""
    before = state(server)
    foreign = (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": server.url.replace(str(server.port), "1")},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
    )
    signs = (*foreign, {"Cookie": "mien_session=made-up"})
    with server.client() as client:
        for method, path in routes(server, job):
            # Who takes part has a code, which no browser sends by itself, and no session: there is nothing to misuse.
            for headers in foreign if is_for_participants(path) else signs:
                answer = client.request(method, path, json={"confirm": "erase", "into": 1, "name": "x"}, headers=headers)
                assert answer.status_code in (400, 403, 421), (method, path, headers, answer.status_code)
                assert answer.json()["error"]["message"], (method, path, headers)
    assert state(server) == before


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a password."""
    with Server(tmp_path_factory.mktemp("locked") / "data", password=PASSWORD, login_attempts_per_minute=1000) as started:
        yield started


def test_with_a_password_nothing_is_open(locked: Server, job: str) -> None:
    with locked.client(follow_redirects=False) as client:
        for path in ("/", "/analyses", "/analyses/x", "/compare", "/live", "/stored", "/responsible-use", "/api"):
            answer = client.get(path, headers={"Accept": "text/html"})
            assert answer.status_code in (302, 303, 307), path
            assert answer.headers["Location"].split("?")[0].endswith("/login"), path
        for path in ("/api/info", "/api/jobs", "/api/jobs/events", "/api/storage", f"/api/jobs/{job}/result", "/api/openapi.json"):
            answer = client.get(path)
            assert answer.status_code == 401, path
            assert answer.json()["error"]["code"], path


def test_login_and_logout(open_page: Open, locked: Server, watch: Watch) -> None:
    watch.expect("status of 40[13]")
    page = open_page("/analyses", server=locked)
    assert "/login" in page.url
    page.get_by_label("Password").fill("not this one")
    page.keyboard.press("Enter")
    page.get_by_role("alert").filter(has_text="password").wait_for()
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/analyses")
    cookie = next(found for found in page.context.cookies() if found["name"] == "mien_session")
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    assert page.evaluate("document.cookie") == ""
    page.goto("/stored")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login*")
    page.goto("/stored")
    assert "/login" in page.url
    with locked.client(cookies={"mien_session": cookie["value"]}) as client:
        assert client.get("/api/jobs").status_code == 401  # forgotten on the server, not in the browser alone


def test_the_live_view_demands_the_login(open_page: Open, locked: Server, watch: Watch) -> None:
    watch.expect(".*")
    page = open_page("/login", server=locked)
    assert page.evaluate(SOCKET, locked.url.replace("http", "ws") + "/api/live").startswith("closed")


@pytest.mark.more
def test_erase_leaves_nothing(open_page: Open, serve: Any, short: Path, broken: Path) -> None:
    """After the button the disk holds no file of an analysis, and the database no name of one."""
    server = serve()
    server.analyse(short, "Anna at the cinema.mp4", every_s=0.5)
    assert server.analyse(broken, "Bert at home.mp4")["state"] == "failed"
    page = open_page("/stored", server=server)
    expect(page.locator("#jobs")).to_have_text("2")
    assert any(path.is_file() for path in (server.data / "jobs").rglob("*"))
    page.get_by_role("button", name="Erase everything").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("2 analyses")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.locator("#jobs")).to_have_text("2")
    page.get_by_role("button", name="Erase everything").click()
    dialog.get_by_role("button", name="Erase everything").click()
    expect(page.get_by_text("Everything is erased.")).to_be_visible()
    expect(page.locator("#jobs")).to_have_text("0")
    assert [path for path in (server.data / "jobs").rglob("*") if path.is_file()] == []
    with server.client() as client:
        assert client.get("/api/jobs").json()["items"] == []
        assert client.get("/api/storage").json()["jobs"] == 0
    page.goto("/analyses")
    expect(page.get_by_text("No analysis yet")).to_be_visible()
    assert "Anna" not in page.locator("main").inner_text()
    page.close()
    server.stop()
    for path in server.data.rglob("*"):
        if path.is_file():
            assert b"Anna at the cinema" not in path.read_bytes(), path
            assert b"Bert at home" not in path.read_bytes(), path
