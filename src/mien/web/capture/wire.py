"""What passes over the sockets of live views and of participants: frames up as bytes, all else as JSON text. See docs/api.md.

Nothing here opens a picture or a socket. Whatever comes in is either understood or a `WireError`, which can be sent back as it is.
"""

import math
import struct
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from mien.study.definition import can_be_stored

HEADER = struct.Struct("<BBHId")
"""Version 1: version, flags, 0, sequence (uint32), captured_s (float64): 16 bytes before each picture."""

FILM_HEADER = struct.Struct("<BBHIdd")
"""Version 2: as above with film_s (float64) behind it: 24 bytes before each picture of somebody who watches a film."""

LATE = 1
"""Flag: captured while the socket was down. Such a frame is never left out for a newer one."""

OF_RECORDING = 2
"""Flag: belongs to the recording that runs."""

IN_FLIGHT = 2
"""How many frames a page may have sent without an answer."""

CLOSE_BREACH = 4400
CLOSE_LOGIN = 4401
CLOSE_TAKEN_OVER = 4409
CLOSE_OVER = 4410
CLOSE_TOO_MANY = 4429
CLOSE_LATER = 1013

MAX_TEXT = 16_384
"""Characters of a JSON message; none that means something is nearly as long."""

MAX_CAPTURED_S = 1e10
"""Seconds; a page's clock may well count from 1970."""

MAX_FILM_S = 1e6
"""Seconds; no film is longer than eleven days."""


class WireError(Exception):
    """Something that came over the wire is not what it should be.

    code      one word for programs: bad_frame, frame_too_large, old_frame, bad_message, no_recording, …
    message   what, wanted, given, remedy, for people
    sequence  of the frame that is meant, where it is known
    close     what a socket is closed with that cannot go on with this
    """

    def __init__(self, code: str, message: str, sequence: int | None = None, *, close: int = CLOSE_BREACH) -> None:
        super().__init__(message)
        self.code, self.message, self.sequence, self.close = code, message, sequence, close


@dataclass(frozen=True, slots=True)
class FrameHead:
    """What stands before a picture. sequence: 0 to 2³²−1; captured_s: seconds of the page's own clock; film_s: of the film's, where
    somebody watches one."""

    sequence: int
    captured_s: float
    late: bool = False
    of_recording: bool = False
    film_s: float | None = None


def pack_frame(head: FrameHead, picture: bytes) -> bytes:
    """The message for one frame."""
    flags = LATE * head.late | OF_RECORDING * head.of_recording
    if head.film_s is None:
        return HEADER.pack(1, flags, 0, head.sequence, head.captured_s) + picture
    return FILM_HEADER.pack(2, flags, 0, head.sequence, head.captured_s, head.film_s) + picture


def read_frame(message: bytes, *, max_bytes: int, film: bool = False) -> tuple[FrameHead, bytes]:
    """Head and picture of one binary message. Raises `WireError`; the picture itself is not looked at.

    max_bytes  of the picture
    film       whether a film's time is to stand in the head
    """
    header, known, known_flags = (FILM_HEADER, 2, LATE) if film else (HEADER, 1, LATE | OF_RECORDING)
    if len(message) < header.size:
        raise WireError("bad_frame", f"A frame begins with {header.size} bytes of header, but {len(message)} bytes came.")
    version, flags, reserved, sequence, captured_s, *films = header.unpack_from(message)
    if version != known:
        raise WireError(
            "bad_frame", f"Frames of version {known} are understood, but one of version {version} came; reload the page."
        )
    if flags & ~known_flags or reserved:
        raise WireError(
            "bad_frame",
            f"A frame's flags are 0 to {known_flags} and its reserved bytes 0, but {flags} and {reserved} came.",
            sequence,
        )
    if not abs(captured_s) <= MAX_CAPTURED_S:
        raise WireError("bad_frame", f"A frame's time must be a finite number of seconds, but {captured_s} came.", sequence)
    for film_s in films:
        if not 0 <= film_s <= MAX_FILM_S:
            raise WireError("bad_frame", f"A film's time must be 0 s or more, but {film_s} came.", sequence)
    size = len(message) - header.size
    if not size:
        raise WireError("bad_frame", "A frame came without a picture; send a JPEG, PNG or WebP behind its header.", sequence)
    if size > max_bytes:
        raise WireError(
            "frame_too_large",
            f"A frame may have {max_bytes // 1024} KiB, but one of {math.ceil(size / 1024)} KiB came; send smaller pictures.",
            sequence,
        )
    head = FrameHead(sequence, captured_s, bool(flags & LATE), bool(flags & OF_RECORDING), *films)
    return head, message[header.size :]


# --- up ------------------------------------------------------------------------------------------------------------------------


def _kept(text: str) -> str:
    if not can_be_stored(text):
        raise ValueError("holds a NUL or half of a letter")
    return text


Name = Annotated[str, Field(max_length=200), AfterValidator(_kept)]


