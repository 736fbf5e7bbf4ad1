"""A server for others: its certificate, the page before its https, its public address, and `mien serve --share` in a process."""

import re
import signal
import socket
import ssl
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from mien.errors import DataError
from mien.web.app import listen
from mien.web.doorstep import AT_ONCE_MAX, Doorstep, check_sharing, shared
from mien.web.network import certificate_name, checked_certificate, local_address, own_certificate
from mien.web.settings import Settings
from mien.web.studies.texts import said
from web.conftest import PASSWORD, Opened
from web.test_serve import START_S, Started

LAN = "192.168.1.20"

# --- the certificate


def test_a_certificate_is_made_for_the_names_kept_and_made_anew_for_others(tmp_path: Path) -> None:
    file = own_certificate(tmp_path / "certificate.pem", [LAN, "laptop", "localhost"])
    made = x509.load_pem_x509_certificate(file.read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["laptop", "localhost"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == [LAN]
    assert made.not_valid_before_utc < datetime.now(UTC) < made.not_valid_after_utc
    assert made.not_valid_after_utc - made.not_valid_before_utc <= timedelta(days=398), "browsers refuse longer ones"
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    assert own_certificate(file, [LAN, "localhost"]).read_bytes() == before
    assert own_certificate(file, ["10.0.0.7"]).read_bytes() != before


def test_a_certificate_near_its_end_or_spoilt_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "certificate.pem"
    monkeypatch.setattr("mien.web.network.CERTIFICATE_DAYS", 13)
    before = own_certificate(file, [LAN]).read_bytes()
    monkeypatch.undo()
    after = own_certificate(file, [LAN]).read_bytes()
    assert after != before
    assert own_certificate(file, [LAN]).read_bytes() == after
    file.write_bytes(after[after.index(b"-----BEGIN CERTIFICATE") :])  # without its key
    own_certificate(file, [LAN])
    assert checked_certificate(file, None) == file


def test_its_name_is_the_first_that_is_no_pattern(tmp_path: Path) -> None:
    assert certificate_name(own_certificate(tmp_path / "a.pem", ["*.example.org", "faces.example.org"])) == "faces.example.org"
    assert certificate_name(own_certificate(tmp_path / "b.pem", ["*.example.org"])) == ""


def test_what_is_no_certificate_is_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "faces.pem"
    with pytest.raises(DataError, match=r"faces.pem: cannot be read: No such file"):
        checked_certificate(file, None)
    file.write_text("nothing")
    with pytest.raises(DataError, match=r"faces.pem: wanted a certificate and its key, as PEM"):
        checked_certificate(file, None)
    own_certificate(file, [LAN])
    with pytest.raises(DataError, match=r"faces.key: cannot be read"):
        checked_certificate(file, tmp_path / "faces.key")


# --- the doorstep


@pytest.fixture
def step() -> Doorstep:
    made = Doorstep(listen("127.0.0.1", 0), 8700, LAN)
    made.close()
    return made


def asked(step: Doorstep, path: str, host: str = f"{LAN}:8701", language: str = "en", method: str = "GET") -> str:
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept-Language: {language}\r\n\r\n"
    return step.answer(head).decode()


@pytest.mark.parametrize("language", ["en", "fr", "de", "tr"])
def test_the_doorstep_says_in_their_language_what_comes_and_leads_on(step: Doorstep, language: str) -> None:
    text = asked(step, "/take-part/abc123?PROLIFIC_PID=5f", language=language)
    assert text.startswith("HTTP/1.1 200 OK\r\n")
    assert f'<html lang="{language}">' in text
    for key in ("title", "why", "chrome", "safari", "firefox", "check", "on", "still"):
        assert said(f"doorstep.{key}", language) in text
    assert f'href="https://{LAN}:8700/take-part/abc123?PROLIFIC_PID=5f"' in text


@pytest.mark.parametrize(
    ("path", "goal"),
    [
        ("/", "/"),
        ("/take-part/a-b_C1", "/take-part/a-b_C1"),
        ("/studies", "/"),
        ("/take-part/a/b", "/"),
        ('/take-part/"><script>', "/"),
        ("//elsewhere.example", "/"),
        ("https://elsewhere.example/", "/"),
        ("/take-part/a?x=<b>", "/"),
        ("", "/"),
    ],
)
def test_it_leads_to_invitations_and_the_first_page_alone(step: Doorstep, path: str, goal: str) -> None:
    assert re.findall(r'href="([^"]*)"', asked(step, path)) == [f"https://{LAN}:8700{goal}"]


@pytest.mark.parametrize(
    ("host", "name"),
    [("10.0.0.7:8701", "10.0.0.7"), ("[fe80::1]:8701", "[fe80::1]"), ("elsewhere.example", LAN), ("", LAN), ("[", LAN)],
)
def test_it_leads_to_the_address_that_was_asked_for_and_to_no_other_name(step: Doorstep, host: str, name: str) -> None:
    assert f'href="https://{name}:8700/"' in asked(step, "/", host=host)


def test_it_takes_nothing(step: Doorstep) -> None:
    assert asked(step, "/", method="POST").startswith("HTTP/1.1 405 ")
    assert step.answer(b"\r\n\r\n".decode()).startswith(b"HTTP/1.1 405 ")
    assert asked(step, "/", method="HEAD").endswith("\r\n\r\n")


# --- settings


def test_sharing_makes_a_certificate_and_a_doorstep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.web.doorstep.local_address", lambda: LAN)
    settings = Settings(host="0.0.0.0", port=8700, data_dir=tmp_path, password=PASSWORD)
    asked_for: list[int] = []

    def taken(host: str, port: int) -> socket.socket:
        asked_for.append(port)
        if port:
            raise DataError("taken")
        return listen("127.0.0.1", 0)

    found, step = shared(settings, taken)
    assert step is not None
    step.close()
    assert asked_for == [8701, 0]
    assert found.tls_cert == tmp_path / "certificate.pem"
    assert found.public_url == step.url
    assert step.url.startswith(f"http://{LAN}:")
    known = Settings(
        host=LAN, data_dir=tmp_path, password=PASSWORD, tls_cert=own_certificate(tmp_path / "n", ["faces.example.org"])
    )
    found, nothing = shared(known, taken)
    assert (found.public_url, nothing) == ("https://faces.example.org:8700", None)
    behind = Settings(host=LAN, data_dir=tmp_path, password=PASSWORD, public_url="https://faces.example.org")
    found, nothing = shared(behind, taken)
    assert (found.public_url, nothing) == ("https://faces.example.org", None)


def test_this_machine_alone_is_not_shared() -> None:
    with pytest.raises(ValueError, match="--share listens in the local network"):
        check_sharing("127.0.0.1")
    check_sharing("0.0.0.0")


# --- behind a proxy


def test_through_a_proxy_without_words_of_its_own_the_public_address_is_https(opened: Opened) -> None:
    """A browser says https://…; what the proxy hands on says http."""
    client = opened(public_url="https://faces.example.org", password=PASSWORD)
    sent = {"Host": "faces.example.org", "Origin": "https://faces.example.org", "Sec-Fetch-Site": "same-origin"}
    answer = client.post("/api/login", json={"password": PASSWORD}, headers=sent)
    assert answer.status_code == 200, answer.text
    assert "; Secure" in answer.headers["Set-Cookie"]
    for other in ("http://faces.example.org", "https://faces.example.org:8700", "https://elsewhere.example"):
        assert client.post("/api/login", json={"password": PASSWORD}, headers=sent | {"Origin": other}).status_code == 403
    assert client.get("/api/info", headers={"Host": "elsewhere.example"}).status_code == 403


def test_a_public_address_demands_a_password(opened: Opened) -> None:
    with pytest.raises(ValueError, match=r"--public-url https://a\.example can be reached from other machines: wanted a password"):
        opened(public_url="https://a.example")


# --- mien serve --share


def in_a_network() -> bool:
    try:
        return bool(local_address())
    except Exception:
        return False


@pytest.mark.process
@pytest.mark.skipif(not in_a_network(), reason="this machine is in no network")
def test_serve_share_is_reached_over_https_with_what_it_printed(tmp_path: Path) -> None:
    started = Started("--share", "--port", 0, "--data", tmp_path / "data")
    try:
        assert started.process.stdout is not None
        lines = [started.process.stdout.readline()]
        while not lines[-1].startswith("password: ") and started.process.poll() is None:
            lines.append(started.process.stdout.readline())
        text = "".join(lines)
        here = re.search(r"mien is at (https://127\.0\.0\.1:\d+)  ", text)
        there = re.search(r"in this network: (http://\S+)\n", text)
        word = re.search(r"password: (\S+)  ", text)
        assert here, text
        assert there, text
        assert word, text
        assert "▄" in text, "no code"
        step = httpx.get(there[1], timeout=START_S, trust_env=False)
        goal = re.findall(r'href="([^"]*)"', step.text)
        own = ssl.create_default_context(cafile=tmp_path / "data" / "certificate.pem")
        assert goal == [f"https://{local_address()}:{here[1].rpartition(':')[2]}/"]
        with httpx.Client(
            base_url=goal[0], verify=own, trust_env=False, timeout=START_S
        ) as client:  # the certificate is for this address
            assert client.get("/api/info").status_code == 401
            assert client.post("/api/login", json={"password": word[1]}).status_code == 200
            assert client.get("/api/info").status_code == 200
        half = [socket.create_connection((local_address(), int(there[1].rpartition(":")[2]))) for _ in range(AT_ONCE_MAX + 5)]
        with httpx.Client(base_url=goal[0], verify=own, trust_env=False, timeout=START_S) as client:
            assert client.get("/login").status_code == 200, "half requests at the doorstep hold nobody up"
        for one in half:
            one.close()
        assert started.end(signal.SIGINT) == (0, "mien has stopped\n", "")
    finally:
        if started.process.poll() is None:
            started.process.kill()
            started.process.communicate(timeout=START_S)
