"""Studies, who takes part in them, and who did what with them."""

import sqlalchemy as sa
from alembic import op

from mien.web.database import UtcTime

revision = "0002"
down_revision = "0001"


def _number() -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("number", kind, primary_key=True, autoincrement=True)


def _study() -> sa.Column[str]:
    return sa.Column("study_id", sa.String(32), sa.ForeignKey("studies.id", ondelete="CASCADE"), nullable=False, index=True)


def upgrade() -> None:
    op.create_table(
        "studies",
        _number(),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("consents", sa.JSON(), nullable=False),
        sa.Column("films", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("names_given", sa.Integer(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("changed_at", UtcTime(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "invitations",
        sa.Column("id", sa.String(32), primary_key=True),
        _study(),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("one_time", sa.Boolean(), nullable=False),
        sa.Column("limit", sa.Integer()),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("ends_at", UtcTime()),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
    )
    op.create_table(
        "participants",
        sa.Column("id", sa.String(32), primary_key=True),
        _study(),
        sa.Column("name", sa.Integer(), nullable=False),
        sa.Column("invitation_id", sa.String(32), sa.ForeignKey("invitations.id", ondelete="SET NULL"), index=True),
        sa.Column("code_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("consent_version", sa.Integer(), nullable=False),
        sa.Column("consented_at", UtcTime(), nullable=False),
        sa.Column("pictures", sa.Boolean(), nullable=False),
        sa.Column("step", sa.String(64), nullable=False),
        sa.Column("order", sa.JSON(), nullable=False),
        sa.Column("positions", sa.JSON(), nullable=False),
        sa.Column("answers", sa.JSON(), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("quality", sa.JSON(), nullable=False),
        sa.Column("seen_at", UtcTime(), nullable=False),
        sa.Column("finished_at", UtcTime()),
        sa.UniqueConstraint("study_id", "name"),
    )
    op.create_table(
        "rooms",
        sa.Column("id", sa.String(32), primary_key=True),
        _study(),
        sa.Column("name", sa.Integer(), nullable=False),
        sa.Column("stimulus", sa.String(64), nullable=False),
        sa.Column("offset_s", sa.Float(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("clock", sa.JSON()),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("job", sa.String(32)),
        sa.Column("error", sa.Text()),
        sa.Column("duration_s", sa.Float()),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.Column("together", sa.Integer(), nullable=False),
        sa.Column("made_at", UtcTime(), nullable=False),
        sa.UniqueConstraint("study_id", "name"),
    )
    op.create_table(
        "frozen",
        sa.Column("id", sa.String(32), primary_key=True),
        _study(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
    )
    op.create_table(
        "audit",
        _number(),
        sa.Column("study_id", sa.String(32), nullable=False, index=True),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("who", sa.String(16), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sqlite_autoincrement=True,  # a number that was given says how many there were
    )


def downgrade() -> None:
    for table in ("audit", "frozen", "rooms", "participants", "invitations", "studies"):
        op.drop_table(table)
