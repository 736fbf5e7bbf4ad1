"""What lies in folders, of which files and folders may go while it is counted."""

import os
from collections.abc import Iterator
from pathlib import Path


def files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Each file in a folder and below it, with its bytes; none where there is no such folder."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            try:
                size = path.lstat().st_size
            except FileNotFoundError:  # erased or renamed in this moment
                continue
            yield path, size


def held(folder: Path) -> tuple[int, int]:
    """How many files that are, and how many bytes they take."""
    sizes = [size for _, size in files(folder)]
    return len(sizes), sum(sizes)
