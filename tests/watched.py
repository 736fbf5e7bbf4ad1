"""Simulated viewers as participants who have watched a film: rows and logs as taking part leaves them, without a camera."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray

from browser import studies
from mien.follow import Followed
from mien.labels import FERPLUS
from mien.study.definition import Study
from mien.study_report import sample
from mien.study_report.viewers import Viewer
from mien.types import Faces
from mien.web.app import create_app
from mien.web.capture.participant_log import LookWriter, look
from mien.web.capture.wire import FrameHead
from mien.web.database import Participant, now
from mien.web.settings import Settings
from mien.web.studies.service import touch
from serving import Server

FACE = Faces(np.array([[220, 100, 420, 340]], np.float32), np.array([0.9], np.float32), np.zeros((1, 5, 2), np.float32))
BASELINE_LOOK_S = 0.25


def put(app: FastAPI, study: str, viewer: Viewer, answers: Mapping[str, Any]) -> Participant:
    """Makes a simulated viewer a participant of the study. `answers`: {"before": {…}, "after": {…}}."""
    timeline = viewer.timelines[sample.STIMULUS]
    looks, with_face = len(timeline), len(timeline.frame_rows)
    row = Participant(
        study_id=study,
        name=int(viewer.name),
        code_hash=viewer.name.rjust(64, "0"),
        consent_version=1,
        consented_at=now() - timedelta(minutes=5),
        finished_at=now(),
        step="done",
        answers=dict(answers),
        groups=dict(viewer.groups),
        quality={"looks": looks, "with_face": with_face},
    )
    with app.state.store.session() as rows:
        rows.add(row)
    folder = app.state.studies.participant_folder(study, row.id)
    place = {int(frame): k for k, frame in enumerate(timeline.frame_rows)}
    scores = [timeline.emotions[place[k]] if k in place else None for k in range(looks)]
    _log(folder, sample.STIMULUS, timeline.times.tolist(), scores)
    if viewer.baseline is not None:
        times = np.arange(0, 5, BASELINE_LOOK_S).tolist()
        _log(folder, "baseline", times, [viewer.baseline] * len(times))
    with app.state.store.session() as rows:
        touch(rows, study)
    return row


def _log(folder: Path, stimulus: str, times: list[float], scores: list[NDArray[np.float32] | None]) -> None:
    writer = LookWriter(folder, stimulus, FERPLUS, {"every_s": 0.5})
    for k, (at, row) in enumerate(zip(times, scores, strict=True)):
        faces = Faces.none() if row is None else FACE
        found = np.zeros((0, 8), np.float32) if row is None else np.asarray(row, np.float32)[None]
        followed = Followed(None, 0, 0) if row is None else Followed(0, 1, 0)
        writer.add(look(FrameHead(k, at, False, film_s=at), 0, (640, 480), 0.5, faces, followed, found, FERPLUS), b"")
    writer.close()


def screened(server: Server, film: Path) -> str:
    """The sample study on a server, with its film and its ten simulated viewers; its id."""
    id = studies.made(server, sample.DEFINITION)
    with server.client() as client:
        with film.open("rb") as content:
            data = {"stimulus": sample.STIMULUS}
            client.post(f"/api/studies/{id}/films", files={"file": (film.name, content)}, data=data).raise_for_status()
        studies.ready(client, id)
    studies.opened(server, id)
    app = create_app(Settings(data_dir=server.data))
    study = Study.read(sample.DEFINITION)
    for viewer in sample.viewers():
        parts = {"before": study.before, "after": study.after}
        put(
            app,
            id,
            viewer,
            {name: {q.id: viewer.answers[q.id] for q in asked if q.id in viewer.answers} for name, asked in parts.items()},
        )
    return id
