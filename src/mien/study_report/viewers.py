"""Who counts in a review: a viewer is anybody whose face was measured, without a name."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.types import Timeline, _array


@dataclass(frozen=True, slots=True, eq=False)
class Viewer:
    """One person who watched, or one track of a room.

    name         "1", "2", … for participants, "R1-3" for the third track of room 1; never a person's name
    timelines    id of the stimulus → what was seen of this one person, on the film's own clock; films not watched are left out
    baseline     (K,) float32 mean probabilities of the neutral face before the film, or None; K and order as in the timelines
    answers      id of the question → the answer, as `mien.study` has it; questions not answered are left out
    groups       id of the variable → id of the value; unknown ones are left out
    room         whether it is a track of a room: such viewers have no answers and no baseline
    started_at   when the person agreed, or the room's recording began
    finished_at  when the person came to the end; None for those who did not
    quality      looks, with_face, with_others (looks with somebody else in view), gone_on (times that the person's track had ended
                 and another one was gone on with), late, dropped, pauses (numbers), gone_s (seconds without a connection),
                 finished (bool); what is missing counts as 0
    """

    name: str
    timelines: Mapping[str, Timeline]
    baseline: NDArray[np.float32] | None = None
    answers: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    room: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    quality: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("timelines", "answers", "groups", "quality"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        kinds = {timeline.labels for timeline in self.timelines.values()}
        if len(kinds) > 1:
            raise ValueError(f"viewer {self.name}: all timelines must have the same labels, but got {sorted(kinds)}")
        if self.baseline is not None:
            k = len(next(iter(kinds))) if kinds else None
            object.__setattr__(self, "baseline", _array(self.baseline, "baseline", (k,), np.float32))

    @property
    def labels(self) -> tuple[str, ...] | None:
        """What was measured, K names; None where nothing was."""
        return next((timeline.labels for timeline in self.timelines.values()), None)


def comparable(viewers: Sequence[Viewer]) -> tuple[list[Viewer], list[str]]:
    """The same viewers, and the names of those of whom only the answers are left here, as they were measured by a model that names
    other expressions than that of most."""
    kinds = Counter(viewer.labels for viewer in viewers if viewer.labels)
    most = next(iter(kinds.most_common(1)), (None,))[0]
    others = [viewer.name for viewer in viewers if viewer.labels not in (None, most)]
    return [replace(v, timelines={}, baseline=None) if v.name in others else v for v in viewers], others
