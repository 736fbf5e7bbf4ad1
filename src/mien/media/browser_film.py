"""A film as one that every browser plays."""

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from mien.errors import MediaError
from mien.media.film import Film
from mien.media.read import Media, Playing, open_media
from mien.media.words import reason, remedy
from mien.media.write import VideoWriter
from mien.types import MediaInfo
from mien.whole_file import whole_file

BROWSER_SIDE_MAX_PX = 1920
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
        anew = not _plays_in_browsers(source, media._films[0])
        if anew:
            _made_anew(media, source, Path(target), max_film_s, tell)
        else:
            _read_to_its_end(media, tell)
            _copied(Path(source), Path(target))
    with open_media(target, kind="video", name=info.name) as made:
        return made.info, anew


def _plays_in_browsers(path: str | os.PathLike[str], film: Playing) -> bool:
    if not isinstance(film, Film):
        return False
    container = film.container
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
