"""Many files on one machine: each becomes a result folder, whole or not at all; one broken file is one failed row.

talk.mien/  faces.csv  timeline.csv  episodes.csv  summary.json  report.html  emotions.png  timeline.npz  annotated.mp4
"""

import contextlib
import csv
import dataclasses
import functools
import hashlib
import inspect
import json
import logging
import os
import secrets
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import asdict, dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import cv2

from mien import draw, report
from mien.analyze import MAX_PIXELS, SMOOTHING_S, Analyzer, FrameSource, Recorder
from mien.cells import safe
from mien.detect import DETECTORS
from mien.emotion import Expressions
from mien.episodes import EpisodeOptions, find_episodes
from mien.errors import MediaError, MienError
from mien.json_text import parsed
from mien.manifest import FOLDER, MOST_DEATHS, Manifest, Record
from mien.media import Media, VideoWriter, open_media, shown_name, write_picture
from mien.places import fetched, is_remote, place, sent_folder, stamp
from mien.time_ranges import Joined, analyzer_of, divided
from mien.turn import upright
from mien.types import MIN_RELIABILITY, FrameResult, MediaInfo, Timeline
from mien.unfinished import mark, remove_left, unmark
from mien.whole_file import whole_file

MEDIA_SUFFIXES = frozenset(
    f".{name}"
    for names in (
        "jpg jpeg png webp gif bmp tif tiff avif heic heif pgm ppm pnm pbm",
        "mp4 m4v mov mkv webm avi mpg mpeg ts mts m2ts vob wmv flv 3gp ogv mxf dv",
    )
    for name in names.split()
)
"""What is taken from a folder without a look into it; of others the content decides, as of files that are named on their own."""

_INDEX_NAME = "files.csv"
_JOINED = ("faces.csv", "faces.parquet", "index.html")
_LIST_SUFFIXES = frozenset((".txt", ".list", ".lst"))

log = logging.getLogger(__name__)

_KNOWN_AS_RESULT = ("faces.csv", "timeline.csv", "episodes.csv", "summary.json", "report.html")
RESULT_FILES = (*_KNOWN_AS_RESULT, "timeline.npz")
_MORE_FILES = ("emotions.png", "tracks.png", "annotated.mp4", "annotated.png", "snapshot.png")

