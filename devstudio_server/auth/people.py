"""Who people are, as the identity provider last described them, and when two accounts are one person."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.auth.permissions import Permission, Role, permissions_of
from devstudio_server.auth.repository import IdentityRepository


@dataclass(frozen=True)
class Person:
    """Someone who was here. ``email`` is empty when their tokens name none."""

    user_id: UUID
    name: str
    email: str
    roles: frozenset[str]

    def may(self, permission: Permission) -> bool:
        """Tell whether the roles that they had last give a permission."""
        return permission in permissions_of(role for role in Role if role in self.roles)


class People:
    """Reads the mirror of the actor's tenant."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._identities = IdentityRepository(session)

    def known(self, user_ids: Collection[UUID]) -> Mapping[UUID, Person]:
        """Return those of ``user_ids`` who were here; the local user, who has no token, never was."""
        return {
            row.user_id: Person(row.user_id, row.name, row.email or "", frozenset(map(str, row.roles)))
            for row in self._identities.list_users(user_ids)
        }


def mailbox(email: str) -> str:
    """Return where an address leads, so that spellings of one are equal: no case, no ``+tag``; empty for none."""
    local, at, domain = unicodedata.normalize("NFKC", email).strip().casefold().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}" if at else ""
