"""What a cell of a table may hold: names of files and people's own words are opened in spreadsheets, which run formulas."""

from typing import Any

_RUN = ("=", "+", "-", "@", "\t", "\r")


def safe(cell: Any) -> Any:
    """A cell that no spreadsheet runs: a text that begins as a formula gets an apostrophe before it; numbers stay as they are."""
    if not isinstance(cell, str) or not cell.startswith(_RUN):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
