"""Project templates as patches of tasks."""

from __future__ import annotations

from typing import Any

import pytest

from devstudio_server.ai.offline.catalogue import TEMPLATES
from devstudio_server.ai.offline.names import Names
from devstudio_server.ai.offline.rules import skeleton_criteria
from devstudio_server.patches.schemas import LoopEnd
from devstudio_server.planning.generation import GenerationService
from devstudio_server.planning.schemas import GenerateRequest, GenerateResult
from devstudio_server.planning.templates import TemplateNotFound, TemplateUnknown, list_templates, show_template
from support.domain_world import DomainWorld
from support.fix_bench import FixBench


def take(bench: FixBench, session_id: Any, template: str) -> GenerateResult:
    domain = bench.domain
    with bench.model([]):
        service = GenerationService(domain.units, domain.actor, domain.ports, bench.told, bench.left)
        return service.generate(GenerateRequest(task_id=domain.tasks(session_id)[0].id, template=template))


def test_there_are_the_types_of_the_seed_in_two_languages() -> None:
    ids = [template.id for template in list_templates().items]
    kinds = ("web", "api", "mobile", "integration")
    assert ids == [f"{kind}-{language}" for kind in kinds for language in ("python", "node")]


def test_an_unknown_one_is_said(domain: DomainWorld) -> None:
    with pytest.raises(TemplateNotFound):
        show_template("cobol")
    bench = FixBench(domain)
    with pytest.raises(TemplateUnknown):
        take(bench, bench.session.id, "cobol")


@pytest.mark.parametrize("template", ["api-python", "web-node"])
def test_a_task_gets_a_template_without_a_model(domain: DomainWorld, template: str) -> None:
    bench = FixBench(domain)
    result = take(bench, bench.session.id, template)
    assert (result.usage.calls, result.stopped, bench.requests, bench.runs()) == (0, LoopEnd.OFFLINE, [], [])
    assert "README.md" in [file.path for file in result.files]
    assert any("names criterion 1.1" in warning for warning in result.warnings), "it proves nothing of this task"


def test_a_criterion_that_says_what_a_test_checks_is_named(domain: DomainWorld) -> None:
    bench = FixBench(domain)
    text = next(iter(skeleton_criteria(Names.of("Adder", "python"), "api").values()))
    requirements = f"# Requirements\n\n### Requirement 1: V\n\n#### Acceptance Criteria\n1. {text}\n"
    tasks = "# Tasks\n- [ ] 1. Start\n  - _Requirements: 1.1_\n"
    session = domain.session(domain.project("Adder"), requirements=requirements, tasks=tasks)
    assert take(bench, session.id, "api-python").warnings == []


def test_their_files_are_whole() -> None:
    for template_id in TEMPLATES:
        shown = show_template(template_id)
        assert all(file.content for file in shown.contents)
        assert not any("%%{" in file.content for file in shown.contents)
