"""Objects that people edit, over the query API and in a real ClickHouse: one kind of them stands for all."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from aiohttp import web
from pydantic import Field

from collector.api import audit
from collector.api.objects import ObjectApi
from collector.api.problems import BadParameter
from collector.api.routing import QuerySettings
from collector.control import versions
from collector.control.objects import Kind, ObjectModel, ObjectStore
from exporters.clickhouse.client import ClickHouseClient
from tests.support.workspace_port import WorkspacePort, workspace_port

FAR_S = 4_000_000_000


class Note(ObjectModel):
    """A note."""

    name: Annotated[str, Field(min_length=1, max_length=20)]
    about: str = ""
    lines: tuple[str, ...] = ()
    kept_until_s: int = 0


NOTES = Kind("note", Note, lambda note: note.name, lambda note: note.about, lambda note: note.kept_until_s)


async def _no_swearing(_: web.Request, note: Note) -> None:
    if "darn" in note.name:
        raise BadParameter("name", note.name, "must be polite")


API = ObjectApi(NOTES, "small-notes", "Note", "note", check=_no_swearing)
OWN = ObjectApi(Kind("own_note", Note, lambda note: note.name), "own-notes", "Note", "note", role="read", by_author_only=True)
COMPONENTS = {**API.components(), **audit.COMPONENTS}


async def create(port: WorkspacePort, name: str, path: str = "small-notes", **said: Any) -> Any:
    answer = await port.ask("POST", path, {"name": name, **said})
    assert answer.status == 201, answer.body
    return answer.json


@pytest.fixture
async def port(module_client: ClickHouseClient) -> AsyncIterator[WorkspacePort]:
    own = (*API.routes(), *OWN.routes())
    async with workspace_port(module_client, (*own, *audit.ROUTES), COMPONENTS, own) as port:
        yield port


async def test_an_object_is_made_read_changed_and_ended_and_each_version_says_by_whom(port: WorkspacePort) -> None:
    answer = await port.ask("POST", "small-notes", {"name": "grüße '\\", "lines": ["a", "b\n"]})
    made, path = answer.json, f"small-notes/{answer.json['id']}"
    assert (answer.status, made["version"], made["lines"], made["createdBy"]) == (201, 1, ["a", "b\n"], "ann")
    assert answer.headers["Location"].endswith(path)
    assert (await port.ask("GET", path)).json == made
    changed = await port.ask("PATCH", path, {"about": "x"}, version=1)
    assert (changed.status, changed.json["version"], changed.json["lines"]) == (200, 2, ["a", "b\n"])
    assert changed.headers["ETag"] == '"2"'
    replaced = await port.ask("PUT", path, {"name": "other"}, version=2)
    assert (replaced.json["version"], replaced.json["about"], replaced.json["lines"]) == (3, "", [])
    assert (await port.ask("DELETE", path, version=3)).status == 204
    assert (await port.ask("GET", path)).status == 404
    history = (await port.ask("GET", f"{path}/versions")).json["versions"]
    assert [(each["version"], each["name"], each["deleted"]) for each in history] == [
        (4, "other", True),
        (3, "other", False),
        (2, "grüße '\\", False),
        (1, "grüße '\\", False),
    ]
    assert [each["version"] for each in (await port.ask("GET", f"{path}/versions", limit=1, before=3)).json["versions"]] == [2]
    pages = [await port.ask("GET", "audit", start="1", limit=3)]
    pages.append(await port.ask("GET", "audit", start="1", limit=3, cursor=pages[0].json["nextCursor"]))
    audited = [(each["kind"], each["what"], each["version"], each["by"]) for page in pages for each in page.json["changes"]]
    assert audited == [
        ("note", "deleted", 4, "ann"),
        ("note", "changed", 3, "ann"),
        ("note", "changed", 2, "ann"),
        ("note", "created", 1, "ann"),
    ]
    assert pages[1].json["nextCursor"] is None


async def test_of_two_editors_one_is_told_what_the_other_said(port: WorkspacePort) -> None:
    made = await create(port, "shared")
    path = f"small-notes/{made['id']}"
    assert (await port.ask("PATCH", path, {"about": "first"}, version=1)).status == 200
    late = await port.ask("PATCH", path, {"about": "second"}, version=1)
    assert (late.status, late.json["expectedVersion"], late.json["currentVersion"]) == (409, 1, 2)
    assert late.json["current"]["about"] == "first"
    assert (await port.ask("DELETE", path, version=1)).status == 409
    assert (await port.ask("PATCH", path, {"about": "x"})).status == 428


async def test_lists_are_in_order_paged_and_searched(port: WorkspacePort) -> None:
    names = ["b", "a", "Ä", "a", "c%", "B_"]
    for name in names:
        await create(port, name)
    found, cursor = [], None
    while True:
        answer = (await port.ask("GET", "small-notes", limit=2, **({} if cursor is None else {"cursor": cursor}))).json
        found += [each["name"] for each in answer["smallNotes"]]
        if (cursor := answer["nextCursor"]) is None:
            break
    assert found == sorted(names)
    assert [each["name"] for each in (await port.ask("GET", "small-notes", contains="b")).json["smallNotes"]] == ["B_", "b"]
    assert (await port.ask("GET", "small-notes", contains="%")).json["smallNotes"][0]["name"] == "c%"


async def test_what_cannot_be_is_refused_by_its_field(port: WorkspacePort) -> None:
    made = await create(port, "kept", keptUntilS=FAR_S)
    path = f"small-notes/{made['id']}"
    answer = await port.ask("POST", "small-notes", {"name": "", "line": []})
    assert [error["field"] for error in answer.json["errors"]] == ["name", "line"]
    assert "lines" in answer.json["errors"][1]["detail"]
    assert (await port.ask("POST", "small-notes", {"name": "darn"})).json["parameter"] == "name"
    assert (await port.ask("PATCH", path, {"name": "darn"}, version=1)).status == 400
    assert (await port.ask("PATCH", path, {"keptUntilS": FAR_S - 1}, version=1)).status == 400
    assert (await port.ask("PATCH", path, {"keptUntilS": 0}, version=1)).status == 200
    assert (await port.ask("PATCH", path, {"keptUntilS": FAR_S + 1}, version=2)).status == 400, "shorter than for ever"
    for wrong in ("x", "00000000-0000-0000-0000-00000000000g"):
        assert (await port.ask("GET", f"small-notes/{wrong}")).json["parameter"] == "object_id"
    for cursor in ("x", "WyJhIl0", "bnVsbA"):
        assert (await port.ask("GET", "small-notes", cursor=cursor)).json["parameter"] == "cursor"
        assert (await port.ask("GET", "audit", cursor=cursor)).json["parameter"] == "cursor"


async def test_workspaces_and_readers_are_kept_out(port: WorkspacePort) -> None:
    made = await create(port, "secret")
    path = f"small-notes/{made['id']}"
    stranger, reader = port.as_("zoe"), port.as_("ray")
    assert (await stranger.ask("GET", path)).status == 403
    for method, body in (("GET", None), ("PATCH", {"about": "x"}), ("DELETE", None)):
        assert (await stranger.ask(method, path, body, version=1, where="theirs")).status == 404
    assert (await stranger.ask("GET", f"{path}/versions", where="theirs")).status == 404
    assert (await stranger.ask("GET", "small-notes", where="theirs")).json["smallNotes"] == []
    assert (await stranger.ask("GET", "audit", where="theirs", start="1")).json["changes"] == []
    assert (await reader.ask("POST", "small-notes", {"name": "x"})).status == 403
    assert (await reader.ask("GET", path)).status == 200


async def test_what_only_its_author_may_change_an_administrator_may_change_too(port: WorkspacePort) -> None:
    made = await create(port.as_("ben"), "mine", "own-notes")
    path = f"own-notes/{made['id']}"
    refused = await port.as_("ray").ask("PATCH", path, {"about": "x"}, version=1)
    assert (refused.status, "ben" in refused.json["detail"]) == (403, True)
    assert (await port.as_("ben").ask("PATCH", path, {"about": "x"}, version=1)).status == 200
    assert (await port.as_("ann").ask("DELETE", path, version=2)).status == 204


async def test_kinds_do_not_mix_and_objects_are_found_by_their_subject(module_client: ClickHouseClient) -> None:
    notes = ObjectStore(module_client, module_client.database, NOTES)
    others = ObjectStore(module_client, module_client.database, Kind("other", Note, lambda note: note.name))
    about = [await notes.create("mine", Note(name=name, about="trace"), "ann") for name in ("a", "b")]
    await notes.create("mine", Note(name="c", about="else"), "ann")
    await notes.create("theirs", Note(name="d", about="trace"), "ann")
    other = await others.create("mine", Note(name="e", about="trace"), "ann")
    assert await notes.page("mine", 10, subject="trace") == about
    assert await others.all("mine") == [other]
    assert await notes.get("mine", other.id) is None
    before = await notes.state()
    await others.delete(other, "ann")
    assert await notes.state() == before


async def test_what_another_version_wrote_is_left_out_and_spoils_nothing(module_client: ClickHouseClient) -> None:
    store = ObjectStore(module_client, module_client.database, NOTES)
    kept, strange = [await store.create("mine", Note(name=name), "ann") for name in ("kept", "strange")]
    row = f"'mine', 'note', '{strange.id}', 2, 'strange', '{{\"name\": 3}}', '{uuid.uuid4()}'"
    await module_client.command(f"INSERT INTO otel_objects (Workspace, Kind, Id, Version, Name, Body, WriteId) VALUES ({row})")
    assert await store.all() == [kept]
    assert await store.get("mine", strange.id) is None


async def test_a_workspace_has_no_more_of_a_kind_than_it_may(module_client: ClickHouseClient) -> None:
    own = (*API.routes(), *OWN.routes())
    async with workspace_port(module_client, own, COMPONENTS, own, settings=QuerySettings(max_objects=2)) as port:
        first = await create(port, "a")
        await create(port, "b")
        refused = await port.ask("POST", "small-notes", {"name": "c"})
        assert (refused.status, refused.json["title"]) == (409, "Too many objects")
        assert "max_objects of extensions.query allows 2" in refused.json["detail"]
        # Other kinds count for themselves, and what was ended does not count.
        await create(port, "c", "own-notes")
        assert (await port.ask("DELETE", f"small-notes/{first['id']}", version=1)).status == 204
        await create(port, "c")


async def test_all_objects_are_read_in_parts(module_client: ClickHouseClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "PAGE", 3)
    store = ObjectStore(module_client, module_client.database, NOTES)
    made = [await store.create(f"w{number % 2}", Note(name=str(number)), "ann") for number in range(8)]
    await store.create("w1", Note(name="same id"), "ann", made[0].id)
    changed = await store.change(made[2], Note(name="new"), "bob")
    await store.delete(made[3], "ann")
    expected = {(each.workspace, each.id, each.settings.name) for each in (*made[:2], changed, *made[4:])}
    found = await store.all()
    assert len(found) == 8
    assert {(each.workspace, each.id, each.settings.name) for each in found} == {*expected, ("w1", made[0].id, "same id")}
    assert {each.settings.name for each in await store.all("w0")} == {"0", "new", "4", "6"}
    assert await store.count("w0") == 4
    assert await store.all("nobody") == []
