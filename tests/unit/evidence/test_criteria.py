"""The verifier reads requirements as the server does: the same keys and the same digests for any text."""

from hypothesis import given, settings
from hypothesis import strategies as st

from devstudio_evidence import criteria
from devstudio_server.specs.markdown import parse
from devstudio_server.specs.schemas import DocumentType
from support.domain_world import REQUIREMENTS

LINES = [
    "# Requirements",
    "### Requirement 1: Add",
    "## Requisito 2",
    "### Requirement 1: Again <!-- id:abc -->",
    "#### Acceptance Criteria",
    "#### Critérios de Aceitação",
    "1. WHEN x THE SYSTEM SHALL y.",
    "2) IF z THEN THE SYSTEM SHALL w. <!-- id:Ab-1_ -->",
    "3. THE SYSTEM SHALL hide. <!-- id:q --> <!-- restricted -->",
    "4. THE SYSTEM SHALL hide. <!-- RESTRITO -->",
    "5. <!-- restricted",
    "   and goes on",
    "\tindented",
    "```",
    "~~~ text",
    "",
    "   ",
    "## Another heading",
    "- a bullet\r",
    "1.1.1 THE\u00a0SYSTEM SHALL \u2003fold.",
    "<!-- id:lonely -->",
]


@given(st.lists(st.sampled_from(LINES) | st.text(max_size=30), max_size=25))
@settings(max_examples=200, deadline=None)
def test_any_text_has_the_criteria_that_the_server_finds(lines: list[str]) -> None:
    text = "\n".join(lines)
    wanted = {key: block.sha256 for key, block in parse(DocumentType.REQUIREMENTS, text).criteria().items()}
    assert {key: found.sha256 for key, found in criteria.read(text).items()} == wanted


def test_the_usual_document_has_its_criteria() -> None:
    assert list(criteria.read(REQUIREMENTS)) == ["1.1", "1.2"]
