"""A server with an empty data folder: within the test's process, or a real one on a port of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from mien.web.app import create_app
from mien.web.settings import Settings

HERE = "http://127.0.0.1:8700"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The defaults, with an empty data folder."""
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    """An application whose data folder is empty; `client` starts it."""
    return create_app(settings)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """A program that talks to the started application."""
    with TestClient(app, base_url=HERE, follow_redirects=False, raise_server_exceptions=False) as client:
        yield client


def as_browser(client: TestClient) -> dict[str, str]:
    """Opens a page, so that the client has a session's cookie; gives the headers that mien's own pages send."""
    assert client.get("/stored").status_code == 200
    csrf = client.get("/api/session").json()["csrf"]
    return {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin", "X-CSRF-Token": csrf}


@dataclass
class Server:
    """A real server: `mien serve` in a process of its own."""

    process: subprocess.Popen[str]
    address: str
    data: Path
    started_s: float
    log: Path

    def client(self, **more: Any) -> httpx2.Client:
        """A program that talks to it."""
        return httpx2.Client(base_url=self.address, timeout=30, trust_env=False, **more)

    def stop(self, how: int = signal.SIGINT, timeout_s: float = 20) -> int:
        """Stops it and gives its exit code; SIGKILL is a power cut."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(timeout_s)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts `mien serve` on a free port, with more arguments and environment as given; all are stopped in the end."""
    running: list[Server] = []

    def start(*arguments: object, env: dict[str, str] | None = None, data: Path | None = None) -> Server:
        folder = data or tmp_path / "served"
        log = tmp_path / f"serve{len(running)}.log"
        command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--data", str(folder), *map(str, arguments)]
        began = time.perf_counter()
        with log.open("w") as err:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True, env=os.environ | (env or {}))
        assert process.stdout is not None
        said = process.stdout.readline()
        server = Server(process, said.removeprefix("mien is at ").split(" ")[0].strip(), folder, 0.0, log)
        running.append(server)
        assert server.address.startswith("http"), f"it did not start: {said}{log.read_text()}"
        with server.client() as client:
            client.get("/")
        server.started_s = time.perf_counter() - began
        return server

    yield start
    for server in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.stop(signal.SIGTERM, 10)
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)
        assert server.process.stdout is not None
        server.process.stdout.close()
