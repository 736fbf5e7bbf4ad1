"""Pictures, films and cameras in; pictures and H.264 films out. The only file that imports av.

    with open_media("talk.mp4") as media:
        for frame in media.frames(every=0.5):
            ...

What a file is, is decided by its content and never by its name. Films are decoded from front to back on one thread: on short
H.264 frames that costs the fewest CPU-seconds (frame threads take a fifth more, for less wall time), and `flow.prefetch` overlaps
it with whatever follows. No frame is sought, and none is converted that nobody asked for. Whatever goes wrong is one line in a
`MediaError`; no exception of PyAV or Pillow leaves this file.
"""

import errno
import importlib
import io
import math
import os
import re
import secrets
import shutil
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit, urlunsplit

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from mien.errors import MediaError
from mien.types import Frame, MediaInfo, MediaKind

MAX_PICTURE_PIXELS = 100_000_000
"""A picture that declares more is refused before a pixel of it is decoded."""

MAX_FILM_PIXELS = 8192 * 8192
"""A film whose frames declare more is refused at open."""

_TIMEOUT_S = 10.0  # how long an address may say nothing
_PATIENCE = 1000  # packets without a frame before a film counts as one that cannot be decoded
_NOT_YET_S = 0.005
_SLACK_S = 1e-6  # k * every is rounded, the media's clock is not: a frame this close before it counts as at it

_LIVE_SCHEMES = {"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "srt"}
_FILE_SCHEMES = {"http", "https"}

# What a local file may be. Without such a list a file of a stranger can be a playlist that names other files or addresses, and
# a text is "decoded" as a film of a terminal. Sound containers are in it so that the message can say that there is only sound.
_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,apng,mpegts,mpeg,mpegvideo,m4v,h264,hevc,av1,obu,ivf,flv,asf,ogg,mjpeg,"
    "yuv4mpegpipe,nut,mxf,dv,rm,wtv,vob,swf,h263,h261,vc1,mp3,wav,flac,aac,ac3,eac3,aiff,amr,w64,caf,opus"
)

_STILLS = "a JPEG, PNG, WebP, GIF, BMP or TIFF"
_WANTED = f"{_STILLS}, or a film such as MP4, MOV, MKV, WebM or AVI"

_Rgb = NDArray[np.uint8]
_Orientation = tuple[bool, bool, bool]  # swap rows and columns, then mirror left-right, then mirror top-bottom

_UPRIGHT: _Orientation = (False, False, False)

# EXIF 2.32, tag 0x0112: what has to be done to the stored picture to see it upright.
_EXIF: dict[int, _Orientation] = {
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


def open_media(
    source: str | os.PathLike[str] | int,
    *,
    kind: MediaKind | None = None,
    name: str | None = None,
    max_pixels: int | None = None,
) -> "Media":
    """Opens a picture, a film or a camera.

    source  a path; an address (http and https are films, rtsp and its like are live); the number of a camera; or its device
            ("/dev/video0")
    kind    None finds it out. "picture" or "video" refuses what is not one; "camera" treats an address or film as live, which
            has neither a length nor a second showing.
    name    what a file is called in `info` and in messages, where that is not its name on the disk
    max_pixels
            of a picture or a film's frames, where fewer shall be read than `MAX_PICTURE_PIXELS` and `MAX_FILM_PIXELS`

    Raises `MediaError` where the source is missing, empty, not readable, damaged from its first frame on, too large, or not a
    picture or film; `ValueError` for a kind that does not exist.
    """
    if kind not in (None, "picture", "video", "camera"):
        raise ValueError(f"kind must be 'picture', 'video', 'camera' or None, but got {kind!r}")
    if isinstance(source, int):
        return _open_camera(source, kind)
    text = os.fspath(source)
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", text)
    if scheme and scheme[1].lower() == "file":
        text = unquote(urlsplit(text).path)
    elif scheme:
        return _open_address(text, scheme[1].lower(), kind)
    path = Path(text)
    name = name or path.name
    mode = _mode(path, name)
    if stat.S_ISCHR(mode):
        return _open_camera(text, kind)
    plain = stat.S_ISREG(mode)
    if plain:
        plugin = _picture_plugin(path)
        if plugin is not None and not _moves(path, plugin, name, max_pixels):
            if kind in ("video", "camera"):
                raise MediaError(f"{name}: is a picture, but wanted a {kind}; leave out kind, or give a film")
            return Media._of_picture(*_read_picture(path, plugin, name, max_pixels))
    if kind == "picture":
        raise MediaError(f"{name}: is no still picture, but wanted one; give {_WANTED.split(', or')[0]}, or open it as a video")
    # An absolute path begins with "/" or a drive, so that no file name reads as a protocol of ffmpeg ("concat:a|b").
    place = os.path.abspath(path)
    options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "file,pipe"}
    live = kind == "camera"

    def film() -> _Film:
        return _Film(name, lambda: _av_open(place, options=options), live, max_pixels)

    return Media._of_film(film, live, again=plain and not live)


def stills_at(path: str | os.PathLike[str], times_s: Iterable[float], *, exact: bool = True) -> Iterator[Frame]:
    """The pictures that a film shows at these times, in their order, found by jumping instead of decoding all that lies between.

    times_s  seconds since the first frame, rising; a time after the end gives the last frame that can be had
    exact    False takes the key frame before each time instead, some seconds earlier: one decode each, whatever the film

    Frame.index counts the pictures given, from 0, and time_s is each one's own. Raises `MediaError` where the film cannot be
    opened; a picture that cannot be decoded is left out.
    """
    with open_media(path, kind="video") as media:
        film = media._take()
        context = film.stream.codec_context
        if not exact:
            context.skip_frame = "NONKEY"
        for index, wanted_s in enumerate(times_s):
            found: Any = None
            found_s = 0.0
            with suppress(av.error.FFmpegError, ValueError):
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


