"""Callers that say half of what they want, or say it in crumbs: others are answered meanwhile, and the log stays short.

Nothing here asks how long something takes: a limit is made small, and what follows from it is waited for.
"""

import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.web.network import own_certificate
from serving import PATIENCE_S, Server

pytestmark = [pytest.mark.more, pytest.mark.process]

Served = Callable[..., Server]
HALF = b"GET /api/info HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "


def connected(server: Server, said: bytes = b"") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)
    made.sendall(said)
    return made


def is_over(connection: socket.socket) -> bool:
    """Waits until the server has closed it."""
    with connection, contextlib.suppress(ConnectionError):
        while connection.recv(65536):
            pass
    return True


def test_a_head_that_does_not_come_whole_is_given_up(served: Served) -> None:
    server = served(request_max_s=1)
    nothing, half = connected(server), connected(server, HALF)
    assert is_over(nothing)
    assert is_over(half)


def test_beside_half_requests_an_honest_one_is_answered(served: Served) -> None:
    server = served(request_max_s=3600, connections_max=40, connections_per_address_max=30)
    half = [connected(server, HALF) for _ in range(200)]
    for _ in range(5):
        with server.client() as client:
            assert client.get("/api/info").status_code == 200
    assert all(is_over(one) for one in half[:150])  # the oldest made room
    for one in half[150:]:
        one.close()
    said = server.said()
    assert said.count("too many connections") == 1
    assert len(said) < 10_000


def hello() -> bytes:
    """What a browser says first over https."""
    said = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl._create_unverified_context().wrap_bio(ssl.MemoryBIO(), said, server_hostname="localhost").do_handshake()
    return said.read()


@pytest.fixture
def secure(served: Served, tmp_path: Path) -> Served:
    certificate = own_certificate(tmp_path / "certificate.pem", ["localhost", "127.0.0.1"])
    return lambda **given: served(tls_cert=certificate, **given)


def test_a_handshake_that_is_not_finished_is_given_up(secure: Served) -> None:
    server = secure(request_max_s=1)
    assert all(is_over(connected(server, said)) for said in (b"", b"\x16", hello()[:40], hello(), b"GET / HTTP/1.1\r\n\r\n"))
    with server.client() as client:
        assert client.get("/api/info").status_code == 200


def test_beside_half_handshakes_an_honest_request_is_answered(secure: Served) -> None:
    server = secure(request_max_s=3600, connections_max=40, connections_per_address_max=30)
    half = [connected(server, (b"", b"\x16", hello())[k % 3]) for k in range(120)]
    for _ in range(3):
        with server.client() as client:
            assert client.get("/api/info").status_code == 200
            assert client.get("/api/session").json()["guarded"] is False  # on the same connection
    assert all(is_over(one) for one in half[:70])  # the oldest made room
    said = server.said()
    assert said.count("too many connections") == 1
    assert len(said) < 10_000
    assert server.stop() == 0  # the others do not keep it
    for one in half[70:]:
        one.close()


def test_nonsense_a_thousand_times_is_one_line(served: Served) -> None:
    server = served()
    for _ in range(300):
        with connected(server, b"\x16\x03\x01 this is no HTTP\r\n\r\n") as one:
            assert is_over(one)
    assert server.said().count("Invalid HTTP request") == 1


def test_a_body_that_stops_coming_is_answered_408(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    from mien.web import incoming
    from mien.web.errors import ApiError

    monkeypatch.setattr(incoming, "SLOW_AFTER_S", 0.01)

    async def never() -> dict[str, object]:
        await asyncio.Event().wait()
        return {}

    with pytest.raises(ApiError) as refused:
        asyncio.run(incoming.in_time(never)())  # type: ignore[arg-type]
    assert refused.value.status_code == 408


def test_a_body_that_trickles_is_answered_408() -> None:
    import asyncio

    from mien.web import incoming
    from mien.web.errors import ApiError

    now = [0.0]

    async def crumb() -> dict[str, object]:
        now[0] += 10.0
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def read() -> None:
        taken = incoming.in_time(crumb, clock=lambda: now[0])  # type: ignore[arg-type]
        for _ in range(10):
            await taken()

    with pytest.raises(ApiError) as refused:
        asyncio.run(read())
    assert refused.value.status_code == 408


def test_an_answer_that_takes_long_to_make_is_no_slow_request() -> None:
    """A route that reads no body asks for it when its answer goes out; only from then on can it be late."""
    import asyncio

    from mien.web import incoming

    now = [0.0]

    async def nothing() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    taken = incoming.in_time(nothing, clock=lambda: now[0])  # type: ignore[arg-type]
    now[0] = 1000.0
    assert asyncio.run(taken())["more_body"] is False  # type: ignore[arg-type]


def test_a_form_in_tiny_chunks_holds_nobody_up(served: Served) -> None:
    """While it comes in, others are answered: their answers come before its own."""
    server = served()
    head = b"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n"
    begin = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    with connected(server, head + b"%x\r\n%s\r\n" % (len(begin), begin)) as form, server.client() as client:
        for _ in range(20):
            form.sendall(b"1\r\nx\r\n" * 5000)
            assert client.get("/api/info").status_code == 200
        end = b"\r\n--b--\r\n"
        form.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(end), end))
        assert form.recv(65536).startswith(b"HTTP/1.1 201")


def test_who_speaks_for_others_is_believed_only_where_it_is_named(served: Served) -> None:
    server = served(password="a long pass phrase", login_attempts_per_minute=2)
    with server.client() as client:
        answers = [
            client.post("/api/login", json={"password": "wrong"}, headers={"X-Forwarded-For": f"203.0.113.{k}"}).status_code
            for k in range(4)
        ]
    assert answers == [401, 401, 429, 429]


def test_a_proxy_that_is_named_is_believed(served: Served) -> None:
    server = served(password="a long pass phrase", login_attempts_per_minute=2, trusted_proxies="127.0.0.1")
    with server.client() as client:
        answers = [
            client.post("/api/login", json={"password": "wrong"}, headers={"X-Forwarded-For": f"203.0.113.{k}"}).status_code
            for k in range(4)
        ]
    assert answers == [401] * 4


def test_tokens_are_not_guessed_without_end(served: Served) -> None:
    server = served(token="a-token-of-many-letters", login_attempts_per_minute=3)

    def ask(token: str) -> int:
        with server.client() as client:
            return client.get("/api/jobs", headers={"Authorization": f"Bearer {token}"}).status_code

    assert ask("a-token-of-many-letters") == 200
    assert [ask(f"guess-{k}-of-many-letters") for k in range(5)] == [401, 401, 401, 429, 429]
    assert ask("a-token-of-many-letters") == 200  # a program that was right before goes on
