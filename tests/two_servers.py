"""Two `mien serve` over one PostgreSQL and one data folder, one of which is killed at work; with workers of a Dask scheduler."""

import io
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from PIL import Image
from sqlalchemy import select, text

from mien.web.database import ServerRow, Store, Task
from serving import PATIENCE_S, KeptPort, Server

COUNTING = (
    "create table moves (subject text, state text)",
    """create function moved() returns trigger language plpgsql as
       'begin insert into moves values (new.subject, new.state); return new; end'""",
    """create trigger moved after update on tasks for each row when (old.state is distinct from new.state)
       execute function moved()""",
)
"""Has PostgreSQL itself write down each change of a task's state."""


@dataclass(frozen=True)
class Counted:
    """What became of uploads; by job: how many times it was begun, and how many times it was done.

    twice  what the killed server had in work          ended  how each job is in the end, as JSON          said  by the servers
    """

    begun: dict[str, int]
    done: dict[str, int]
    twice: list[str]
    ended: list[dict[str, Any]]
    said: str
    seconds: float


def until(true: Callable[[], Any], limit_s: float = PATIENCE_S) -> None:
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def portrait() -> bytes:
    data = io.BytesIO()
    with Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg") as picture:
        picture.convert("RGB").resize((256, 300)).save(data, "JPEG")
    return data.getvalue()


@contextmanager
def dask(workers: int, log: Path) -> Iterator[str]:
    """A scheduler and its workers in processes of their own; its address."""
    port = KeptPort()
    with ExitStack() as stack, log.open("wb") as said:

        def start(*command: str) -> None:
            process = subprocess.Popen(
                [sys.executable, "-m", "distributed.cli." + command[0], *command[1:]], stdout=said, stderr=said
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)

        start("dask_scheduler", "--host", "127.0.0.1", "--port", str(port.number), "--no-dashboard")
        address = f"tcp://127.0.0.1:{port.number}"
        start(
            "dask_worker",
            address,
            "--nworkers",
            str(workers),
            "--nthreads",
            "1",
            "--no-dashboard",
            "--local-directory",
            str(log.parent),
        )
        from distributed import Client

        with Client(address, timeout=PATIENCE_S, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=PATIENCE_S)
        yield address


def _has(store: Store, server: Server) -> list[str]:
    """The subjects of the tasks that a server has."""
    assert server.process is not None
    with store.reading() as rows:
        ids = [row.id for row in rows.scalars(select(ServerRow)) if row.process["pid"] == server.process.pid]
        return list(rows.scalars(select(Task.subject).where(Task.state == "running", Task.owner.in_(ids))))


def _killed_at_work(store: Store, server: Server) -> list[str]:
    """Kills a server once it has a task; which it had."""
    assert server.process is not None
    had: list[str] = []

    def stopped_at_work() -> bool:
        assert server.process is not None
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(0.2)  # what it had sent to the database before is there
        had[:] = _has(store, server)
        if not had:
            server.process.send_signal(signal.SIGCONT)
        return bool(had)

    until(stopped_at_work)
    server.kill()
    return had


def uploads_and_a_kill(postgres: str, folder: Path, uploads: int, cluster: str = "", limit_s: float = PATIENCE_S) -> Counted:
    """So many pictures sent to two servers in turn, of which one is killed once a quarter is done; until all have ended."""
    began, data, picture = time.monotonic(), folder / "data", portrait()
    more = {"cluster": cluster} if cluster else {}
    with ExitStack() as stack:
        servers = []
        for name in ("a", "b"):
            servers.append(Server(data, database_url=postgres, **more))
            servers[-1].log = folder / f"{name}.log"
            stack.enter_context(servers[-1])
        store = Store(postgres)
        stack.callback(store.close)
        with store.session() as rows:
            for command in COUNTING:
                rows.execute(text(command))
        jobs = []
        for k in range(uploads):
            with servers[k % 2].client() as client:
                answer = client.post("/api/jobs", files={"file": (f"{k}.jpg", picture)})
                assert answer.status_code == 201, answer.text
                jobs.append(answer.json()["id"])

        def counts(state: str) -> dict[str, int]:
            with store.reading() as rows:
                found = Counter(rows.scalars(text(f"select subject from moves where state = '{state}'")))
            return {job: found[job] for job in jobs}

        until(lambda: sum(counts("done").values()) >= uploads // 4, limit_s)
        twice = _killed_at_work(store, servers[0])
        ended = [servers[1].ended(job, limit_s) for job in jobs]
        begun, done = counts("running"), counts("done")
    return Counted(begun, done, twice, ended, "".join(server.said() for server in servers), time.monotonic() - began)
