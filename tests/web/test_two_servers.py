"""Two `mien serve` over one PostgreSQL and one data folder: what one that is killed had in work, the other does."""

import io
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from PIL import Image
from sqlalchemy import select, text

from mien.web.database import ServerRow, Store, Task
from serving import PATIENCE_S, Server

pytestmark = [pytest.mark.more, pytest.mark.process, pytest.mark.extras]

UPLOADS = 10
COUNTING = (
    "create table moves (subject text, state text)",
    """create function moved() returns trigger language plpgsql as
       'begin insert into moves values (new.subject, new.state); return new; end'""",
    """create trigger moved after update on tasks for each row when (old.state is distinct from new.state)
       execute function moved()""",
)
"""Has PostgreSQL itself write down each change of a task's state."""


def until(true: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def portrait() -> bytes:
    data = io.BytesIO()
    with Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg") as picture:
        picture.convert("RGB").resize((256, 300)).save(data, "JPEG")
    return data.getvalue()


def begun(store: Store, server: Server) -> list[str]:
    """The subjects of the tasks that a server has."""
    assert server.process is not None
    with store.reading() as rows:
        ids = [row.id for row in rows.scalars(select(ServerRow)) if row.process["pid"] == server.process.pid]
        return list(rows.scalars(select(Task.subject).where(Task.state == "running", Task.owner.in_(ids))))


def killed_at_work(store: Store, server: Server) -> list[str]:
    """Kills a server once it has a task; which it had."""
    assert server.process is not None
    had: list[str] = []

    def stopped_at_work() -> bool:
        assert server.process is not None
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(0.2)  # what it had sent to the database before is there
        had[:] = begun(store, server)
        if not had:
            server.process.send_signal(signal.SIGCONT)
        return bool(had)

    until(stopped_at_work)
    server.kill()
    return had


def test_what_a_killed_server_had_in_work_is_done_by_the_other_and_all_is_done_once(postgres: str, tmp_path: Path) -> None:
    data, store, picture = tmp_path / "data", Store(postgres), portrait()
    with ExitStack() as stack:
        stack.callback(store.close)
        servers = []
        for name in ("a", "b"):
            servers.append(Server(data, database_url=postgres))
            servers[-1].log = tmp_path / f"{name}.log"
            stack.enter_context(servers[-1])
        with store.session() as rows:
            for command in COUNTING:
                rows.execute(text(command))
        jobs = []
        for k in range(UPLOADS):
            with servers[k % 2].client() as client:
                answer = client.post("/api/jobs", files={"file": (f"{k}.jpg", picture)})
                assert answer.status_code == 201, answer.text
                jobs.append(answer.json()["id"])
        until(lambda: begun(store, servers[0]) and begun(store, servers[1]))
        twice = killed_at_work(store, servers[0])
        ended = [servers[1].ended(job) for job in jobs]
    assert [job["state"] for job in ended] == ["done"] * UPLOADS
    store = Store(postgres)
    with store.reading() as rows:
        moves = Counter((subject, state) for subject, state in rows.execute(text("select subject, state from moves")))
    store.close()
    assert [moves[job, "done"] for job in jobs] == [1] * UPLOADS
    assert [moves[job, "running"] for job in jobs] == [1 + (job in twice) for job in jobs]
    for job in jobs:
        assert {path.name for path in (data / "jobs" / job).iterdir()} == {"result", "stills", "timeline.npz"}
    assert "Traceback" not in "".join(server.said() for server in servers)
