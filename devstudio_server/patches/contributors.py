"""Who had a hand in a patch: its author, whoever edited it or prompted the model. None of them approves it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.auth.people import People
from devstudio_server.db import Actor
from devstudio_server.patches.models import Patch
from devstudio_server.patches.repository import ReviewRepository
from devstudio_server.patches.review_models import PatchContributor

ContributorRole = Literal["author", "editor", "prompter"]
Rows = list[PatchContributor]


class Contributors:
    """Notes and tells who had a hand in patches."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._rows = ReviewRepository(session)
        self._people = People(session)

    def note(self, patch: Patch, actor: Actor, *roles: ContributorRole) -> None:
        """Write down that ``actor`` had a hand in ``patch``, under the name and the address that they have now."""
        known = self._people.known([actor.user_id]).get(actor.user_id)
        email = known.email if known else ""
        noted = {(row.user_id, row.role, row.email) for row in self._rows.contributors([patch.id])}
        for role in roles:
            if (actor.user_id, role, email) not in noted:
                row = PatchContributor(patch_id=patch.id, user_id=actor.user_id, role=role)
                row.user_name, row.email = actor.name, email
                self._rows.add(row)

    def of(self, patches: Collection[Patch]) -> Mapping[UUID, Sequence[PatchContributor]]:
        """Return the contributors of patches, oldest first. One from before they were noted has its author."""
        found = {patch.id: Rows() for patch in patches}
        for row in self._rows.contributors(found.keys()):
            found[row.patch_id].append(row)
        for patch in patches:
            if patch.created_by not in {row.user_id for row in found[patch.id]}:
                author = PatchContributor(patch_id=patch.id, user_id=patch.created_by, role="author")
                author.user_name = author.email = ""
                found[patch.id].insert(0, author)
        return found
