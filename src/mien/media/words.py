"""What went wrong with a file, in words: the same for pictures, films and cameras, read or written."""

import errno
import secrets
from pathlib import Path

import av

STILLS = "a JPEG, PNG, WebP, GIF, BMP or TIFF"
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


def part_of(target: Path) -> Path:
    """A name beside `target` for what is not yet whole: the same disk, so that the renaming is one step."""
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
