"""Two tenants whose every object carries a word of its own, and requests in which one names what the other has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy import Engine

from devstudio_server.auth import Role
from devstudio_server.db.registry import all_tables
from devstudio_server.kit.ids import new_id
from support.studio import Api, Studio
from support.team import Team

_VARIABLE = re.compile(r"\{(\w+)\}")
REQUIREMENTS = """# Requirements
### Requirement 1: Keep {canary}
#### Acceptance Criteria
1. WHEN {canary} is asked for THE SYSTEM SHALL keep it
"""
TASKS = "# Tasks\n- [ ] 1. Write {canary}\n  - _Requirements: 1.1_\n"
# Jupyter's own addresses, which no operation declares.
JUPYTER = (
    ("GET", "/api/contents/{id}"),
    ("GET", "/api/contents/{id}/.devstudio/specs"),
    ("GET", "/api/contents/{id}/checkpoints"),
    ("GET", "/files/{id}/README.md"),
    ("GET", "/nbconvert/html/{id}/README.ipynb"),
    ("GET", "/api/sessions/{id}"),
    ("DELETE", "/api/sessions/{id}"),
    ("GET", "/api/kernels/{id}"),
    ("POST", "/api/kernels/{id}/interrupt"),
    ("DELETE", "/api/kernels/{id}"),
    ("GET", "/lab/api/workspaces/{id}"),
)


@dataclass
class Tenant:
    """A tenant with a person of each role, and with objects of every kind."""

    team: Team
    studio: Studio
    id: UUID = field(default_factory=new_id)
    canary: str = field(default_factory=lambda: f"canary{uuid4().hex}")
    ids: dict[str, list[str]] = field(default_factory=dict)
    """Ids by table."""
    names: list[str] = field(default_factory=list)
    """Keys of the key-value store, and other names that are no ids."""

    def api(self, role: Role, user: str = "") -> Api:
        """Return a client of a person who has this one role."""
        return self.team.api(self.studio.url, self.id, user=user or role.value, roles=(role,))

    def settle(self) -> None:
        """Make objects of every kind, through the API, each with the canary in what people write."""
        with (
            self.api(Role.EXECUTOR) as api,
            self.api(Role.REVIEWER) as reviewer,
            self.api(Role.ADMIN_DEVSTUDIO) as admin,
        ):
            project = api.project(name=f"Project {self.canary}", description=self.canary)
            session = api.session(project["id"], title=f"Session {self.canary}", description=self.canary)
            texts = {"requirements": REQUIREMENTS, "tasks": TASKS, "design": "# Design\n{canary}\n"}
            documents = {kind: text.replace("{canary}", self.canary) for kind, text in texts.items()}
            api.put(f"spec-sessions/{session['id']}", {"documents": documents}).expect(200)
            task = api.get(f"spec-sessions/{session['id']}/tasks").expect(200)["items"][0]
            model = {"model": "offline", "instructions": self.canary}
            patches = [api.post("code/generate", {"task_id": task["id"], **model}).expect(201) for _ in range(3)]
            pending, rejected, applied = (patch["patch_id"] for patch in patches)
            api.post("code/preview", {"patch_id": pending}).expect(200)
            reviewer.post(f"code/patches/{rejected}/reject", {"reason": self.canary}).expect(200)
            digest = reviewer.post("code/preview", {"patch_id": applied}).expect(200)["digest"]
            reviewer.post(f"code/patches/{applied}/approve", {"digest": digest}).expect(200)
            run = api.post("code/apply", {"patch_id": applied}).expect(202)["run_id"]
            api.wait_for_run(run)
            settings = {
                "env": {"CANARY": self.canary},
                "commands": {"build": ["echo", self.canary]},
                "artifacts": ["key-*"],
            }
            api.put(f"projects/{project['id']}/run-settings", settings).expect(200)
            leave = f"open('key-{uuid4().hex}', 'w').write('{self.canary}')"
            command = {"project_id": project["id"], "type": "test", "command": ["python3", "-c", leave]}
            left = api.wait_for_run(api.post("exec", command).expect(202)["id"])["artifacts"]
            key = f"key-{uuid4().hex}"
            admin.put(f"kv/global/{key}", {"value_json": {"secret": self.canary}}).expect(200)
            admin.post("auth/launch-codes", {}).expect(201)
            again = {"headers": {"Idempotency-Key": key}, "json": {"name": f"Other {self.canary}"}}
            api.send("POST", "projects", **again).expect(201)
        self.names = [key, *(artifact["name"] for artifact in left)]

    def read_ids(self, everything: Engine, each: int = 3) -> None:
        """Note up to ``each`` ids of every table that holds something of this tenant."""
        with everything.connect() as connection:
            for table in all_tables().sorted_tables:
                query = sa.select(table.c.id).where(table.c.tenant_id == self.id).order_by(table.c.id).limit(each)
                if found := [str(value) for value in connection.scalars(query)]:
                    self.ids[table.name] = found
        self.ids["tenant"] = [str(self.id)]


@dataclass(frozen=True)
class Request:
    """A request with one place for an id, written ``{id}`` in path, query or body."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    where: str = ""

    def naming(self, value: str) -> tuple[str, str, dict[str, str], Any]:
        """Return method, path, query and body with ``value`` in that place."""
        query = {name: text.replace("{id}", value) for name, text in self.query.items()}
        body = None if self.body is None else json.loads(json.dumps(self.body).replace("{id}", value))
        return self.method, self.path.replace("{id}", value), query, body


