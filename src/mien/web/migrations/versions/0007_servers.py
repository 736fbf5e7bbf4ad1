"""Several servers share one database: a task says which of them has it, and each server that it lives."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "servers",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("process", sa.JSON(), nullable=False),
        sa.Column("beats", sa.Integer(), nullable=False),
        sa.Column("shown", sa.JSON(), nullable=False),
    )
    op.add_column("tasks", sa.Column("owner", sa.String(32)))
    op.add_column("jobs", sa.Column("owner", sa.String(32)))


def downgrade() -> None:
    op.drop_column("jobs", "owner")
    op.drop_column("tasks", "owner")
    op.drop_table("servers")
