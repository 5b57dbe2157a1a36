"""when pets were born

Revision ID: 2b
Revises: 1a
Create Date: 2026-11-29 13:00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "2b"
down_revision = "1a"
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table("pets") as batch:
        batch.add_column(sa.Column("born", sa.Date, server_default="2020-02-29"))
        batch.alter_column("name", new_column_name="called")
    op.create_index("ix_pets_called", "pets", ["called"])


def downgrade():
    op.drop_index("ix_pets_called", "pets")
    with op.batch_alter_table("pets") as batch:
        batch.alter_column("called", new_column_name="name")
        batch.drop_column("born")
