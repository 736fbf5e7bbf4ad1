"""The nouns: what passes between the stages. Frozen, complete, checked at the door, arrays read-only.

Conventions: colour is RGB uint8 (H, W, 3); boxes are float32 x1, y1, x2, y2 in pixels of the original frame, origin top left,
x2 and y2 exclusive; time is float seconds since the media's first frame, from its own timestamps; scores are float32 in [0, 1];
nobody in the picture is zero rows.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import MediaError
from mien.labels import knows_valence, valence
from mien.whole_file import whole_file

if TYPE_CHECKING:
    import pandas

FLAGS: tuple[str, ...] = ("small", "blurred", "dark", "flat", "turned", "covered")
"""What can make a reading unsure, see `mien.flags`. Where flags are kept as a number, the first is its lowest bit."""

FAILING: tuple[str, ...] = ("small", "blurred", "dark", "flat", "covered")
"""Those with which a reading is not relied on."""

MIN_RELIABILITY = 0.5
"""Unless told otherwise, a reading that is more likely wrong than right is not relied on."""

_SPAN = 4096
_TRACKS_SHOWN = 20  # in a notebook

_FORMAT = "mien-timeline 1"
_COLUMNS = ("frames", "times", "frame_rows", "tracks", "boxes", "face_scores", "emotions", "smoothed")
_JUDGED = ("reliability", "flags")
"""Columns that files of before do not have."""
PER_FACE = (*_COLUMNS[2:], *_JUDGED)
"""The columns of a Timeline that have a value for each face row."""


def leading(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """(N,) the column of the largest of (N, K) scores in each row. A span at a time: numpy copies what is read-only for argmax."""
    found = np.empty(len(scores), np.int64)
    for start in range(0, len(scores), _SPAN):
        found[start : start + _SPAN] = scores[start : start + _SPAN].argmax(axis=1)
    return found


def flag_names(flags: int) -> tuple[str, ...]:
    """The names of the bits of a number, see `FLAGS`."""
    return tuple(name for i, name in enumerate(FLAGS) if flags >> i & 1)


_FAILING = sum(1 << FLAGS.index(name) for name in FAILING)


def relied_on(reliability: NDArray[np.float32], flags: NDArray[np.uint8], least: float = MIN_RELIABILITY) -> NDArray[np.bool_]:
    """(N,) which readings can be relied on: so reliable, or of a model that does not say, and without a flag of `FAILING`."""
    return np.asarray(~(reliability < least) & ((flags & _FAILING) == 0))


def _judgement(reliability: ArrayLike | None, flags: ArrayLike | None, n: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Both as read-only columns of N rows; NaN and 0 where nothing was said."""
    given = np.full(n, np.nan, np.float32) if reliability is None else reliability
    marks = np.zeros(n, np.uint8) if flags is None else flags
    return _array(given, "reliability", (n,), np.float32), _array(marks, "flags", (n,), np.uint8)


MediaKind = Literal["picture", "video", "camera"]


