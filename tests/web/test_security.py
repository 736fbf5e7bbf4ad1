"""Who may do what: every changing call against other origins and hosts; passwords, tokens, sessions, sockets, headers."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from fastapi.routing import APIRoute, APIWebSocketRoute
from sqlalchemy import select
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from mien.web.app import create_app
from mien.web.database import Login
from mien.web.errors import ApiError
from mien.web.routes import every_route
from mien.web.security import (
    COOKIE,
    CROSS_ORIGIN,
    HEADERS,
    LOGIN_NEEDED,
    LOOKED_AT,
    READING,
    LetIn,
    Security,
    is_for_participants,
    is_own,
    own_path,
)
from mien.web.settings import Settings
from web.conftest import HERE, PASSWORD, TOKEN, Opened, as_browser


def api_routes(app: FastAPI) -> Iterator[APIRoute]:
    return (route for route in every_route(app) if isinstance(route, APIRoute))


def changing(app: FastAPI) -> list[tuple[str, str]]:
    """(method, path) of every call that changes something, with an id that may be one."""
    found = [
        (method, re.sub(r"\{(\w+)(:\w+)?\}", lambda m: "1" if m[1] == "track" else "k3v9Qm0aZx81tRbW", route.path))
        for route in api_routes(app)
        for method in sorted(route.methods - set(READING))
    ]
    assert {("DELETE", "/api/storage"), ("POST", "/api/login"), ("POST", "/api/jobs")} <= set(found), found
    return found


def operators(app: FastAPI) -> list[tuple[str, str]]:
    """Of `changing` those that need a login; tests/web/test_participants.py tries the others."""
    return [(method, path) for method, path in changing(app) if not is_for_participants(path)]


def error(answer: Any) -> str:
    """The code of the one error body."""
    assert list(answer.json()) == ["error"]
    assert set(answer.json()["error"]) == {"code", "message", "detail"}
    return str(answer.json()["error"]["code"])


# --- changes from elsewhere


@pytest.mark.parametrize(
    "origin",
    [
        "http://elsewhere.example",
        "http://127.0.0.1:9999",  # another program of this machine: the same site, so the cookie comes along
        "https://127.0.0.1:8700",
        "http://localhost:8700",
        "http://127.0.0.1:8700.elsewhere.example",
        "http://127.0.0.1:99999999",
        "http://[",
        "null",
        "",
    ],
)
@pytest.mark.parametrize("with_session", [True, False])
def test_another_origin_changes_nothing(client: TestClient, app: FastAPI, origin: str, with_session: bool) -> None:
    headers = as_browser(client) if with_session else {}
    for method, path in changing(app):
        answer = client.request(method, path, headers=headers | {"Origin": origin}, json={"confirm": "erase"})
        assert (answer.status_code, error(answer)) == (403, "cross_origin"), (method, path)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_what_the_browser_calls_another_site_changes_nothing(client: TestClient, app: FastAPI, site: str) -> None:
    headers = as_browser(client)
    for method, path in changing(app):
        for sent in (headers | {"Sec-Fetch-Site": site}, {"Sec-Fetch-Site": site}):
            answer = client.request(method, path, headers=sent, json={"confirm": "erase"})
            assert (answer.status_code, error(answer)) == (403, "cross_origin"), (method, path)


@pytest.mark.parametrize("guarded", [True, False])
def test_a_cookie_that_comes_without_an_origin_changes_nothing(opened: Opened, guarded: bool) -> None:
    client = opened(**({"password": PASSWORD} if guarded else {}))
    app: Any = client.app
    if guarded:
        login(client, PASSWORD)
    else:
        client.cookies.set(COOKIE, "made-up")
    for method, path in operators(app):
        answer = client.request(method, path, json={"confirm": "erase"})
        assert (answer.status_code, error(answer)) == (403, "cross_origin"), (method, path)


def test_mien_s_own_pages_change_things(client: TestClient, app: FastAPI) -> None:
    """So that the refusals above are about what they say they are about."""
    headers = as_browser(client)
    for method, path in operators(app):
        if path in ("/api/logout", "/api/storage"):
            continue
        answer = client.request(method, path, headers=headers, json={})
        assert answer.status_code in (200, 201, 404, 409, 415, 422), (method, path, answer.text)
    assert client.request("DELETE", "/api/storage", headers=headers, json={"confirm": "erase"}).status_code == 204


def test_a_program_on_this_machine_needs_nothing(client: TestClient) -> None:
    assert client.request("DELETE", "/api/storage", json={"confirm": "erase"}).status_code == 204


def test_with_a_password_every_change_needs_a_login_or_the_token(opened: Opened) -> None:
    client = opened(password=PASSWORD, token=TOKEN, login_attempts_per_minute=100_000)
    app: Any = client.app
    own = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}
    for method, path in operators(app):
        if path == "/api/login":
            continue
        for headers in ({}, own, own | {"Cookie": f"{COOKIE}=made-up"}, own | {"X-CSRF-Token": "made-up"}):
            assert client.request(method, path, headers=headers, json={}).status_code == 401, (method, path, headers)
        for wrong in ("wrong", "", TOKEN + "x", TOKEN[:-1]):
            answer = client.request(method, path, headers={"Authorization": f"Bearer {wrong}"}, json={})
            assert (answer.status_code, error(answer)) == (401, "wrong_token")
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    # A page elsewhere cannot know the token, so it stands for itself.
    assert client.request("DELETE", "/api/storage", headers=bearer, json={"confirm": "erase"}).status_code == 204
    sent = bearer | {"Origin": "http://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    assert client.request("DELETE", "/api/storage", headers=sent, json={"confirm": "erase"}).status_code == 204


# --- hosts


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8700", "localhost:1234", "LOCALHOST", "[::1]:8700"])
def test_this_machine_s_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/api/info", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["elsewhere.example", "127.0.0.1.elsewhere.example:8700", "192.168.1.5:8700", "", "[", "localhost@elsewhere.example", "a b"],
)
def test_a_name_that_only_came_to_mean_this_machine_is_not_answered(client: TestClient, host: str) -> None:
    """DNS rebinding: a page of elsewhere.example would be of one origin with us."""
    for path in ("/", "/api/info", "/api/jobs", "/static/mien/mien.css", "/login"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == 403, path
        assert "cookie" not in str(answer.headers).lower()
    sent = {"Host": host, "Origin": f"http://{host}"}
    assert error(client.request("DELETE", "/api/storage", headers=sent, json={"confirm": "erase"})) == "unknown_host"


def test_names_that_were_allowed_are_answered(opened: Opened) -> None:
    client = opened(allowed_hosts=("faces.example",))
    assert client.get("/api/info", headers={"Host": "faces.example:8700"}).status_code == 200
    assert client.get("/api/info", headers={"Host": "other.example"}).status_code == 403


def test_on_a_network_addresses_are_answered_but_not_names(opened: Opened) -> None:
    client = opened(host="0.0.0.0", token=TOKEN)
    sent = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get("/api/info", headers=sent | {"Host": "192.168.1.5:8700"}).status_code == 200
    assert client.get("/api/info", headers=sent | {"Host": "elsewhere.example"}).status_code == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "myhost"])
def test_nobody_else_is_let_in_without_a_password_or_token(tmp_path: Any, host: str) -> None:
    with pytest.raises(
        ValueError, match=rf"--host {re.escape(host)} can be reached from other machines: wanted a password or a token"
    ):
        create_app(Settings(host=host, data_dir=tmp_path))
    create_app(Settings(host=host, data_dir=tmp_path, password=PASSWORD)).state.store.close()


@pytest.mark.parametrize(
    ("scheme", "host", "origin", "own"),
    [
        ("http", "a:80", "http://a", True),
        ("http", "a", "http://A:80", True),
        ("https", "a", "https://a:443", True),
        ("https", "a", "http://a", False),
        ("wss", "a", "https://a", True),
        ("ws", "a:1", "http://a:1", True),
        ("ws", "a:1", "http://a:2", False),
        ("http", "[::1]:1", "http://[::1]:1", True),
        ("http", "a", "file://a", False),
        ("http", "a", "http://b@a.evil", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(scheme: str, host: str, origin: str, own: bool) -> None:
    from starlette.requests import HTTPConnection

    scope = {
        "type": "http",
        "scheme": scheme,
        "path": "/",
        "query_string": b"",
        "headers": [(b"host", host.encode())],
        "server": None,
    }
    assert is_own(HTTPConnection(scope), origin) is own


# --- passwords and sessions


def login(client: TestClient, word: str, **more: Any) -> Any:
    return client.post("/api/login", json={"password": word}, headers={"Origin": HERE, "Sec-Fetch-Site": "same-origin"}, **more)


OPEN_TO_ALL = ("/login", "/favicon.ico", "/healthz", "/readyz")


def test_without_a_login_there_is_nothing_to_see(opened: Opened) -> None:
    client = opened(password=PASSWORD)
    app: Any = client.app
    for route in api_routes(app):
        path = re.sub(r"\{\w+(:\w+)?\}", "1", route.path)
        if "GET" not in route.methods or path in OPEN_TO_ALL or path.startswith("/static/"):
            continue
        if is_for_participants(path):
            continue
        answer = client.get(path)
        if path.startswith("/api/"):
            assert (answer.status_code, error(answer)) == (401, "login_needed"), path
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        else:
            assert answer.status_code == 303, path
            assert answer.headers["Location"].startswith("/login"), path
    assert client.get("/compare?a=1&b=2").headers["Location"] == "/login?next=%2Fcompare%3Fa%3D1%26b%3D2"
    assert client.get("/login").status_code == 200
    assert client.get("/static/mien/mien.css").status_code == 200
    assert client.get("/nothing").status_code == 303  # what is there and what is not is not told either
    assert client.get("/api/nothing").status_code == 401


def test_the_password_opens_a_session(opened: Opened) -> None:
    client = opened(password=PASSWORD)
    answer = login(client, PASSWORD)
    assert answer.status_code == 200
    assert answer.json()["logged_in"] is True
    cookie = answer.headers["Set-Cookie"]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert attributes == {"httponly", "samesite=lax", "path=/", f"max-age={168 * 3600}"}
    assert client.get("/api/jobs").status_code == 200
    assert client.get("/login").headers["Location"] == "/"
    assert client.get("/").status_code == 200
    assert client.post("/api/logout", headers=as_browser(client)).status_code == 204
    assert client.get("/api/jobs").status_code == 401


def test_over_https_the_cookie_is_secure(opened: Opened) -> None:
    client = opened(password=PASSWORD, base="https://127.0.0.1")
    answer = client.post("/api/login", json={"password": PASSWORD})
    assert "; secure" in answer.headers["Set-Cookie"].lower()


def test_the_server_keeps_only_hashes(opened: Opened) -> None:
    client = opened(password=PASSWORD, token=TOKEN)
    app: Any = client.app
    login(client, PASSWORD)
    word = client.cookies[COOKIE]
    with app.state.store.reading() as rows:
        logins = list(rows.scalars(select(Login)))
    assert len(logins) == 1
    assert word not in logins[0].key
    assert (app.state.settings.password, app.state.settings.token) == ("", "")
    kept = str(vars(app.state.security))
    assert PASSWORD not in kept
    assert TOKEN not in kept
    assert "$argon2id$" in kept
    files = b"".join(path.read_bytes() for path in app.state.settings.data_dir.iterdir() if path.is_file())
    assert word.encode() not in files


def test_a_session_ends_by_itself(opened: Opened) -> None:
    client = opened(password=PASSWORD)
    app: Any = client.app
    login(client, PASSWORD)
    with app.state.store.session() as rows:
        rows.scalars(select(Login)).one().expires_at -= timedelta(hours=168)
    assert client.get("/api/jobs").status_code == 401
    client.cookies.clear()
    login(client, PASSWORD)
    with app.state.store.reading() as rows:
        assert len(list(rows.scalars(select(Login)))) == 1  # the old one is forgotten


def test_a_login_gives_a_new_session(opened: Opened) -> None:
    """Whoever knew the old cookie does not know the new one."""
    client = opened(password=PASSWORD)
    login(client, PASSWORD)
    before = client.cookies[COOKIE]
    again = client.post("/api/login", json={"password": PASSWORD}, headers=as_browser(client))
    assert again.status_code == 200
    assert client.cookies[COOKIE] != before
    client.cookies.set(COOKIE, before)
    assert client.get("/api/jobs", headers={"Cookie": f"{COOKIE}={before}"}).status_code == 401


def test_the_token_opens_pages_too(opened: Opened) -> None:
    client = opened(token=TOKEN)
    assert client.get("/api/jobs").status_code == 401
    assert client.get("/api/jobs", headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200
    assert login(client, "not the token at all").status_code == 401
    assert login(client, TOKEN).status_code == 200
    assert client.get("/").status_code == 200


def test_the_form_works_without_a_script(opened: Opened) -> None:
    client = opened(password=PASSWORD)
    sent = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}
    wrong = client.post("/api/login?next=/live", data={"password": "wrong"}, headers=sent)
    assert (wrong.status_code, error(wrong)) == (401, "wrong_password")
    answer = client.post("/api/login?next=/live", data={"password": PASSWORD}, headers=sent)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/live")
    # A browser leaves Origin out of the form's request ("null") where the page has no-referrer.
    client.cookies.clear()
    assert client.get("/login").headers["Referrer-Policy"] == "same-origin"
    assert client.get("/static/mien/mien.css").headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("given", "goes"),
    [
        ("/live", "/live"),
        ("/compare?a=1&b=2", "/compare?a=1&b=2"),
        ("//elsewhere.example", "/"),
        ("/\\elsewhere.example", "/"),
        ("https://elsewhere.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\nSet-Cookie: x=y", "/"),
        ("/\t/elsewhere.example", "/"),
        ("", "/"),
    ],
)
def test_after_the_login_one_stays_here(given: str, goes: str) -> None:
    assert own_path(given) == goes


def test_another_site_cannot_log_somebody_in(opened: Opened) -> None:
    client = opened(password=PASSWORD)
    answer = client.post("/api/login", data={"password": PASSWORD}, headers={"Origin": "http://elsewhere.example"})
    assert (answer.status_code, error(answer)) == (403, "cross_origin")


def test_guessing_is_slowed_down(opened: Opened) -> None:
    client = opened(password=PASSWORD, login_attempts_per_minute=3)
    app: Any = client.app
    for _ in range(3):
        assert error(login(client, "a wrong guess")) == "wrong_password"
    answer = login(client, PASSWORD)  # even the right one, now
    assert (answer.status_code, error(answer)) == (429, "too_many_attempts")
    assert 0 < int(answer.headers["Retry-After"]) <= 61
    security: Security = app.state.security
    for times in security.attempts.times.values():  # a minute passes
        for i in range(len(times)):
            times[i] -= 61
    assert login(client, PASSWORD).status_code == 200
    assert security.attempts.times == {}  # who knows the password has tried nothing


def test_attempts_are_counted_by_address(opened: Opened) -> None:
    app: Any = opened(password=PASSWORD, login_attempts_per_minute=1).app
    security: Security = app.state.security

    for address in ("10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8:0:1::1"):
        security.count_attempt(address)
    for address in ("10.0.0.1", "2001:db8::2", "::ffff:10.0.0.2"):  # one customer has a whole /64; IPv4 may come as IPv6
        with pytest.raises(ApiError):
            security.count_attempt(address)
    security.count_attempt("fe80::1%eth0")


def test_tokens_are_not_guessed_without_end(opened: Opened) -> None:
    client = opened(token=TOKEN, login_attempts_per_minute=3)

    def ask(token: str) -> tuple[int, str | None]:
        answer = client.get("/api/jobs", headers={"Authorization": f"Bearer {token}"})
        return answer.status_code, None if answer.is_success else error(answer)

    assert [ask(f"guess-{k}-of-many-letters") for k in range(5)] == [(401, "wrong_token")] * 3 + [(429, "too_many_attempts")] * 2
    app: Any = client.app
    app.state.security.token_attempts.times.clear()  # a minute passes
    assert ask(TOKEN) == (200, None)
    assert [ask(f"guess-{k}-of-many-letters") for k in range(4)] == [(401, "wrong_token")] * 3 + [(429, "too_many_attempts")]
    assert ask(TOKEN) == (200, None)  # a program that was right before goes on beside whoever guesses


def test_tokens_are_not_guessed_without_end_where_one_was_right(opened: Opened) -> None:
    app: Any = opened(token=TOKEN, login_attempts_per_minute=1).app
    security: Security = app.state.security

    def ask(token: str, port: int) -> int:
        try:
            security.check_token(token, "10.0.0.1", port)
        except ApiError as refused:
            return refused.status_code
        return 200

    assert ask(TOKEN, 1) == 200
    assert [ask("a-guess-of-many-letters", 2) for _ in range(2)] == [401, 429]
    assert ask(TOKEN, 3) == 200  # another program there is heard beside whoever guesses
    assert {ask("a-guess-of-many-letters", 2) for _ in range(LOOKED_AT)} == {429}
    assert [ask(TOKEN, port) for port in (4, 0)] == [429, 429]  # none is looked at any more
    assert [ask(TOKEN, port) for port in (1, 3)] == [200, 200]  # but on connections that it came by
    assert [ask("a-guess-of-many-letters", 1), ask(TOKEN, 1)] == [429, 429]


def test_who_was_let_in_is_forgotten_before_memory_is_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.web.security.LET_IN_MAX", 2)
    there = LetIn()
    for one in ("a", "b", "a", "c"):
        there.add(one)
    assert [one in there for one in ("a", "b", "c")] == [True, False, True]


def test_https_by_a_proxy_that_nobody_named_is_explained(client: TestClient) -> None:
    answer = client.post("/api/studies", json={}, headers={"Origin": HERE.replace("http:", "https:")})
    assert (answer.status_code, error(answer)) == (403, "cross_origin")
    assert "MIEN_TRUSTED_PROXIES" in answer.json()["error"]["message"]


@pytest.mark.parametrize("sent", [b"", b"{", b"[]", b'{"password": 1}', b'{"password": "' + b"x" * 1001 + b'"}', b"\xff"])
def test_a_login_that_is_none(opened: Opened, sent: bytes) -> None:
    client = opened(password=PASSWORD)
    for kind in ("application/json", "application/x-www-form-urlencoded"):
        answer = client.post("/api/login", content=sent, headers={"Content-Type": kind})
        assert (answer.status_code, error(answer)) in ((422, "invalid"), (401, "wrong_password")), answer.text


def test_without_a_password_nobody_logs_in(client: TestClient) -> None:
    assert error(client.post("/api/login", json={"password": "x"})) == "no_password"
    assert client.get("/login").headers["Location"] == "/"


def test_where_no_password_is_set_nobody_gets_a_session(client: TestClient) -> None:
    assert "Set-Cookie" not in client.get("/").headers
    assert client.get("/api/session").json() == {"guarded": False, "logged_in": True, "csrf": None}


def test_the_password_is_kept_as_a_hash_that_is_slow_to_guess(opened: Opened) -> None:
    """Argon2id with the library's own settings, which are those of RFC 9106 for little memory: 64 MiB, three passes."""
    kept = opened(password=PASSWORD).app.state.security.password_hash  # type: ignore[attr-defined]
    assert re.match(r"\$argon2id\$v=19\$m=65536,t=3,p=\d\$", kept)
    assert PASSWORD not in kept


