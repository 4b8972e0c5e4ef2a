"""Patches: revisions, target branch, origin.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TENANT = "(SELECT nullif(current_setting('devstudio.tenant_id', true), '')::uuid)"


def upgrade() -> None:
    """Apply the change. Patches of before have no rows of revisions: their first is what they are."""
    op.add_column("ds_patches", sa.Column("branch", sa.String(length=100), server_default="main", nullable=False))
    op.add_column("ds_patches", sa.Column("origin", sa.String(length=20), server_default="generated", nullable=False))
    op.add_column("ds_patches", sa.Column("reverts", sa.Uuid(), nullable=True))
    op.add_column("ds_patches", sa.Column("revision", sa.Integer(), server_default="1", nullable=False))
    op.add_column("ds_approvals", sa.Column("revision", sa.Integer(), server_default="1", nullable=False))
    op.create_table(
        "ds_patch_revisions",
        sa.Column("patch_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("patch_content", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("branch", sa.String(length=100), nullable=False),
        sa.Column("base", sa.String(length=64), nullable=False),
        sa.Column("result_tree", sa.String(length=64), nullable=False),
        sa.Column("files", JSON, nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("author_name", sa.String(length=200), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_module", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["patch_id"], ["ds_patches.id"], name=op.f("fk_ds_patch_revisions_patch_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_patch_revisions")),
        sa.UniqueConstraint("patch_id", "number", name=op.f("uq_ds_patch_revisions_patch_id_number")),
    )
    with op.batch_alter_table("ds_patch_revisions", schema=None) as batch_op:
        batch_op.create_index("ix_ds_patch_revisions_tenant_id_id", ["tenant_id", "id"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        _secure("ds_patch_revisions")


def _secure(table: str) -> None:
    """Show rows to their tenant alone, as 0002 does, which says why."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    name = table.replace("ds_", "tenant_isolation_", 1)
    op.execute(f"CREATE POLICY {name} ON {table} USING (tenant_id = {TENANT}) WITH CHECK (tenant_id = {TENANT})")
    op.execute(f"ALTER TABLE {table} ALTER COLUMN id SET STATISTICS 0")


def downgrade() -> None:
    """Undo the change."""
    op.drop_table("ds_patch_revisions")
    op.drop_column("ds_approvals", "revision")
    for name in ("revision", "reverts", "origin", "branch"):
        op.drop_column("ds_patches", name)
