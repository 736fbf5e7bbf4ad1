"""A database and a data folder that an earlier mien made open in this one with nothing lost. See stored/make.py."""

import json
import sqlite3
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from mien.web.app import create_app
from mien.web.settings import Settings
from web.conftest import HERE

pytestmark = pytest.mark.process

RENAMED = {("definition", "smoothing_s"): "curve_sigma_s"}
"""(Object, field) → what it is called since."""

STORED = Path(__file__).parent / "stored"


def until(true: Callable[[], bool]) -> None:
    """For as long as it takes; pytest's own limit ends what never comes true."""
    while not true():
        time.sleep(0.05)


def lost(told: Any, was: Any, where: str) -> list[str]:
    """What was answered once and is not answered now; fields may be added."""
    if isinstance(was, dict) and isinstance(told, dict):
        was = {RENAMED.get((where.rpartition(" ")[2], name), name): value for name, value in was.items()}
        gone = [f"{where} {name}" for name in was if name not in told]
        return gone + [one for name in was if name in told for one in lost(told[name], was[name], f"{where} {name}")]
    if isinstance(was, list) and isinstance(told, list) and len(was) == len(told):
        return [one for k, (now, then) in enumerate(zip(told, was, strict=True)) for one in lost(now, then, f"{where} {k}")]
    if where.endswith(" link") and told is None and was.startswith(HERE):  # an address that leads to this machine alone
        return []
    return [] if told == was else [f"{where}: {told!r:.80} instead of {was!r:.80}"]


@pytest.mark.parametrize("schema", ["0002"])
def test_an_earlier_data_folder_opens_and_what_was_half_done_is_gone_on_with(tmp_path: Path, schema: str) -> None:
    with zipfile.ZipFile(STORED / f"schema-{schema}.zip") as packed:
        packed.extractall(tmp_path)
    facts: dict[str, Any] = json.loads((tmp_path / "facts.json").read_text())
    data = tmp_path / "data"
    with sqlite3.connect(data / "mien.sqlite3") as rows:
        assert rows.execute("select version_num from alembic_version").fetchone() == (schema,)
    app = create_app(Settings(data_dir=data, retention_days=0))
    with TestClient(app, base_url=HERE, follow_redirects=False) as client:

        def job(name: str) -> dict[str, Any]:
            answer = client.get(f"/api/jobs/{facts[name]}")
            assert answer.status_code == 200, name
            told: dict[str, Any] = answer.json()
            return told

        def room() -> dict[str, Any]:
            told: dict[str, Any] = client.get(f"/api/studies/{facts['study']}/rooms/1").json()
            return told

        # What it had answered it answers again: every field, every number.
        for address, was in facts["answers"].items():
            if address.endswith(".csv"):
                continue
            told = client.get(address).json()
            if address.endswith("/audit"):  # that somebody looks is noted
                told["items"] = told["items"][-len(was["items"]) :]
            if isinstance(was, dict) and "counts" in was:
                was["counts"]["rooms"] = told["counts"]["rooms"]
            if address.endswith("/viewers"):  # the room's faces come in meanwhile
                told["items"] = [one for one in told["items"] if not one["room"]]
            assert lost(told, was, address) == []
        assert client.get(f"/api/jobs/{facts['done']}/files/faces.csv").text == facts["answers"]["faces.csv"]
        kept = client.get(f"/api/studies/{facts['study']}/long.csv", params={"frozen": facts["frozen"]})
        assert kept.text == facts["answers"]["long.csv"]

        # What waited, ran, was being saved or made ready when the server died comes to its end.
        until(lambda: job("waiting")["state"] == job("running")["state"] == "done")
        until(lambda: job("saving")["state"] == "done")
        assert job("saving")["duration_s"] == pytest.approx(0.5)
        film = f"/api/studies/{facts['draft']}"
        until(lambda: client.get(film).json()["films"][0]["state"] == "ready")
        until(lambda: room()["state"] != "analysing")
        assert client.get(f"/api/jobs/{facts['room']}").status_code == 404 or room()["state"] == "failed"

        # What was cancelled can be tried again, and whose page is away waits for it.
        assert job("cancelled")["state"] == "cancelled"
        assert client.post(f"/api/jobs/{facts['cancelled']}/retry").status_code == 200
        until(lambda: job("cancelled")["state"] == "done")
        assert job("recording")["state"] in ("recording", "saving", "done")  # done: by another model it cannot go on
        assert job("recording")["name"] == "Under way"
