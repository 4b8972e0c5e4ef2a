"""The plan of a run, settled when it is enqueued: who does it needs the plan and the input, and nothing else."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from devstudio_sandbox import Language, Limits, Recipe, custom, detect, detect_build, language_of
from devstudio_sandbox.install import Install, detect_install
from devstudio_server.execution.command_policy import RunPolicy, limits_of
from devstudio_server.execution.run_settings import SettingsValues
from devstudio_server.execution.schemas import RunType
from devstudio_server.scm import GitRepository


@dataclass(frozen=True)
class RunPlan:
    """What to run, within which limits, and what to keep of it.

    ``then`` is the kind of the job that ends the run, and ``facts`` what that job has to know; without it, the run ends
    with the sandbox's work. ``note`` is a line for the top of the log. ``install`` comes before the command, when a
    lease lets it reach an index; ``must_install`` says that someone asked for it. ``offline``
    gives the run no way out, whatever leases are in force.
    """

    recipe: Recipe
    deadline_s: float
    limits: Limits
    artifacts: tuple[str, ...] = ()
    then: str = ""
    note: str = ""
    install: Install | None = None
    must_install: bool = False
    offline: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return what a row keeps."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RunPlan:
        """Read what `to_json` wrote."""
        recipe = data["recipe"]
        return cls(
            recipe=Recipe(**recipe | {"argv": tuple(recipe["argv"])}),
            deadline_s=data["deadline_s"],
            limits=Limits(**data["limits"]),
            artifacts=tuple(data["artifacts"]),
            then=data["then"],
            note=data["note"],
            install=Install.from_json(data["install"]) if data.get("install") else None,
            must_install=data.get("must_install", False),
            offline=data.get("offline", False),
            facts=data["facts"],
        )


def settle(
    recipe: Recipe, settings: SettingsValues, policy: RunPolicy, *, timeout_s: float | None = None, then: str = ""
) -> RunPlan:
    """Return the plan of a recipe under a project's settings; the server's own limits hold whatever those say."""
    asked = timeout_s or settings.deadline_s or policy.deadline_s
    merged = {**recipe.env, **settings.env}
    limits = limits_of(settings.limits.model_dump(exclude_none=True), policy.limits)
    return RunPlan(
        recipe=Recipe(**{**vars(recipe), "env": merged}),
        deadline_s=min(asked, policy.deadline_s),
        limits=Limits(**{name: min(value, getattr(policy.limits, name)) for name, value in asdict(limits).items()}),
        artifacts=tuple(settings.artifacts),
        then=then,
    )


def find_recipe(kind: RunType, repository: GitRepository, tree: str, settings: SettingsValues) -> Recipe | None:
    """Return how a tree is tested or built: as the settings say, else as its files show; None when neither does."""
    paths = repository.files(tree)
    own = settings.commands.test if kind is RunType.TEST else settings.commands.build
    if own is not None:
        return custom(own, choose_language(paths, settings))

    def read(path: str) -> str | None:
        content = repository.read(tree, path)
        return None if content is None else content.decode("utf-8", "replace")

    if kind is RunType.TEST:
        return detect(paths, read, coverage=settings.coverage)
    return detect_build(paths, read)


def with_install(plan: RunPlan, repository: GitRepository, tree: str, settings: SettingsValues) -> RunPlan:
    """Return a plan that knows what the tree needs to have installed."""
    if settings.install is False:
        return plan

    def read(path: str) -> str | None:
        content = repository.read(tree, path)
        return None if content is None else content.decode("utf-8", "replace")

    install = detect_install(plan.recipe.language, repository.files(tree), read)
    return replace(plan, install=install, must_install=bool(settings.install))


def choose_language(paths: Collection[str], settings: SettingsValues) -> Language:
    """Return the language of a command of one's own: the settings', else what the files look like."""
    return settings.language or language_of(paths)
