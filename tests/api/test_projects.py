"""Projects: uploading a script, reading, changing and deleting it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from backend.core.config import Settings
from backend.core.database import Database
from backend.core.errors import Unavailable
from backend.integrations.storage import Storage
from tests.factories.people import Person
from tests.factories.refusals import refused
from tests.factories.world import FOUNTAIN, World, ok

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\nstartxref\n9\n%%EOF\n"
FDX = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="no" ?>\n'
    b'<FinalDraft DocumentType="Script" Version="5"><Content></Content></FinalDraft>'
)
FORM = {"title": "Night Train", "budgetTarget": "100000", "productionWindow": "Q3 2027"}
MISSING = "018f0000-0000-7000-8000-000000000000"


def kept_files(settings: Settings) -> list[Path]:
    """What lies in storage."""
    return [each for each in settings.uploads.rglob("*") if each.is_file()] if settings.uploads.exists() else []


async def upload(person: Person, form: Any = None, *files: Any, **more: Any) -> Any:
    return await person.post(
        "/projects",
        data=FORM if form is None else form,
        files=list(files) or [("file", ("a.fountain", FOUNTAIN))],
        **more,
    )


async def test_a_script_is_uploaded_with_form_fields(
    world: World, settings: Settings, sql: asyncpg.Connection[Any]
) -> None:
    cleo = await world.creator()
    form = {
        **FORM,
        "genre": " Drama ",
        "logline": "A cup of coffee.",
        "ageStart": "18",
        "ageEnd": "49",
        "gender": "female",
    }
    response = await upload(cleo, form)
    project = ok(response)
    assert response.status_code == 201
    assert project.pop("docLink").startswith(f"http://backdrop.test/api/v1/projects/{project['id']}/script?")
    created = project.pop("createdAt")
    assert project.pop("updatedAt") == created
    assert created.endswith("Z")
    assert project == {
        "id": project["id"],
        "creatorId": cleo.id,
        "title": "Night Train",
        "genre": "Drama",
        "logline": "A cup of coffee.",
        "budgetTarget": 100000,
        "committedAmount": 0,
        "productionWindow": "Q3 2027",
        "demographics": {"ageStart": 18, "ageEnd": 49, "gender": "female"},
        "scriptStatus": "processing",
        "scriptStatusReason": None,
    }
    draft = await sql.fetchrow("SELECT * FROM drafts")
    assert draft is not None
    assert (draft["sha256"], draft["size"]) == (hashlib.sha256(FOUNTAIN).digest(), len(FOUNTAIN))
    (file,) = kept_files(settings)
    assert (file.name, file.read_bytes()) == (draft["storage_key"], FOUNTAIN)
    assert await sql.fetchval("SELECT action FROM events WHERE subject_id = $1", project["id"]) == "project.created"


@pytest.mark.parametrize("filename", [None, "blob"])
async def test_a_script_is_uploaded_with_one_json_part(world: World, filename: str | None) -> None:
    """A browser's Blob comes with a file name, a plain field without."""
    cleo = await world.creator()
    fields = {
        "title": "Night Train",
        "budgetTarget": 1234.5,
        "productionWindow": "Q3 2027",
        "demographics": {"ageStart": 18, "gender": "any"},
    }
    part = (filename, json.dumps(fields).encode(), "application/json")
    project = ok(await upload(cleo, {}, ("file", ("a.pdf", PDF)), ("metadata", part)))
    assert project["budgetTarget"] == 1234.5
    assert project["demographics"] == {"ageStart": 18, "ageEnd": None, "gender": "any"}
    assert project["genre"] is None


KINDS = {"a.pdf": PDF, "a.fountain": FOUNTAIN, "a.fdx": FDX}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("content", KINDS)
async def test_the_content_must_match_the_extension(world: World, settings: Settings, name: str, content: str) -> None:
    cleo = await world.creator()
    response = await upload(cleo, FORM, ("file", (name, KINDS[content])))
    if name == content:
        ok(response)
        return
    refused(response, 415, "content_mismatch")
    assert kept_files(settings) == []


@pytest.mark.parametrize("name", ["a.txt", "a", ".pdf", "a.pdf.exe", "a.docx", "", "pdf", "a.pdf/"])
async def test_another_extension_is_refused(world: World, settings: Settings, name: str) -> None:
    cleo = await world.creator()
    response = await upload(cleo, FORM, ("file", (name, PDF)))
    # A part without a file name is a form field, not a file.
    refused(response, 415 if name else 422, "unsupported_script" if name else None)
    assert kept_files(settings) == []


