"""What went wrong with a file, in words: the same for pictures, films and cameras, read or written."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import av

STILLS = "a JPEG, PNG, WebP, HEIC, AVIF, GIF, BMP, TIFF or PGM"
WANTED = f"{STILLS}, or a film such as MP4, MOV, MKV, WebM or AVI"
TIMEOUT_S = 10.0  # how long an address may say nothing


def reason(error: BaseException) -> str:
    """What an error says, as a few words without the file's name and numbers."""
    if isinstance(error, av.error.InvalidDataError):
        return "invalid data"
    if isinstance(error, av.error.ExitError):  # ffmpeg's word for "interrupted", which is what a time limit does
        return f"no answer within {TIMEOUT_S:g} s"
    text = (error.strerror if isinstance(error, OSError | av.error.FFmpegError) else None) or str(error) or type(error).__name__
    text = " ".join(text.split()).rstrip(".")
    return text[:1].lower() + text[1:]


def remedy(error: BaseException) -> str:
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "make room, or write elsewhere"
    return "check that the folder is there and may be written to"


def said_of_turn(degrees: int) -> tuple[str, ...]:
    """What `MediaInfo.notes` says of a picture or film that was turned."""
    return (f"turned by {degrees}° clockwise, beyond what the file says",) if degrees else ()


@contextmanager
def utf8(path: str) -> Iterator[str]:
    """A name for `path` that ffmpeg takes, while the block lasts: it takes names in UTF-8 only."""
    try:
        path.encode()
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory() as folder:
            link = os.path.join(folder, "film")
            os.symlink(path, link)
            yield link
    else:
        yield path
