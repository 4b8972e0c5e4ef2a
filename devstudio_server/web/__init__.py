"""HTTP: operations, the one base handler, problem documents, OpenAPI and streams."""

from devstudio_server.web.attachments import Attachment
from devstudio_server.web.call import Call
from devstudio_server.web.operations import Operation, Operations
from devstudio_server.web.ports import Ports
from devstudio_server.web.rate_limits import Limit
from devstudio_server.web.schemas import ListPage, ListQuery, Payload, Shape

__all__ = [
    "Attachment",
    "Call",
    "Limit",
    "ListPage",
    "ListQuery",
    "Operation",
    "Operations",
    "Payload",
    "Ports",
    "Shape",
]
