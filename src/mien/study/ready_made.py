"""Studies to begin with: questions, groups and settings that such studies have, in all languages; a film is still to be given."""

import json
from pathlib import Path
from typing import Any

READY_MADE: dict[str, tuple[str, str]] = {
    "screening": ("A screening", "One film; liking, what was felt, pace, its parts, what to change; by age and by cinema going."),
    "ad": ("An ad test", "One spot; who never buys such things is screened out; recall, liking, intention; five looks a second."),
    "cuts": ("Two cuts", "Two versions of a film; each person watches one, dealt evenly; the same questions on both."),
}
"""What there is: its name and what is in it, for operators."""


def ready_made(name: str) -> dict[str, Any]:
    """The definition of one, as `Study.read` takes it. Raises `KeyError` for a name that is not in `READY_MADE`."""
    if name not in READY_MADE:
        raise KeyError(name)
    text = Path(__file__).with_name("templates").joinpath(f"{name}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
