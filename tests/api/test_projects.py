"""Projects over HTTP."""

from __future__ import annotations

from uuid import UUID

from support.studio import Api, Studio


def test_a_project_is_created_read_changed_and_deleted(api: Api) -> None:
    made = api.post("projects", {"name": "  Versões  ", "description": "d", "type": "web", "template": "node"})
    body = made.expect(201)
    assert UUID(body["id"]).version == 7
    assert body["name"] == "Versões"
    assert (body["type"], body["template"], body["status"], body["version"]) == ("web", "node", "active", 1)
    assert body["created_at"].endswith("Z")
    assert made.headers["etag"] == '"1"'
    assert api.get(f"projects/{body['id']}").expect(200) == body

    changed = api.put(f"projects/{body['id']}", {"name": "Other"}, version=1)
    assert changed.expect(200)["name"] == "Other"
    assert changed.headers["etag"] == '"2"'

    assert api.delete(f"projects/{body['id']}", version=2).status == 204
    api.get(f"projects/{body['id']}").problem(404)


def test_a_stale_version_is_refused_and_nothing_changes(api: Api) -> None:
    project = api.project(name="First")
    api.put(f"projects/{project['id']}", {"name": "Second"}, version=1).expect(200)
    for method in ("put", "delete"):
        arguments = ({"name": "Third"},) if method == "put" else ()
        answer = getattr(api, method)(f"projects/{project['id']}", *arguments, version=1)
        assert answer.problem(412)["current_version"] == 2
        assert answer.headers["etag"] == '"2"'
    assert api.get(f"projects/{project['id']}").expect(200)["name"] == "Second"


def test_if_match_that_is_no_version_is_refused(api: Api) -> None:
    project = api.project()
    answer = api.send("PUT", f"projects/{project['id']}", json={"name": "x"}, headers={"If-Match": "abc"})
    assert answer.problem(422)["errors"][0]["loc"] == ["header", "If-Match"]


def test_lists_page_by_key_newest_first_and_filter(api: Api) -> None:
    made = [api.project(name=f"Page {number}", type="mobile")["id"] for number in range(5)]
    seen: list[str] = []
    cursor = None
    while True:
        query = {"limit": 2, "type": "mobile"} | ({"cursor": cursor} if cursor else {})
        page = api.get("projects", **query).expect(200)
        assert len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen[:5] == made[::-1]
    assert len(set(seen)) == len(seen)
    assert all(item["type"] == "mobile" for item in api.get("projects", type="mobile").expect(200)["items"])


def test_an_archived_project_is_read_only_until_it_is_active_again(api: Api) -> None:
    project = api.project()
    session = api.session(project["id"])
    api.put(f"projects/{project['id']}", {"status": "archived"}).expect(200)
    refused = api.put(f"spec-sessions/{session['id']}", {"title": "New"}).problem(409)
    assert "archived" in refused["detail"]
    api.post("spec-sessions", {"project_id": project["id"], "title": "x"}).problem(409)
    api.put(f"projects/{project['id']}", {"status": "active"}).expect(200)
    api.put(f"spec-sessions/{session['id']}", {"title": "New"}).expect(200)


def test_a_project_has_a_tree_where_jupyter_shows_it(api: Api, studio: Studio) -> None:
    project = api.project()
    listing = api.send("GET", f"{studio.url}/api/contents/{project['path']}").expect(200)
    assert listing["type"] == "directory"


def test_sessions_of_a_deleted_project_are_gone(api: Api) -> None:
    project = api.project()
    session = api.session(project["id"])
    api.delete(f"projects/{project['id']}").expect(204)
    api.get(f"spec-sessions/{session['id']}").problem(404)
