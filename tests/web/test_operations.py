"""What runs the server asks it: whether it lives, whether it is ready, what it counts; its log, and how it drains."""

import json
import logging
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fakes import FakeDetector, FakeExpressions
from mien.analyze import Analyzer
from mien.web.app import create_app
from mien.web.database import Store, Task
from mien.web.operations import metrics
from mien.web.operations.log_lines import JsonLines
from mien.web.settings import Settings
from mien.web.tasks.runner import Kind, Runner
from web.conftest import HERE, TOKEN, Opened

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="[^"]*",?)+)\})? (\S+)')


def read(text: str) -> dict[tuple[str, str], float]:
    """(name, labels) → value of what Prometheus would read; each family says its kind before its samples."""
    found, known = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            known.add(line.split()[2])
        elif not line.startswith("#"):
            parts = SAMPLE.fullmatch(line)
            assert parts is not None, line
            assert parts[1] in known
            found[parts[1], parts[2] or ""] = float(parts[3])
    assert text.endswith("\n")
    return found


def test_a_server_with_a_password_says_to_anybody_that_it_lives_and_to_nobody_what_it_does(opened: Opened) -> None:
    client = opened(password="a long pass phrase", token=TOKEN)
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").status_code == 503
    assert client.get("/metrics").status_code != 200
    assert client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_it_is_ready_once_all_parts_are(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    app: Any = create_app(settings, Analyzer(FakeExpressions(), detector=FakeDetector()))

    def checks(client: TestClient, status: int) -> dict[str, str]:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (status, status == 200)
        return {name: what for name, what in answer.json()["checks"].items() if what != "ok"}

    with TestClient(app, base_url=HERE) as client:
        assert checks(client, 503) == {"model": "is not read yet"}
        app.state.live.reader.prepare()
        assert checks(client, 200) == {}
        app.state.draining = True
        assert checks(client, 503) == {"server": "draining"}
        app.state.draining = False
        with monkeypatch.context() as gone:
            gone.setattr(app.state.store, "answers", lambda: False)
            assert checks(client, 503) == {"database": "does not answer"}
            assert ("mien_ready", "") in read(client.get("/metrics").text)
        assert checks(client, 200) == {}


def test_a_database_that_is_gone_does_not_answer(settings: Settings) -> None:
    app: Any = create_app(settings)
    assert app.state.store.answers()
    app.state.store.close()
    for file in settings.data_dir.glob("mien.sqlite3*"):
        file.unlink()
    (settings.data_dir / "mien.sqlite3").mkdir()
    assert not app.state.store.answers()


def test_what_is_counted(settings: Settings) -> None:
    app: Any = create_app(settings)
    with TestClient(app, base_url=HERE) as client:
        with app.state.store.session() as rows:
            rows.add_all(Task(kind="other", subject=str(i), state=state) for i, state in enumerate(("done", "done", "failed")))
        client.get("/api/nothing")
        before = read(client.get("/metrics").text)
        after = read(client.get("/metrics").text)
    assert before["mien_tasks", 'kind="other",state="done"'] == 2
    assert before["mien_tasks", 'kind="other",state="failed"'] == 1
    assert before["mien_requests_total", 'status="4xx"'] == 1
    assert after["mien_requests_total", 'status="2xx"'] == before.get(("mien_requests_total", 'status="2xx"'), 0) + 1
    assert (after["mien_live_frames_total", ""], after["mien_tasks_here", ""]) == (0, 0)
    assert after["process_cpu_seconds_total", ""] >= before["process_cpu_seconds_total", ""] > 0


def test_a_label_may_hold_anything() -> None:
    text = metrics.text([("a", "gauge", "what", [({"b": 'x"\\\ny'}, 0.5)]), ("c", "counter", "how many", metrics.one(3))])
    assert text == '# HELP a what\n# TYPE a gauge\na{b="x\\"\\\\\\ny"} 0.5\n# HELP c how many\n# TYPE c counter\nc 3\n'


class Passes(Runner):
    """Lets a test wait for the queue to look through what waits."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.begun = threading.Semaphore(0)

    def take(self, kind: Kind) -> Any:
        self.begun.release()
        return super().take(kind)


class Films:
    """Tasks that are asked whether they may begin, and may not."""

    kind, at_once = "film", 1

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)

    def ready(self, subject: str) -> bool:
        self.asked.release()
        return False

    def heard(self, subject: str) -> None:
        """Of what waits the runner tells when it starts."""


def test_tasks_that_wait_are_left_to_the_next_server(tmp_path: Path) -> None:
    store, films = Store(f"sqlite:///{tmp_path / 'db'}"), Films()
    store.migrate()
    with store.session() as rows:
        rows.add(Task(kind="film", subject="s/f"))
    tasks = Passes(store)
    tasks.add_kind(films)  # type: ignore[arg-type]

    def looked_through() -> None:
        """Waits until the queue has been through once from beginning to end."""
        for _ in range(2):
            while tasks.begun.acquire(blocking=False):
                pass
            tasks.wake()
            assert tasks.begun.acquire(timeout=240)

    tasks.start()
    try:
        assert films.asked.acquire(timeout=240)
        tasks.rest()
        looked_through()
        while films.asked.acquire(blocking=False):
            pass
        looked_through()
        assert not films.asked.acquire(blocking=False)
    finally:
        tasks.stop()
        store.close()


def test_a_line_of_the_log_is_an_object() -> None:
    try:
        raise ValueError("of two\nlines")
    except ValueError:
        record = logging.LogRecord("mien.web", logging.ERROR, "", 0, "error %s", ("ä1",), sys.exc_info())
    line = JsonLines().format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert (found["level"], found["logger"], found["message"]) == ("error", "mien.web", "error ä1")
    assert found["error"].endswith("ValueError: of two\nlines")
    assert found["time"].endswith("+00:00")


DRAINING = """
import json, os, signal, sys, threading, time, urllib.error, urllib.request
from pathlib import Path
import mien.web.app as app
from mien.web.settings import Settings
from mien.web.tasks.runner import Kind, Runner

signal.signal(signal.SIGTERM, signal.default_int_handler)  # as for every command, see mien.cli
busy = [True]
app.under_way = lambda application: busy[0]

def watch(address):
    os.kill(os.getpid(), signal.SIGTERM)
    while True:
        try:
            urllib.request.urlopen(address + "/readyz")
        except urllib.error.HTTPError as error:
            if (found := json.load(error)["checks"]["server"]) != "ok":
                break
    print(found, urllib.request.urlopen(address + "/healthz").status, flush=True)
    if sys.argv[2] == "again":
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        busy[0] = False

def ready(address, public):
    threading.Thread(target=watch, args=(address,)).start()

app.run(Settings(port=0, data_dir=Path(sys.argv[1]), log_format="json", drain_max_s=10_000), ready)
print("over")
"""


@pytest.mark.process
@pytest.mark.parametrize("how", ["ends", "again"])
def test_sigterm_waits_for_what_is_under_way_and_a_second_one_does_not(tmp_path: Path, how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DRAINING, str(tmp_path / "data"), how], capture_output=True, text=True, timeout=240
    )
    assert (done.returncode, done.stdout) == (0, "draining 200\nover\n"), done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["message"] for line in lines if line["logger"] == "mien.web.app"] == [
        "SIGTERM: what is under way has 10000 s; a second one does not wait"
    ]
