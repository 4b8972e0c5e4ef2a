"""Sync: conflicts that wait for a person, and what each file held before and after it was last written.

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TENANT = "(SELECT nullif(current_setting('devstudio.tenant_id', true), '')::uuid)"
TABLE = "ds_sync_conflicts"


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        TABLE,
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("document", sa.String(length=20), nullable=False),
        sa.Column("block_id", sa.String(length=80), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("base", sa.Text(), nullable=True),
        sa.Column("ours", sa.Text(), nullable=True),
        sa.Column("theirs", sa.Text(), nullable=True),
        sa.Column("earlier", JSON, nullable=False),
        sa.Column("behind", sa.String(length=80), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("who", sa.String(length=200), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("session_version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("resolution", sa.String(length=20), nullable=True),
        sa.Column("resolved_by", sa.Uuid(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_module", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["ds_spec_sessions.id"], name=op.f("fk_ds_sync_conflicts_session_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_sync_conflicts")),
    )
    with op.batch_alter_table(TABLE, schema=None) as batch_op:
        batch_op.create_index("ix_ds_sync_conflicts_tenant_id_id", ["tenant_id", "id"], unique=False)
        batch_op.create_index("ix_ds_sync_conflicts_session_id_id", ["session_id", "id"], unique=False)
    op.add_column("ds_projections", sa.Column("digest", sa.String(length=64), nullable=True))
    op.add_column("ds_projections", sa.Column("previous", sa.Text(), nullable=True))
    op.add_column("ds_projections", sa.Column("previous_digest", sa.String(length=64), nullable=True))
    op.add_column("ds_projections", sa.Column("file_digest", sa.String(length=64), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        _secure()


def _secure() -> None:
    """Show rows to their tenant alone, as 0002 does, which says why."""
    op.execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {TABLE} FORCE ROW LEVEL SECURITY")
    name = TABLE.replace("ds_", "tenant_isolation_", 1)
    op.execute(f"CREATE POLICY {name} ON {TABLE} USING (tenant_id = {TENANT}) WITH CHECK (tenant_id = {TENANT})")
    op.execute(f"ALTER TABLE {TABLE} ALTER COLUMN id SET STATISTICS 0")


def downgrade() -> None:
    """Undo the change."""
    for name in ("file_digest", "previous_digest", "previous", "digest"):
        op.drop_column("ds_projections", name)
    op.drop_table(TABLE)
