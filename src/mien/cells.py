"""What a cell of a table may hold: names of files and people's own words are opened in spreadsheets, which run formulas."""

from typing import Any

_RUN = ("=", "+", "-", "@", "\t", "\r")


def safe(cell: Any, *, words: bool = False) -> Any:
    """A cell that no spreadsheet runs: a text that begins as a formula gets an apostrophe before it; numbers stay as they are.

    `words`: what is text is somebody's words, also where it reads as a number.
    """
    if not isinstance(cell, str) or not cell.startswith(_RUN):
        return cell
    if words:
        return f"'{cell}"
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