def _array(value: ArrayLike, name: str, shape: tuple[int | None, ...], dtype: Any) -> NDArray[Any]:
    """`value` as a read-only array of `dtype` and `shape` (None matches any length), or a ValueError with wanted and given."""
    array = np.asarray(value, dtype=dtype)
    fits = array.ndim == len(shape) and all(want is None or want == got for want, got in zip(shape, array.shape, strict=True))
    if not fits:
        wanted = ", ".join("_" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} must have shape ({wanted}), but got {array.shape}")
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a picture, film or camera says of itself before anything is decoded.

    width, height      pixels as shown: square, cut to the clean aperture, turned as the file asks for and as `rotated_deg` says
    duration_s         seconds as declared; None for pictures, cameras and files that do not say or cannot be believed
    fps                average rate as declared, for information: time never comes from it
    frames             number of frames as declared, without those that an edit list hides; None where the container does not say
    rotated_deg        degrees clockwise by which it was turned beyond what the file says, found or by hand
    after_sound_s      seconds by which the first picture comes after the first sound (negative: before it); None without sound
    after_container_s  seconds by which the first picture comes after the container's own beginning
    started_at         ISO 8601: of a camera when its first picture came, of a film when its file says that it was recorded
    timecode           of the first frame, as the file says it ("10:00:00:00")
    notes              what was not believed or done otherwise than the file says, a sentence each
    """

    name: str
    kind: MediaKind
    width: int
    height: int
    duration_s: float | None
    fps: float | None
    frames: int | None
    has_audio: bool
    codec: str
    rotated_deg: int = 0
    after_sound_s: float | None = None
    after_container_s: float | None = None
    started_at: str | None = None
    timecode: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", tuple(self.notes))  # JSON has lists only


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture at its time. index counts decoded frames from 0; time_s is the media's own time; rgb is (H, W, 3) uint8.

    A frame that is held comes several times, with one index. rotated_deg says by how much it was turned clockwise beyond what its
    file says.

    Other types are refused, not converted: shares from 0 to 1 would silently become a black picture.
    """

    index: int
    time_s: float
    rgb: NDArray[np.uint8]
    rotated_deg: int = 0

    def __post_init__(self) -> None:
        given = np.asarray(self.rgb)
        if given.dtype != np.uint8 or not given.size:
            raise ValueError(f"rgb must be uint8 from 0 to 255 with at least one pixel, but got {given.dtype} {given.shape}")
        object.__setattr__(self, "rgb", _array(given, "rgb", (None, None, 3), np.uint8))


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """The N faces of one picture.

    boxes      (N, 4) float32, x1, y1, x2, y2 in pixels of the picture
    scores     (N,) float32 in [0, 1], how sure the detector is
    landmarks  (N, 5, 2) float32, x, y of the eye at the left of the picture, the eye at its right, the nose tip, the left and
               the right corner of the mouth; NaN where a detector gives none (Haar)
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks: NDArray[np.float32]

    def __post_init__(self) -> None:
        n = len(self.boxes)
        object.__setattr__(self, "boxes", _array(self.boxes, "boxes", (None, 4), np.float32))
        object.__setattr__(self, "scores", _array(self.scores, "scores", (n,), np.float32))
        object.__setattr__(self, "landmarks", _array(self.landmarks, "landmarks", (n, 5, 2), np.float32))

    @classmethod
    def none(cls) -> "Faces":
        """Nobody."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, keep: Any) -> "Faces":
        """Those faces that an index array, a mask or a slice picks, as numpy does."""
        return Faces(self.boxes[keep], self.scores[keep], self.landmarks[keep])


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """What was seen in one frame: N faces with their tracks and the K probabilities of `labels`.

    tracks     (N,) int64, an id per person, from 1, unique over the whole media and never used again
    emotions   (N, K) float32, as the model gave them, each row sums to 1
    smoothed   (N, K) float32, the same through exponential smoothing in time (equal to `emotions` where that is off)
    reliability      (N,) float32 in [0, 1], how likely the leading expression is what most raters would say; NaN where not known
    flags            (N,) uint8, what makes a reading unsure: a bit for each of `FLAGS`
    min_reliability  from which on a reading is relied on
    """

    frame: Frame
    faces: Faces
    tracks: NDArray[np.int64]
    labels: tuple[str, ...]
    emotions: NDArray[np.float32]
    smoothed: NDArray[np.float32]
    reliability: NDArray[np.float32] = None  # type: ignore[assignment]  # an array once it is made
    flags: NDArray[np.uint8] = None  # type: ignore[assignment]
    min_reliability: float = MIN_RELIABILITY

    def __post_init__(self) -> None:
        n, k = len(self.faces), len(self.labels)
        reliability, flags = _judgement(self.reliability, self.flags, n)
        object.__setattr__(self, "reliability", reliability)
        object.__setattr__(self, "flags", flags)
        object.__setattr__(self, "tracks", _array(self.tracks, "tracks", (n,), np.int64))
        object.__setattr__(self, "emotions", _array(self.emotions, "emotions", (n, k), np.float32))
        object.__setattr__(self, "smoothed", _array(self.smoothed, "smoothed", (n, k), np.float32))

    def __len__(self) -> int:
        return len(self.faces)

    @property
    def time_s(self) -> float:
        return self.frame.time_s

    @property
    def relied_on(self) -> NDArray[np.bool_]:
        """(N,) which readings can be relied on, see `mien.types.relied_on`."""
        return relied_on(self.reliability, self.flags, self.min_reliability)

    @property
    def expressions(self) -> tuple[str, ...]:
        """The most probable label of each face, "" where its reading cannot be relied on."""
        if not len(self):
            return ()
        leads = zip(self.emotions.argmax(axis=1).tolist(), self.relied_on.tolist(), strict=True)
        return tuple(self.labels[i] if good else "" for i, good in leads)

    @property
    def valence(self) -> NDArray[np.float32]:
        """(N,) float32 in [-1, 1]; see `mien.labels.valence`."""
        return valence(self.emotions, self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One person through time: the M rows of one track id.

    rows      (M,) int64, positions in the Timeline's face rows, in order of time
    times     (M,) float64 seconds
    emotions  (M, K) float32        smoothed  (M, K) float32
    """

    id: int
    rows: NDArray[np.int64]
    times: NDArray[np.float64]
    labels: tuple[str, ...]
    emotions: NDArray[np.float32]
    smoothed: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def start_s(self) -> float:
        return float(self.times[0])

    @property
    def end_s(self) -> float:
        return float(self.times[-1])

    @property
    def expression(self) -> str:
        """The label with the highest mean probability."""
        return self.labels[int(self.emotions.mean(axis=0).argmax())]


@dataclass(frozen=True, slots=True)
class Episode:
    """A span in which one track showed one expression: [start_s, end_s], with the highest score and when it was reached."""

    track: int
    expression: str
    start_s: float
    end_s: float
    peak: float
    peak_time_s: float

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """All that was seen in one media, as columns: F sampled frames and N faces in them.

    frames       (F,) int64, index of each sampled frame, also where nobody is; one that is held has several rows
    times        (F,) float64, its time in seconds
    frame_rows   (N,) int64, for each face the position of its frame in `frames`, never decreasing
    tracks       (N,) int64         boxes     (N, 4) float32      face_scores  (N,) float32
    emotions     (N, K) float32, as the model gave them           smoothed     (N, K) float32, see FrameResult
    settings     how it was made: `every`, smoothing, models with sha256 and versions; plain JSON values
    reliability  (N,) float32 and flags (N,) uint8, see FrameResult; NaN and 0 where they are not known

    Shares, episodes, curves and what else is told of expressions are made from the rows that can be relied on, see `relied_on`; the
    least reliability stands in `settings["min_reliability"]`.
    """

    info: MediaInfo
    labels: tuple[str, ...]
    frames: NDArray[np.int64]
    times: NDArray[np.float64]
    frame_rows: NDArray[np.int64]
    tracks: NDArray[np.int64]
    boxes: NDArray[np.float32]
    face_scores: NDArray[np.float32]
    emotions: NDArray[np.float32]
    smoothed: NDArray[np.float32]
    settings: dict[str, Any] = field(default_factory=dict)
    reliability: NDArray[np.float32] = None  # type: ignore[assignment]  # an array once it is made
    flags: NDArray[np.uint8] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        n, k = len(self.frame_rows), len(self.labels)
        reliability, flags = _judgement(self.reliability, self.flags, n)
        object.__setattr__(self, "reliability", reliability)
        object.__setattr__(self, "flags", flags)
        object.__setattr__(self, "frames", _array(self.frames, "frames", (None,), np.int64))
        object.__setattr__(self, "times", _array(self.times, "times", (len(self.frames),), np.float64))
        object.__setattr__(self, "frame_rows", _array(self.frame_rows, "frame_rows", (n,), np.int64))
        object.__setattr__(self, "tracks", _array(self.tracks, "tracks", (n,), np.int64))
        object.__setattr__(self, "boxes", _array(self.boxes, "boxes", (n, 4), np.float32))
        object.__setattr__(self, "face_scores", _array(self.face_scores, "face_scores", (n,), np.float32))
        object.__setattr__(self, "emotions", _array(self.emotions, "emotions", (n, k), np.float32))
        object.__setattr__(self, "smoothed", _array(self.smoothed, "smoothed", (n, k), np.float32))

    @classmethod
    def of_frames(
        cls,
        info: MediaInfo,
        labels: tuple[str, ...],
        times: ArrayLike,
        counts: ArrayLike,
        faces: Mapping[str, ArrayLike],
        settings: Mapping[str, Any],
        frames: ArrayLike | None = None,
    ) -> "Timeline":
        """One of frames as they came: (F,) their times, (F,) how many faces each has, and the columns of all these faces by name.

        Without a column `smoothed` it is that of `emotions`; without `frames` the frames are counted from 0.
        """
        each = np.asarray(counts, dtype=np.int64)
        columns: dict[str, Any] = {"smoothed": faces["emotions"], **faces}
        order = np.arange(len(each))
        taken: Any = order if frames is None else frames
        return cls(info, labels, taken, np.asarray(times), np.repeat(order, each), settings=dict(settings), **columns)

    def __len__(self) -> int:
        """The number of sampled frames."""
        return len(self.frames)

    def __repr__(self) -> str:
        span = f"{self.times[0]:.2f}–{self.times[-1]:.2f} s" if len(self) else "no frames"
        return f"Timeline({self.info.name}: {span}, {len(self)} frames, {len(self.frame_rows)} faces, {len(self.track_ids)} tracks)"

    def _repr_html_(self) -> str:
        """What a notebook shows: the media, and a row per track."""
        rows = "".join(
            f"<tr><td>{t.id}</td><td>{t.start_s:.2f}</td><td>{t.end_s:.2f}</td><td>{len(t)}</td><td>{escape(t.expression)}</td></tr>"
            for _, t in zip(range(_TRACKS_SHOWN), self, strict=False)
        )
        more = len(self.track_ids) - _TRACKS_SHOWN
        rest = f"<p>and {more} more</p>" if more > 0 else ""
        head = "".join(f"<th>{name}</th>" for name in ("track", "start_s", "end_s", "rows", "apparent expression"))
        return f"<p>{escape(repr(self))}</p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{rest}"

    def to_pandas(self) -> "pandas.DataFrame":
        """A row per face with the columns of faces.csv, not rounded: frame, time_s, track, x1 … y2, face_score, the K emotions,
        expression, valence, reliability, flags. Raises `ModuleNotFoundError` where pandas is not installed."""
        import pandas

        columns: dict[str, Any] = {
            "frame": self.frames[self.frame_rows],
            "time_s": self.face_times,
            "track": self.tracks,
            **{name: self.boxes[:, i] for i, name in enumerate(("x1", "y1", "x2", "y2"))},
            "face_score": self.face_scores,
            **{name: self.emotions[:, i] for i, name in enumerate(self.labels)},
            "expression": self.expressions if len(self.emotions) else [],
            "valence": self.valence if knows_valence(self.labels) else np.full(len(self.tracks), np.nan, np.float32),
            "reliability": self.reliability,
            "flags": [";".join(flag_names(mark)) for mark in self.flags.tolist()],
        }
        return pandas.DataFrame(columns)

    @property
    def relied_on(self) -> NDArray[np.bool_]:
        """(N,) which rows can be relied on, see `mien.types.relied_on`."""
        return self.relied_on_in(slice(None))

    def relied_on_in(self, rows: slice | NDArray[np.int64]) -> NDArray[np.bool_]:
        """`relied_on` of these face rows alone, by a slice or by positions."""
        least = float(self.settings.get("min_reliability", MIN_RELIABILITY))
        return relied_on(self.reliability[rows], self.flags[rows], least)

    @property
    def coverage(self) -> float:
        """The share of face rows that can be relied on; 1 where nobody was seen."""
        return float(self.relied_on.mean()) if len(self.frame_rows) else 1.0

    @property
    def expressions(self) -> list[str]:
        """The most probable label of each face row, "" where it cannot be relied on."""
        names = [*self.labels, ""]
        return [names[i] for i in np.where(self.relied_on, leading(self.emotions), -1).tolist()]

    def relied(self) -> "Timeline":
        """The same with only those rows that can be relied on; its frames all stay."""
        keep = self.relied_on
        return self if keep.all() else self.only(keep)

    def only(self, keep: NDArray[np.bool_]) -> "Timeline":
        """The same with some of its face rows, by a mask (N,); its frames all stay."""
        return replace(self, **{name: getattr(self, name)[keep] for name in PER_FACE})

    @property
    def face_times(self) -> NDArray[np.float64]:
        """(N,) the time of each face row."""
        return self.times[self.frame_rows]

    @property
    def faces_per_frame(self) -> NDArray[np.int64]:
        """(F,) how many faces each sampled frame has."""
        return np.bincount(self.frame_rows, minlength=len(self.frames))

    @property
    def valence(self) -> NDArray[np.float32]:
        """(N,) see `mien.labels.valence`."""
        return valence(self.emotions, self.labels)

    @property
    def track_ids(self) -> list[int]:
        """Ids in the order in which they appear."""
        ids, first = np.unique(self.tracks, return_index=True)
        return [int(i) for i in ids[np.argsort(first)]]

    def track(self, track_id: int) -> Track:
        """The rows of one person. Raises `ValueError` for an id that does not occur."""
        rows = np.flatnonzero(self.tracks == track_id)
        if not len(rows):
            raise ValueError(f"no track {track_id}; known: {', '.join(map(str, self.track_ids)) or 'none'}")
        # One person alone is a span of rows: a view then, where picking rows would copy an hour's scores.
        span: Any = slice(int(rows[0]), int(rows[-1]) + 1) if rows[-1] - rows[0] + 1 == len(rows) else rows
        times = self.times[self.frame_rows[span]]
        return Track(int(track_id), rows, times, self.labels, self.emotions[span], self.smoothed[span])

    def __iter__(self) -> Iterator[Track]:
        """One Track after the other, in the order in which they appear."""
        return (self.track(i) for i in self.track_ids)

    def shares(self) -> dict[str, float]:
        """For each label, the share of the face rows that can be relied on in which it is the most probable; all 0 without any."""
        keep = self.relied_on
        emotions = self.emotions if keep.all() else self.emotions[keep]
        if not len(emotions):
            return dict.fromkeys(self.labels, 0.0)
        counts = np.bincount(leading(emotions), minlength=len(self.labels))
        return {name: float(c) / len(emotions) for name, c in zip(self.labels, counts, strict=True)}

    def baseline(self, seconds: float) -> NDArray[np.float32]:
        """(N, K) probabilities minus the mean of the same track's first `seconds`: change against the person's own rest face.

        The span is measured from the first time that the track is seen. Values lie in [-1, 1]; rows sum to 0.
        """
        if seconds <= 0:
            raise ValueError(f"baseline must last longer than 0 s, but got {seconds}")
        change = np.array(self.emotions)
        for track in self:
            first = track.times < track.start_s + seconds
            change[track.rows] -= track.emotions[first].mean(axis=0)
        return change

    def seen_together(self, track: int, other: int) -> NDArray[np.float64]:
        """(M,) seconds of the frames in which both are seen. Raises `ValueError` for a track that does not occur."""
        one, two = (self.frame_rows[self.track(i).rows] for i in (track, other))
        return self.times[np.intersect1d(one, two)]

    def merged(self, track: int, into: int) -> "Timeline":
        """The same with `track` counted as `into`: one person that was given two numbers. Rows keep their order.

        Raises `ValueError` where one of the two does not occur, where both are the same, and where both are seen in one frame:
        those are two people.
        """
        one, other = self.track(track), self.track(into)
        if one.id == other.id:
            raise ValueError(f"track {track} cannot be merged into itself; give another one")
        together_s = self.seen_together(track, into)
        if len(together_s):
            raise ValueError(
                f"tracks {track} and {into} are both seen at {together_s[0]:.2f} s, so they are two people; "
                "merge only faces that are never seen together"
            )
        return replace(self, tracks=np.where(self.tracks == one.id, other.id, self.tracks))

    def without(self, tracks: Iterable[int]) -> "Timeline":
        """The same without the rows of these tracks; its frames all stay. Raises `ValueError` for a track that does not occur."""
        left_out = set(tracks)
        unknown = sorted(left_out - set(self.track_ids))
        if unknown:
            raise ValueError(f"no track {unknown[0]}; known: {', '.join(map(str, self.track_ids)) or 'none'}")
        if not left_out:
            return self
        return self.only(~np.isin(self.tracks, sorted(left_out)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes all of it, to the last bit, as .npz: for `load`. Whole or not at all. Raises `MediaError` where it cannot be.

        numpy opens the file too: an array per column, and `facts`, the rest as JSON in bytes. An hour of one face at 25 looks a
        second is 9 MB. The tables of `mien.report` are rounded; this is not.
        """
        target = Path(path)
        facts = {"format": _FORMAT, "info": asdict(self.info), "labels": self.labels, "settings": self.settings}
        text = np.frombuffer(json.dumps(facts).encode("ascii"), np.uint8)
        try:
            with whole_file(target) as part, part.open("wb") as file:
                np.savez(file, facts=text, **{name: getattr(self, name) for name in (*_COLUMNS, *_JUDGED)})
        except OSError as error:
            raise MediaError(f"{target.name}: cannot be written: {error.strerror or error}") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """What `save` wrote. Nothing in the file is run. Raises `MediaError` where it is missing, damaged or something else."""
        name = Path(path).name
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as held:
                columns = {column: held[column] for column in _COLUMNS}
                columns |= {column: held[column] for column in _JUDGED if column in held}
                facts = json.loads(held["facts"].tobytes())
            if facts["format"] != _FORMAT:
                raise ValueError(f"its format is {facts['format']!r}")
            found = cls(MediaInfo(**facts["info"]), tuple(facts["labels"]), settings=facts["settings"], **columns)
            if len(found.frame_rows) and (found.frame_rows[0] < 0 or found.frame_rows[-1] >= len(found)):
                raise ValueError("a face has no frame")
            if (np.diff(found.frame_rows) < 0).any() or not (np.diff(found.times) > 0).all():
                raise ValueError("its rows are not in order of time")
        except OSError as error:
            raise MediaError(f"{name}: cannot be read: {(error.strerror or str(error)).lower()}") from error
        except Exception as error:  # readers of damaged files raise whatever their parsing met: BadZipFile, KeyError, MemoryError
            why = " ".join(str(error).split()) or type(error).__name__
            raise MediaError(f"{name}: is not a whole timeline as mien writes it ({why}); analyse the media again") from error
        return found
