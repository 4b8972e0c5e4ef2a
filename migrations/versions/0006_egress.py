"""Egress: leases of domains, and what went through them.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TENANT = "(SELECT nullif(current_setting('devstudio.tenant_id', true), '')::uuid)"
TABLES = ("ds_egress_leases", "ds_egress_requests")


def upgrade() -> None:
    """Apply the change."""
    _create_leases()
    _create_requests()
    if op.get_bind().dialect.name == "postgresql":
        for table in TABLES:
            _secure(table)


def _create_leases() -> None:
    op.create_table(
        "ds_egress_leases",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=True),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("domains", JSON, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("duration_s", sa.Integer(), nullable=False),
        sa.Column("max_bytes_up", sa.BigInteger(), nullable=False),
        sa.Column("max_bytes_down", sa.BigInteger(), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=False),
        sa.Column("approved_by", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("self_approved", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Uuid(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_module", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["ds_projects.id"], name=op.f("fk_ds_egress_leases_project_id")),
        sa.ForeignKeyConstraint(["task_id"], ["ds_tasks.id"], name=op.f("fk_ds_egress_leases_task_id")),
        sa.ForeignKeyConstraint(["run_id"], ["ds_runs.id"], name=op.f("fk_ds_egress_leases_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_egress_leases")),
    )
    with op.batch_alter_table("ds_egress_leases", schema=None) as batch_op:
        batch_op.create_index("ix_ds_egress_leases_tenant_id_id", ["tenant_id", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_ds_egress_leases_project_id"), ["project_id"], unique=False)


def _create_requests() -> None:
    op.create_table(
        "ds_egress_requests",
        sa.Column("lease_id", sa.Uuid(), nullable=True),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("proxy_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("method", sa.String(length=20), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("path", sa.String(length=500), nullable=False),
        sa.Column("verdict", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("bytes_up", sa.BigInteger(), nullable=False),
        sa.Column("bytes_down", sa.BigInteger(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_module", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["lease_id"], ["ds_egress_leases.id"], name=op.f("fk_ds_egress_requests_lease_id")),
        sa.ForeignKeyConstraint(["project_id"], ["ds_projects.id"], name=op.f("fk_ds_egress_requests_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_egress_requests")),
    )
    with op.batch_alter_table("ds_egress_requests", schema=None) as batch_op:
        batch_op.create_index("ix_ds_egress_requests_tenant_id_id", ["tenant_id", "id"], unique=False)
        batch_op.create_index("ix_ds_egress_requests_lease_id_id", ["lease_id", "id"], unique=False)
        batch_op.create_index("ix_ds_egress_requests_run_id_id", ["run_id", "id"], unique=False)
        batch_op.create_index("ix_ds_egress_requests_proxy_id_number", ["proxy_id", "number"], unique=False)


def _secure(table: str) -> None:
    """Show rows to their tenant alone, as 0002 does, which says why."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    name = table.replace("ds_", "tenant_isolation_", 1)
    op.execute(f"CREATE POLICY {name} ON {table} USING (tenant_id = {TENANT}) WITH CHECK (tenant_id = {TENANT})")
    op.execute(f"ALTER TABLE {table} ALTER COLUMN id SET STATISTICS 0")


def downgrade() -> None:
    """Undo the change."""
    op.drop_table("ds_egress_requests")
    op.drop_table("ds_egress_leases")