@pytest.mark.parametrize(
    ("form", "files", "field"),
    [
        (FORM, [("file", ("a.pdf", b""))], "file"),
        (FORM, [("script", ("a.pdf", PDF))], "file"),
        (FORM, [("file", ("a.pdf", PDF)), ("file", ("b.pdf", PDF))], "file"),
        (FORM, [("file", ("a.pdf", PDF)), ("second", ("b.pdf", PDF))], "body"),
        ({**FORM, "file": "text"}, [], "file"),
        ({}, [("file", ("a.pdf", PDF))], "title"),
        ({**FORM, "title": "  "}, [("file", ("a.pdf", PDF))], "title"),
        ({**FORM, "title": ["a", "b"]}, [("file", ("a.pdf", PDF))], "body"),
        ({**FORM, "title": "x" * 201}, [("file", ("a.pdf", PDF))], "title"),
        ({**FORM, "title": "nul\x00"}, [("file", ("a.pdf", PDF))], "title"),
        ({**FORM, "creatorId": MISSING}, [("file", ("a.pdf", PDF))], "creatorId"),
        ({**FORM, "demographics": "{}"}, [("file", ("a.pdf", PDF))], "demographics"),
        ({**FORM, "budgetTarget": "1e3"}, [("file", ("a.pdf", PDF))], "budgetTarget"),
        ({**FORM, "budgetTarget": "NaN"}, [("file", ("a.pdf", PDF))], "budgetTarget"),
        ({**FORM, "budgetTarget": "-1"}, [("file", ("a.pdf", PDF))], "budgetTarget"),
        ({**FORM, "budgetTarget": "1.001"}, [("file", ("a.pdf", PDF))], "budgetTarget"),
        ({**FORM, "budgetTarget": "1" * 14}, [("file", ("a.pdf", PDF))], "budgetTarget"),
        ({**FORM, "budgetTarget": "١٢"}, [("file", ("a.pdf", PDF))], "budgetTarget"),
        ({**FORM, "ageStart": "121"}, [("file", ("a.pdf", PDF))], "demographics.ageStart"),
        ({**FORM, "ageEnd": "1.5"}, [("file", ("a.pdf", PDF))], "ageEnd"),
        ({**FORM, "ageStart": "30", "ageEnd": "20"}, [("file", ("a.pdf", PDF))], "demographics"),
        ({**FORM, "gender": "robot"}, [("file", ("a.pdf", PDF))], "demographics.gender"),
        ({**FORM, "metadata": "{}"}, [("file", ("a.pdf", PDF))], "metadata"),
        ({"metadata": "[]"}, [("file", ("a.pdf", PDF))], "body"),
        ({"metadata": '{"title": 1}'}, [("file", ("a.pdf", PDF))], "title"),
        ({"metadata": '{"budgetTarget": NaN}'}, [("file", ("a.pdf", PDF))], "body"),
        ({"metadata": "x" * 300_000}, [("file", ("a.pdf", PDF))], None),
    ],
)
async def test_a_wrong_shape_is_refused_and_leaves_nothing(
    world: World, settings: Settings, sql: asyncpg.Connection[Any], form: Any, files: Any, field: str | None
) -> None:
    cleo = await world.creator()
    response = await cleo.post("/projects", data=form, files=files or [("other", ("a.pdf", PDF))])
    if field is None:
        assert response.status_code in (400, 413, 422)
    else:
        refused(response, 422, field=field)
    assert kept_files(settings) == []
    assert await sql.fetchval("SELECT count(*) FROM projects") == 0


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{}", "application/json", 415),
        (b"", None, 415),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b"no parts", "multipart/form-data", 400),
        (b"no parts", "multipart/form-data; boundary=x", 400),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x", 422),
    ],
)
async def test_what_is_no_multipart_is_refused(
    world: World, body: bytes, content_type: str | None, status: int
) -> None:
    cleo = await world.creator()
    headers = {"content-type": content_type} if content_type else {}
    refused(await cleo.call("POST", "/projects", content=body, headers=headers), status)