_END = 65_536
"""Bytes at either end of a file that are looked at to know it again."""


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """How files are analysed; plain values, so that they travel to other processes.

    every        seconds between the frames that are looked at; None or 0 takes each one
    smoothing_s  see `Analyzer`       baseline_s  see `Analyzer`
    device       what networks run on, see `Analyzer`
    fast         search faces in few frames of a film, see `Analyzer`; the film is then read by one process
    labels       which of the model's label sets; None takes its first
    prior        how the decision leans, see `Expressions`; None as the model was tuned
    min_reliability  see `Analyzer`
    flip         average each face with its mirror image, see `Expressions`
    threshold, min_face_px, find_face_px, max_side_px  see the detector; None leaves its own default
    annotated    whether annotated.mp4 (or .png) is written
    pictures     whether report.html holds a frame and stills; without them, and without `annotated`, no picture is kept
    max_pixels   of a picture or a film's frames, see `open_media`; None for as many as are ever read
    limit_s      seconds that one file may take, see `within`; None for as many as it takes
    max_film_s   seconds of film that are read: a longer one is refused, before it is decoded where it says its length
    rotate       degrees clockwise by which media are turned beyond what their files say; None finds that out, see `mien.turn`
    """

    every: float | None = None
    model: str = "default"
    detector: str = "yunet"
    device: str = "cpu"
    fast: bool = False
    smoothing_s: float = SMOOTHING_S
    baseline_s: float = 0.0
    min_reliability: float = MIN_RELIABILITY
    labels: str | None = None
    prior: str | None = None
    flip: bool = False
    threshold: float | None = None
    min_face_px: float | None = None
    find_face_px: float | None = None
    max_side_px: int | None = None
    annotated: bool = True
    pictures: bool = True
    max_pixels: int | None = MAX_PIXELS
    max_film_s: float | None = None
    limit_s: float | None = None
    rotate: int | None = None

    def analyzer(self) -> Analyzer:
        """The Analyzer that these options describe. Raises `ModelError`, and `ValueError` for what the detector does not know."""
        if self.detector not in DETECTORS:
            raise ValueError(f"no detector {self.detector!r}; known: {', '.join(DETECTORS)}")
        asked = {
            "threshold": self.threshold,
            "min_face": self.min_face_px,
            "find_face": self.find_face_px,
            "max_side": self.max_side_px,
        }
        given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
        kind = DETECTORS[self.detector]
        unknown = [name for name in given if name not in inspect.signature(kind).parameters]
        if unknown:
            raise ValueError(
                f"the detector {self.detector} has no {' and no '.join(unknown)}; leave it out or take another detector"
            )
        if self.detector == "yunet":
            given["device"] = self.device
        model = Expressions(self.model, head=self.labels, prior=self.prior, flip=self.flip, device=self.device)
        return Analyzer(
            model,
            detector=kind(**given),
            fast=self.fast,
            smoothing_s=self.smoothing_s,
            baseline_s=self.baseline_s,
            min_reliability=self.min_reliability,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file.

    `source` is as given, but without the secrets of an address. folder and summary are None where nothing could be written; error
    is None where all went well.

    `skipped` says that it was left out of a folder, for what `error` says.

    A film that is damaged half-way has both: the folder holds what comes before the damage, the error says where it is.
    """

    source: str
    folder: str | None
    summary: dict[str, Any] | None
    error: str | None
    skipped: bool = False
    unfinished: Literal["running", "waiting"] | None = None
    """Another process works on it, or nobody has begun it or finished it yet; folder, summary and error are None."""


Progress = Callable[[int, float, float | None], None]
"""Called with frames done, seconds of media done, and seconds of media in all where known."""


def expand(paths: Sequence[str | os.PathLike[str]], skipped: "list[Outcome] | None" = None) -> list[str]:
    """Files as they are; of folders the pictures and films in them, in alphabetical order; of a list what its lines name.

    A list is a text file called .txt, .list or .lst with a path in each line, as seen from the current folder; empty lines and
    those that begin with # are left out.
    In a folder a file is taken by its name's ending, or, with another ending or none, where its content is a picture or film.
    `skipped` gets an Outcome with the reason for each other file, for each result folder of mien, whatever it is called, and for
    each folder whose name begins with a dot, such as what a killed run left of a result.

    Raises `MediaError` for a folder without any picture or film.
    """
    found: list[str] = []
    left = [] if skipped is None else skipped
    for given in _listed(paths):
        path = Path(given)
        if not path.is_dir():
            found.append(os.fspath(given))
            continue
        before = len(found)
        _expand_folder(path, found, left)
        if len(found) == before:
            name = shown_name(str(path))
            raise MediaError(f"{name}: is a folder without pictures or films; wanted files such as .jpg, .png, .mp4 or .mov in it")
    return found


def _listed(paths: Sequence[str | os.PathLike[str]]) -> Iterator[str | os.PathLike[str]]:
    for given in paths:
        path = Path(given)
        if path.suffix.lower() not in _LIST_SUFFIXES or not path.is_file():
            yield given
            continue
        # Names of files are bytes that are not always UTF-8; Python's own file functions take them back like this.
        lines = path.read_text(encoding="utf-8-sig", errors="surrogateescape").split("\n")
        named = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        yield from [given] if not named or "\0" in "".join(named) else named  # what is no list fails as what is no film does


def _expand_folder(folder: Path, found: list[str], skipped: "list[Outcome]") -> None:
    def leave(path: Path, why: str) -> None:
        skipped.append(Outcome(shown_name(str(path)), None, None, why, skipped=True))

    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        leave(folder, f"cannot be read: {(error.strerror or str(error)).lower()}")
        return
    for path in inside:
        if path.name == FOLDER:
            leave(path, "is a table of mien")
        elif path.name.startswith("."):
            leave(path, "is hidden: its name begins with a dot")
        elif path.is_dir():
            if path.name.endswith(".mien") or is_result(path):
                leave(path, "is a result of mien")
            elif path.is_symlink():
                leave(path, "is a link to a folder, which may lead back; give that folder itself")
            else:
                _expand_folder(path, found, skipped)
        elif not path.is_file():
            leave(path, "is a link that leads nowhere" if path.is_symlink() else "is neither a file nor a folder")
        elif path.suffix.lower() in MEDIA_SUFFIXES:
            found.append(str(path))
        elif path.name == _INDEX_NAME or path.name in _JOINED:
            leave(path, "is a table of mien")
        else:
            try:
                open_media(path).close()
            except MediaError as error:
                why = str(error).removeprefix(f"{shown_name(path.name)}: ").partition("; give ")[0]
                leave(path, why.removesuffix(", or its index is cut off"))
            else:
                found.append(str(path))


def result_folders(sources: Sequence[str], out: Path | None) -> list[Path]:
    """Where each file's results go: talk.mp4 → talk.mien in `out` or the current folder; talk.mp4.mien where two would collide.

    A folder that holds the result of another file is left alone: the next number is taken, talk-2.mien. A file that was analysed
    before and finds its folder in this order gets it again.
    """
    root = out or Path()
    names = [Path(shown_name(source)).stem or "media" for source in sources]
    alike = Counter(name.casefold() for name in names)  # Talk and talk are one folder on many disks
    taken: set[str] = set()
    folders = []
    for source, name in zip(sources, names, strict=True):
        if alike[name.casefold()] > 1:
            name = Path(shown_name(source)).name
        number, unique = 2, name
        while unique.casefold() in taken or is_of_another(root / f"{unique}.mien", source):
            unique, number = f"{name}-{number}", number + 1
        taken.add(unique.casefold())
        folders.append(root / f"{unique}.mien")
    return folders


def known_by(source: str | os.PathLike[str]) -> list[str]:
    """By what a file is known again: its place, and its name, size, time of change and both ends; hashed, 16 hexadecimal digits.

    A film that was changed is known by its place, one that was moved by the rest. An address has a place only, its query with it.
    """
    given, path = os.fspath(source), Path(source)
    if "://" in given:
        parts = urlsplit(given)
        marks = [urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))]
    else:
        marks = [os.path.abspath(path)]
    if path.is_file():
        stamp = path.stat()
        with path.open("rb") as file:
            ends = file.read(_END)
            file.seek(max(0, stamp.st_size - _END))
            ends += file.read(_END)
        marks.append(json.dumps([path.name, stamp.st_size, stamp.st_mtime_ns, hashlib.sha256(ends).hexdigest()]))
    return [hashlib.sha256(mark.encode("utf-8", "surrogateescape")).hexdigest()[:16] for mark in marks]


def is_of_another(folder: Path, source: str) -> bool:
    """Whether `folder` holds the result of a file that is not `source`. One that does not say of what it is may be replaced."""
    try:
        if not is_result(folder):
            return False
        known = kept_summary(str(folder)).get("settings", {}).get("known_by")
        return isinstance(known, list) and not any(mark in known for mark in known_by(source))
    except OSError:
        return False  # a folder that cannot be, or a file that cannot be read: its own attempt will say so


def is_result(folder: Path) -> bool:
    """Whether `folder` holds the whole result of an analysis."""
    return all((folder / name).is_file() for name in _KNOWN_AS_RESULT)


@functools.cache
def _remove_left_once(parent: Path) -> None:
    """Of a folder with a hundred thousand results: not before each of them."""
    remove_left(parent)


@contextlib.contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target` that takes its place when the block ends well; an older result there is replaced.

    What else lies in the older result's folder, notes or scripts, stays in it.
    After an exception or a kill nothing stands under the target's name but what stood there before. Raises `MediaError` where
    `target` is a file, or a folder that is not a result of mien and not empty: nobody's files are replaced.
    """
    if is_remote(target):
        with sent_folder(target, "summary.json", (*RESULT_FILES, *_MORE_FILES)) as folder:
            yield folder
        return
    target = Path(os.path.abspath(target))
    if target.exists() and not (target.is_dir() and (is_result(target) or not any(target.iterdir()))):
        raise MediaError(f"{target}: is there already and is not a result of mien; give another folder with --out")
    scratch = target.with_name(f".{target.name}-{secrets.token_hex(4)}")  # known before it is there, so that Ctrl-C leaves none
    try:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _remove_left_once(target.parent)
            scratch.mkdir()
            mark(scratch)
        except OSError as error:
            raise MediaError(f"{target}: cannot be written: {error.strerror}; give another folder with --out") from error
        scratch.chmod(0o755)
        yield scratch
        unmark(scratch)
        if target.exists():
            for other in target.iterdir():
                if other.name in (*RESULT_FILES, *_MORE_FILES):
                    continue
                if other.is_dir() and not other.is_symlink():
                    shutil.copytree(other, scratch / other.name, symlinks=True)
                else:
                    shutil.copy2(other, scratch / other.name, follow_symlinks=False)
            # A folder cannot be replaced in one step: the old one waits beside until the new one stands.
            aside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-")) / "old"
            try:
                target.rename(aside)
                scratch.rename(target)
            except BaseException:
                if aside.exists():
                    aside.rename(target)
                raise
            finally:
                if target.exists():
                    shutil.rmtree(aside.parent, ignore_errors=True)
        else:
            scratch.rename(target)
    except MediaError as error:
        if str(scratch) not in str(error):
            raise
        raise MediaError(str(error).replace(str(scratch), str(target))) from error  # nobody knows the temporary name
    except OSError as error:
        raise MediaError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def analyze_file(
    source: str | os.PathLike[str],
    folder: Path,
    options: AnalysisOptions | None = None,
    *,
    analyzer: Analyzer | None = None,
    progress: Progress | None = None,
    name: str | None = None,
    keep: Path | None = None,
    jobs: int = 1,
) -> Outcome:
    """One picture or film → its result folder.

    name  what the file is called in the results and in messages, where that is not its name on the disk
    keep  see `write_results`
    jobs  processes that read a long film, each a range of its time; one where it is annotated

    Raises `MediaError` or `ModelError` where nothing can be had of it. A film that is damaged half-way is analysed up to the
    damage: `Outcome.error` and summary.json say where it is.
    """
    options = options or AnalysisOptions()
    analyzer = analyzer or options.analyzer()
    with (
        fetched(source) as here,
        upright(here, analyzer.detector, options.rotate, name=name or _name(source), max_pixels=options.max_pixels) as media,
    ):
        _check_length(media.info, media.info.duration_s, options.max_film_s)
        if media.info.kind == "camera":
            raise MediaError(f"{media.info.name}: is a camera or live address; run: mien live --source {media.info.name}")
        origin = {"made_from": fingerprint(source, options, analyzer), "known_by": known_by(source)}
        return record(media, folder, options, analyzer, sound_from=here, progress=progress, origin=origin, keep=keep, jobs=jobs)


def _name(source: str | os.PathLike[str]) -> str | None:
    """What a source is called that is fetched under another name; None: as it is."""
    return shown_name(os.fspath(source)) if is_remote(source) else None


def _check_length(info: MediaInfo, seconds: float | None, most_s: float | None) -> None:
    if most_s is not None and seconds is not None and seconds > most_s:
        raise MediaError(f"{info.name}: is longer than {most_s / 60:g} minutes, which is as much as is read; cut it into parts")


def fingerprint(source: str | os.PathLike[str], options: AnalysisOptions, analyzer: Analyzer) -> str:
    """What a result was made of and how, as 16 hexadecimal digits: the file (name, size, time of change), models and settings.

    Two runs with the same fingerprint give the same result, so that `--resume` can leave the second one out. On what device they
    were reckoned is no part of it: the machines that share a run may have different ones.
    """
    settings = analyzer.settings(options.every)
    models = {role: {k: v for k, v in facts.items() if k != "device"} for role, facts in settings["models"].items()}
    made_of = {
        "source": shown_name(os.fspath(source)),
        "size_and_time": stamp(source),
        "settings": settings | {"models": models},
        "kept": [options.annotated, options.pictures],
        "rotate": options.rotate,
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]


def record(
    media: Media | FrameSource,
    folder: Path,
    options: AnalysisOptions,
    analyzer: Analyzer,
    *,
    sound_from: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    watch: Callable[[FrameResult], bool] | None = None,
    snapshot: bool = False,
    origin: Mapping[str, Any] | None = None,
    keep: Path | None = None,
    jobs: int = 1,
) -> Outcome:
    """All results of an opened media into `folder`; the media is closed when its frames are read.

    watch     called with each result; the recording ends, and is kept, when it gives False or raises KeyboardInterrupt
    snapshot  also keep the annotated frame that shows most, as snapshot.png
    origin    `report.ORIGIN`, kept in summary.json; see `fingerprint` and `known_by`
    keep      see `write_results`
    jobs      processes that read a long film from the file `sound_from`, see `analyze_file`
    """
    info = media.info
    recorder = Recorder(info, analyzer.labels, analyzer.settings(options.every, (info.width, info.height)))
    recorder.settings.update(origin or {})
    stills = report.Stills() if options.pictures or snapshot else None
    started, started_cpu = time.perf_counter(), time.process_time()
    damage: MediaError | None = None
    joined: Joined | None = None
    if (
        jobs > 1
        and not (options.annotated or options.fast)
        and watch is None
        and isinstance(media, Media)
        and sound_from is not None
    ):
        ranges = divided(media, jobs)
        joined = Joined(media, sound_from, options, ranges, stills) if len(ranges) > 1 else None
    with whole_folder(folder) as scratch:
        film: VideoWriter | None = None
        with contextlib.ExitStack() as stack:
            if isinstance(media, Media):
                stack.callback(media.close)  # the index of a long film is some megabytes that the report can use
            if options.annotated and info.kind != "picture":
                fps = 1 / options.every if options.every else info.fps
                sound = sound_from if info.has_audio else None
                film = stack.enter_context(
                    VideoWriter(scratch / "annotated.mp4", info.width, info.height, fps_hint=fps, sound_from=sound)
                )
            pool = None if joined is None else stack.enter_context(processes_for_ranges(jobs))
            try:
                with _between_frames() as until, contextlib.ExitStack() as reading:
                    if joined is not None and pool is not None:
                        found = joined.results(analyzer, pool, jobs, until)
                    else:
                        found = analyzer.stream(media, options.every, until=until)
                    results = reading.enter_context(closing(found))  # type: ignore[type-var]
                    while True:
                        try:
                            result = next(results, None)
                        except MediaError as error:
                            # What was decoded before the damage is worth having; without a single frame there is nothing to have.
                            if not len(recorder):
                                raise
                            damage = error
                            break
                        if result is None:
                            break
                        _check_length(info, result.time_s, options.max_film_s)
                        recorder.add(result)
                        if stills is not None and joined is None:
                            stills.add(result)
                        if film is not None:
                            film.write(draw.annotate(result), result.time_s)
                        if progress is not None:
                            progress(len(recorder), result.time_s, info.duration_s)
                        if watch is not None and not watch(result):
                            break
            except KeyboardInterrupt:
                if watch is None or not len(recorder):
                    raise
        if damage is not None:
            recorder.settings["damage"] = str(damage)
        timeline = recorder.timeline()
        seconds, cpu = time.perf_counter() - started, time.process_time() - started_cpu + (joined.cpu_s if joined else 0.0)
        speed = {
            "seconds": round(seconds, 3),
            "cpu_seconds": round(cpu, 3),
            "frames_per_second": round(len(timeline) / max(seconds, 1e-9), 1),
            "frames_per_cpu_second": round(len(timeline) / max(cpu, 1e-9), 1),
        }
        summary = write_results(
            timeline,
            scratch,
            stills,
            speed=speed,
            annotated=options.annotated,
            pictures=options.pictures,
            snapshot=snapshot,
            keep=keep,
        )
    return Outcome(info.name, str(folder), summary, None if damage is None else str(damage))


@contextlib.contextmanager
def _between_frames() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and a polite kill wait for the end of the block, which is given a function that tells whether one has come.

    Wherever they fall, a row of the table, a film that is written and what OpenCV has in hand do not survive an exception in their
    midst: OpenCV takes the whole process with it. A second one does not wait.
    """
    came: list[int] = []

    def note(number: int, _: object) -> None:
        came.append(number)
        if len(came) > 1:
            raise KeyboardInterrupt

    caught: list[int] = []
    if threading.current_thread() is threading.main_thread():
        caught += [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is signal.default_int_handler]
    try:
        for number in caught:
            signal.signal(number, note)
        yield lambda: bool(came)
    finally:
        for number in caught:
            signal.signal(number, signal.default_int_handler)
        if came:
            raise KeyboardInterrupt


def write_results(
    timeline: Timeline,
    folder: Path,
    stills: report.Stills | None,
    *,
    speed: dict[str, Any] | None = None,
    annotated: bool = True,
    pictures: bool = True,
    snapshot: bool = False,
    episode_options: EpisodeOptions | None = None,
    names: Mapping[int, str] | None = None,
    keep: Path | None = None,
) -> dict[str, Any]:
    """Tables, plots and page of one analysis into an existing folder; gives back what summary.json holds.

    names  of tracks, where they have some: they stand in report.html, summary.json and the plots
    keep   an existing folder that gets what the files can be made from again: timeline.npz, the exact Timeline, and, with
           `pictures`, stills/ (see `report.Stills.save`)
    """
    episode_options = episode_options or EpisodeOptions()
    timeline = dataclasses.replace(timeline, settings=timeline.settings | {"episodes": asdict(episode_options)})
    episodes = find_episodes(timeline, episode_options)
    report.faces_csv(timeline, folder / "faces.csv")
    report.timeline_csv(timeline, folder / "timeline.csv")
    report.episodes_csv(episodes, folder / "episodes.csv")
    summary = report.summary_json(timeline, episodes, folder / "summary.json", speed=speed, names=names)
    plot = report.png(timeline, folder / "emotions.png", names=names)
    if len(timeline.track_ids) > 1 and len(timeline) > 1:
        report.png_tracks(timeline, folder / "tracks.png", names=names)
    shown: Any = None
    poster = None if stills is None else stills.poster
    if annotated and timeline.info.kind == "picture" and poster is not None:
        shown = draw.annotate(poster)
        write_picture(folder / "annotated.png", shown)
    elif (folder / "annotated.mp4").exists():
        shown = folder / "annotated.mp4"
    if snapshot and poster is not None:
        write_picture(folder / "snapshot.png", draw.annotate(poster))
    report.html(
        timeline,
        folder / "report.html",
        episodes=episodes,
        stills=stills if pictures else None,
        summary=summary,
        annotated=shown,
        names=names,
        plot=plot,
    )
    timeline.save(folder / "timeline.npz")
    if keep is not None:
        if stills is not None and pictures:
            stills.save(keep / "stills")
        timeline.save(keep / "timeline.npz")
    return summary


def analyze_files(
    sources: Sequence[str],
    folders: Sequence[Path],
    options: AnalysisOptions,
    *,
    jobs: int = 1,
    resume: bool = False,
    progress: Callable[[int], Progress] | None = None,
    debug: bool = False,
    manifest: Manifest | None = None,
    retry_failed: bool = False,
    engine: Callable[[Sequence["Task"]], Iterator[Outcome]] | None = None,
) -> Iterator[Outcome]:
    """Each file's outcome as it comes; a file that fails is an Outcome with its error, and the others go on.

    jobs          processes at a time, each with one thread and its own models; of one file see `analyze_file`
    resume        leave out files whose result is there, whole, and of the same file, models and settings (see `fingerprint`)
    progress      for one job: given the number of the file, makes what is called as it advances
    debug         raise the first error instead
    manifest      where it is kept what becomes of each file; a file on which another process works is then left to it, an
                  Outcome that is `unfinished`, and with `resume` one that failed before is not tried again
    retry_failed  but it is
    engine        does the tasks in place of this machine's processes, such as a `mien.scheduler.Scheduler`

    With `options.limit_s` files are done in other processes also where `jobs` is 1, one process a file.

    Raises `ModelError` at once where the models cannot be had: no file would fare better.
    """
    analyzer = options.analyzer()
    waiting = []
    for number, (source, folder) in enumerate(zip(sources, folders, strict=True)):
        before = _before(source, folder, options, analyzer, manifest, retry_failed) if resume else None
        if before is None:
            waiting.append((number, source, folder))
        else:
            yield before
    kept = None if manifest is None else _Kept(manifest, resume, retry_failed)
    tasks = [Task(source, folder, options, kept) for _, source, folder in waiting]
    if engine is not None:
        yield from engine(tasks)
    elif options.limit_s is None and (jobs <= 1 or len(waiting) <= 1):
        for number, source, folder in waiting:
            told = progress(number) if progress else None
            yield _attempt(source, folder, options, kept, analyzer, told, debug=debug, jobs=jobs)
    else:
        yield from _in_processes(tasks, jobs, debug=debug)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A manifest, and how `analyze_files` was asked to go on with it."""

    manifest: Manifest
    resume: bool
    retry_failed: bool


@dataclass(frozen=True, slots=True)
class Task:
    """One file to be analysed, as it travels to whatever process does it."""

    source: str
    folder: Path
    options: AnalysisOptions
    kept: _Kept | None

    def run(self, *, debug: bool = False) -> Outcome:
        """Does it here, unless it was done or another process has it. This process ends where it takes longer than it may."""
        with within(self.options.limit_s):
            return _attempt(self.source, self.folder, self.options, self.kept, debug=debug)

    def is_overdue(self, after_s: float) -> bool:
        """Whether it may take no longer than so many seconds, so that a process that is gone by then was ended by `within`."""
        return self.options.limit_s is not None and after_s >= self.options.limit_s

    def lost(self, after_s: float) -> Outcome:
        """What becomes of it where the process that did it is gone after so many seconds: a failed file."""
        error = f"{shown_name(self.source)}: the process that analysed it died; is there enough memory?"
        if self.is_overdue(after_s):
            error = f"{shown_name(self.source)}: took longer than {self.options.limit_s:g} s and was given up (--time-limit)"
        if self.kept is not None and (record := self.kept.manifest.record(self.folder.name)) is not None:
            with contextlib.suppress(OSError):
                self.kept.manifest.keep(dataclasses.replace(record, state="failed", error=error))
        return Outcome(shown_name(self.source), None, None, error)


def _before(
    source: str, folder: Path, options: AnalysisOptions, analyzer: Analyzer, manifest: Manifest | None, retry_failed: bool
) -> Outcome | None:
    """What became of a file in an earlier run of the same kind; None where it is still to be done."""
    name, made_from = shown_name(source), fingerprint(source, options, analyzer)
    if is_result(folder) and _made_from(folder) == made_from:
        return Outcome(name, str(folder), None, None)
    record = None if manifest is None else manifest.record(folder.name)
    if record is None or retry_failed or record.file != name or record.asked != _asked(made_from, options):
        return None
    if record.state == "failed":
        return Outcome(name, None, None, f"{record.error} (in an earlier run; --retry-failed tries it again)")
    if record.state == "running" and record.attempts >= MOST_DEATHS and manifest and not manifest.is_claimed(folder.name):
        died = f"{name}: {record.attempts} processes died over it; is there enough memory? (--retry-failed tries it again)"
        return Outcome(name, None, None, died)
    return None


def _asked(made_from: str, options: AnalysisOptions) -> str:
    """A mark of the file and all options, also those that decide only whether a file fails."""
    return hashlib.sha256(json.dumps([made_from, asdict(options)], sort_keys=True).encode()).hexdigest()[:16]


def _in_processes(waiting: Sequence[Task], jobs: int, *, debug: bool) -> Iterator[Outcome]:
    """No more is handed out than is worked on: who stops early waits for little, and a process that dies takes few with it."""
    queue = deque(waiting)
    while queue:
        suspects: list[Task] = []
        running: dict[Future[Outcome], tuple[Task, float]] = {}
        with _pool(min(jobs, len(queue))) as pool:
            while (queue or running) and not suspects:
                while queue and len(running) < jobs:
                    task = queue.popleft()
                    running[pool.submit(task.run, debug=debug)] = task, time.monotonic()
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    task, began = running.pop(done)
                    try:
                        outcome = done.result()
                    except BrokenProcessPool:
                        if task.is_overdue(after_s := time.monotonic() - began):
                            remove_left(task.folder.parent)
                            yield task.lost(after_s)
                        else:
                            suspects.append(task)
                    else:
                        yield outcome
        # One process that died (out of memory, a decoder that crashed) ends the whole pool: alone it shows whose fault it was.
        for task in [*suspects, *(task for task, _ in running.values())]:
            with _pool(1) as pool:
                began = time.monotonic()
                try:
                    yield pool.submit(task.run, debug=debug).result()
                except BrokenProcessPool:
                    remove_left(task.folder.parent)
                    yield task.lost(time.monotonic() - began)


@contextlib.contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Ends this process where the block takes longer, whatever it hangs in: a decoder's endless loop, or a disk that is gone.

    The claim on the file goes with the process. In the main thread only; None for no limit.
    """
    if seconds is None:
        yield
    elif hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    else:
        timer = threading.Timer(seconds, os._exit, (1,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _pool(processes: int) -> ProcessPoolExecutor:
    # spawn: a forked child would inherit onnxruntime's threads and locks half-way.
    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_begin_worker)


def _begin_worker() -> None:
    """One thread, and an end with whoever began it: a parent that is killed tells its pool nothing, and the workers would wait for
    ever. Python hands each a sentinel of its parent, on every system."""
    cv2.setNumThreads(1)
    parent = parent_process()
    assert parent is not None

    def end() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end, name="mien-parent", daemon=True).start()


@contextlib.contextmanager
def processes_for_ranges(processes: int) -> Iterator[ProcessPoolExecutor]:
    """They end at once with the block, however it ends, a range of damage or an interruption: they have nothing to clean up, and
    minutes to go."""
    with _pool(processes) as pool:
        try:
            yield pool
        finally:
            for process in list((pool._processes or {}).values()):
                process.terminate()


def _attempt(
    source: str,
    folder: Path,
    options: AnalysisOptions,
    kept: _Kept | None = None,
    analyzer: Analyzer | None = None,
    progress: Progress | None = None,
    *,
    debug: bool = False,
    jobs: int = 1,
) -> Outcome:
    analyzer = analyzer or analyzer_of(options)
    if kept is None:
        return _attempt_unclaimed(source, folder, options, analyzer, progress, debug=debug, jobs=jobs)
    name, manifest = shown_name(source), kept.manifest
    try:
        with manifest.claim(folder.name) as ours:
            if not ours:
                return Outcome(name, None, None, None, unfinished="running")
            # Looked at under the claim: another process may have ended it since.
            before = _before(source, folder, options, analyzer, manifest, kept.retry_failed) if kept.resume else None
            if before is not None:
                return before
            made_from = fingerprint(source, options, analyzer)
            asked, known = _asked(made_from, options), manifest.record(folder.name)
            again = known is not None and known.asked == asked and known.state == "running" and not kept.retry_failed
            attempts = known.attempts if known is not None and again else 0
            record = Record(name, folder.name, "running", made_from, asked, attempts + 1)
            manifest.keep(record)
            manifest.log_begun(folder.name)
            started = time.monotonic()
            try:
                outcome = _attempt_unclaimed(source, folder, options, analyzer, progress, debug=debug, jobs=jobs)
            except BaseException:  # Ctrl-C and a scheduler's notice are nothing that this file has done
                manifest.keep(dataclasses.replace(record, attempts=attempts))
                raise
            state: Any = "failed" if outcome.folder is None else "damaged" if outcome.error else "done"
            rows = outcome.summary.get("faces") if outcome.summary else None
            seconds = round(time.monotonic() - started, 3)
            with contextlib.suppress(OSError):  # what has failed for a full disk is begun anew
                manifest.keep(dataclasses.replace(record, state=state, seconds=seconds, rows=rows, error=outcome.error))
            return outcome
    except OSError as error:
        if debug:
            raise
        return Outcome(name, None, None, f"{manifest.folder}: cannot be written: {error.strerror or error}")


def _attempt_unclaimed(
    source: str,
    folder: Path,
    options: AnalysisOptions,
    analyzer: Analyzer,
    progress: Progress | None,
    *,
    debug: bool,
    jobs: int = 1,
) -> Outcome:
    name = shown_name(source)
    try:
        outcome = analyze_file(source, folder, options, analyzer=analyzer, progress=progress, jobs=jobs)
    except Exception as error:  # also what nobody has thought of: the other files have nothing to do with it
        if debug:
            raise
        expected = isinstance(error, MienError)
        text = str(error) if expected else f"{name}: failed unexpectedly ({type(error).__name__}: {error}); --debug shows where"
        return Outcome(name, None, None, text)
    return Outcome(name, outcome.folder, outcome.summary, outcome.error)


_INDEX = (
    *("file", "status", "folder", "frames", "faces", "tracks", "expression", "error"),
    *("duration_s", "in_view", "coverage", "work_s"),
)


def check_index(path: Path) -> None:
    """Raises `MediaError` where `path`, or the joined faces.csv beside it, is there and not mien's: nobody's files are replaced."""
    for table, begins, what in ((path, ",".join(_INDEX), "an index"), (path.with_name("faces.csv"), "file,frame,", "a table")):
        try:
            with table.open(encoding="utf-8", errors="replace") as file:
                own = file.readline().startswith(begins)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise MediaError(f"{table}: cannot be read: {error.strerror}") from error
        if not own:
            raise MediaError(f"{table}: is there already and is not {what} of mien; give another folder with --out")


def kept_summary(folder: str | None) -> dict[str, Any]:
    """What an earlier run wrote of a file that was left out; empty where nothing was."""
    try:
        found = parsed((place(folder) / "summary.json").read_text(encoding="utf-8")) if folder else {}
    except (OSError, ValueError):
        return {}
    return found if _is_summary(found) else {}


def _is_summary(found: Any) -> bool:
    """Whether all that tables and pages take from a summary.json is of its kind: a disk, or a hand, may have changed it."""
    number = int | float
    kinds = {"settings": dict, "tracks": list, "sampled_frames": int, "faces": int, "shares": dict}
    more = {"media": dict, "models": list, "speed": dict | None, "looked_at_s": number, "seen_s": number}
    if not isinstance(found, dict) or not all(isinstance(found.get(name), kind) for name, kind in kinds.items()):
        return False
    if not all(isinstance(found[name], kind) for name, kind in more.items() if name in found):
        return False
    shares = found["shares"].values()
    return (
        all(isinstance(share, number) for share in shares)
        and bool(found["faces"]) <= bool(shares)
        and all(isinstance(model, dict) for model in found.get("models", ()))
        and isinstance(found["settings"].get("every_s"), number | None)
        and isinstance(found["settings"].get("damage", ""), str)
    )


def _made_from(folder: Path) -> str | None:
    found = kept_summary(str(folder)).get("settings", {}).get("made_from")
    return found if isinstance(found, str) else None


_NO_SUMMARY = "its summary.json is missing or damaged; analyse the file once more, with --again"


def index_rows(outcomes: Sequence[Outcome]) -> Iterator[dict[str, Any]]:
    """The rows of files.csv, by file, with "" where there is nothing to say.

    duration_s  of the media           in_view   share of the time looked at in which somebody was seen
    coverage    what summary.json says of how much can be relied on        work_s    seconds that the analysis took
    """
    for o in sorted(outcomes, key=lambda o: o.source):
        s = o.summary or kept_summary(o.folder)
        error = o.error or s.get("settings", {}).get("damage", "") or (_NO_SUMMARY if o.folder and not s else "")
        ended = "skipped" if o.skipped else "failed" if o.folder is None else "damaged" if error else "done"
        looked_s, coverage = s.get("looked_at_s"), s.get("coverage")
        yield {
            "file": o.source,
            "status": o.unfinished or ended,
            "folder": shown_name(o.folder or ""),
            "frames": s.get("sampled_frames", ""),
            "faces": s.get("faces", ""),
            "tracks": len(s["tracks"]) if s else "",
            "expression": max(s["shares"], key=s["shares"].get) if s.get("faces") else "",
            "error": error,
            "duration_s": _or_empty(s.get("media", {}).get("duration_s")),
            "in_view": round(s.get("seen_s", 0.0) / looked_s, 4) if looked_s else "",
            "coverage": coverage if isinstance(coverage, int | float) else "",
            "work_s": _or_empty((s.get("speed") or {}).get("seconds")),
        }


def _or_empty(value: Any) -> Any:
    return "" if value is None else value


def write_index(outcomes: Sequence[Outcome], path: Path) -> None:
    """files.csv: a row per file with its folder, frames, faces, tracks, leading expression, or its error; see `write_joined`.

    `status` is done, damaged, failed or skipped, or running or waiting where a run is not over. Raises `MediaError` where the file
    cannot be written.
    """
    check_index(path)
    try:
        with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_INDEX)
            for row in index_rows(outcomes):
                writer.writerow([safe(cell) for cell in row.values()])
    except OSError as error:
        raise MediaError(f"{path}: cannot be written: {error.strerror}") from error
    write_joined(outcomes, path.parent)


def write_joined(outcomes: Sequence[Outcome], folder: Path) -> list[Path]:
    """faces.csv of all results in one table, with a first column `file`; faces.parquet too where pyarrow is installed.

    Results with other columns, of an earlier run with another model, have their own behind the others', empty in the rest. Where
    there is no result there is no table, nor one of an earlier run. Raises `MediaError` where a table cannot be written.
    """
    tables = [(o.source, place(o.folder) / "faces.csv") for o in sorted(outcomes, key=lambda o: o.source) if o.folder]
    columns: dict[str, None] = {"file": None}
    for _, table in tables:
        with contextlib.suppress(OSError, StopIteration, ValueError, csv.Error), table.open(newline="", encoding="utf-8") as file:
            columns.update(dict.fromkeys(next(csv.reader(file))))
    target = folder / "faces.csv"
    try:
        if len(columns) == 1:
            for left in (target, target.with_suffix(".parquet")):
                left.unlink(missing_ok=True)
            return []
        with whole_file(target) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(columns), restval="", lineterminator="\n")
            writer.writeheader()
            for source, table in tables:
                with contextlib.suppress(FileNotFoundError), table.open(newline="", encoding="utf-8") as one:
                    try:
                        writer.writerows({"file": safe(source), **row} for row in csv.DictReader(one))
                    except (ValueError, csv.Error) as error:
                        log.warning("%s: is damaged, and what follows there is left out of %s: %s", table, target, error)
        return [target, *_as_parquet(target)]
    except OSError as error:
        raise MediaError(f"{target}: cannot be written: {error.strerror or error}") from error


_WORDS = frozenset(("file", "expression", "flags"))
_WHOLE = frozenset(("frame", "track"))


def _as_parquet(table: Path) -> list[Path]:
    """The table once more as Parquet, block by block: that of a thousand hours does not fit into memory."""
    try:
        import pyarrow
        from pyarrow import csv as arrow_csv
        from pyarrow import parquet
    except ImportError:
        return []
    target = table.with_suffix(".parquet")
    with table.open(newline="", encoding="utf-8") as file:
        columns = next(csv.reader(file))
    # Named, not guessed from the first block, in which a column can be empty that has numbers later.
    words, whole, real = pyarrow.string(), pyarrow.int64(), pyarrow.float64()
    types = {name: words if name in _WORDS else whole if name in _WHOLE else real for name in columns}

    def write(types: dict[str, Any]) -> None:
        with (
            whole_file(target) as part,
            table.open("rb") as content,
            arrow_csv.open_csv(content, convert_options=arrow_csv.ConvertOptions(column_types=types)) as blocks,
            parquet.ParquetWriter(part, blocks.schema) as writer,
        ):
            for block in blocks:
                writer.write_batch(block)

    try:
        write(types)
    except pyarrow.ArrowInvalid:  # a table of another version has words where numbers are wanted
        write(dict.fromkeys(columns, words))
    return [target]
