"""Timeline → csv, json, png, html.

The files are written plainly under the names given; whoever wants them whole or not at all writes into a temporary folder and
renames it. A file that cannot be written is a `MediaError` that names it. Matplotlib and OpenCV are imported where they are used.

An hour of film at every frame is 90,000 rows, 10 MB in a Timeline and several times that as float64 or as Python's numbers. So
nothing here holds a column of means, a curve or a table whole: they are worked out a span of frames at a time.
"""

import base64
import functools
import gc
import html as markup
import itertools
import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib import resources
from io import BytesIO
from os import PathLike, fspath
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien import __version__, bar_chart, page_file
from mien.cells import safe
from mien.errors import MediaError
from mien.labels import colours_of, knows_valence, valence
from mien.types import (
    FAILING,
    MIN_RELIABILITY,
    Episode,
    Faces,
    Frame,
    FrameResult,
    Timeline,
    Track,
    flag_names,
    leading,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUMMARY_FORMAT = 1
"""Version of the layout of `summary.json`; it goes up when a key changes its meaning or goes away."""

ORIGIN = ("made_from", "known_by")
"""Settings in `summary.json` by which a later run knows a result and its file again; nobody is shown them."""

CAVEAT = (
    "Apparent expression: what a face appears to show, as a program reads it. "
    "It does not say what a person feels, thinks or intends."
)

LAW = (
    "People who are recorded for this must be told, and agree where the law asks for it. In the European Union, inferring emotions "
    "of people at the workplace or in education is prohibited (AI Act, Regulation (EU) 2024/1689, Article 5), and where it is "
    "permitted the people concerned must be informed (Article 50). Do not use it to judge a single person."
)

StrPath = str | PathLike[str]

_CHUNK = 1024  # rows formatted at a time
_PNG_WIDTH = 2000  # pixels of a static plot
_PIECE = 10  # times that a line may climb the height of a static plot before the next path begins
_PLOT_POINTS = 3000  # per line in the page
_PLOT_BUDGET = 60_000  # all lines of the page together, points × series
_RIBBON_SLOTS = 600
_STILLS_FORMAT = "mien-stills 1"
_SCORES = ("emotions", "smoothed", "reliability", "flags")
"""Columns of a FrameResult that say what was read of each face."""
_TRACKS_SHOWN = 30
_FACES_CHARTED = 12
_EPISODES_SHOWN = 120
_NAMES_TOLD = 6  # in the headline
_LASTS_S = 1.0  # an episode is worth a headline from here on; of a shorter film half of it
_THROUGHOUT = 0.75  # share of the looks in which it leads

_APPEARS = {
    "neutral": "neutral",
    "happiness": "happy",
    "surprise": "surprised",
    "sadness": "sad",
    "anger": "angry",
    "disgust": "disgusted",
    "fear": "afraid",
    "contempt": "contemptuous",
}
_PROTOCOLS = {"ferplus-strict": "FER+ strict", "fer2013": "FER2013", "end_to_end": "from whole pictures"}

_Values = NDArray[np.float64]


# --- tables -----------------------------------------------------------------------------------------------------------------------


@contextmanager
def writing(path: StrPath, mode: str = "w") -> Iterator[IO[Any]]:
    """The file opened for writing (text: UTF-8, newlines as given); an OSError becomes a MediaError that names the file."""
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        with open(path, mode, **text) as file:  # type: ignore[call-overload]
            yield file
    except OSError as error:
        raise MediaError(f"{Path(fspath(path)).name}: cannot be written: {error.strerror or error}") from error


def _csv_row(cells: Sequence[str]) -> str:
    """One line of RFC 4180 with a plain newline, which no spreadsheet runs."""
    cells = [safe(cell) for cell in cells]
    return ",".join(f'"{c.replace(chr(34), chr(34) * 2)}"' if re.search('[",\r\n]', c) else c for c in cells) + "\n"


def _rounded(values: NDArray[Any], decimals: int) -> NDArray[np.float64]:
    """Rounded, and never minus zero."""
    return np.asarray(np.round(values.astype(np.float64), decimals) + 0.0, dtype=np.float64)


def faces_csv(timeline: Timeline, path: StrPath) -> None:
    """A row per face per sampled frame: frame, time_s, track, x1, y1, x2, y2, face_score, the K emotions, expression, valence,
    reliability, flags.

    frame counts decoded frames from 0, time_s is in seconds, boxes are pixels of the original picture, the emotions are the
    model's probabilities before smoothing (a row sums to 1 within 1e-4), valence lies in [-1, 1] and is empty where no word of the
    model's is pleasant or unpleasant. The expression is empty where the reading cannot be relied on, reliability where the model
    does not say it; flags are joined by ";". Where
    `timeline.settings["baseline_s"]` is set, K columns `<emotion>_change` follow: see `Timeline.baseline`.
    RFC 4180, UTF-8, decimal points, newline "\\n". Raises `MediaError` where the file cannot be written.
    """
    seconds = timeline.settings.get("baseline_s")
    change = timeline.baseline(float(seconds)) if seconds else None
    k = len(timeline.labels)
    header = ["frame", "time_s", "track", "x1", "y1", "x2", "y2", "face_score", *timeline.labels]
    header += ["expression", "valence", "reliability", "flags"]
    line = (
        "%d,%.6f,%d,%.2f,%.2f,%.2f,%.2f,%.4f,"
        + "%.5f," * k
        + ("%s,%.5f" if knows_valence(timeline.labels) else "%s,%.0s")
        + ",%s,%s"
    )
    if change is not None:
        header += [f"{name}_change" for name in timeline.labels]
        line += ",%.5f" * k
    names = [*(_csv_row([name])[:-1] for name in timeline.labels), ""]
    good, marks = timeline.relied_on, {mark: ";".join(flag_names(mark)) for mark in np.unique(timeline.flags).tolist()}
    line += "\n"
    with writing(path) as file:
        file.write(_csv_row(header))
        for start in range(0, len(timeline.frame_rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            rows = timeline.frame_rows[part]
            columns: list[list[Any]] = [
                timeline.frames[rows].tolist(),
                timeline.times[rows].tolist(),
                timeline.tracks[part].tolist(),
                *_rounded(timeline.boxes[part], 2).T.tolist(),
                timeline.face_scores[part].tolist(),
                *timeline.emotions[part].T.tolist(),
                [names[i] for i in np.where(good[part], timeline.emotions[part].argmax(axis=1), -1)],
                _rounded(valence(timeline.emotions[part], timeline.labels), 5).tolist(),
                ["" if r != r else f"{r:.4f}" for r in timeline.reliability[part].tolist()],
                [marks[mark] for mark in timeline.flags[part].tolist()],
            ]
            if change is not None:
                columns += _rounded(change[part], 5).T.tolist()
            file.writelines(line % row for row in zip(*columns, strict=True))


def timeline_csv(timeline: Timeline, path: StrPath) -> None:
    """A row per sampled frame, also where nobody is: time_s, faces, `<emotion>_count` × K, mean probability `<emotion>` × K.

    The count is of faces whose most probable expression it is; the mean is over the same faces, before smoothing. Both are of
    faces that can be relied on; the mean is empty where there is none. Raises `MediaError` where the file cannot be written.
    """
    k = len(timeline.labels)
    somebody = "%.6f,%d," + "%d," * k + ",".join(["%.5f"] * k) + "\n"
    nobody = "%.6f,%d," + "%d," * k + "," * (k - 1) + "\n"
    with writing(path) as file:
        file.write(_csv_row(["time_s", "faces", *(f"{name}_count" for name in timeline.labels), *timeline.labels]))
        faces = timeline.faces_per_frame
        for start in range(0, len(timeline), _CHUNK):
            end = min(start + _CHUNK, len(timeline))
            counts = _counts(timeline, start, end)
            means = _mean(timeline, timeline.emotions, start, end)
            columns = (timeline.times[start:end].tolist(), faces[start:end].tolist(), counts.tolist(), means.tolist())
            for time_s, n, count, mean in zip(*columns, strict=True):
                file.write(somebody % (time_s, n, *count, *mean) if any(count) else nobody % (time_s, n, *count))


def episodes_csv(episodes: Sequence[Episode], path: StrPath) -> None:
    """A row per episode: track, expression, start_s, end_s, peak (probability), peak_time_s. Raises `MediaError`."""
    with writing(path) as file:
        file.write(_csv_row(["track", "expression", "start_s", "end_s", "peak", "peak_time_s"]))
        for e in episodes:
            times = (f"{e.start_s:.6f}", f"{e.end_s:.6f}", f"{e.peak:.5f}", f"{e.peak_time_s:.6f}")
            file.write(_csv_row([str(e.track), e.expression, *times]))


def _rows_between(timeline: Timeline, start: int, end: int) -> tuple[slice, NDArray[np.int64]]:
    """The face rows of the sampled frames from `start` up to `end`, and for each the position of its frame counted from `start`.

    A row that cannot be relied on has the position `end - start`: beside all frames.
    """
    first, last = np.searchsorted(timeline.frame_rows, [start, end]).tolist()
    part = slice(first, last)
    good = timeline.relied_on_in(part)
    return part, np.where(good, timeline.frame_rows[part] - start, end - start)


def _counts(timeline: Timeline, start: int, end: int) -> NDArray[np.int64]:
    """(end - start, K) how many faces of each of these frames have each expression as their most probable one, relied on."""
    f, k = end - start, len(timeline.labels)
    part, at = _rows_between(timeline, start, end)
    if not len(at):
        return np.zeros((f, k), np.int64)
    return np.bincount(at * k + timeline.emotions[part].argmax(axis=1), minlength=(f + 1) * k)[: f * k].reshape(f, k)


def _mean(timeline: Timeline, scores: NDArray[np.float32], start: int, end: int) -> _Values:
    """(end - start, K) mean of `scores` (N, K) over those faces of each of these frames that can be relied on; NaN without any."""
    f = end - start
    part, at = _rows_between(timeline, start, end)
    faces = np.bincount(at, minlength=f + 1)[:f, None]
    sums = np.stack([np.bincount(at, weights=column, minlength=f + 1)[:f] for column in scores[part].T], axis=1)
    out = np.full(sums.shape, np.nan)
    np.divide(sums, faces, out=out, where=faces > 0)
    return out


# --- summary ----------------------------------------------------------------------------------------------------------------------


def _steps(timeline: Timeline) -> _Values:
    """(F,) seconds that each sampled frame stands for: until the next one; the last as long as is usual, within the media."""
    times = timeline.times
    if len(times) < 2:
        return np.zeros(len(times))
    steps = np.asarray(np.diff(times), dtype=np.float64)
    last = float(np.median(steps))
    if timeline.info.duration_s is not None and timeline.info.duration_s > times[-1]:
        last = min(last, timeline.info.duration_s - float(times[-1]))
    return np.append(steps, last)


def _seen(timeline: Timeline) -> tuple[float, float]:
    """Seconds with at least one face, and seconds looked at."""
    steps = _steps(timeline)
    return float(steps[timeline.faces_per_frame > 0].sum()), float(steps.sum())


@dataclass(frozen=True, slots=True)
class _Person:
    """What a report tells of one track. It holds no scores: those of all `Track`s together are the whole film once more.

    rows  positions in the face rows      shares  of the looks in which each expression is the most probable one, of those that
    can be relied on; coverage is the share of these
    """

    timeline: Timeline
    id: int
    rows: NDArray[np.int64]
    start_s: float
    end_s: float
    expression: str
    shares: dict[str, float]
    coverage: float

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def smoothed(self) -> NDArray[np.float32]:
        return self.timeline.smoothed[self.rows]


def _person(timeline: Timeline, track_id: int) -> _Person:
    track = timeline.track(track_id)
    good = timeline.relied_on_in(track.rows)
    emotions = track.emotions if good.all() else track.emotions[good]
    counts = np.bincount(leading(emotions), minlength=len(track.labels))
    shares = {name: round(float(c) / max(1, len(emotions)), 5) for name, c in zip(track.labels, counts, strict=True)}
    expression = track.labels[int(emotions.mean(axis=0).argmax())] if len(emotions) else ""
    return _Person(timeline, track_id, track.rows, track.start_s, track.end_s, expression, shares, float(good.mean()))


def summary(
    timeline: Timeline, episodes: Sequence[Episode], *, speed: Any = None, names: Mapping[int, str] | None = None
) -> dict[str, Any]:
    """What summary.json holds, as plain JSON values.

    Shares are shares of those face rows that can be relied on in which an expression is the most probable one (before smoothing),
    overall and per track; coverage is the share of these rows, not_relied_on why others are left out. Times are seconds. `speed` is
    any JSON value, for instance {"seconds": 3.2, "frames_per_second": 148}. Texts of model cards
    in the settings are left out. `names` of tracks, where they have some: those tracks then have a `name`.
    """
    names = names or {}
    seen_s, looked_s = _seen(timeline)
    settings = {key: value for key, value in timeline.settings.items() if key != "models"}
    models = [{key: value for key, value in model.items() if key != "card"} for model in _models(timeline)]
    return {
        "format": "mien-summary",
        "format_version": SUMMARY_FORMAT,
        "mien_version": __version__,
        "headline": headline(timeline, episodes, names=names),
        "caveat": CAVEAT,
        "media": asdict(timeline.info),
        "models": models,
        "settings": settings,
        "labels": list(timeline.labels),
        "sampled_frames": len(timeline),
        "faces": len(timeline.frame_rows),
        "most_faces_at_once": int(timeline.faces_per_frame.max(initial=0)),
        "looked_at_s": round(looked_s, 6),
        "seen_s": round(seen_s, 6),
        "coverage": round(timeline.coverage, 5),
        "not_relied_on": unread(timeline),
        "shares": {name: round(share, 5) for name, share in timeline.shares().items()},
        "tracks": [
            {
                "id": person.id,
                **({"name": names[person.id]} if person.id in names else {}),
                "start_s": round(person.start_s, 6),
                "end_s": round(person.end_s, 6),
                "rows": len(person),
                "expression": person.expression,
                "coverage": round(person.coverage, 5),
                "shares": person.shares,
            }
            for person in (_person(timeline, track_id) for track_id in timeline.track_ids)
        ],
        "episodes": len(episodes),
        "speed": speed,
    }


def unread(timeline: Timeline) -> dict[str, int]:
    """How many face rows cannot be relied on, by the first flag that says why, or "unsure" without one."""
    lost = timeline.flags[~timeline.relied_on]
    found: dict[str, int] = {}
    for mark, n in enumerate(np.bincount(lost, minlength=1).tolist()):
        if n:
            why = next((name for name in flag_names(mark) if name in FAILING), "unsure")
            found[why] = found.get(why, 0) + n
    return dict(sorted(found.items(), key=lambda item: -item[1]))


_AS_GOOD_AS_ALL = 0.995
"""Coverage above which nothing is said of it."""

_TOO_LITTLE = 0.2
"""Coverage of a film below which no expression is named for all of it: it would rest on a few lucky frames."""

_UNREAD = {
    "small": "too small",
    "blurred": "too blurred",
    "dark": "too dark",
    "flat": "too little contrast",
    "covered": "covered",
    "unsure": "too unsure",
}


def read_in(timeline: Timeline) -> str:
    """ "Read in 92% of it; too dark for the rest.", or nothing where as good as every face could be read."""
    lost, share = unread(timeline), timeline.coverage
    if share > _AS_GOOD_AS_ALL:
        return ""
    why = _listed([_UNREAD[name] for name, n in lost.items() if n >= 0.2 * sum(lost.values())][:2])
    if not share:
        return f"No reading can be relied on: {why}."
    if _is_too_little(timeline):
        return f"Only {max(share, 0.01):.0%} of it can be read, too little to name an expression: {why}."
    return f"Read in {max(share, 0.01):.0%} of it; {why} for the rest."


def _is_too_little(timeline: Timeline) -> bool:
    """Whether too little of a film can be relied on to say an expression of the whole; in a picture each reading stands alone."""
    return not timeline.coverage or (len(timeline) > 1 and timeline.coverage < _TOO_LITTLE)


def summary_json(
    timeline: Timeline,
    episodes: Sequence[Episode],
    path: StrPath,
    *,
    speed: Any = None,
    names: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    """`summary` as an indented UTF-8 file; gives back what it wrote. Raises `MediaError` where the file cannot be written."""
    facts = summary(timeline, episodes, speed=speed, names=names)
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    with writing(path) as file:
        file.write(text + "\n")
    return facts


def _models(timeline: Timeline) -> list[dict[str, Any]]:
    """The models of the settings as a list of dicts, whichever way they are written: {role: facts}, [facts], or names."""
    given = timeline.settings.get("models") or []
    items = [(str(k), v) for k, v in given.items()] if isinstance(given, Mapping) else [("", v) for v in given]
    models = []
    for role, facts in items:
        model = dict(facts) if isinstance(facts, Mapping) else {"name": str(facts)}
        models.append({"role": role, **model} if role else model)
    return models


def _appears(expression: str) -> str:
    return _APPEARS.get(expression, expression)


def _clock(seconds: float, scale: float) -> str:
    """A moment as it reads in a film of `scale` seconds: "12.4 s", or "4:05" and "1:02:09" from two minutes on."""
    if scale < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return (
        f"{seconds / 60:.1f} min"
        if seconds < 600
        else f"{minutes} min"
        if minutes < 120
        else f"{minutes // 60} h {minutes % 60} min"
    )


def _span(start_s: float, end_s: float, scale: float) -> str:
    """ "0.4–5.1 s" or "4:05–4:11"."""
    start, end = _clock(start_s, scale), _clock(end_s, scale)
    return f"{start.removesuffix(' s')}–{end}" if start != end else start


def face_name(track: int, names: Mapping[int, str] | None = None) -> str:
    """What a track is called: the name given to it, or "Face 1"."""
    return (names or {}).get(track) or f"Face {track}"


def headline(timeline: Timeline, episodes: Sequence[Episode], *, names: Mapping[int, str] | None = None) -> str:
    """One to three sentences of what was seen, and how much of it could be read.

    "One face for 17.2 of 19.6 s; it appears sad at first (0.4–5.1 s), happy from 9.8 s."

    names  of tracks, where they have some: "One face (Anna) for 17.2 of 19.6 s; it appears …"; of up to six people
    """
    told = read_in(timeline)
    return f"{_headline(timeline, episodes, names or {})}{f' {told}' if told else ''}"


def _headline(timeline: Timeline, episodes: Sequence[Episode], names: Mapping[int, str]) -> str:
    named = _named(timeline, names)
    ids = timeline.track_ids
    seen_s, looked_s = _seen(timeline)
    still = len(timeline) < 2
    if not len(timeline):
        return "Nothing was looked at."
    if not ids:
        return f"No face was found{'' if still else f' in {_duration(looked_s)}'}{_out_of_sight(timeline)}."
    if still:
        return _headline_picture(timeline, named)
    most = int(timeline.faces_per_frame.max())
    long, short = _duration(looked_s), _duration(seen_s)
    if long.endswith(" s") or long.endswith(" min"):
        short = short.removesuffix(f" {long.rpartition(' ')[2]}")  # "17.2 of 19.6 s"
    when = f"all {long}" if looked_s - seen_s < 0.05 or short == long.rpartition(" ")[0] else f"{short} of {long}"
    if _is_too_little(timeline):
        return f"{_count(most, 'face').capitalize()}{named} for {when}."
    if len(ids) == 1:
        return f"One face{named} for {when}; it appears {_course(timeline, _person(timeline, ids[0]), episodes)}."
    if most == len(ids):
        who = _count(most, "face").capitalize()
    else:
        who = f"Up to {_count(most, 'face')} at once ({_number(len(ids))} in all)"
    order = sorted(timeline.shares().items(), key=lambda item: -item[1])
    what = "the time" if timeline.coverage > _AS_GOOD_AS_ALL else "what can be read"
    parts = [f"{_appears(name)} {share:.0%} of {what}" for name, share in order[:1]]
    parts += [f"{_appears(name)} {share:.0%}" for name, share in order[1:3] if share >= 0.1]
    return f"{who}{named} for {when}; they appear {_listed(parts)}."


def _out_of_sight(timeline: Timeline) -> str:
    """What a bound on the detector's cost leaves out; empty where it finds all that it was asked for."""
    seen_px = timeline.settings.get("smallest_face_px")
    wanted_px = next((model["find_face_px"] for model in _models(timeline) if "find_face_px" in model), None)
    if not seen_px or not wanted_px or seen_px <= wanted_px:
        return ""
    return f"; of faces narrower than {seen_px:.0f} pixels few can be seen at this --max-side"


def _named(timeline: Timeline, names: Mapping[int, str]) -> str:
    """ " (Anna and Ben)": those seen who have a name, in order of appearance; empty where nobody has one or too many have."""
    own = [names[track] for track in timeline.track_ids if names.get(track)]
    return f" ({_listed(own)})" if 0 < len(own) <= _NAMES_TOLD else ""


def _headline_picture(timeline: Timeline, named: str) -> str:
    seen, timeline = len(timeline.emotions), timeline.relied()
    leads = leading(timeline.emotions)
    if not len(leads):
        return f"{_count(seen, 'face').capitalize()}{named}."
    if len(leads) < seen:
        appear = _listed([_appears(timeline.labels[i]) for i in dict.fromkeys(leads.tolist())])
        return f"{_count(seen, 'face').capitalize()}{named}; {_number(len(leads))} of them can be read, {appear}."
    if len(leads) == 1:
        return f"One face{named}; it appears {_appears(timeline.labels[leads[0]])} ({timeline.emotions[0, leads[0]]:.0%})."
    counts = np.bincount(leads, minlength=len(timeline.labels))
    order = [i for i in np.argsort(-counts, kind="stable") if counts[i]]
    if len(order) == 1:
        return f"{_number(len(leads)).capitalize()} faces{named}; all appear {_appears(timeline.labels[order[0]])}."
    verbs = ["appears " if counts[order[0]] == 1 else "appear ", *("" for _ in order[1:])]
    parts = [f"{_number(int(counts[i]))} {verb}{_appears(timeline.labels[i])}" for i, verb in zip(order, verbs, strict=True)]
    return f"{_number(len(leads)).capitalize()} faces{named}; {_listed(parts)}."


def _count(n: int, what: str) -> str:
    return f"{_number(n)} {what}" if n == 1 else f"{_number(n)} {what}s"


def _number(n: int) -> str:
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    return words[n] if n < len(words) else str(n)


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _course(timeline: Timeline, person: _Person, episodes: Sequence[Episode]) -> str:
    """The longest episodes of a face in order of time, in words: "sad at first (0.4–5.1 s), happy from 9.8 s".

    Told is what lasted: the longest episode, and others of at least a second or a tenth of the time, whichever is longer, and of a
    quarter of the longest one. "Throughout" is said of an expression that no other episode stands beside.
    """
    own = [e for e in episodes if e.track == person.id]
    told = [e for e in own if e.expression != "neutral"] or own
    scale = float(timeline.times[-1])
    shares = person.shares
    name = max(shares, key=lambda n: shares[n])
    what = "the time" if person.coverage > _AS_GOOD_AS_ALL else "what can be read"
    seen = person.end_s - person.start_s
    most = max((e.duration_s for e in own), default=0.0)
    lasting = [e for e in told if e.duration_s >= max(min(_LASTS_S, 0.5 * seen), 0.1 * seen, most / 4)]
    if not lasting:
        return f"mostly {_appears(name)} ({shares[name]:.0%} of {what})"
    longest = sorted(sorted(lasting, key=lambda e: -e.duration_s)[:4], key=lambda e: e.start_s)
    slack = max(min(0.75, 0.1 * seen), 0.05 * seen)  # of a film of two seconds, half a second is not nothing
    calm = name == "neutral" and lasting[0].expression != "neutral" and shares[name] >= 0.5
    parts = [f"mostly neutral ({shares[name]:.0%} of {what})"] if calm else []
    alone = len(own) == 1 and shares[own[0].expression] >= _THROUGHOUT
    for i, e in enumerate(longest):
        again = i > 0 and longest[i - 1].expression == e.expression
        word = "again" if again else _appears(e.expression)
        first = i == 0 and e.start_s - person.start_s <= slack
        last = i == len(longest) - 1 and person.end_s - e.end_s <= slack
        if first and last and alone:
            parts.append(f"{word} throughout")
        elif first and last:
            parts.append(f"{word} for most of the time ({_span(e.start_s, e.end_s, scale)})")
        elif first:
            parts.append(f"{word} at first ({_span(e.start_s, e.end_s, scale)})")
        elif last:
            parts.append(f"{word} from {_clock(e.start_s, scale)}")
        else:
            parts.append(f"{word} at {_span(e.start_s, e.end_s, scale)}")
    return ", ".join(parts)


# --- curves -----------------------------------------------------------------------------------------------------------------------


def decimate(times: _Values, values: _Values, points: int) -> tuple[_Values, _Values]:
    """At most `points` rows of a curve that look the same: the smallest and largest value of each bucket, and its gaps.

    times (M,), values (M, K) with rows of NaN where nobody is. Short curves come back as they are. A bucket that holds a gap
    keeps one row of NaN, so that a line drawn through the result breaks where the whole one does.
    """
    if len(times) <= points:
        return times, values
    return _Curve(times, lambda start, end: values[start:end]).thinned(points)


@dataclass(frozen=True, slots=True)
class _Curve:
    """A line per expression against time: times (M,), and `between(start, end)` gives rows of (M, K), NaN where nobody is."""

    times: _Values
    between: Callable[[int, int], _Values]

    def thinned(self, points: int) -> tuple[_Values, _Values]:
        """Times and values, at most `points` of them; see `decimate`."""
        m = len(self.times)
        if m <= points:
            return self.times, self.between(0, m)
        # A bucket gives up to four rows: a gap, two values, a gap.
        starts = np.linspace(0, m, max(1, points // 4) + 1).astype(np.int64).tolist()
        at: list[int] = []
        rows: list[_Values] = []
        for start, end in itertools.pairwise(starts):
            values = self.between(start, end)
            gap = np.isnan(values[:, 0])
            nothing = np.full(values.shape[1], np.nan)
            seen = np.flatnonzero(~gap)
            if not len(seen):
                at.append(start)
                rows.append(nothing)
                continue
            first, last = int(seen[0]), int(seen[-1])
            part = values[seen]
            low, high = part.min(axis=0), part.max(axis=0)
            rising = values[last] >= values[first]
            if first > 0:
                at.append(start)
                rows.append(nothing)
            at.append(start + first)
            rows.append(np.where(rising, low, high))
            if last > first:
                if len(seen) < last - first + 1:
                    at.append(start + first + int(gap[first:last].argmax()))
                    rows.append(nothing)
                at.append(start + last)
                rows.append(np.where(rising, high, low))
            if last < end - start - 1:
                at.append(end - 1)
                rows.append(nothing)
        return self.times[at], np.array(rows)

    def drawn(self, edges: _Values) -> tuple[_Values, _Values]:
        """Times and values that make the same picture, `edges` being the times at which its pixels begin.

        Of what falls on one pixel there remain the first, the lowest, the highest and the last value. A gap remains where it is
        as wide as a pixel: the pen would cover a narrower one.
        """
        m = len(self.times)
        if m <= 4 * len(edges):
            return self.times, self.between(0, m)
        starts = np.unique(np.r_[0, np.searchsorted(self.times, edges), m]).tolist()
        at: list[int] = []
        rows: list[_Values] = []
        for start, end in itertools.pairwise(starts):
            values = self.between(start, end)
            if end - start <= 4:
                at += range(start, end)
                rows.append(values)
                continue
            seen = np.flatnonzero(~np.isnan(values[:, 0]))
            if len(seen) < 2:  # a gap, or a dot
                one = int(seen[0]) if len(seen) else 0
                at.append(start + one)
                rows.append(values[[one]])
                continue
            part = values[seen]
            low, high = part.min(axis=0), part.max(axis=0)
            rising = part.argmin(axis=0) < part.argmax(axis=0)
            first, last = start + int(seen[0]), start + int(seen[-1])
            at += [first, first, last, last]
            rows.append(np.stack([part[0], np.where(rising, low, high), np.where(rising, high, low), part[-1]]))
        return self.times[at], np.concatenate(rows)


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """What a plot draws against time, `valence` included: M points, NaN where nobody is, so that the line breaks there.

    times     (M,) float64 seconds
    values    (M, K) float64, smoothed probabilities
    valence   (M,) float64 in [-1, 1], of the same
    thinned   whether there are fewer points than looks
    """

    times: _Values
    values: _Values
    valence: _Values
    thinned: bool


def line(timeline: Timeline, track: int | None = None, *, points: int = _PLOT_POINTS) -> Line:
    """The curves of the page's plot, at most `points` long (see `decimate`).

    track  None gives the mean over everybody from the first look to the last; else that track's, from when it is first seen until
           it is last seen

    Raises `ValueError` for a track that does not occur, and for fewer than 4 points.
    """
    if points < 4:
        raise ValueError(f"points must be 4 or more, but got {points}")
    curve = _curve(timeline, None if track is None else timeline.track(track).rows)

    def between(start: int, end: int) -> _Values:
        values = curve.between(start, end)
        return np.column_stack([values, valence(values, timeline.labels)])

    times, values = _Curve(curve.times, between).thinned(points)
    return Line(times, values[:, :-1], values[:, -1], len(times) < len(curve.times))


def _curve(timeline: Timeline, rows: NDArray[np.int64] | None = None) -> _Curve:
    """Smoothed scores: the mean over everybody, or those of the track with these face rows, from its first frame to its last."""
    if rows is None:
        return _Curve(timeline.times, lambda start, end: _mean(timeline, timeline.smoothed, start, end))
    at = timeline.frame_rows[rows]
    begin, good = int(at[0]), timeline.relied_on_in(rows)

    def between(start: int, end: int) -> _Values:
        first, last = np.searchsorted(at, [begin + start, begin + end]).tolist()
        values = np.full((end - start, len(timeline.labels)), np.nan)
        scores = timeline.smoothed[rows[first:last]]
        values[at[first:last] - (begin + start)] = np.where(good[first:last, None], scores, np.nan)
        return values

    return _Curve(timeline.times[begin : int(at[-1]) + 1], between)


# --- static plots -----------------------------------------------------------------------------------------------------------------


def png(timeline: Timeline, path: StrPath, *, names: Mapping[int, str] | None = None) -> bytes:
    """Static plot for papers, 2000 × 900 pixels: every emotion against time, mean over tracks, gaps where nobody is.

    A picture gives bars for each face instead, with their `names`. Curves are the smoothed scores. Gives back what it wrote. Raises
    `MediaError` where it cannot be written.
    """
    content = _png(timeline, 0, names)
    _save(content, path)
    return content


def png_tracks(timeline: Timeline, path: StrPath, *, most: int = 12, names: Mapping[int, str] | None = None) -> None:
    """The same as `png` with one row of axes per track, in order of appearance, at most the `most` longest. Raises `MediaError`."""
    _save(_png(timeline, most, names), path)


def _save(content: bytes, path: StrPath) -> None:
    with writing(path, "wb") as file:
        file.write(content)


def _png(timeline: Timeline, tracks: int, names: Mapping[int, str] | None) -> bytes:
    if len(timeline) == 1 and len(timeline.frame_rows):  # lines would be points
        faces = [face_name(track, names) for track in timeline.tracks[:_FACES_CHARTED].tolist()]
        return bar_chart.png(timeline.info.name, faces, timeline.labels, timeline.emotions, colours_of(timeline.labels))
    shown = figure(timeline, tracks=tracks, names=names)
    buffer = BytesIO()
    shown.savefig(buffer, format="png", dpi=200, metadata={"Software": f"mien {__version__}"})
    # A figure and its pixels refer to each other: 10 MB that would still be there while the next one is drawn.
    del shown
    gc.collect()
    return buffer.getvalue()


def _longest(timeline: Timeline, most: int) -> list[_Person]:
    """The `most` tracks with the most rows, in order of appearance."""
    ids = timeline.track_ids
    if len(ids) > most:
        found, counts = np.unique(timeline.tracks, return_counts=True)
        keep = set(found[np.argsort(-counts, kind="stable")[:most]].tolist())
        ids = [i for i in ids if i in keep]
    return [_person(timeline, i) for i in ids]


def figure(timeline: Timeline, *, tracks: int = 0, names: Mapping[int, str] | None = None) -> "Figure":
    """Every emotion against time as a figure of Matplotlib: the mean over tracks, or a row for each of the `tracks` longest."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    colours = colours_of(timeline.labels)
    people = _longest(timeline, tracks) if tracks else []
    rows = max(1, len(people))
    # To Matplotlib an hour is 30 MB; to the eye it is 2000 pixels.
    edges = np.linspace(timeline.times[0], timeline.times[-1], _PNG_WIDTH) if len(timeline) else np.zeros(0)
    drawn = Figure(figsize=(10, 4.5 if rows == 1 else 1.2 + 1.7 * rows), layout="constrained")
    FigureCanvasAgg(drawn)
    axes = drawn.subplots(rows, 1, squeeze=False, sharex=True)[:, 0]
    name = _drawable(timeline.info.name)
    drawn.suptitle(name, x=0.012, ha="left", fontsize=12, fontweight="bold", parse_math=False)
    for i, ax in enumerate(axes):
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color("#9aa0a8")
        ax.tick_params(colors="#40454d", labelsize=9)
        if people:
            ax.set_title(_drawable(face_name(people[i].id, names)), loc="left", fontsize=9, color="#40454d", parse_math=False)
        curve = _curve(timeline, people[i].rows if people else None)
        _draw_curves(ax, *curve.drawn(edges), timeline, colours)
    clock = len(timeline) > 0 and float(timeline.times[-1]) >= 120
    axes[-1].set_xlabel("time (min:s)" if clock else "time (s)", fontsize=9, color="#40454d")
    handles, labels = axes[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper right", ncols=len(labels), frameon=False, fontsize=8.5, handlelength=1.4)
    return drawn


def _draw_curves(ax: "Axes", times: _Values, values: _Values, timeline: Timeline, colours: Sequence[str]) -> None:
    for k, name in enumerate(timeline.labels):
        line = values[:, k]
        # Agg holds every pixel on the outline of a path: 24 bytes for each that a line climbs, 200 MB where an hour's lines jump
        # up and down. So a restless line is drawn in pieces, each from the point where the last one ends.
        climbed = np.abs(np.diff(np.nan_to_num(line), prepend=0)).cumsum()
        cuts = np.flatnonzero(np.diff(climbed // _PIECE)).tolist()
        for first, last in itertools.pairwise([0, *cuts, len(line)]):
            part = slice(first, last + 1)
            label = None if first else _drawable(name)
            ax.plot(times[part], line[part], color=colours[k], linewidth=1.5, label=label, solid_joinstyle="round")
        seen = ~np.isnan(line)
        beside = np.pad(seen, 1)
        alone = seen & ~beside[:-2] & ~beside[2:]  # a point between two gaps has no line
        ax.plot(times[alone], line[alone], color=colours[k], marker="o", markersize=2.5, linestyle="none")
    ax.set_ylim(0, 1)
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100%"])
    ax.grid(axis="y", color="#dfe2e6", linewidth=0.7)
    ax.set_axisbelow(True)
    start, end = (float(timeline.times[0]), float(timeline.times[-1])) if len(timeline) else (0.0, 1.0)
    ax.set_xlim(start, end if end > start else start + 1)
    if end >= 120:
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        ax.xaxis.set_major_locator(MaxNLocator(9, steps=[1, 1.5, 3, 6, 10]))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _clock(x, 120)))
    if not len(timeline.frame_rows):
        ax.text(0.5, 0.5, "No face was found", transform=ax.transAxes, ha="center", va="center", fontsize=13, color="#6b7078")


@functools.cache
def _glyphs() -> frozenset[int]:
    from matplotlib import font_manager

    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return frozenset(font.get_charmap())


def _drawable(text: str) -> str:
    """`text` without what Matplotlib's own font cannot draw, which would be a warning per glyph."""
    return "".join(c if ord(c) in _glyphs() and c.isprintable() else "?" for c in text)


def colours(labels: Sequence[str]) -> dict[str, dict[str, str]]:
    """For each label the colour that it has everywhere, on a light and on a dark page: {"happiness": {"light": "#e6a700", …}}."""
    return {name: {"light": colour, "dark": _lighter(colour)} for name, colour in zip(labels, colours_of(labels), strict=True)}


# --- stills -----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Still:
    """A face cut out of a frame: JPEG bytes of `width` × `height` pixels, its time, and its score."""

    time_s: float
    jpeg: bytes
    width: int
    height: int
    score: float


@dataclass(slots=True)
class _Run:
    """A track's leading expression while it lasts: `still` is the best so far, `seen_s` the last time that the face was seen."""

    column: int
    seen_s: float
    still: Still | None = None


class Stills:
    """Keeps the pictures of a report while FrameResults stream by, so that nothing is decoded twice.

    Kept are one poster frame (the frame itself), one portrait per track, and one still per stretch in which an expression leads: a
    new one replaces the last when the score has risen by 0.05, so the one kept lies within that of the peak. Faces are cut and
    encoded only then, about 112 pixels high, and over a long film at most once in three face rows, so that `add` costs well
    under 0.3 ms on average. Never more than `limit` stills and `limit` // 2 portraits are held (400 and 200: some 3 MB); beyond
    that, the weakest still of whichever track and expression has most goes, and the portrait of the track seen least.

    height  pixels of a still; quality  of its JPEG, 1 to 100; limit  largest number of stills
    """

    def __init__(self, *, height: int = 112, quality: int = 80, limit: int = 400) -> None:
        if height < 8 or limit < 2 or not 1 <= quality <= 100:
            raise ValueError(f"wanted height >= 8, limit >= 2, quality 1 to 100, but got {height}, {limit} and {quality}")
        self._height, self._quality, self._limit = height, quality, limit
        self._moments: dict[tuple[int, str], list[Still]] = {}
        self._count = 0
        self._portraits: dict[int, Still] = {}
        self._rows: dict[int, int] = {}
        self._finest: dict[int, float] = {}  # of tracks whose portrait had to go, too: it must not be cut again in every frame
        self._runs: dict[int, _Run] = {}
        self._poster: FrameResult | None = None
        self._poster_score = -1.0
        self._budget = 40.0

    def __len__(self) -> int:
        """How many stills and portraits are held."""
        return self._count + len(self._portraits)

    def add(self, result: FrameResult) -> None:
        """Looks at one frame. Frames come in order of time."""
        n = len(result)
        if not n:
            # Films often open in black: the first frame with something in it serves where nobody ever appears.
            if self._poster is None or (self._poster_score < 0 and result.frame.rgb[::16, ::16].std() > 12):
                self._poster = result
                self._poster_score = 0.0 if result.frame.rgb[::16, ::16].std() > 12 else -0.5
            return
        boxes, sure = result.faces.boxes, result.faces.scores
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        columns = result.smoothed.argmax(axis=1)
        good = result.relied_on
        leads = result.smoothed[np.arange(n), columns] * np.where(good, 1, 0.25)
        height, width = result.frame.rgb.shape[:2]
        # Many faces, large and clearly read.
        score = float((sure * leads * (0.2 + np.sqrt(np.maximum(area, 0) / (height * width)))).sum())
        if score > self._poster_score:
            self._poster, self._poster_score = result, score
        self._budget = min(self._budget + n / 3, 40.0)
        if len(self._runs) > self._limit:  # people who have left
            self._runs = {t: run for t, run in self._runs.items() if result.time_s - run.seen_s <= 1.0}
        quality = sure * leads * np.minimum(1.0, (boxes[:, 3] - boxes[:, 1]) / self._height)
        for i in np.flatnonzero(good).tolist():
            self._face(result, i, int(result.tracks[i]), int(columns[i]), float(quality[i]))

    def _face(self, result: FrameResult, i: int, track: int, column: int, quality: float) -> None:
        self._rows[track] = self._rows.get(track, 0) + 1
        scores = result.smoothed[i]
        run = self._runs.get(track)
        if run is not None:
            over = column != run.column and (scores[column] >= 0.5 or scores[run.column] < 0.35)
            if over or result.time_s - run.seen_s > 1.0:
                run = None
        if run is None:
            run = self._runs[track] = _Run(column, result.time_s)
        run.seen_s = result.time_s
        score = float(scores[run.column])
        best = run.still.score if run.still is not None else 0.3
        rises = score >= best + 0.05
        new = track not in self._finest
        finer = new or quality > self._finest[track] * 1.2
        if not (rises or finer) or (self._budget < 1 and not new):
            return
        still = self._cut(result, i, score)
        self._budget -= 1
        if finer:
            self._finest[track] = quality
        if still is None:
            return
        if rises:
            self._keep((track, result.labels[run.column]), run.still, still)
            run.still = still
        if finer:
            self._portraits[track] = replace(still, score=quality)
            if len(self._portraits) > self._limit // 2:
                others = (t for t in self._portraits if t != track)
                del self._portraits[min(others, key=lambda t: self._rows[t])]

    def _keep(self, key: tuple[int, str], old: Still | None, new: Still) -> None:
        kept = self._moments.setdefault(key, [])
        if old is not None and kept and kept[-1] is old:
            kept[-1] = new
            return
        kept.append(new)
        self._count += 1
        if self._count > self._limit:
            fullest = max(self._moments, key=lambda k: len(self._moments[k]))
            weakest = min((s for s in self._moments[fullest] if s is not new), key=lambda s: s.score, default=None)
            if weakest is None:  # one still per track and expression already: the oldest of all goes
                fullest = next(k for k in self._moments if k != key)
                weakest = self._moments[fullest][0]
            self._moments[fullest] = [s for s in self._moments[fullest] if s is not weakest]
            if not self._moments[fullest]:
                del self._moments[fullest]
            self._count -= 1

    def _cut(self, result: FrameResult, i: int, score: float) -> Still | None:
        """The face with some room around it, as JPEG; None where the box lies outside the picture."""
        import cv2

        rgb = result.frame.rgb
        x1, y1, x2, y2 = (float(v) for v in result.faces.boxes[i])
        side = max(x2 - x1, y2 - y1) * 1.3
        if not math.isfinite(side):
            return None
        cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
        left, top = max(round(cx - side / 2), 0), max(round(cy - side / 2), 0)
        face = rgb[top : max(round(cy + side / 2), 0), left : max(round(cx + side / 2), 0)]
        if min(face.shape[:2]) < 2:
            return None
        step = min(face.shape[0] // (2 * self._height), face.shape[1] // (2 * self._height))
        if step > 1:
            face = face[::step, ::step]  # a face of a 4K film: what is left still has two pixels for one
        scale = self._height / face.shape[0]
        size = (max(1, min(round(face.shape[1] * scale), 2 * self._height)), self._height)
        small = cv2.resize(face, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        _, jpeg = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self._quality])
        return Still(result.time_s, jpeg.tobytes(), *size, score)

    @property
    def poster(self) -> FrameResult | None:
        """The frame that shows most: many faces, large and clearly read. None before the first frame."""
        return self._poster

    def of_track(self, track: int) -> Still | None:
        """The best still of a track, large and clearly read; None where none is held."""
        return self._portraits.get(track)

    def of_episode(self, episode: Episode) -> Still | None:
        """The still of the same track and expression within the episode with the highest score; None where none is held."""
        kept = self._moments.get((episode.track, episode.expression), [])
        inside = [s for s in kept if episode.start_s - 1e-6 <= s.time_s <= episode.end_s + 1e-6]
        return max(inside, key=lambda s: s.score, default=None)

    def take(self, other: "Stills", who: Mapping[tuple[int, float], int]) -> None:
        """Adds what another one kept of a later part of the same film; `who` are the tracks here of its tracks at each time."""
        for (track, expression), stills in other._moments.items():
            for still in stills:
                self._keep((who.get((track, still.time_s), track), expression), None, still)
        for track, rows in other._rows.items():
            portrait = other._portraits.get(track)
            if portrait is None or (own := who.get((track, portrait.time_s))) is None:
                continue
            self._rows[own] = self._rows.get(own, 0) + rows
            if own not in self._portraits or portrait.score > self._portraits[own].score:
                self._portraits[own] = portrait
            if len(self._portraits) > self._limit // 2:
                del self._portraits[min((t for t in self._portraits if t != own), key=lambda t: self._rows[t])]
        if (poster := other._poster) is not None and (self._poster is None or other._poster_score > self._poster_score):
            ids = [who.get((track, poster.time_s), track) for track in poster.tracks.tolist()]
            self._poster, self._poster_score = replace(poster, tracks=np.array(ids, np.int64)), other._poster_score

    def edited(self, into: Mapping[int, int], without: Collection[int] = ()) -> "Stills":
        """The same after tracks were merged (see `Timeline.merged`: `into` says as what each counts) and others left out."""
        other = Stills(height=self._height, quality=self._quality, limit=self._limit)
        gone = set(without)
        for (track, expression), stills in self._moments.items():
            if (now := into.get(track, track)) not in gone:
                together = [*other._moments.get((now, expression), []), *stills]
                other._moments[now, expression] = sorted(together, key=lambda s: s.time_s)
                other._count += len(stills)
        for track, still in self._portraits.items():
            best = other._portraits.get(now := into.get(track, track))
            if now not in gone and (best is None or still.score > best.score):
                other._portraits[now] = still
        if (poster := self._poster) is not None:
            tracks = np.array([into.get(t, t) for t in poster.tracks.tolist()], np.int64)
            keep = np.array([t not in gone for t in tracks.tolist()], bool)
            columns: dict[str, Any] = {name: getattr(poster, name)[keep] for name in ("faces", *_SCORES)}
            other._poster = replace(poster, tracks=tracks[keep], **columns)
        return other

    def save(self, folder: StrPath) -> None:
        """Keeps what is held in a folder that is made: for each portrait `<track>.jpg`; poster.jpg; stills.json holds the rest.

        `load` has it all again, but for the poster, which is a JPEG then. Raises `MediaError` where it cannot be written.
        """
        place = Path(fspath(folder))
        facts: dict[str, Any] = {"format": _STILLS_FORMAT, "poster": None}
        facts["portraits"] = {track: _still_facts(still) for track, still in self._portraits.items()}
        facts["moments"] = [
            {"track": track, "expression": expression, **_still_facts(still), "jpeg": base64.b64encode(still.jpeg).decode()}
            for (track, expression), stills in self._moments.items()
            for still in stills
        ]
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MediaError(f"{place.name}: cannot be made: {error.strerror or error}") from error
        for track, still in self._portraits.items():
            _save(still.jpeg, place / f"{track}.jpg")
        if (poster := self._poster) is not None:
            import cv2

            _, jpeg = cv2.imencode(".jpg", np.ascontiguousarray(poster.frame.rgb[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 92])
            _save(jpeg.tobytes(), place / "poster.jpg")
            arrays: dict[str, NDArray[Any]] = {"boxes": poster.faces.boxes, "scores": poster.faces.scores, "tracks": poster.tracks}
            arrays |= {"landmarks": poster.faces.landmarks} | {name: getattr(poster, name) for name in _SCORES}
            facts["poster"] = {"index": poster.frame.index, "time_s": poster.time_s, "labels": poster.labels}
            facts["poster"] |= {"min_reliability": poster.min_reliability}
            facts["poster"] |= {name: array.tolist() for name, array in arrays.items()}
        with writing(place / "stills.json") as file:
            file.write(json.dumps(facts))

    @classmethod
    def load(cls, folder: StrPath) -> "Stills":
        """What `save` kept. Raises `MediaError` where it is missing, damaged or something else."""
        place, stills = Path(fspath(folder)), cls()
        try:
            facts = json.loads((place / "stills.json").read_text(encoding="utf-8"))
            if facts["format"] != _STILLS_FORMAT:
                raise ValueError(f"its format is {facts['format']!r}")
            for track, still in facts["portraits"].items():
                stills._portraits[int(track)] = Still(jpeg=(place / f"{track}.jpg").read_bytes(), **still)
            for moment in facts["moments"]:
                key = (int(moment.pop("track")), str(moment.pop("expression")))
                still = Still(**moment | {"jpeg": base64.b64decode(moment["jpeg"])})
                stills._moments.setdefault(key, []).append(still)
                stills._count += 1
            if (kept := facts["poster"]) is not None:
                import cv2

                bgr = cv2.imdecode(np.frombuffer((place / "poster.jpg").read_bytes(), np.uint8), cv2.IMREAD_COLOR)
                if bgr is None:
                    raise ValueError("poster.jpg is no picture")
                n, k = len(kept["tracks"]), len(kept["labels"])
                shapes: dict[str, tuple[int, ...]] = {"boxes": (n, 4), "scores": (n,), "landmarks": (n, 5, 2)}
                shapes |= {"emotions": (n, k), "smoothed": (n, k)}
                if "flags" in kept:  # older ones do not say how far a reading can be relied on
                    shapes |= {"reliability": (n,), "flags": (n,)}
                held: dict[str, Any] = {name: np.array(kept[name], np.float32).reshape(shape) for name, shape in shapes.items()}
                faces = Faces(held.pop("boxes"), held.pop("scores"), held.pop("landmarks"))
                frame = Frame(kept["index"], kept["time_s"], np.ascontiguousarray(bgr[..., ::-1]).astype(np.uint8, copy=False))
                tracks = np.array(kept["tracks"], np.int64)
                least = float(kept.get("min_reliability", MIN_RELIABILITY))
                stills._poster = FrameResult(frame, faces, tracks, tuple(kept["labels"]), min_reliability=least, **held)
        except OSError as error:
            raise MediaError(f"{place.name}: cannot be read: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MediaError(f"{place.name}: does not hold stills as mien keeps them ({error}); analyse the media again") from error
        return stills


def _still_facts(still: Still) -> dict[str, Any]:
    return {"time_s": still.time_s, "width": still.width, "height": still.height, "score": still.score}


# --- the page ---------------------------------------------------------------------------------------------------------------------


def html(
    timeline: Timeline,
    path: StrPath,
    *,
    episodes: Sequence[Episode] | None = None,
    stills: Stills | None = None,
    summary: Mapping[str, Any] | None = None,
    annotated: NDArray[np.uint8] | StrPath | None = None,
    names: Mapping[int, str] | None = None,
    plot: bytes | None = None,
) -> None:
    """One self-contained page that opens offline, on any screen and on paper; about 2 MB, most of it Plotly's script.

    episodes   as `find_episodes` gives them; found here where None
    stills     pictures that a `Stills` collected on the way; without it the page has none
    summary    as the function of that name gives it, for its `speed`
    annotated  (H, W, 3) uint8 RGB: the annotated picture, shown at the top; or the path of an annotated film or picture that lies
               beside the page, which is linked by its name
    names      of tracks, where they have some; the others are "Face 1" and so on
    plot       what `png` gave back, for paper and where no script runs; drawn here where None

    Long films are thinned out for the plot (see `decimate`), which the page says. Every text from outside is escaped.
    Raises `MediaError` where the file cannot be written.
    """
    page = _Page(timeline, episodes, stills, summary or {}, annotated, names, plot).render()
    with writing(path) as file:
        file.writelines(page)


class _Page:
    """The parts of report.html, each as markup in which every text from outside is escaped."""

    def __init__(
        self,
        timeline: Timeline,
        episodes: Sequence[Episode] | None,
        stills: Stills | None,
        facts: Mapping[str, Any],
        annotated: NDArray[np.uint8] | StrPath | None,
        names: Mapping[int, str] | None,
        plot: bytes | None,
    ) -> None:
        if episodes is None:
            from mien.episodes import find_episodes

            episodes = find_episodes(timeline)
        self.timeline, self.episodes, self.stills, self.facts, self.annotated = timeline, episodes, stills, facts, annotated
        self.names, self.plot = names, plot
        self.labels = timeline.labels
        self.index = {name: k for k, name in enumerate(timeline.labels)}
        tracks = len(timeline.track_ids)
        self.alone = tracks == 1
        self.people = _longest(timeline, _TRACKS_SHOWN)
        self.hidden = tracks - len(self.people)
        self.shown_ids = {person.id for person in self.people}
        self.picture = len(timeline) < 2
        self.somebody = len(timeline.frame_rows) > 0
        self.start = float(timeline.times[0]) if len(timeline) else 0.0
        self.end = float(timeline.times[-1]) if len(timeline) else 0.0
        self.thinned = False
        self.curves = ""

    def render(self) -> list[str]:
        """The page in pieces, to be written one after the other; joined they would be held twice, at two bytes a character."""
        template, plot = (resources.files("mien") / "report.html").read_text(encoding="utf-8").split("<!--plot-->\n")
        curves = self.somebody and not self.picture
        script = page_file.script(page_file.STATIC / "analysis_report.js") if curves else ""
        if self.picture:
            sections = [self._picture()] if self.somebody else []
        elif self.somebody:
            sections = [self._time(), self._shares(), self._moments(), self._faces()]
        else:
            sections = []
        facts = self._facts()
        light = colours_of(self.labels)
        return page_file.fill(
            template,
            policy=page_file.policy(*([script, page_file.plotly_script()] if curves else [])),
            version=__version__,
            title=f"{markup.escape(self.timeline.info.name)} · apparent expressions",
            colours_light=" ".join(f"--e{k}: {c};" for k, c in enumerate(light)),
            colours_dark=" ".join(f"--e{k}: {_lighter(c)};" for k, c in enumerate(light)),
            colour_classes=" ".join(f".e{k} {{ --c: var(--e{k}); }}" for k in range(len(light))),
            body=[piece for part in (self._top(), facts, *sections, self._made()) for piece in (part, "\n")] + [self._care()],
            facts_count=str(facts.count("<dt>")),
            footer=f"Made by mien {__version__} on the machine that ran it; this page loads nothing from anywhere."
            + (" The plot is drawn by Plotly.js (MIT licence)." if curves else ""),
            plot=page_file.fill(plot, curves=self.curves, plotly=page_file.packed_plotly(), script=script) if curves else [],
        )

    def _name(self, track: int) -> str:
        """What a face is called, as markup."""
        return markup.escape(face_name(track, self.names))

    # The parts in the order of the page.

    def _top(self) -> str:
        poster = self._poster()
        damage = self.timeline.settings.get("damage")
        broken = f'<p class="small damage"><b>Not the whole film:</b> {markup.escape(str(damage))}</p>' if damage else ""
        name = markup.escape(self.timeline.info.name)
        return (
            f'<header class="top{" with-poster" if poster else ""}"><div><p class="file">{name}</p>'
            f"<h1>{_unbroken(markup.escape(headline(self.timeline, self.episodes, names=self.names)))}</h1>"
            f'<p class="caveat small">{CAVEAT} <a class="screen" href="#care">How to read this page</a></p>'
            f"{broken}</div>{poster}</header>"
        )

    def _poster(self) -> str:
        import cv2

        from mien.draw import annotate

        caption, rgb = "", None
        link = ""
        if isinstance(self.annotated, np.ndarray):
            rgb = self.annotated
        elif self.annotated is not None:
            name = Path(fspath(self.annotated)).name
            kind = "Annotated picture" if self.picture else "Annotated film"
            link = f'<a href="{markup.escape(_href(name))}">{kind}: {markup.escape(name)}</a>'
        if rgb is None and self.stills is not None and self.stills.poster is not None:
            rgb = annotate(self.stills.poster, bars=False)  # the page has them as text
            caption = "" if self.picture else f"The film at {_clock(self.stills.poster.time_s, self.end)}"
        if rgb is None:
            return f'<p class="small">{link}</p>' if link else ""
        height, width = rgb.shape[:2]
        scale = min(1.0, 1280 / max(height, width))
        if scale < 1:
            rgb = cv2.resize(rgb, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA)
        _, jpeg = cv2.imencode(".jpg", np.ascontiguousarray(rgb[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 86])
        text = " · ".join(part for part in (caption, link) if part)
        figcaption = f"<figcaption>{text}</figcaption>" if text else ""
        alt = "The picture with each face marked" if self.picture else "A frame of the film with each face marked"
        return (
            f'<figure class="poster"><img src="{_data(jpeg.tobytes(), "jpeg")}" width="{rgb.shape[1]}" height="{rgb.shape[0]}" '
            f'alt="{alt}" style="height:auto">{figcaption}</figure>'
        )

    def _facts(self) -> str:
        timeline = self.timeline
        info = timeline.info
        pairs = []
        if self.picture:
            pairs += [("Picture", f"{info.width} × {info.height}"), ("Faces", str(len(timeline.frame_rows)))]
        else:
            seen_s, looked_s = _seen(timeline)
            most = int(timeline.faces_per_frame.max(initial=0))
            pairs += [("Length", _duration(looked_s)), ("Frames looked at", f"{len(timeline):,}".replace(",", " "))]
            pairs += [("Most faces at once", str(most))]
            if self.somebody:
                pairs += [("A face in view", _percent(seen_s / looked_s))]
                if self.timeline.coverage <= _AS_GOOD_AS_ALL:
                    pairs += [("Of that, can be read", _percent(self.timeline.coverage))]
        if self.somebody and not _is_too_little(timeline):
            name, share = max(timeline.shares().items(), key=lambda item: item[1])
            pairs.append(("Leads most often", _appears(name) if self.picture else f"{_appears(name)}, {_percent(share)}"))
        return '<dl class="facts">' + "".join(f"<div><dt>{k}</dt><dd>{markup.escape(v)}</dd></div>" for k, v in pairs) + "</dl>"

    def _time(self) -> str:
        chips = "".join(
            f'<button type="button" class="chip e{k}" aria-pressed="true"><i></i>{markup.escape(name)}<output></output></button>'
            for k, name in enumerate(self.labels)
        )
        whole = self._name(self.people[0].id) if self.alone else "Everybody (mean)"
        options = f'<option value="all">{whole}</option>'
        if not self.alone:
            options += "".join(f'<option value="{person.id}">{self._name(person.id)}</option>' for person in self.people)
        alone = " hidden" if self.alone else ""
        plot = _data(self.plot or _png(self.timeline, 0, self.names), "png")
        self.curves = self._series()
        thinned = (
            " This is a long film, so the lines are thinned out: each span of time shows its lowest and highest value; "
            "faces.csv has every look."
            if self.thinned
            else ""
        )
        smoothed = " The lines are smoothed in time." if not np.array_equal(self.timeline.smoothed, self.timeline.emotions) else ""
        # "Face 12" fits beside its ribbon, before the plot's left edge; a name stands above it.
        above = ' style="grid-column:2;overflow:hidden;text-overflow:ellipsis"' if self.names else ""
        rows = "".join(
            f'<button type="button" class="name soft live"{above} data-curve="{self._curve_of(p.id)}">{self._name(p.id)}</button>'
            f'<span class="name paper"{above}>{self._name(p.id)}</span>{self._ribbon(p)}'
            for p in self.people
        )
        hidden = (
            f'<p class="soft small">{self.hidden} shorter appearances are not drawn; faces.csv has them.</p>' if self.hidden else ""
        )
        return f"""<section id="time"><h2>Through time</h2>
<p class="soft">How probable each expression is, from 0 to 100%. A line breaks where no face can be read.{smoothed}{thinned}</p>
<div class="live"><div class="bar-tools"><label class="small soft" for="whose"{alone}>Show</label>
<select id="whose" autocomplete="off"{alone}>{options}</select>
<button type="button" id="whole" class="chip" hidden>Whole film</button>
<span class="when" id="when" role="status"></span></div>
<div class="chips" role="group" aria-label="Expressions shown">{chips}</div>
<div class="plot" id="plot" role="img"
 aria-label="Probability of each expression against time; the same values are in timeline.csv"></div></div>
<img class="plot-static" src="{plot}" width="2000" height="900" style="height:auto"
 alt="Probability of each expression against time, mean over all faces">
<h3 class="ribbon-title small soft">Leading expression</h3>
<div class="ribbons">{rows}
<div class="scale"><span>{_clock(self.start, self.end)}</span><span>{_clock(self.end, self.end)}</span></div></div>
{hidden}<p class="soft small live screen"><span class="fine-only">Drag across the plot to zoom, double-click to see all.</span>
 Click an expression to hide it, double-click to see it alone.</p></section>"""

    def _ribbon(self, person: _Person) -> str:
        # In units of seconds, so that the script zooms it together with the plot by the viewBox alone.
        rects = "".join(
            f'<rect class="e{k}" x="{a:.3f}" y="0" width="{b - a:.3f}" height="1"><title>{_span(a, b, self.end)}: '
            f"{markup.escape(_appears(self.labels[k]))}</title></rect>"
            for a, b, k in ribbon(self.timeline, person)
        )
        width = max(self.end - self.start, 1e-3)
        name = self._name(person.id) if (self.names or {}).get(person.id) else f"face {person.id}"
        below = ' style="grid-column:2"' if self.names else ""
        return (
            f'<svg class="ribbon"{below} viewBox="{self.start:.3f} 0 {width:.3f} 1" preserveAspectRatio="none" role="img" '
            f'aria-label="Leading expression of {name} through time">{rects}</svg>'
        )

    def _curve_of(self, track: int) -> str:
        """The key of a track's curve; where there is one track, the mean is it."""
        return "all" if self.alone else str(track)

    def _series(self) -> str:
        """The curves as JSON: t in whole milliseconds, y in thousandths, null in gaps."""
        timeline = self.timeline
        points = max(200, min(_PLOT_POINTS, _PLOT_BUDGET // (len(self.people) + 1)))
        curves = [self._line("all", _curve(timeline), _PLOT_POINTS)]
        if not self.alone:
            curves += [self._line(str(person.id), _curve(timeline, person.rows), points) for person in self.people]
        step = float(np.median(np.diff(timeline.times)))
        facts = {
            "labels": list(self.labels),
            "clock": self.end >= 120,
            "decimals": 1 if step >= 0.1 else 2,
            "start": self.start,
            "end": self.end,
        }
        # "</script>" in a label must not end the element.
        head = json.dumps(facts, separators=(",", ":")).replace("<", "\\u003c")
        return f'{head[:-1]},"curves":{{{",".join(curves)}}}}}'

    def _line(self, key: str, curve: _Curve, points: int) -> str:
        """One member of the object of curves. Text at once: as Python's numbers, the points of thirty people are 20 MB."""
        times, values = curve.thinned(points)
        self.thinned |= len(times) < len(curve.times)
        whole = np.where(np.isnan(values), -1, np.rint(values * 1000)).astype(int)
        columns = [[None if v < 0 else v for v in column] for column in whole.T.tolist()]
        line = {"t": np.rint(times * 1000).astype(int).tolist(), "y": columns}
        return f'"{key}":{json.dumps(line, separators=(",", ":"))}'

    def _bars(self, shares: Mapping[str, float]) -> str:
        order = sorted(shares.items(), key=lambda item: -item[1])
        rows = "".join(
            f'<span>{markup.escape(name)}</span><span class="track e{self.index[name]}{"" if share else " none"}">'
            f'<span style="width:{share * 100:.2f}%"></span></span><span class="num">{_percent(share)}</span>'
            for name, share in order
        )
        return f'<div class="shares">{rows}</div>'

    def _shares(self) -> str:
        if self.somebody and _is_too_little(self.timeline):
            return ""
        return f"""<section><h2>Share of the time</h2>
<p class="soft">How often each expression is the most probable one, over every look at a face that can be read.</p>
{self._bars(self.timeline.shares())}</section>"""

    def _moments(self) -> str:
        told = [e for e in self.episodes if e.track in self.shown_ids]
        if not told:
            return '<section><h2>Moments</h2><p class="soft">No expression was clear for long enough to count.</p></section>'
        groups = [(p, [e for e in told if e.track == p.id]) for p in self.people]
        groups = [(p, own) for p, own in groups if own]
        each = max(3, min(15, _EPISODES_SHOWN // len(groups)))
        parts = []
        for person, own in groups:
            clear = sorted(own, key=lambda e: -e.peak * math.sqrt(max(e.duration_s, 0.1)))[:each]
            cards = "".join(self._moment(e) for e in sorted(clear, key=lambda e: e.start_s))
            more = len(own) - len(clear)
            note = f'<span class="soft small">the {len(clear)} clearest of {len(own)}; episodes.csv has all</span>' if more else ""
            parts.append(f'<div class="who"><h3>{self._name(person.id)}</h3>{note}</div><ul class="moments">{cards}</ul>')
        return f"""<section><h2>Moments</h2>
<p class="soft">Where one expression held. The picture is from near its clearest point.</p>{"".join(parts)}</section>"""

    def _moment(self, e: Episode) -> str:
        still = self.stills.of_episode(e) if self.stills is not None else None
        word = _appears(e.expression)
        picture = ""
        if still is not None:
            alt = f"{self._name(e.track)} at {_clock(still.time_s, self.end)}"
            picture = f'<div class="pic"><img src="{_data(still.jpeg, "jpeg")}" alt="{alt}" loading="lazy"></div>'
        curve = self._curve_of(e.track)
        when = (
            f"from {_clock(e.start_s, self.end)} to {_clock(e.end_s, self.end)}"
            if e.end_s > e.start_s
            else f"at {_clock(e.start_s, self.end)}"
        )
        return (
            f'<li class="moment e{self.index.get(e.expression, 0)}">'
            f'<a href="#time" data-curve="{curve}" data-from="{e.start_s:.3f}" data-to="{e.end_s:.3f}">{picture}'
            f'<div class="text"><b>{markup.escape(word)}</b><br>{when}<br>'
            f'<span class="soft">up to {e.peak:.0%} at {_clock(e.peak_time_s, self.end)}</span></div></a></li>'
        )

    def _faces(self) -> str:
        rows = []
        pictures = self.stills is not None
        for person in self.people:
            shares = person.shares
            said = "<td>Cannot be read</td>"
            if name := person.expression and max(shares, key=lambda n: shares[n]):
                said = f'<td class="e{self.index[name]}"><span class="dot"></span>{markup.escape(_appears(name))}, '
                said += f"{_percent(shares[name])}</td>"
            stack = "".join(
                f'<span class="e{k}" style="width:{shares[n] * 100:.2f}%" title="{markup.escape(n)} {_percent(shares[n])}"></span>'
                for k, n in enumerate(self.labels)
                if shares[n]
            )
            still = self.stills.of_track(person.id) if self.stills is not None else None
            image = f'<img src="{_data(still.jpeg, "jpeg")}" alt="" loading="lazy">' if still else '<div class="blank"></div>'
            rows.append(
                f"<tr>{f'<td>{image}</td>' if pictures else ''}<td>{self._name(person.id)}</td>"
                f'<td class="num">{_span(person.start_s, person.end_s, self.end)}</td>'
                f'<td class="num wide-only">{len(person)}</td>'
                f'{said}<td class="wide-only"><div class="stack">{stack}</div></td></tr>'
            )
        hidden = f" {self.hidden} shorter appearances are left out here." if self.hidden else ""
        return f"""<section><h2>Faces</h2>
<p class="soft">A face that leaves and comes back later may be given a new number.{hidden}</p>
<div class="scroll"><table class="faces"><thead><tr>{"<th></th>" if pictures else ""}<th>Face</th><th class="num">In view</th>
<th class="num wide-only">Looks</th><th>Appears most often</th><th class="wide-only">All expressions</th></tr></thead>
<tbody>{"".join(rows)}</tbody></table></div></section>"""

    def _picture(self) -> str:
        timeline, good = self.timeline, self.timeline.relied_on
        people = []
        for row in np.argsort(-timeline.face_scores, kind="stable")[: 4 * _TRACKS_SHOWN].tolist():
            track = int(timeline.tracks[row])
            scores = dict(zip(self.labels, timeline.emotions[row].tolist(), strict=True))
            said = f"appears {_appears(max(scores, key=lambda n: scores[n]))}" if good[row] else "cannot be read"
            still = self.stills.of_track(track) if self.stills is not None else None
            image = f'<img src="{_data(still.jpeg, "jpeg")}" alt="">' if still else ""
            people.append((track, f'<div><div class="person">{image}<h3>{self._name(track)}<br><span class="soft small">'
                f"{markup.escape(said)}</span></h3></div>{self._bars(scores)}</div>"))  # fmt: skip
        cells = "".join(text for _, text in sorted(people, key=lambda item: item[0]))
        return f"""<section><h2>How each face appears</h2>
<p class="soft">How probable each expression is, from 0 to 100%.</p><div class="pictures">{cells}</div></section>"""

    def _made(self) -> str:
        settings = {k: v for k, v in self.timeline.settings.items() if k not in ("models", "mien", "damage", *ORIGIN)}
        pairs = []
        every = settings.pop("every_s", settings.pop("every", None))
        if not self.picture:
            pairs.append(("Looked at", f"one frame every {_plain(every)} s" if every else "every frame"))
        moments = settings.get("episodes")
        if isinstance(moments, Mapping) and {"enter", "leave", "min_s"} <= moments.keys():
            del settings["episodes"]
            if not self.picture:
                text = (
                    f"begin at {moments['enter']:.0%}, end under {moments['leave']:.0%}, last {_plain(moments['min_s'])} s or more"
                )
                pairs.append(("Moments", text))
        speed = self.facts.get("speed")
        if isinstance(speed, Mapping):
            settings["speed"] = ", ".join(f"{_plain(v)} {str(k).replace('_', ' ')}" for k, v in speed.items())
        elif speed is not None:
            settings["speed"] = speed
        pairs += [_setting(k, v) for k, v in settings.items()]
        info = self.timeline.info
        media = f"{info.width} × {info.height}, {info.codec}" if info.codec else f"{info.width} × {info.height}"
        pairs.insert(0, ("Source", media + (f", {info.fps:.5g} frames per second" if info.fps else "")))
        if info.notes:
            pairs.insert(1, ("Read otherwise", "; ".join(info.notes)))
        made = "".join(f"<dt>{markup.escape(k)}</dt><dd>{markup.escape(v)}</dd>" for k, v in pairs)
        models = "".join(self._model(model) for model in _models(self.timeline))
        return f"""<section><h2>How it was made</h2><div class="two"><div><h3>Settings</h3><dl class="pairs">{made}</dl></div>
<div>{models or '<h3>Models</h3><p class="soft small">Not recorded.</p>'}</div></div></section>"""

    def _model(self, model: Mapping[str, Any]) -> str:
        told = {"role", "name", "version", "sha256", "card", "evaluation", "licence", "licences", "recipe"}
        name = " ".join(str(model[k]) for k in ("name", "version") if model.get(k))
        pairs: list[tuple[str, str]] = []
        licence = model.get("licence") or model.get("licences")
        if licence:
            pairs.append(("Licence", markup.escape(_plain(licence))))
        if model.get("sha256"):
            full = markup.escape(str(model["sha256"]))
            pairs.append(("Checksum", f'<code title="{full}">{full[:12]}</code> (SHA-256)'))
        for key, value in model.items():
            if key not in told:
                what, text = _setting(key, value)
                pairs.append((markup.escape(what), markup.escape(text)))
        rows = "".join(f"<dt>{k}</dt><dd>{v}</dd>" for k, v in pairs)
        figures = _evaluation(model.get("evaluation"))
        # What the model was chosen on flatters it; where there is a part that was kept back, that is the one to quote.
        figures = [row for row in figures if "PrivateTest" in row[0]] or figures
        table = ""
        if figures:
            lines = "".join(
                f"<tr><td>{markup.escape(what)}</td>" + "".join(f'<td class="num">{markup.escape(v)}</td>' for v in row) + "</tr>"
                for what, *row in figures
            )
            table = (
                '<div class="scroll"><table><thead><tr><th>Measured on</th><th class="num">Right</th>'
                '<th class="num">95% interval</th>'
                f'<th class="num">Pictures</th></tr></thead><tbody>{lines}</tbody></table></div>'
            )
        card = model.get("card")
        details = (
            f'<details><summary>The whole model card</summary><div class="card-text">{_markdown(str(card))}</div></details>'
            if card
            else ""
        )
        role = markup.escape(str(model.get("role", "model")).replace("_", " ").capitalize())
        return f'<div class="model"><h3>{role}: {markup.escape(name)}</h3><dl class="pairs">{rows}</dl>{table}{details}</div>'

    def _care(self) -> str:
        return f"""<section id="care"><h2>Read with care</h2><div class="care" style="margin-top:12px">
<p>{CAVEAT}</p><p>People show the same feeling in different ways, and a face can be posed, polite or at rest. Programs of this kind
 are often wrong, more so for faces turned away, badly lit or covered, and for people unlike those they learned from. Compare a
 person with the same person at another time rather than with others.</p><p>{LAW}</p></div></section>"""


def _data(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _href(name: str) -> str:
    """A file name as the address of a file beside the page; the leading ./ keeps "a:b.mp4" from being read as a scheme."""
    from urllib.parse import quote

    return "./" + quote(name)


def _unbroken(text: str) -> str:
    """Numbers kept on one line with their units."""
    return re.sub(r"(\d) (s|min|h)\b", "\\1\u00a0\\2", text).replace("–", "\u2060–\u2060")


def _percent(share: float) -> str:
    return "under 1%" if 0 < share < 0.005 else "over 99%" if 0.995 <= share < 1 else f"{share:.0%}"


def _setting(key: Any, value: Any) -> tuple[str, str]:
    """("Smoothing", "0.4 s") from ("smoothing_s", 0.4)."""
    name, _, unit = str(key).rpartition("_")
    if name and unit in ("s", "px") and not isinstance(value, Mapping):
        return name.replace("_", " ").capitalize(), "off" if value is None else f"{_plain(value)} {unit}"
    return str(key).replace("_", " ").capitalize(), _plain(value)


def _plain(value: Any) -> str:
    """A setting in words."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{str(k).replace('_', ' ')} {_plain(v)}" for k, v in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_plain(v) for v in value) or "none"
    return str(value)


def _lighter(colour: str) -> str:
    """The same hue for a dark page: a third of the way to white."""
    values = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(v + (255 - v) * 0.32):02x}" for v in values)


def ribbon(timeline: Timeline, track: Track | _Person) -> list[tuple[float, float, int]]:
    """Stretches (start_s, end_s, column) in which one expression leads; of long tracks, the commonest within each of 600 slots."""
    good = timeline.relied_on_in(track.rows)
    columns = track.smoothed[good].argmax(axis=1)
    at = timeline.frame_rows[track.rows[good]]
    if not len(at):
        return []
    starts = timeline.times[at]
    ends = np.minimum(starts + _steps(timeline)[at], timeline.times[-1])
    whole = float(timeline.times[-1] - timeline.times[0])
    fresh = np.flatnonzero(np.r_[True, (np.diff(at) != 1) | (np.diff(columns) != 0)])
    if len(fresh) > _RIBBON_SLOTS and whole > 0:
        slots = np.minimum(((starts - timeline.times[0]) / whole * _RIBBON_SLOTS).astype(int), _RIBBON_SLOTS - 1)
        k = len(timeline.labels)
        weight = np.bincount(slots * k + columns, minlength=_RIBBON_SLOTS * k).reshape(-1, k)
        at = np.flatnonzero(weight.sum(axis=1))
        columns = weight[at].argmax(axis=1)
        starts = timeline.times[0] + at * whole / _RIBBON_SLOTS
        ends = starts + whole / _RIBBON_SLOTS
        fresh = np.flatnonzero(np.r_[True, (np.diff(at) != 1) | (np.diff(columns) != 0)])
    last = np.r_[fresh[1:] - 1, len(at) - 1]
    return [(float(starts[i]), float(ends[j]), int(columns[i])) for i, j in zip(fresh, last, strict=True) if ends[j] > starts[i]]


def _evaluation(evaluation: Any, name: str = "") -> list[tuple[str, str, str, str]]:
    """Rows (what, share right, interval, N) for every part of an evaluation that holds an accuracy."""
    if not isinstance(evaluation, Mapping):
        return []
    rows = []
    value = evaluation.get("accuracy")
    span = next((evaluation[k] for k in ("accuracy_interval", "accuracy_ci95", "interval", "ci95") if k in evaluation), None)
    if isinstance(value, Mapping):
        span = span or next((value[k] for k in ("interval", "ci95") if k in value), None)
        value = value.get("value")
    if isinstance(span, Mapping):
        span = span.get("accuracy")
    if isinstance(value, int | float):
        n = next((evaluation[k] for k in ("n", "N", "pictures", "count") if k in evaluation), None)
        pair = f"{span[0]:.1%} to {span[1]:.1%}" if isinstance(span, list | tuple) and len(span) == 2 else ""
        rows.append((name or "test pictures", f"{value:.1%}", pair, "" if n is None else _plain(n)))
    for key, part in evaluation.items():
        if key not in ("accuracy", "flip_average"):  # the card has what was not done here
            rows += _evaluation(part, ", ".join(filter(None, [name, _PROTOCOLS.get(key, str(key).replace("_", " "))])))
    return rows


def _markdown(text: str) -> str:
    """A model card's headings, lists, tables, code and paragraphs as markup; all else stays text."""
    out: list[str] = []
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip()):
        lines = block.strip("\n").split("\n")
        while lines and (match := re.match(r"#{1,6}\s+(.*)", lines[0])):
            out.append(f"<h4>{_inline(match[1])}</h4>")
            lines = lines[1:]
        if not lines:
            continue
        if len(lines) > 1 and re.fullmatch(r"\s*\|?[\s:|-]*-[\s:|-]*", lines[1]) and "|" in lines[0]:
            cells = [[c.strip() for c in line.strip().strip("|").split("|")] for line in [lines[0], *lines[2:]]]
            head = "".join(f"<th>{_inline(c)}</th>" for c in cells[0])
            body = "".join("<tr>" + "".join(f"<td>{_inline(c)}</td>" for c in row) + "</tr>" for row in cells[1:])
            out.append(f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')
        elif re.match(r"\s*[-*]\s", lines[0]):
            items = re.split(r"(?:^|\n)\s*[-*]\s+", "\n".join(lines))[1:]
            out.append("<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in items) + "</ul>")
        elif lines[0].startswith("```"):
            out.append(f"<pre>{markup.escape(chr(10).join(line for line in lines if not line.startswith('```')))}</pre>")
        else:
            out.append(f"<p>{_inline(' '.join(lines))}</p>")
    return "".join(out)


def _inline(text: str) -> str:
    escaped = markup.escape(text)
    escaped = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
    escaped = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", escaped)
    return re.sub(r"\[([^\]]+)\]\((https?://[^\s)]+)\)", r'<a href="\2">\1</a>', escaped)
