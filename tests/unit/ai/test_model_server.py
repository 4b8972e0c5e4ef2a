"""The test server itself: answers from a folder, in both protocols, in this process and as a program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import support.model_server
from devstudio_server.ai.errors import ModelContractError
from support.ai_world import (
    MemoryReader,
    World,
    generation_conversation,
    generation_subject,
    plan_conversation,
    plan_subject,
)
from support.model_server import AnswersBrain


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    folder = tmp_path / "answers"
    files = {
        "requirements.md": "# Requirements é\n",
        "tasks.md": "# Tasks\n",
        "tasks/1.2/pkg/a.py": "A = 1\n",
        "tasks/1.2/README.md": "# New\n",
        "tasks/1.2.summary.txt": "What it does\n",
        "tasks/1/b.py": "B = 1\n",
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    return folder


def test_documents_come_from_the_folder(world: World, answers: Path) -> None:
    subject = plan_subject(stages=("requirements", "tasks"))
    outcome = world.converse(world.gateway(AnswersBrain(answers)), plan_conversation(subject=subject))
    assert (outcome.answer.requirements, outcome.answer.design) == ("# Requirements é\n", None)


def test_files_come_from_the_tasks_folder(world: World, answers: Path) -> None:
    conversation = generation_conversation(
        prompt="Task key: 1.2. Write it.",
        subject=generation_subject(task_key="1.2"),
        reader=MemoryReader({"README.md": "# Old\n"}),
    )
    outcome = world.converse(world.gateway(AnswersBrain(answers)), conversation)
    assert outcome.answer.summary == "What it does"
    assert [(file.path, file.action) for file in outcome.answer.files] == [
        ("README.md", "update"),
        ("pkg/a.py", "create"),
    ]
    assert outcome.usage.calls == 2


def test_a_task_without_a_folder_has_no_answer(world: World, answers: Path) -> None:
    with pytest.raises(ModelContractError, match="no tool call"):
        world.converse(world.gateway(AnswersBrain(answers)), generation_conversation(prompt="Task key: 7"))


def test_as_a_program(world: World, answers: Path) -> None:
    tests = Path(support.model_server.__file__).parents[2]
    command = [sys.executable, "-m", "support.model_server", "--answers", str(answers)]
    with subprocess.Popen(command, cwd=tests, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        url = program.stdout.readline().strip()
        try:
            world.server = None
            settings = {"openai_base_url": f"{url}/v1", "anthropic_base_url": url}
            gateway = world.gateway(AnswersBrain(answers), **settings)
            outcome = world.converse(gateway, plan_conversation())
        finally:
            program.terminate()
    assert outcome.answer.requirements == "# Requirements é\n"
    assert world.requests == []  # the program answered, not the server in this process
