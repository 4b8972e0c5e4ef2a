"""Project templates: what there is, and a task that gets one as its patch."""

from __future__ import annotations

from devstudio_server.ai.contract import ProposeChanges
from devstudio_server.ai.gateway import OFFLINE_MODEL, Gateway, Outcome
from devstudio_server.ai.offline.catalogue import TEMPLATES, Template, build
from devstudio_server.ai.ports import RepositoryReader
from devstudio_server.ai.schemas import UsageRead
from devstudio_server.ai.subjects import GenerationSubject
from devstudio_server.kit.errors import Invalid, NotFound
from devstudio_server.planning.code_schemas import TemplateFile, TemplateList, TemplateRead, TemplateShow


class TemplateNotFound(NotFound):
    """No such template."""

    def __init__(self, template_id: str) -> None:
        """Name those that there are."""
        super().__init__(f"There is no template {template_id[:100]!r}. There are {', '.join(TEMPLATES)}.")


class TemplateUnknown(Invalid):
    """The request names a template that this server does not have."""

    def __init__(self, template_id: str) -> None:
        """Name those that there are."""
        message = f"There is no template {template_id[:100]!r}. Name one of: {', '.join(TEMPLATES)}."
        super().__init__(message, errors=[{"loc": ["body", "template"], "msg": message}])


def list_templates() -> TemplateList:
    """Return every template, without the texts of its files."""
    return TemplateList(items=[_read(template) for template in TEMPLATES.values()])


def show_template(template_id: str) -> TemplateShow:
    """Return a template with its files, as a project with the name Example gets them."""
    template = TEMPLATES.get(template_id)
    if template is None:
        raise TemplateNotFound(template_id)
    contents = [TemplateFile(path=file.path, content=file.content or "") for file in _example(template).files]
    return TemplateShow(**_read(template).model_dump(), contents=contents)


def template_outcome(
    gateway: Gateway, template_id: str, subject: GenerationSubject, reader: RepositoryReader
) -> Outcome[ProposeChanges]:
    """Return a template as the answer for a task; it costs nothing. Raises `TemplateUnknown`."""
    template = TEMPLATES.get(template_id)
    if template is None:
        raise TemplateUnknown(template_id)
    model = gateway.resolve(OFFLINE_MODEL)
    usage = UsageRead.model_validate(
        {"model": model.id, "provider": model.provider, "cost_estimated": 0, "calls": 0, "duration_ms": 0}
        | {"tokens_input": 0, "tokens_output": 0}
    )
    return Outcome(build(template, subject, reader), usage, model)


def _read(template: Template) -> TemplateRead:
    files = [file.path for file in _example(template).files]
    return TemplateRead(**vars(template), files=files)


def _example(template: Template) -> ProposeChanges:
    subject = GenerationSubject(
        project_name="Example",
        project_type=template.type,
        language=template.language,
        task_key="1",
        task_title="Start",
        task_description="",
        criteria=(),
        requirements=(),
        instructions="",
        files=(),
    )
    return build(template, subject, None)