def read_picture(path: str | os.PathLike[str]) -> Frame:
    """Reads a still picture, upright (EXIF orientation), alpha laid on white, as a Frame of index 0 and time 0.

    JPEG, PNG, WebP, GIF, BMP, TIFF and, where Pillow can, AVIF; of several pages the first. Colour profiles are not applied.
    Raises `MediaError` where the file is missing, damaged, larger than `MAX_PICTURE_PIXELS`, or not a still picture.
    """
    with open_media(path, kind="picture") as media:
        return next(media.frames())


class Media:
    """One opened picture, film or camera; a context manager. Made by `open_media`."""

    info: MediaInfo

    def __init__(self, info: MediaInfo, picture: Frame | None, film: "_Film | None", reopen: "Callable[[], _Film] | None") -> None:
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
    def _of_film(cls, make: "Callable[[], _Film]", live: bool, *, again: bool) -> Self:
        film = make()
        return cls(film.info("camera" if live else "video"), None, film, make if again else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Media({self.info.name}: {self.info.kind}, {self.info.width}×{self.info.height}, {self.info.codec})"

    def close(self) -> None:
        """Closes the file or device; waits for a decode that runs in another thread. A second call does nothing."""
        self._closed = True
        # A driver may hang for ever. What it hangs in cannot be freed, and whoever closes it should not hang as well.
        if self._lock.acquire(timeout=2 * _TIMEOUT_S):
            try:
                for film in self._films:
                    film.close()
                self._films.clear()
            finally:
                self._lock.release()

    def frames(self, every: float | None = None) -> Iterator[Frame]:
        """The frames in order of time, each (H, W, 3) uint8 RGB with H and W as in `info`.

        every  seconds; None or 0 gives every frame, else the first frame and then, for each k = 1, 2, ..., the first at or
               after k * every on the media's own clock (one frame that answers several k comes once). `Frame.index` counts
               decoded frames, also those that are not given.

        A film can be gone through again, also by two iterators at a time; a camera, a pipe and a live address go on from where they
        are. Raises `MediaError` at the point where a damaged film cannot be decoded, after all the frames before it, and
        `ValueError` where `every` is negative or not a number, or the media is closed.
        """
        step = 0.0 if every is None else float(every)
        if not (step >= 0 and math.isfinite(step)):
            raise ValueError(f"every must be 0 or more seconds, or None, but got {every}")
        return self._stills() if self._picture is not None else self._sampled(step)

    def _stills(self) -> Iterator[Frame]:
        self._check_open()
        assert self._picture is not None
        yield self._picture

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError(f"{self.info.name}: is closed; open it again to take frames from it")

    def _take(self) -> "_Film":
        """The film at its first frame, or, where it cannot be had twice, where it is."""
        self._check_open()
        if self._reopen is None:
            return self._films[0]
        film, self._fresh = self._fresh, None
        if film is None:
            film = self._reopen()
            self._films.append(film)
        return film

    def _sampled(self, every: float) -> Iterator[Frame]:
        with self._lock:
            film = self._take()
        due = -math.inf
        try:
            while True:
                with self._lock:
                    self._check_open()
                    decoded = next(film.decoded, None)
                if decoded is None:
                    return
                index, time_s, picture = decoded
                if every and time_s + _SLACK_S < due:
                    continue
                if every:
                    due = (math.floor((time_s + _SLACK_S) / every) + 1) * every
                yield Frame(index, time_s, film.rgb(picture))
        finally:
            if self._reopen is not None:
                with self._lock:
                    film.close()
                    if film in self._films:
                        self._films.remove(film)


# --- films ---------------------------------------------------------------------------------------------------------------------


class _Clock:
    """Seconds since the first frame, strictly increasing, one for each frame, from timestamps as they come.

    A frame without a timestamp lies one average frame after the one before it. A timestamp that repeats, or goes back by less
    than a second, moves the frame to one tick (at most half a frame) after the one before it: it keeps its place in the order and
    the clock is right again with the next good frame. One that goes back further is a clock that was set anew (films joined
    end to end, a camera that restarted): the new clock is laid on the old one, one average frame on.
    """

    def __init__(self, time_base: Fraction | None, rate: float | None) -> None:
        self.time_base = time_base or Fraction(1, 1000)
        self.step = 1 / rate if rate else 1 / 25
        self.tick = min(float(self.time_base), self.step / 2)
        self.last: float | None = None
        self.anchor: tuple[int, float] | None = None  # a timestamp and the time that it stands for

    def __call__(self, pts: int | None) -> float:
        expected = 0.0 if self.last is None else self.last + self.step
        time_s = expected
        if pts is not None:
            if self.anchor is None:
                self.anchor = (pts, expected)
            time_s = self.anchor[1] + float((pts - self.anchor[0]) * self.time_base)
            if self.last is not None and time_s <= self.last:
                if time_s < self.last - 1.0:
                    self.anchor, time_s = (pts, expected), expected
                else:
                    time_s = self.last + self.tick
        self.last = time_s
        return time_s


class _Film:
    """One opened container and its decoder, run as far as the first frame: only that tells how the film is turned."""

    def __init__(self, name: str, connect: Callable[[], Any], live: bool, max_pixels: int | None = None) -> None:
        self.name, self.live, self.connect, self.max_pixels = name, live, connect, max_pixels
        self.container = _guarded(name, connect)
        try:
            self.stream = self._choose()
            self._check_size(self.stream.codec_context.width, self.stream.codec_context.height)
            context = self.stream.codec_context
            context.thread_type, context.thread_count = "NONE", 1
            context.options = {"max_pixels": str(MAX_FILM_PIXELS)}
            self.rate = float(self.stream.average_rate or self.stream.guessed_rate or 0) or None
            pictures = self._pictures()
            first = next(pictures, None)
            if first is None:
                raise MediaError(f"{name}: holds no frame that can be decoded; record or export it again")
        except BaseException:
            self.close()
            raise
        self._check_size(first.width, first.height)
        self.orientation = _display_matrix(first)
        self.shape = (first.height, first.width)
        self.start_s = float(first.pts * first.time_base) if first.pts is not None and first.time_base else 0.0
        self.duration_s, self.duration_is_films = self._duration()
        self.reformatter = VideoReformatter()  # kept: setting up a conversion costs half as much as the conversion
        self.decoded = self._timed(first, pictures)

    def close(self) -> None:
        if self.container is not None:
            self.container.close()

    def _choose(self) -> Any:
        films = [s for s in self.container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not films:
            sound = ", ".join(s.codec_context.name for s in self.container.streams.audio)
            what = f"holds sound ({sound}) but no film" if sound else "holds no film"
            raise MediaError(f"{self.name}: {what}; give {_WANTED}")
        best = self.container.streams.best("video")
        return best if best in films else films[0]

    def _check_size(self, width: int, height: int) -> None:
        if self.max_pixels is not None and width * height > self.max_pixels:
            raise MediaError(
                f"{self.name}: its frames are {width} × {height} pixels, but at most {self.max_pixels / 1e6:g} megapixels "
                "are read; make it smaller"
            )
        if width * height > MAX_FILM_PIXELS:
            limit = math.isqrt(MAX_FILM_PIXELS)
            raise MediaError(
                f"{self.name}: its frames are {width} × {height} pixels, but at most {limit} × {limit} are read; make it smaller"
            )

    def _duration(self) -> tuple[float | None, bool]:
        """Seconds as declared, and whether that is said of the film alone: sound may go on after it."""
        if self.live:
            return None, False
        stream, container = self.stream, self.container
        if stream.duration:
            return float(stream.duration * stream.time_base), True
        tag = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
        if tag:  # Matroska: the end of the last frame on the container's clock
            return max(0.0, int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3]) - self.start_s), True
        if container.duration:
            late = self.start_s - (container.start_time or 0) / av.time_base
            return max(0.0, container.duration / av.time_base - late), len(container.streams) == 1
        return None, False

    def info(self, kind: MediaKind) -> MediaInfo:
        height, width = self.shape[::-1] if self.orientation[0] else self.shape
        return MediaInfo(
            name=self.name,
            kind=kind,
            width=width,
            height=height,
            duration_s=self.duration_s,
            fps=self.rate,
            frames=None if self.live else self.stream.frames or None,
            has_audio=bool(self.container.streams.audio),
            codec=self.stream.codec_context.name,
        )

    def _pictures(self) -> Iterator[Any]:
        """Decoded frames, and after the last of them an av error where the film is damaged."""
        started, fruitless, silent_s = False, 0, 0.0
        packets = self.container.demux(self.stream)
        while True:
            frames: list[Any] = []
            damage: Exception | None = None
            packet = None
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                frames = packet.decode()
            except av.error.EOFError:
                return
            except (av.error.FFmpegError, ValueError) as error:
                damage = error
            if isinstance(damage, av.error.BlockingIOError) and silent_s < _TIMEOUT_S:  # avfoundation's way to say "not yet"
                time.sleep(_NOT_YET_S)
                silent_s += _NOT_YET_S
            elif damage is not None and (fruitless > _PATIENCE or not self._may_pass(damage, started)):
                with suppress(av.error.FFmpegError, ValueError):
                    frames = self.stream.decode(None)  # what the decoder still holds was good
                yield from frames
                raise damage
            if damage is not None and packet is None:
                packets = self.container.demux(self.stream)  # an iterator that has raised gives no more
            fruitless = 0 if frames else fruitless + 1
            if not started and fruitless > _PATIENCE:
                return
            if frames:
                started, silent_s = True, 0.0
            yield from frames

    def _may_pass(self, damage: Exception, started: bool) -> bool:
        """A recording may begin, and a live stream lose a packet, within a group of pictures: the next group is good again."""
        return isinstance(damage, av.error.InvalidDataError) and (self.live or not started)

    def _timed(self, first: Any, others: Iterator[Any]) -> Iterator[tuple[int, float, Any]]:
        """(index, seconds since the first frame, frame), and `MediaError` at the point of damage."""
        clock = _Clock(self.stream.time_base, self.rate)
        index, frame = 0, first
        while frame is not None:
            time_s = clock(frame.pts)
            end_s = time_s + (float(frame.duration * frame.time_base) if frame.duration and frame.time_base else clock.step)
            yield index, time_s, frame
            index += 1
            try:
                frame = next(others, None)
            except (av.error.FFmpegError, ValueError) as error:
                raise self._damaged(time_s, _reason(error)) from error
        if not self.live and self._cut_off(index, end_s, clock.step):
            raise self._damaged(end_s, "nothing more can be read")

    def _cut_off(self, frames: int, end_s: float, step: float) -> bool:
        """Whether a film that ended without an error says of itself that there should be more: some containers just stop."""
        form, declared = self.container.format.name, self.stream.frames
        if form == "gif":
            with suppress(OSError), open(self.container.name, "rb") as file:
                file.seek(-min(1024, file.seek(0, os.SEEK_END)), os.SEEK_END)
                # GIF89a, 27: the end of a block and the trailer; some programs append their own bytes to it.
                return b"\0;" not in file.read()
        if declared and frames >= declared:
            return False
        # AVI's length is ffmpeg's own guess from the size of the file.
        length = declared * step if form == "avi" else self.duration_s if self.duration_is_films else None
        return (length or 0.0) - end_s > max(0.25, 3 * step)

    def _damaged(self, time_s: float, reason: str) -> MediaError:
        if self.live:
            return MediaError(f"{self.name}: gave no more frames after {time_s:.2f} s: {reason}; connect it again")
        span = f" of {self.duration_s:.2f} s" if self.duration_s else ""
        return MediaError(f"{self.name}: cannot decode after {time_s:.2f} s{span}: {reason}; what comes before is good")

    def rgb(self, frame: Any) -> _Rgb:
        """A decoded frame as (H, W, 3) uint8, turned upright. A film that changes its size goes on in the size it began with."""
        height, width = self.shape
        # One thread: swscale's own threads cost half as much again in CPU time and gain nothing at these sizes.
        see_through = frame.format.name != "pal8" and any(c.is_alpha for c in frame.format.components)
        target = "rgba" if see_through else "rgb24"
        picture: Any = self.reformatter.reformat(frame, width=width, height=height, format=target, threads=1).to_ndarray()
        return _turned(_on_white(picture) if see_through else picture, self.orientation)


