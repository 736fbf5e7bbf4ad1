"""Rows of a test's table."""

from typing import Any

import pytest


def more(*rows: Any) -> list[Any]:
    """These rows are left to `make test-more`: the first rows of the table show that it works, these that it works each time."""
    return [pytest.param(*(row if isinstance(row, tuple) else (row,)), marks=pytest.mark.more) for row in rows]
