"""Proposals of planned documents, and approvals of documents.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TENANT = "(SELECT nullif(current_setting('devstudio.tenant_id', true), '')::uuid)"
TABLES = ("ds_document_approvals", "ds_proposals")


def upgrade() -> None:
    """Apply the change."""
    _create_approvals()
    _create_proposals()
    if op.get_bind().dialect.name == "postgresql":
        for table in TABLES:
            _secure(table)


def _create_approvals() -> None:
    op.create_table(
        "ds_document_approvals",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("document_version", sa.Integer(), nullable=False),
        sa.Column("approved_by", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        *_own_columns(),
        sa.ForeignKeyConstraint(
            ["session_id"], ["ds_spec_sessions.id"], name=op.f("fk_ds_document_approvals_session_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_document_approvals")),
        sa.UniqueConstraint("session_id", "type", name=op.f("uq_ds_document_approvals_session_id_type")),
    )
    with op.batch_alter_table("ds_document_approvals", schema=None) as batch_op:
        batch_op.create_index("ix_ds_document_approvals_tenant_id_id", ["tenant_id", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_ds_document_approvals_session_id"), ["session_id"], unique=False)


def _create_proposals() -> None:
    op.create_table(
        "ds_proposals",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("stage", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("documents", JSON, nullable=False),
        sa.Column("decisions", JSON, nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        *_own_columns(),
        sa.ForeignKeyConstraint(["session_id"], ["ds_spec_sessions.id"], name=op.f("fk_ds_proposals_session_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_proposals")),
    )
    with op.batch_alter_table("ds_proposals", schema=None) as batch_op:
        batch_op.create_index("ix_ds_proposals_tenant_id_id", ["tenant_id", "id"], unique=False)
        batch_op.create_index("ix_ds_proposals_session_id_id", ["session_id", "id"], unique=False)


def _own_columns() -> tuple[sa.Column[object], ...]:
    """Return the columns that every row has which people change."""
    return (
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_module", sa.String(length=20), nullable=False),
    )


def _secure(table: str) -> None:
    """Show rows to their tenant alone, as 0002 does, which says why."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    name = table.replace("ds_", "tenant_isolation_", 1)
    op.execute(f"CREATE POLICY {name} ON {table} USING (tenant_id = {TENANT}) WITH CHECK (tenant_id = {TENANT})")
    op.execute(f"ALTER TABLE {table} ALTER COLUMN id SET STATISTICS 0")


def downgrade() -> None:
    """Undo the change."""
    op.drop_table("ds_proposals")
    op.drop_table("ds_document_approvals")