def _av_open(place: str, *, options: dict[str, str], form: str | None = None, timeout: float | None = None) -> Any:
    # max_pixels keeps even the look into the streams from allocating a frame of a size that is refused below.
    options = {"max_pixels": str(MAX_FILM_PIXELS)} | options
    return av.open(place, "r", format=form, options=options, metadata_errors="replace", timeout=timeout)


def _guarded(name: str, connect: Callable[[], Any]) -> Any:
    try:
        return connect()
    except (av.error.InvalidDataError, av.error.ArgumentError) as error:  # the latter: a format that is none of _DEMUXERS
        raise MediaError(f"{name}: is not a picture or film that can be read, or its index is cut off; give {_WANTED}") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"{name}: cannot be opened: {_reason(error)}; check that it is there and may be read") from error


def _display_matrix(frame: Any) -> _Orientation:
    """How the file wants its frames turned: the nearest of the eight ways, mirrors too.

    The matrix is ffmpeg's (libavutil/display.h): column p, row q go to (a p + c q, b p + d q), as 16.16 fixed point.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return _UPRIGHT
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, a < 0, d < 0
    return True, c < 0, b < 0


def _turned(rgb: _Rgb, orientation: _Orientation) -> _Rgb:
    """`rgb` the right way up, contiguous."""
    swap, left_right, top_bottom = orientation
    if orientation == _UPRIGHT:
        return rgb
    import cv2  # np.ascontiguousarray of a turned view takes ten times as long

    turned = cv2.transpose(rgb) if swap else rgb
    if left_right or top_bottom:
        turned = cv2.flip(turned, -1 if left_right and top_bottom else int(left_right))
    result: _Rgb = turned
    return result


def _on_white(rgba: _Rgb) -> _Rgb:
    alpha = rgba[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(rgba[..., :3])
    weight = alpha.astype(np.uint16)
    blended = rgba[..., :3] * weight + 255 * (255 - weight)
    return ((blended + 127) // 255).astype(np.uint8)


def shown_name(source: str) -> str:
    """A path as it is, an address without its password and keys: neither belongs in a report or a log."""
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source):
        return source
    parts = urlsplit(source)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _open_address(address: str, scheme: str, kind: MediaKind | None) -> Media:
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
        lambda: _Film(name, lambda: _av_open(address, options=options, timeout=_TIMEOUT_S), live), live, again=not live
    )


def _open_camera(which: int | str, kind: MediaKind | None) -> Media:
    """A camera by its number or its device."""
    name = f"camera {which}" if isinstance(which, int) else which
    if kind not in (None, "camera"):
        raise MediaError(f"{name}: is a camera, but wanted a {kind}; leave out kind, or give a file")

    def connect() -> Any:
        try:
            if sys.platform == "darwin":
                return _av_open(f"{which}:none", options={"framerate": "30"}, form="avfoundation", timeout=_TIMEOUT_S)
            if sys.platform == "win32":
                return _av_open(_directshow_name(which), options={}, form="dshow", timeout=_TIMEOUT_S)
            device = f"/dev/video{which}" if isinstance(which, int) else which
            return _av_open(device, options={}, form="v4l2", timeout=_TIMEOUT_S)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise MediaError(
                f"{name}: cannot be opened: {_reason(error)}; connect it, close what else uses it, or give another number"
            ) from error

    return Media._of_film(lambda: _Film(name, connect, True), True, again=False)


def _directshow_name(which: int | str) -> str:
    """Windows names its cameras, so a number counts through the names."""
    if isinstance(which, str):
        return which
    from av.device import enumerate_input_devices

    cameras = [d.name for d in enumerate_input_devices("dshow") if "video" in d.media_types]
    if not 0 <= which < len(cameras):
        raise ValueError(f"there are {len(cameras)} cameras")
    return f"video={cameras[which]}"


def _reason(error: BaseException) -> str:
    """What an error says, as a few words without the file's name and numbers."""
    if isinstance(error, av.error.InvalidDataError):
        return "invalid data"
    if isinstance(error, av.error.ExitError):  # ffmpeg's word for "interrupted", which is what a time limit does
        return f"no answer within {_TIMEOUT_S:g} s"
    text = (error.strerror if isinstance(error, OSError | av.error.FFmpegError) else None) or str(error) or type(error).__name__
    text = " ".join(text.split()).rstrip(".")
    return text[:1].lower() + text[1:]


