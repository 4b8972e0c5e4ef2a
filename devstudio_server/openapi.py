"""Print `openapi.yaml`: ``python -m devstudio_server.openapi > openapi.yaml``."""

from __future__ import annotations

import json
import sys
from typing import Any

from devstudio_server._version import __version__
from devstudio_server.operations import all_operations
from devstudio_server.web.openapi import build_openapi


def document() -> dict[str, Any]:
    """Return the OpenAPI document of this version."""
    return build_openapi(all_operations(), __version__)


def main() -> None:
    """Write the document as YAML; JSON strings keep every text unambiguous."""
    sys.stdout.write(to_yaml(document()))


def to_yaml(value: Any, indent: int = 0) -> str:
    """Write JSON data as YAML: block mappings and lists, scalars as JSON (which is YAML)."""
    space = "  " * indent
    if isinstance(value, dict) and value:
        return "".join(f"{space}{_key(key)}:{_value(item, indent)}" for key, item in value.items())
    if isinstance(value, list) and value:
        return "".join(f"{space}-{_value(item, indent)}" for item in value)
    return f"{space}{_scalar(value)}\n"


def _key(key: str) -> str:
    return (
        key
        if key.replace("_", "").replace("-", "").isalpha() and key not in ("null", "true", "false")
        else json.dumps(key)
    )


def _value(item: Any, indent: int) -> str:
    if isinstance(item, (dict, list)) and item:
        return "\n" + to_yaml(item, indent + 1)
    return f" {_scalar(item)}\n"


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    main()