class Up(BaseModel):
    """What pages say."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Hello(Up):
    """The first message. `resume` goes on with a live view that lost its socket."""

    type: Literal["hello"]
    source: Literal["camera", "screen"] = "camera"
    name: Name = ""
    resume: str | None = Field(default=None, max_length=64)
    smoothing_s: float | None = Field(default=None, ge=0, le=60)


class Record(Up):
    """Begins, pauses, resumes or ends a recording. The other fields count for `start` only."""

    type: Literal["record"]
    action: Literal["start", "pause", "resume", "stop"]
    keep_film: bool = False
    name: Name | None = None
    every_s: float | None = Field(default=None, ge=0, le=3600)


class Watch(Up):
    """The first message of a participant's page: whose camera it is, and what is measured.

    stimulus  id of a film, or "check" (nothing is kept) or "baseline" (the neutral face)
    resume    whether the same page goes on, its clock with it; otherwise its clock is a new one
    """

    type: Literal["hello"]
    code: str = Field(max_length=40)
    stimulus: str = Field(min_length=1, max_length=64)
    resume: bool = False


_Kind = TypeVar("_Kind", bound=Up)


def read_message(text: str, kind: type[_Kind]) -> _Kind:
    """One JSON message of a page, of the one kind that may come. Raises `WireError`."""
    if len(text) > MAX_TEXT:
        raise WireError("bad_message", f"A message may have {MAX_TEXT} characters, but one of {len(text)} came.")
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        where = f" at {place[:80]}" if place else ""
        raise WireError("bad_message", f"A message was not understood{where}: {first['msg'][:300]}.") from None


# --- down ----------------------------------------------------------------------------------------------------------------------


class _Down(BaseModel):
    def text(self) -> str:
        """As it is sent."""
        return self.model_dump_json()


class Limits(_Down):
    """What a page has to keep to, and how long a live view waits for it."""

    in_flight: int = IN_FLIGHT
    frame_max_kib: int
    frame_max_megapixels: float
    return_s: float
    recording_max_minutes: float


class RecordingState(_Down):
    """A recording as it stands. duration_s: from its first frame to its last, pauses left out; left_out: its frames that could not
    be looked at or were replaced by newer ones."""

    type: Literal["recording"] = "recording"
    state: Literal["recording", "paused", "saving", "done", "failed"]
    job: str
    rows: int
    duration_s: float
    left_out: int = 0
    note: str | None = None
    error: str | None = None


class Ready(_Down):
    """Answers a hello. received: the last frame that was dealt with, -1 for none; those after it are to be sent again as late; run:
    another one after each start of the server."""

    type: Literal["ready"] = "ready"
    live: str
    run: str = ""
    labels: list[str]
    received: int
    resumed: bool
    recording: RecordingState | None
    limits: Limits
    notice: str | None = None


class Face(_Down):
    """box: x1, y1, x2, y2 in pixels of the frame; emotions and smoothed: a probability for each of `Ready.labels`; expression:
    empty where it cannot be relied on; reliability: how likely it is what most raters would say; flags: why it may not be."""

    track: int
    box: list[float]
    score: float
    expression: str
    emotions: list[float]
    smoothed: list[float]
    valence: float
    reliability: float | None
    flags: list[str]


class FacesSeen(_Down):
    """The answer to one frame. light: mean luma, 0 to 255; dropped: frames of this live view that the server left out so far;
    time_s: on the recording's clock, None where the frame is of none."""

    type: Literal["faces"] = "faces"
    sequence: int
    captured_s: float
    width: int
    height: int
    faces: list[Face]
    light: float
    dark: bool
    dropped: int
    recorded: bool
    time_s: float | None
    queue_ms: float
    work_ms: float


class Dropped(_Down):
    """A frame was left out for a newer one."""

    type: Literal["dropped"] = "dropped"
    sequence: int
    dropped: int


class EpisodeSeen(_Down):
    """An expression that lasted is over. Its times are the recording's where `recorded`, else those of the page's clock."""

    type: Literal["episode"] = "episode"
    track: int
    expression: str
    start_s: float
    end_s: float
    peak: float
    peak_time_s: float
    recorded: bool


class Problem(_Down):
    """What `Failure` is about."""

    code: str
    message: str


class Failure(_Down):
    """Something went wrong; sequence names the frame, where one is meant."""

    type: Literal["error"] = "error"
    error: Problem
    sequence: int | None = None

    @classmethod
    def of(cls, error: WireError) -> "Failure":
        return cls(error=Problem(code=error.code, message=error.message), sequence=error.sequence)


class WatchLimits(_Down):
    """What a participant's page has to keep to."""

    in_flight: int
    frame_max_kib: int
    frame_max_megapixels: float


class WatchReady(_Down):
    """Answers a participant's hello. received: the last frame that is kept, -1 for none; those after it are to be sent again, and
    new ones are numbered on from it; position_s: how far the film was measured, None where it was not."""

    type: Literal["ready"] = "ready"
    received: int
    labels: list[str]
    every_s: float
    baseline_s: float
    position_s: float | None
    limits: WatchLimits


class Seen(_Down):
    """The answer to one frame of a participant. faces: in view; track: 1 for the person of the camera check, more where that track
    had ended and another was gone on with, 0 for nobody; others: faces that are somebody else's, or may be; box: x1, y1, x2, y2 of
    the person's face in pixels, size_px its shorter side; expression: in the camera check only, so that nobody watches the own face
    instead of the film; dropped: frames since the hello that could not be read or gave way to newer ones; kept: whether its numbers
    lie on the disk now."""

    type: Literal["seen"] = "seen"
    sequence: int
    film_s: float
    faces: int
    track: int
    others: int
    box: list[float] | None
    width: int
    height: int
    size_px: float | None
    light: float
    dark: bool
    expression: str | None
    kept: bool
    dropped: int
    work_ms: float


Down = Ready | WatchReady | Seen | FacesSeen | Dropped | EpisodeSeen | RecordingState | Failure


def known(value: Any) -> float | None:
    """A share as JSON shows it, which has no NaN."""
    return None if value != value else round(float(value), 4)


def rounded(values: Any, digits: int = 5) -> list[float]:
    """A row of numbers as JSON shows them: what is beyond a screen's needs is left out. The log keeps all of it."""
    return [round(float(value), digits) for value in values]
