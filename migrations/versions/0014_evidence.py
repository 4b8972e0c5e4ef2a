"""Evidence: trees, strict proofs, what was lost and why.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
NEW_COLUMNS: dict[str, dict[str, sa.types.TypeEngine[object]]] = {
    "ds_evidence": {
        "tree": sa.String(length=64),
        "branch": sa.String(length=200),
        "base_run_id": sa.Uuid(),
        "patch_id": sa.Uuid(),
        "log_sha256": sa.String(length=64),
        "lost_at": sa.DateTime(timezone=True),
        "lost_reason": sa.Text(),
        "lost_by": sa.Uuid(),
    },
    "ds_runs": {"base_run_id": sa.Uuid(), "statement": sa.Text()},
}


def upgrade() -> None:
    """Apply the change. Evidence of before was proven, not strictly, by tests that nobody wrote down."""
    for table, columns in NEW_COLUMNS.items():
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind, nullable=True))
    # The defaults stay, as 0003 says.
    op.add_column("ds_evidence", sa.Column("tests", JSON, server_default="[]", nullable=False))
    op.add_column("ds_evidence", sa.Column("strict", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("ds_evidence", sa.Column("outcome", sa.String(length=10), server_default="proven", nullable=False))
    op.create_index("ix_ds_runs_base_run_id", "ds_runs", ["base_run_id"])


def downgrade() -> None:
    """Undo the change."""
    op.drop_index("ix_ds_runs_base_run_id", table_name="ds_runs")
    for name in ("outcome", "strict", "tests"):
        op.drop_column("ds_evidence", name)
    for table, columns in NEW_COLUMNS.items():
        for name in columns:
            op.drop_column(table, name)
