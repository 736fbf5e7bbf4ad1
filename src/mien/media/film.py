"""One opened container and its decoder: frames at their times, as they are shown, and one line at the point of damage."""

import itertools
import math
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from mien.errors import MediaError
from mien.media.boxes import visible
from mien.media.hdr import HLG, PQ, as_on_a_screen
from mien.media.shown import UPRIGHT, Geometry, Orientation, Rgb, on_white, quarter
from mien.media.words import TIMEOUT_S, WANTED, reason, said_of_turn
from mien.types import MediaInfo, MediaKind

MAX_FILM_PIXELS = 8192 * 8192
"""A film whose frames declare more is refused at open."""


_PATIENCE = 1000  # packets without a frame before a film counts as one that cannot be decoded
_NOT_YET_S = 0.005

# A clock beyond these is a damaged or hostile file's, not a film's: 1 : 1,000,000,000 frames a second would be 277,777 h each.
_SLOWEST_FPS, _FASTEST_FPS = 1 / 86_400, 10_000.0
_LONGEST_FRAME_S, _LONGEST_FILM_S = 86_400.0, 31 * 86_400.0
_LEAST_S = 2e-5  # between two frames: what a written film can still tell apart (1/90000 s)

_MOST_ASPECT = 8.0  # of a pixel; the most oblong in use is 64:45, of film scans 2:1
_INDEX_MOST = 1_000_000  # frames whose index is gone through
_FIRST_YEAR = 1990  # a date before that is a clock that was never set

# What a local file may be. Without such a list a file of a stranger can be a playlist that names other files or addresses, and
# a text is "decoded" as a film of a terminal. Sound containers are in it so that the message can say that there is only sound.
DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,apng,mpegts,mpeg,mpegvideo,m4v,h264,hevc,av1,obu,ivf,flv,asf,ogg,mjpeg,"
    "yuv4mpegpipe,nut,mxf,dv,rm,wtv,vob,swf,h263,h261,vc1,mp3,wav,flac,aac,ac3,eac3,aiff,amr,w64,caf,opus"
)


_BARE = frozenset(("h264", "hevc", "m4v", "mpegvideo", "h263", "vc1", "av1", "obu"))
"""Bare streams of a codec."""


class Clock:
    """Seconds since the first frame, strictly increasing, one for each frame, from timestamps as they come.

    A frame without a timestamp lies one average frame after the one before it. A timestamp that repeats, or goes back by less
    than a second, moves the frame to one tick (at most half a frame) after the one before it: it keeps its place in the order and
    the clock is right again with the next good frame. One that goes back further is a clock that was set anew (films joined
    end to end, a camera that restarted): the new clock is laid on the old one, one average frame on. So is one that jumps ahead by
    more than a day: no frame is shown that long.
    """

    def __init__(self, time_base: Fraction | None, rate: float | None) -> None:
        self.time_base = time_base or Fraction(1, 1000)
        self.step = 1 / rate if rate else 1 / 25
        self.tick = min(max(float(self.time_base), _LEAST_S), self.step / 2)
        self.last: float | None = None
        self.jumped = False  # ahead, by more than is believed
        self.anchor: tuple[int, float] | None = None  # a timestamp and the time that it stands for

    def __call__(self, pts: int | None) -> float:
        expected = 0.0 if self.last is None else self.last + self.step
        time_s = expected
        if pts is not None:
            if self.anchor is None:
                self.anchor = (pts, expected)
            time_s = self.anchor[1] + float((pts - self.anchor[0]) * self.time_base)
            if self.last is not None and not self.last + _LEAST_S <= time_s <= self.last + _LONGEST_FRAME_S:
                if time_s < self.last - 1.0 or time_s > self.last + _LONGEST_FRAME_S:
                    self.jumped |= time_s > self.last
                    self.anchor, time_s = (pts, expected), expected
                else:
                    time_s = self.last + self.tick
        self.last = time_s
        return time_s


