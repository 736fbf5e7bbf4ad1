"""The command `mien serve`: its start, what it prints, how it stops, what it refuses; each in a process of its own."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mien.web.database import Store
from rows import more
from serving import Server
from web.conftest import PASSWORD, TOKEN

pytestmark = pytest.mark.process

START_S = 240
"""That a start or an end may take on two busy cores; benchmarks/bench_serve.py says what it takes on quiet ones."""


class Started:
    """`mien serve` with its two outputs."""

    def __init__(self, *arguments: object, env: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "mien", "serve", *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | (env or {})
        )
        self.address = ""

    def ready(self) -> httpx.Client:
        """Waits for the address; gives a client for it."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.fullmatch(r"mien is at (http://\S+)  \(Ctrl-C ends it\)\n", line)
        if found is None:
            raise AssertionError(f"{line}{self.process.communicate(timeout=START_S)}")
        self.address = found[1]
        return httpx.Client(base_url=self.address, timeout=START_S)

    def end(self, how: int = signal.SIGINT) -> tuple[int, str, str]:
        """Stops it: exit code and what it printed since."""
        self.process.send_signal(how)
        out, err = self.process.communicate(timeout=START_S)
        return self.process.returncode, out, err

    def refused(self) -> tuple[int, str]:
        """Exit code and the one line of a server that does not start."""
        out, err = self.process.communicate(timeout=START_S)
        assert out == ""
        assert err.count("\n") == 1, err
        return self.process.returncode, err


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """serve(…) -> `mien serve --port 0 --data …` with these arguments."""
    running: list[Started] = []

    def start(*arguments: object, data: Path | None = None, port: int = 0, env: dict[str, str] | None = None) -> Started:
        started = Started("--port", port, "--data", data or tmp_path / "data", *arguments, env=env)
        running.append(started)
        return started

    yield start
    for started in running:
        if started.process.poll() is None:
            started.process.kill()
        started.process.communicate(timeout=START_S)


def test_it_starts_without_configuration_says_where_and_stops(serve: Callable[..., Started], tmp_path: Path) -> None:
    started = serve()
    with started.ready() as client:
        assert client.get("/").status_code == 200
        assert client.get("/api/info").json()["model"] == "mien-lite0"
    assert (tmp_path / "data" / "mien.sqlite3").is_file()
    assert started.end() == (0, "mien has stopped\n", "")


def test_sigterm_stops_it_too(serve: Callable[..., Started]) -> None:
    started = serve()
    started.ready().close()
    assert started.end(signal.SIGTERM) == (0, "mien has stopped\n", "")


@pytest.mark.parametrize("after_s", [0.0, *more(0.6, 0.9, 1.4)])
def test_it_stops_well_in_the_middle_of_loading(serve: Callable[..., Started], after_s: float) -> None:
    started = serve()
    started.ready().close()
    time.sleep(after_s)
    assert started.end() == (0, "mien has stopped\n", "")


def test_open_pages_and_streams_do_not_hold_it_up(serve: Callable[..., Started]) -> None:
    started = serve()
    with started.ready() as client, client.stream("GET", "/api/jobs/events") as events:
        assert events.status_code == 200
        assert started.end() == (0, "mien has stopped\n", "")


def test_the_first_answer_comes_before_what_is_slow_to_import(tmp_path: Path) -> None:
    """onnxruntime, OpenCV, PyAV and the plots are loaded after the server listens, or start would take seconds more."""
    code = """
import os, signal, sys
from mien.cli import build_parser, serve
import mien.web.app as app

def ready(address, public):
    print(*sorted(name for name in ("onnxruntime", "cv2", "av", "matplotlib", "plotly", "scipy", "torch") if name in sys.modules))
    os.kill(os.getpid(), signal.SIGINT)

from mien.web.settings import Settings
from pathlib import Path
app.run(Settings(port=0, data_dir=Path(sys.argv[1])), ready)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "data")], capture_output=True, text=True, timeout=START_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")


def test_the_model_is_read_ahead_once_the_server_answers(tmp_path: Path) -> None:
    code = """
import os, signal, sys
import mien.web.app as app
from mien.web.settings import Settings
from pathlib import Path

read_ahead = app.info.warm

def warm(application):
    read_ahead(application)
    print("onnxruntime" in sys.modules, flush=True)
    os.kill(os.getpid(), signal.SIGINT)

app.info.warm = warm
app.run(Settings(port=0, data_dir=Path(sys.argv[1])), lambda address, public: print("answers", flush=True))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "data")], capture_output=True, text=True, timeout=START_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, "answers\nTrue\n", "")


def test_the_second_start_needs_no_alembic(tmp_path: Path) -> None:
    """The schema is compared without it, which is a third of a second."""
    Store(f"sqlite:///{tmp_path / 'db'}").migrate()
    code = "import sys; from mien.web.database import Store; Store(sys.argv[1]).migrate(); print('alembic' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, f"sqlite:///{tmp_path / 'db'}"], capture_output=True, text=True, timeout=START_S
    )
    assert done.stdout == "False\n", done.stderr


