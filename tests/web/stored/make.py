"""Makes schema-0002.zip: a data folder as the code of that schema left it, with work of every kind half done, and what it answered.

    PYTHONPATH=src:tests python tests/web/stored/make.py

Run by the code of schema 0002 alone; afterwards the file only has to open. Its one face is matplotlib's portrait of Grace Hopper.
"""

import json
import sqlite3
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from mien.labels import FERPLUS
from mien.media import VideoWriter
from mien.types import Faces
from mien.web.app import create_app
from mien.web.capture.participant_log import LookWriter
from mien.web.capture.wire import FilmHead
from mien.web.settings import Settings
from web.live_page import SOCKET, LivePage
from web.studies import joined, made, opened

TARGET = Path(__file__).with_name("schema-0002.zip")
HERE = "http://127.0.0.1:8700"
FACE = Faces(np.array([[220, 100, 420, 340]], np.float32), np.array([0.9], np.float32), np.zeros((1, 5, 2), np.float32))


def portrait() -> bytes:
    data = BytesIO()
    with Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg") as picture:
        picture.convert("RGB").resize((256, 300)).save(data, "JPEG", quality=85)
    return data.getvalue()


def film(path: Path) -> bytes:
    with VideoWriter(path, 64, 48) as writer:
        for k in range(10):
            writer.write(np.full((48, 64, 3), 20 * k, np.uint8), k / 10)
    return path.read_bytes()


def watched(folder: Path, seed: int) -> None:
    """A participant's log of 60 looks at 30 s of the event, and a neutral face before."""
    scores = np.random.default_rng(seed).dirichlet(np.ones(len(FERPLUS)), 60).astype(np.float32)
    for stimulus, count in (("baseline", 10), ("s1", 60)):
        writer = LookWriter(folder, stimulus, FERPLUS, {"every_s": 0.5})
        for k in range(count):
            writer.add(FilmHead(k, k / 2, k / 2, False), 0, (640, 480), 90.0, FACE, 0, scores[k : k + 1], b"")
        writer.close()


def answers(client: TestClient, facts: dict[str, Any]) -> dict[str, Any]:
    """What the interface said."""
    study, frozen = facts["study"], facts["frozen"]
    told: dict[str, Any] = {}
    for address in (
        f"/api/jobs/{facts['done']}",
        f"/api/jobs/{facts['cancelled']}",
        f"/api/studies/{study}",
        f"/api/studies/{study}/viewers",
        f"/api/studies/{study}/viewers/1/export",
        f"/api/studies/{study}/audit",
        f"/api/studies/{study}/frozen",
    ):
        answer = client.get(address)
        assert answer.status_code == 200, (address, answer.text)
        told[address] = answer.json()
    faces = client.get(f"/api/jobs/{facts['done']}/files/faces.csv")
    assert faces.status_code == 200, faces.text
    told["faces.csv"] = faces.text
    long = client.get(f"/api/studies/{study}/long.csv?frozen={frozen}")
    assert long.status_code == 200, long.text
    told["long.csv"] = long.text
    return told


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        settings = Settings(data_dir=data)
        app = create_app(settings)
        facts: dict[str, Any] = {}
        with TestClient(app, base_url=HERE, follow_redirects=False) as client:

            def send(name: str, content: bytes, **options: Any) -> str:
                answer = client.post("/api/jobs", files={"file": (name, content)}, data=options)
                assert answer.status_code in (200, 201, 202), answer.text
                return str(answer.json()["id"])

            def state(id: str, *wanted: str) -> None:
                while client.get(f"/api/jobs/{id}").json()["state"] not in wanted:
                    pass

            facts["done"] = send("hopper.jpg", portrait(), keep_film="false")
            state(facts["done"], "done")
            study, invitation = opened(client, smallest_group=1, retention_days=3650)
            facts["study"], facts["codes"] = study, [joined(client, invitation) for _ in range(2)]
            for k, person in enumerate(app.state.studies.participants(study)):
                watched(app.state.studies.participant_folder(study, person.id), k)
            app.state.studies.touch(study)
            facts["frozen"] = client.post(f"/api/studies/{study}/frozen", json={"name": "after two"}).json()["id"]
            with client.websocket_connect(SOCKET) as socket:
                page = LivePage(socket, source="camera", name="Desk")
                page.say(type="record", action="start", name="Under way", keep_film=True, every_s=0)
                facts["recording"] = page.hear("recording")["job"]
                for _ in range(5):
                    page.send(portrait(), of_recording=True)
                    page.hear("faces")
                socket.close(1006)  # a page that is cut off is waited for
            with client.websocket_connect(SOCKET) as socket:
                page = LivePage(socket, source="camera", name="Desk")
                page.say(type="record", action="start", name="Being saved", keep_film=False, every_s=0)
                facts["saving"] = page.hear("recording")["job"]
                for _ in range(5):
                    page.send(portrait(), of_recording=True)
                    page.hear("faces")
                socket.close(1006)
            draft = made(client, stimuli=[])["id"]
            facts["draft"] = draft
            facts["cancelled"] = send("cancelled.jpg", portrait(), keep_film="false")
            client.post(f"/api/jobs/{facts['cancelled']}/cancel")
            state(facts["cancelled"], "cancelled", "done")
            facts["answers"] = answers(client, facts)
        # What only a server that is killed leaves.
        app = create_app(settings)
        queued = {}
        for name in ("waiting", "running", "room"):
            job = app.state.store.create_job(
                name=f"{name}.jpg", options={"every_s": 0.5, "keep_film": False}, size_bytes=len(portrait()), state="queued"
            )
            folder = app.state.jobs.folder(job.id)
            folder.mkdir(parents=True)
            (folder / "upload.bin").write_bytes(portrait())
            facts[name] = queued[name] = job.id
        film_folder = app.state.studies.incoming(draft, "s1")
        film_folder.mkdir(parents=True)
        content = film(Path(scratch) / "film.mp4")
        (film_folder / "upload.bin").write_bytes(content)
        app.state.studies.change(draft, {"stimuli": [{"id": "s1", "title": "Film"}]})
        app.state.store.close()
        file = next(data.glob("*.sqlite*"), None) or next(data.glob("*.db"))
        with sqlite3.connect(file) as rows:
            rows.execute("update jobs set state = 'running', started_at = queued_at where id = ?", (queued["running"],))
            rows.execute("update jobs set state = 'saving' where id = ?", (facts["saving"],))
            films = {"s1": {"state": "converting", "error": None, "name": "film.mp4", "size_bytes": len(content)}}
            rows.execute("update studies set films = ? where id = ?", (json.dumps(films), draft))
            rows.execute(
                "insert into rooms (id, study_id, name, stimulus, offset_s, label, state, job, people, left_out, together, made_at)"
                " values ('room000000000001', ?, 1, 's1', 0, 'Friday', 'analysing', ?, 0, 0, 0, datetime('now'))",
                (study, queued["room"]),
            )
        with sqlite3.connect(file) as rows:
            assert rows.execute("select version_num from alembic_version").fetchone() == ("0002",)
            rows.execute("pragma wal_checkpoint(truncate)")
        with zipfile.ZipFile(TARGET, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
            for path in sorted(data.rglob("*")):
                left = path.name in ("report.html", "server.lock") or path.name.endswith(("-wal", "-shm"))
                if path.is_file() and not left and "reviews" not in path.parts:
                    packed.write(path, f"data/{path.relative_to(data).as_posix()}")
            packed.writestr("facts.json", json.dumps(facts, indent=1))
    print(TARGET.name, TARGET.stat().st_size, "bytes")  # noqa: T201


if __name__ == "__main__":
    main()
