"""One error body for everything that fails, bodies that are too large, static files, starting and stopping, and `listen`."""

import logging
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from mien.errors import DataError, MienError
from mien.web.app import address, create_app, listen
from mien.web.errors import ApiError, ErrorBody
from mien.web.services import only_one
from mien.web.settings import Settings
from web.conftest import HERE


def error(answer: Any) -> dict[str, Any]:
    ErrorBody.model_validate(answer.json())
    found: dict[str, Any] = answer.json()["error"]
    return found


def test_what_is_not_there_is_404_with_the_error_body(client: TestClient) -> None:
    for path in ("/api/nothing", "/api/", "/api/jobs/nosuchjob/nothing"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert error(answer) == {"code": "not_found", "message": f"There is nothing at {path}.", "detail": None}


def test_pages_that_are_not_there_say_so_as_a_page(client: TestClient) -> None:
    for path in ("/nothing", "/static/nothing.js", "/analyses/nosuchjob"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "<h1>Not found</h1>" in answer.text
        assert "Set-Cookie" not in answer.headers


def test_the_wrong_method_is_405_and_says_which_are_right(client: TestClient) -> None:
    answer = client.request("PUT", "/api/info")
    assert (answer.status_code, error(answer)["code"], answer.headers["Allow"]) == (405, "method_not_allowed", "GET")


def test_a_value_that_cannot_be_is_422_and_says_where(client: TestClient) -> None:
    answer = client.request("DELETE", "/api/storage", json={"confirm": "yes"})
    found = error(answer)
    assert (answer.status_code, found["code"]) == (422, "invalid")
    assert found["message"] == "confirm: input should be 'erase', but got 'yes'"
    assert found["detail"] == [{"where": ["body", "confirm"], "what": "Input should be 'erase'"}]
    for sent in (b"{", b"", b"[]", b"\xff\xfe"):
        answer = client.request("DELETE", "/api/storage", content=sent, headers={"Content-Type": "application/json"})
        assert (answer.status_code, error(answer)["code"]) == (422, "invalid"), sent


def test_browsers_find_the_icon_where_they_look_for_it(client: TestClient) -> None:
    answer = client.get("/favicon.ico")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/svg+xml")


def test_what_a_route_says_itself_is_passed_on(client: TestClient, app: FastAPI) -> None:
    @app.get("/api/teapot")
    def teapot() -> None:
        raise ApiError(409, "teapot", "This is a teapot.", detail=["short", "stout"], headers={"Retry-After": "3"})

    answer = client.get("/api/teapot")
    assert (answer.status_code, answer.headers["Retry-After"]) == (409, "3")
    assert error(answer) == {"code": "teapot", "message": "This is a teapot.", "detail": ["short", "stout"]}


def test_what_nobody_expected_is_logged_under_an_id_and_not_told(
    client: TestClient, app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/api/broken")
    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("the secret detail")

    with caplog.at_level(logging.ERROR):
        answer = client.get("/api/broken")
        page = client.get("/broken")
    found = error(answer)
    assert (answer.status_code, found["code"], page.status_code) == (500, "unexpected", 500)
    number = re.search(r"has it under (\w{8})\.", found["message"])
    assert number is not None
    assert f"error {number[1]}: GET /api/broken" in caplog.text
    assert "the secret detail" in caplog.text  # with its traceback
    for text in (answer.text, page.text):
        assert "the secret detail" not in text
        assert "Traceback" not in text
    assert "<h1>Something went wrong</h1>" in page.text


# --- sizes


@pytest.fixture
def small(tmp_path: Path) -> Iterator[TestClient]:
    """A server that takes files of one MiB, with a route that reads whatever it is sent."""
    app = create_app(Settings(data_dir=tmp_path / "data", upload_max_mib=1))

    @app.post("/api/reads")
    async def reads(request: Request) -> int:
        return len(await request.body())

    with TestClient(app, base_url=HERE) as client:
        yield client


def endless(mib: int, asked: list[int]) -> Iterator[bytes]:
    """A body without Content-Length; says how much of it was asked for."""
    for _ in range(mib):
        asked.append(1)
        yield b"x" * 2**20


def test_a_body_that_is_too_large_is_refused_by_its_length(small: TestClient) -> None:
    answer = small.post("/api/reads", content=b"x" * (2**20 + 1))
    assert (answer.status_code, error(answer)["code"]) == (413, "too_large")
    assert error(answer)["message"] == "The request is too large: at most 1 MiB are taken."
    assert small.post("/api/reads", content=b"x" * 2**20).json() == 2**20


def test_a_body_that_does_not_say_its_length_is_counted(small: TestClient) -> None:
    answer = small.post("/api/reads", content=endless(3, []))
    assert (answer.status_code, error(answer)["code"]) == (413, "too_large")
    lies = small.post("/api/reads", content=endless(3, []), headers={"Content-Length": "10"})
    assert lies.status_code == 413


def test_a_file_that_is_too_large_leaves_nothing_behind(small: TestClient, tmp_path: Path) -> None:
    answer = small.post("/api/jobs", files={"file": ("a.mp4", b"x" * (3 * 2**20))})
    assert (answer.status_code, error(answer)["code"]) == (413, "too_large")
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    chunked = small.post(
        "/api/jobs",
        content=(part for part in [head, *endless(4, [])]),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert (chunked.status_code, error(chunked)["code"]) == (413, "too_large")
    assert small.get("/api/jobs").json()["items"] == []
    jobs = tmp_path / "data" / "jobs"
    assert not jobs.exists() or list(jobs.iterdir()) == []


# --- what is served


def test_static_files_and_plotly_come_from_here(client: TestClient) -> None:
    for name in ("mien/mien.css", "mien/plot.js", "favicon.svg", "js/server/login.js", "pages.css"):
        answer = client.get(f"/static/{name}")
        assert answer.status_code == 200, name
        assert "javascript" in answer.headers["Content-Type"] or not name.endswith(".js")
        again = client.get(f"/static/{name}", headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304
    script = client.get("/static/plotly.js")
    assert script.headers["Content-Type"].startswith("text/javascript")
    assert b"plotly.js v" in script.content[:200]


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [("gzip, deflate, br", True), ("br;q=1, GZIP;q=0.5", True), ("gzip;q=0", False), ("br", False), ("identity", False)],
)
def test_scripts_go_out_packed_to_whoever_takes_that(client: TestClient, accepted: str, packed: bool) -> None:
    paths = {"/static/plotly.js": 3, "/static/js/participant/take-part.js": 2}
    if accepted not in (
        "gzip, deflate, br",
        "br",
        "identity",
    ):  # Starlette's own, for all but Plotly, takes gzip as browsers say it
        del paths["/static/js/participant/take-part.js"]
    for path, smaller in paths.items():
        whole = client.get(path, headers={"Accept-Encoding": "identity"})
        answer = client.get(path, headers={"Accept-Encoding": accepted})
        assert answer.content == whole.content  # httpx has unpacked it
        assert (answer.headers.get("Content-Encoding") == "gzip") is packed
        assert "Accept-Encoding" in answer.headers["Vary"]
        if packed and "Content-Length" in answer.headers:
            assert int(answer.headers["Content-Length"]) * smaller < len(whole.content)
        assert answer.headers["Content-Type"].startswith("text/javascript")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/static/../app.py", 404),
        ("/static/%2e%2e/app.py", 404),
        ("/static/..%2fapp.py", 404),
        ("/static//etc/passwd", 404),
        ("/static/%00", 422),
    ],
)
def test_nothing_but_static_files_comes_out(client: TestClient, path: str, status: int) -> None:
    assert client.get(path).status_code == status


def test_info_says_what_a_page_has_to_know(client: TestClient) -> None:
    found = client.get("/api/info").json()
    assert found["labels"] == ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"]
    assert found["intervals_s"] == [0, 0.2, 0.5, 1, 2, 5]
    assert set(found["colours"]) == set(found["labels"])
    assert found["limits"]["upload_max_mib"] == 4096
    assert found["looks_per_s"] > 0
    assert found["model"] == "mien-lite0"


# --- starting and stopping


def test_nothing_is_made_before_it_is_asked_for(tmp_path: Path) -> None:
    """Importing the modules makes no folder and opens no file; `create_app` does."""
    folder = tmp_path / "deep" / "data"
    app = create_app(Settings(data_dir=folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700  # films of faces: for nobody else on the machine
    assert (folder / "mien.sqlite3").is_file()
    app.state.store.close()


def test_a_database_that_cannot_be_opened_is_told_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "mien.sqlite3").write_bytes(b"no database at all" * 100)
    with pytest.raises(DataError, match="file is not a database"):
        create_app(Settings(data_dir=tmp_path))


def test_streams_are_told_when_the_server_stops(app: FastAPI) -> None:
    with TestClient(app, base_url=HERE):
        assert not app.state.stopping.is_set()
    assert app.state.stopping.is_set()


def test_a_port_that_is_taken_is_one_line() -> None:
    with listen("127.0.0.1", 0) as door:
        port = door.getsockname()[1]
        with pytest.raises(
            MienError, match=f"port {port} of 127.0.0.1 is taken, perhaps by another mien; try mien serve --port {port + 1}"
        ):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no such host", "203.0.113.7"])
def test_an_address_that_is_not_ours_is_one_line(host: str) -> None:
    with pytest.raises(MienError, match=f"cannot listen on {host}, port 0: .*; try another --host or --port") as caught:
        listen(host, 0)
    assert "\n" not in str(caught.value)


def test_ipv6_is_listened_on_where_there_is_any() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        door = listen("::1", 0)
    except MienError as error:
        pytest.skip(str(error))
    with door:
        assert door.family == socket.AF_INET6


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "http://127.0.0.1:8700"),
        ("localhost", "http://localhost:8700"),
        ("0.0.0.0", "http://127.0.0.1:8700"),
        ("::", "http://[::1]:8700"),
        ("::1", "http://[::1]:8700"),
    ],
)
def test_the_address_can_be_typed_into_a_browser(host: str, shown: str) -> None:
    assert address(host, 8700) == shown


def test_a_data_folder_has_one_server(tmp_path: Path) -> None:
    refused = pytest.raises(MienError, match="another mien serve uses this data folder; stop it, or take another --data")
    with only_one(tmp_path / "data"), refused, only_one(tmp_path / "data"):
        pass
    with only_one(tmp_path / "data"):
        pass
