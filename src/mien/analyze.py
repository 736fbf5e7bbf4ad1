"""The order of the stages: frame → faces → crops → expressions → tracks → smoothing. Nothing else knows it."""

import copy
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

import mien
from mien.crop import crop_faces
from mien.cuts import Changed, Cuts
from mien.detect import DETECTORS, Detector, Seldom, Watch, YuNet
from mien.emotion import EmotionModel, Expressions, Smoothing, read_crops
from mien.errors import MediaError
from mien.flags import flags
from mien.flow import Latest, Until, prefetch
from mien.media import Media, held_picture, rgb_of, rotated
from mien.models import Bundle
from mien.track import Tracker
from mien.turn import turn_of, upright
from mien.types import MIN_RELIABILITY, Faces, Frame, FrameResult, MediaInfo, Timeline

SMOOTHING_S = 0.2
"""Default time constant of the smoothed scores, which episodes and live views are made from. Raw scores are kept beside them."""

MAX_PIXELS = 50_000_000
"""A larger picture, or film of larger frames, is not read unless it is asked for: a few kilobytes can unfold to gigabytes."""

_AHEAD_BYTES = 64_000_000
"""Of frames that are decoded before they are looked at, and as many again of those that are read together."""

_TOGETHER = 8
"""Frames of a film whose faces go through the network together, a third faster than one by one; more gain nothing."""


