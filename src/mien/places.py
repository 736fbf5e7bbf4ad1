"""Where sources and results lie: on a disk, or in an object store such as s3:// and gs://, which fsspec reaches.

A place in a store is a path as well, of universal_pathlib's, with what a path can. What is read there is fetched first, and what is
written is sent when it is whole: nothing of mien needs to know more of it.
"""

import contextlib
import re
import tempfile
from collections.abc import Iterable, Iterator
from os import PathLike, fspath
from pathlib import Path
from typing import Any, cast

from mien.errors import MediaError, ModelError

READ_AS_THEY_ARE = frozenset(("file", "http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "tcp", "udp", "mms", "hls"))
"""Schemes of addresses that are opened without fsspec, or known to be none."""


def is_remote(place: str | PathLike[str]) -> bool:
    """Whether an address leads to an object store."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", str(place))
    return found is not None and found[1].lower() not in READ_AS_THEY_ARE


def place(given: str | PathLike[str]) -> Path:
    """A path on a disk, or its like in an object store. Raises `ModelError` where what reaches that store is not installed."""
    if not is_remote(given):
        return Path(given)
    try:
        from upath import UPath

        found = UPath(str(given), use_listings_cache=False)  # others write there, too
        _store(cast(Path, found))
    except ImportError as error:
        what = str(error).splitlines()[0]
        raise ModelError(f"{given}: cannot be reached ({what}); run: pip install 'mien[cloud]'") from None
    except ValueError as error:
        raise ModelError(f"{given}: is no address that fsspec knows: {error}") from None
    return cast(Path, found)


def _store(path: Path) -> Any:
    """fsspec's file system of a place."""
    return cast(Any, path).fs


def stamp(source: str | PathLike[str]) -> list[Any] | None:
    """By what a change of a file is seen: its size, and its time of change or what the store has in place of it. None of what is
    no file."""
    path = place(source)
    if not is_remote(source):
        found = path.stat() if path.is_file() else None
        return None if found is None else [found.st_size, found.st_mtime_ns]
    with contextlib.suppress(OSError):
        facts = _store(path).info(path.path)  # type: ignore[attr-defined]
        return [facts.get("size"), str(facts.get("ETag") or facts.get("etag") or facts.get("mtime") or facts.get("created"))]
    return None


@contextlib.contextmanager
def fetched(source: str | PathLike[str]) -> Iterator[str | PathLike[str]]:
    """A source as a file on this machine while the block runs; what is no object of a store is given as it is.

    Raises `MediaError` where it cannot be had.
    """
    if not is_remote(source):
        yield source
        return
    there = place(source)
    with tempfile.TemporaryDirectory(prefix="mien-") as folder:
        here = Path(folder, there.name)
        try:
            _store(there).get_file(there.path, str(here))  # type: ignore[attr-defined]
        except Exception as error:  # each store has its own
            raise MediaError(f"{fspath(source)}: cannot be fetched: {error or type(error).__name__}") from error
        yield here


def send(file: Path, target: Path) -> None:
    """Puts a file of this machine into a store, whole or not at all. Raises `OSError`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _store(target).put_file(str(file), target.path)  # type: ignore[attr-defined]


@contextlib.contextmanager
def sent_folder(target: Path, last: str, known: Iterable[str]) -> Iterator[Path]:
    """An empty folder of this machine, whose files are put into a store when the block ends well.

    last   of an older result goes first and comes last: only with it a result is whole
    known  what else of an older result goes where there is no newer
    """
    with tempfile.TemporaryDirectory(prefix="mien-") as scratch:
        folder = Path(scratch, target.name)
        folder.mkdir()
        yield folder
        (target / last).unlink(missing_ok=True)
        made = sorted((path for path in folder.iterdir() if path.is_file()), key=lambda path: path.name == last)
        for path in made:
            send(path, target / path.name)
        for name in set(known) - {path.name for path in made}:
            (target / name).unlink(missing_ok=True)


def create(path: Path, text: str) -> None:
    """Writes a file that must not be there. Raises `FileExistsError`, and `OSError`."""
    if is_remote(path):
        _store(path).pipe_file(path.path, text.encode(), mode="create")  # type: ignore[attr-defined]
    else:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
