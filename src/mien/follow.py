"""One person among the tracks of a camera: who is followed from the camera check on, and when nobody can tell.

Whoever leans in, walks past or sits down beside is somebody else, however large the face. A track ends where a face was unseen for
longer than the tracker waits; then one face near the old place is gone on with, under another number, so that it can be seen later
where that was done. Two faces that could be it are nobody. As in `mien.track`, nothing about a face but its place is looked at.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.types import Faces

REACH = 2.0
"""How far from the old place a face may be to be gone on with, in face sizes (√(width × height))."""

ZOOM = 2.0
"""How many times larger or smaller it may be."""

VAGUE_S = 30.0
"""Within so many seconds somebody who is away may come to sit once more as far off: the old place grows vague."""

OTHERS_S = 30.0
"""For so long it is remembered where somebody else was seen last."""

Box = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Followed:
    """Who of the faces in one frame is the person that is followed.

    face    row of the face; None for nobody
    track   1 for the track that was chosen, one more each time that another one was gone on with; 0 for nobody
    others  how many faces are somebody else's, or may be
    """

    face: int | None
    track: int
    others: int


class Follower:
    """Follows one person. It is given each frame's faces with the ids of their tracks, in order of time.

    place, seen_s  of somebody who was seen before, to be gone on with: x1, y1, x2, y2 in pixels, and when; track is the number of
                   the track that has ended
    """

    def __init__(self, place: NDArray[np.floating] | None = None, seen_s: float = 0.0, track: int = 0) -> None:
        self._id = 0  # of the track, 0 for none
        self._number = track
        self._place: Box | None = None if place is None else np.asarray(place, np.float64)
        self._seen_s = seen_s
        self._others: dict[int, tuple[float, Box]] = {}  # tracks that are somebody else's: when and where they were seen last

    def choose(self, faces: Faces, ids: NDArray[np.int64], time_s: float) -> Followed:
        """Takes the largest face for the person, as the camera check shows it; whoever else is there is somebody else."""
        if not len(faces):
            return Followed(None, 0, 0)
        sides = faces.boxes[:, 2:] - faces.boxes[:, :2]
        chosen = int(sides.prod(axis=1).argmax())
        self._number = 1
        self._others.pop(int(ids[chosen]), None)
        return self._found(chosen, faces, ids, time_s)

    def follow(self, faces: Faces, ids: NDArray[np.int64], time_s: float, alive: NDArray[np.int64]) -> Followed:
        """The person among the faces of the next frame. Where nobody was chosen yet, the largest face is.

        alive  the tracks that may still be found again, of which one that is unseen in this frame is waited for
        """
        if self._place is None:
            return self.choose(faces, ids, time_s)
        at = np.flatnonzero(ids == self._id)
        if len(at):
            return self._found(int(at[0]), faces, ids, time_s)
        boxes = faces.boxes.astype(np.float64)
        self._remember(boxes, ids, time_s)
        if self._id not in alive:
            near = [k for k in range(len(faces)) if self._may_be(int(ids[k]), boxes[k], ids, time_s)]
            if len(near) == 1:
                self._number += 1
                return self._found(near[0], faces, ids, time_s)
        return Followed(None, 0, len(faces))

    def _found(self, face: int, faces: Faces, ids: NDArray[np.int64], time_s: float) -> Followed:
        boxes = faces.boxes.astype(np.float64)
        self._id, self._place, self._seen_s = int(ids[face]), boxes[face], time_s
        for k in range(len(faces)):
            if k != face:  # two faces in one frame are two people
                self._others[int(ids[k])] = time_s, boxes[k]
        self._remember(boxes, ids, time_s)
        return Followed(face, self._number, len(faces) - 1)

    def _remember(self, boxes: NDArray[np.float64], ids: NDArray[np.int64], time_s: float) -> None:
        """Where those are now who are known to be somebody else, and forgets who was unseen for long."""
        for id, box in zip(ids.tolist(), boxes, strict=True):
            if id in self._others:
                self._others[id] = time_s, box
        self._others = {id: known for id, known in self._others.items() if time_s - known[0] <= OTHERS_S}

    def _may_be(self, id: int, box: Box, ids: NDArray[np.int64], time_s: float) -> bool:
        """Whether a face may be the person, whose track has ended."""
        assert self._place is not None
        apart = _apart(self._place, box)
        if id in self._others or apart > 1 + max(0.0, time_s - self._seen_s) / VAGUE_S:
            return False
        for other, (_, place) in list(self._others.items()):
            if other not in ids and _apart(place, box) < apart:  # somebody else's track ended too, nearer to this face
                del self._others[other]
                self._others[id] = time_s, box
                return False
        return True


def _apart(a: Box, b: Box) -> float:
    """How far two boxes are apart in place and size; at 1 they are as far as `REACH` and `ZOOM` say."""
    sides_a, sides_b = (np.maximum(box[2:] - box[:2], 1.0) for box in (a, b))
    size_a, size_b = math.sqrt(sides_a.prod()), math.sqrt(sides_b.prod())
    x, y = (a[:2] + a[2:] - b[:2] - b[2:]) / 2
    return max(math.hypot(x, y) / (max(size_a, size_b) * REACH), abs(math.log(size_a / size_b)) / math.log(ZOOM))
