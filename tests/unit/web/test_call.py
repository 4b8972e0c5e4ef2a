"""What a handler works with: its unit of work, and adapters by type."""

from __future__ import annotations

import pytest

from devstudio_server.auth import local_actor
from devstudio_server.scm import GitStorage
from devstudio_server.web import Call
from support.domain_world import DomainWorld


def test_a_call_outside_a_transaction_has_no_session(domain: DomainWorld) -> None:
    call = Call(local_actor(), domain.units, domain.ports, "request-1")
    with pytest.raises(RuntimeError, match=r"call\.units\.begin"):
        _ = call.session
    with domain.unit() as unit:
        call._session = unit
        assert call.session is unit
    call.progress({"phase": "nobody listens"})
    assert not call.left.is_set()


def test_ports_are_found_by_type_and_a_missing_one_is_named(domain: DomainWorld) -> None:
    call = Call(local_actor(), domain.units, domain.ports, "request-1")
    assert call.port(GitStorage) is domain.git
    with pytest.raises(LookupError, match=r"assembly\.py provides no dict"):
        call.port(dict)