def _mode(path: Path, name: str) -> int:
    """The kind of file that `path` is, where it can be read and is not empty."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise MediaError(f"{path}: is a folder, but wanted a picture or film; give a file in it")
        if stat.S_ISREG(status.st_mode):
            with path.open("rb"):
                pass
    except FileNotFoundError:
        if str(path).startswith("/dev/video"):
            raise MediaError(f"{path}: cannot be opened: there is no such camera; connect it, or give another number") from None
        raise MediaError(f"{path}: cannot be read: there is no such file; check the path") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise MediaError(f"{path}: cannot be read: {_reason(error)}; check the path and its permissions") from error
    if stat.S_ISREG(status.st_mode) and status.st_size == 0:
        raise MediaError(f"{name}: is empty (0 bytes), but wanted a picture or film; copy or record it again")
    return status.st_mode


# --- pictures ------------------------------------------------------------------------------------------------------------------


def _picture_plugin(path: Path) -> Any:
    """Pillow's reader for what the first bytes say, or None where they are not those of a picture.

    The readers are called by name because `Image.open` warns of large pictures on its own terms, before `MAX_PICTURE_PIXELS` can
    be asked.
    """
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"\xff\xd8\xff"):
        name = "Jpeg"
    elif head.startswith(b"\x89PNG\r\n\x1a\n"):
        name = "Png"
    elif head.startswith((b"GIF87a", b"GIF89a")):
        name = "Gif"
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        name = "WebP"
    elif head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        name = "Tiff"
    elif head.startswith(b"BM"):
        name = "Bmp"
    elif head[4:12] == b"ftypavif":
        name = "Avif"
    else:
        return None
    module = importlib.import_module(f"PIL.{name}ImagePlugin")
    return getattr(module, f"{name}ImageFile")


def _opened_picture(path: Path, plugin: Any, name: str, max_pixels: int | None) -> Any:
    try:
        picture = plugin(path)
    except Exception as error:  # readers of damaged files raise whatever their parsing met: SyntaxError, struct.error, KeyError
        raise MediaError(f"{name}: cannot be read as a picture: {_reason(error)}; export it again") from error
    width, height = picture.size
    most = MAX_PICTURE_PIXELS if max_pixels is None else min(max_pixels, MAX_PICTURE_PIXELS)
    if width * height > most:
        picture.close()
        limit = f"{most / 1e6:g}"
        raise MediaError(f"{name}: is {width} × {height} pixels, but at most {limit} megapixels are read; make it smaller")
    return picture


def _moves(path: Path, plugin: Any, name: str, max_pixels: int | None) -> bool:
    """Whether a picture file is a film: a GIF or a PNG of more than one frame."""
    if plugin.format not in ("GIF", "PNG"):
        return False
    with _opened_picture(path, plugin, name, max_pixels) as picture:
        try:
            return bool(picture.is_animated)
        except Exception:  # damaged behind the first frame: a picture, which its reading will judge
            return False


def _read_picture(path: Path, plugin: Any, name: str, max_pixels: int | None) -> tuple[MediaInfo, Frame]:
    with _opened_picture(path, plugin, name, max_pixels) as picture:
        try:
            picture.load()
            rgb = _picture_rgb(picture)
        except Exception as error:
            raise MediaError(f"{name}: cannot be decoded: {_reason(error)}; export it again") from error
        orientation = _UPRIGHT
        with suppress(Exception):  # a picture whose EXIF block is damaged is shown as it lies
            # Asked after load(), which for TIFF turns the picture itself and forgets the tag.
            orientation = _EXIF.get(picture.getexif().get(0x0112, 1), _UPRIGHT)
    rgb = _turned(rgb, orientation)
    height, width = rgb.shape[:2]
    codec = str(plugin.format).lower()
    return MediaInfo(name, "picture", width, height, None, None, 1, False, codec), Frame(0, 0.0, rgb)


_LIVE_PICTURES = ((b"\xff\xd8\xff", "Jpeg"), (b"\x89PNG\r\n\x1a\n", "Png"), (b"RIFF", "WebP"))


def decode_picture(data: bytes, *, max_pixels: int = MAX_PICTURE_PIXELS) -> _Rgb:
    """A JPEG, PNG or WebP that is in memory, such as a frame of a live view, as (H, W, 3) uint8 RGB.

    Its size is judged by what its header declares, before a pixel is decoded. Raises `MediaError` for one that is larger, damaged,
    cut off, or something else.
    """
    name = next((name for start, name in _LIVE_PICTURES if data.startswith(start)), None)
    if name is None:
        raise MediaError("the picture is none that is read here: wanted a JPEG, PNG or WebP")
    try:
        picture = getattr(importlib.import_module(f"PIL.{name}ImagePlugin"), f"{name}ImageFile")(io.BytesIO(data))
        width, height = picture.size
        if 0 < width * height <= max_pixels:
            picture.load()
            return _picture_rgb(picture)
    except Exception as error:  # as in _opened_picture
        raise MediaError(f"the picture cannot be decoded: {_reason(error)}; send it again") from error
    raise MediaError(
        f"the picture is {width} × {height} pixels, but at most {max_pixels / 1e6:g} megapixels are read; make it smaller"
    )


def _picture_rgb(picture: Any) -> _Rgb:
    """Any of Pillow's modes as (H, W, 3) uint8."""
    if picture.mode.startswith("I;16"):
        return _grey(np.asarray(picture) >> 8)
    if picture.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(picture, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        # Neither mode says what white is: the smallest customary one that holds all the values.
        peak = float(values.max())
        customary = (1.0, 255.0, 65535.0) if picture.mode == "F" else (255.0, 65535.0)
        white = next((w for w in customary if peak <= w), peak)
        return _grey(np.clip(np.rint(values * (255.0 / white)), 0, 255))
    if picture.has_transparency_data:
        return _on_white(np.asarray(picture.convert("RGBA")))
    return np.array(picture.convert("RGB"))


def _grey(values: NDArray[Any]) -> _Rgb:
    return np.repeat(values.astype(np.uint8)[..., None], 3, axis=2)


def write_picture(path: str | os.PathLike[str], rgb: _Rgb) -> None:
    """Writes (H, W, 3) uint8 RGB as PNG or JPEG, by the suffix (.png, .jpg, .jpeg), whole or not at all.

    Raises `ValueError` for another suffix, shape or type, and `MediaError` where the file cannot be written.
    """
    target = Path(path)
    form = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}.get(target.suffix.lower())
    if form is None:
        raise ValueError(f"{target.name}: a picture is written as .png, .jpg or .jpeg, but got {target.suffix or 'no suffix'!r}")
    _check_rgb(rgb, None)
    from PIL import Image

    part = _part(target)
    try:
        Image.fromarray(np.ascontiguousarray(rgb)).save(part, form, quality=92)
        part.replace(target)
    except OSError as error:
        raise MediaError(f"{target}: cannot be written: {_reason(error)}; {_remedy(error)}") from error
    finally:
        part.unlink(missing_ok=True)


