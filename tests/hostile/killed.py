"""Migrations that are killed: `python -m hostile.killed URL` takes a number from each line of its input and lets a child of its own
migrate the database, which ends by SIGKILL before its so-manieth statement or commit; of many rows that are put in, each twentieth
counts. Answers with the child's exit code."""

import os
import signal
import sys
from typing import Any

from alembic import command  # noqa: F401  # once, not in each child
from sqlalchemy import event

from mien.web.database import Store


def migrate_until(url: str, last: int) -> None:
    store, count, inserted = Store(url), 0, 0

    def step(connection: Any, cursor: Any = None, statement: str = "commit", *_: Any) -> None:
        nonlocal count, inserted
        inserted += statement.startswith("INSERT INTO tasks")
        count += not statement.startswith("INSERT INTO tasks") or inserted % 20 == 0
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)

    for what in ("before_cursor_execute", "commit"):
        event.listen(store.engine, what, step)
    store.migrate()
    store.close()


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                migrate_until(sys.argv[1], int(line))
                code = 0
            finally:
                os._exit(code)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
