"""Importing a catalogue from CSV: all rows or none."""

from __future__ import annotations

import asyncio
import json
from typing import Any, TypeAlias

import asyncpg
import httpx2
import pytest

from tests.factories.people import Person
from tests.factories.refusals import refused
from tests.factories.world import World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

HEADER = b"title,price,margin,tags,description,imageUrl,externalId\n"
THREE = HEADER + (
    b"Thermos,39.90,40,steel; travel ;,Keeps warm,https://example.com/t.png,T-1\n"
    b"Coat,120,55.5,,,,C-1\n"
    b'"Cup, blue",5,0,,,,\n'
)


async def send(person: Person, content: bytes, part: str = "file", **more: Any) -> httpx2.Response:
    return await person.post("/skus/bulk", files={part: ("catalogue.csv", content, "text/csv")}, **more)


def errors(response: httpx2.Response) -> list[tuple[int, str]]:
    """The rows and fields that a refusal names."""
    problem = refused(response, 422, "invalid_catalogue")
    return [(each["row"], each["field"]) for each in problem["errors"]]


async def titles(person: Person) -> list[str]:
    return [each["title"] for each in ok(await person.get("/skus"))]


@pytest.mark.parametrize("part", ["file", "csv"])
async def test_a_catalogue_is_imported(world: World, sql: Sql, part: str) -> None:
    mia = await world.merchant()
    response = await send(mia, THREE, part)
    assert (response.status_code, response.json()) == (201, {"count": 3, "created": 3, "updated": 0})
    cup, coat, thermos = ok(await mia.get("/skus"))  # newest first: the file's last row
    assert thermos == {
        "id": thermos["id"],
        "merchantId": mia.id,
        "title": "Thermos",
        "price": 39.9,
        "margin": 40,
        "tags": ["steel", "travel"],
        "description": "Keeps warm",
        "imageUrl": "https://example.com/t.png",
        "externalId": "T-1",
        "createdAt": thermos["createdAt"],
        "updatedAt": thermos["createdAt"],
    }
    assert (coat["price"], coat["margin"], coat["tags"], coat["description"]) == (120, 55.5, [], None)
    assert (cup["title"], cup["externalId"], cup["imageUrl"]) == ("Cup, blue", None, None)
    event = await sql.fetchrow("SELECT * FROM events WHERE action = 'skus.imported'")
    assert event is not None
    assert (str(event["actor_id"]), str(event["subject_id"])) == (mia.id, mia.id)
    assert json.loads(event["data"]) == {"count": 3, "created": 3, "updated": 0}


async def test_only_merchants_import(world: World) -> None:
    refused(await send(world.nobody, THREE), 401)
    for person in (await world.creator(), await world.advertiser(), await world.operator()):
        refused(await send(person, THREE), 403, "wrong_role")


async def test_a_known_external_id_updates(world: World) -> None:
    mia, max_ = await world.merchant(), await world.merchant()
    ok(await send(mia, THREE))
    ok(await send(max_, THREE))  # another merchant's are others
    before = {each["title"]: each for each in ok(await mia.get("/skus"))}
    again = HEADER + b"Thermos XL,49.90,40,,Keeps hot,,T-1\nHat,10,10,,,,H-1\n"
    assert ok(await send(mia, again)) == {"count": 2, "created": 1, "updated": 1}
    after = {each["title"]: each for each in ok(await mia.get("/skus"))}
    assert set(after) == {"Thermos XL", "Coat", "Cup, blue", "Hat"}
    changed = after["Thermos XL"]
    assert (changed["id"], changed["createdAt"]) == (before["Thermos"]["id"], before["Thermos"]["createdAt"])
    assert changed["updatedAt"] > before["Thermos"]["updatedAt"]
    # An empty cell clears.
    assert (changed["price"], changed["tags"], changed["description"], changed["imageUrl"]) == (
        49.9,
        [],
        "Keeps hot",
        None,
    )
    assert await titles(max_) == ["Cup, blue", "Coat", "Thermos"]
    # A column that is not there leaves the field as it is.
    assert ok(await send(mia, b"externalId,title,price,margin\nT-1,Thermos,1,2\n"))["updated"] == 1
    assert ok(await mia.get(f"/skus/{changed['id']}"))["description"] == "Keeps hot"
    # Without an externalId every import makes new ones.
    assert ok(await send(mia, b"title,price,margin\nCup,1,2\n")) == {"count": 1, "created": 1, "updated": 0}


async def test_a_removed_sku_is_not_revived(world: World) -> None:
    mia = await world.merchant()
    ok(await send(mia, THREE))
    thermos = ok(await mia.get("/skus"))[2]
    assert (await mia.delete(f"/skus/{thermos['id']}")).status_code == 204
    assert ok(await send(mia, HEADER + b"Thermos,1,2,,,,T-1\n")) == {"count": 1, "created": 1, "updated": 0}
    refused(await mia.get(f"/skus/{thermos['id']}"), 404)
    assert len(await titles(mia)) == 3