# --- writing films -------------------------------------------------------------------------------------------------------------


_TICKS = 90_000  # per second: 1/90000 holds 24, 25, 30, 50 and 60 frames a second exactly, and 1001ths to 11 microseconds
_PLAYS_IN_MP4 = {"aac", "mp3", "opus"}  # AC-3 and ALAC fit too, but most browsers are deaf to them: they are made AAC
_AAC_RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}


class VideoWriter:
    """An H.264 film (yuv420p, MP4, index at the front) that plays in every browser, whole or not at all. A context manager.

    with VideoWriter("annotated.mp4", width, height, sound_from="talk.mp4") as film:
        film.write(rgb, time_s)

    Frames go to a hidden file beside the target, which takes the target's name when all is written. After an exception in the
    block, or after `discard`, that file is gone, and a run that is killed leaves nothing under the target's name.

    path        the target, .mp4 or .m4v; an older file there is replaced
    width       pixels; an odd width or height gets one more column or row, a copy of the last one, as yuv420p needs
    height      pixels
    fps_hint    frames per second to expect, for the encoder's spacing of key frames; times come from `write`
    sound_from  a film whose sound goes along: copied where it is AAC, MP3 or Opus, else made AAC. It keeps its place against the
                picture if time 0 is that film's first frame. It ends with the picture if not the whole film is written.

    Raises `ValueError` for wrong arguments and `MediaError` where the target cannot be written or the sound cannot be opened.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        width: int,
        height: int,
        *,
        fps_hint: float | None = None,
        sound_from: str | os.PathLike[str] | None = None,
    ) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in (".mp4", ".m4v"):
            raise ValueError(f"{self.path.name}: a film is written as .mp4 or .m4v, but got {self.path.suffix or 'no suffix'!r}")
        if width < 1 or height < 1 or width * height > MAX_FILM_PIXELS:
            raise ValueError(f"width and height must be 1 to {math.isqrt(MAX_FILM_PIXELS)} pixels, but got {width} × {height}")
        if fps_hint is not None and not (0 < fps_hint < math.inf):
            raise ValueError(f"fps_hint must be more than 0, but got {fps_hint}")
        self.width, self.height = int(width), int(height)
        self._last: int | None = None  # ticks
        self._step = round(_TICKS / (fps_hint or 25))
        self._reformatter = VideoReformatter()
        self._part = _part(self.path)
        self._sound: _Sound | None = None
        self._container: Any = None
        try:
            self._sound = _Sound.of(sound_from) if sound_from is not None else None
            self._container = av.open(str(self._part.absolute()), "w", format="mp4", options={"movflags": "+faststart"})
            self._stream = self._add_film(fps_hint or 25.0)
            if self._sound is not None:
                self._sound.add_to(self._container)
            self._container.start_encoding()
        except BaseException as error:
            self._fail(error)
            raise

    def _add_film(self, fps: float) -> Any:
        encoder = next((name for name in ("libx264", "libopenh264") if name in av.codec.codecs_available), None)
        if encoder is None:
            raise MediaError(
                f"{self.path.name}: cannot be written: PyAV has no H.264 encoder; run: pip install --force-reinstall av"
            )
        stream = self._container.add_stream(encoder, rate=Fraction(fps).limit_denominator(1001))
        context = stream.codec_context
        context.width, context.height = self.width + self.width % 2, self.height + self.height % 2
        context.pix_fmt = "yuv420p"
        context.time_base = stream.time_base = Fraction(1, _TICKS)
        context.thread_count = 1
        # B-frames are decoded before they are shown; the container then counts the length of an uneven film in decoding order, and
        # cuts its end off.
        context.max_b_frames = 0
        context.gop_size = max(12, min(250, round(4 * fps)))  # a player can jump to within about four seconds
        if encoder == "libx264":
            context.options = {"preset": "veryfast", "crf": "23", "profile": "high"}
        else:  # openh264 knows no crf: 0.1 bit for each pixel of each frame
            context.bit_rate = max(200_000, int(0.1 * self.width * self.height * fps))
        # Said in the file, for players guess untagged films by their size, and differently.
        context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
        context.color_range = 1  # 16 to 235
        return stream

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            self.close()
        else:
            self.discard()

    def write(self, rgb: _Rgb, time_s: float) -> None:
        """Adds a frame: (height, width, 3) uint8 RGB, shown from `time_s` seconds on, which must lie after the frame before.

        Raises `ValueError` for another shape or type, a time that does not increase, or a closed writer; `MediaError` where the
        target cannot be written, for example on a full disk.
        """
        if self._container is None:
            raise ValueError(f"{self.path.name}: is closed; make another VideoWriter to write")
        _check_rgb(rgb, (self.height, self.width))
        if not (0 <= time_s < math.inf):
            raise ValueError(f"time_s must be 0 or more seconds, but got {time_s}")
        ticks = round(time_s * _TICKS)
        if self._last is not None:
            if ticks <= self._last:
                raise ValueError(f"time_s must increase by 1/{_TICKS} s or more, but {time_s} follows {self._last / _TICKS}")
            self._step = ticks - self._last
        if self.width % 2 or self.height % 2:
            rgb = np.pad(rgb, ((0, self.height % 2), (0, self.width % 2), (0, 0)), mode="edge")
        frame = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )
        frame.pts, frame.time_base = ticks, Fraction(1, _TICKS)
        self._last = ticks
        try:
            self._mux(self._stream.encode(frame))
            if self._sound is not None:
                self._sound.write(until_s=time_s)
        except BaseException as error:
            self._fail(error)
            raise

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.duration = self._step  # counts for the last frame only: the others last until the next one
            self._container.mux(packet)

    def close(self) -> None:
        """Ends the film and gives it the target's name. A second call does nothing.

        Raises `MediaError`, and leaves nothing behind, where it cannot be written or has no frame.
        """
        if self._container is None:
            return
        try:
            if self._last is None:
                raise MediaError(f"{self.path.name}: no frame was written, so that there is no film; write one before closing")
            self._mux(self._stream.encode(None))
            if self._sound is not None:
                self._sound.finish(end_s=(self._last + self._step) / _TICKS)
                self._sound.close()
            container, self._container = self._container, None
            container.close()
            self._part.replace(self.path)
        except BaseException as error:
            self._fail(error)
            raise

    def discard(self) -> None:
        """Gives the film up: nothing is left of it."""
        container, self._container = self._container, None
        if self._sound is not None:
            self._sound.close()
        if container is not None:
            with suppress(av.error.FFmpegError, OSError, ValueError):
                container.close()
        self._part.unlink(missing_ok=True)

    def _fail(self, error: BaseException) -> None:
        """Cleans up, and turns what ffmpeg or the disk says into a `MediaError`; other errors are left to the caller's raise."""
        self.discard()
        if isinstance(error, av.error.FFmpegError | OSError):
            raise MediaError(f"{self.path}: cannot be written: {_reason(error)}; {_remedy(error)}") from error