def test_the_browser_is_opened_when_asked_for(serve: Callable[..., Started], tmp_path: Path) -> None:
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    browser.chmod(0o755)
    started = serve("--open", env={"BROWSER": f"{browser} %s"})
    with started.ready() as client:
        deadline = time.monotonic() + START_S
        while not (seen.is_file() and seen.read_text().endswith("\n")):
            assert time.monotonic() < deadline, "the browser was not opened"
            time.sleep(0.05)
        assert seen.read_text().strip().rstrip("/") == str(client.base_url).rstrip("/")


# --- what is refused


def test_a_port_that_is_taken_is_one_line(serve: Callable[..., Started]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, line = serve(port=port).refused()
    assert code == 1
    assert line == f"mien: port {port} of 127.0.0.1 is taken, perhaps by another mien; try mien serve --port {port + 1}\n"


def test_two_servers_do_not_share_a_data_folder(serve: Callable[..., Started], tmp_path: Path) -> None:
    serve().ready().close()
    code, line = serve().refused()
    assert code == 1
    assert line == f"mien: {tmp_path / 'data'}: another mien serve uses this data folder; stop it, or take another --data\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--host", "0.0.0.0"],
            r"--host 0.0.0.0 can be reached from other machines: wanted a password or a token; set MIEN_PASSWORD or",
        ),
        (["--host", "::"], "--host :: can be reached from other machines"),
        (["--port", "70000"], "port: wanted 0 to 65535, but got 70000"),
        (["--password-file", "FOLDER/empty"], "wanted a password or token in the first line, but it is empty"),
        (["--password-file", "FOLDER/short"], "password: wanted 8 letters or more, but got 5"),
        (["--token-file", "FOLDER/short"], "token: wanted 16 letters or more, but got 5"),
    ],
)
def test_what_cannot_be_is_refused_with_2(serve: Callable[..., Started], tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "short").write_text("short\n")
    code, line = serve(*(a.replace("FOLDER", str(tmp_path)) for a in arguments)).refused()
    assert code == 2
    assert words in line
    assert not (tmp_path / "data" / "mien.sqlite3").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--db", "nonsense"], "wanted a database's address"),
        (["--db", "postgresql://nobody:secret@127.0.0.1:1/none"], "cannot be opened"),
        (["--token-file", "/no/such/file"], "No such file"),
    ],
)
def test_what_is_not_there_is_refused_with_1(serve: Callable[..., Started], arguments: list[str], words: str) -> None:
    code, line = serve(*arguments).refused()
    assert code == 1
    assert words in line
    assert "secret" not in line


def test_without_the_web_extra_it_says_how_to_get_it(tmp_path: Path) -> None:
    code = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'fastapi' else real(name, *more)\n"
        "from mien.cli import main; sys.exit(main(['serve']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=START_S)
    wanted = "mien: mien serve needs the web extra; run: pip install 'mien[web]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", wanted)


# --- secrets, and what lasts


def test_passwords_and_tokens_come_from_files_and_the_environment(serve: Callable[..., Started], tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\nanother line\n")
    started = serve("--token-file", tmp_path / "token", env={"MIEN_PASSWORD": PASSWORD})
    with started.ready() as client:
        assert client.get("/").status_code == 303
        assert client.get("/api/jobs").status_code == 401
        assert client.get("/api/jobs", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert client.post("/api/login", json={"password": PASSWORD}).status_code == 200
        assert client.get("/").status_code == 200
    code, out, err = started.end()
    assert code == 0
    assert PASSWORD not in out + err
    assert TOKEN not in out + err


def test_logins_outlast_the_server(served: Callable[..., Server]) -> None:
    server = served(password=PASSWORD)
    with server.client() as client:
        client.post("/api/login", json={"password": PASSWORD})
        server.kill()
        server.start()
        assert client.get("/api/jobs").status_code == 200


def test_after_a_power_cut_it_starts_again(served: Callable[..., Server]) -> None:
    """The lock of the data folder and the database's log stay behind; neither is in the way."""
    server = served()
    server.kill()
    server.start()
    with server.client() as client:
        assert client.get("/api/storage").status_code == 200


def test_an_upload_that_is_too_large_is_told_to_the_sender(served: Callable[..., Server], tmp_path: Path) -> None:
    """Through a real socket, where an answer in the middle of an upload may get lost."""
    server = served(upload_max_mib=1)
    big = tmp_path / "big.mp4"
    with big.open("wb") as file:
        file.truncate(30 * 2**20)
    with server.client() as client, big.open("rb") as content:
        answer = client.post("/api/jobs", files={"file": ("big.mp4", content)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    with server.client() as client:
        assert client.get("/api/jobs").json()["items"] == []


def test_many_ask_at_once(served: Callable[..., Server]) -> None:
    """Sessions are opened and read by several threads at a time, with SQLite behind them."""
    server = served()
    failures: list[Any] = []

    def ask() -> None:
        with server.client() as client, contextlib.suppress(httpx.TransportError):
            for _ in range(5):
                for path in ("/", "/api/jobs", "/stored"):
                    status = client.get(path).status_code
                    if status != 200:
                        failures.append((path, status))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert "error" not in server.said()