async def test_a_dry_run_says_what_would_happen(world: World, sql: Sql) -> None:
    mia = await world.merchant()
    ok(await send(mia, THREE))
    more = HEADER + b"Thermos XL,1,2,,,,T-1\nHat,10,10,,,,H-1\nCap,1,1,,,,\n"
    response = await send(mia, more, params={"dryRun": "true"})
    assert (response.status_code, response.json()) == (200, {"count": 3, "created": 2, "updated": 1})
    assert await titles(mia) == ["Cup, blue", "Coat", "Thermos"]
    assert await sql.fetchval("SELECT count(*) FROM events WHERE action = 'skus.imported'") == 1
    wrong = await send(mia, HEADER + b"Hat,x,10,,,,H-1\n", params={"dryRun": "true"})
    assert errors(wrong) == [(2, "price")]
    assert ok(await send(mia, more, params={"dryRun": "false"})) == response.json()


async def test_every_bad_row_is_named_and_nothing_is_taken(world: World, sql: Sql) -> None:
    mia = await world.merchant()
    rows = [
        b"Good,1,2,,,,G-1",
        b",1,2,,,,",
        b"No price,,2,,,,",
        b"Words,cheap,2,,,,",
        b"Many places,1.001,2,,,,",
        b"Negative,-1,2,,,,",
        b'Thousands,"1,000",2,,,,',
        b"Scientific,1e3,2,,,,",
        b"NaN,NaN,2,,,,",
        b"Margin,1,101,,,,",
        b"Margin,1,-0.5,,,,",
        b"Address,1,2,,,ftp://example.com,",
        b"Cells,1,2",
        b"Cells,1,2,,,,,,",
        b"Tag,1,2," + b"x" * 101 + b",,,",
        b"Double,1,2,,,,G-1",
        b"Two,x,y,,,,",
        b"x" * 201 + b",1,2,,,,",
    ]
    response = await send(mia, HEADER + b"\n".join(rows))
    prices, others = (
        ["price"] * 7,
        ["margin", "margin", "imageUrl", "row", "row", "tags", "externalId", "price", "margin"],
    )
    assert errors(response) == [*enumerate(["title", *prices, *others[:-1]], 3), (18, "margin"), (19, "title")]
    problem = response.json()
    assert problem["errorCount"] == 18
    messages = {(each["row"], each["field"]): each["message"] for each in problem["errors"]}
    assert messages[3, "title"] == "is required"
    assert messages[5, "price"] == "must be a number"
    assert messages[14, "row"] == "has 3 cells where the header has 7"
    assert messages[17, "externalId"] == "is the same as in row 2"
    assert "Good" not in response.text
    assert "cheap" not in response.text
    assert await titles(mia) == []
    assert await sql.fetchval("SELECT count(*) FROM events WHERE action = 'skus.imported'") == 0


async def test_the_first_hundred_are_told_and_all_are_counted(world: World) -> None:
    mia = await world.merchant()
    bad = await send(mia, b"title,price,margin\n" + b"x,y,1\n" * 250)
    assert errors(bad) == [(row, "price") for row in range(2, 102)]
    assert bad.json()["errorCount"] == 250
    double = await send(mia, b"externalId,title,price,margin\n" + b"E,x,1,1\n" * 250)
    assert errors(double) == [(row, "externalId") for row in range(3, 103)]
    assert double.json()["errorCount"] == 249


LINES = [b"title,price,margin", b"One,1,1", b'"Two\nlines",2,2', b"Three,3,3"]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [b"", b"\n", b"\n\n"])
async def test_any_line_ending_with_or_without_a_mark(world: World, ending: bytes, mark: bytes, last: bytes) -> None:
    mia = await world.merchant()
    ok(await send(mia, mark + ending.join(LINES) + last.replace(b"\n", ending)))
    assert await titles(mia) == ["Three", "Two\nlines", "One"]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b" price , title,margin ", []),
        (b'"title","price","margin"', []),
        (b"title,price", [(1, "margin")]),
        (b"Title,price,margin", [(1, "header"), (1, "title")]),
        (b"title,price,margin,colour", [(1, "header")]),
        (b"title,price,margin,", [(1, "header")]),
        (b"title,price,margin,price", [(1, "price")]),
        (b"title;price;margin", [(1, "header"), (1, "title"), (1, "price"), (1, "margin")]),
    ],
)
async def test_the_header(world: World, header: bytes, found: list[tuple[int, str]]) -> None:
    mia = await world.merchant()
    response = await send(mia, header + b"\n1,1,1\n")
    if found:
        assert errors(response) == found
        assert b"colour" not in response.content
    else:
        assert ok(response)["count"] == 1


GOOD = b"title,price,margin\nOne,1,1\n"


