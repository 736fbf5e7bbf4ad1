"""The application with an empty data folder: within the test's process, or really served on a port of its own."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from mien.web.app import create_app
from mien.web.database import MIGRATIONS, Store
from mien.web.settings import Settings
from serving import KeptPort, Server

HERE = "http://127.0.0.1:8700"
PASSWORD = "a long pass phrase"
TOKEN = "a-token-of-many-letters"

Opened = Callable[..., TestClient]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of SQLite with all tables and nothing in them, as the migrations make it."""
    path = tmp_path_factory.mktemp("tables") / "mien.sqlite3"
    store = Store(f"sqlite:///{path}")
    store.migrate()
    store.close()
    return path


@pytest.fixture(autouse=True)
def tables(empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an application would make its file of SQLite it gets a copy of one. What migrating is about has its own `tables`."""
    migrate = Store.migrate

    def copied(store: Store, folder: Path = MIGRATIONS) -> None:
        if folder == MIGRATIONS and store.file is not None and not store.file.exists():
            shutil.copyfile(empty_database, store.file)
        migrate(store, folder)

    monkeypatch.setattr(Store, "migrate", copied)


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


def swept(app: Any) -> None:
    """Waits until the sweep that a server begins with is over: what a test makes old from now on is the test's own."""
    assert app.state.storage.swept.wait(120)


def as_browser(client: TestClient) -> dict[str, str]:
    """The headers that a browser sends with a change on mien's own pages."""
    return {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """served(password=…, …) -> `mien serve` in a process of its own, with these settings; stopped in the end."""
    with ExitStack() as stack:
        yield lambda **given: stack.enter_context(Server(tmp_path / "served", **given))


# --- PostgreSQL


def postgres_programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`, the newest version's."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    other = shutil.which("initdb")
    return found[-1].parent if found else Path(other).parent if other else None


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A PostgreSQL of its own, on a free port of loopback; thrown away afterwards."""
    yield from started_postgres()


def started_postgres() -> Iterator[str]:
    """See `postgres`; also for scripts."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL IS NOT TESTED: no initdb on this machine; run: apt-get install postgresql")
    pytest.importorskip("psycopg", reason="PostgreSQL IS NOT TESTED: run: pip install 'mien[postgres]'")
    user = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        names = [name for name in ("postgres", "nobody") if name in {entry.pw_name for entry in pwd.getpwall()}]
        if not names:
            pytest.skip("PostgreSQL IS NOT TESTED: it refuses to run as root, and there is no user postgres or nobody")
        user = {"user": names[0]}
    with tempfile.TemporaryDirectory(prefix="mien-pg-") as scratch:  # pytest's folders are closed to other users
        os.chmod(scratch, 0o755)
        folder = Path(scratch) / "data"
        folder.mkdir()
        if user:
            shutil.chown(folder, user["user"])
        port = KeptPort()

        def call(*command: object) -> None:
            done = subprocess.run([str(part) for part in command], cwd="/", capture_output=True, text=True, timeout=240, **user)  # type: ignore[call-overload]
            assert done.returncode == 0, done.stdout + done.stderr

        call(programs / "initdb", "-D", folder, "-U", "mien", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-p {port.number} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        call(programs / "pg_ctl", "-D", folder, "-w", "-l", folder / "log", "-o", options, "start")
        try:
            yield f"postgresql://mien@127.0.0.1:{port.number}/postgres"
        finally:
            call(programs / "pg_ctl", "-D", folder, "-w", "-m", "immediate", "stop")
