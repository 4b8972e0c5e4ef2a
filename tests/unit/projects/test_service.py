"""Projects: a repository and a tree each, versions, and other tenants' are not there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from devstudio_server.kit.errors import PreconditionFailed
from devstudio_server.kit.ids import new_id
from devstudio_server.projects.errors import ProjectArchived, ProjectNotFound
from devstudio_server.projects.schemas import (
    ProjectCreate,
    ProjectQuery,
    ProjectTemplate,
    ProjectType,
    ProjectUpdate,
    SettableStatus,
)
from support.domain_world import DomainWorld


def test_a_project_has_a_repository_and_a_tree_made_of_ids(domain: DomainWorld) -> None:
    project = domain.project("../../etc")
    repository, tree = domain.repository(project.id), domain.tree(project.id)
    assert repository.head("main") is not None
    assert tree.root.is_dir()
    assert (project.template, project.type, project.version) == (ProjectTemplate.PYTHON, ProjectType.API, 1)
    assert repository.path.parent.parent == domain.git.root
    assert project.path == str(project.id) == tree.root.name


def test_a_project_that_is_not_committed_has_no_tree(domain: DomainWorld) -> None:
    def create_and_fail() -> None:
        with domain.projects() as projects:
            projects.create(ProjectCreate(name="half"))
            raise KeyError

    with pytest.raises(KeyError):
        create_and_fail()
    with domain.projects() as projects:
        assert projects.list(ProjectQuery()).items == []
    assert not domain.workspaces.root.exists()


def test_changes_are_versioned_and_what_is_absent_stays(domain: DomainWorld) -> None:
    project = domain.project()
    with domain.projects() as projects:
        changed = projects.update(project.id, ProjectUpdate(description="d", metadata={"a": [1]}), 1)
        assert (changed.name, changed.description, changed.metadata_, changed.version) == ("Adder", "d", {"a": [1]}, 2)
    with pytest.raises(PreconditionFailed), domain.projects() as projects:
        projects.update(project.id, ProjectUpdate(name="stale"), 1)
    with pytest.raises(PreconditionFailed), domain.projects() as projects:
        projects.delete(project.id, 1)
    with domain.projects() as projects:
        assert projects.get(project.id).name == "Adder"


def test_archived_is_read_only_and_comes_back(domain: DomainWorld) -> None:
    project = domain.project()
    with domain.projects() as projects:
        projects.update(project.id, ProjectUpdate(status=SettableStatus.ARCHIVED), None)
    with pytest.raises(ProjectArchived, match="Adder"), domain.projects() as projects:
        projects.get_writable(project.id)
    with domain.projects() as projects:
        projects.update(project.id, ProjectUpdate(status=SettableStatus.ACTIVE), None)
        assert projects.get_writable(project.id).id == project.id


def test_deleted_unknown_and_foreign_projects_are_not_there(domain: DomainWorld) -> None:
    project = domain.project()
    other = replace(domain.actor, tenant_id=new_id())
    with pytest.raises(ProjectNotFound), domain.projects(other) as projects:
        projects.get(project.id)
    with domain.projects(other) as projects:
        assert projects.list(ProjectQuery()).items == []
    with domain.projects() as projects:
        projects.delete(project.id, 1)
    for project_id in (project.id, new_id()):
        with pytest.raises(ProjectNotFound), domain.projects() as projects:
            projects.get(project_id)
    assert domain.repository(project.id).head("main") is not None, "an operator removes what is on disk"


def test_lists_page_and_filter(domain: DomainWorld) -> None:
    ids = [domain.project(f"P{number}").id for number in range(3)]
    with domain.projects() as projects:
        projects.update(ids[0], ProjectUpdate(status=SettableStatus.ARCHIVED), None)
        web = projects.create(ProjectCreate(name="W", type=ProjectType.WEB)).id
        first = projects.list(ProjectQuery(limit=2))
        second = projects.list(ProjectQuery(limit=2, cursor=first.next_cursor))
        assert [row.id for row in [*first.items, *second.items]] == [web, *ids[::-1]]
        assert second.next_cursor is None
        assert [row.id for row in projects.list(ProjectQuery(status=SettableStatus.ARCHIVED)).items] == [ids[0]]
        assert [row.id for row in projects.list(ProjectQuery(type=ProjectType.WEB)).items] == [web]