class _Sound:
    """The sound of one film, on its way into another, shifted so that the film's first frame is at 0."""

    def __init__(self, container: Any, stream: Any, start_s: float, film_s: float | None) -> None:
        self.source, self.stream, self.start_s, self.film_s = container, stream, start_s, film_s
        self.copied = stream.codec_context.codec.canonical_name in _PLAYS_IN_MP4
        self.time_s = -math.inf  # up to where it is written
        self.packets = container.demux(stream)
        self.ended = False
        self.last_dts: int | None = None
        self.next_pts: int | None = None
        self.target: Any = None
        self.out: Any = None

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> "_Sound | None":
        """None where the film has no sound."""
        with open_media(path) as media:
            if not media.info.has_audio or not media._films:
                return None
            film, film_s = media._films[0], media.info.duration_s
        container = _guarded(media.info.name, film.connect)
        for other in container.streams:
            if other.type != "audio":
                other.discard = av.stream.Discard.all  # the pictures are not read a second time
        return cls(container, container.streams.best("audio") or container.streams.audio[0], film.start_s, film_s)

    def add_to(self, target: Any) -> None:
        self.target = target
        if self.copied:
            self.out = target.add_stream_from_template(self.stream)
            return
        context = self.stream.codec_context
        rate = context.rate if context.rate in _AAC_RATES else 48_000
        self.out = target.add_stream("aac", rate=rate)
        self.out.codec_context.layout = "mono" if context.layout.nb_channels == 1 else "stereo"
        self.out.codec_context.bit_rate = 128_000

    def close(self) -> None:
        self.source.close()

    def write(self, until_s: float) -> None:
        """Goes on until the sound reaches `until_s`, so that no more than that lies in memory."""
        while not self.ended and self.time_s < until_s:
            try:
                packet = next(self.packets, None)
            except (av.error.FFmpegError, ValueError):
                packet = None  # cut off: the film that is cut off there says so where it is read
            if packet is None:
                self.ended = True
            elif self.copied:
                self._copy(packet)
            else:
                self._transcode(packet)

    def finish(self, end_s: float) -> None:
        """All the rest, or up to `end_s` where the picture stops before its film does."""
        whole = self.film_s is None or end_s + 1.0 >= self.film_s
        self.write(math.inf if whole else end_s)
        if not self.copied:
            self.target.mux(self.out.encode(None))

    def _copy(self, packet: Any) -> None:
        if packet.size == 0:
            return
        base, duration = packet.time_base, packet.duration or 0
        pts = packet.pts if packet.pts is not None else packet.dts if packet.dts is not None else self.next_pts
        if pts is None:
            pts = round(self.start_s / base)
        self.next_pts = pts + duration
        pts -= round(self.start_s / base)
        self.time_s = float(pts * base)
        if float((pts + duration) * base) <= -0.05:  # heard before the first frame; the last of it is kept, to wind the decoder up
            return
        if self.last_dts is not None and pts <= self.last_dts:
            pts = self.last_dts + 1
        self.last_dts = pts
        packet.pts = packet.dts = pts  # sound is stored in the order in which it is heard
        packet.stream = self.out
        self.target.mux(packet)

    def _transcode(self, packet: Any) -> None:
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:  # one bad packet is a click, not the end
            return
        for frame in frames:
            base = frame.time_base
            pts = frame.pts if frame.pts is not None else self.next_pts
            if pts is None:
                pts = round(self.start_s / base)
            self.next_pts = pts + round(Fraction(frame.samples, frame.sample_rate) / base)
            frame.pts = pts - round(self.start_s / base)
            self.time_s = float(frame.pts * base)
            if self.time_s + frame.samples / frame.sample_rate > 0:
                self.target.mux(self.out.encode(frame))


