"""Generation: rounds of the fix loop, templates.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Apply the change: patches know how their tests went before anyone saw them."""
    op.add_column("ds_patches", sa.Column("rounds", JSON, server_default="[]", nullable=False))
    op.add_column("ds_patches", sa.Column("tested", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("ds_patches", sa.Column("stopped", sa.String(length=20), nullable=True))


def downgrade() -> None:
    """Undo the change."""
    for name in ("stopped", "tested", "rounds"):
        op.drop_column("ds_patches", name)