# --- sockets


@pytest.fixture
def echo(settings: Settings) -> FastAPI:
    """The application with a socket of its own that would let everybody in."""
    app = create_app(settings)

    @app.websocket("/api/echo")
    async def accept(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("open")

    return app


def socket_says(client: TestClient, path: str, headers: dict[str, str]) -> str | int:
    try:
        with client.websocket_connect(path, headers=headers) as socket:
            return str(socket.receive_text())
    except WebSocketDisconnect as closed:
        return closed.code


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({}, "open"),
        ({"Origin": HERE}, "open"),
        ({"Origin": "http://elsewhere.example"}, CROSS_ORIGIN),
        ({"Origin": "http://127.0.0.1:9999"}, CROSS_ORIGIN),
        ({"Origin": "null"}, CROSS_ORIGIN),
        ({"Host": "elsewhere.example", "Origin": "http://elsewhere.example"}, CROSS_ORIGIN),
    ],
)
def test_sockets_are_opened_by_our_own_pages_only(echo: FastAPI, headers: dict[str, str], answer: str | int) -> None:
    with TestClient(echo, base_url=HERE) as client:
        assert socket_says(client, f"{HERE.replace('http', 'ws')}/api/echo", headers) == answer


def test_sockets_need_the_login_too(tmp_path: Any) -> None:
    app = create_app(Settings(data_dir=tmp_path, password=PASSWORD, token=TOKEN))

    @app.websocket("/api/echo")
    async def accept(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("open")

    path = f"{HERE.replace('http', 'ws')}/api/echo"
    with TestClient(app, base_url=HERE) as client:
        assert socket_says(client, path, {}) == LOGIN_NEEDED
        assert socket_says(client, path, {"Origin": HERE}) == LOGIN_NEEDED
        assert socket_says(client, path, {"Authorization": "Bearer wrong"}) == LOGIN_NEEDED
        assert socket_says(client, path, {"Authorization": f"Bearer {TOKEN}"}) == "open"
        login(client, PASSWORD)
        assert socket_says(client, path, {"Origin": HERE}) == "open"
        assert socket_says(client, path, {"Origin": "http://elsewhere.example"}) == CROSS_ORIGIN


def test_every_socket_of_the_application_refuses_other_origins(app: FastAPI, client: TestClient) -> None:
    for path in (route.path for route in every_route(app) if isinstance(route, APIWebSocketRoute)):
        address = f"{HERE.replace('http', 'ws')}{path}"
        assert socket_says(client, address, {"Origin": "http://elsewhere.example"}) == CROSS_ORIGIN, path


# --- headers


@pytest.mark.parametrize(
    "path", ["/", "/api/info", "/api/nothing", "/nothing", "/static/mien/mien.css", "/static/nothing", "/login", "/api"]
)
def test_every_answer_has_the_headers(client: TestClient, path: str) -> None:
    answer = client.get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value, name
    assert "access-control-allow-origin" not in answer.headers
    if path.startswith("/api/"):
        assert answer.headers["Cache-Control"] == "no-store"


def test_refusals_and_failures_have_the_headers_too(client: TestClient, app: FastAPI) -> None:
    @app.get("/api/broken")
    def broken() -> None:
        raise RuntimeError("a secret detail")

    for answer in (client.get("/api/broken"), client.get("/", headers={"Host": "elsewhere.example"})):
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def policy_of(answer: Any) -> dict[str, str]:
    return dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))


