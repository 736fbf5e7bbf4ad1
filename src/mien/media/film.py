"""One opened container and its decoder: frames at their times, as they are shown, and one line at the point of damage."""

import math
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from mien.errors import MediaError
from mien.media.shown import UPRIGHT, Orientation, Rgb, on_white, turned
from mien.media.words import TIMEOUT_S, WANTED, reason
from mien.types import MediaInfo, MediaKind

MAX_FILM_PIXELS = 8192 * 8192
"""A film whose frames declare more is refused at open."""


_PATIENCE = 1000  # packets without a frame before a film counts as one that cannot be decoded
_NOT_YET_S = 0.005


# What a local file may be. Without such a list a file of a stranger can be a playlist that names other files or addresses, and
# a text is "decoded" as a film of a terminal. Sound containers are in it so that the message can say that there is only sound.
DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,apng,mpegts,mpeg,mpegvideo,m4v,h264,hevc,av1,obu,ivf,flv,asf,ogg,mjpeg,"
    "yuv4mpegpipe,nut,mxf,dv,rm,wtv,vob,swf,h263,h261,vc1,mp3,wav,flac,aac,ac3,eac3,aiff,amr,w64,caf,opus"
)


class Clock:
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


class Film:
    """One opened container and its decoder, run as far as the first frame: only that tells how the film is turned."""

    def __init__(self, name: str, connect: Callable[[], Any], live: bool, max_pixels: int | None = None) -> None:
        self.name, self.live, self.connect, self.max_pixels = name, live, connect, max_pixels
        self.container = guarded(name, connect)
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
            raise MediaError(f"{self.name}: {what}; give {WANTED}")
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
            if isinstance(damage, av.error.BlockingIOError) and silent_s < TIMEOUT_S:  # avfoundation's way to say "not yet"
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
        clock = Clock(self.stream.time_base, self.rate)
        index, frame = 0, first
        while frame is not None:
            time_s = clock(frame.pts)
            end_s = time_s + (float(frame.duration * frame.time_base) if frame.duration and frame.time_base else clock.step)
            yield index, time_s, frame
            index += 1
            try:
                frame = next(others, None)
            except (av.error.FFmpegError, ValueError) as error:
                raise self._damaged(time_s, reason(error)) from error
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

    def rgb(self, frame: Any) -> Rgb:
        """A decoded frame as (H, W, 3) uint8, turned upright. A film that changes its size goes on in the size it began with."""
        height, width = self.shape
        # One thread: swscale's own threads cost half as much again in CPU time and gain nothing at these sizes.
        see_through = frame.format.name != "pal8" and any(c.is_alpha for c in frame.format.components)
        target = "rgba" if see_through else "rgb24"
        picture: Any = self.reformatter.reformat(frame, width=width, height=height, format=target, threads=1).to_ndarray()
        return turned(on_white(picture) if see_through else picture, self.orientation)


def av_open(place: str, *, options: dict[str, str], form: str | None = None, timeout: float | None = None) -> Any:
    # max_pixels keeps even the look into the streams from allocating a frame of a size that is refused below.
    options = {"max_pixels": str(MAX_FILM_PIXELS)} | options
    return av.open(place, "r", format=form, options=options, metadata_errors="replace", timeout=timeout)


def guarded(name: str, connect: Callable[[], Any]) -> Any:
    try:
        return connect()
    except (av.error.InvalidDataError, av.error.ArgumentError) as error:  # the latter: a format that is none of DEMUXERS
        raise MediaError(f"{name}: is not a picture or film that can be read, or its index is cut off; give {WANTED}") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"{name}: cannot be opened: {reason(error)}; check that it is there and may be read") from error


def _display_matrix(frame: Any) -> Orientation:
    """How the file wants its frames turned: the nearest of the eight ways, mirrors too.

    The matrix is ffmpeg's (libavutil/display.h): column p, row q go to (a p + c q, b p + d q), as 16.16 fixed point.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return UPRIGHT
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, a < 0, d < 0
    return True, c < 0, b < 0
