"""The examples of docs/web.md before a real server: Caddy and nginx with their very lines, and what compose.yaml says."""

import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from mien.web.network import own_certificate
from mien.web.settings import Settings, variable
from serving import PATIENCE_S, KeptPort, Server
from web.conftest import PASSWORD

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "web.md").read_text(encoding="utf-8")
NAME = "faces.example.org"
ORIGIN = {"Host": NAME, "Origin": f"https://{NAME}", "Sec-Fetch-Site": "same-origin"}


def example(language: str) -> str:
    [found] = re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    return str(found)


def caddy(folder: Path, port: int, behind: int) -> list[str]:
    """The example, on a port of loopback, with a certificate that is not asked for elsewhere."""
    text = example("caddy").replace("127.0.0.1:8700", f"127.0.0.1:{behind}")
    assert text.count(f"{NAME} {{") == 1
    text = text.replace(f"{NAME} {{", f"https://{NAME}:{port} {{\n  bind 127.0.0.1\n  tls {folder}/faces.pem {folder}/faces.pem")
    file = folder / "Caddyfile"
    file.write_text(f"{{\n  admin off\n  auto_https disable_redirects\n}}\n{text}")
    return ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"]


def nginx(folder: Path, port: int, behind: int) -> list[str]:
    text = (
        example("nginx").replace("127.0.0.1:8700", f"127.0.0.1:{behind}").replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    )
    text = text.replace("/etc/ssl/faces.pem", f"{folder}/faces.pem").replace("/etc/ssl/faces.key", f"{folder}/faces.pem")
    scratch = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/log; events {{}} http {{ access_log off; {scratch}\n{text} }}"
    )
    return ["nginx", "-c", str(file), "-e", f"{folder}/log"]


@pytest.mark.more
@pytest.mark.process
@pytest.mark.parametrize("program", [caddy, nginx])
def test_a_proxy_with_the_lines_of_the_documentation(program: Callable[..., list[str]], tmp_path: Path) -> None:
    if shutil.which(program.__name__) is None:
        pytest.skip(f"{program.__name__} IS NOT TESTED: it is not installed")
    file = own_certificate(tmp_path / "faces.pem", [NAME])
    trusted = ssl.create_default_context(cafile=file)
    port = KeptPort()
    with ExitStack() as stack:
        server = stack.enter_context(Server(tmp_path / "data", public_url=f"https://{NAME}", password=PASSWORD))
        log = stack.enter_context((tmp_path / "out").open("w"))
        proxy = subprocess.Popen(
            program(tmp_path, port.number, server.port),
            stdout=log,
            stderr=log,
            env={"HOME": str(tmp_path), "PATH": "/usr/sbin:/usr/bin"},
        )
        stack.callback(proxy.wait, PATIENCE_S)
        stack.callback(proxy.terminate)
        end = time.monotonic() + PATIENCE_S
        while True:
            with socket.socket() as line:
                if line.connect_ex(("127.0.0.1", port.number)) == 0:
                    break
            assert proxy.poll() is None, (tmp_path / "out").read_text() + "".join(p.read_text() for p in tmp_path.glob("log"))
            assert time.monotonic() < end
            time.sleep(0.05)
        own: dict[str, Any] = {"extensions": {"sni_hostname": NAME}}
        with httpx.Client(
            base_url=f"https://127.0.0.1:{port.number}", verify=trusted, headers=ORIGIN, timeout=PATIENCE_S
        ) as client:
            login = client.post("/api/login", json={"password": PASSWORD}, **own)
            assert login.status_code == 200, login.text
            assert "; Secure" in login.headers["Set-Cookie"]
            cookie = login.headers["Set-Cookie"].partition(";")[0]
            sent = ORIGIN | {"Cookie": cookie}
            study = client.post("/api/studies", json={"title": "Night train"}, headers=sent, **own).json()["id"]
            invitation = client.post(f"/api/studies/{study}/invitations", json={}, headers=sent, **own).json()
            assert invitation["link"] == f"https://{NAME}/take-part/{invitation['id']}"
            form = {"file": ("film.mp4", b"no film" * 300_000)}
            job = client.post("/api/jobs", files=form, headers=sent, **own)
            assert job.status_code == 201, job.text
            with client.stream("GET", "/api/jobs/events", headers=sent, **own) as events:
                assert job.json()["id"] in next(line for line in events.iter_lines() if line.startswith("data:")), "held back"
        with connect(
            f"wss://{NAME}/api/live",
            sock=socket.create_connection(("127.0.0.1", port.number)),
            ssl=trusted,
            server_hostname=NAME,
            origin=ORIGIN["Origin"],  # type: ignore[arg-type]
            additional_headers={"Cookie": cookie},
            open_timeout=PATIENCE_S,
        ) as live:
            assert live.response is not None
            assert live.response.status_code == 101


def test_compose_gives_the_server_settings_that_there_are() -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    given = set(re.findall(r"^      (MIEN_\w+):", text, flags=re.MULTILINE))
    assert given == {"MIEN_HOST", "MIEN_PUBLIC_URL", "MIEN_TRUSTED_PROXIES", "MIEN_PASSWORD", "MIEN_DATABASE_URL"}
    assert given <= {variable(name) for name in Settings.__slots__}
    container = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for path in re.findall(r"^COPY (.+) \S+$", container, flags=re.MULTILINE):
        assert all((ROOT / part).exists() for part in path.split())
