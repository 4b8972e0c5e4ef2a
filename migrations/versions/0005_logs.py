"""Logs and files of runs, where no disk is shared.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TENANT = "(SELECT nullif(current_setting('devstudio.tenant_id', true), '')::uuid)"
TABLES = ("ds_file_blocks", "ds_log_chunks", "ds_run_files", "ds_run_logs")


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "ds_run_logs",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("writers", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("truncated_bytes", sa.BigInteger(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        *_common(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_run_logs")),
        sa.UniqueConstraint("tenant_id", "run_id", name=op.f("uq_ds_run_logs_tenant_id_run_id")),
    )
    op.create_table(
        "ds_log_chunks",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("pieces", sa.LargeBinary(), nullable=False),
        *_common(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_log_chunks")),
        sa.UniqueConstraint("tenant_id", "run_id", "start", name=op.f("uq_ds_log_chunks_tenant_id_run_id_start")),
    )
    op.create_table(
        "ds_run_files",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("media_type", sa.String(length=200), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        *_common(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_run_files")),
    )
    op.create_table(
        "ds_file_blocks",
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        *_common(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_file_blocks")),
        sa.UniqueConstraint("tenant_id", "file_id", "number", name=op.f("uq_ds_file_blocks_tenant_id_file_id_number")),
    )
    for table in TABLES:
        op.create_index(f"ix_{table}_tenant_id_id", table, ["tenant_id", "id"])
    op.create_index("ix_ds_run_files_tenant_id_run_id", "ds_run_files", ["tenant_id", "run_id"])
    if op.get_bind().dialect.name == "postgresql":
        for table in TABLES:
            _secure(table)


def _common() -> tuple[sa.Column[object], ...]:
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
    for table in TABLES:
        op.drop_table(table)
