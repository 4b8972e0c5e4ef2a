"""What a request says, read into what an operation takes. What has another shape is `Invalid` and names its place."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ValidationError
from tornado.httputil import HTTPServerRequest

from devstudio_server.kit.errors import Invalid, PayloadTooLarge, UnsupportedMediaType
from devstudio_server.web.operations import Operation
from devstudio_server.web.problems import invalid_from

MAX_BODY_BYTES = 10 * 1024 * 1024
TOO_LARGE = f"The body is too large; at most {MAX_BODY_BYTES} bytes are taken."
MAX_DEPTH = 100
"""How deep a body may nest: deeper than any document that a person writes, far from any recursion limit."""
MAX_VERSION_DIGITS = 18
LAST_EVENT_ID = "last_event_id"
"""The query name for what a browser's `EventSource` sends as a header only when it reconnects."""
# Jupyter's own query names; its client also adds a bare number, so that no cache answers.
_SKIPPED = frozenset({"token", "_xsrf", "no_track_activity"})
_KEY = re.compile(r"[!-~]{1,255}")
_NUL = "holds a NUL character (U+0000), which no text here can hold"


def arguments_of(operation: Operation, path: dict[str, str], request: HTTPServerRequest) -> dict[str, Any]:
    """Return what the handler of ``operation`` takes beside its call; ``path`` holds decoded segments."""
    arguments: dict[str, Any] = {
        name: path_value(name, path[name], kind) for name, kind in operation.path_types.items()
    }
    query = query_of(request)
    if operation.stream is not None:
        query.pop(LAST_EVENT_ID, None)  # it belongs to the stream, not to the operation
    if operation.query is not None:
        arguments["query"] = validate(operation.query, query, "query")
    elif query:
        raise _unknown(next(iter(query)))
    if operation.body is not None:
        arguments["body"] = validate(operation.body, json_body(request), "body")
    return arguments


def query_of(request: HTTPServerRequest) -> dict[str, str]:
    """Return the query's names and values, without those of Jupyter itself; the last of several values counts."""
    found = {}
    for name, values in request.query_arguments.items():
        if name in _SKIPPED or name.isdigit():
            continue
        text = _utf8(values[-1], ["query", name])
        _refuse_nul(text, ["query", name])
        found[name] = text.strip()
    return found


def _unknown(name: str) -> Invalid:
    message = "Extra inputs are not permitted"
    return Invalid(f"query.{name}: {message}", errors=[{"loc": ["query", name], "msg": message}])


def _utf8(raw: bytes, loc: list[str]) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 (byte {error.start})"
        raise Invalid(f"{'.'.join(loc)} {message}", errors=[{"loc": loc, "msg": message}]) from error


def path_value(name: str, value: str, kind: type) -> Any:
    """Return a segment of the path as ``kind``: `UUID`, or `str`."""
    if kind is not UUID:
        _refuse_nul(value, ["path", name])
        return value
    try:
        return UUID(value)
    except ValueError:
        message = "is not an id; ids are UUIDs such as 0199aa00-0000-7000-8000-000000000000"
        raise Invalid(f"{name} {message}", errors=[{"loc": ["path", name], "msg": message}]) from None


