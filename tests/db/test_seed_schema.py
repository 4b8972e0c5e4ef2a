"""The seed's schema is there, whole: each table and column under its name, as wide as the seed has it."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from devstudio_server.db import Units
from devstudio_server.db.registry import all_tables

# As in the seed's SQL; the last mark is `!` where it says NOT NULL.
SEED = {
    "ds_projects": (
        "id UUID, tenant_id UUID!, name VARCHAR(100)!, description TEXT, type VARCHAR(50)!, template VARCHAR(50),"
        " repo VARCHAR(500), provider VARCHAR(20), created_by UUID!, created_at TIMESTAMP, updated_at TIMESTAMP,"
        " status VARCHAR(20), source_module VARCHAR(20), metadata JSONB"
    ),
    "ds_spec_sessions": (
        "id UUID, project_id UUID!, title VARCHAR(200)!, description TEXT, status VARCHAR(20), author_id UUID!,"
        " created_at TIMESTAMP, updated_at TIMESTAMP, completed_at TIMESTAMP, version INTEGER,"
        " source_module VARCHAR(20), metadata JSONB"
    ),
    "ds_specs": (
        "id UUID, session_id UUID!, type VARCHAR(20)!, content TEXT!, version INTEGER, created_by UUID!,"
        " created_at TIMESTAMP, updated_at TIMESTAMP, source_module VARCHAR(20)"
    ),
    "ds_tasks": (
        "id UUID, session_id UUID!, title VARCHAR(200)!, description TEXT, status VARCHAR(20), assignee VARCHAR(10),"
        " dod TEXT, priority VARCHAR(10), estimated_hours INTEGER, actual_hours INTEGER, created_at TIMESTAMP,"
        " updated_at TIMESTAMP, completed_at TIMESTAMP, links JSONB, source_module VARCHAR(20), metadata JSONB"
    ),
    "ds_runs": (
        "id UUID, project_id UUID!, type VARCHAR(20)!, command TEXT, status VARCHAR(20), container_id VARCHAR(100),"
        " started_at TIMESTAMP, finished_at TIMESTAMP, exit_code INTEGER, logs_url VARCHAR(500), metrics_json JSONB,"
        " created_by UUID!, created_at TIMESTAMP, source_module VARCHAR(20)"
    ),
    "ds_ci_integrations": (
        "id UUID, project_id UUID!, provider VARCHAR(20)!, pipeline_ref VARCHAR(200), branch VARCHAR(100),"
        " webhook_url VARCHAR(500), credentials_encrypted TEXT, created_at TIMESTAMP, updated_at TIMESTAMP,"
        " last_build_status VARCHAR(20), last_build_at TIMESTAMP, source_module VARCHAR(20)"
    ),
    "ds_agent_settings": (
        "id UUID, project_id UUID!, model VARCHAR(50)!, model_provider VARCHAR(20)!, temperature DECIMAL(3,2),"
        " max_tokens INTEGER, policy JSONB, token_limits JSONB, created_at TIMESTAMP, updated_at TIMESTAMP,"
        " source_module VARCHAR(20)"
    ),
    "ds_kv": (
        "scope VARCHAR(50)!, key VARCHAR(200)!, value_json JSONB!, expires_at TIMESTAMP, created_at TIMESTAMP,"
        " updated_at TIMESTAMP, source_module VARCHAR(20)"
    ),
    "ds_metrics": (
        "id UUID, run_id UUID, task_id UUID, operation_type VARCHAR(20), model_used VARCHAR(50), tokens_input INTEGER,"
        " tokens_output INTEGER, cost_estimated DECIMAL(10,4), duration_ms INTEGER, success BOOLEAN,"
        " context_size INTEGER, diff_size INTEGER, created_at TIMESTAMP, source_module VARCHAR(20)"
    ),
    "ds_patches": (
        "id UUID, task_id UUID!, patch_content TEXT!, signature VARCHAR(500), status VARCHAR(20), created_by UUID!,"
        " approved_by UUID, applied_at TIMESTAMP, created_at TIMESTAMP, source_module VARCHAR(20)"
    ),
}
INDEXES = {
    "ds_projects": "tenant_id",
    "ds_spec_sessions": "project_id",
    "ds_specs": "session_id",
    "ds_tasks": "session_id",
    "ds_runs": "project_id",
}
REFERENCES = {
    ("ds_spec_sessions", "project_id"): "ds_projects",
    ("ds_specs", "session_id"): "ds_spec_sessions",
    ("ds_tasks", "session_id"): "ds_spec_sessions",
    ("ds_runs", "project_id"): "ds_projects",
    ("ds_ci_integrations", "project_id"): "ds_projects",
    ("ds_agent_settings", "project_id"): "ds_projects",
    ("ds_patches", "task_id"): "ds_tasks",
}
KINDS: dict[str, type[sa.types.TypeEngine[object]]] = {
    "UUID": sa.Uuid,
    "VARCHAR": sa.String,
    "TEXT": sa.Text,
    "INTEGER": sa.Integer,
    "DECIMAL": sa.Numeric,
    "BOOLEAN": sa.Boolean,
    "TIMESTAMP": sa.DateTime,
    "JSONB": sa.JSON,
}
COLUMNS = [
    pytest.param(table, *found, id=f"{table}.{found[0]}")
    for table, said in SEED.items()
    for found in re.findall(r"(\w+) ([A-Z]+)(?:\(([\d,]+)\))?(!?)", said)
]


def test_the_list_above_was_read_to_its_end() -> None:
    assert len(COLUMNS) == sum(len(re.findall(r"\w+ [A-Z]", said)) for said in SEED.values()) == 119


@pytest.mark.parametrize(("table", "name", "kind", "size", "mark"), COLUMNS)
def test_a_column_of_the_seed(table: str, name: str, kind: str, size: str, mark: str) -> None:
    column = all_tables().tables[table].c[name]
    found = getattr(column.type, "impl", column.type)
    assert isinstance(found, KINDS[kind])
    assert not (mark and column.nullable)
    if kind == "VARCHAR":
        assert found.length is None or found.length >= int(size)
    if kind == "DECIMAL":
        digits, places = map(int, size.split(","))
        assert found.precision - found.scale >= digits - places
        assert found.scale >= places
    if kind == "TIMESTAMP":
        assert found.timezone


def test_the_databases_have_the_seeds_indexes_and_references(units: Units) -> None:
    with units.engine.connect() as connection:
        inspector = sa.inspect(connection)
        for table, column in INDEXES.items():
            assert column in {index["column_names"][0] for index in inspector.get_indexes(table)}, table
        for (table, column), target in REFERENCES.items():
            keys = {
                tuple(key["constrained_columns"]): key["referred_table"] for key in inspector.get_foreign_keys(table)
            }
            assert keys[(column,)] == target
        unique = {tuple(found["column_names"]) for found in inspector.get_unique_constraints("ds_kv")}
        assert ("tenant_id", "scope", "key") in unique, "the seed's key, within a tenant"


def test_every_table_is_named_and_scoped_as_agreed() -> None:
    for name, table in all_tables().tables.items():
        assert name.startswith("ds_")
        assert {"id", "tenant_id", "created_at", "source_module"} <= set(table.c.keys()), name
