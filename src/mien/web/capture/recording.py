"""A live recording on the disk: a log of frames, see `frame_log`, and the result that is made of it.

    rows.log       what was read in each frame
    pictures.log   the pictures as they came, only where the film is to be kept; gone when the film is made

The result is made in a process of its own, `python -m mien.web.capture.recording`, so that open live views do not wait for it.
"""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MediaError
from mien.types import Frame, FrameResult, MediaInfo, Timeline
from mien.web.capture.frame_log import PICTURES, FrameLog, FrameWriter, pictures
from mien.web.capture.old_logs import FRAMES
from mien.web.tasks.child import listed, work

ROWS, RESULT = "rows.log", "result"
_TICK_S = 1e-3
"""Frames of a film lie at least so far apart."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when a recording begins.

    live      the id of its live view, by which its page finds it again
    name      of the recording       source    "camera" or "screen"
    labels    the K names of the probabilities
    settings  see `Timeline.settings`; its `smoothing_s` is needed to go on
    film      whether the pictures are kept until the film is made of them
    started_at  ISO 8601, by the server's clock
    """

    live: str
    name: str
    source: str
    labels: tuple[str, ...]
    settings: dict[str, Any]
    film: bool
    started_at: str | None = None


class Writer(FrameWriter):
    """Takes the rows of a recording, and its pictures where a film is wanted, into a folder that is there.

    Goes on where the log that was `found` ends; what was torn is cut off. Raises `OSError` where the disk does not take them.
    """

    def __init__(self, folder: Path, facts: Facts, found: "Logged | None" = None) -> None:
        about = asdict(facts) | {"labels": list(facts.labels)}
        super().__init__(folder, ROWS.removesuffix(".log"), about, found, pictures=facts.film)


class Logged(FrameLog):
    """What the log in a folder holds, up to its first record that is not whole. Raises `MediaError` where that is nothing."""

    def __init__(self, folder: Path) -> None:
        try:
            super().__init__(folder / ROWS)
            self.about = Facts(**self.facts | {"labels": self.labels})
        except (MediaError, TypeError) as error:
            raise MediaError(f"the recording cannot be read: {error}") from error

    def info(self) -> MediaInfo:
        """The media that the recording stands for: a film without its pauses."""
        width, height = (int(self.rows[0]["width"]), int(self.rows[0]["height"])) if len(self.rows) else (0, 0)
        duration_s = float(self.rows[-1]["time_s"]) if len(self.rows) else 0.0
        facts = (width, height, duration_s or None, None, None, False, "live")
        return MediaInfo(self.about.name, "camera", *facts, started_at=self.about.started_at)

    def timeline(self) -> Timeline:
        """Exactly what a `Recorder` that was given these results would have made."""
        pauses = self.rows["time_s"][np.diff(self.rows["part"].astype(int), prepend=0) != 0].tolist()
        return self.timeline_of(self.info(), self.about.settings | ({"pauses_s": pauses} if pauses else {}))


# --- the result ----------------------------------------------------------------------------------------------------------------


def make_result(folder: Path) -> dict[str, Any]:
    """Makes result/, timeline.npz and, where pictures were kept, the film and stills/ of the logs in `folder`; removes the logs.

    Gives back what summary.json holds. Killed half-way it can be called again: the logs go last. Raises `MediaError`.
    """
    from mien.cluster import is_result, kept_summary, whole_folder, write_results

    if not (folder / ROWS).exists() and is_result(folder / RESULT):
        return kept_summary(str(folder / RESULT))
    found = Logged(folder)
    if not len(found.rows):
        raise MediaError(f"{found.about.name}: nothing was recorded: no picture came between start and stop")
    timeline = found.timeline()
    with whole_folder(folder / RESULT) as scratch:
        stills = _film(folder, found, scratch / "annotated.mp4") if found.about.film else None
        shown = stills is not None
        summary = write_results(timeline, scratch, stills, annotated=shown, pictures=shown, keep=folder)
    for name in (PICTURES, FRAMES, ROWS):
        (folder / name).unlink(missing_ok=True)
    return summary


def _film(folder: Path, found: Logged, target: Path) -> Any:
    """The annotated film on the recording's own clock; gives back the stills that were met. None where no picture is there."""
    import cv2

    from mien.draw import annotate
    from mien.media import VideoWriter, decode_picture
    from mien.report import Stills

    if not any((folder / name).is_file() for name in (PICTURES, FRAMES)):
        return None
    cv2.setNumThreads(1)
    size = (found.info().width, found.info().height)
    every_s = found.about.settings.get("every_s")
    stills, rows, written_s = Stills(), iter(found), -1.0
    row = next(rows, None)
    with VideoWriter(target, *size, fps_hint=1 / every_s if every_s else None) as film:
        for _, _, time_s, picture in pictures(folder):
            while row is not None and row.time_s < time_s:
                row = next(rows, None)
            if row is None:
                break
            # A picture whose answer was never written has no row; sent again after a restart, it is here twice.
            if row.time_s != time_s or time_s - written_s < _TICK_S:
                continue
            seen = row.result
            frame = Frame(seen.frame.index, time_s, decode_picture(picture))
            judged = (seen.reliability, seen.flags, seen.min_reliability)
            result = FrameResult(frame, seen.faces, seen.tracks, seen.labels, seen.emotions, seen.smoothed, *judged)
            stills.add(result)
            film.write(_fitted(annotate(result), size), time_s)
            written_s = time_s
    return stills


def _fitted(rgb: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture in the middle of one of `size` (width, height): what is recorded may change its shape, a film may not."""
    import cv2

    height, width = rgb.shape[:2]
    if (width, height) == size:
        return rgb
    scale = min(size[0] / width, size[1] / height)
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    left, top = (size[0] - small[0]) // 2, (size[1] - small[1]) // 2
    out = np.zeros((size[1], size[0], 3), np.uint8)
    out[top : top + small[1], left : left + small[0]] = cv2.resize(rgb, small, interpolation=cv2.INTER_AREA)
    return out


def save(task: dict[str, Any], tell: Callable[..., None]) -> dict[str, Any]:
    """Makes the result of the task's "folder"; gives what the list shows of it. Raises `MediaError`."""
    try:
        return listed(make_result(Path(task["folder"])))
    except OSError as error:
        raise MediaError(str(error)) from error


if __name__ == "__main__":
    sys.exit(work(save))
