"""The OpenAPI document, made from the declared operations."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from devstudio_server.web.attachments import MEDIA_TYPE
from devstudio_server.web.operations import Operation
from devstudio_server.web.schemas import Problem

_REF = "#/components/schemas/{model}"
# Every operation may answer these; an operation's own errors are added to them.
_COMMON_ERRORS = (401, 403, 422, 429, 500, 503)
_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "The id of the request: the one that was sent, or a new one.",
        "schema": {"type": "string"},
    },
    "ETag": {
        "description": "The version of the object, in quotes; PUT and DELETE take it as `If-Match`.",
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "`true` when this is the answer to an earlier request with the same `Idempotency-Key`.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "RateLimit-Limit": {
        "description": "How many requests the narrowest limit of this operation takes in its window.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "RateLimit-Remaining": {
        "description": "How many of them are left.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "RateLimit-Reset": {
        "description": "In how many seconds some are given back.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "Retry-After": {
        "description": "After how many seconds to send the request again.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
}
_ALWAYS = ("X-Request-ID", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_RETRIED = (409, 429, 503)


def build_openapi(operations: Iterable[Operation], version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of ``operations``, in a stable order."""
    listed = sorted(operations, key=lambda operation: (operation.url, operation.method))
    keys = [(model, mode) for model, mode in _models(listed)]
    names, definitions = models_json_schema(keys, ref_template=_REF)  # type: ignore[arg-type]
    paths: dict[str, Any] = {}
    for operation in listed:
        paths.setdefault(operation.url, {})[operation.method.lower()] = _describe(operation, names)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "RENUM DevStudio",
            "version": version,
            "description": "Spec-driven development inside Jupyter. Errors are `application/problem+json`.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "http://localhost:8000"}],
        "security": [{"token": []}, {"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "headers": _HEADERS,
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "Local mode: `token <JUPYTER_TOKEN>`.",
                },
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Team mode: a signed token.",
                },
            },
        },
    }


def _models(operations: list[Operation]) -> list[tuple[type[BaseModel], str]]:
    models: list[tuple[type[BaseModel], str]] = [(Problem, "serialization")]
    for operation in operations:
        if operation.body:
            models.append((operation.body, "validation"))
        if operation.response:
            models.append((operation.response, "serialization"))
    return list(dict.fromkeys(models))


def _describe(operation: Operation, names: dict[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": operation.description,
        "tags": [operation.tag],
        "parameters": _parameters(operation),
        "responses": _responses(operation, names),
    }
    if operation.permission is not None:
        described["x-permission"] = str(operation.permission)
    if operation.socket:
        described["x-websocket"] = True
    if operation.body is not None:
        schema = names[(operation.body, "validation")]
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(kind)}
        for name, kind in operation.path_types.items()
    ]
    if operation.query is not None:
        schema = operation.query.model_json_schema(ref_template=_REF)
        required = schema.get("required", [])
        found += [
            {"name": name, "in": "query", "required": name in required, "schema": _inlined(part, schema)}
            for name, part in schema["properties"].items()
        ]
    if operation.takes_version:
        described = "The version that you read, as its ETag. A stale one is refused with 412."
        found.append({"name": "If-Match", "in": "header", "schema": {"type": "string"}, "description": described})
    if operation.takes_key:
        described = "A key that you make once for a request: sent again with it, the request has no second effect."
        schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
        found.append({"name": "Idempotency-Key", "in": "header", "schema": schema, "description": described})
    return found


def _inlined(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Put the definitions that a query parameter points to into it: parameters have no components of their own."""
    definitions = schema.get("$defs", {})

    def resolve(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return resolve(definitions[node["$ref"].rsplit("/", 1)[1]])
            return {key: resolve(value) for key, value in node.items()}
        return [resolve(item) for item in node] if isinstance(node, list) else node

    resolved: dict[str, Any] = resolve(part)
    return resolved


def _path_schema(kind: type) -> dict[str, str]:
    return {"type": "string", "format": "uuid"} if kind is UUID else {"type": "string"}


def _responses(operation: Operation, names: dict[Any, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    headers = list(_ALWAYS)
    if operation.takes_key:
        headers.append("Idempotent-Replayed")
    if operation.response is not None:
        if "version" in operation.response.model_fields:
            headers.append("ETag")
        schema = names[(operation.response, "serialization")]
        success["content"] = {"application/json": {"schema": schema}}
        if (operation.outside and not operation.inline) or operation.stream:
            success["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    if operation.download:
        success["content"] = {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}
    success["headers"] = _header_references(headers)
    return {str(operation.status): success} | {str(status): _problem(status) for status in _failures(operation)}


def _failures(operation: Operation) -> list[int]:
    """Return the statuses of everything that can go wrong with ``operation``."""
    statuses = {*_COMMON_ERRORS, *(error.status for error in operation.errors)}
    if operation.path_types:
        statuses.add(404)
    if operation.body is not None:
        statuses |= {413, 415}
    if operation.method != "GET":
        statuses.add(507)
    if operation.takes_version:
        statuses.add(412)
    if operation.takes_key:
        statuses.add(409)
    return sorted(statuses)


def _header_references(names: list[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model="Problem")}
    headers = ["X-Request-ID", *(["Retry-After"] if status in _RETRIED else [])]
    return {
        "description": HTTPStatus(status).phrase,
        "headers": _header_references(headers),
        "content": {"application/problem+json": {"schema": schema}},
    }
