"""Opens whatever shows a face: a picture, a film, an address or a camera."""

import errno
import itertools
import math
import os
import re
import stat
import statistics
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit, urlunsplit

import av

from mien.errors import MediaError
from mien.media.film import DEMUXERS, Film, av_open
from mien.media.moving_picture import MovingPicture
from mien.media.pictures import head_of, moves, picture_of, picture_reader
from mien.media.pipe import Pipe
from mien.media.shown import quarter
from mien.media.words import TIMEOUT_S, WANTED, reason, utf8
from mien.types import Frame, MediaInfo, MediaKind

HELD_S = 0.1
"""A frame that is shown for longer is held: where samples are due in that time, it is what they show."""

_FILLED_S = 0.5  # without a sampling interval; frames at two a second are a slow film, not a held one
_SLACK_S = 1e-6  # k * every is rounded, the media's clock is not: a frame this close before it counts as at it
_LIVE_SCHEMES = {"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "srt"}
_FILE_SCHEMES = {"http", "https"}


def open_media(
    source: str | os.PathLike[str] | int,
    *,
    kind: MediaKind | None = None,
    name: str | None = None,
    max_pixels: int | None = None,
    rotate: int = 0,
) -> "Media":
    """Opens a picture, a film or a camera.

    source  a path; an address (http and https are films, rtsp and its like are live); the number of a camera; or its device
            ("/dev/video0")
    kind    None finds it out. "picture" or "video" refuses what is not one; "camera" treats an address or film as live, which
            has neither a length nor a second showing.
    name    what a file is called in `info` and in messages, where that is not its name on the disk
    max_pixels
            of a picture or a film's frames, where fewer shall be read than `MAX_PICTURE_PIXELS` and `MAX_FILM_PIXELS`
    rotate  degrees clockwise (0, 90, 180 or 270) by which all is turned beyond what the file says

    Raises `MediaError` where the source is missing, empty, not readable, damaged from its first frame on, too large, or not a
    picture or film; `ValueError` for a kind or a rotation that does not exist.
    """
    quarter(rotate)
    if kind not in (None, "picture", "video", "camera"):
        raise ValueError(f"kind must be 'picture', 'video', 'camera' or None, but got {kind!r}")
    if isinstance(source, int):
        return _open_camera(source, kind, rotate)
    text = os.fspath(source)
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", text)
    if scheme and scheme[1].lower() == "file":
        text = unquote(urlsplit(text).path)
    elif scheme:
        return _open_address(text, scheme[1].lower(), kind, rotate)
    path = Path(text)
    name = name or shown_name(path.name)
    mode = _mode(path, name)
    if stat.S_ISCHR(mode):
        return _open_camera(text, kind, rotate)
    plain = stat.S_ISREG(mode)
    if not (plain or stat.S_ISFIFO(mode)):
        raise MediaError(f"{name}: is neither a file nor a camera (a socket or a disk), but wanted {WANTED}")
    reader: Any = None
    if plain:
        reader = picture_reader(head_of(path), name)
        if reader is not None and not moves(path, reader, name, max_pixels):
            if kind in ("video", "camera"):
                raise MediaError(f"{name}: is a picture, but wanted a {kind}; leave out kind, or give a film")
            return Media._of_picture(*picture_of(path, reader, name, max_pixels, rotate))
    if kind == "picture":
        raise MediaError(f"{name}: is no still picture, but wanted one; give {WANTED.split(', or')[0]}, or open it as a video")
    # An absolute path begins with "/" or a drive, so that no file name reads as a protocol of ffmpeg ("concat:a|b").
    place = os.path.abspath(path)
    options = {"format_whitelist": DEMUXERS, "protocol_whitelist": "file,pipe"}
    live = kind == "camera"

    def connect() -> Any:
        if not plain:
            return av_open(Pipe(place), options=options)
        with utf8(place) as link:
            return av_open(link, options=options)

    def film() -> Film | MovingPicture:
        if reader is not None and reader.format == "WEBP":
            return MovingPicture(name, path, reader, max_pixels, rotate=rotate)
        return Film(name, connect, live, max_pixels, rotate=rotate, path=path if plain else None)

    return Media._of_film(film, live, again=plain and not live)


def _raising(error: MediaError) -> Iterator[Any]:
    yield from ()
    raise error


def stills_at(path: str | os.PathLike[str], times_s: Iterable[float], *, exact: bool = True) -> Iterator[Frame]:
    """The pictures that a film shows at these times, in their order, found by jumping instead of decoding all that lies between.

    times_s  seconds since the first frame, rising; a time after the end gives the last frame that can be had
    exact    False takes the key frame before each time instead, some seconds earlier: one decode each, whatever the film

    Frame.index counts the pictures given, from 0, and time_s is each one's own. Raises `MediaError` where the film cannot be
    opened; a picture that cannot be decoded is left out.
    """
    with open_media(path, kind="video") as media:
        film = media._take()
        if isinstance(film, MovingPicture):
            yield from _stills_of(film, times_s)
            return
        context = film.stream.codec_context
        if not exact:
            context.skip_frame = "NONKEY"
        for index, wanted_s in enumerate(times_s):
            found: Any = None
            found_s = 0.0
            with suppress(Exception):
                film.container.seek(max(0, int((wanted_s + film.start_s) * av.time_base)))
                for frame in film.container.decode(film.stream):
                    if frame.time is None:
                        continue
                    time_s = max(0.0, frame.time - film.start_s)
                    if found is not None and time_s > wanted_s + 1e-3:
                        break
                    found, found_s = frame, time_s
                    if not exact:
                        break
            if found is not None:
                yield Frame(index, found_s, film.rgb(found))


def _stills_of(film: MovingPicture, times_s: Iterable[float]) -> Iterator[Frame]:
    """The same of a film that cannot be jumped in."""
    wanted = list(times_s)
    given, last = 0, None
    for _, time_s, picture in film.decoded:
        while last is not None and given < len(wanted) and wanted[given] + 1e-3 < time_s:
            yield Frame(given, last[0], film.rgb(last[1]))
            given += 1
        last = time_s, picture
    for index in range(given, len(wanted)):
        if last is not None:
            yield Frame(index, last[0], film.rgb(last[1]))


def read_picture(path: str | os.PathLike[str]) -> Frame:
    """Reads a still picture, upright (EXIF orientation), alpha laid on white, as a Frame of index 0 and time 0.

    JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC, PGM and PPM; of several pages the first. Colour profiles are applied, HDR is as on
    a screen.
    Raises `MediaError` where the file is missing, damaged, larger than `MAX_PICTURE_PIXELS`, or not a still picture.
    """
    with open_media(path, kind="picture") as media:
        return next(media.frames())


Playing = Film | MovingPicture


class Media:
    """One opened picture, film or camera; a context manager. Made by `open_media`."""

    info: MediaInfo
    can_jump = False
    """Whether it is a film of which a `TimeRange` can be had."""

    def __init__(self, info: MediaInfo, picture: Frame | None, film: Playing | None, reopen: Callable[[], Playing] | None) -> None:
        self.info = info
        self._picture = picture
        self._fresh = film  # decoded up to its first frame, which nobody has taken yet
        self._reopen = reopen  # None: it plays but once
        self._films = [film] if film else []
        self._closed = False
        # Closing frees memory that a decode in another thread (`flow.prefetch`) may be using. Reentrant, for the garbage collector
        # may close a forgotten iterator in the midst of another one's decode.
        self._lock = threading.RLock()

    @classmethod
    def _of_picture(cls, info: MediaInfo, frame: Frame) -> Self:
        return cls(info, frame, None, None)

    @classmethod
    def _of_film(cls, make: Callable[[], Playing], live: bool, *, again: bool) -> Self:
        film = make()
        media = cls(film.info("camera" if live else "video"), None, film, make if again else None)
        media.can_jump = again and isinstance(film, Film) and film.can_jump
        return media

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Media({self.info.name}: {self.info.kind}, {self.info.width}×{self.info.height}, {self.info.codec})"

    @property
    def plays_again(self) -> bool:
        """Whether its frames can be had from the beginning once more; not those of a camera or a pipe."""
        return self._picture is not None or self._reopen is not None

    def check_end(self, frames: int, end_s: float) -> None:
        """Raises `MediaError` where a film of which so many frames were decoded, up to there, says that there should be more."""
        with self._lock:
            film = self._take()
        if isinstance(film, Film):
            film.check_end(frames, end_s)

    def first(self, count: int) -> list[Frame]:
        """The first frames, up to `count`, before any is taken: `frames` gives them all the same, and a film is not opened again.

        Fewer where it is shorter, or damaged from there on.
        """
        self._check_open()
        if self._picture is not None:
            return [self._picture]
        with self._lock:
            film = self._films[0]
            taken: list[tuple[int, float, Any]] = []
            end: Iterator[Any] = film.decoded
            try:
                taken += itertools.islice(film.decoded, count)
            except MediaError as error:
                end = _raising(error)
            film.decoded = itertools.chain(taken, end)
            return [Frame(index, time_s, film.rgb(frame)) for index, time_s, frame in taken]

    def turn(self, degrees: int) -> None:
        """Turns a film that plays but once, of which no frame was taken yet, so many degrees clockwise."""
        film = self._films[0]
        if isinstance(film, Film) and degrees:
            film.turn(degrees)
            self.info = film.info(self.info.kind)

    def close(self) -> None:
        """Closes the file or device; waits for a decode that runs in another thread. A second call does nothing."""
        self._closed = True
        # A driver may hang for ever. What it hangs in cannot be freed, and whoever closes it should not hang as well.
        if self._lock.acquire(timeout=2 * TIMEOUT_S):
            try:
                for film in self._films:
                    film.close()
                self._films.clear()
            finally:
                self._lock.release()

    def frames(self, every: float | None = None) -> Iterator[Frame]:
        """The frames in order of time, each (H, W, 3) uint8 RGB with H and W as in `info`.

        every  seconds; None or 0 gives every frame once. Else the first frame and then, for each k = 1, 2, ..., the first at
               or after k * every on the media's own clock, if it comes within `HELD_S`; one that is shown for longer than that
               lasts until the next one, and is given again, at k * every. `Frame.index` counts decoded frames, also those that
               are not given: frames that are held have one index and several times.

        A film can be gone through again, also by two iterators at a time; a camera, a pipe and a live address go on from where they
        are. Raises `MediaError` at the point where a damaged film cannot be decoded, after all the frames before it, and
        `ValueError` where `every` is negative or not a number, or the media is closed.
        """
        step = self._step(every)
        return self._stills() if self._picture is not None else self._sampled(step, fill=False)

    def shown(self, every: float | None = None) -> Iterator[Frame]:
        """As `frames`, and without `every` too a frame that is held for more than half a second is given again and again.

        It comes as often as the film's frames usually do, at least each `HELD_S`: what is shown for six seconds has samples in
        these six seconds, as it has in a film that stores it 150 times.
        """
        step = self._step(every)
        return self._stills() if self._picture is not None else self._sampled(step, fill=True)

    def _step(self, every: float | None) -> float:
        step = 0.0 if every is None else float(every)
        if not (step >= 0 and math.isfinite(step)):
            raise ValueError(f"every must be 0 or more seconds, or None, but got {every}")
        return step

    def _stills(self) -> Iterator[Frame]:
        self._check_open()
        assert self._picture is not None
        yield self._picture

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError(f"{self.info.name}: is closed; open it again to take frames from it")

    def _take(self) -> Playing:
        """The film at its first frame, or, where it cannot be had twice, where it is."""
        self._check_open()
        if self._reopen is None:
            return self._films[0]
        film, self._fresh = self._fresh, None
        if film is None:
            film = self._reopen()
            self._films.append(film)
        return film

    def _sampled(self, every: float, *, fill: bool) -> Iterator[Frame]:
        with self._lock:
            film = self._take()
        plan = Plan(every, fill=fill and not film.live, held=not film.live)
        last: tuple[int, float, Any] | None = None
        frame: Frame | None = None  # `last` once it was converted
        try:
            while True:
                with self._lock:
                    self._check_open()
                    decoded = next(film.decoded, None)
                until_s = film.end_s if decoded is None else decoded[1]
                if last is not None:
                    for time_s in plan.again(last[1], until_s):
                        frame = Frame(last[0], time_s, film.rgb(last[2]) if frame is None else frame.rgb)
                        yield frame
                if decoded is None:
                    return
                last, frame = decoded, None
                if plan.wants(decoded[1]):
                    frame = Frame(decoded[0], decoded[1], film.rgb(decoded[2]))
                    yield frame
        finally:
            if self._reopen is not None:
                with self._lock:
                    film.close()
                    if film in self._films:
                        self._films.remove(film)


class Plan:
    """Which frames are given, and when one that is held is given again; see `Media.frames` and `Media.shown`."""

    def __init__(self, every: float, *, fill: bool, held: bool) -> None:
        self.every, self.fill, self.held = every, fill, held
        self.due = -math.inf
        self.steps: deque[float] = deque(maxlen=15)  # the latest intervals between frames that were not held

    def begin(self, time_s: float) -> None:
        """Goes on as if all up to the frame at `time_s` had been given or left out."""
        if self.every:
            self.wants(time_s)

    @property
    def settled(self) -> bool:
        """Whether what is to come no longer depends on where it began."""
        return bool(self.every) or len(self.steps) == self.steps.maxlen

    def wants(self, time_s: float) -> bool:
        """Whether a new frame is given."""
        if not self.every:
            return True
        if time_s + _SLACK_S < self.due:
            return False
        self.due = (math.floor((time_s + _SLACK_S) / self.every) + 1) * self.every
        return True

    def again(self, since_s: float, until_s: float) -> Iterator[float]:
        """The times at which the frame that is shown from `since_s` to `until_s` is given once more."""
        if not self.held:
            return
        if self.every:
            while self.due + HELD_S + _SLACK_S < until_s:
                yield self.due
                self.due = (round(self.due / self.every) + 1) * self.every
            return
        span = until_s - since_s
        if not self.fill or span <= _FILLED_S:
            if 0 < span <= HELD_S:
                self.steps.append(span)
            return
        step = statistics.median(self.steps) if self.steps else HELD_S
        for k in range(1, math.ceil(span / step - 0.5)):
            yield since_s + k * step


def shown_name(source: str) -> str:
    """A path as it is, an address without its password and keys: neither belongs in a report or a log.

    What is not UTF-8 in a name becomes U+FFFD, so that every table and page can hold it.
    """
    source = source.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source):
        return source
    parts = urlsplit(source)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _open_address(address: str, scheme: str, kind: MediaKind | None, rotate: int) -> Media:
    """An address: what http serves is a film, everything else is live."""
    name = shown_name(address)
    if kind == "picture":
        raise MediaError(f"{name}: is an address, but pictures are read from files; download it first")
    if scheme not in _LIVE_SCHEMES | _FILE_SCHEMES:
        known = ", ".join(sorted(_LIVE_SCHEMES | _FILE_SCHEMES))
        raise MediaError(f"{name}: cannot be opened: {scheme} is no known kind of address; known: {known}")
    options = {"protocol_whitelist": "http,https,tcp,tls,crypto,httpproxy"} if scheme in _FILE_SCHEMES else {}
    if scheme.startswith("rtsp"):
        options["rtsp_transport"] = "tcp"  # over UDP a lost packet is a smeared face
    live = kind == "camera" or (kind is None and scheme in _LIVE_SCHEMES)
    return Media._of_film(
        lambda: Film(name, lambda: av_open(address, options=options, timeout=TIMEOUT_S), live, rotate=rotate), live, again=not live
    )


