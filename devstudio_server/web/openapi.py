"""The OpenAPI document, made from the declared operations."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from devstudio_server.web.operations import Operation
from devstudio_server.web.schemas import Problem

_REF = "#/components/schemas/{model}"
# Every operation may answer these; an operation's own errors are added to them.
_COMMON_ERRORS = (401, 403, 500)


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
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`token <JUPYTER_TOKEN>`",
                }
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
    if operation.method in ("PUT", "DELETE"):
        described = "The version that you read, as its ETag. A stale one is refused with 412."
        found.append({"name": "If-Match", "in": "header", "schema": {"type": "string"}, "description": described})
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
    if operation.response is not None:
        schema = names[(operation.response, "serialization")]
        success["content"] = {"application/json": {"schema": schema}}
        if operation.outside or operation.stream:
            success["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    statuses = {*_COMMON_ERRORS, *(error.status for error in operation.errors)}
    if operation.path_types:
        statuses.add(404)
    if operation.path_types or operation.query or operation.body:
        statuses.add(422)
    if operation.method in ("PUT", "DELETE"):
        statuses.add(412)
    return {str(operation.status): success} | {str(status): _problem(status) for status in sorted(statuses)}


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model="Problem")}
    return {"description": HTTPStatus(status).phrase, "content": {"application/problem+json": {"schema": schema}}}
