"""HTTP of key-value entries."""

from __future__ import annotations

from devstudio_server.auth import Permission
from devstudio_server.kv.errors import KvFull
from devstudio_server.kv.schemas import KvQuery, KvRead, KvSummary, KvWrite
from devstudio_server.kv.service import KvService
from devstudio_server.web import Call, ListPage, Operations
from devstudio_server.web.schemas import list_page

operations = Operations("kv")


@operations.operation("GET", "kv/{scope}", permission=Permission.SPEC_READ, summary="List the entries of a scope")
def list_kv(call: Call, scope: str, query: KvQuery) -> ListPage[KvSummary]:
    """List the entries of a scope without their values, newest first."""
    return list_page(KvSummary, KvService(call.session).list(scope, query))


@operations.operation("GET", "kv/{scope}/{key}", permission=Permission.SPEC_READ, summary="Get an entry")
def get_kv(call: Call, scope: str, key: str) -> KvRead:
    """Return one entry; one that has expired is missing."""
    return KvRead.model_validate(KvService(call.session).get(scope, key))


@operations.operation(
    "PUT", "kv/{scope}/{key}", permission=Permission.SPEC_UPDATE, summary="Store an entry", errors=(KvFull,)
)
def put_kv(call: Call, scope: str, key: str, body: KvWrite) -> KvRead:
    """Store a value, over an older one if there is one. `If-Match: "0"` stores it only when there is none."""
    return KvRead.model_validate(KvService(call.session).put(scope, key, body, call.if_match))


@operations.operation("DELETE", "kv/{scope}/{key}", permission=Permission.SPEC_UPDATE, summary="Delete an entry")
def delete_kv(call: Call, scope: str, key: str) -> None:
    """Remove an entry."""
    KvService(call.session).delete(scope, key, call.if_match)
