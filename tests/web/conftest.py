"""The application with an empty data folder: within the test's process, or really served on a port of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from mien.web.app import create_app
from mien.web.settings import Settings
from serving import Server

HERE = "http://127.0.0.1:8700"
PASSWORD = "a long pass phrase"
TOKEN = "a-token-of-many-letters"

Opened = Callable[..., TestClient]


@pytest.fixture(autouse=True)
def _nothing_is_loaded_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is loaded when a test needs it."""
    monkeypatch.setattr("mien.web.app.WARM_AFTER_S", 3600.0)


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
    with TestClient(app, base_url=HERE, follow_redirects=False) as client:
        yield client


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """opened(password=…, …) -> a program that talks to an application with these settings."""
    with ExitStack() as stack:

        def start(**given: Any) -> TestClient:
            base = given.pop("base", HERE)
            app = create_app(Settings(**{"data_dir": tmp_path / "data"} | given))
            return stack.enter_context(TestClient(app, base_url=base, follow_redirects=False))

        yield start


def as_browser(client: TestClient) -> dict[str, str]:
    """Opens a page, so that the client has a session's cookie; gives the headers that mien's own pages send with a change."""
    assert client.get("/stored").status_code == 200
    csrf = client.get("/api/session").json()["csrf"]
    return {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin", "X-CSRF-Token": csrf}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """served(password=…, …) -> `mien serve` in a process of its own, with these settings; stopped in the end."""
    with ExitStack() as stack:
        yield lambda **given: stack.enter_context(Server(tmp_path / "served", **given))
