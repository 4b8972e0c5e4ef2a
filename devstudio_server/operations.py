"""Every operation of the server, of every domain."""

from __future__ import annotations

from devstudio_server.admin import handlers as admin
from devstudio_server.ai import handlers as ai
from devstudio_server.audit import handlers as audit
from devstudio_server.auth import handlers as auth
from devstudio_server.costs import handlers as costs
from devstudio_server.egress import handlers as egress
from devstudio_server.events import handlers as events
from devstudio_server.evidence import handlers as evidence
from devstudio_server.execution import handlers as execution
from devstudio_server.execution import log_handlers as logs
from devstudio_server.kv import handlers as kv
from devstudio_server.patches import handlers as patches
from devstudio_server.patches import lifecycle_handlers as lifecycle
from devstudio_server.patches import replay_handlers as replays
from devstudio_server.patches import review_handlers as reviews
from devstudio_server.planning import handlers as planning
from devstudio_server.planning import optimize_handlers as optimizing
from devstudio_server.planning import proposal_handlers as proposals
from devstudio_server.planning import text_handlers as texts
from devstudio_server.projects import handlers as projects
from devstudio_server.signing import handlers as signing
from devstudio_server.specs import handlers as specs
from devstudio_server.specs import sync_handlers as syncing
from devstudio_server.web import Operation


def all_operations() -> list[Operation]:
    """Return them in the order of the domains."""
    domains = (
        projects,
        specs,
        syncing,
        planning,
        proposals,
        patches,
        lifecycle,
        replays,
        reviews,
        execution,
        logs,
        evidence,
        egress,
        ai,
        texts,
        optimizing,
        costs,
        events,
        kv,
        audit,
        signing,
        auth,
        admin,
    )
    return [operation for domain in domains for operation in domain.operations]
