"""What a folder holds, searched by content while others may write and erase in it."""

import os
from pathlib import Path


def holding(folder: Path, content: str) -> list[str]:
    """The files below a folder that hold `content`, in their bytes or in their path; a file that goes meanwhile holds nothing."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            shown = str(path.relative_to(folder))
            try:
                if content.encode() in path.read_bytes() or content in shown:
                    found.append(shown)
            except FileNotFoundError:  # a journal of the database, say
                continue
    return sorted(found)
