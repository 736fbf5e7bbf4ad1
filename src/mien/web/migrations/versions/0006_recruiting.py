"""What the address by which somebody came says of them, apart from the rest; and who is left out of a study's report."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("participants", sa.Column("identifiers", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("studies", sa.Column("left_out", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    op.drop_column("studies", "left_out")
    op.drop_column("participants", "identifiers")
