"""What a person changed in a result: names, merges and hidden faces; and the result as it is read with them.

What was measured is never changed: edits are kept beside it, in the job's row, and all of them can be undone.
"""

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mien import report
from mien.episodes import find_episodes
from mien.types import Episode, Timeline
from mien.web.analyses.schema import shown


@dataclass(frozen=True, slots=True)
class Edits:
    """What a person changed: names of faces, `into` says as what each merged one counts, and those hidden."""

    names: dict[int, str] = field(default_factory=dict)
    into: dict[int, int] = field(default_factory=dict)
    hidden: frozenset[int] = frozenset()

    @classmethod
    def of(cls, row: dict[str, Any] | None) -> "Edits":
        """As a job's row keeps them."""
        row = row or {}
        return cls(
            {int(k): str(v) for k, v in row.get("names", {}).items()},
            {int(k): int(v) for k, v in row.get("into", {}).items()},
            frozenset(map(int, row.get("hidden", ()))),
        )

    def row(self) -> dict[str, Any]:
        """For a job's row; empty where nothing is changed."""
        parts = {
            "names": {str(k): v for k, v in sorted(self.names.items())},
            "into": {str(k): v for k, v in sorted(self.into.items())},
        }
        whole = parts | {"hidden": sorted(self.hidden)}
        return {name: part for name, part in whole.items() if part}

    def __bool__(self) -> bool:
        return bool(self.names or self.into or self.hidden)

    @property
    def key(self) -> str:
        """The same for the same edits."""
        return hashlib.sha256(json.dumps(self.row(), sort_keys=True).encode()).hexdigest()[:16]

    def merged_into(self, track: int) -> list[int]:
        """The numbers that count as this one."""
        return sorted(other for other, into in self.into.items() if into == track)

    def changed(self, track: int, given: dict[str, Any]) -> "Edits":
        """With another name of a face, or hidden, or shown again."""
        names, hidden = dict(self.names), set(self.hidden)
        if "name" in given:
            name = shown(given["name"] or "")
            names.pop(track, None)
            if name:
                names[track] = name
        if "hidden" in given:
            (hidden.add if given["hidden"] else hidden.discard)(track)
        return Edits(names, self.into, frozenset(hidden))

    def merged(self, track: int, into: int) -> "Edits":
        """With one face counted as another, which takes its name where it has none."""
        names = dict(self.names)
        name = names.pop(track, None)
        if name:
            names.setdefault(into, name)
        onto = {other: into if now == track else now for other, now in self.into.items()} | {track: into}
        return Edits(names, onto, self.hidden - {track})


class ResultView:
    """A result as it is read: the Timeline with what was changed in it. Everybody, hidden ones too, and those that are shown."""

    def __init__(self, timeline: Timeline, edits: Edits) -> None:
        for track, into in edits.into.items():
            timeline = timeline.merged(track, into)
        self.everybody, self.edits = timeline, edits
        there = set(timeline.track_ids)
        self.shown = timeline.without(edits.hidden & there)
        self.names = {track: name for track, name in edits.names.items() if track in there}
        self.texts: OrderedDict[Any, bytes] = OrderedDict()

    @cached_property
    def episodes(self) -> list[Episode]:
        """Found when they are first asked for: the lines do not need them, and a crowd's take a second."""
        return find_episodes(self.shown)

    def name(self, track: int) -> str:
        """What a face is called on pages."""
        return report.face_name(track, self.names)

    def headline(self) -> str:
        return report.headline(self.shown, self.episodes, names=self.names)
