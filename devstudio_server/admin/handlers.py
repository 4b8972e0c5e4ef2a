"""HTTP of health and of the signed-in user."""

from __future__ import annotations

from devstudio_server.admin.errors import NotReady
from devstudio_server.admin.health import HealthService
from devstudio_server.admin.schemas import Health, Liveness, Me
from devstudio_server.web import Call, Operations

operations = Operations("admin")


@operations.operation("GET", "health", permission=None, summary="Check the server", outside=True)
def get_health(call: Call) -> Health:
    """Check database, queue, sandbox, AI configuration and storage, from inside; nothing outside is asked."""
    return call.port(HealthService).check()


@operations.operation(
    "GET", "health/ready", permission=None, summary="Check readiness", outside=True, errors=(NotReady,)
)
def get_readiness(call: Call) -> Health:
    """Answer 200 when requests can be served, 503 when database, storage or worker is down."""
    return call.port(HealthService).ready()


@operations.operation("GET", "health/live", permission=None, summary="Check liveness", outside=True, inline=True)
def get_liveness(call: Call) -> Liveness:
    """Answer as long as the process does; nothing else is asked, so a database that is down restarts no server."""
    return call.port(HealthService).alive()


@operations.operation("GET", "me", permission=None, summary="Get the signed-in user")
def get_me(call: Call) -> Me:
    """Return who you are here, and what you may do."""
    actor = call.actor
    return Me(
        user_id=actor.user_id,
        tenant_id=actor.tenant_id,
        name=actor.name,
        roles=sorted(actor.roles),
        permissions=sorted(actor.permissions),
        mode="local" if actor.sole_user else "team",
        expires_at=actor.credential.expires_at if actor.credential else None,
    )
