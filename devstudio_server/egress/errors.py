"""What can go wrong with egress."""

from __future__ import annotations

from uuid import UUID

from devstudio_server.kit.errors import Conflict, Forbidden, Invalid, NotFound


class EgressLeaseNotFound(NotFound):
    """No such lease in this tenant."""

    def __init__(self, lease_id: UUID) -> None:
        """Name the id that was asked for."""
        super().__init__(f"There is no egress lease {lease_id}. `GET /api/v1/egress/leases` lists those there are.")


class EgressLeaseNotOpen(Conflict):
    """The lease is not in the state that this needs."""

    def __init__(self, status: str, wanted: str) -> None:
        """Name both states."""
        super().__init__(f"The lease is {status}, and this needs one that is {wanted}.")


class EgressSelfApproval(Forbidden):
    """Who asked for a lease may not approve it."""

    def __init__(self) -> None:
        """Say who can."""
        super().__init__(
            "You asked for this lease, so somebody else has to approve it: a reviewer or an administrator."
        )


class EgressScopeInvalid(Invalid):
    """The task or the run is not one of the project."""

    def __init__(self, name: str, value: UUID) -> None:
        """Name the field and the id."""
        message = f"The project has no such {name.removesuffix('_id')}: {value}."
        super().__init__(message, errors=[{"loc": ["body", name], "msg": message}])


class EgressTooLong(Invalid):
    """The lease would last longer than the operator allows."""

    def __init__(self, longest_s: int) -> None:
        """Say how long it may be."""
        message = f"A lease lasts {longest_s} s ({longest_s / 3600:g} h) at most on this server."
        super().__init__(message, errors=[{"loc": ["body", "expires_in_s"], "msg": message}])
