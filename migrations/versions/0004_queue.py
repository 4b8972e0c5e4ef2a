"""The queue: the processes that do jobs. On PostgreSQL, Procrastinate's tables come beside them.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TENANT = "(SELECT nullif(current_setting('devstudio.tenant_id', true), '')::uuid)"


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "ds_workers",
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("host", sa.String(length=200), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_module", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_workers")),
    )
    with op.batch_alter_table("ds_workers", schema=None) as batch_op:
        batch_op.create_index("ix_ds_workers_tenant_id_id", ["tenant_id", "id"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE ds_workers ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE ds_workers FORCE ROW LEVEL SECURITY")
        op.execute(
            "CREATE POLICY tenant_isolation_workers ON ds_workers"
            f" USING (tenant_id = {TENANT}) WITH CHECK (tenant_id = {TENANT})"
        )
        op.execute("ALTER TABLE ds_workers ALTER COLUMN id SET STATISTICS 0")


def downgrade() -> None:
    """Undo the change."""
    op.drop_table("ds_workers")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP SCHEMA IF EXISTS procrastinate CASCADE")
