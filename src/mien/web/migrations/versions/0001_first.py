"""Jobs and logins."""

import sqlalchemy as sa
from alembic import op

from mien.web.database import UtcTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("media", sa.String(16)),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("queued_at", UtcTime(), nullable=False),
        sa.Column("started_at", UtcTime()),
        sa.Column("ended_at", UtcTime(), index=True),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("progress", sa.JSON()),
        sa.Column("error", sa.Text()),
        sa.Column("note", sa.Text()),
        sa.Column("headline", sa.Text()),
        sa.Column("duration_s", sa.Float()),
        sa.Column("people", sa.Integer()),
        sa.Column("shares", sa.JSON()),
        sa.Column("looks_per_s", sa.Float()),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("edits", sa.JSON(), nullable=False),
        sa.Column("live", sa.JSON()),
        sqlite_autoincrement=True,  # a number is never given twice, so no cursor comes to mean another job
    )
    op.create_table(
        "logins",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=False, index=True),
    )


def downgrade() -> None:
    op.drop_table("logins")
    op.drop_table("jobs")
