"""Writes pictures, and films with their sound, whole or not at all."""

import math
import os
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from mien.errors import MediaError
from mien.media.film import MAX_FILM_PIXELS, Film, guarded
from mien.media.read import open_media
from mien.media.shown import Rgb, check_rgb
from mien.media.words import reason, remedy, utf8
from mien.whole_file import part_of, whole_file


def write_picture(path: str | os.PathLike[str], rgb: Rgb) -> None:
    """Writes (H, W, 3) uint8 RGB as PNG or JPEG, by the suffix (.png, .jpg, .jpeg), whole or not at all.

    Raises `ValueError` for another suffix, shape or type, and `MediaError` where the file cannot be written.
    """
    target = Path(path)
    form = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}.get(target.suffix.lower())
    if form is None:
        raise ValueError(f"{target.name}: a picture is written as .png, .jpg or .jpeg, but got {target.suffix or 'no suffix'!r}")
    check_rgb(rgb, None)
    from PIL import Image

    try:
        with whole_file(target) as part:
            Image.fromarray(np.ascontiguousarray(rgb)).save(part, form, quality=92, compress_level=3)  # half the time of 6
    except OSError as error:
        raise MediaError(f"{target}: cannot be written: {reason(error)}; {remedy(error)}") from error


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
        self._part = part_of(self.path)
        self._sound: _Sound | None = None
        self._container: Any = None
        self._open = ExitStack()
        try:
            self._sound = _Sound.of(sound_from) if sound_from is not None else None
            # The index is moved to the front by the name, at the end: that has to stay until then.
            place = self._open.enter_context(utf8(str(self._part.absolute())))
            self._container = av.open(place, "w", format="mp4", options={"movflags": "+faststart"})
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

    def write(self, rgb: Rgb, time_s: float) -> None:
        """Adds a frame: (height, width, 3) uint8 RGB, shown from `time_s` seconds on, which must lie after the frame before.

        Raises `ValueError` for another shape or type, a time that does not increase, or a closed writer; `MediaError` where the
        target cannot be written, for example on a full disk.
        """
        if self._container is None:
            raise ValueError(f"{self.path.name}: is closed; make another VideoWriter to write")
        check_rgb(rgb, (self.height, self.width))
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
            self._open.close()
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
            with suppress(Exception):
                container.close()
        self._open.close()
        self._part.unlink(missing_ok=True)

    def _fail(self, error: BaseException) -> None:
        """Cleans up, and turns what ffmpeg or the disk says into a `MediaError`; other errors are left to the caller's raise."""
        self.discard()
        if isinstance(error, Exception) and not isinstance(error, MediaError):
            raise MediaError(f"{self.path}: cannot be written: {reason(error)}; {remedy(error)}") from error


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
        """None where the film has no sound, or cannot be had twice."""
        if Path(path).is_fifo():
            return None
        with open_media(path) as media:
            if not media.info.has_audio or not media._films:
                return None
            film, film_s = media._films[0], media.info.duration_s
            if not isinstance(film, Film) or film.live:
                return None
        container = guarded(media.info.name, film.connect)
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
            except Exception:
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
        except Exception:  # one bad packet is a click, not the end
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
