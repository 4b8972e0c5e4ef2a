"""Idempotency keys: a POST that is sent again has no second effect, and gets the first answer again.

Only successes are kept. An error changed nothing, so the same request may be sent again with the same key, and whether
it fails again depends on what is true by then.

An operation in a unit of work writes its key in that same transaction, so there is never an effect without its key nor
a key without its effect. An operation that works outside of transactions reserves its key first and settles it after
its last transaction; when the server dies in between, the key is released `RESERVED_FOR` later.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from devstudio_server.db import Actor, Units
from devstudio_server.kit.clock import now
from devstudio_server.kit.errors import AppError, Conflict
from devstudio_server.kit.ids import new_id
from devstudio_server.kit.logging import get_logger
from devstudio_server.web.models import IdempotencyKey
from devstudio_server.web.operations import Operation
from devstudio_server.web.reply import Reply
from devstudio_server.web.repository import IdempotencyRepository

KEPT_FOR = timedelta(hours=24)
"""How long an answer is kept."""
RESERVED_FOR = timedelta(hours=1)
"""How long a key is held for a request that is still being worked on: longer than any conversation with a model."""
_WAIT_S = 2

_log = get_logger("web")


class IdempotencyKeyReused(Conflict):
    """The key was sent before with another request."""

    title = "The idempotency key belongs to another request"


class IdempotencyKeyInUse(Conflict):
    """The first request with this key is still being worked on."""

    title = "The first request with this idempotency key is not done yet"


@dataclass(frozen=True)
class KeyedRequest:
    """A request with its key; ``sha256`` is over everything that decides its effect."""

    key: str
    operation: str
    sha256: str

    @classmethod
    def of(cls, key: str, operation: Operation, arguments: dict[str, Any]) -> KeyedRequest:
        """Return the request of ``operation`` with ``arguments``, whatever the order of members in its body."""
        plain = {
            name: value.model_dump(mode="json", exclude_unset=True) if isinstance(value, BaseModel) else str(value)
            for name, value in arguments.items()
        }
        text = json.dumps([operation.id, plain], sort_keys=True, ensure_ascii=False)
        return cls(key, operation.id, hashlib.sha256(text.encode()).hexdigest())


class KeyedWork:
    """Does the work of one keyed request at most once."""

    def __init__(self, request: KeyedRequest, units: Units, actor: Actor, kept_for: timedelta = KEPT_FOR) -> None:
        """Keep keys and answers for ``actor``'s user, for ``kept_for``."""
        self._request = request
        self._units = units
        self._actor = actor
        self._kept_for = kept_for

    def within(self, session: Session, work: Callable[[], Reply]) -> Reply:
        """Do ``work`` in the transaction of ``session`` and keep its answer there; writers of a tenant go one by one.

        Raises `IdempotencyKeyReused`.
        """
        keys = IdempotencyRepository(session)
        found = self._earlier(keys)
        if found is not None:
            return found
        reply = work()
        row = keys.add(self._row(self._kept_for))
        _fill(row, reply)
        return reply

    def outside(self, work: Callable[[], Reply]) -> Reply:
        """Reserve the key, do ``work``, and settle the key with its answer; an error releases it.

        Raises `IdempotencyKeyReused` and `IdempotencyKeyInUse`.
        """
        with self._units.begin(self._actor) as session:
            keys = IdempotencyRepository(session)
            found = self._earlier(keys)
            if found is not None:
                return found
            row_id = keys.add(self._row(RESERVED_FOR)).id
        try:
            reply = work()
        except BaseException:
            self._end(row_id, None)
            raise
        self._end(row_id, reply)
        return reply

    def _earlier(self, keys: IdempotencyRepository) -> Reply | None:
        """Return the answer that is kept for this request; None when it is the first one."""
        row = keys.find(self._actor.user_id, self._request.key)
        if row is None:
            return None
        if row.expires_at <= now():
            keys.remove(row.id)
            return None
        if (row.operation, row.request_sha256) != (self._request.operation, self._request.sha256):
            message = (
                f"Idempotency-Key was sent before with another request, of `{row.operation}`. "
                "Make a new key for each new request, and send an old one only with the same body."
            )
            raise IdempotencyKeyReused(message)
        if row.status is None:
            message = f"The first request with this Idempotency-Key is not done yet. Ask again in {_WAIT_S} seconds."
            raise IdempotencyKeyInUse(message, headers={"Retry-After": str(_WAIT_S)})
        return Reply(row.status, row.response, dict(row.headers), replayed=True)

    def _row(self, lasts: timedelta) -> IdempotencyKey:
        return IdempotencyKey(
            id=new_id(),
            user_id=self._actor.user_id,
            key=self._request.key,
            operation=self._request.operation,
            request_sha256=self._request.sha256,
            expires_at=now() + lasts,
        )

    def _end(self, row_id: UUID, reply: Reply | None) -> None:
        """Keep the answer, or release the key when there is none.

        The work is done by now, so a database that is gone changes nothing about its answer: the key stays reserved.
        """
        try:
            with self._units.begin(self._actor) as session:
                keys = IdempotencyRepository(session)
                row = keys.get(row_id)
                if reply is None:
                    keys.remove(row_id)
                elif row is not None:
                    _fill(row, reply)
                    row.expires_at = now() + self._kept_for
        except AppError as error:
            _log.error("idempotency_key_not_settled", operation=self._request.operation, reason=error.detail)


def remove_expired_keys(session: Session, limit: int) -> int:
    """Remove up to ``limit`` keys of the unit's tenant that have expired; return how many."""
    return IdempotencyRepository(session).remove_expired(now(), limit)


def _fill(row: IdempotencyKey, reply: Reply) -> None:
    row.status = reply.status
    row.response = reply.body
    row.headers = dict(reply.headers)
