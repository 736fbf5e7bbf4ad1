"""How many opened a study's page, and why they came no further, is counted."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("studies", sa.Column("funnel", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    op.drop_column("studies", "funnel")