async def test_json_in_the_metadata_part_must_be_json(world: World) -> None:
    cleo = await world.creator()
    refused(await upload(cleo, {"metadata": "{"}), 400, "malformed_json")
    latin = ("blob", '{"title": "é"}'.encode("latin-1"), "application/json")
    refused(await upload(cleo, {}, ("file", ("a.pdf", PDF)), ("metadata", latin)), 400, "malformed_json")


async def test_only_creators_upload(world: World, settings: Settings) -> None:
    refused(await upload(world.nobody), 401)
    for person in (await world.advertiser(), await world.merchant(), await world.operator()):
        refused(await upload(person), 403, "wrong_role")
    assert kept_files(settings) == []


async def test_the_key_repeats_the_answer_and_keeps_one_file(
    world: World, settings: Settings, sql: asyncpg.Connection[Any]
) -> None:
    cleo = await world.creator()
    first = await upload(cleo, headers={"Idempotency-Key": "once"})
    again = await upload(cleo, headers={"Idempotency-Key": "once"})
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert len(kept_files(settings)) == await sql.fetchval("SELECT count(*) FROM projects") == 1
    other = await upload(cleo, FORM, ("file", ("a.fountain", FOUNTAIN + b"!")), headers={"Idempotency-Key": "once"})
    refused(other, 422, "idempotency_key_reused")
    refused(await upload(cleo, {**FORM, "title": "B"}, headers={"Idempotency-Key": "once"}), 422)
    assert len(kept_files(settings)) == 1


async def test_a_rolled_back_upload_leaves_no_file(
    world: World, settings: Settings, sql: asyncpg.Connection[Any]
) -> None:
    cleo = await world.creator()
    await sql.execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;"
        "CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON drafts DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION fail()"
    )
    assert (await upload(cleo)).status_code == 500
    assert kept_files(settings) == []
    assert await sql.fetchval("SELECT count(*) FROM projects") == 0


