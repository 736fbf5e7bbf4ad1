"""What becomes of what was written down, where the machine's clock is set.

A clock that is set, to the right time or to a wrong one, makes nobody older. What this process wrote down moves along, and so do
logins. After a leap nothing is erased because of its age for a day: time for whoever minds the machine to set a wrong clock right.
"""

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Column, Table, select, update
from sqlalchemy.orm import Session

from mien.web.database import CLOCK, Base, Invitation, Login, Store, UtcTime, now

LOOK_EVERY_S = 10.0
LEAP = timedelta(days=1)
"""So far from one sweep to the next it is a leap, or the server did not run: nobody can tell which."""

DOUBTED = timedelta(days=1)
FILE = "clock.json"
"""In the data folder: when was last swept, and since when the clock is in doubt."""

log = logging.getLogger(__name__)


def follow_clock(store: Store, login_hours: int) -> float:
    """Takes over what the machine's clock was set to, and what this process wrote down with it; gives the seconds, or 0."""
    step_s = CLOCK.step_s()
    if not step_s:
        return 0.0
    by, began, before = timedelta(seconds=step_s), CLOCK.began(), now()
    log.warning(
        "the machine's clock was set by %+.0f s, from %s; what was written down since the start moves along", step_s, before
    )
    if step_s < 0:
        CLOCK.follow(step_s)
    with store.session() as rows:
        for table, column in _times() if store.file is not None else ():  # else other machines may write there, by their own clocks
            _move(rows, table, column, began, before, by)
        _move(rows, *_of(Login, "expires_at"), before, before + timedelta(hours=login_hours), by)
    if step_s > 0:  # only now: nobody is thrown out in between
        CLOCK.follow(step_s)
    return step_s


def _of(model: type[Base], name: str) -> "tuple[Table, Column[datetime]]":
    table = Base.metadata.tables[model.__tablename__]
    return table, table.c[name]


def _times() -> "Iterator[tuple[Table, Column[datetime]]]":
    """All columns that say when something happened; when something is to end is another matter."""
    for table in Base.metadata.tables.values():
        for column in table.c:
            if isinstance(column.type, UtcTime) and (table, column) not in (_of(Login, "expires_at"), _of(Invitation, "ends_at")):
                yield table, column


def _move(rows: Session, table: Table, column: "Column[datetime]", since: datetime, until: datetime, by: timedelta) -> None:
    (key,) = table.primary_key.columns
    found = rows.execute(select(key, column).where(column >= since, column <= until)).all()
    for id, moment in found:
        rows.execute(update(table).where(key == id).values({column.name: moment + by}))


class Doubt:
    """Whether things may be erased because of their age. Remembers over restarts, in a file."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.file, self.store, self._stepped = folder / FILE, store, False
        self._one_by_one = threading.Lock()

    def follow_clock(self, login_hours: int) -> None:
        """As the function of this name; after a leap there is doubt."""
        with self._one_by_one:
            if abs(follow_clock(self.store, login_hours)) > LEAP.total_seconds():
                self._stepped = True

    def sweep(self) -> bool:
        """Called at each sweep: whether the clock can be gone by. Where it can, nothing that was written down lies ahead of it.

        While nothing ran the clock may have been set, or time passed: who starts a server each week has doubt each time, which is
        over the next time.
        """
        moment = now()
        swept, since = self._read()
        leapt = self._stepped or (since is None and swept is not None and abs(moment - swept) > LEAP)
        self._stepped = False
        if leapt or (since is not None and moment < since):
            log.warning(
                "the clock leapt, or nothing ran for long: nothing is erased because of its age until tomorrow; it says %s now; "
                "if that is wrong, set it right",
                moment,
            )
            since = moment
        elif since is not None and moment - since >= DOUBTED:
            since = None
        known = {"swept": moment.isoformat(), "doubted": since and since.isoformat()}
        with suppress(OSError):  # a full disk, of which more may be erased
            self.file.write_text(json.dumps(known), encoding="utf-8")
        if since is not None:
            return False
        self._bring_back(moment)
        return True

    def _read(self) -> tuple[datetime | None, datetime | None]:
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            known = json.loads(self.file.read_text(encoding="utf-8"))
            swept, doubted = (known[name] and datetime.fromisoformat(known[name]).astimezone(UTC) for name in ("swept", "doubted"))
            return swept or None, doubted or None
        return None, None

    def _bring_back(self, moment: datetime) -> None:
        """What a clock that went ahead wrote down would be kept until that time comes: it is of now instead."""
        ahead = moment + LEAP
        with self.store.session() as rows:
            for table, column in _times():
                rows.execute(update(table).where(column > ahead).values({column.name: moment}))
