"""A film as one that every browser plays."""

import math
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MediaError
from mien.media.film import Film
from mien.media.read import Media, open_media
from mien.media.words import reason, remedy
from mien.media.write import VideoWriter
from mien.types import MediaInfo
from mien.whole_file import whole_file

BROWSER_SIDE_MAX_PX = 1920
MOVED_MAX_S = 0.005
"""A container counts in thousandths of a second, another in its own; what is farther off is another film."""

_BROWSER_PIXELS = {"yuv420p", "yuvj420p"}


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

    A film that is MP4 with H.264 (8 bits, 4:2:0) and AAC or MP3 already is copied as it is, once it was read to its end. The same
    in MOV or Matroska gets another container, its pictures and sound untouched. Others become an H.264 film of at most
    `BROWSER_SIDE_MAX_PX` a side.

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
        film = media._films[0]
        playable = isinstance(film, Film) and _is_playable(film)
        if playable and _is_mp4(source):
            _read_to_its_end(media, tell)
            _copied(Path(source), Path(target))
            return _made(target, info.name), False
        container = film.container.format.name if isinstance(film, Film) else ""
    if playable and any(word in container.split(",") for word in ("mov", "matroska")):
        with open_media(source, name=name, max_pixels=max_pixels) as media:
            _read_to_its_end(media, tell)
        if _contained_anew(source, Path(target), info):
            return _made(target, info.name), False
    with open_media(source, name=name, max_pixels=max_pixels) as media:
        _made_anew(media, source, Path(target), max_film_s, tell)
    return _made(target, info.name), True


def _made(target: str | os.PathLike[str], name: str) -> MediaInfo:
    with open_media(target, kind="video", name=name) as made:
        return made.info


def _is_mp4(path: str | os.PathLike[str]) -> bool:
    with open(path, "rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] != b"qt  "  # QuickTime's own, which is not played everywhere


def _is_playable(film: Film) -> bool:
    """Whether every browser plays its pictures and its sound, in an MP4."""
    films, sounds = film.container.streams.video, film.container.streams.audio
    return (
        len(films) == 1
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
    assert isinstance(film, Film)  # another one is not copied
    length_s, end_s = media.info.duration_s, 0.0
    try:
        for packet in film.container.demux(film.stream):
            if packet.pts is not None:
                end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base) - film.start_s)
                tell(end_s / length_s if length_s else None)
    except Exception as error:  # whatever PyAV raises; what `tell` raises ends it too
        raise film._damaged(end_s, reason(error)) from error
    if length_s and length_s - end_s > 1.0:
        raise film._damaged(end_s, "nothing more can be read")


def _copied(source: Path, target: Path) -> None:
    try:
        with whole_file(target) as part:
            shutil.copyfile(source, part)
    except OSError as error:
        raise MediaError(f"{target}: cannot be written: {reason(error)}; {remedy(error)}") from error


def _contained_anew(source: str | os.PathLike[str], target: Path, info: MediaInfo) -> bool:
    """Puts what plays already into an MP4, packet for packet. Whether that is the same film: where anything was lost or moved on
    the way, nothing is written."""
    import av

    try:
        with whole_file(target) as part:
            with av.open(source) as given, av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as made:
                streams = [*given.streams.video, *given.streams.audio]
                into = {stream.index: made.add_stream_from_template(stream) for stream in streams}
                for packet in _in_decoding_order(given.demux(streams)):
                    packet.stream = into[packet.stream.index]
                    made.mux(packet)
            for before, after in zip(_times(source), _times(part), strict=True):
                if before.shape != after.shape or np.abs(before - after).max(initial=0.0) > MOVED_MAX_S:
                    raise ValueError("another film")
            if not _alike(info, _made(part, info.name)):
                raise ValueError("another film")
    except (av.FFmpegError, ValueError, MediaError):
        return False
    except OSError as error:
        raise MediaError(f"{target}: cannot be written: {reason(error)}; {remedy(error)}") from error
    return True


def _in_decoding_order(packets: Iterator[Any]) -> Iterator[Any]:
    """The packets, each with its time of decoding: Matroska says none of the first few where pictures wait for later ones."""
    waiting: dict[int, list[Any]] = {}
    for packet in packets:
        held = waiting.setdefault(packet.stream.index, [])
        if packet.pts is None:
            continue  # ends a stream
        if packet.dts is None:
            held.append(packet)
            continue
        for place, earlier in enumerate(held):
            earlier.dts = packet.dts - (len(held) - place) * max(1, packet.duration or 1)
            yield earlier
        held.clear()
        yield packet


def _times(path: str | os.PathLike[str]) -> list[NDArray[np.float64]]:
    """Of the pictures and of each sound, when each packet is played, in seconds from the first picture on.

    Raises `ValueError` where an edit list hides pictures.
    """
    import av

    with av.open(path) as container:
        streams = [*container.streams.video, *container.streams.audio]
        times: dict[int, list[float]] = {stream.index: [] for stream in streams}
        for packet in container.demux(streams):
            if packet.pts is not None:
                if packet.is_discard and packet.stream.type == "video":
                    raise ValueError("an edit list hides pictures")
                times[packet.stream.index].append(float(packet.pts * packet.time_base))
        first = min(times[streams[0].index], default=0.0)
        return [np.sort(np.array(found)) - first for found in times.values()]


def _alike(one: MediaInfo, other: MediaInfo) -> bool:
    lengths = (one.duration_s or 0.0, other.duration_s or 0.0)
    return (one.width, one.height, one.has_audio) == (other.width, other.height, other.has_audio) and abs(
        lengths[0] - lengths[1]
    ) < 0.2


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
