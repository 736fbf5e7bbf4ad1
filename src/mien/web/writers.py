"""Whoever may be writing of something that is about to be erased."""

from collections.abc import Callable


class Writers:
    """What writes of analyses, studies and participants, and stops when one of them is erased.

    This reaches the writers of this process, at once. Those of other processes find their files gone, or their rows.
    """

    def __init__(self) -> None:
        self._stops: list[Callable[[str], None]] = []

    def add(self, stop: Callable[[str], None]) -> None:
        """`stop(id)` ends all writing of what has this id, before it returns, and passes over ids that it does not know."""
        self._stops.append(stop)

    def stop(self, id: str) -> None:
        """Nothing is written any more of the analysis, study or participant of this id. From any thread."""
        for stop in self._stops:
            stop(id)