def validate(model: type[BaseModel], data: Any, where: str) -> BaseModel:
    """Return ``data`` as ``model``; ``where`` is ``body`` or ``query``."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise invalid_from(error, where) from error


def if_match(request: HTTPServerRequest) -> int | None:
    """Return the version in ``If-Match``; None when the header is absent or ``*``.

    A weak ETag counts as a strong one: proxies that compress make ETags weak, and the version names the object, not
    its bytes.
    """
    value = request.headers.get("If-Match", "*").strip()
    if value == "*":
        return None
    number = value.removeprefix("W/").strip('"')
    if not (number.isascii() and number.isdecimal()) or len(number) > MAX_VERSION_DIGITS:
        message = 'If-Match holds the version that you read, as its ETag: a number in quotes, such as "3".'
        raise Invalid(message, errors=[{"loc": ["header", "If-Match"], "msg": message}])
    return int(number)


def last_event_id(request: HTTPServerRequest) -> str | None:
    """Return the id of the event after which a stream goes on; None when it starts anew."""
    return request.headers.get("Last-Event-ID") or query_value(request, LAST_EVENT_ID)


def query_value(request: HTTPServerRequest, name: str) -> str | None:
    """Return one value of the query; None when it is absent or empty."""
    values = request.query_arguments.get(name)
    return _utf8(values[-1], ["query", name]).strip() or None if values else None


def idempotency_key(request: HTTPServerRequest) -> str | None:
    """Return the ``Idempotency-Key``; None when there is no such header."""
    value = request.headers.get("Idempotency-Key")
    if value is None:
        return None
    if not _KEY.fullmatch(value):
        message = "Idempotency-Key holds 1 to 255 visible ASCII characters, such as a UUID that you make once."
        raise Invalid(message, errors=[{"loc": ["header", "Idempotency-Key"], "msg": message}])
    return value


def json_body(request: HTTPServerRequest) -> Any:
    """Return the body's JSON; raises `PayloadTooLarge`, `UnsupportedMediaType` and `Invalid`."""
    raw = request.body
    if len(raw) > MAX_BODY_BYTES:
        raise PayloadTooLarge(TOO_LARGE)
    content_type = request.headers.get("Content-Type", "application/json").split(";")[0].strip().lower()
    if content_type not in ("application/json", "text/plain", ""):
        message = f"The body is `{content_type}`; send `application/json`."
        raise UnsupportedMediaType(message)
    return parse_json(raw)


def parse_json(raw: bytes) -> Any:
    """Return the JSON in ``raw``, which every part behind here can store and send again."""
    if not raw.strip():
        message = "The body is empty; send a JSON object."
        raise Invalid(message, errors=[{"loc": ["body"], "msg": message}])
    try:
        data = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
    except UnicodeDecodeError as error:
        message = f"The body is not UTF-8 (byte {error.start})."
        raise Invalid(message, errors=[{"loc": ["body"], "msg": message}]) from error
    except json.JSONDecodeError as error:
        message = f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise Invalid(message, errors=[{"loc": ["body", error.lineno, error.colno], "msg": error.msg}]) from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        message = f"The body is not JSON: {error}."
        raise Invalid(message, errors=[{"loc": ["body"], "msg": message}]) from error
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(data) > MAX_DEPTH:
        raise _too_deep()
    lower = raw.lower()
    if b"\\ud" in lower:
        _refuse_halves(data)
    if b"\\u0000" in lower:
        for loc, text in _texts(data, ["body"]):
            _refuse_nul(text, loc)
    return data


def _too_deep() -> Invalid:
    message = f"The body is nested too deeply; {MAX_DEPTH} levels are taken."
    return Invalid(message, errors=[{"loc": ["body"], "msg": message}])


def _depth(data: Any) -> int:
    """Return how deep ``data`` nests, without recursion."""
    deepest, waiting = 0, [(data, 1)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        if isinstance(node, dict):
            waiting += [(value, depth + 1) for value in node.values()]
        elif isinstance(node, list):
            waiting += [(value, depth + 1) for value in node]
    return deepest - 1


def _texts(data: Any, loc: list[str | int]) -> Iterator[tuple[list[str | int], str]]:
    """Yield every text in ``data``, names of members included, each with the path to it."""
    if isinstance(data, str):
        yield loc, data
    elif isinstance(data, dict):
        for name, value in data.items():
            yield loc, name
            yield from _texts(value, [*loc, name])
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _texts(value, [*loc, index])


def _refuse_nul(text: str, loc: list[Any]) -> None:
    """Refuse U+0000: PostgreSQL stores no text that holds it, and C programs such as git end at it."""
    if "\0" in text:
        place = ".".join(str(part).replace("\0", "\\u0000") for part in loc)
        raise Invalid(f"{place} {_NUL}.", errors=[{"loc": loc, "msg": _NUL}])


def _refuse_constant(name: str) -> Any:
    message = f"{name} is no number of JSON"
    raise ValueError(message)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        message = f"the number {text[:40]} is too large"
        raise ValueError(message)
    return number


def _refuse_halves(data: Any) -> None:
    """Refuse half a surrogate pair: JSON can escape it, but no text that holds it can be stored or sent."""
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        message = "The body holds half a surrogate pair, such as `\\ud800`, which is no character."
        raise Invalid(message, errors=[{"loc": ["body"], "msg": message}]) from error
