"""An approved patch, and copies of its rows with anything changed that somebody could change in the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import inspect

from devstudio_server.patches.envelope import Envelopes, check_approval
from devstudio_server.patches.envelope_statements import PATCH_TYPE, ApprovalStatement, PatchStatement
from devstudio_server.patches.models import Approval, Patch
from devstudio_server.signing.signer import Signer
from support.domain_world import DomainWorld

Row = TypeVar("Row", Patch, Approval)


def altered(row: Row, **changes: Any) -> Row:
    """Return a copy of a row that is not stored, with other values."""
    values = {column.key: getattr(row, column.key) for column in inspect(type(row)).column_attrs}
    return type(row)(**values | changes)


@dataclass
class Case:
    """A patch with its approval, as they are stored."""

    domain: DomainWorld
    patch: Patch
    approval: Approval
    other: UUID
    """Another patch of the same task."""

    @property
    def signer(self) -> Signer:
        return self.domain.ports.get(Signer)

    @property
    def statement(self) -> dict[str, Any]:
        return self.signer.verify(str(self.patch.envelope), PATCH_TYPE)

    def signed(self, kind: str = PATCH_TYPE, signer: Signer | None = None, **changes: Any) -> Patch:
        """Return the patch with a statement that was changed and signed; by the server's own key when none is given."""
        return self.with_envelope((signer or self.signer).sign(kind, self.statement | changes))

    def with_envelope(self, text: str) -> Patch:
        """Return the patch with another envelope, and the signature in it, as far as there is one."""
        return altered(self.patch, envelope=text, signature=signature_in(text) or self.patch.signature)

    @contextmanager
    def checking(self) -> Iterator[Callable[[Patch], PatchStatement]]:
        """Give what checks any number of patches in one unit."""
        with self.domain.unit(read_only=True) as unit:
            yield Envelopes(unit, self.domain.ports).check

    def check(self, patch: Patch) -> PatchStatement:
        with self.checking() as check:
            return check(patch)

    def check_approval(self, approval: Approval, patch: Patch | None = None) -> ApprovalStatement:
        return check_approval(self.signer, patch or self.patch, approval)


def signature_in(text: str) -> str | None:
    """Find the first signature in a text without reading it as an envelope."""
    _, found, rest = text.partition('"sig":"')
    return rest.split('"')[0] if found else None
