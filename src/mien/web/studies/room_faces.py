"""The faces of rooms among the people of a study: who each is by number, how well seen, and where in the picture."""

from datetime import timedelta
from typing import Any

import numpy as np

from mien.errors import MediaError
from mien.study.definition import Study
from mien.study_report.viewers import Viewer
from mien.web.database import Room
from mien.web.settings import Settings
from mien.web.studies.rooms import load_room, room_file
from mien.web.studies.schema import ViewerView


class RoomFaces:
    """Reads the faces of rooms, and remembers them: a page that follows a study asks every few seconds, and a room may be large."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._known: dict[str, tuple[Any, list[ViewerView]]] = {}

    def of(self, study: Study, room: Room) -> list[ViewerView]:
        """The faces of a room that count; none while it is not ready, or where its file is damaged, which the room's page tells."""
        file, stimulus = room_file(self.settings, room), study.stimulus(room.stimulus)
        if room.state != "ready" or stimulus is None or not file.is_file():
            return []
        made_of = (
            *(file.stat().st_ctime_ns, room.stimulus, room.offset_s, str(room.clock)),
            *(stimulus.duration_s, study.baseline_s, study.retention_days),
        )
        if room.id not in self._known or self._known[room.id][0] != made_of:
            kept = timedelta(days=study.retention_days)
            try:
                faces = [_view(face, room, kept) for face in load_room(self.settings, study, room)]
            except MediaError:
                faces = []
            self._known[room.id] = made_of, faces
        return self._known[room.id][1]


def _view(one: Viewer, room: Room, kept: timedelta) -> ViewerView:
    alone = one.timelines[room.stimulus]
    left, top, right, bottom = np.median(alone.boxes, axis=0).tolist()
    seat = (left + right) / 2 / alone.info.width, (top + bottom) / 2 / alone.info.height
    return ViewerView(
        name=one.name,
        room=True,
        step="room",
        stopped=False,
        language=None,
        consent_version=None,
        consented_at=room.made_at,
        seen_at=None,
        finished_at=one.finished_at,
        pictures=False,
        invitation=None,
        groups=dict(one.groups),
        order=[],
        left_out=None,
        quality=dict(one.quality),
        erased_at=room.made_at + kept,
        seat=(round(seat[0], 3), round(seat[1], 3)),
    )