@pytest.mark.parametrize(
    ("content", "row", "field"),
    [
        (b"", 1, "header"),
        (b"\n\n", 1, "header"),
        (b"\xef\xbb\xbf", 1, "header"),
        (b"title,price,margin\n", 1, "row"),
        (b"title,price,margin\n\n,,\n", 1, "row"),
        (GOOD + b'"open,1,1\nTwo,2,2\n', 3, "row"),
        (GOOD + b'"open,1,1\n' + b"Two,2,2\n" * 40_000, 3, "row"),
        (GOOD + b'"a"b,1,1\n', 3, "row"),
        (GOOD + b"a\x00b,1,1\n", 3, "row"),
        (GOOD + "Café,1,1\n".encode("latin-1"), 3, "row"),
        (GOOD + b"Two,2,2\n" * 20_000 + "Café,1,1\n".encode("latin-1"), 20_003, "row"),
        (GOOD.decode().encode("utf-16"), 1, "row"),
        (GOOD.decode().encode("utf-16-le"), 1, "row"),
        (GOOD + b"\xed\xa0\x80,1,1\n", 3, "row"),
        (GOOD + b"x" * 131_073 + b",1,1\n", 3, "row"),
        (GOOD + b"x" * 1_100_000 + b",1,1\n", 3, "row"),
        (b"%PDF-1.7\n", 1, "header"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_its_row(world: World, content: bytes, row: int, field: str) -> None:
    mia = await world.merchant()
    response = await send(mia, content)
    assert errors(response)[0] == (row, field), response.text
    assert await titles(mia) == []


async def test_what_stands_in_cells_is_plain_text(world: World) -> None:
    mia = await world.merchant()
    cells = [
        "=1+1",
        "@SUM(A1)",
        "\\N",
        "\\.",
        "back\\slash\ttab",
        "'; DROP TABLE skus --",
        "夜行列車",
        "𝄞",
        "a;b",
        '"q"',
    ]
    rows = "".join('"{}",1,1,"{}"\n'.format(*[cell.replace('"', '""')] * 2) for cell in cells)
    ok(await send(mia, ("title,price,margin,description\n" + rows).encode()))
    found = ok(await mia.get("/skus"))
    assert [each["title"] for each in found] == cells[::-1]
    assert [each["description"] for each in found] == cells[::-1]


async def test_the_parts_of_the_form(world: World) -> None:
    mia = await world.merchant()
    file = ("a.csv", GOOD)
    refused(await mia.post("/skus/bulk", {"rows": []}), 415)
    refused(await mia.post("/skus/bulk", files={"other": file}), 422, field="other")
    refused(await mia.post("/skus/bulk", files=[("file", file), ("file", file)]), 422, field="file")
    refused(await mia.post("/skus/bulk", files=[("file", file), ("csv", file)]), 422, field="file")
    refused(await mia.post("/skus/bulk", files={"file": file}, data={"dryRun": "true"}), 422, field="dryRun")
    refused(await mia.post("/skus/bulk", data={"file": "text"}, files={"csv": file}), 422, field="file")
    refused(await send(mia, GOOD, params={"dryRun": "perhaps"}), 422, field="dryRun")
    assert await titles(mia) == []


async def test_the_key_imports_once(world: World) -> None:
    mia = await world.merchant()
    key: dict[str, Any] = {"headers": {"Idempotency-Key": "k"}}
    first = await send(mia, GOOD, **key)
    again = await send(mia, GOOD, "csv", **key)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert await titles(mia) == ["One"]
    refused(await send(mia, GOOD + b"Two,2,2\n", **key), 422, "idempotency_key_reused")
    refused(await send(mia, GOOD, params={"dryRun": "true"}, **key), 422, "idempotency_key_reused")


async def test_imports_at_once_follow_each_other(world: World, sql: Sql) -> None:
    """Shuffled against each other and against single SKUs: no deadlock, every externalId once."""
    mia = await world.merchant()
    rows = [b"Item,%d,1,,,,E-%d\n" % (n, n) for n in range(300)]
    files = [HEADER + b"".join(rows), HEADER + b"".join(reversed(rows))] * 3
    singles = [
        mia.post("/skus", {"title": "Single", "price": 1, "margin": 1, "externalId": f"E-{n}"})
        for n in range(0, 300, 60)
    ]
    answers = await asyncio.gather(*(send(mia, each) for each in files), *singles)
    assert {each.status_code for each in answers} <= {201, 409}
    assert [each.status_code for each in answers[:6]] == [201] * 6
    assert await sql.fetchval("SELECT count(*) FROM skus") == 300
    assert await sql.fetchval("SELECT count(DISTINCT external_id) FROM skus") == 300


async def test_the_statements_do_not_grow_with_the_rows(world: World, statements: list[str]) -> None:
    mia = await world.merchant()
    counts = []
    for rows in (1, 2000):
        statements.clear()
        ok(await send(mia, HEADER + b"".join(b"x,1,1,,,,%d\n" % n for n in range(rows))))
        counts.append(len(statements))
    assert counts == [7, 7]
