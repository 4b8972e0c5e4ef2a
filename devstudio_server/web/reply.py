"""The answer of an operation, ready to be sent, kept under an idempotency key, and sent again."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus

from pydantic import BaseModel

from devstudio_server.web.attachments import Attachment
from devstudio_server.web.operations import Operation


@dataclass(frozen=True)
class Reply:
    """Status, JSON text and headers. ``replayed`` when it is the answer to an earlier request with the same key."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    replayed: bool = False
    attachment: Attachment | None = None

    @classmethod
    def of(cls, operation: Operation, result: BaseModel | Attachment | None) -> Reply:
        """Return the answer that ``result`` makes: its JSON, and its version as the ETag; or the file that it is."""
        if isinstance(result, Attachment):
            return cls(operation.status, "", result.headers, attachment=result)
        if result is None:
            return cls(HTTPStatus.NO_CONTENT, "")
        version = getattr(result, "version", None)
        headers = {"ETag": f'"{version}"'} if isinstance(version, int) else {}
        return cls(operation.status, result.model_dump_json(by_alias=True), headers)
