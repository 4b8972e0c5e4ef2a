"""What each call of a model carried, as digests.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Apply the change; the default stays, as 0003 says."""
    op.add_column("ds_metrics", sa.Column("carried", JSON, nullable=False, server_default="[]"))


def downgrade() -> None:
    """Undo the change."""
    op.drop_column("ds_metrics", "carried")
