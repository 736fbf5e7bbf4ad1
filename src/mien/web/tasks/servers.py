"""The servers that share a database: each gives signs of life, and is known to be gone when they stay away.

No clock is compared with another. A sign of life is a number that rises; who watches counts by its own clock, and only while it can
read the database, for how long it has not. Of a server on the same machine the system says at once that its process has ended.
"""

import time
from collections.abc import Collection
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mien.unfinished import is_gone, this_process
from mien.web.database import ServerRow, Store

SILENT_S = 30.0
"""After so long without a sign of life a server counts as gone, and what it had is done by others."""


def beat(rows: Session, id: str, shown: dict[str, Any]) -> None:
    """Says that the server `id`, this process, lives, and how far each of its tasks is, by their ids. With the first one it is
    known."""
    change = update(ServerRow).where(ServerRow.id == id).values(beats=ServerRow.beats + 1, shown=shown)
    if rows.scalar(change.returning(ServerRow.id).execution_options(synchronize_session=False)) is None:
        rows.add(ServerRow(id=id, process=this_process(), beats=1, shown=shown))
        rows.flush()


def bury(rows: Session, ids: Collection[str]) -> None:
    """Forgets servers that are gone, or have nothing any more that others could take up."""
    rows.execute(delete_rows(ServerRow).where(ServerRow.id.in_(ids)))


class Watch:
    """What one who looks again and again sees of servers. Not for two threads at a time."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._seen: dict[str, tuple[int | None, float]] = {}  # a server's beats, and for how many seconds they have not risen
        self._looked_s = time.monotonic()

    def look(self, servers: Collection[str]) -> tuple[set[str], dict[str, Any]]:
        """Which of these are gone, and what the others show of their tasks."""
        there: dict[str, ServerRow] = {}
        if servers:
            with self.store.reading() as rows:
                there = {row.id: row for row in rows.scalars(select(ServerRow).where(ServerRow.id.in_(servers)))}
        moment = time.monotonic()
        # What was not looked at, the database or this process being away, is no silence of theirs.
        passed, self._looked_s = min(moment - self._looked_s, SILENT_S / 3), moment
        seen = {id: (there[id].beats if id in there else None, 0.0) for id in servers}
        for id, (beats, _) in seen.items():
            before = self._seen.get(id)
            if before is not None and before[0] == beats:
                seen[id] = beats, before[1] + passed
        self._seen = seen
        gone = {id for id in servers if seen[id][1] >= SILENT_S or (id in there and is_gone(there[id].process))}
        return gone, {task: shown for id in there.keys() - gone for task, shown in there[id].shown.items()}