def test_scripts_come_from_here_only(client: TestClient) -> None:
    policy = policy_of(client.get("/"))
    assert policy["script-src"] == "'self'"
    assert policy["connect-src"] == "'self' ws://127.0.0.1:8700"
    assert policy["frame-ancestors"] == "'none'"
    assert "camera=(self)" in HEADERS["Permissions-Policy"]


@pytest.mark.parametrize(
    ("base", "host", "sockets"),
    [
        ("http://127.0.0.1:8700", "localhost:8700", " ws://localhost:8700"),
        ("http://127.0.0.1:8700", "[::1]:8700", " ws://[::1]:8700"),
        ("https://faces.example", "faces.example", " wss://faces.example"),
        ("http://127.0.0.1:8700", "127.0.0.1; script-src *", ""),
        ("http://127.0.0.1:8700", "*.elsewhere.example", ""),
        ("http://127.0.0.1:8700", "a b", ""),
    ],
)
def test_pages_talk_to_this_server_alone(opened: Opened, base: str, host: str, sockets: str) -> None:
    answer = opened(base=base, allowed_hosts=("faces.example",)).get("/live", headers={"Host": host})
    policy = policy_of(answer)
    assert policy["connect-src"] == f"'self'{sockets}"
    assert policy["script-src"] == "'self'"
