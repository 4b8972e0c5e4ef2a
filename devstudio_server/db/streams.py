"""Numbers for rows that a tenant's streams count: events and audit entries."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from devstudio_server.db.models import Tenant

_TENANT = "devstudio_tenant_row"


def counters(session: Session) -> Tenant:
    """Return the row with the counters of the unit's tenant.

    Writers of a tenant go one by one, so whoever reads a counter here is the only one until the commit: numbers are
    given without gaps, in the order of the commits.
    """
    tenant: Tenant | None = session.info.get(_TENANT)
    if tenant is None:
        tenant = session.info[_TENANT] = session.scalars(select(Tenant)).one()
    return tenant
