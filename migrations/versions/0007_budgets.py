"""Budgets: limits, reservations, and what calls of models cost.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TENANT = "(SELECT nullif(current_setting('devstudio.tenant_id', true), '')::uuid)"
TABLES = ("ds_budgets", "ds_budget_reservations", "ds_budget_warnings")
READ_TO_FILL = ("ds_metrics", "ds_tasks", "ds_spec_sessions")
MONEY = sa.Numeric(precision=14, scale=8)
SESSION_OF_TASK = "SELECT session_id FROM ds_tasks WHERE ds_tasks.id = ds_metrics.task_id"
PROJECT_OF_SESSION = "SELECT project_id FROM ds_spec_sessions WHERE ds_spec_sessions.id = ds_metrics.session_id"


def upgrade() -> None:
    """Apply the change."""
    _say_what_calls_were_for()
    _create_budgets()
    _create_reservations()
    _create_warnings()
    if op.get_bind().dialect.name == "postgresql":
        for table in TABLES:
            _secure(table)


def _say_what_calls_were_for() -> None:
    """Give calls their session and project, those of old, too, as far as their task tells."""
    for name in ("project_id", "session_id"):
        op.add_column("ds_metrics", sa.Column(name, sa.Uuid(), nullable=True))
    for name in ("tokens_cache_read", "tokens_cache_write"):  # the default stays, as 0003 says
        op.add_column("ds_metrics", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    _hold_owner_back(hold=False)
    op.execute(f"UPDATE ds_metrics SET session_id = ({SESSION_OF_TASK}) WHERE task_id IS NOT NULL")
    op.execute(f"UPDATE ds_metrics SET project_id = ({PROJECT_OF_SESSION}) WHERE session_id IS NOT NULL")
    _hold_owner_back(hold=True)
    with op.batch_alter_table("ds_metrics", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ds_metrics_session_id"), ["session_id"], unique=False)
        batch_op.create_index("ix_ds_metrics_tenant_id_created_at", ["tenant_id", "created_at"], unique=False)
        batch_op.create_index("ix_ds_metrics_project_id_created_at", ["project_id", "created_at"], unique=False)


def _hold_owner_back(*, hold: bool) -> None:
    """Let the owner of the tables see the rows of all tenants within this migration, and no longer."""
    if op.get_bind().dialect.name == "postgresql":
        for table in READ_TO_FILL:
            op.execute(f"ALTER TABLE {table} {'' if hold else 'NO '}FORCE ROW LEVEL SECURITY")


def _create_budgets() -> None:
    op.create_table(
        "ds_budgets",
        sa.Column("scope", sa.String(length=10), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("task_id", sa.Uuid(), nullable=True),
        sa.Column("period", sa.String(length=10), nullable=False),
        sa.Column("limit_usd", MONEY, nullable=True),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("spent", MONEY, nullable=False),
        sa.Column("reserved", MONEY, nullable=False),
        sa.Column("warned", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        *_common(),
        sa.ForeignKeyConstraint(["project_id"], ["ds_projects.id"], name=op.f("fk_ds_budgets_project_id")),
        sa.ForeignKeyConstraint(["task_id"], ["ds_tasks.id"], name=op.f("fk_ds_budgets_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_budgets")),
        sa.UniqueConstraint("tenant_id", "subject_id", name=op.f("uq_ds_budgets_tenant_id_subject_id")),
    )
    with op.batch_alter_table("ds_budgets", schema=None) as batch_op:
        batch_op.create_index("ix_ds_budgets_tenant_id_id", ["tenant_id", "id"], unique=False)


def _create_reservations() -> None:
    op.create_table(
        "ds_budget_reservations",
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("task_id", sa.Uuid(), nullable=True),
        sa.Column("operation_type", sa.String(length=20), nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("model_used", sa.String(length=200), nullable=False),
        sa.Column("amount", MONEY, nullable=False),
        sa.Column("estimate", MONEY, nullable=False),
        sa.Column("tokens_input", sa.Integer(), nullable=False),
        sa.Column("context_size", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cost", MONEY, nullable=True),
        sa.Column("metric_id", sa.Uuid(), nullable=True),
        *_common(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_budget_reservations")),
    )
    with op.batch_alter_table("ds_budget_reservations", schema=None) as batch_op:
        batch_op.create_index("ix_ds_budget_reservations_tenant_id_id", ["tenant_id", "id"], unique=False)
        batch_op.create_index(
            "ix_ds_budget_reservations_tenant_id_status_expires_at",
            ["tenant_id", "status", "expires_at"],
            unique=False,
        )


def _create_warnings() -> None:
    op.create_table(
        "ds_budget_warnings",
        sa.Column("budget_id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.String(length=10), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("task_id", sa.Uuid(), nullable=True),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("limit_usd", MONEY, nullable=False),
        sa.Column("spent", MONEY, nullable=False),
        *_common(),
        sa.ForeignKeyConstraint(["budget_id"], ["ds_budgets.id"], name=op.f("fk_ds_budget_warnings_budget_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_budget_warnings")),
    )
    with op.batch_alter_table("ds_budget_warnings", schema=None) as batch_op:
        batch_op.create_index("ix_ds_budget_warnings_tenant_id_id", ["tenant_id", "id"], unique=False)
        batch_op.create_index("ix_ds_budget_warnings_budget_id_id", ["budget_id", "id"], unique=False)


def _common() -> tuple[sa.Column[object], ...]:
    """Return the columns that every table has."""
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
    with op.batch_alter_table("ds_metrics", schema=None) as batch_op:
        batch_op.drop_index("ix_ds_metrics_project_id_created_at")
        batch_op.drop_index("ix_ds_metrics_tenant_id_created_at")
        batch_op.drop_index(batch_op.f("ix_ds_metrics_session_id"))
    for name in ("tokens_cache_write", "tokens_cache_read", "session_id", "project_id"):
        op.drop_column("ds_metrics", name)
