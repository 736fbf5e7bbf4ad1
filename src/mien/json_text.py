"""JSON of whatever origin: what cannot be read is one kind of error."""

import json
from typing import Any


def parsed(text: str | bytes) -> Any:
    """As `json.loads`. Raises `ValueError` for all that cannot be read, also for what is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