def film_for_browsers(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    name: str | None = None,
    max_pixels: int | None = None,
    max_film_s: float | None = None,
    progress: Callable[[float | None], None] | None = None,
) -> tuple[MediaInfo, bool]:
    """Writes a film as one that every browser plays, sound kept, whole or not at all.

    Gives what the target is, and whether it was made anew.

    A film that is MP4 with H.264 (8 bits, 4:2:0) and AAC or MP3 already is copied as it is, once it was read to its end. Others
    become an H.264 film of at most `BROWSER_SIDE_MAX_PX` a side.

    progress  called with the share that is done, None where the film does not say how long it is

    Raises `MediaError` where the source is no film, is damaged anywhere, is larger than `max_pixels` a frame or longer than
    `max_film_s`, or the target cannot be written.
    """
    tell = progress or (lambda share: None)
    with open_media(source, name=name, max_pixels=max_pixels) as media:
        info = media.info
        if info.kind != "video":
            raise MediaError(f"{info.name}: is a picture, but wanted a film such as MP4, MOV, MKV, WebM or AVI")
        _check_length(info.name, info.duration_s, max_film_s)
        anew = not _plays_in_browsers(source, media._films[0].container)
        if anew:
            _made_anew(media, source, Path(target), max_film_s, tell)
        else:
            _read_to_its_end(media, tell)
            _copied(Path(source), Path(target))
    with open_media(target, kind="video", name=info.name) as made:
        return made.info, anew


