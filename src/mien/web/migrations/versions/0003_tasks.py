"""All that takes long is a task: analyses that waited or ran, films that were not ready, and recordings that were being saved."""

import sqlalchemy as sa
from alembic import op

from mien.web.database import UtcTime, new_id, now

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    tasks = op.create_table(
        "tasks",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("queued_at", UtcTime(), nullable=False),
        sa.Column("started_at", UtcTime()),
        sa.Column("ended_at", UtcTime()),
        sa.UniqueConstraint("kind", "subject"),
        sqlite_autoincrement=True,
    )
    assert tasks is not None
    rows = op.get_bind()
    jobs = sa.table("jobs", *(sa.column(name) for name in ("number", "id", "kind", "state")), sa.column("queued_at", UtcTime()))
    wanted = sa.select(jobs.c.id, jobs.c.queued_at).where(jobs.c.kind == "file", jobs.c.state.in_(("queued", "running")))
    for id, queued_at in rows.execute(wanted.order_by(jobs.c.queued_at, jobs.c.number)).all():
        rows.execute(tasks.insert().values(_task("analysis", id, queued_at or now())))
    saving = sa.select(jobs.c.id).where(jobs.c.kind == "live", jobs.c.state == "saving").order_by(jobs.c.number)
    for (id,) in rows.execute(saving).all():
        rows.execute(tasks.insert().values(_task("recording", id, now())))
    rows.execute(jobs.update().where(jobs.c.kind == "file", jobs.c.state == "running").values(state="queued"))
    films = sa.table("studies", sa.column("number"), sa.column("id"), sa.column("films", sa.JSON()))
    for id, made in rows.execute(sa.select(films.c.id, films.c.films).order_by(films.c.number)).all():
        for stimulus, facts in made.items():
            if facts.get("state") == "converting":
                rows.execute(tasks.insert().values(_task("film", f"{id}/{stimulus}", now())))


def _task(kind: str, subject: str, queued_at: object) -> dict[str, object]:
    return {"id": new_id(), "kind": kind, "subject": subject, "state": "waiting", "detail": {}, "queued_at": queued_at}


def downgrade() -> None:
    op.drop_table("tasks")
