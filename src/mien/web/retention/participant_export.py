"""All that is kept of one viewer as a file: one JSON, or with pictures a zip of both."""

import json
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from mien.web.capture import participant_log as logs
from mien.web.database import Participant
from mien.web.studies.participants import Participants
from mien.web.studies.rooms import Rooms
from mien.web.studies.service import Who


class ExportFile(NamedTuple):
    """A file that is made while it goes out: its name, what it is, and its bytes piece by piece."""

    name: str
    kind: str
    pieces: Iterable[bytes]


def export_of_viewer(participants: Participants, rooms: Rooms, study: str, viewer: str) -> ExportFile:
    """Of a participant (`3`) or a face of a room (`R1-3`), for whoever runs the study. Raises `ApiError` 404, 409."""
    if not viewer.startswith("R"):
        return export_of_participant(participants, participants.studies.participant(study, viewer), "operator")
    text = _text(rooms.exported(study, viewer))
    participants.studies.note(study, "operator", "exported one person", viewer=viewer)
    return ExportFile(f"viewer-{viewer}.json", "application/json", [text])


def export_of_participant(participants: Participants, whose: Participant, who: Who) -> ExportFile:
    """Of a participant, at whosever wish."""
    text, folder = _text(participants.export(whose, who)), participants.folder(whose)
    name = f"participant-{whose.name}"
    if not (folder / logs.PICTURES).is_file():
        return ExportFile(f"{name}.json", "application/json", [text])
    return ExportFile(f"{name}.zip", "application/zip", _zipped(text, logs.pictures(folder)))


def _text(kept: dict[str, Any]) -> bytes:
    return json.dumps(kept, ensure_ascii=False, indent=1).encode()


def _zipped(text: bytes, pictures: Iterator[tuple[str, float, bytes]]) -> Iterator[bytes]:
    """A zip as it grows, of hours of pictures, too: one picture at a time is in memory."""
    made = _Pieces()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]  # needs no more of a file
        archive.writestr("participant.json", text)
        for number, (stimulus, film_s, picture) in enumerate(pictures, start=1):
            archive.writestr(f"pictures/{stimulus}/{number:05d}-{film_s:.2f}s.jpg", picture)
            yield made.taken()
    yield made.taken()


class _Pieces:
    """What a zip is written to."""

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._held.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def taken(self) -> bytes:
        """What was written since the last time."""
        held, self._held = b"".join(self._held), []
        return held
