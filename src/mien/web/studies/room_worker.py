"""What takes the numbers of a recording into a study, in a process of its own.

    python -m mien.web.studies.room_worker

One line of JSON comes in: {"source", "edits", "target", "counted": {"offset_s", "clock", "film_s"}}. One goes out:
{"done": {"counted", "duration_s", "people", "left_out", "together"}} or {"failed": "…"}.
"""

import sys
from pathlib import Path
from typing import Any

from mien.types import Timeline
from mien.web.analyses.edits import Edits, ResultView
from mien.web.studies import room_clock
from mien.web.tasks.child import work


def take_in(task: dict[str, Any]) -> dict[str, Any]:
    """Writes the room's file, and counts who is in it. Raises `MediaError`."""
    timeline = Timeline.load(Path(task["source"]))
    merged = ResultView(timeline, Edits.of(task["edits"])).shown  # who was merged or hidden by hand stays so; names do not
    whole = room_clock.reseated(merged)
    whole.save(Path(task["target"]))
    return {"counted": task["counted"]} | room_clock.counts(whole, **task["counted"])


if __name__ == "__main__":
    sys.exit(work(lambda task, tell: take_in(task)))