def requests_of(document: dict[str, Any], known: Mapping[str, str]) -> Iterator[Request]:
    """Yield a request for each place of an id in each operation of an OpenAPI document, and for Jupyter's own.

    ``known`` are good values for the other variables of a path, so that what is asked is the one id.
    """
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield from _requests(document, path, method.upper(), operation, known)
    for method, path in JUPYTER:
        yield Request(method, path, body={} if method == "POST" else None, where=f"{method} {path}")


def _requests(
    document: dict[str, Any], path: str, method: str, operation: dict[str, Any], known: Mapping[str, str]
) -> Iterator[Request]:
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    body = None if schema is None else sample(document, schema)
    variables = _VARIABLE.findall(path)
    for variable in variables:
        filled = path
        for other in variables:
            filled = filled.replace(f"{{{other}}}", "{id}" if other == variable else known.get(other, "x"))
        yield Request(method, filled, body=body, where=f"{method} {path} {variable}")
    filled = _VARIABLE.sub(lambda found: known.get(found[1], str(new_id())), path)
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query" and _is_text(parameter["schema"]):
            where = f"{method} {path} ?{parameter['name']}"
            yield Request(method, filled, {parameter["name"]: "{id}"}, body, where)
    if isinstance(body, dict):
        for name, given in _properties(document, schema).items():
            if _is_text(given):
                yield Request(method, filled, body=body | {name: "{id}"}, where=f"{method} {path} .{name}")


def _properties(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = _resolved(document, schema).get("properties", {})
    return found


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def _is_text(schema: dict[str, Any]) -> bool:
    options = schema.get("anyOf", [schema])
    return any(option.get("type") == "string" and option.get("format") != "date-time" for option in options)


def sample(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """Return the smallest value that a schema takes: only what is required, ids that nobody has."""
    schema = _resolved(document, schema)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if "anyOf" in schema:
        return sample(document, schema["anyOf"][0])
    if schema.get("type") == "object":
        required = schema.get("required", [])
        return {name: sample(document, part) for name, part in schema.get("properties", {}).items() if name in required}
    plain: dict[str, Any] = {"integer": 1, "number": 1, "boolean": True, "array": [], "null": None}
    if schema.get("type") == "string":
        return str(new_id()) if schema.get("format") == "uuid" else "a" * max(1, schema.get("minLength", 1))
    return plain.get(schema.get("type", "object"), {})
