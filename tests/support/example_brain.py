"""One brain for all worked examples: it answers for the example whose project a prompt names."""

from __future__ import annotations

import json
from pathlib import Path

from support.model_server import Answer, AnswersBrain, Fault, SeenRequest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SLUGS = ("semver", "rfc4180", "luhn")


class ExamplesBrain:
    """Answers as the `answers/` folder of the named example says."""

    def __init__(self) -> None:
        """Read the names of the examples' projects."""
        self._brains = {self._project_name(slug): AnswersBrain(EXAMPLES / slug / "answers") for slug in SLUGS}

    @staticmethod
    def _project_name(slug: str) -> str:
        return str(json.loads((EXAMPLES / slug / "example.json").read_text())["project"]["name"])

    def think(self, request: SeenRequest) -> Answer | Fault:
        """Hand the request to the example's own brain."""
        prompt = request.turns[0].text
        for name, brain in self._brains.items():
            if f'name="project">\n{name}\n</data' in prompt:
                return brain.think(request)
        return Fault(status=400)
