"""What the processes that the server starts have in common: how they answer, when they end, and what they tell of a result."""

import os
import threading
from contextlib import suppress
from typing import Any, TextIO


def end_with_the_server() -> None:
    """From now on the process ends by itself when its input ends: then the server is gone, and the next one begins again.

    Read without sys.stdin, whose lock would be held when the process ends otherwise.
    """

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(3)

    threading.Thread(target=wait, daemon=True).start()


def answers() -> TextIO:
    """Where answers go, as lines of JSON. Whatever a library prints is no answer, and goes to standard error from now on."""
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    return out


def give_way(niceness: int) -> None:
    """Leaves the processor to others, where the system has a way to say so."""
    with suppress(OSError, AttributeError):
        os.nice(niceness)


def listed(summary: dict[str, Any]) -> dict[str, Any]:
    """What the list of analyses shows of a result, from its summary.json."""
    return {
        "headline": summary["headline"],
        "duration_s": summary["looked_at_s"] or None,
        "people": len(summary["tracks"]),
        "shares": summary["shares"] if summary["faces"] else None,
    }
