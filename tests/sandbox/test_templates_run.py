"""Every project template builds, and passes its own tests, in the image that runs have."""

import pytest
from sandbox_kit import Output, spec

from devstudio_sandbox import ArchiveEntry, Backend, detect, detect_build, pack, parse_junit
from devstudio_server.ai.offline.catalogue import TEMPLATES
from devstudio_server.planning.templates import show_template


@pytest.mark.parametrize("template_id", TEMPLATES)
def test_a_template_builds_and_passes_its_own_tests(docker_backend: Backend, template_id: str) -> None:
    template = show_template(template_id)
    files = {file.path: file.content for file in template.contents}
    assert sorted(files) == template.files
    recipe, build = detect(files, files.get), detect_build(files, files.get)
    assert recipe is not None
    output = Output()
    with docker_backend.open(spec(template.language)) as sandbox:
        sandbox.put(pack(ArchiveEntry(path, text.encode()) for path, text in files.items()))
        if build is not None:
            assert sandbox.run(build.command(sandbox, deadline_s=60), output).exit_code == 0, output
        done = sandbox.run(recipe.command(sandbox, deadline_s=60), output)
        data = sandbox.get(recipe.junit_path, 10_000_000) if recipe.junit_path else None
        report = None if data is None else parse_junit(data, sandbox.workspace)
    assert done.exit_code == 0, output
    assert report is not None
    assert len(report.tests) >= 4
    assert {test.outcome for test in report.tests} == {"passed"}
    assert report.criteria() == {}, "a template claims no criterion of anybody"
