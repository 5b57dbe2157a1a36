"""pets

Revision ID: 1a
Create Date: 2026-11-29 12:00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "1a"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    pets = op.create_table(
        "pets", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20), nullable=False)
    )
    op.bulk_insert(pets, [{"name": "Rex"}, {"name": "Tom"}])


def downgrade():
    op.drop_table("pets")
