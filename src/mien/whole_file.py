"""A file, or a folder, that is whole or not there: written beside its name, which it gets in one step."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mien.places import is_remote, send


def part_of(target: Path) -> Path:
    """A name beside `target` for what is not yet whole: the same disk, so that the renaming is one step; nobody else's."""
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A path to write to, which gets the name `target` where the block ends, in place of an older file.

    Whatever ends the block sooner leaves the older file as it was and nothing beside it. Raises `OSError` where the block wrote
    nothing, and where it cannot be renamed.
    """
    if is_remote(target):
        with tempfile.TemporaryDirectory(prefix="mien-") as scratch:
            yield (part := Path(scratch, target.name))
            send(part, target)
        return
    part = part_of(target)
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """An empty folder, named as `target` is, which comes there where the block ends; what was there must be an empty folder.

    Whatever ends the block sooner leaves nothing. Folders above are made. Raises `OSError`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        folder = Path(scratch, target.name)
        folder.mkdir()
        yield folder
        if target.exists():
            target.rmdir()
        folder.rename(target)