def _ahead(info: MediaInfo, most: int) -> int:
    return max(1, min(most, _AHEAD_BYTES // max(1, 3 * info.width * info.height)))


def _batches(frames: Iterator[Frame], size: int) -> Iterator[list[Frame]]:
    """Up to `size` frames at a time. What goes wrong comes out after the frames before it."""
    batch: list[Frame] = []
    try:
        for frame in frames:
            batch.append(frame)
            if len(batch) == size:
                yield batch
                batch = []
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


class FrameSource(Protocol):
    """What `Analyzer.stream` takes its frames from; `mien.media.Media` is one."""

    @property
    def info(self) -> MediaInfo: ...

    def frames(self, every: float | None = None) -> Iterator[Frame]: ...


class Reading(NamedTuple):
    """What is read of one picture: N faces, their probabilities (N, K), reliability (N,) and flags (N,); see `FrameResult`."""

    faces: Faces
    emotions: NDArray[np.float32]
    reliability: NDArray[np.float32]
    flags: NDArray[np.uint8]


class StreamState:
    """All that changes while the frames of one stream pass: who is where, and the smoothing of their scores.

    `Analyzer.stream` holds one for a film; a live view holds its own. It depends on nothing but what `update` was given, so that
    giving the same again, from a log, makes the same state.
    """

    def __init__(self, smoothing_s: float) -> None:
        self._tracker, self._smoothing = Tracker(), Smoothing(smoothing_s)

    def update(
        self, faces: Faces, time_s: float, emotions: NDArray[np.float32], changed: Changed | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Track ids (N,) and smoothed probabilities (N, K) of the N faces of the next frame; `changed` as `Tracker.update` has it.

        Raises `ValueError` where time runs backwards or is not finite; the state is then as it was.
        """
        ids = self._tracker.update(faces, time_s, changed)
        return ids, self._smoothing.update(ids, time_s, emotions)

    @property
    def tracks(self) -> NDArray[np.int64]:
        """(T,) the tracks that have not ended."""
        return self._tracker.ids

    def copy(self) -> "StreamState":
        """One that goes on from here on its own."""
        return copy.deepcopy(self)


class Analyzer:
    """Reads the faces of pictures, films and cameras. One Analyzer serves any number of streams, one after another or at a time.

    model        name or folder of a bundle, a `Bundle`, or anything that is an `EmotionModel`
    detector     "yunet", "haar", or anything that is a `Detector`
    device       what the networks run on that are given by name or folder, one of `mien.models.DEVICES`; haar takes the CPU
    fast         faces are searched in few frames of a film, see `Seldom`; expressions are read in each as ever
    smoothing_s  time constant in seconds of the smoothed scores; 0 for none. Raw scores always come out as well.
    baseline_s   where above 0, `Timeline.settings` asks for columns of change against each track's first so many seconds
    min_reliability  a reading below it is not relied on: it counts in no share, episode or curve; 0 for all but flagged ones

    Raises `ModelError` where a model is missing or damaged, `ValueError` for a detector that does not exist.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Bundle | EmotionModel = "default",
        *,
        detector: str | Detector = "yunet",
        device: str = "cpu",
        fast: bool = False,
        smoothing_s: float = SMOOTHING_S,
        baseline_s: float = 0.0,
        min_reliability: float = MIN_RELIABILITY,
    ) -> None:
        Smoothing(smoothing_s)
        if not 0 <= min_reliability <= 1:
            raise ValueError(f"min_reliability must lie between 0 and 1, but got {min_reliability}")
        if not 0 <= baseline_s < np.inf:
            raise ValueError(f"baseline must be 0 s or more, but got {baseline_s}")
        if isinstance(detector, str):
            if detector not in DETECTORS:
                raise ValueError(f"no detector {detector!r}; known: {', '.join(DETECTORS)}")
            detector = YuNet(device=device) if detector == "yunet" else DETECTORS[detector]()
        self.detector: Detector = detector
        if isinstance(model, str | os.PathLike | Bundle):
            model = Expressions(model, device=device)
        self.emotion: EmotionModel = model
        self.fast = fast
        self.smoothing_s, self.baseline_s, self.min_reliability = smoothing_s, baseline_s, min_reliability

    @property
    def labels(self) -> tuple[str, ...]:
        return self.emotion.labels

    def settings(self, every: float | None = None, size: tuple[int, int] | None = None) -> dict[str, Any]:
        """How this Analyzer looks, as plain JSON values: what `Timeline.settings` holds.

        size  width and height of the media in pixels, where known: then also of which width faces are found in it for sure
        """
        settings: dict[str, Any] = {
            "every_s": every or None,
            "smoothing_s": self.smoothing_s,
            "baseline_s": self.baseline_s or None,
            "min_reliability": self.min_reliability,
            "models": {"detector": self.detector.facts, "expression": self.emotion.facts},
            "mien": mien.__version__,
        }
        if self.fast:
            settings["fast"] = True
        if size is not None and isinstance(self.detector, YuNet):
            settings["smallest_face_px"] = round(self.detector.smallest_face(*size), 1)
        card = getattr(self.emotion, "card", "")
        if card:
            settings["models"]["expression"] = settings["models"]["expression"] | {"card": card}
        return settings

    def faces(self, rgb: NDArray[np.uint8]) -> tuple[Faces, NDArray[np.float32]]:
        """The N faces of a picture (H, W, 3) uint8 RGB and their probabilities (N, K)."""
        return self.faces_of([rgb])[0]

    def faces_of(self, pictures: Sequence[NDArray[np.uint8]]) -> list[tuple[Faces, NDArray[np.float32]]]:
        """As `faces`, of several pictures at once, of any sizes: the faces of all of them go through the network together."""
        return [reading[:2] for reading in self.read(pictures, [self.detector(rgb) for rgb in pictures])]

    def watch(self) -> Watch:
        """What finds the faces of a new stream's frames, for frames that are not taken through `stream`; see `read`."""
        return Watch(self.detector)

    def read(self, pictures: Sequence[NDArray[np.uint8]], found: Sequence[Faces]) -> list[Reading]:
        """What is read of each picture, where its N faces are found already."""
        seen = [(rgb, faces) for rgb, faces in zip(pictures, found, strict=True) if len(faces)]
        none = np.zeros((0, len(self.labels)), np.float32), np.zeros(0, np.float32), np.zeros(0, np.uint8)
        if not seen:
            return [Reading(faces, *none) for faces in found]
        crops = [crop_faces(rgb, faces, self.emotion.crop) for rgb, faces in seen]
        emotions, reliability = read_crops(self.emotion, crops[0] if len(crops) == 1 else np.concatenate(crops))
        marks = np.concatenate([flags(faces, cut) for (_, faces), cut in zip(seen, crops, strict=True)])
        ends = np.cumsum([len(faces) for faces in found])[:-1]
        columns = (np.split(column, ends) for column in (emotions, reliability, marks))
        return [Reading(faces, *of) for faces, *of in zip(found, *columns, strict=True)]

    def begin(self, smoothing_s: float | None = None) -> StreamState:
        """The state of a new stream, for frames that are not taken through `stream`; smoothed as this Analyzer does or as asked."""
        return StreamState(self.smoothing_s if smoothing_s is None else smoothing_s)

    def picture(self, source: Any, *, rotate: int | None = None, max_pixels: int | None = MAX_PIXELS) -> FrameResult:
        """The faces of one picture.

        source      a path; a picture of Pillow; bytes of a file, or a file opened in binary; an array: (H, W) grey, (H, W, 3) RGB
                    or (H, W, 4) with alpha, of whole numbers from 0 to 255 or floats from 0 to 1
        rotate      degrees clockwise by which it is turned beyond what its file says; None finds that out where it comes from a
                    file, and `FrameResult.frame.rotated_deg` says what was found. Arrays and Pillow's are taken as they lie
        max_pixels  a larger one is refused before it is decoded; None for as many as are ever read

        Raises `MediaError` for a file that is missing, damaged or no picture, `ValueError` for an array that is none, `TypeError`
        for something else.
        """
        frame = self._frame(source, rotate, max_pixels)
        ((found, emotions, reliability, marks),) = self.read([frame.rgb], [self.detector(frame.rgb)])
        ids = np.arange(1, len(found) + 1)
        return FrameResult(frame, found, ids, self.labels, emotions, emotions, reliability, marks, self.min_reliability)

    def _frame(self, source: Any, rotate: int | None, max_pixels: int | None) -> Frame:
        if isinstance(source, str | os.PathLike):
            with upright(source, self.detector, rotate, max_pixels=max_pixels) as media:
                if media.info.kind != "picture":
                    raise MediaError(f"{media.info.name}: is no still picture, but wanted one; give it to video()")
                return replace(next(media.frames()), rotated_deg=media.info.rotated_deg)
        is_array = hasattr(source, "__array__") and not hasattr(source, "convert")
        frame = Frame(0, 0.0, rgb_of(np.asarray(source))) if is_array else held_picture(source, max_pixels=max_pixels)
        if rotate is None:
            rotate = 0 if is_array or hasattr(source, "convert") else turn_of(self.detector, [frame.rgb])
        return Frame(0, 0.0, rotated(frame.rgb, rotate), rotate)

    def stream(
        self,
        source: FrameSource | Iterable[Frame],
        every: float | None = None,
        *,
        until: Until | None = None,
        state: StreamState | None = None,
    ) -> Iterator[FrameResult]:
        """One result after the other, as the frames come.

        source  an opened media, or frames in order of time
        every   seconds between the frames that are looked at; None or 0 takes each one. For an opened media only: of frames
                that come from elsewhere each one is taken
        until   asked before each result, and while no frame comes: the results end where it says so
        state   of a stream that this one goes on with; None begins a new one

        Of an opened film its cuts end tracks (see `mien.cuts`); frames that come from elsewhere, and cameras, are taken as uncut.
        Files never drop a frame, and the faces of up to eight are read together; of a camera the newest frame is taken and those
        that came too fast are left out. Raises `MediaError` where the media cannot be decoded any further, after the results up to
        there, and `ValueError` for a wrong `every`.
        """
        state, watch, cuts, together = state or self.begin(), self.watch(), None, 1
        if isinstance(source, Iterable):
            if every:
                raise ValueError(f"every is for an opened media, but got {every} and frames; leave out those not to be looked at")
            frames: Iterable[Frame] = source
        elif source.info.kind == "camera":
            frames = Latest(source.frames(every), until)
        else:
            shown = source.shown(every) if isinstance(source, Media) else source.frames(every)
            frames, cuts = prefetch(shown, _ahead(source.info, 4), until), Cuts()
            together = _ahead(source.info, _TOGETHER)
            if self.fast:
                watch = Seldom(self.detector)
        held = isinstance(source, Media)
        last: int | None = None
        iterator = iter(frames)
        try:
            for batch in _batches(iterator, together):
                looked: list[tuple[Frame, Changed | None, bool]] = []
                for frame in batch:
                    changed = None if cuts is None else cuts.look(frame.rgb, frame.time_s)
                    same = held and frame.index == last  # the same picture, still shown: no faces of its own
                    looked.append((frame, changed, not same))
                    last = frame.index
                new = [(frame.rgb, frame.time_s, changed is not None) for frame, changed, is_new in looked if is_new]
                readings = iter(self.read([rgb for rgb, _, _ in new], watch.look_at_all(new)))
                for frame, changed, is_new in looked:
                    if until is not None and until():
                        return
                    if is_new:
                        found, emotions, reliability, marks = next(readings)
                    ids, smoothed = state.update(found, frame.time_s, emotions, changed)
                    judged = (reliability, marks, self.min_reliability)
                    yield FrameResult(frame, found, ids, self.labels, emotions, smoothed, *judged)
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()

    def video(
        self,
        source: str | os.PathLike[str] | int,
        every: float | None = None,
        *,
        rotate: int | None = None,
        max_pixels: int | None = MAX_PIXELS,
    ) -> Timeline:
        """All that is seen in a film, or in a picture, or in a camera until it ends.

        every       seconds between the frames that are looked at; None or 0 takes each one. A frame that is held is looked at as
                    long as it is shown
        rotate      degrees clockwise by which it is turned beyond what its file says; None finds that out, and `Timeline.info`
                    says what was found
        max_pixels  of a frame; a film or picture of larger ones is refused before it is decoded; None for as many as are ever read

        Raises `MediaError`; a film that is damaged half-way raises it too: `stream` gives what comes before the damage.
        """
        with upright(source, self.detector, rotate, max_pixels=max_pixels) as media:
            recorder = Recorder(media.info, self.labels, self.settings(every, (media.info.width, media.info.height)))
            with closing(self.stream(media, every)) as results:  # type: ignore[type-var]
                for result in results:
                    recorder.add(result)
        return recorder.timeline()


class Recorder:
    """Collects FrameResults into a Timeline. Columns grow as arrays, some 100 bytes a face: an hour of film is about 10 MB."""

    def __init__(self, info: MediaInfo, labels: tuple[str, ...], settings: dict[str, Any] | None = None) -> None:
        self.info, self.labels, self.settings = info, labels, dict(settings or {})
        self._frames, self._times, self._counts = _Column(np.int64), _Column(np.float64), _Column(np.int64)
        self._faces = {
            "tracks": _Column(np.int64),
            "boxes": _Column(np.float32, 4),
            "face_scores": _Column(np.float32),
            "emotions": _Column(np.float32, len(labels)),
            "smoothed": _Column(np.float32, len(labels)),
            "reliability": _Column(np.float32),
            "flags": _Column(np.uint8),
        }

    def __len__(self) -> int:
        """How many frames were taken."""
        return len(self._frames)

    def add(self, result: FrameResult) -> None:
        """Takes the next frame's result. Raises `MediaError` for one that does not come after the last."""
        if len(self._times) and result.time_s <= self._times.last:
            raise MediaError(f"{self.info.name}: time runs backwards, from {self._times.last:.3f} s to {result.time_s:.3f} s")
        self._frames.extend(np.array([result.frame.index]))
        self._times.extend(np.array([result.time_s]))
        self._counts.extend(np.array([len(result)]))
        found = {"boxes": result.faces.boxes, "face_scores": result.faces.scores}
        for name, column in self._faces.items():
            column.extend(found[name] if name in found else getattr(result, name))

    def timeline(self) -> Timeline:
        """What was collected so far. It stays as it is while more is added: new rows come behind its own, none is written again."""
        faces = {name: column.values for name, column in self._faces.items()}
        times, counts, frames = self._times.values, self._counts.values, self._frames.values
        return Timeline.of_frames(self.info, self.labels, times, counts, faces, self.settings, frames)


class _Column:
    """An array that grows at its end by doubling, so that adding a row costs the same at any length."""

    def __init__(self, dtype: Any, width: int | None = None) -> None:
        self._store: NDArray[Any] = np.empty((64,) if width is None else (64, width), dtype)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def last(self) -> float:
        return float(self._store[self._count - 1])

    @property
    def values(self) -> NDArray[Any]:
        """The rows so far, not copied; see `Recorder.timeline`."""
        return self._store[: self._count]

    def extend(self, rows: NDArray[Any]) -> None:
        need = self._count + len(rows)
        if need > len(self._store):
            grown = np.empty((max(need, 2 * len(self._store)), *self._store.shape[1:]), self._store.dtype)
            grown[: self._count] = self._store[: self._count]
            self._store = grown
        self._store[self._count : need] = rows
        self._count = need
