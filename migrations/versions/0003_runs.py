"""Runs: recipes, reruns, results, artifacts, and the settings of projects for them.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TENANT = "(SELECT nullif(current_setting('devstudio.tenant_id', true), '')::uuid)"
NEW_COLUMNS = (
    sa.Column("recipe", sa.String(length=50), nullable=True),
    sa.Column("argv", JSON, nullable=True),
    sa.Column("ref", sa.String(length=200), nullable=True),
    sa.Column("tree", sa.String(length=64), nullable=True),
    sa.Column("rerun_of", sa.Uuid(), nullable=True),
    sa.Column("coverage", JSON, nullable=True),
    sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("plan", JSON, nullable=True),
    sa.Column("result", JSON, nullable=True),
)
# The defaults stay: taking them away again would copy the table on SQLite, which other tables point to.
FILLED_COLUMNS = {
    "stage": (sa.String(length=20), "queued"),
    "attempt": (sa.Integer(), "0"),
    "failures": (JSON, "[]"),
    "artifacts": (JSON, "[]"),
}


def upgrade() -> None:
    """Apply the change."""
    for column in NEW_COLUMNS:
        op.add_column("ds_runs", sa.Column(column.name, column.type, nullable=True))
    for name, (kind, value) in FILLED_COLUMNS.items():
        op.add_column("ds_runs", sa.Column(name, kind, nullable=False, server_default=value))
    op.create_table(
        "ds_run_settings",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("values", JSON, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_module", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["ds_projects.id"], name=op.f("fk_ds_run_settings_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_run_settings")),
        sa.UniqueConstraint("tenant_id", "project_id", name=op.f("uq_ds_run_settings_tenant_id_project_id")),
    )
    with op.batch_alter_table("ds_run_settings", schema=None) as batch_op:
        batch_op.create_index("ix_ds_run_settings_tenant_id_id", ["tenant_id", "id"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        _secure("ds_run_settings")


def _secure(table: str) -> None:
    """Show rows to their tenant alone, as 0002 does, which says why."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    name = table.replace("ds_", "tenant_isolation_", 1)
    op.execute(f"CREATE POLICY {name} ON {table} USING (tenant_id = {TENANT}) WITH CHECK (tenant_id = {TENANT})")
    op.execute(f"ALTER TABLE {table} ALTER COLUMN id SET STATISTICS 0")


def downgrade() -> None:
    """Undo the change."""
    op.drop_table("ds_run_settings")
    for name in (*FILLED_COLUMNS, *(column.name for column in NEW_COLUMNS)):
        op.drop_column("ds_runs", name)
