"""A room that waits for its recording is a task."""

import sqlalchemy as sa
from alembic import op

from mien.web.database import UtcTime, new_id, now

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    rows = op.get_bind()
    rooms = sa.table("rooms", *(sa.column(name) for name in ("id", "study_id", "state")))
    tasks = sa.table(
        "tasks",
        *(sa.column(name) for name in ("id", "kind", "subject", "state")),
        *(sa.column("detail", sa.JSON()), sa.column("queued_at", UtcTime())),
    )
    waiting = sa.select(rooms.c.study_id, rooms.c.id).where(rooms.c.state == "analysing")
    for study, room in rows.execute(waiting).all():
        task = {"id": new_id(), "kind": "room", "subject": f"{study}/rooms/{room}", "state": "waiting", "detail": {}}
        rows.execute(tasks.insert().values(task | {"queued_at": now()}))


def downgrade() -> None:
    op.execute("delete from tasks where kind in ('room', 'report')")
