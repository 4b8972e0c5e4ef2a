"""The docs that are made from code are what the code says now."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstudio_server.app import DevStudioApp
from devstudio_server.auth import Permission, Role
from devstudio_server.auth.identity import TeamIdentityProvider
from devstudio_server.reference import DOCUMENTS, permissions_table, traits_table, written

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_comes_from_code_is_current(document: str) -> None:
    text = (CHECKOUT / document).read_text()
    assert written(document, text) == text, f"run: python -m devstudio_server.reference {document}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_without_its_marks_is_told(document: str) -> None:
    with pytest.raises(ValueError, match="begin"):
        written(document, "# Nothing here\n")


@pytest.mark.parametrize(("kind", "at_least"), [(DevStudioApp, 15), (TeamIdentityProvider, 10)])
def test_every_trait_of_ours_says_what_it_does(kind: type, at_least: int) -> None:
    ours = {name for name, trait in vars(kind).items() if getattr(trait, "metadata", {}).get("config")}
    assert len(ours) >= at_least
    for name in ours:
        assert f"| `{name}` |" in traits_table(kind)


def test_the_matrix_names_every_permission_and_every_role() -> None:
    head, _, *rows = permissions_table().splitlines()
    assert [cell.strip(" `") for cell in head.strip("|").split("|")] == ["Permission", *map(str, Role)]
    assert [row.split("`")[1] for row in rows] == [str(permission) for permission in Permission]
    viewer = list(Role).index(Role.VIEWER) + 1
    seen = {row.split("`")[1] for row in rows if row.strip("|").split("|")[viewer].strip() == "yes"}
    assert seen == {"spec:read", "exec:view_logs"}
