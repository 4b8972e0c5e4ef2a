"""Review: policies, contributors, what approvals count.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TENANT = "(SELECT nullif(current_setting('devstudio.tenant_id', true), '')::uuid)"
TABLES = ("ds_patch_contributors", "ds_review_policies")
OF_APPROVALS = ("email", "policy_version", "expires_at", "withdrawn_at")


def upgrade() -> None:
    """Apply the change. Who made a patch before it is still its author by ``created_by``."""
    _create_contributors()
    _create_policies()
    op.add_column("ds_patches", sa.Column("rejected_by", sa.Uuid(), nullable=True))
    op.add_column("ds_approvals", sa.Column("email", sa.String(length=320), server_default="", nullable=False))
    op.add_column("ds_approvals", sa.Column("policy_version", sa.Integer(), server_default="0", nullable=False))
    for name in ("expires_at", "withdrawn_at"):
        op.add_column("ds_approvals", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        for table in TABLES:
            _secure(table)


def _create_contributors() -> None:
    op.create_table(
        "ds_patch_contributors",
        sa.Column("patch_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("user_name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        *_columns_of_every_row(),
        sa.ForeignKeyConstraint(["patch_id"], ["ds_patches.id"], name=op.f("fk_ds_patch_contributors_patch_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_patch_contributors")),
        sa.UniqueConstraint(
            "patch_id", "user_id", "role", "email", name=op.f("uq_ds_patch_contributors_patch_id_user_id_role_email")
        ),
    )
    with op.batch_alter_table("ds_patch_contributors", schema=None) as batch_op:
        batch_op.create_index("ix_ds_patch_contributors_tenant_id_id", ["tenant_id", "id"], unique=False)


def _create_policies() -> None:
    op.create_table(
        "ds_review_policies",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("values", JSON, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        *_columns_of_every_row(),
        sa.ForeignKeyConstraint(["project_id"], ["ds_projects.id"], name=op.f("fk_ds_review_policies_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_review_policies")),
        sa.UniqueConstraint("tenant_id", "project_id", name=op.f("uq_ds_review_policies_tenant_id_project_id")),
    )
    with op.batch_alter_table("ds_review_policies", schema=None) as batch_op:
        batch_op.create_index("ix_ds_review_policies_tenant_id_id", ["tenant_id", "id"], unique=False)


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
    for name in reversed(OF_APPROVALS):
        op.drop_column("ds_approvals", name)
    op.drop_column("ds_patches", "rejected_by")
    op.drop_table("ds_review_policies")
    op.drop_table("ds_patch_contributors")
