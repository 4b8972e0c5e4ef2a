"""Signed envelopes of patches and approvals, what models answered, and replays.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TENANT = "(SELECT nullif(current_setting('devstudio.tenant_id', true), '')::uuid)"
TABLES = ("ds_patch_recordings", "ds_patch_replays")


def upgrade() -> None:
    """Apply the change. Patches and approvals of before have no envelope, and count for nothing until they have one."""
    op.add_column("ds_patches", sa.Column("envelope", sa.Text(), nullable=True))
    op.add_column("ds_approvals", sa.Column("envelope", sa.Text(), nullable=True))
    _create_recordings()
    _create_replays()
    if op.get_bind().dialect.name == "postgresql":
        for table in TABLES:
            _secure(table)


def _create_recordings() -> None:
    op.create_table(
        "ds_patch_recordings",
        sa.Column("patch_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("request_sha256", sa.String(length=64), nullable=False),
        sa.Column("reply_sha256", sa.String(length=64), nullable=False),
        sa.Column("reply", sa.Text(), nullable=True),
        *_columns_of_every_row(),
        sa.ForeignKeyConstraint(["patch_id"], ["ds_patches.id"], name=op.f("fk_ds_patch_recordings_patch_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_patch_recordings")),
        sa.UniqueConstraint("patch_id", "number", name=op.f("uq_ds_patch_recordings_patch_id_number")),
    )
    with op.batch_alter_table("ds_patch_recordings", schema=None) as batch_op:
        batch_op.create_index("ix_ds_patch_recordings_tenant_id_id", ["tenant_id", "id"], unique=False)


def _create_replays() -> None:
    op.create_table(
        "ds_patch_replays",
        sa.Column("patch_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("compared_run_id", sa.Uuid(), nullable=True),
        sa.Column("result", JSON, nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("user_name", sa.String(length=200), nullable=False),
        *_columns_of_every_row(),
        sa.ForeignKeyConstraint(["patch_id"], ["ds_patches.id"], name=op.f("fk_ds_patch_replays_patch_id")),
        sa.ForeignKeyConstraint(["run_id"], ["ds_runs.id"], name=op.f("fk_ds_patch_replays_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_patch_replays")),
    )
    with op.batch_alter_table("ds_patch_replays", schema=None) as batch_op:
        batch_op.create_index("ix_ds_patch_replays_tenant_id_id", ["tenant_id", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_ds_patch_replays_patch_id"), ["patch_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_ds_patch_replays_run_id"), ["run_id"], unique=False)


def _columns_of_every_row() -> tuple[sa.Column[object], ...]:
    return (
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
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_column("ds_approvals", "envelope")
    op.drop_column("ds_patches", "envelope")
