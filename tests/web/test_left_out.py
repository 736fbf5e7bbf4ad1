"""Viewers whom whoever runs a study leaves out of its report, with a reason that the report states."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from mien.study_report import results
from mien.study_report.sample import DEFINITION, STIMULUS, Scene, simulate
from mien.web.database import now
from mien.web.reports.worker import make
from web.test_reviews import LENGTH_S, put

REASON = "Somebody else sat before the camera."


@pytest.fixture
def study(app: FastAPI, client: TestClient) -> str:
    """Seven viewers have finished."""
    row = app.state.studies.create(DEFINITION | {"smallest_group": 5})
    scenes = {STIMULUS: [Scene("happiness", 8, 14, 4.0)]}
    for viewer in simulate({STIMULUS: LENGTH_S}, scenes, [{"cinema": "often"} for _ in range(7)], seed=4):
        put(app, row.id, viewer)
    return str(row.id)


@pytest.fixture
def report(app: FastAPI, study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """report(until) -> the review, made here, and its table of answers."""
    monkeypatch.setattr(results, "DRAWS", 20)
    monkeypatch.setattr(results, "SHIFTS", 10)

    def made(until: datetime | None = None) -> tuple[dict[str, Any], str]:
        folder = tmp_path / f"report {len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        settings = app.state.settings
        task = {"data_dir": str(settings.data_dir), "database_url": "", "study": study, "folder": str(folder)}
        make(task | {"until": until.isoformat() if until else None, "files": ["review.json", "answers.csv"]})
        return json.loads((folder / "review.json").read_text()), (folder / "answers.csv").read_text()

    return made


def leave_out(client: TestClient, study: str, name: str, reason: str | None) -> int:
    return client.put(f"/api/studies/{study}/viewers/{name}/left-out", json={"reason": reason}).status_code


def test_who_is_left_out_is_in_no_number_and_the_report_says_why(app: FastAPI, client: TestClient, study: str, report: Any) -> None:
    kept_at = now()
    version = client.get(f"/api/studies/{study}").json()["version"]
    assert leave_out(client, study, "3", REASON) == 204
    assert client.get(f"/api/studies/{study}").json()["version"] == version + 1
    review, answers = report()
    assert [one["name"] for one in review["viewers"]] == ["1", "2", "4", "5", "6", "7"]
    assert (review["counts"]["measured"], review["stimuli"][0]["in_curves"]) == (6, 6)
    assert "secret 3" not in answers
    assert "secret 4" in answers
    assert review["excluded"] == [{"viewer": "3", "reason": REASON}]
    assert any(REASON in words for words in review["methods"]["text"])
    assert f"1 viewer was left out by the investigators: {REASON}" in review["methods"]["paragraph"]
    told = {one["name"]: one["left_out"] for one in client.get(f"/api/studies/{study}/viewers").json()["items"]}
    assert {name for name, reason in told.items() if reason} == {"3"}
    log = client.get(f"/api/studies/{study}/audit").json()["items"]
    assert ("left out of the report", {"viewer": "3"}) in [(one["action"], one["detail"]) for one in log]
    # A report that was kept before stands still; and what was kept of the viewer is there yet.
    assert report(kept_at)[0]["excluded"] == []
    between = now()
    assert leave_out(client, study, "3", None) == 204
    assert len(report()[0]["viewers"]) == 7
    assert report(between)[0]["excluded"] == [{"viewer": "3", "reason": REASON}]


def test_the_reason_goes_with_the_person(app: FastAPI, client: TestClient, study: str) -> None:
    leave_out(client, study, "3", REASON)
    assert client.delete(f"/api/studies/{study}/viewers/3").status_code == 200
    assert app.state.studies.known(study).left_out == {}


def test_what_is_refused(client: TestClient, study: str) -> None:
    assert leave_out(client, study, "3", "  ") == 422
    assert leave_out(client, study, "3", "x" * 201) == 422
    assert leave_out(client, study, "99", REASON) == 404
    assert leave_out(client, study, "R1-1", REASON) == 404
    assert leave_out(client, study, "3", None) == 204  # who is in stays in
