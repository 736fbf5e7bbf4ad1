"""A moving WebP, which ffmpeg does not read, as the film that it is."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from mien.errors import MediaError
from mien.media.film import Clock
from mien.media.pictures import exif_orientation, opened_picture, picture_rgb
from mien.media.shown import Rgb, composed, quarter, turned
from mien.media.words import reason, said_of_turn
from mien.types import MediaInfo, MediaKind


class MovingPicture:
    """What `Film` is, read by Pillow: its frames at their times, as they are shown. It has no sound."""

    live = False
    container: Any = None
    start_s = 0.0

    def __init__(self, name: str, path: Path, plugin: Any, max_pixels: int | None = None, *, rotate: int = 0) -> None:
        self.name, self.rotated, self.end_s = name, rotate, 0.0
        self._frames = self._read(path, plugin, max_pixels)
        self._form = str(plugin.format).lower()
        width, height, self._count, orientation = next(self._frames)
        self.orientation = composed(orientation, quarter(rotate))
        self._size = (height, width) if self.orientation[0] else (width, height)
        self.decoded: Iterator[tuple[int, float, Any]] = self._frames

    def _read(self, path: Path, plugin: Any, max_pixels: int | None) -> Iterator[Any]:
        with opened_picture(path, plugin, self.name, max_pixels) as picture:
            yield *picture.size, picture.n_frames, exif_orientation(picture)
            clock = Clock(Fraction(1, 1000), None)
            time_s = 0.0
            for index in range(picture.n_frames):
                try:
                    picture.seek(index)
                    picture.load()
                    time_s = clock(int(picture.info["timestamp"]))
                    lasts_s = int(picture.info["duration"]) / 1000
                    rgb = picture_rgb(picture)
                except Exception as error:
                    what = f"cannot decode after {time_s:.2f} s: {reason(error)}; what comes before is good"
                    raise MediaError(f"{self.name}: {what}") from error
                yield index, time_s, rgb
            self.end_s = time_s + lasts_s

    def rgb(self, picture: Rgb) -> Rgb:
        return turned(picture, self.orientation)

    def info(self, kind: MediaKind) -> MediaInfo:
        return MediaInfo(
            self.name, kind, *self._size, None, None, self._count, False, self._form, self.rotated, notes=said_of_turn(self.rotated)
        )

    def close(self) -> None:
        self._frames.close()  # type: ignore[attr-defined]
