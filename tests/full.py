"""A database that cannot be written for a while: its disk is full, or somebody holds it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from mien.web.database import Store


class Refusals:
    """Counts what a store refuses; as many as `most`, then it takes everything again."""

    def __init__(self, most: int) -> None:
        self.left = most

    @property
    def met(self) -> bool:
        return self.left <= 0


def full(monkeypatch: pytest.MonkeyPatch, store: Store, times: int) -> Refusals:
    """Lets the next transactions that write fail as SQLite does on a full disk, so many times."""
    refusals = Refusals(times)
    session = store.session

    @contextmanager
    def refusing() -> Iterator[Any]:
        if not refusals.met:
            refusals.left -= 1
            cause = sqlite3.OperationalError("database or disk is full")
            cause.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise OperationalError("insert", {}, cause)
        with session() as rows:
            yield rows

    monkeypatch.setattr(store, "session", refusing)
    return refusals