def _open_camera(which: int | str, kind: MediaKind | None, rotate: int) -> Media:
    """A camera by its number or its device."""
    name = f"camera {which}" if isinstance(which, int) else which
    if kind not in (None, "camera"):
        raise MediaError(f"{name}: is a camera, but wanted a {kind}; leave out kind, or give a file")

    def connect() -> Any:
        try:
            if sys.platform == "darwin":
                return av_open(f"{which}:none", options={"framerate": "30"}, form="avfoundation", timeout=TIMEOUT_S)
            if sys.platform == "win32":
                return av_open(_directshow_name(which), options={}, form="dshow", timeout=TIMEOUT_S)
            device = f"/dev/video{which}" if isinstance(which, int) else which
            return av_open(device, options={}, form="v4l2", timeout=TIMEOUT_S)
        except Exception as error:
            raise MediaError(
                f"{name}: cannot be opened: {reason(error)}; connect it, close what else uses it, or give another number"
            ) from error

    return Media._of_film(lambda: Film(name, connect, True, rotate=rotate), True, again=False)


def _directshow_name(which: int | str) -> str:
    """Windows names its cameras, so a number counts through the names."""
    if isinstance(which, str):
        return which
    from av.device import enumerate_input_devices

    cameras = [d.name for d in enumerate_input_devices("dshow") if "video" in d.media_types]
    if not 0 <= which < len(cameras):
        raise ValueError(f"there are {len(cameras)} cameras")
    return f"video={cameras[which]}"


def _short(place: str) -> str:
    return place if len(place) <= 100 else f"{place[:48]}…{place[-48:]}"


def _mode(path: Path, name: str) -> int:
    """The kind of file that `path` is, where it can be read and is not empty."""
    place = shown_name(str(path))
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise MediaError(f"{place}: is a folder, but wanted a picture or film; give a file in it")
        if stat.S_ISREG(status.st_mode):
            with path.open("rb"):
                pass
    except FileNotFoundError:
        if str(path).startswith("/dev/video"):
            raise MediaError(f"{path}: cannot be opened: there is no such camera; connect it, or give another number") from None
        raise MediaError(f"{place}: cannot be read: there is no such file; check the path") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        if getattr(error, "errno", None) == errno.ENAMETOOLONG:
            raise MediaError(f"{_short(place)}: cannot be read: its name is too long for this disk; rename the file") from error
        raise MediaError(f"{place}: cannot be read: {reason(error)}; check the path and its permissions") from error
    if stat.S_ISREG(status.st_mode) and status.st_size == 0:
        raise MediaError(f"{name}: is empty (0 bytes), but wanted a picture or film; copy or record it again")
    return status.st_mode