async def test_the_file_stays_when_the_connection_breaks_after_the_commit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleo = await world.creator()
    change = Database.change

    async def cut(self: Database, work: Any) -> Any:
        await change(self, work)
        raise Unavailable(code="database_unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "change", cut)
        refused(await upload(cleo), 503, "database_unavailable")
    (project,) = ok(await cleo.get("/projects"))
    assert (await cleo.get(f"/projects/{project['id']}/script")).content == FOUNTAIN


async def test_a_full_disk_is_503_and_changes_nothing(
    world: World, storage: Storage, monkeypatch: pytest.MonkeyPatch, sql: asyncpg.Connection[Any]
) -> None:
    cleo = await world.creator()
    storage._folder.parent.mkdir(exist_ok=True)
    storage._folder.write_text("a file where the folder should be")
    response = await upload(cleo)
    refused(response, 503, "storage_unavailable")
    assert response.headers["retry-after"]
    assert await sql.fetchval("SELECT count(*) FROM projects") == 0


async def test_who_sees_a_project(world: World) -> None:
    cleo, clay = await world.creator(), await world.creator()
    ada, mia, opal = await world.advertiser(), await world.merchant(), await world.operator()
    project = await world.project(cleo)
    path = f"/projects/{project['id']}"

    async def shown(person: Person) -> list[str]:
        return [each["id"] for each in ok(await person.get("/projects"))]

    refused(await world.nobody.get(path), 401)
    refused(await world.nobody.get("/projects"), 401)
    for stranger in (clay, ada, mia):
        stranger_answer = refused(await stranger.get(path), 404)
        missing_answer = refused(await stranger.get(f"/projects/{MISSING}"), 404)
        assert {**stranger_answer, "requestId": ""} == {**missing_answer, "requestId": ""}
        assert await shown(stranger) == []
    refused(await cleo.get("/projects/no-id"), 404)
    for person in (cleo, opal):
        own = ok(await person.get(path))
        assert own["docLink"] is not None
        assert own["committedAmount"] == 0
        assert await shown(person) == [project["id"]]

    private = await world.slot(cleo, project, visibility="Private")
    assert await shown(ada) == []
    ok(await cleo.put(f"/slots/{private['id']}/invitees", {"userIds": [ada.id]}))
    assert await shown(ada) == [project["id"]]
    assert await shown(mia) == []
    await world.slot(cleo, project)
    for buyer in (ada, mia):
        seen = ok(await buyer.get(path))
        assert (seen["docLink"], seen["committedAmount"]) == (None, None)
        assert seen == {**own, "docLink": None, "committedAmount": None}
        assert ok(await buyer.get("/projects")) == [seen]
    assert await shown(clay) == []


async def test_the_committed_amount_counts_the_commitments(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    project = await world.project(cleo)
    for scene in ("1", "2"):
        await world.committed(cleo, ada, await world.slot(cleo, project, sceneRef=scene))
    assert ok(await cleo.get(f"/projects/{project['id']}"))["committedAmount"] == 3000
    assert ok(await ada.get(f"/projects/{project['id']}"))["committedAmount"] is None


async def test_a_patch_changes_what_it_names_and_clears_with_null(world: World, sql: asyncpg.Connection[Any]) -> None:
    cleo = await world.creator()
    project = await world.project(cleo, logline="A cup.", ageStart=18, ageEnd=49, gender="female")
    path = f"/projects/{project['id']}"
    changed = ok(await cleo.patch(path, {"title": " Day Train ", "logline": None, "demographics": {"ageEnd": None}}))
    assert changed["title"] == "Day Train"
    assert changed["logline"] is None
    assert changed["genre"] == "Drama"
    assert changed["demographics"] == {"ageStart": 18, "ageEnd": None, "gender": "female"}
    assert changed["updatedAt"] > project["updatedAt"]
    assert ok(await cleo.get(path)) == {**changed, "docLink": ok(await cleo.get(path))["docLink"]}
    data = await sql.fetchval("SELECT data FROM events WHERE action = 'project.changed'")
    assert json.loads(data) == {"fields": ["age_end", "logline", "title"]}
    untouched = ok(await cleo.patch(path, {}))
    assert untouched["updatedAt"] == changed["updatedAt"]


async def test_a_new_genre_reaches_the_slots(world: World) -> None:
    cleo = await world.creator()
    project = await world.project(cleo)
    slot = await world.slot(cleo, project)
    ok(await cleo.patch(f"/projects/{project['id']}", {"genre": "Comedy"}))
    assert [each["id"] for each in ok(await cleo.get("/slots", params={"genre": "comedy"}))] == [slot["id"]]
    assert ok(await cleo.get("/slots", params={"genre": "drama"})) == []


async def test_ages_keep_their_order_across_stored_and_sent(world: World) -> None:
    cleo = await world.creator()
    project = await world.project(cleo, ageStart=18, ageEnd=49)
    path = f"/projects/{project['id']}"
    refused(await cleo.patch(path, {"demographics": {"ageStart": 50}}), 422, field="demographics.ageStart")
    refused(await cleo.patch(path, {"demographics": {"ageEnd": 17}}), 422)
    assert ok(await cleo.patch(path, {"demographics": {"ageStart": 50, "ageEnd": None}}))["demographics"] == {
        "ageStart": 50,
        "ageEnd": None,
        "gender": "any",
    }
    ok(await cleo.patch(path, {"demographics": {"ageStart": 50, "ageEnd": 50}}))


@pytest.mark.parametrize(
    "body",
    [
        {"title": None},
        {"title": ""},
        {"title": 1},
        {"budgetTarget": None},
        {"budgetTarget": "1"},
        {"budgetTarget": True},
        {"budgetTarget": -0.01},
        {"budgetTarget": 1e400},
        {"productionWindow": None},
        {"demographics": None},
        {"demographics": {"gender": None}},
        {"demographics": {"ageStart": True}},
        {"demographics": {"ageStart": 18.5}},
        {"demographics": {"unknown": 1}},
        {"genre": "x" * 101},
        {"logline": "\x00"},
        {"logline": "\ud800"},
        {"docLink": "http://example.com"},
        {"committedAmount": 1},
        {"creatorId": MISSING},
        [],
    ],
)
async def test_a_patch_of_a_wrong_shape_changes_nothing(world: World, body: Any) -> None:
    cleo = await world.creator()
    project = await world.project(cleo)
    raw = json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    refused(await cleo.call("PATCH", f"/projects/{project['id']}", content=raw, headers=headers), 422)
    assert ok(await cleo.get(f"/projects/{project['id']}"))["updatedAt"] == project["updatedAt"]


async def test_only_the_owner_changes_and_deletes(world: World) -> None:
    cleo, clay = await world.creator(), await world.creator()
    ada, opal = await world.advertiser(), await world.operator()
    project = await world.project(cleo)
    await world.slot(cleo, project)
    path = f"/projects/{project['id']}"
    new = {"files": {"file": ("b.pdf", PDF)}}
    for person, status in ((world.nobody, 401), (clay, 404), (ada, 403), (opal, 403)):
        refused(await person.patch(path, {"title": "Mine"}), status)
        refused(await person.delete(path), status)
        refused(await person.put(f"{path}/script", **new), status)
    refused(await cleo.patch(f"/projects/{MISSING}", {"title": "Mine"}), 404)
    assert ok(await cleo.get(path))["title"] == "Night Train"


async def test_a_stale_version_is_refused_between_403_and_409(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    project = await world.project(cleo)
    slot = await world.slot(cleo, project)
    path = f"/projects/{project['id']}"
    first = (await cleo.get(path)).headers["etag"]
    patched = await cleo.patch(path, {"title": "Day Train"}, headers={"If-Match": first})
    second = patched.headers["etag"]
    assert second == (await cleo.get(path)).headers["etag"] != first
    stale = {"headers": {"If-Match": first}}
    refused(await cleo.patch(path, {"title": "X"}, **stale), 412, "stale_version")
    refused(await cleo.put(f"{path}/script", files={"file": ("b.pdf", PDF)}, **stale), 412)
    refused(await cleo.delete(path, **stale), 412)
    refused(await ada.patch(path, {"title": "X"}, **stale), 403)
    await world.approve(cleo, await world.bid(ada, slot))
    refused(await cleo.delete(path, **stale), 412)
    refused(await cleo.delete(path, headers={"If-Match": second}), 409, "slot_held")
    for good in ("*", second, f'"other", {second}'):
        ok(await cleo.patch(path, {}, headers={"If-Match": good}))
    for bad in (f"W/{second}", "", "garbage"):
        refused(await cleo.patch(path, {}, headers={"If-Match": bad}), 412)


async def test_the_link_is_no_part_of_the_version(world: World) -> None:
    cleo, opal = await world.creator(), await world.operator()
    project = await world.project(cleo)
    first = await cleo.get(f"/projects/{project['id']}")
    world.advance(minutes=5)
    later = await cleo.get(f"/projects/{project['id']}")
    assert first.json()["docLink"] != later.json()["docLink"]
    assert first.headers["etag"] == later.headers["etag"]
    assert (await opal.get(f"/projects/{project['id']}")).headers["etag"] == first.headers["etag"]


async def test_deleting_hides_the_project_with_its_slots_and_ends_live_bids(
    world: World, sql: asyncpg.Connection[Any]
) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    project = await world.project(cleo)
    slot = await world.slot(cleo, project)
    bid = await world.bid(ada, slot)
    response = await cleo.delete(f"/projects/{project['id']}")
    assert (response.status_code, response.content) == (204, b"")
    for person in (cleo, ada, await world.operator()):
        for path in (f"/projects/{project['id']}", f"/slots/{slot['id']}", f"/projects/{project['id']}/script"):
            refused(await person.get(path), 404)
        assert ok(await person.get("/projects")) == ok(await person.get("/slots")) == []
    ended = ok(await ada.get(f"/bids/{bid['id']}"))
    assert (ended["status"], ended["declineReason"]) == ("Declined", "slot_removed")
    event = await sql.fetchrow("SELECT * FROM events WHERE action = 'bid.closed'")
    assert event is not None
    assert (event["actor_role"], event["actor_id"]) == ("System", None)
    refused(await cleo.delete(f"/projects/{project['id']}"), 404)
    assert await sql.fetchval("SELECT count(*) FROM projects WHERE removed_at IS NOT NULL") == 1


async def test_deleting_is_refused_while_a_bid_holds_a_slot(world: World) -> None:
    cleo, ada, mia = await world.creator(), await world.advertiser(), await world.merchant()
    project = await world.project(cleo)
    slot, other = await world.slot(cleo, project), await world.slot(cleo, project)
    standing_by = await world.bid(mia, other)
    await world.approve(cleo, await world.bid(ada, slot))
    problem = refused(await cleo.delete(f"/projects/{project['id']}"), 409, "slot_held")
    assert problem["currentStatus"] == "Locked"
    assert ok(await mia.get(f"/bids/{standing_by['id']}"))["status"] == "Pending"
    assert len(ok(await cleo.get("/slots"))) == 2
    world.advance(days=4)  # the hold has run out: it holds no more, from its very instant
    cleo = await world.log_in("creator1@example.com")
    assert (await cleo.delete(f"/projects/{project['id']}")).status_code == 204
