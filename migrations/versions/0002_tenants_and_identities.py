"""Tenants, identities, audit, events; on PostgreSQL, row-level security for every table.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
OLDER_TABLES = (
    "ds_approvals",
    "ds_criteria",
    "ds_evidence",
    "ds_jobs",
    "ds_metrics",
    "ds_patches",
    "ds_projections",
    "ds_projects",
    "ds_runs",
    "ds_spec_sessions",
    "ds_specs",
    "ds_tasks",
)
NEW_TABLES = (
    "ds_agent_settings",
    "ds_audit",
    "ds_ci_integrations",
    "ds_events",
    "ds_idempotency_keys",
    "ds_kv",
    "ds_launch_codes",
    "ds_leases",
    "ds_revoked_tokens",
    "ds_sign_ins",
    "ds_tenants",
    "ds_users",
)

# Closed without a context: an unset setting is NULL or empty, and nothing equals NULL. In a sub-select, so that the
# setting is read once for a statement and not once for a row.
TENANT = "(SELECT nullif(current_setting('devstudio.tenant_id', true), '')::uuid)"
REFUSAL = "ds_audit is append-only"


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "ds_audit",
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("resource_type", sa.String(length=60), nullable=False),
        sa.Column("resource_id", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("prev_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_module", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_audit")),
        sa.UniqueConstraint("tenant_id", "seq", name=op.f("uq_ds_audit_tenant_id_seq")),
    )
    with op.batch_alter_table("ds_audit", schema=None) as batch_op:
        batch_op.create_index("ix_ds_audit_tenant_id_id", ["tenant_id", "id"], unique=False)

    op.create_table(
        "ds_events",
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=60), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_module", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_events")),
        sa.UniqueConstraint("tenant_id", "seq", name=op.f("uq_ds_events_tenant_id_seq")),
    )
    with op.batch_alter_table("ds_events", schema=None) as batch_op:
        batch_op.create_index("ix_ds_events_tenant_id_id", ["tenant_id", "id"], unique=False)

    op.create_table(
        "ds_idempotency_keys",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("operation", sa.String(length=100), nullable=False),
        sa.Column("request_sha256", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("response", sa.Text(), nullable=False),
        sa.Column("headers", JSON, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_module", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_idempotency_keys")),
        sa.UniqueConstraint("tenant_id", "user_id", "key", name=op.f("uq_ds_idempotency_keys_tenant_id_user_id_key")),
    )
    with op.batch_alter_table("ds_idempotency_keys", schema=None) as batch_op:
        batch_op.create_index("ix_ds_idempotency_keys_tenant_id_id", ["tenant_id", "id"], unique=False)
        batch_op.create_index("ix_ds_idempotency_keys_tenant_id_expires_at", ["tenant_id", "expires_at"], unique=False)

    op.create_table(
        "ds_kv",
        sa.Column("scope", sa.String(length=50), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("value_json", JSON, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_module", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_kv")),
        sa.UniqueConstraint("tenant_id", "scope", "key", name=op.f("uq_ds_kv_tenant_id_scope_key")),
    )
    with op.batch_alter_table("ds_kv", schema=None) as batch_op:
        batch_op.create_index("ix_ds_kv_tenant_id_id", ["tenant_id", "id"], unique=False)

    op.create_table(
        "ds_launch_codes",
        sa.Column("code_sha256", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("user_name", sa.String(length=200), nullable=False),
        sa.Column("roles", JSON, nullable=False),
        sa.Column("token_id", sa.String(length=255), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("session_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_module", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_launch_codes")),
        sa.UniqueConstraint("code_sha256", name=op.f("uq_ds_launch_codes_code_sha256")),
    )
    with op.batch_alter_table("ds_launch_codes", schema=None) as batch_op:
        batch_op.create_index("ix_ds_launch_codes_tenant_id_id", ["tenant_id", "id"], unique=False)

    op.create_table(
        "ds_leases",
        sa.Column("resource", sa.String(length=150), nullable=False),
        sa.Column("holder", sa.String(length=150), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_module", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_leases")),
        sa.UniqueConstraint("tenant_id", "resource", name=op.f("uq_ds_leases_tenant_id_resource")),
    )
    with op.batch_alter_table("ds_leases", schema=None) as batch_op:
        batch_op.create_index("ix_ds_leases_tenant_id_id", ["tenant_id", "id"], unique=False)

    op.create_table(
        "ds_revoked_tokens",
        sa.Column("token_id", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("issued_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_module", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_revoked_tokens")),
        sa.UniqueConstraint("tenant_id", "token_id", name=op.f("uq_ds_revoked_tokens_tenant_id_token_id")),
    )
    with op.batch_alter_table("ds_revoked_tokens", schema=None) as batch_op:
        batch_op.create_index("ix_ds_revoked_tokens_tenant_id_id", ["tenant_id", "id"], unique=False)

    op.create_table(
        "ds_sign_ins",
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("user_name", sa.String(length=200), nullable=False),
        sa.Column("roles", JSON, nullable=False),
        sa.Column("token_id", sa.String(length=255), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_module", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_sign_ins")),
        sa.UniqueConstraint("secret_sha256", name=op.f("uq_ds_sign_ins_secret_sha256")),
    )
    with op.batch_alter_table("ds_sign_ins", schema=None) as batch_op:
        batch_op.create_index("ix_ds_sign_ins_tenant_id_id", ["tenant_id", "id"], unique=False)

    op.create_table(
        "ds_tenants",
        sa.Column("event_seq", sa.BigInteger(), nullable=False),
        sa.Column("audit_seq", sa.BigInteger(), nullable=False),
        sa.Column("audit_hash", sa.String(length=64), nullable=False),
        sa.Column("audit_anchor_seq", sa.BigInteger(), nullable=False),
        sa.Column("audit_anchor_hash", sa.String(length=64), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_module", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_tenants")),
        sa.UniqueConstraint("tenant_id", name=op.f("uq_ds_tenants_tenant_id")),
    )
    with op.batch_alter_table("ds_tenants", schema=None) as batch_op:
        batch_op.create_index("ix_ds_tenants_tenant_id_id", ["tenant_id", "id"], unique=False)

    op.create_table(
        "ds_users",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.Column("roles", JSON, nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_module", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_users")),
        sa.UniqueConstraint("tenant_id", "user_id", name=op.f("uq_ds_users_tenant_id_user_id")),
    )
    with op.batch_alter_table("ds_users", schema=None) as batch_op:
        batch_op.create_index("ix_ds_users_tenant_id_id", ["tenant_id", "id"], unique=False)

    op.create_table(
        "ds_agent_settings",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("model_provider", sa.String(length=20), nullable=False),
        sa.Column("temperature", sa.Numeric(precision=3, scale=2), nullable=False),
        sa.Column("max_tokens", sa.Integer(), nullable=False),
        sa.Column("policy", JSON, nullable=False),
        sa.Column("token_limits", JSON, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_module", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["ds_projects.id"], name=op.f("fk_ds_agent_settings_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_agent_settings")),
    )
    with op.batch_alter_table("ds_agent_settings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ds_agent_settings_project_id"), ["project_id"], unique=False)
        batch_op.create_index("ix_ds_agent_settings_tenant_id_id", ["tenant_id", "id"], unique=False)

    op.create_table(
        "ds_ci_integrations",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("pipeline_ref", sa.String(length=200), nullable=True),
        sa.Column("branch", sa.String(length=100), nullable=False),
        sa.Column("webhook_url", sa.String(length=500), nullable=True),
        sa.Column("credentials_encrypted", sa.Text(), nullable=True),
        sa.Column("last_build_status", sa.String(length=20), nullable=True),
        sa.Column("last_build_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_module", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["ds_projects.id"], name=op.f("fk_ds_ci_integrations_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ds_ci_integrations")),
    )
    with op.batch_alter_table("ds_ci_integrations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ds_ci_integrations_project_id"), ["project_id"], unique=False)
        batch_op.create_index("ix_ds_ci_integrations_tenant_id_id", ["tenant_id", "id"], unique=False)
    op.execute(
        "INSERT INTO ds_tenants (id, tenant_id, created_at, source_module, event_seq, audit_seq, audit_hash,"
        " audit_anchor_seq, audit_anchor_hash)"
        f" SELECT tenant_id, tenant_id, min(created_at), 'devstudio', 0, 0, '{'0' * 64}', 0, '{'0' * 64}'"
        " FROM ds_projects GROUP BY tenant_id"
    )
    if op.get_bind().dialect.name == "postgresql":
        _secure_postgresql()
    else:
        _secure_sqlite()


def _secure_postgresql() -> None:
    for table in OLDER_TABLES + NEW_TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        name = table.replace("ds_", "tenant_isolation_", 1)
        op.execute(f"CREATE POLICY {name} ON {table} USING (tenant_id = {TENANT}) WITH CHECK (tenant_id = {TENANT})")
        # Ids rise with time, as rows do on disk. A planner that knows it reads a list by the primary key, through the
        # newer rows of all other tenants; one that does not takes the index of the tenant. Nothing else needs to know.
        op.execute(f"ALTER TABLE {table} ALTER COLUMN id SET STATISTICS 0")
    # The worker asks which tenants there are, and then opens a unit of work for each: ids are all that it gets.
    op.execute("CREATE POLICY owner_lists_tenants ON ds_tenants FOR SELECT TO CURRENT_USER USING (true)")
    op.execute(
        "CREATE FUNCTION known_tenants() RETURNS TABLE (tenant_id uuid) LANGUAGE sql STABLE SECURITY DEFINER"
        " SET search_path = devstudio AS 'SELECT t.tenant_id FROM devstudio.ds_tenants AS t ORDER BY t.tenant_id'"
    )
    op.execute("REVOKE EXECUTE ON FUNCTION known_tenants() FROM PUBLIC")
    # The verifier of the audit asks which tenants have entries: a chain is not whole when its tenant is forgotten.
    op.execute("CREATE POLICY owner_lists_audited_tenants ON ds_audit FOR SELECT TO CURRENT_USER USING (true)")
    op.execute(
        "CREATE FUNCTION audited_tenants() RETURNS TABLE (tenant_id uuid) LANGUAGE sql STABLE SECURITY DEFINER"
        " SET search_path = devstudio AS 'SELECT DISTINCT a.tenant_id FROM devstudio.ds_audit AS a'"
    )
    op.execute("REVOKE EXECUTE ON FUNCTION audited_tenants() FROM PUBLIC")
    op.execute(
        "CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql SET search_path = devstudio AS $$"
        " BEGIN"
        " IF TG_OP = 'DELETE' THEN"
        " IF OLD.seq <= (SELECT audit_anchor_seq FROM ds_tenants WHERE tenant_id = OLD.tenant_id) THEN"
        " RETURN OLD; END IF; END IF;"
        f" RAISE EXCEPTION '{REFUSAL}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER ds_audit_append_only BEFORE UPDATE OR DELETE ON ds_audit"
        " FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()"
    )
    op.execute(
        "CREATE TRIGGER ds_audit_no_truncate BEFORE TRUNCATE ON ds_audit"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()"
    )


def _secure_sqlite() -> None:
    op.execute(
        f"CREATE TRIGGER ds_audit_no_update BEFORE UPDATE ON ds_audit BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    )
    op.execute(
        "CREATE TRIGGER ds_audit_no_delete BEFORE DELETE ON ds_audit"
        " WHEN OLD.seq > coalesce((SELECT audit_anchor_seq FROM ds_tenants WHERE tenant_id = OLD.tenant_id), 0)"
        f" BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    )


def downgrade() -> None:
    """Undo the change."""
    postgresql_in_use = op.get_bind().dialect.name == "postgresql"
    op.drop_table("ds_ci_integrations")
    op.drop_table("ds_agent_settings")
    op.drop_table("ds_users")
    op.drop_table("ds_tenants")
    op.drop_table("ds_sign_ins")
    op.drop_table("ds_revoked_tokens")
    op.drop_table("ds_leases")
    op.drop_table("ds_launch_codes")
    op.drop_table("ds_kv")
    op.drop_table("ds_idempotency_keys")
    op.drop_table("ds_events")
    op.drop_table("ds_audit")
    if not postgresql_in_use:
        return
    op.execute("DROP FUNCTION known_tenants()")
    op.execute("DROP FUNCTION audited_tenants()")
    op.execute("DROP FUNCTION refuse_audit_change()")
    for table in OLDER_TABLES:
        op.execute(f"DROP POLICY {table.replace('ds_', 'tenant_isolation_', 1)} ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} ALTER COLUMN id SET STATISTICS -1")