class Film:
    """One opened container and its decoder, run as far as the first frame: only that tells how the film is turned.

    rotate  degrees clockwise by which it is turned beyond what the file says
    path    of a local file, of whose container more is read than ffmpeg tells
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Any],
        live: bool,
        max_pixels: int | None = None,
        *,
        rotate: int = 0,
        path: Path | None = None,
    ) -> None:
        self.name, self.live, self.connect, self.max_pixels, self.path = name, live, connect, max_pixels, path
        self.beside: tuple[str, ...] = ()
        self.container = guarded(name, connect)
        try:
            self._begin(rotate)
        except MediaError:
            self.close()
            raise
        except Exception as error:  # whatever a strange file makes PyAV raise
            self.close()
            raise MediaError(f"{name}: cannot be read as a film: {reason(error)}; export it again") from error
        except BaseException:
            self.close()
            raise

    def _begin(self, rotate: int) -> None:
        self.stream = self._choose()
        context = self.stream.codec_context
        self._check_size(context.width, context.height)
        context.thread_type, context.thread_count = "NONE", 1
        context.options = {"max_pixels": str(MAX_FILM_PIXELS)}
        rates = [float(rate) for rate in (self.stream.average_rate, self.stream.guessed_rate) if rate]
        rate = next((rate for rate in rates if _SLOWEST_FPS <= rate <= _FASTEST_FPS), rates[0] if rates else None)
        self.notes = said_of_turn(rotate) + self.beside
        self.believed = rate is None or _SLOWEST_FPS <= rate <= _FASTEST_FPS
        self.rate = rate if self.believed else None
        if not self.believed:
            self.notes += (f"its clock says {rate:.3g} frames a second, which is not believed: 25 were taken",)
        pictures = self._pictures()
        first = next(pictures, None)
        if first is None:
            raise MediaError(f"{self.name}: holds no frame that can be decoded; record or export it again")
        if first.pts is None and self.container.format.name in _BARE:
            # What the container says is ffmpeg's own default; the stream itself may say how fast it is.
            self.rate = float(self.stream.guessed_rate or 0) or self.rate
            self.notes += (f"it has no clock: {self.rate or 25:g} frames a second were taken",)
        self.first_at = datetime.now(UTC)
        self.first_pts: int | None = first.pts
        self._check_size(first.width, first.height)
        self.geometry = self._geometry(first).rotated(rotate)
        self._check_size(*self.geometry.stretched)
        self.rotated = rotate
        timed = self.believed and first.pts is not None and first.time_base
        self.start_s = float(first.pts * first.time_base) if timed else 0.0
        self.duration_s, self.duration_is_films = self._duration()
        self.reformatter = VideoReformatter()  # kept: setting up a conversion costs half as much as the conversion
        self.end_s = 0.0  # of the last frame, once all are decoded
        self.jumped = self.clock_jumped = False
        self.decoded = self._timed(first, pictures)
        self.facts = self._facts()

    def _geometry(self, first: Any) -> Geometry:
        width, height = first.width, first.height
        aspect = float(self.stream.sample_aspect_ratio or self.stream.codec_context.sample_aspect_ratio or 1)
        if not 1 / _MOST_ASPECT <= aspect <= _MOST_ASPECT:
            aspect = 1.0
        cut = None if self.path is None else visible(self.path, self.container.format.name, width, height)
        return Geometry(width, height, cut or (0, 0, width, height), aspect, _display_matrix(first))

    def turn(self, degrees: int) -> None:
        """Turns all that is to come so many degrees clockwise beyond what the file says."""
        self.geometry, self.rotated = self.geometry.rotated(degrees), degrees
        self.notes = said_of_turn(degrees) + self.notes

    @property
    def can_jump(self) -> bool:
        """Whether its frames have times of their own, and an index leads to them."""
        kinds = self.container.format.name.split(",")
        indexed = "mp4" in kinds or "matroska" in kinds
        return indexed and self.path is not None and not self.live and self.believed and self.first_pts is not None

    def jump(self, time_s: float) -> None:
        """`decoded` goes on from a key frame at or before `time_s`; it counts from 0 there, at the film's times.

        Only where `can_jump`. How a film ends that was jumped in is for `check_end` to say. Raises `MediaError` where there is no
        such frame.
        """
        assert self.first_pts is not None
        back_s = 0.0
        while back_s <= time_s:
            at = self.first_pts + int((time_s - back_s) / self.stream.time_base)
            try:
                self.container.seek(at, stream=self.stream, backward=True)
                # Frames before the first key frame refer to what was not decoded.
                pictures = itertools.dropwhile(lambda frame: not frame.key_frame or frame.pts is None, self._pictures())
                first = next(pictures, None)
            except Exception as error:
                raise MediaError(f"{self.name}: cannot be gone through from {time_s:.2f} s on: {reason(error)}") from error
            if first is not None and first.pts <= self.first_pts + time_s / self.stream.time_base:
                self.jumped = True
                self.decoded = self._timed(first, pictures, self.first_pts)
                return
            back_s = 2 * back_s or 1.0  # an index goes by when frames are decoded, which is before they are shown
        raise MediaError(f"{self.name}: has no key frame up to {time_s:.2f} s")

    def check_end(self, frames: int, end_s: float) -> None:
        """Raises `MediaError` where a film of so many frames that ended there should be longer."""
        step = 1 / self.rate if self.rate else 1 / 25
        if not self.live and self._cut_off(frames, end_s, step):
            raise self._damaged(end_s, "nothing more can be read")

    def close(self) -> None:
        if self.container is not None:
            self.container.close()

    def _choose(self) -> Any:
        films = [s for s in self.container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not films:
            sound = ", ".join(s.codec_context.codec.canonical_name for s in self.container.streams.audio)
            what = f"holds sound ({sound}) but no film" if sound else "holds no film"
            raise MediaError(f"{self.name}: {what}; give {WANTED}")
        best = self.container.streams.best("video")
        chosen = best if best in films else films[0]
        others = [f"{s.codec_context.width} × {s.codec_context.height}" for s in films if s is not chosen and s.frames != 1]
        if others:
            self.beside = (f"it holds another film beside this one, which is not read ({', '.join(others)} pixels)",)
        return chosen

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
        length, is_films = self._declared()
        return (length, is_films) if length is None or length <= _LONGEST_FILM_S else (None, False)

    def _declared(self) -> tuple[float | None, bool]:
        if self.live or not self.believed or self.container.format.name in _BARE:  # of these ffmpeg guesses from the file's size
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
        width, height = self.geometry.size
        return MediaInfo(
            name=self.name, kind=kind, width=width, height=height, rotated_deg=self.rotated, notes=self.notes, **self.facts
        )

    def _facts(self) -> dict[str, Any]:
        sounds = self.container.streams.audio
        sound_s = next((float(s.start_time * s.time_base) for s in sounds if s.start_time is not None), None)
        begin_s = None if self.container.start_time is None else self.container.start_time / av.time_base
        anchored = self.believed and not self.live
        return {
            "duration_s": self.duration_s,
            "fps": self.rate,
            "frames": None if self.live else self._frames(),
            "has_audio": bool(sounds),
            "codec": self.stream.codec_context.name,
            "after_sound_s": round(self.start_s - sound_s, 6) if anchored and sound_s is not None else None,
            "after_container_s": round(self.start_s - begin_s, 6) if anchored and begin_s is not None else None,
            "started_at": self.first_at.isoformat(timespec="milliseconds") if self.live else self._says_it_was_made(),
            "timecode": self._tag("timecode"),
        }

    def _frames(self) -> int | None:
        """As declared, without those that an edit list leaves out."""
        declared: int | None = self.stream.frames or None
        if declared is None or "mp4" not in self.container.format.name or declared > _INDEX_MOST:
            return declared
        hidden = sum(bool(entry.is_discard) for entry in self.stream.index_entries)
        return max(1, declared - hidden)

    def _tag(self, name: str) -> str | None:
        for holder in (self.stream, self.container, *self.container.streams):
            value = holder.metadata.get(name)
            if value:
                return str(value)
        return None

    def _says_it_was_made(self) -> str | None:
        """When the file says that it was recorded, ISO 8601; None where it does not, or says what cannot be (1904, 1970)."""
        for tag in ("com.apple.quicktime.creationdate", "creation_time", "date"):
            with suppress(ValueError):
                at = datetime.fromisoformat(self._tag(tag) or "")
                if at.year >= _FIRST_YEAR:
                    return at.isoformat()
        return None

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
            except Exception as error:  # PyAV has its own for some (ArgumentError, ValueError of an enum), ffmpeg's for others
                damage = error
            if isinstance(damage, av.error.BlockingIOError) and silent_s < TIMEOUT_S:  # avfoundation's way to say "not yet"
                time.sleep(_NOT_YET_S)
                silent_s += _NOT_YET_S
            elif damage is not None and (fruitless > _PATIENCE or not self._may_pass(damage, started)):
                with suppress(Exception):
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

    def _timed(self, first: Any, others: Iterator[Any], zero: int | None = None) -> Iterator[tuple[int, float, Any]]:
        """(index, seconds since the first frame, frame), and `MediaError` at the point of damage; then `end_s` is known.

        zero  the first frame's timestamp, where `first` is another one
        """
        clock = Clock(self.stream.time_base, self.rate)
        if zero is not None:
            clock.anchor = (zero, 0.0)
        index, frame, end_s = 0, first, 0.0
        while frame is not None:
            time_s = clock(frame.pts if self.believed else None)
            lasts_s = float(frame.duration * frame.time_base) if self.believed and frame.duration and frame.time_base else 0.0
            end_s = time_s + (lasts_s if 0 < lasts_s <= _LONGEST_FRAME_S else clock.step)
            yield index, time_s, frame
            index += 1
            try:
                frame = next(others, None)
            except Exception as error:
                raise self._damaged(time_s, reason(error)) from error
        self.clock_jumped = clock.jumped
        if not (clock.jumped or self.jumped):
            self.check_end(index, end_s)
        self.end_s = end_s

    def _cut_off(self, frames: int, end_s: float, step: float) -> bool:
        """Whether a film that ended without an error says of itself that there should be more: some containers just stop."""
        form, declared = self.container.format.name, self.stream.frames
        if form == "gif":
            with suppress(OSError), open(self.path or "", "rb") as file:
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
        """A decoded frame as (H, W, 3) uint8, as it is shown. A film that changes its size goes on in the size it began with.

        Raises `MediaError` where it cannot be converted.
        """
        width, height = self.geometry.stretched
        try:
            # One thread: swscale's own threads cost half as much again in CPU time and gain nothing at these sizes.
            see_through = frame.format.name != "pal8" and any(c.is_alpha for c in frame.format.components)
            target = "rgba" if see_through else "rgb24"
            picture: Any = self.reformatter.reformat(frame, width=width, height=height, format=target, threads=1).to_ndarray()
            transfer = frame.color_trc
        except Exception as error:
            raise MediaError(f"{self.name}: a frame cannot be shown: {reason(error)}; export it again") from error
        if see_through:
            picture = on_white(picture)
        elif transfer in (PQ, HLG):
            picture = as_on_a_screen(picture, transfer)
        return self.geometry.shown(picture)


def av_open(place: Any, *, options: dict[str, str], form: str | None = None, timeout: float | None = None) -> Any:
    # max_pixels keeps even the look into the streams from allocating a frame of a size that is refused below.
    options = {"max_pixels": str(MAX_FILM_PIXELS)} | options
    return av.open(place, "r", format=form, options=options, metadata_errors="replace", timeout=timeout)


def guarded(name: str, connect: Callable[[], Any]) -> Any:
    try:
        return connect()
    except MediaError:
        raise
    except (av.error.InvalidDataError, av.error.ArgumentError) as error:  # the latter: a format that is none of DEMUXERS
        raise MediaError(f"{name}: is not a picture or film that can be read, or its index is cut off; give {WANTED}") from error
    except Exception as error:
        raise MediaError(f"{name}: cannot be opened: {reason(error)}; check that it is there and may be read") from error


def _display_matrix(frame: Any) -> Orientation:
    """How the file wants its frames turned: the nearest of the eight ways, mirrors too.

    The matrix is ffmpeg's (libavutil/display.h): column p, row q go to (a p + c q, b p + d q), as 16.16 fixed point.
    """
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except Exception:  # side data of a kind that PyAV does not know: its own reading of the matrix looks at nothing else
        return quarter(round(-frame.rotation / 90) * 90 % 360)
    if data is None:
        return UPRIGHT
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, a < 0, d < 0
    return True, c < 0, b < 0
