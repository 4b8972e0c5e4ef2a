"""What a proxy tells while its requests are being written; the proxy itself is in tests/sandbox and tests/api."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from devstudio_sandbox.egress.proxy import ProxySettings
from devstudio_server.db import Actor, Units
from devstudio_server.egress.gate import EgressScope, ProxyWatch
from devstudio_server.egress.models import EgressRequest
from devstudio_server.kit.ids import new_id
from support.domain_world import DomainWorld

ASKED = {
    "event": "request",
    "n": 1,
    "at": "2026-11-23T08:00:00+00:00",
    "method": "CONNECT",
    "host": "pypi.org",
    "port": 443,
    "path": "",
    "verdict": "allowed",
    "reason": "",
    "grant": None,
}
ENDED = {"event": "end", "n": 1, "up": 5, "down": 7, "seconds": 0.5, "how": "closed", "refused": False}


class Committing(Units):
    """Does something while a unit has been committed and its caller does not know yet."""

    meanwhile: Callable[[], None] | None = None

    @contextmanager
    def begin(self, actor: Actor, *args: Any, **options: Any) -> Iterator[Session]:
        with super().begin(actor, *args, **options) as session:
            yield session
        if self.meanwhile is not None:
            self.meanwhile()


def test_what_is_told_while_requests_are_written_is_written_the_next_time(domain: DomainWorld) -> None:
    units = Committing(domain.engine)
    project_id, run_id = domain.project().id, new_id()
    watch = ProxyWatch(units, ProxySettings(), EgressScope(domain.actor, project_id, run_id), every_s=60)
    others: list[threading.Thread] = []

    def meanwhile() -> None:
        units.meanwhile = None
        watch._events.put(ENDED)
        others.append(threading.Thread(target=watch.told))
        others[0].start()
        others[0].join(0.5)

    units.meanwhile = meanwhile
    watch._events.put(ASKED)
    watch._write()
    others[0].join(30)
    watch._write_last()
    with domain.units.begin(domain.actor) as session:
        (row,) = session.scalars(select(EgressRequest))
        assert (row.bytes_up, row.bytes_down, row.duration_s) == (5, 7, 0.5)