BROWSER_SIDE_MAX_PX = 1920
_BROWSER_PIXELS = {"yuv420p", "yuvj420p"}


def _plays_in_browsers(path: str | os.PathLike[str], container: Any) -> bool:
    with open(path, "rb") as file:
        head = file.read(12)
    films, sounds = container.streams.video, container.streams.audio
    return (
        head[4:8] == b"ftyp"
        and head[8:12] != b"qt  "  # QuickTime's own, which is not played everywhere
        and len(films) == 1
        and films[0].codec_context.name == "h264"
        and films[0].codec_context.pix_fmt in _BROWSER_PIXELS
        and all(sound.codec_context.name in ("aac", "mp3", "mp3float") for sound in sounds)
    )


def _check_length(name: str, length_s: float | None, most_s: float | None) -> None:
    if most_s is not None and (length_s or 0.0) > most_s:
        raise MediaError(f"{name}: is {(length_s or 0) / 60:.0f} min long, but at most {most_s / 60:g} min are taken; cut it")


def _read_to_its_end(media: Media, tell: Callable[[float | None], None]) -> None:
    """Reads what is stored without decoding it. Raises `MediaError` where there is less than the film says."""
    film = media._take()
    length_s, end_s = media.info.duration_s, 0.0
    try:
        for packet in film.container.demux(film.stream):
            if packet.pts is not None:
                end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base) - film.start_s)
                tell(end_s / length_s if length_s else None)
    except (av.error.FFmpegError, ValueError) as error:
        raise film._damaged(end_s, _reason(error)) from error
    if length_s and length_s - end_s > 1.0:
        raise film._damaged(end_s, "nothing more can be read")


def _copied(source: Path, target: Path) -> None:
    part = _part(target)
    try:
        shutil.copyfile(source, part)
        part.replace(target)
    except OSError as error:
        raise MediaError(f"{target}: cannot be written: {_reason(error)}; {_remedy(error)}") from error
    finally:
        part.unlink(missing_ok=True)


def _made_anew(
    media: Media, source: str | os.PathLike[str], target: Path, max_film_s: float | None, tell: Callable[[float | None], None]
) -> None:
    import cv2

    info = media.info
    scale = min(1.0, BROWSER_SIDE_MAX_PX / max(info.width, info.height))
    width, height = max(1, round(info.width * scale)), max(1, round(info.height * scale))
    fps = info.fps if info.fps and 0 < info.fps < math.inf else None
    with VideoWriter(target, width, height, fps_hint=fps, sound_from=source) as writer:
        for frame in media.frames():
            rgb = frame.rgb if scale == 1.0 else cv2.resize(frame.rgb, (width, height), interpolation=cv2.INTER_AREA)
            writer.write(rgb, frame.time_s)
            _check_length(info.name, frame.time_s, max_film_s)
            tell(frame.time_s / info.duration_s if info.duration_s else None)


def _check_rgb(rgb: _Rgb, size: tuple[int, int] | None) -> None:
    fits = isinstance(rgb, np.ndarray) and rgb.dtype == np.uint8 and rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.size > 0
    if not fits or (size is not None and rgb.shape[:2] != size):
        wanted = "(height, width, 3)" if size is None else f"({size[0]}, {size[1]}, 3)"
        given = f"{rgb.dtype} {rgb.shape}" if isinstance(rgb, np.ndarray) else type(rgb).__name__
        raise ValueError(f"rgb must be uint8 {wanted}, but got {given}")


def _part(target: Path) -> Path:
    """A name beside `target` for what is not yet whole: the same disk, so that the renaming is one step."""
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")


def _remedy(error: BaseException) -> str:
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "make room, or write elsewhere"
    return "check that the folder is there and may be written to"
